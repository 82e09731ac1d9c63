"""What every format has to give back of the asymmetric world."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from diorama.body.joints import JOINT_PARENTS

JOINTS_M, ROTATIONS, SECONDS = 1e-5, 1e-5, 1e-6


def z_up(points):
    """From a +Y up world to ours (+Z up), without the exporters' own matrix."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.stack([x, -z, y], -1)


def angle_between(found, expected):
    """Largest angle between two stacks of rotation matrices, radians."""
    difference = np.swapaxes(np.asarray(expected), -1, -2) @ np.asarray(found)
    return Rotation.from_matrix(difference.reshape(-1, 3, 3)).magnitude().max()


def world_rotations(person):
    """Rotation of every joint in the world, by plain recursion with scipy, (frames, 24, 3, 3)."""
    pose = np.concatenate([person.global_orient[:, None], person.body_pose], 1)
    local = Rotation.from_rotvec(pose.reshape(-1, 3)).as_matrix().reshape(*pose.shape, 3)
    turns = [local[:, 0]]
    for joint, parent in list(enumerate(JOINT_PARENTS))[1:]:
        turns.append(turns[parent] @ local[:, joint])
    return np.stack(turns, 1)
