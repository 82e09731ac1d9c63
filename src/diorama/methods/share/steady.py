"""Feet that touch stay where they are: JOSH's refinement of all frames, around the places that SHARE found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from diorama.body.detected import as_detected
from diorama.geometry.transforms import move_cameras
from diorama.methods.josh.floor import common_floor, levelling
from diorama.methods.josh.key_solve import KeyConfig
from diorama.methods.josh.method import JoshConfig, observed_pose, people_evidence, refined_people
from diorama.methods.josh.person_terms import PriorConfig
from diorama.methods.placed_person import PlacedPerson
from diorama.methods.placing_trusted import label_contacts
from diorama.observations import Observations


def _close() -> JoshConfig:
    return JoshConfig(keys=KeyConfig(prior=PriorConfig(depth=0.03, depth_bias=0.003, across=0.03)))


@dataclass(frozen=True)
class SteadyConfig:
    """`josh` has the terms of all frames; its prior holds people's distances to a fraction of a percent on the whole, since
    the maps have told them."""

    josh: JoshConfig = field(default_factory=_close)


def steadied(
    people: list[PlacedPerson], T: Float[np.ndarray, "frames 4 4"], observations: Observations, config: SteadyConfig
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"]]:
    """People with poses and places that fit keypoints, contacts and the floor, and the cameras; contacts are found again on
    the way, and the floor where feet rest becomes z = 0.

    Args:
        people: in an upright world, feet on z = 0 where there is a floor.
        T: cameras of all rows.
        observations: with keypoints and labelled contacts, if there are any.
        config: see there.
    """
    if not people:
        return people, T
    joint_sets = {track.id: track.joint_set for track in observations.tracks.people} if observations.tracks else {}
    seen = [replace(p, model=as_detected(p.model, joint_sets.get(p.id, ""))) for p in people]
    evidence = people_evidence(seen, T, observations, config.josh)
    observed = {person.id: observed_pose(person, T) for person in seen}
    labels = {person.id: label_contacts(person, observations) for person in seen}
    found, floor = refined_people(
        seen, labels, T, observations, evidence, observed, None, None, True, common_floor(people), config.josh
    )
    found = [replace(after, model=before.model) for before, after in zip(people, found, strict=True)]
    if floor is None:
        return found, T
    level, lift = levelling(floor, found)
    return [person.moved(level, lift) for person in found], move_cameras(T, 1.0, level, lift)
