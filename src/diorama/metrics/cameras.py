"""Camera trajectories against truth."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from diorama.geometry.alignment import align


class TrajectoryError(NamedTuple):
    """Absolute trajectory error in metres, and the scale that the alignment applied to the prediction."""

    rmse: float
    mean: float
    scale: float


def ate(
    predicted: Float[np.ndarray, "frames 4 4"], truth: Float[np.ndarray, "frames 4 4"], *, with_scale: bool = True
) -> TrajectoryError:
    """Distance of camera centres after one alignment of the whole trajectory: sim(3), or se(3) without scale.

    Both are `T_world_camera`; papers differ in the statistic (TRAM the mean, MonST3R the RMSE), so both are given.
    """
    centres, target = predicted[:, :3, 3], truth[:, :3, 3]
    fit = align(centres, target, with_scale=with_scale)
    errors = np.linalg.norm(fit.apply(centres) - target, axis=1)
    return TrajectoryError(float(np.sqrt((errors**2).mean())), float(errors.mean()), fit.scale)


def rotation_error_degrees(
    predicted: Float[np.ndarray, "frames 4 4"], truth: Float[np.ndarray, "frames 4 4"]
) -> Float[np.ndarray, " frames"]:
    """Angle per frame between rotations relative to the first frame, degrees."""
    p, t = (Ts[0, :3, :3].T @ Ts[:, :3, :3] for Ts in (predicted, truth))
    # |P - T| = 2 sqrt(2) sin(angle / 2) stays exact for small angles, where the trace formula does not.
    chord = np.linalg.norm(p - t, axis=(1, 2)) / (2 * np.sqrt(2))
    return np.degrees(2 * np.arcsin(np.clip(chord, 0, 1)))
