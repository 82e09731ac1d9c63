"""What every metric asks of its arrays: numpy or torch, the stated axes, something in them, no NaN.

The arguments of metrics are `ArrayLike` with their shape in the docstring, because tensors, float32 and wrong shapes come
in here from outside and are answered by a `ValueError` that says what to do. All arithmetic is float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from diorama.geometry.arrays import as_float64

Pelvis = int | Sequence[int] | None


def checked(values: ArrayLike, name: str, axes: str) -> np.ndarray:
    """`values` as float64 with the `axes` ("frames joints 3": two of any length >= 1, then one of 3), all finite."""
    array, wanted = as_float64(values), axes.split()
    fits = len(wanted) == array.ndim and all(
        size == int(axis) if axis.isdigit() else size > 0 for axis, size in zip(wanted, array.shape, strict=True)
    )
    if not fits:
        raise ValueError(f"{name} has shape {array.shape}, expected ({', '.join(wanted)}) with at least one of each")
    if not np.isfinite(array).all():
        row = int(np.argmin(np.isfinite(array).reshape(len(array), -1).all(1)))
        raise ValueError(f"{name} is NaN or infinite, first in {wanted[0]} {row}; drop invalid {wanted[0]} first")
    return array


def checked_pair(pred: ArrayLike, target: ArrayLike, axes: str) -> tuple[np.ndarray, np.ndarray]:
    """Prediction and truth, both `checked`, of one shape."""
    p, t = checked(pred, "pred", axes), checked(target, "target", axes)
    if "verts" in axes and p.shape[1] != t.shape[1]:
        raise ValueError(
            f"vertices of different topologies: {p.shape[1]} against {t.shape[1]}; convert one body model to the other"
        )
    if p.shape != t.shape:
        raise ValueError(f"pred and target must have one shape: {p.shape} against {t.shape}")
    return p, t


def checked_paths(pred: ArrayLike, target: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Paths (frames, 3), or joints (frames, joints, 3) whose joint 0, the pelvis, is the path."""
    p, t = (x[:, 0] if x.ndim == 3 and x.shape[1] else x for x in (as_float64(pred), as_float64(target)))
    return checked_pair(p, t, "frames 3")


def checked_rate(fps: float) -> float:
    """A frame rate in Hz, finite and above zero."""
    if not (np.isfinite(fps) and fps > 0):
        raise ValueError(f"fps must be a positive number, not {fps}")
    return float(fps)


def about_pelvis(points: np.ndarray, joints: np.ndarray, pelvis: Pelvis) -> np.ndarray:
    """`points` (frames, n, 3) minus the mean of the rows `pelvis` of `joints` (frames, joints, 3); None: unchanged."""
    if pelvis is None:
        return points
    rows = [pelvis] if isinstance(pelvis, int) else list(pelvis)
    if not rows or not all(-joints.shape[1] <= row < joints.shape[1] for row in rows):
        raise ValueError(f"pelvis joints {pelvis} are not among {joints.shape[1]} joints")
    return points - joints[:, rows].mean(1, keepdims=True)
