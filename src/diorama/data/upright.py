"""Which way is up in a data set's world, and the turn that takes it to +Z."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from diorama.geometry.rotations import rotation_between
from diorama.geometry.transforms import rigid

# Farther than this from an axis, an estimated direction is not that axis.
_NEAR_AXIS_DEGREES = 35.0


def upright(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "4 4"]:
    """T_world_dataset of a data set whose world has gravity along -`up`: the smallest turn that takes it to +Z.

    (0, 1, 0) gives (x, y, z) -> (x, -z, y).
    """
    turn = rotation_between(torch.tensor(up, dtype=torch.float64), torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    return rigid(turn.numpy(), np.zeros(3))


def up_of_cameras(T_dataset_camera: Float[np.ndarray, "frames 4 4"]) -> Float[np.ndarray, " 3"]:
    """The direction that most cameras hold upwards (median of -Y, robust to some that are held sideways)."""
    up = -np.median(T_dataset_camera[:, :3, 1], axis=0)
    return up / max(np.linalg.norm(up), 1e-9)


def nearest_axis(up: Float[np.ndarray, " 3"]) -> Float[np.ndarray, " 3"]:
    """The signed axis next to a direction, or the direction itself where none is near: surveyed worlds have gravity
    along an axis, and cameras are held level only on average."""
    axis = np.zeros(3)
    axis[np.abs(up).argmax()] = np.sign(up[np.abs(up).argmax()])
    return axis if up @ axis > np.cos(np.radians(_NEAR_AXIS_DEGREES)) else up
