"""Rigid and similarity transforms as 4x4 matrices (numpy); names read `T_target_source`, `Ts_` for stacks."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.geometry.rotations import matrix_of, rotvec_of


def rigid(
    rotation: Float[np.ndarray, "*batch 3 3"], translation: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 4 4"]:
    """4x4 transform that maps x to `rotation @ x + translation`."""
    rotation, translation = np.asarray(rotation, np.float64), np.asarray(translation, np.float64)
    shape = np.broadcast_shapes(rotation.shape[:-2], translation.shape[:-1])
    out = np.zeros((*shape, 4, 4))
    out[..., :3, :3], out[..., :3, 3], out[..., 3, 3] = rotation, translation, 1
    return out


def invert(T: Float[np.ndarray, "*batch 4 4"]) -> Float[np.ndarray, "*batch 4 4"]:
    """Inverse of rigid transforms."""
    Rt = np.swapaxes(T[..., :3, :3], -1, -2)
    return rigid(Rt, -(Rt @ T[..., :3, 3:])[..., 0])


def apply(T: Float[np.ndarray, "*batch 4 4"], points: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*out 3"]:
    """Transformed points; leading axes of `T` broadcast against leading axes of `points`.

    `T` (4,4) takes points of any shape (...,3); `T` (F,4,4) takes (F,3) or (F,P,3).
    """
    extra = points.ndim - 1 - (T.ndim - 2)
    R, t = T[..., :3, :3], T[..., :3, 3]
    if T.ndim == 2:
        return points @ R.T + t
    R, t = R.reshape(*R.shape[:-2], *(1,) * extra, 3, 3), t.reshape(*t.shape[:-1], *(1,) * extra, 3)
    return (R @ points[..., None])[..., 0] + t


def similarity(
    scale: float, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, 3]
) -> Float[np.ndarray, "4 4"]:
    """4x4 similarity that maps x to `scale * rotation @ x + translation`."""
    out = rigid(rotation, translation)
    out[:3, :3] *= scale
    return out


def move_cameras(
    T_world_camera: Float[np.ndarray, "frames 4 4"],
    scale: float,
    rotation: Float[np.ndarray, "3 3"],
    translation: Float[np.ndarray, 3],
) -> Float[np.ndarray, "frames 4 4"]:
    """Camera poses after the world is moved by the similarity x -> scale * rotation @ x + translation."""
    centres = scale * T_world_camera[:, :3, 3] @ rotation.T + translation
    return rigid(rotation @ T_world_camera[:, :3, :3], centres)


def interpolate_rigid(
    at: Float[np.ndarray, " m"], times: Float[np.ndarray, " n"], Ts: Float[np.ndarray, "n 4 4"]
) -> Float[np.ndarray, "m 4 4"]:
    """Poses at the times `at` (clamped to the ends): linear centres, geodesic rotations."""
    right = np.clip(np.searchsorted(times, at, side="right"), 1, max(len(times) - 1, 1))
    if len(times) == 1:
        return np.repeat(Ts, len(at), 0)
    left = right - 1
    span = np.maximum(times[right] - times[left], 1e-12)
    u = np.clip((at - times[left]) / span, 0, 1)[:, None]
    step = rotvec_of(np.swapaxes(Ts[left, :3, :3], -1, -2) @ Ts[right, :3, :3])
    rotation = Ts[left, :3, :3] @ matrix_of(u * step)
    return rigid(rotation, (1 - u) * Ts[left, :3, 3] + u * Ts[right, :3, 3])
