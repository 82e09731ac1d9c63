"""People's sizes: told ones, and for bodies that do not know theirs what the maps say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from diorama.body.anny import FREE_BODY_NAME
from diorama.methods.placed_person import resized_body
from diorama.methods.share.people import InFront
from diorama.methods.share.size_config import SizeConfig

# Statures that the free body can have, metres.
_SMALLEST, _TALLEST = 0.75, 2.15


def told_size(person: InFront, config: SizeConfig) -> InFront:
    """The person at the height that was told."""
    stature = config.told.get(person.id)
    if stature is None:
        return person
    return resized(person, stature / float(person.shaped.model.stature(person.shaped.betas)))


def measured_size(person: InFront, disagreement: float, blind: bool, config: SizeConfig) -> InFront:
    """The person as large as keypoints and maps say, as far as they are better than the prior."""
    if person.id in config.told or not np.isfinite(disagreement):
        return person
    prior = config.prior if blind else config.believed
    trust = prior**2 / (prior**2 + config.measured**2)
    # Children are no outliers of a prior of adults: somebody far off is as he is seen.
    trust = 1.0 if abs(disagreement) > 2.5 * prior else trust
    return resized(person, float(np.exp(-trust * disagreement)))


def resized(person: InFront, ratio: float) -> InFront:
    """Another size, and as much farther away, so that he covers the same pixels; SMPL's bodies stay as they are."""
    model = person.shaped.model
    if model.name != FREE_BODY_NAME:
        return person
    before = float(model.stature(person.shaped.betas))
    stature = float(np.clip(before * ratio, _SMALLEST, _TALLEST))
    body = resized_body(person.body, stature)
    shaped = model.shaped(torch.from_numpy(body.betas))
    ratio = float(shaped.stature) / before
    seen = replace(person.seen, pelvis=person.seen.pelvis * ratio)
    return InFront(body, shaped, person.pelvis * ratio, seen)
