"""Whether everybody stands on one floor, and where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.methods.placed_person import PlacedPerson

# A floor holds this share of all touching foot points within this many metres.
_SHARE, _NEAR = 0.8, 0.05
# Points that tell a floor, at least; the ridge keeps slopes level where people stand in one place (1 per metre).
_FEWEST, _RIDGE = 8, 4.0


def common_floor(people: Sequence[PlacedPerson]) -> Float[np.ndarray, 3] | None:
    """The plane z = a x + b y + d, as (a, b, d), under all feet that touch; None where there is none (stairs)."""
    parts = [np.zeros((0, 3))]
    for person in people:
        feet = person.sites_world()[:, : len(FOOT_SITE_NAMES)]
        parts.append(feet[person.contacts[:, : len(FOOT_SITE_NAMES)] > 0.5])
    points = np.concatenate(parts)
    if len(points) < _FEWEST:
        return None
    middle = points[:, :2].mean(0)
    design = np.concatenate([points[:, :2] - middle, np.ones((len(points), 1))], 1)
    weight, fit = np.ones(len(points)), np.zeros(3)
    for _ in range(20):
        normal = (design * weight[:, None]).T @ design + np.diag([_RIDGE, _RIDGE, 1e-9])
        fit = np.linalg.solve(normal, (design * weight[:, None]).T @ points[:, 2])
        away = np.abs(design @ fit - points[:, 2])
        weight = 1 / (1 + (away / 0.03) ** 2) ** 2
        if weight.sum() < 1e-6:
            return None
    if (np.abs(design @ fit - points[:, 2]) < _NEAR).mean() < _SHARE:
        return None
    return np.array([fit[0], fit[1], fit[2] - middle @ fit[:2]])
