"""Smooth curves through time: cubic B-splines that never overshoot, and smooth upper bounds. All are twice
continuously differentiable, so accelerations have no jumps where one action ends and the next begins."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.interpolate import BSpline
from scipy.ndimage import maximum_filter1d


def glide(u: Float[np.ndarray, " n"], points: Float[np.ndarray, "points c"]) -> Float[np.ndarray, "n c"]:
    """From the first point (u <= 0) to the last (u >= 1), drawn towards those between, at rest at both ends.

    A uniform cubic B-spline whose first and last control points are repeated: value exact, velocity and acceleration
    zero at the ends, always inside the points' convex hull.
    """
    controls = np.concatenate([np.repeat(points[:1], 2, 0), points, np.repeat(points[-1:], 2, 0)])
    pieces = len(controls) - 3
    knots = np.arange(-3, pieces + 4, dtype=np.float64)
    return BSpline(knots, controls, 3)(np.clip(u, 0, 1) * pieces)


def eased(u: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """From 0 to 1 with the least jerk: 10 u^3 - 15 u^4 + 6 u^5 (Flash and Hogan 1985); constant outside 0..1."""
    u = np.clip(u, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u * u)


def keyed(
    times: Float[np.ndarray, " n"], key_times: Float[np.ndarray, " keys"], keys: Float[np.ndarray, "keys c"]
) -> Float[np.ndarray, "n c"]:
    """The cubic B-spline that the keys control: near every key at its time (Schoenberg's approximation).

    It reproduces constants and, with even spacing, straight lines; a key acts only as far as two keys away, so four equal
    keys in a row are held exactly. `key_times` rise strictly. Before the first and after the last key it is constant.
    """
    first, last = key_times[:1], key_times[-1:]
    knots = np.concatenate([first - np.arange(5.0, 0, -1), key_times, last + np.arange(1.0, 6.0)])
    controls = np.concatenate([np.repeat(keys[:1], 3, 0), keys, np.repeat(keys[-1:], 3, 0)])
    return BSpline(knots, controls, 3)(np.clip(times, first - 2, last + 2))


def smooth_above(values: Float[np.ndarray, " n"], reach: int) -> Float[np.ndarray, " n"]:
    """A smooth curve that is nowhere below `values`: their maximum over `reach` samples to both sides, then averaged
    with a bell (three boxes) of at most the same reach, which cannot fall below what it averages."""
    box = max(2 * (reach // 3), 0) + 1
    highest = maximum_filter1d(values, 2 * reach + 1, mode="nearest")
    padded = np.pad(highest, 3 * (box // 2), mode="edge")
    for _ in range(3):
        padded = np.convolve(padded, np.full(box, 1 / box), mode="valid")
    return padded
