"""Planes: robust fits, and the rotation that makes a direction vertical."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from diorama.geometry.rotations import rotation_between


def fit_plane(
    points: Float[np.ndarray, "n 3"], normal_prior: Float[np.ndarray, 3], *, sigma: float, iterations: int = 30
) -> tuple[Float[np.ndarray, 3], float]:
    """Plane n.x = d of points by iterated re-weighting (Geman-McClure of scale `sigma`), n on the side of the prior.

    The first estimate has the prior's normal and the median height along it.
    """
    normal = normal_prior / np.linalg.norm(normal_prior)
    offset = float(np.median(points @ normal))
    for _ in range(iterations):
        residual = points @ normal - offset
        weight = 1 / (1 + (residual / sigma) ** 2) ** 2
        centre = (weight[:, None] * points).sum(0) / weight.sum()
        centred = points - centre
        values, vectors = np.linalg.eigh((weight[:, None] * centred).T @ centred)
        if values[1] < 1e-12:  # points on a line do not give a plane
            return normal, float(centre @ normal)
        normal = vectors[:, 0] * np.sign(vectors[:, 0] @ normal_prior)
        offset = float(centre @ normal)
    return normal, offset


def rotation_to_z_up(up: Float[np.ndarray, 3]) -> Float[np.ndarray, "3 3"]:
    """The smallest rotation that takes `up` to +Z."""
    up_tensor = torch.from_numpy(np.asarray(up, np.float64))
    return rotation_between(up_tensor, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)).numpy()
