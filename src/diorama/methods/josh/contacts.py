"""When people touch the scene, at all frames: what was labelled, and what their motion in the world says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import minimum_filter1d

from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.methods.contact_detection import ContactConfig, contact_probability
from diorama.methods.placed_person import PlacedPerson

# Log odds beyond which one witness cannot outvote the other.
_CERTAIN = 3.0
# How much the odds of a label count: detectors are surer than they are right.
_LABEL = 0.7
# Where people stand on no common floor, the ground is as high as the lowest foot within so many seconds.
_LOCAL = 0.5


def with_contacts(
    person: PlacedPerson,
    labels: Float[np.ndarray, "n sites"] | None,
    centres: Float[np.ndarray, "n 3"],
    times: Float[np.ndarray, " n"],
    floor: Float[np.ndarray, 3] | None,
    config: ContactConfig,
) -> PlacedPerson:
    """Contact probabilities of all sites.

    Args:
        labels: what a front end said; its odds then count by `_LABEL`.
        centres: of the cameras at his rows.
        times: of his rows, seconds.
        floor: z = a x + b y + d as (a, b, d); None: there is no common floor.
    """
    sites, centres = person.sites_world(), centres.copy()
    feet = len(FOOT_SITE_NAMES)
    if floor is not None:
        for points in (sites, centres):
            points[..., 2] -= points[..., :2] @ floor[:2] + floor[2]
    else:
        ground = _lowest_around(sites[:, :feet, 2].min(1), times)
        sites[..., 2] -= ground[:, None]
        centres[..., 2] -= ground
    found = contact_probability(sites, centres, times, config)
    if labels is None:
        return replace(person, contacts=found)
    # Hands and seats rest on furniture of any height, and mostly on nothing: their motion can only contradict a label.
    sites[:, feet:, 2] = 0
    still = contact_probability(sites, centres, times, config)[:, feet:]
    by_feet = 1 / (1 + np.exp(-_odds(found[:, :feet]) - _LABEL * _odds(labels[:, :feet])))
    return replace(person, contacts=np.concatenate([by_feet, labels[:, feet:] * still], 1))


def _odds(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 1e-6, 1 - 1e-6)
    return np.clip(np.log(p / (1 - p)), -_CERTAIN, _CERTAIN)


def _lowest_around(height: Float[np.ndarray, " n"], times: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
    return minimum_filter1d(height, 2 * max(1, round(_LOCAL / step)) + 1, mode="nearest")
