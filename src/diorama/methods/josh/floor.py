"""Whether everybody stands on one floor, and where it is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.geometry.ground import rotation_to_z_up
from diorama.methods.placed_person import PlacedPerson

# A floor holds this share of all touching foot points within this many metres.
_SHARE, _NEAR = 0.8, 0.05
# Points that tell a floor, at least; the ridge keeps slopes level where people stand in one place (1 per metre).
_FEWEST, _RIDGE = 8, 4.0
# A floor more tilted than this is a slope: the world is not levelled by it (degrees).
_LEVEL = 3.0


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


def levelling(
    floor: Float[np.ndarray, 3], people: Sequence[PlacedPerson]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, 3]]:
    """The rotation and shift that bring the floor z = a x + b y + d to z = 0, and level it unless it is a slope."""
    a, b, d = floor
    if np.degrees(np.arctan(np.hypot(a, b))) > _LEVEL:
        middle = np.concatenate([p.joints_world()[:, 0, :2] for p in people]).mean(0)
        return np.eye(3), np.array([0, 0, -(middle @ floor[:2] + d)])
    return rotation_to_z_up(np.array([-a, -b, 1.0])), np.array([0, 0, -d / np.sqrt(1 + a * a + b * b)])
