"""Human motion against truth: joints (frames, joints, 3) in metres in, millimetres or percent out.

Definitions are those of the public evaluation code of WHAM and of its successors; frames where the truth is invalid
are to be dropped before (so a segment may span a gap, as there).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.geometry.alignment import Similarity, align

Joints = Float[np.ndarray, "frames joints 3"]
Path = Float[np.ndarray, "frames 3"]

HIPS = (1, 2)


def joint_errors(predicted: Joints, truth: Joints) -> Float[np.ndarray, " frames"]:
    """Mean distance over the joints of each frame, metres."""
    return np.linalg.norm(predicted - truth, axis=-1).mean(1)


def mpjpe(predicted: Joints, truth: Joints, *, root: tuple[int, ...] = HIPS) -> float:
    """Mean joint error in mm after the mean of the `root` joints (the hips in WHAM) is subtracted from both."""
    indices = list(root)
    predicted = predicted - predicted[:, indices].mean(1, keepdims=True)
    truth = truth - truth[:, indices].mean(1, keepdims=True)
    return 1000 * float(joint_errors(predicted, truth).mean())


def pa_mpjpe(predicted: Joints, truth: Joints) -> float:
    """Mean joint error in mm after a similarity alignment of every frame by itself."""
    aligned = np.stack([align(p, t).apply(p) for p, t in zip(predicted, truth, strict=True)])
    return 1000 * float(joint_errors(aligned, truth).mean())


def wa_mpjpe(predicted: Joints, truth: Joints, *, chunk: int = 100, with_scale: bool = True) -> float:
    """World-aligned error in mm: each segment of `chunk` frames (WHAM: the short tail is kept) is aligned with all its
    joints by a similarity."""
    return _chunked(predicted, truth, chunk, with_scale, anchor_frames=None)


def w_mpjpe(predicted: Joints, truth: Joints, *, chunk: int = 100, with_scale: bool = True) -> float:
    """World error in mm: each segment of `chunk` frames is aligned with its first two frames only (with scale too)."""
    return _chunked(predicted, truth, chunk, with_scale, anchor_frames=2)


def _chunked(predicted: Joints, truth: Joints, chunk: int, with_scale: bool, anchor_frames: int | None) -> float:
    errors = []
    for start in range(0, len(truth), chunk):
        p, t = predicted[start : start + chunk], truth[start : start + chunk]
        anchor = slice(0, anchor_frames)
        fit = align(p[anchor].reshape(-1, 3), t[anchor].reshape(-1, 3), with_scale=with_scale)
        errors.append(joint_errors(fit.apply(p), t))
    return 1000 * float(np.concatenate(errors).mean())


def path_length(path: Path) -> float:
    """Length of a polyline, metres."""
    return float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())


def rte_percent(predicted: Path, truth: Path) -> float:
    """Root translation error: rigid alignment of the whole path (no scale), mean distance over the truth's length, %.

    NaN if the truth does not move.
    """
    return _path_error(predicted, truth, align(predicted, truth, with_scale=False))


def root_error_percent(predicted: Path, truth: Path) -> float:
    """As `rte_percent`, after a similarity alignment: what remains when size is not asked for."""
    return _path_error(predicted, truth, align(predicted, truth))


def _path_error(predicted: Path, truth: Path, fit: Similarity) -> float:
    length = path_length(truth)
    error = np.linalg.norm(fit.apply(predicted) - truth, axis=1).mean()
    return 100 * float(error) / length if length > 0 else float("nan")


def jitter(joints: Joints, fps: float) -> float:
    """Mean length of the third difference in units of 10 m/s^3, the published unit (WHAM's code divides by 10)."""
    if len(joints) < 4:
        return float("nan")
    third = np.diff(joints, n=3, axis=0) * fps**3
    return float(np.linalg.norm(third, axis=-1).mean()) / 10


def acceleration_error(predicted: Joints, truth: Joints, fps: float) -> float:
    """Mean length of the difference of second differences, m/s^2 (WHAM subtracts the pelvis before; callers choose)."""
    if len(truth) < 3:
        return float("nan")
    return float(np.linalg.norm(np.diff(predicted - truth, n=2, axis=0), axis=-1).mean()) * fps**2


def foot_sliding(predicted: Joints, truth: Joints, *, threshold: float = 0.01) -> float:
    """Mean step in mm of predicted foot points (four vertices in the papers) over the (frame, point) pairs at which the
    true point moves less than `threshold` metres per frame: WHAM's FS. NaN if there is no such pair."""
    still = np.linalg.norm(np.diff(truth, axis=0), axis=-1) < threshold
    steps = np.linalg.norm(np.diff(predicted, axis=0), axis=-1)
    return 1000 * float(steps[still].mean()) if still.any() else float("nan")
