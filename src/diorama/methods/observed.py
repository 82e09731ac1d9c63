"""The observations themselves as a world, with nothing refined: what every method has to improve on.

Bodies stay in front of their cameras as they were seen, and the cameras carry them into the world. Only what a world
cannot do without is decided, each in the simplest way: one scale, up, and the height of the floor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float

from diorama.body import load_body
from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import ShapedBody
from diorama.geometry.cameras import project
from diorama.geometry.ground import rotation_to_z_up
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import apply, invert, move_cameras, similarity
from diorama.methods.ground_plane import upright_direction
from diorama.observations import Depth, Observations, ObservedBody, ObservedCameras
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene
from diorama.video import Video

# Where the ground may be seen if people are not in the depth maps: so far below the feet, in heights of the body.
_BELOW = 0.06


def reconstruct_observed(video: Video | None, observations: Observations) -> Reconstruction:
    """The world of the raw observations, metres, +Z up, floor at z = 0.

    - Metres per unit of the cameras' world: 1 if they are metric; else the median of (depth of a person's pelvis by the
      body) / (depth of the map at that pixel) over all people and keyframes, or of the feet and the ground just below
      them where people are not in the maps; with metric maps that of (map) / (depth of the cameras' sparse points).
    - Up: the robust mean of the bodies' axes, ankles to neck; without people the mean of the cameras' own up.
    - Floor: the median over frames of everybody's lowest foot point; without people 1 m below the first camera.

    Contacts are those that were observed, depth maps and scene points are taken as they are.

    Raises:
        DioramaError: a body model's file is not here.
    """
    seen = observations.cameras
    if seen is None:
        raise ValueError("there is no world without cameras")
    bodies = observations.bodies.people if observations.bodies else ()
    shaped = {body.id: _shaped(body) for body in bodies}
    scale, source = metres_per_unit(observations, shaped)
    turn = rotation_to_z_up(_up(bodies, shaped, seen))
    T = move_cameras(seen.T_world_camera, scale, turn, np.zeros(3))
    people = tuple(_person(body, shaped[body.id], T, observations) for body in bodies)
    floor = _floor(people, shaped, T)
    lift = np.array([0.0, 0.0, -floor])
    T = move_cameras(T, 1.0, np.eye(3), lift)
    people = tuple(_person(body, shaped[body.id], T, observations) for body in bodies)
    cameras = Cameras(
        seen.K, T, seen.distortion, seen.registered, observations.width, observations.height, seen.focal_source,
        seen.kind,
    )  # fmt: skip
    return Reconstruction(
        observations.times, observations.frame_index, observations.duplicate, cameras, people,
        _scene(observations, scale, similarity(scale, turn, lift)), "estimated: upright bodies", {},
        {"method": "observations", "scale_source": source},
    )  # fmt: skip


def metres_per_unit(observations: Observations, shaped: dict[int, ShapedBody]) -> tuple[float, str]:
    """The scale of the cameras' world, and in words where it comes from; see `reconstruct_observed`."""
    cameras, depth = observations.cameras, observations.depth
    assert cameras is not None
    if cameras.metric:
        return 1.0, "the cameras are metric"
    if depth is None:
        return 1.0, "none: there is no depth"
    if depth.metric:
        ratios = np.concatenate([np.zeros(0), *_point_ratios(depth, cameras, observations)])
        return _median(ratios, "metric depth against the cameras' sparse points")
    bodies = observations.bodies.people if observations.bodies else ()
    for below in (False, True):
        ratios = np.array(list(_body_ratios(bodies, shaped, depth, cameras, observations, below=below)))
        if len(ratios):
            return _median(ratios, f"depth of bodies against the {'ground below feet' if below else 'map'}")
    return 1.0, "none: nobody is seen in the depth maps"


def _median(ratios: np.ndarray, source: str) -> tuple[float, str]:
    return (float(np.median(ratios)), source) if len(ratios) else (1.0, f"none: no {source}")


def _point_ratios(depth: Depth, cameras: ObservedCameras, seen: Observations) -> Iterator[np.ndarray]:
    for index, row in enumerate(depth.frames):
        points = apply(invert(cameras.T_world_camera[row]), np.asarray(cameras.points_world, np.float64))
        found = _depth_at(depth, index, project(points, cameras.K[row], cameras.distortion[row]), seen)
        hit = found > 0  # only points in front of the camera have a pixel
        yield found[hit] / points[hit, 2]


def _body_ratios(
    bodies: tuple[ObservedBody, ...], shaped: dict[int, ShapedBody], depth: Depth, cameras: ObservedCameras,
    seen: Observations, *, below: bool,
) -> Iterator[float]:  # fmt: skip
    """Metres of a point of a body over the depth of the map where it is seen."""
    for body in bodies:
        joints = _camera_joints(body, shaped[body.id])
        for index, row in enumerate(depth.frames):
            for at in np.flatnonzero(body.frames == row):
                point = joints[at, 0]
                if below:
                    feet = joints[at, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]].mean(0)
                    point = feet + _BELOW * (feet - joints[at, JOINT_INDEX["head"]])
                pixel = project(point[None], cameras.K[row], cameras.distortion[row])
                found = _depth_at(depth, index, pixel, seen)[0]
                if found > 0:
                    yield float(point[2] / found)


def _depth_at(depth: Depth, index: int, pixels: Float[np.ndarray, "n 2"], seen: Observations) -> np.ndarray:
    """Depth of a map at pixels of the source picture; 0 outside and where unknown."""
    height, width = depth.depth.shape[1:]
    at = pixels * np.array([width / seen.width, height / seen.height])
    inside = np.all(np.isfinite(at) & (at >= 0) & (at < np.array([width, height])), axis=1)
    x, y = np.where(inside[:, None], at, 0).astype(int).T
    found = depth.depth[index][y, x].astype(np.float64)
    return np.where(inside & np.isfinite(found), found, 0.0)


def _shaped(body: ObservedBody) -> ShapedBody:
    return load_body(body.body, body.gender).shaped(torch.from_numpy(np.asarray(body.betas, np.float32)))


def _camera_joints(body: ObservedBody, shaped: ShapedBody) -> Float[np.ndarray, "n 24 3"]:
    arrays = (torch.from_numpy(np.asarray(a, np.float32)) for a in (body.global_orient, body.body_pose, body.transl))
    return shaped.posed(*arrays).joints.double().numpy()


def _up(
    bodies: tuple[ObservedBody, ...], shaped: dict[int, ShapedBody], cameras: ObservedCameras
) -> Float[np.ndarray, " 3"]:
    if not bodies:
        up = -cameras.T_world_camera[:, :3, 1].mean(0)
        return up / np.linalg.norm(up)
    axes = []
    for body in bodies:
        joints = _camera_joints(body, shaped[body.id])
        ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(1)
        axis = joints[:, JOINT_INDEX["neck"]] - ankles
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        axes.append((cameras.T_world_camera[body.frames, :3, :3] @ axis[..., None])[..., 0])
    return upright_direction(np.concatenate(axes), np.ones(sum(map(len, axes))))[0]


def _person(
    body: ObservedBody, shaped: ShapedBody, T_world_camera: Float[np.ndarray, "frames 4 4"], seen: Observations
) -> Person:
    """The body as it was seen, carried into the world: it turns about its rest pelvis J0."""
    T = T_world_camera[body.frames]
    rest = shaped.joints_rest[0].double().numpy()
    orient = rotvec_of(T[:, :3, :3] @ matrix_of(np.asarray(body.global_orient, np.float64)))
    transl = apply(T, np.asarray(body.transl, np.float64) + rest) - rest
    contacts, sites = _contacts(body, seen)
    return Person(
        id=body.id, frames=body.frames, body=body.body, gender=body.gender, betas=body.betas, global_orient=orient,
        body_pose=body.body_pose, transl=transl, joints_world=apply(T, _camera_joints(body, shaped)), contacts=contacts,
        contact_sites=sites, observed=np.ones(len(body.frames), bool), confidence=np.asarray(body.confidence, np.float64),
    )  # fmt: skip


def _contacts(body: ObservedBody, seen: Observations) -> tuple[Float[np.ndarray, "n sites"], tuple[str, ...]]:
    """What was observed; no sites if nobody looked for contacts, none touching in frames without a label."""
    labels = seen.contacts
    if labels is None or body.id not in labels.ids:
        return np.zeros((len(body.frames), 0)), ()
    at = labels.ids.index(body.id)
    out = np.zeros((len(body.frames), len(labels.sites)))
    _, mine, theirs = np.intersect1d(body.frames, labels.frames[at], return_indices=True)
    out[mine] = labels.probability[at][theirs]
    return out, labels.sites


def _floor(people: tuple[Person, ...], shaped: dict[int, ShapedBody], T_world_camera: np.ndarray) -> float:
    lowest = [np.zeros(0)]
    for person in people:
        arrays = (person.global_orient, person.body_pose, person.transl)
        posed = shaped[person.id].posed(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))
        lowest.append(posed.contact_sites(FOOT_SITE_NAMES)[..., 2].min(1).values.double().numpy())
    heights = np.concatenate(lowest)
    return float(np.median(heights)) if len(heights) else float(T_world_camera[0, 2, 3]) - 1.0


def _scene(observations: Observations, scale: float, T: Float[np.ndarray, "4 4"]) -> Scene:
    """Depth and points as given; `T` takes points of the cameras' world to the metric one."""
    depth, cameras = observations.depth, observations.cameras
    assert cameras is not None
    if depth is None:
        points = np.asarray(cameras.points_world, np.float64)
        return Scene(apply(T, points), cameras.colors, np.ones(len(points)))
    factor = 1.0 if depth.metric else scale
    return Scene(
        apply(T, np.asarray(depth.points, np.float64)), depth.colors, np.asarray(depth.points_confidence, np.float64),
        (factor * depth.depth).astype(np.float32), depth.K, depth.frames,
    )  # fmt: skip
