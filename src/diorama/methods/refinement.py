"""One joint refinement: scale of the camera path, the floor, everybody's translation and pose, with feet on the ground."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.contact_terms import FLOOR, floor_contact_term, no_sinking_term, static_contact_term
from diorama.body.image_terms import direction_term, keypoint_term
from diorama.body.motion_terms import (
    PosePrior,
    Smoothness,
    joint_limit_term,
    pelvis_smoothness_term,
    pose_prior_term,
    rotation_smoothness_term,
)
from diorama.body.unknown_person import UnknownPerson
from diorama.frontends.body_evidence import LIMBS, Evidence
from diorama.methods.placed_person import PlacedPerson
from diorama.solver import Block, GemanMcClure, Linearized, LMConfig, Term, Values, Variable, solve

logger = logging.getLogger(__name__)
FEET = [f"contact/{name}" for name in FOOT_SITE_NAMES]
FOOT_COLUMNS = [CONTACT_SITE_NAMES.index(name) for name in FOOT_SITE_NAMES]


@dataclass(frozen=True)
class RefinementConfig:
    """Standard deviations in metres (`height`, `slide` per frame, `sinking`), of the floor's slopes and height where a
    scene shows it and where not; acceleration of the pelvis in m/s^2."""

    height_sigma: float = 0.008
    slide_sigma: float = 0.002
    sinking_sigma: float = 0.01
    slope_sigma: float = 0.01
    slope_sigma_without_scene: float = 0.06
    floor_sigma: float = 0.02
    pelvis_sigma: float = 3.0
    prior: PosePrior = field(default_factory=PosePrior)
    prior_weight: float = 0.3
    smoothness: Smoothness = field(default_factory=Smoothness)
    iterations: int = 9


@dataclass(frozen=True)
class World:
    """What all people share: floor slopes and height."""

    floor: Float[np.ndarray, 3]


def refine(
    people: Sequence[PlacedPerson], evidence: Sequence[Evidence], world: World, config: RefinementConfig, *,
    scene: bool, shared_is_free: bool,
) -> tuple[list[PlacedPerson], World]:  # fmt: skip
    """Refine one stretch of video; the cameras are known, `evidence[i].cameras.centre` in metres.

    With `shared_is_free` false the floor stays (later stretches of a long video).
    """
    unknowns, values, terms, variables = [], {}, [], []
    slot = 0
    for person, seen in zip(people, evidence, strict=True):
        unknown = UnknownPerson.of(person.model, person.id, len(person.frames), slot, surface_step=0)
        unknown.free_betas = torch.zeros(person.betas.shape[1], dtype=torch.float64)
        slot += len(person.frames) + 8
        values |= {unknown.transl: person.transl, unknown.rotations: person.rotations, unknown.betas: person.betas}
        variables += unknown.variables()
        terms += person_terms(unknown, seen, torch.from_numpy(person.contacts[:, FOOT_COLUMNS]), config)
        unknowns.append(unknown)
    values[FLOOR] = torch.from_numpy(world.floor[None].astype(np.float64))
    moving = torch.full((3,), float(shared_is_free), dtype=torch.float64)
    variables.append(Variable(FLOOR, free=moving))
    terms += _world_terms(config, scene)
    solution = solve(variables, values, terms, LMConfig(config.iterations, tolerance=2e-4))
    logger.debug("refinement: %s in %d iterations", solution.costs, solution.iterations)
    out = [
        replace(person, transl=solution.values[u.transl], rotations=solution.values[u.rotations])
        for person, u in zip(people, unknowns, strict=True)
    ]
    return out, World(solution.values[FLOOR][0].numpy())


def person_terms(
    person: UnknownPerson,
    seen: Evidence,
    contact: Float[Tensor, "frames sites"],
    config: RefinementConfig,
) -> list[Term]:
    """All terms of one person in the world."""
    return [
        keypoint_term(person, seen.cameras, seen.names, seen.seen, seen.sigma_px, GemanMcClure(4.0)),
        direction_term(person, LIMBS, seen.directions_world, seen.direction_sigma),
        pose_prior_term(person, config.prior, config.prior_weight),
        joint_limit_term(person),
        rotation_smoothness_term(person, seen.times, config.smoothness),
        pelvis_smoothness_term(person, seen.times, config.pelvis_sigma),
        floor_contact_term(person, FEET, contact, config.height_sigma),
        static_contact_term(person, FEET, contact[:-1] * contact[1:], config.slide_sigma),
        no_sinking_term(person, FEET, config.sinking_sigma),
    ]


def _world_terms(config: RefinementConfig, scene: bool) -> list[Term]:
    """The floor stays near its first estimate (plane z = 0)."""
    slope = config.slope_sigma if scene else config.slope_sigma_without_scene
    return [_near_zero(FLOOR, torch.tensor([slope, slope, config.floor_sigma], dtype=torch.float64))]


def _near_zero(name: str, sigma: Float[Tensor, " n"]) -> Term:
    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        residual = (values[name] / sigma)[:, None]
        blocks = [Block(name, torch.tensor([0]), torch.diag(1 / sigma)[None, None])] if with_jacobian else []
        return Linearized(residual, blocks)

    return Term(f"{name}_prior", evaluate)
