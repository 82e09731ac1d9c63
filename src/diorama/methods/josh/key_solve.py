"""The joint optimisation (JOSH, Eq. 8) of one segment's keyframes: all terms, and rounds of contact search and solving."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch

from diorama.body.anny import FREE_BODY_NAME
from diorama.body.contact_terms import static_contact_term
from diorama.body.image_terms import (
    CAMERA_CENTRES,
    CAMERA_ROTATIONS,
    LOG_FOCAL,
    CameraRows,
    direction_term,
    keypoint_term,
)
from diorama.body.motion_terms import joint_limit_term, pelvis_smoothness_term
from diorama.body.unknown_person import UnknownPerson, in_statures
from diorama.frontends.body_evidence import LIMBS
from diorama.methods.josh.camera_terms import CameraConfig, anchor_term, depth_terms, focal_term, step_term
from diorama.methods.josh.key_problem import SITES, KeyPerson, KeyProblem, KeyWorld, stature_of
from diorama.methods.josh.match_term import LOG_DEPTH, MatchConfig, match_term
from diorama.methods.josh.person_terms import (
    PriorConfig,
    bias_name,
    bias_term,
    orient_term,
    place_term,
    pose_term,
    shape_terms,
)
from diorama.methods.josh.point_maps import PointMaps
from diorama.methods.josh.scene_contact import (
    ContactConfig,
    SceneContacts,
    find_scene_contacts,
    scene_contact_term,
    with_lasting,
)
from diorama.methods.placed_person import PlacedPerson
from diorama.solver import (
    AdamConfig,
    CondensedTerm,
    GemanMcClure,
    LMConfig,
    RobustLoss,
    Solution,
    Term,
    Variable,
    solve,
    solve_adam,
)

logger = logging.getLogger(__name__)
# What holds people still in front of their cameras if they are not optimised.
_STILL = 1e6


@dataclass(frozen=True)
class KeyConfig:
    """Terms and what may move.

    Weights multiply a whole term; 0 leaves it out. `static_sigma` metres between keyframes, `pelvis_sigma` m/s^2.
    `people`, `focal`, `depth`: whether they are unknowns (the paper's Table 2 fixes people and focal length in turn).
    `rounds` of contact search, each followed by at most `lm.iterations` steps; the first ones with deviations of contacts
    with the scene `loose` times as large (shares of depth by its root): somebody who starts a metre away is no outlier.
    """

    solver: Literal["lm", "adam"] = "lm"
    lm: LMConfig = LMConfig(iterations=4, initial_damping=1e-5, tolerance=1e-4)  # noqa: RUF009 - frozen
    adam: AdamConfig = AdamConfig()  # noqa: RUF009 - frozen
    rounds: int = 4
    loose: tuple[float, ...] = (8.0, 3.0)
    matches: MatchConfig = field(default_factory=MatchConfig)
    cameras: CameraConfig = field(default_factory=CameraConfig)
    contact: ContactConfig = field(default_factory=ContactConfig)
    prior: PriorConfig = field(default_factory=PriorConfig)
    contact_scene: float = 1.0
    contact_static: float = 1.0
    human_prior: float = 1.0
    keypoints: float = 0.2
    smooth: float = 1.0
    static_sigma: float = 0.01
    static_loss: RobustLoss = GemanMcClure(3.0)  # noqa: RUF009 - frozen
    pelvis_sigma: float = 3.0
    people: bool = True
    focal: bool = True
    depth: bool = True


Watch = Callable[[Solution], None]


def solve_keyframes(
    problem: KeyProblem, world: KeyWorld, config: KeyConfig, watch: Watch | None = None
) -> tuple[KeyWorld, Solution | None]:
    """The world that fits best; `watch` gets the solution of every round."""
    solution = None
    for number in range(config.rounds):
        variables, values, terms = build(problem, world, _loosened(config, number))
        if not variables:
            break
        if config.solver == "adam":
            solution = solve_adam(variables, values, terms, config.adam)
        else:
            solution = solve(variables, values, terms, config.lm)
        before, world = world, _unpack(problem, world, solution)
        if watch:
            watch(solution)
        logger.debug("keyframes: %s in %d iterations", solution.costs, solution.iterations)
        if config.solver == "adam" or (number >= len(config.loose) and _settled(before, world)):
            break
    return world, solution


def _loosened(config: KeyConfig, number: int) -> KeyConfig:
    factor = config.loose[number] if number < len(config.loose) and config.solver == "lm" else 1.0
    contact = config.contact
    wide = replace(
        contact, sigma=factor * contact.sigma, sigma_along=factor * contact.sigma_along,
        sigma_across=factor * contact.sigma_across, depth_share=factor**0.5 * contact.depth_share,
    )  # fmt: skip
    return replace(config, contact=wide)


def build(
    problem: KeyProblem, world: KeyWorld, config: KeyConfig
) -> tuple[list[Variable], dict[str, torch.Tensor], list[Term | CondensedTerm]]:
    """Variables, first values and terms, with the scene contacts as the present world has them."""
    focal = torch.from_numpy(problem.maps.focal.copy())
    values = {
        CAMERA_ROTATIONS: world.R_world_camera[:, None].clone(),
        CAMERA_CENTRES: world.centres.clone(),
        LOG_DEPTH: world.log_depth.clone(),
        LOG_FOCAL: torch.tensor([[world.log_focal]], dtype=torch.float64),
    }
    variables, terms = _scene(problem, world, config)
    slot = 0
    for seen, placed in zip(problem.people, world.people, strict=True):
        person = UnknownPerson.of(seen.model, seen.id, len(seen.keys), slot, surface_step=0)
        slot += len(seen.keys) + 8
        person.free_betas = torch.full((placed.betas.shape[1],), float(config.people), dtype=torch.float64)
        values |= {person.transl: placed.transl, person.rotations: placed.rotations, person.betas: placed.betas}
        variables += [
            *person.variables(),
            Variable(bias_name(person), free=torch.full((1,), float(config.people)).double()),
        ]
        values[bias_name(person)] = torch.zeros(1, 1, dtype=torch.float64)
        terms += _person(person, seen, placed, problem, world, focal, config)
        if person.shape_is_free:
            free_body = seen.model.name == FREE_BODY_NAME
            terms += shape_terms(person, seen.stature_slope, seen.first_betas, free_body, config.prior)
    return variables, values, terms


def _scene(
    problem: KeyProblem, world: KeyWorld, config: KeyConfig
) -> tuple[list[Variable], list[Term | CondensedTerm]]:
    """Unknowns and terms of cameras and point maps."""
    entries = world.log_depth.shape[1]
    depth_free = torch.ones(entries, dtype=torch.float64)
    depth_free[1:] = float(config.depth)
    turns = problem.kind == "translating" or (problem.kind == "rotating" and problem.carried.pairs > 0)
    moving = torch.full((3,), float(problem.kind == "translating"), dtype=torch.float64)
    turning = torch.full((3,), float(turns), dtype=torch.float64)
    focal = problem.kind == "translating" and config.focal
    variables = [
        Variable(CAMERA_ROTATIONS, rotations=True, free=turning),
        Variable(CAMERA_CENTRES, free=moving),
        Variable(LOG_DEPTH, free=depth_free),
        Variable(LOG_FOCAL, free=torch.full((1,), float(focal), dtype=torch.float64)),
    ]
    focals = torch.from_numpy(problem.maps.focal.copy())
    terms: list[Term | CondensedTerm] = [
        anchor_term(problem.first.R_world_camera[0], problem.first.centres[0], config.cameras.anchor),
        step_term(problem.first.R_world_camera, problem.first.centres, config.cameras),
        *depth_terms(problem.first.log_depth, torch.from_numpy(problem.claims), config.cameras),
        focal_term(config.cameras.log_focal),
    ]
    if problem.carried.pairs:
        terms.append(match_term(problem.carried, focals, float(max(problem.maps.size)), config.matches))
    return variables, terms


def _person(
    person: UnknownPerson, seen: KeyPerson, placed: PlacedPerson, problem: KeyProblem, world: KeyWorld,
    focal: torch.Tensor, config: KeyConfig,
) -> list[Term]:  # fmt: skip
    """All terms of one person."""
    cameras = CameraRows(
        world.R_world_camera[seen.keys].mT.contiguous(), world.centres[seen.keys], focal[seen.keys],
        torch.from_numpy(seen.keys.copy()),
    )  # fmt: skip
    weight = config.human_prior if config.people else _STILL
    terms = [
        place_term(person, cameras, seen.observed, config.prior, weight),
        orient_term(person, cameras, seen.observed, config.prior, weight),
        pose_term(person, seen.observed, config.prior, weight),
        bias_term(person, config.prior.depth_bias),
    ]
    if config.people:
        terms.append(joint_limit_term(person))
    if config.keypoints and seen.evidence is not None and config.people:
        sigma = seen.evidence.sigma_px / config.keypoints**0.5
        names, limbs = seen.evidence.names, seen.evidence.direction_sigma / config.keypoints**0.5
        terms.append(keypoint_term(person, cameras, names, seen.evidence.seen, sigma, GemanMcClure(4.0)))
        terms.append(direction_term(person, LIMBS, seen.evidence.directions_world, limbs))
    lengths = _lengths(person, seen, placed, problem, world, focal, config)
    return terms + [in_statures(term, person, seen.stature_slope, seen.first_betas) for term in lengths]


def _lengths(
    person: UnknownPerson, seen: KeyPerson, placed: PlacedPerson, problem: KeyProblem, world: KeyWorld,
    focal: torch.Tensor, config: KeyConfig,
) -> list[Term]:  # fmt: skip
    """Terms whose residuals are lengths in the world."""
    terms = []
    if config.smooth and len(seen.keys) > 2 and config.people:
        times = torch.from_numpy(problem.times[seen.keys].copy())
        terms.append(pelvis_smoothness_term(person, times, config.pelvis_sigma / config.smooth**0.5))
    if config.contact_static and len(seen.keys) > 1:
        lasting = torch.from_numpy(seen.lasting) * config.contact_static
        terms.append(static_contact_term(person, SITES, lasting, config.static_sigma, config.static_loss))
    if config.contact_scene:
        contacts = key_contacts(seen, placed, problem, world, config)
        if len(contacts):
            loss = config.contact.loss
            terms.append(scene_contact_term(person, SITES, contacts, focal, loss, config.contact_scene))
    return terms


def key_contacts(
    seen: KeyPerson, placed: PlacedPerson, problem: KeyProblem, world: KeyWorld, config: KeyConfig
) -> SceneContacts:
    """Contacts of one person with the scene, as the present world has them."""
    rotation, centre = world.R_world_camera[seen.keys].numpy(), world.centres[seen.keys].numpy()
    sites_camera = (placed.sites_world() - centre[:, None]) @ rotation
    found = find_scene_contacts(
        sites_camera, seen.contact, seen.keys, seen.height, problem.maps, world.log_depth.numpy(), world.log_focal,
        config.contact,
    )  # fmt: skip
    return with_lasting(found, seen.lasting, seen.keys) if config.contact_static else found


def scene_contacts(person: PlacedPerson, maps: PointMaps, world: KeyWorld, config: KeyConfig) -> SceneContacts | None:
    """Contacts of a person of all frames with the keyframes' point maps: rows are his own, keys those of the maps."""
    rows = np.flatnonzero(np.isin(person.frames, maps.rows))
    if not len(rows):
        return None
    keys = np.searchsorted(maps.rows, person.frames[rows])
    rotation, centre = world.R_world_camera[keys].numpy(), world.centres[keys].numpy()
    sites_camera = (person.sites_world()[rows] - centre[:, None]) @ rotation
    depth = (person.joints_world()[rows, 0] - centre)[:, None] @ rotation
    stature = stature_of(person.model, person.betas[0])
    height = stature * maps.focal[keys] / np.maximum(depth[:, 0, 2], 0.3)
    found = find_scene_contacts(
        sites_camera,
        person.contacts[rows],
        keys,
        height,
        maps,
        world.log_depth.numpy(),
        world.log_focal,
        config.contact,
    )
    return replace(found, row=torch.from_numpy(rows)[found.row])


def _unpack(problem: KeyProblem, world: KeyWorld, solution: Solution) -> KeyWorld:
    values = solution.values
    people = tuple(
        replace(
            placed,
            transl=values[f"transl_{p.id}"],
            rotations=values[f"rotations_{p.id}"],
            betas=values[f"betas_{p.id}"],
        )
        for p, placed in zip(problem.people, world.people, strict=True)
    )
    return KeyWorld(
        values[CAMERA_ROTATIONS][:, 0],
        values[CAMERA_CENTRES],
        values[LOG_DEPTH],
        float(values[LOG_FOCAL][0, 0]),
        people,
    )


def _settled(before: KeyWorld, after: KeyWorld) -> bool:
    """Nothing moved by more than half a millimetre: another search would find the same contacts."""
    moved = [float((before.centres - after.centres).abs().max())]
    moved += [float((a.transl - b.transl).abs().max()) for a, b in zip(before.people, after.people, strict=True)]
    return max(moved) < 5e-4 and float((before.log_depth - after.log_depth).abs().max()) < 1e-4


def is_finite(world: KeyWorld) -> bool:
    """No number of the world is NaN or infinite."""
    parts = [world.R_world_camera, world.centres, world.log_depth, *(p.transl for p in world.people)]
    return bool(np.isfinite(world.log_focal)) and all(bool(torch.isfinite(part).all()) for part in parts)
