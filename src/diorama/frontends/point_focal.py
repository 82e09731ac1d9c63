"""Focal length of a point map: where its points would be seen, and where they were."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import pixel_grid

# Focal lengths outside this range, in those of a lens of 60 degrees across the longer side, are nonsense (the release's).
_RANGE = (0.5, 3.5)
_ROUNDS = 10
_FEWEST = 100


def focal_of_points(
    points: Float[np.ndarray, "height width 3"], weight: Float[np.ndarray, "height width"]
) -> float | None:
    """Focal length in pixels of the map, the principal point being its middle; None where too little is known.

    The least sum of distances in the picture (Weiszfeld: least squares, weighed anew by 1 / distance), so that a wrong
    part of the map counts little (MASt3R-SfM's way).

    Args:
        points: in the camera.
        weight: of every pixel; those of 0 do not count.
    """
    height, width = weight.shape
    points = np.asarray(points, np.float64)
    known = (weight > 0) & np.isfinite(points).all(-1) & (points[..., 2] > 1e-6)
    if known.sum() < _FEWEST:
        return None
    seen = pixel_grid(width, height)[known] - np.array([width, height]) / 2
    flat = points[known][:, :2] / points[known][:, 2:]
    trust = weight[known].astype(np.float64)
    pull = trust
    focal = 0.0
    for _ in range(_ROUNDS):
        square = float((pull * (flat**2).sum(1)).sum())
        if not square > 0:
            return None
        focal = float((pull * (flat * seen).sum(1)).sum()) / square
        pull = trust / np.maximum(np.linalg.norm(seen - focal * flat, axis=1), 1e-8 * width)
    usual = max(height, width) / (2 * np.tan(np.radians(30)))
    return float(np.clip(focal, _RANGE[0] * usual, _RANGE[1] * usual))
