"""Bodies carried into one metric world by the cameras that saw them: what all methods share that refine nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from diorama.body import load_body
from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import ShapedBody
from diorama.frontends.background_mask import people_mask
from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.ground import rotation_to_z_up
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import apply, move_cameras, similarity
from diorama.methods.ground_plane import upright_direction
from diorama.observations import Depth, Observations, ObservedBody, ObservedCameras
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene

# Points of the scene that are made of depth maps which bring none of their own.
_POINTS = 20_000
# The front end whose bodies do not know how tall people are.
_BLIND_TO_SIZE = "fit_bodies"


def carried_world(
    observations: Observations,
    shaped: dict[int, ShapedBody],
    scale: tuple[float, str],
    depth: Depth | None,
    method: str,
) -> Reconstruction:
    """The world of bodies that stay in front of their cameras as they were seen: metres, +Z up, floor at z = 0.

    - Up: the robust mean of the bodies' axes, ankles to neck; without people the mean of the cameras' own up.
    - Floor: the median over frames of everybody's lowest foot point; without people 1 m below the first camera.
    - Contacts are those that were observed.
    - Scene: the maps of `depth` (NaN becomes 0, unknown) and its points as they are; where it has none, points made of
      the maps, people left out; without `depth` the cameras' sparse points.

    Args:
        shaped: of all observed bodies, see `shaped_bodies`.
        scale: metres per unit of the cameras' world, and in words where it comes from.
        depth: of the scene, in metres or in the cameras' unit.
        method: for the provenance.

    Raises:
        ValueError: nobody observed cameras.
    """
    seen = cameras_of(observations)
    bodies = bodies_of(observations)
    metres, source = scale
    turn = rotation_to_z_up(_up(bodies, shaped, seen))
    T = move_cameras(seen.T_world_camera, metres, turn, np.zeros(3))
    people = tuple(_person(body, shaped[body.id], T, observations) for body in bodies)
    lift = np.array([0.0, 0.0, -_floor(people, shaped, T)])
    T = move_cameras(T, 1.0, np.eye(3), lift)
    people = tuple(_person(body, shaped[body.id], T, observations) for body in bodies)
    cameras = Cameras(
        seen.K, T, seen.distortion, seen.registered, observations.width, observations.height, seen.focal_source,
        seen.kind,
    )  # fmt: skip
    return Reconstruction(
        observations.times, observations.frame_index, observations.duplicate, cameras, people,
        _scene(depth, observations, cameras, metres, similarity(metres, turn, lift)), "estimated: upright bodies",
        {"metres_per_unit": metres}, {"method": method, "scale_source": source},
    )  # fmt: skip


def cameras_of(observations: Observations) -> ObservedCameras:
    """The cameras, without which there is no world.

    Raises:
        ValueError: nobody observed them.
    """
    if observations.cameras is None:
        raise ValueError("there is no world without cameras")
    return observations.cameras


def bodies_of(observations: Observations) -> tuple[ObservedBody, ...]:
    """Everybody's bodies; empty if nobody looked for them."""
    return observations.bodies.people if observations.bodies else ()


def blind_to_size(observations: Observations) -> bool:
    """Whether the bodies' sizes are only assumed: the embedded front end's bodies do not know how tall people are."""
    return observations.bodies is not None and observations.bodies.source.frontend == _BLIND_TO_SIZE


def shaped_bodies(observations: Observations) -> dict[int, ShapedBody]:
    """The shaped body of everybody, by id.

    Raises:
        DioramaError: a body model's file is not here.
    """
    return {
        body.id: load_body(body.body, body.gender).shaped(torch.from_numpy(np.asarray(body.betas, np.float32)))
        for body in bodies_of(observations)
    }


def camera_joints(body: ObservedBody, shaped: ShapedBody) -> Float[np.ndarray, "n 24 3"]:
    """The 24 joints in front of the camera, metres."""
    arrays = (torch.from_numpy(np.asarray(a, np.float32)) for a in (body.global_orient, body.body_pose, body.transl))
    return shaped.posed(*arrays).joints.double().numpy()


def _up(
    bodies: tuple[ObservedBody, ...], shaped: dict[int, ShapedBody], cameras: ObservedCameras
) -> Float[np.ndarray, " 3"]:
    bodies = tuple(body for body in bodies if len(body.frames))
    if not bodies:
        up = -cameras.T_world_camera[:, :3, 1].mean(0)
        return up / np.linalg.norm(up)
    axes = []
    for body in bodies:
        joints = camera_joints(body, shaped[body.id])
        ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(1)
        axis = joints[:, JOINT_INDEX["neck"]] - ankles
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        axes.append((cameras.T_world_camera[body.frames, :3, :3] @ axis[..., None])[..., 0])
    every = np.concatenate(axes)
    return upright_direction(every, np.ones(len(every)))[0]


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
        body_pose=body.body_pose, transl=transl, joints_world=apply(T, camera_joints(body, shaped)), contacts=contacts,
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


def _scene(
    depth: Depth | None, observations: Observations, cameras: Cameras, metres: float, T: Float[np.ndarray, "4 4"]
) -> Scene:
    """`cameras` are metric; `T` takes points of the cameras' world to the metric one."""
    seen = cameras_of(observations)
    if depth is None:
        points = np.asarray(seen.points_world, np.float64)
        return Scene(apply(T, points), seen.colors, np.ones(len(points)))
    maps = (1.0 if depth.metric else metres) * np.where(np.isfinite(depth.depth), depth.depth, 0)
    scene = Scene(
        apply(T, np.asarray(depth.points, np.float64)), depth.colors, np.asarray(depth.points_confidence, np.float64),
        maps.astype(np.float32), depth.K, depth.frames,
    )  # fmt: skip
    return scene if len(depth.points) else _with_points_of_maps(scene, depth, cameras, observations)


def _with_points_of_maps(scene: Scene, depth: Depth, cameras: Cameras, observations: Observations) -> Scene:
    """Every so many pixels of all maps as grey points."""
    assert scene.depth is not None
    height, width = scene.depth.shape[1:]
    pixels = pixel_grid(width, height)
    points, confidence = [np.zeros((0, 3))], [np.zeros(0)]
    for index, row in enumerate(depth.frames):
        people = people_mask(observations.tracks, int(row), (width, height), (cameras.width, cameras.height), 0.0)
        y, x = np.nonzero((scene.depth[index] > 0) & ~people)
        every = slice(None, None, max(1, -(-len(y) * len(depth.frames) // _POINTS)))
        y, x = y[every], x[every]
        z, K = scene.depth[index, y, x].astype(np.float64), np.asarray(depth.K[index], np.float64)
        points.append(apply(cameras.T_world_camera[row], unproject(pixels[y, x], z, K, cameras.distortion[row])))
        confidence.append(np.asarray(depth.confidence[index, y, x], np.float64))
    found = np.concatenate(points)
    return replace(
        scene, points_world=found, colors=np.full((len(found), 3), 128, np.uint8), confidence=np.concatenate(confidence)
    )
