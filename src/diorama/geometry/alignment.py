"""Closed-form alignment of point sets (Umeyama 1991, IEEE PAMI 13(4))."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Similarity(NamedTuple):
    """x -> scale * rotation @ x + translation."""

    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, 3]

    def apply(self, points: Float[np.ndarray, "*points 3"]) -> Float[np.ndarray, "*points 3"]:
        return self.scale * points @ self.rotation.T + self.translation


def align(
    source: Float[np.ndarray, "n 3"],
    target: Float[np.ndarray, "n 3"],
    *,
    with_scale: bool = True,
    weights: Float[np.ndarray, " n"] | None = None,
) -> Similarity:
    """The similarity (or rigid transform) that takes `source` to `target` with least weighted squared error.

    Raises:
        ValueError: fewer than one point, or shapes differ.
    """
    if source.shape != target.shape or len(source) == 0:
        raise ValueError(f"point sets differ or are empty: {source.shape} against {target.shape}")
    w = np.ones(len(source)) if weights is None else np.asarray(weights, np.float64)
    w = (w / w.sum())[:, None]
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    mean_source, mean_target = (w * source).sum(0), (w * target).sum(0)
    x, y = source - mean_source, target - mean_target
    u, d, vt = np.linalg.svd((w * y).T @ x)
    sign = np.array([1, 1, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    rotation = (u * sign) @ vt
    variance = (w * x**2).sum()
    scale = float((d * sign).sum() / variance) if with_scale and variance > 0 else 1.0
    return Similarity(scale, rotation, mean_target - scale * rotation @ mean_source)
