"""A small exact world in which nothing is symmetric, for the tests of exporters and viewer.

Person 3 walks along +X with the left hand raised, seen by a camera on the walker's right. Person 5 stands apart and
turns, seen later and with a gap in the track. The rate is not a whole number, the focal length changes, the principal
point is off-centre. Whoever flips an axis, swaps sides, confuses quaternion orders or units cannot reproduce it.
"""

from __future__ import annotations

import numpy as np
import torch

from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS
from diorama.body.model import BodyModel, LinearPoints, NamedPoints, Skin
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import rigid
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene

FPS, FRAMES, START = 24000 / 1001, 48, 0.25
WIDTH, HEIGHT = 640, 360
SITES = ("left_heel", "right_heel", "left_toe", "right_toe")
SITE_JOINTS = tuple(JOINT_INDEX[name] for name in ("left_ankle", "right_ankle", "left_foot", "right_foot"))
# A body that stands upright on the floor of a Z-up world and faces +X has its left at +Y.
FACING_X = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])

# Metres; not quite left-right symmetric, so that a swap of sides shows even at rest.
REST = np.array(
    [
        *([0, -0.22, 0.03], [0.07, -0.31, 0.02], [-0.075, -0.31, 0.02], [0, -0.11, 0], [0.10, -0.69, 0.02]),
        *([-0.11, -0.69, 0.02], [0, 0.02, 0], [0.09, -1.09, -0.03], [-0.10, -1.09, -0.03], [0, 0.07, 0.03]),
        *([0.11, -1.14, 0.09], [-0.12, -1.14, 0.09], [0, 0.29, -0.01], [0.08, 0.20, -0.01], [-0.08, 0.20, -0.01]),
        *([0, 0.35, 0.04], [0.17, 0.23, -0.01], [-0.17, 0.23, -0.01], [0.43, 0.21, -0.04], [-0.42, 0.21, -0.04]),
        *([0.68, 0.22, -0.04], [-0.66, 0.22, -0.04], [0.77, 0.21, -0.06], [-0.75, 0.21, -0.06]),
    ]
)


def stick_body() -> BodyModel:
    """A body of one octahedron per joint; `betas` is one number that makes it larger by that share."""
    corners = np.concatenate([np.eye(3), -np.eye(3)]) * 0.06
    verts = (REST[:, None] + corners).reshape(-1, 3)
    octahedron = np.array([[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]])
    faces = (octahedron[None] + 6 * np.arange(24)[:, None, None]).reshape(-1, 3)
    return BodyModel(
        name="stick",
        betas_names=("size",),
        default_betas=torch.zeros(1),
        faces=torch.from_numpy(faces),
        verts=_scalable(verts),
        joints=_scalable(REST),
        skin=_skin(len(verts)),
        landmarks=NamedPoints(("head_top",), torch.tensor([15]), _scalable(REST[15:16] + np.array([0, 0.2, 0]))),
        contact_sites=NamedPoints(SITES, torch.tensor(SITE_JOINTS), _scalable(REST[list(SITE_JOINTS)])),
        subset=torch.arange(0, len(verts), 3),
    )


def _scalable(points: np.ndarray) -> LinearPoints:
    points = torch.from_numpy(np.asarray(points, np.float32))
    return LinearPoints(points, points[None].clone())


def _skin(count: int) -> Skin:
    """Five influences per vertex, the fifth too small to matter: an exporter keeps four and normalises."""
    owner = np.repeat(np.arange(24), count // 24)
    joints = np.stack([owner, np.maximum(np.array(JOINT_PARENTS)[owner], 0), (owner + 5) % 24, owner * 0, owner * 0], 1)
    weights = np.tile(np.array([0.8, 0.2 - 1e-7, 0, 0, 1e-7], np.float32), (count, 1))
    return Skin(torch.from_numpy(joints), torch.from_numpy(weights))


def asymmetric_world(body: BodyModel | None = None) -> Reconstruction:
    """The world; every call makes the same one. The people have the stick body unless told otherwise."""
    times = START + np.arange(FRAMES) / FPS
    return Reconstruction(
        times=times,
        frame_index=np.arange(FRAMES) + 6,
        duplicate=np.arange(FRAMES) == 20,
        cameras=_cameras(),
        people=(_walker(times, body), _bystander(times, body)),
        scene=_scene(),
        up="estimated",
        quality={"foot_slide_mm": 0.0, "camera": "translating"},
    )


def _cameras() -> Cameras:
    """On the walker's right (-Y side), looking along +Y, drifting and panning, zooming a little."""
    share = np.linspace(0, 1, FRAMES)
    looking_along_y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    pan = matrix_of(np.stack([0.03 * share, 0.1 - 0.2 * share, 0.05 * np.sin(5 * share)], -1))
    centres = np.stack([0.5 + 1.0 * share, -6 + 0 * share, 1.5 + 0.2 * share], -1)
    K = np.repeat(np.array([[500.0, 0, 322], [0, 498, 176], [0, 0, 1]])[None], FRAMES, 0)
    K[:, [0, 1], [0, 1]] *= (1 + 0.02 * share)[:, None]
    return Cameras(
        K=K,
        T_world_camera=rigid(looking_along_y @ pan, centres),
        distortion=np.tile([0.05, -0.02], (FRAMES, 1)),
        registered=np.arange(FRAMES) != 7,
        width=WIDTH,
        height=HEIGHT,
        focal_source="recovered",
    )


def _walker(times: np.ndarray, body: BodyModel | None) -> Person:
    frames = np.arange(36)
    step = np.sin(2 * np.pi * (times[frames] - START))
    pose = np.zeros((len(frames), 23, 3))
    pose[:, JOINT_INDEX["left_shoulder"] - 1] = [0, 0, 1.2]
    pose[:, JOINT_INDEX["left_elbow"] - 1, 2] = 0.2 + 0.1 * step
    pose[:, JOINT_INDEX["left_hip"] - 1, 0] = -0.5 * step
    pose[:, JOINT_INDEX["right_hip"] - 1, 0] = 0.5 * step
    pose[:, JOINT_INDEX["right_knee"] - 1, 0] = 0.4 + 0.4 * step
    orient = rotvec_of(FACING_X @ matrix_of(np.stack([0.05 * step, 0.1 * step, 0.02 * step], -1)))
    pelvis = np.stack([-1 + 1.3 * (times[frames] - START), 0.2 + 0 * step, 0.93 + 0.02 * step], -1)
    return _person(3, frames, body, 0.05, orient, pose, pelvis)


def _bystander(times: np.ndarray, body: BodyModel | None) -> Person:
    """Turns a full circle and more about the vertical, so that rotation vectors wrap; absent for frames 20-37."""
    frames = np.r_[8:20, 38:FRAMES]
    turn = matrix_of(np.stack([0 * frames, 0 * frames, 5.0 * (times[frames] - START)], -1).astype(float))
    pose = np.zeros((len(frames), 23, 3))
    pose[:, JOINT_INDEX["right_knee"] - 1, 0] = 0.9
    pose[:, JOINT_INDEX["right_wrist"] - 1] = [0.1, 0.2, 0.3]
    pelvis = np.stack([1.5 + 0 * frames, 1.0 + 0 * frames, 0.80 + 0 * frames], -1)
    return _person(5, frames, body, -0.1, rotvec_of(turn @ FACING_X), pose, pelvis)


def _person(id: int, frames: np.ndarray, body: BodyModel | None, size: float, orient, pose, pelvis) -> Person:
    body = body or stick_body()
    betas = np.array([size]) if body.name == "stick" else body.default_betas.double().numpy()
    shaped = body.to(dtype=torch.float64).shaped(torch.from_numpy(betas.astype(np.float32)).double())
    transl = pelvis - shaped.joints_rest[0].numpy()
    posed = shaped.posed(torch.from_numpy(orient), torch.from_numpy(pose), torch.from_numpy(transl))
    count = len(frames)
    contacts = np.stack([(frames // 6 + site) % 2 for site in range(len(SITES))], -1).astype(float)
    return Person(
        id=id,
        frames=frames,
        body=body.name,
        gender="neutral",
        betas=betas,
        global_orient=orient,
        body_pose=pose,
        transl=transl,
        joints_world=posed.joints.numpy(),
        contacts=contacts,
        contact_sites=SITES,
        observed=frames % 10 != 3,
        confidence=np.full(count, 0.9),
    )


def _scene() -> Scene:
    """A floor of grey points, and a red post that stands ahead of the walker on the left."""
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(-2, 4, 0.1), np.arange(-3, 3, 0.1)))
    floor = np.stack([x, y, 0 * x], -1)
    post = np.stack([np.full(60, 3.0), np.full(60, 2.0), np.linspace(0, 2, 60)], -1)
    grey = np.full_like(floor, 120) + np.arange(len(floor))[:, None] % 100
    colors = np.concatenate([grey, np.tile([230.0, 20, 10], (60, 1))]).astype(np.uint8)
    points = np.concatenate([floor, post])
    return Scene(points, colors, np.ones(len(points)))
