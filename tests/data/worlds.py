"""A tiny truth in a data set's own terms, and the laws that every reader has to keep."""

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from plain_smpl import plain_smpl


def tiny_motion(frames, seed=0, place=(0.0, 0.0, 0.0), joints=24):
    """Random SMPL parameters near a place."""
    rng = np.random.default_rng(seed)
    return {
        "orient": rng.normal(size=(frames, 3)),
        "pose": rng.normal(size=(frames, joints - 1, 3)) * 0.3,
        "transl": np.array(place) + rng.normal(size=(frames, 3)) * 0.3,
        "betas": rng.normal(size=10),
    }


def tiny_cameras(frames, up, seed=0, distance=4.0):
    """World-to-camera matrices of cameras held almost level some metres off the origin, for a world with `up`."""
    rng = np.random.default_rng(seed + 100)
    up = np.array(up, float)
    side = np.roll(up, 1)
    matrices = []
    for frame in range(frames):
        lean = Rotation.from_rotvec(rng.normal(size=3) * 0.03)
        forward = lean.apply(np.cross(side, up))
        down = lean.apply(-up)
        rotation = np.stack([np.cross(down, forward), down, forward])
        centre = -distance * forward + 0.1 * frame * side + 1.5 * up
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = rotation, -rotation @ centre
        matrices.append(T)
    return np.array(matrices)


def dataset_pixels(points, T_camera_dataset, K):
    """Where the data set's own matrices show points, in its own pixels."""
    camera = points @ T_camera_dataset[:3, :3].T + T_camera_dataset[:3, 3]
    seen = camera @ K.T
    return seen[:, :2] / seen[:, 2:]


def check_projection(cameras, T_world_dataset, T_camera_dataset, K, points):
    """Our cameras show every point half a pixel right and below of the data set's (pixel centres at half integers)."""
    for row, T in enumerate(T_camera_dataset):
        ours = project(apply(invert(cameras.T_world_camera[row]), apply(T_world_dataset, points)), cameras.K[row], None)
        np.testing.assert_allclose(ours, dataset_pixels(points, T, K) + 0.5, atol=1e-6)


def check_up(T_world_dataset, up):
    """Gravity of the data set points along -Z, and nothing is scaled or mirrored."""
    np.testing.assert_allclose(T_world_dataset[:3, :3] @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(T_world_dataset[:3, :3] @ T_world_dataset[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(T_world_dataset[:3, :3]) > 0


def check_person(person, motion, arrays, T_world_dataset):
    """Joints are those of the data set's own SMPL parameters, moved; and the moved parameters give the same joints."""
    for row in range(len(person.frames)):
        pose = [motion[name][row] for name in ("orient", "pose", "transl")]
        expected, _ = plain_smpl(arrays, motion["betas"], *pose)
        np.testing.assert_allclose(person.joints_world[row], apply(T_world_dataset, expected), atol=2e-5)
        moved = (person.global_orient[row], person.body_pose[row], person.transl[row])
        again, _ = plain_smpl(arrays, motion["betas"], *moved)
        np.testing.assert_allclose(person.joints_world[row], again, atol=2e-5)


def write_picture(path, width=64, height=48, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), level % 256, np.uint8))
    return path
