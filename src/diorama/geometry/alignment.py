"""Closed-form alignment of point sets (Umeyama 1991, IEEE PAMI 13(4)): the project's only one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from diorama.geometry.arrays import as_float64


class Similarity(NamedTuple):
    """x -> scale * rotation @ x + translation."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, 3]

    def apply(self, points: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
        return self.scale * points @ self.rotation.T + self.translation


def umeyama(
    source: ArrayLike, target: ArrayLike, *, with_scale: bool = True, weights: ArrayLike | None = None
) -> Similarity:
    """The similarity (or rigid transform) that takes `source` (n, 3) to `target` (n, 3) with least squared error.

    With the weighted covariance C = sum w (y - my)(x - mx)^T = U D V^T: R = U S V^T, S = diag(1, 1, sign(det U det V)),
    s = tr(D S) / sum w |x - mx|^2, t = my - s R mx; `weights` (n,) >= 0 are normalised. float64 throughout.

    R is always a rotation, for mirrored sets too. Where the least error leaves R open it is one of the best, and the
    aligned distances are the same for all of them if one set is planar or lies on a line. A source without extent (one
    point, or copies of it) gives s = 1, R = identity; a target without extent gives s = 0, the true optimum.

    Raises:
        ValueError: no points, shapes that differ or are not (n, 3), NaN, weights that are negative or all zero.
    """
    x, y = as_float64(source), as_float64(target)
    if x.ndim != 2 or x.shape[1:] != (3,) or x.shape != y.shape or len(x) == 0:
        raise ValueError(f"point sets must be (n, 3) and of one shape, not empty: {x.shape} against {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("point sets hold NaN or infinity; drop these points first")
    scale, rotation, translation = _fit(x, y, _shares(weights, len(x)), with_scale)
    return Similarity(float(scale), rotation, translation)


def aligned_each(
    source: Float[np.ndarray, "sets n 3"], target: Float[np.ndarray, "sets n 3"], *, with_scale: bool = True
) -> Float[np.ndarray, "sets n 3"]:
    """Every set of `source` after its own `umeyama` to its own target, in one batched decomposition."""
    scale, rotation, translation = _fit(source, target, _shares(None, source.shape[1]), with_scale)
    return scale[:, None, None] * source @ np.swapaxes(rotation, -1, -2) + translation[:, None]


def _shares(weights: ArrayLike | None, count: int) -> Float[np.ndarray, "n 1"]:
    shares = np.ones(count) if weights is None else as_float64(weights)
    if shares.shape != (count,) or not (np.isfinite(shares).all() and (shares >= 0).all() and shares.sum() > 0):
        raise ValueError(f"weights must be {count} numbers >= 0, not all zero")
    return (shares / shares.sum())[:, None]


def _fit(
    source: Float[np.ndarray, "*sets n 3"],
    target: Float[np.ndarray, "*sets n 3"],
    shares: Float[np.ndarray, "n 1"],
    with_scale: bool,
) -> tuple[Float[np.ndarray, "*sets"], Float[np.ndarray, "*sets 3 3"], Float[np.ndarray, "*sets 3"]]:
    mean_source, mean_target = (shares * source).sum(-2), (shares * target).sum(-2)
    x, y = _centred(source, mean_source), _centred(target, mean_target)
    u, d, vt = np.linalg.svd(np.swapaxes(shares * y, -1, -2) @ x)
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    # Both arrays are fresh results of the decomposition.
    u[..., 2] *= sign[..., None]
    d[..., 2] *= sign
    variance = (shares * x**2).sum((-2, -1))
    rotation = u @ vt
    scale = np.where(variance > 0, d.sum(-1) / np.where(variance > 0, variance, 1), 1.0)
    scale = scale if with_scale else np.ones_like(scale)
    return scale, rotation, mean_target - scale[..., None] * (rotation @ mean_source[..., None])[..., 0]


def has_extent(points: Float[np.ndarray, "*sets n 3"]) -> np.bool | Bool[np.ndarray, "*sets"]:
    """Are the points of a set more than one place, beyond the rounding of their coordinates?"""
    spread = np.ptp(points, axis=-2).max(-1)
    return spread > 16 * np.finfo(np.float64).eps * np.abs(points).max((-2, -1))


def _centred(points: Float[np.ndarray, "*sets n 3"], mean: Float[np.ndarray, "*sets 3"]) -> np.ndarray:
    """Offsets from the mean; exactly zero without extent, because the scale of mere rounding is arbitrary and huge."""
    return np.where(np.asarray(has_extent(points))[..., None, None], points - mean[..., None, :], 0.0)
