"""All frames with known cameras: people between the keyframes, by their keypoints and contacts (never by blending alone).

The terms are those of the keyframes; the cameras are constants. It is also all there is to solve where the camera does
not travel or no scene was seen. Long videos go in stretches that overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.contact_terms import FLOOR, floor_contact_term, no_sinking_term, static_contact_term
from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL, direction_term, keypoint_term
from diorama.body.motion_terms import (
    PosePrior,
    Smoothness,
    joint_limit_term,
    pelvis_smoothness_term,
    pose_prior_term,
    rotation_smoothness_term,
)
from diorama.body.unknown_person import UnknownPerson
from diorama.frontends.bodies import segments
from diorama.frontends.body_evidence import LIMBS, Evidence
from diorama.geometry.rotations import exp_so3, log_so3
from diorama.methods.josh.key_problem import SITES
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.methods.josh.person_terms import Observed, PriorConfig, bias_name, orient_term, place_term, pose_term
from diorama.methods.josh.scene_contact import ContactConfig, SceneContacts, scene_contact_term
from diorama.methods.placed_person import PlacedPerson
from diorama.solver import Block, GemanMcClure, Linearized, LMConfig, Term, Values, Variable, solve

logger = logging.getLogger(__name__)
FEET = [f"contact/{name}" for name in FOOT_SITE_NAMES]
FOOT_COLUMNS = [CONTACT_SITE_NAMES.index(name) for name in FOOT_SITE_NAMES]
OTHER_COLUMNS = [n for n in range(len(CONTACT_SITE_NAMES)) if n not in FOOT_COLUMNS]


@dataclass(frozen=True)
class EveryFrameConfig:
    """Standard deviations in metres (`height`, `slide` per frame, `sinking`), of the floor's slopes and height where a
    scene shows it and where not; acceleration of the pelvis in m/s^2.

    `observed` is the weight of an observed pose, `keypoints_beside` that of keypoints beside one: errors of both last for
    half a second, so that frames repeat each other; the embedded bodies are made of the keypoints and are no second
    witness. Weights of 0 leave a term out. Stretches of `stretch` frames bound the memory.
    """

    height_sigma: float = 0.008
    slide_sigma: float = 0.002
    sinking_sigma: float = 0.01
    slope_sigma: float = 0.01
    slope_sigma_without_scene: float = 0.06
    floor_sigma: float = 0.02
    pelvis_sigma: float = 3.0
    prior: PosePrior = field(default_factory=PosePrior)
    prior_weight: float = 0.3
    observed: float = 0.15
    place_share: float = 0.03
    place_across: float = 0.05
    smoothness: Smoothness = field(default_factory=Smoothness)
    contact_static: float = 1.0
    contact_scene: float = 1.0
    keypoints: float = 1.0
    keypoints_beside: float = 0.4
    iterations: int = 20
    stretch: int = 300
    overlap: int = 30


@dataclass(frozen=True)
class FrameScene:
    """The scene at all frames' rows: whether people stand on one floor, whether a scene shows it, and the contacts of
    each person with keyframes' point maps (rows are his own, keys index the arrays of `values`)."""

    floor: bool
    measured: bool
    contacts: Mapping[int, SceneContacts]
    focal: Float[Tensor, " keys"]
    values: Mapping[str, Tensor]
    config: ContactConfig = ContactConfig()  # noqa: RUF009 - frozen


def no_scene(*, floor: bool) -> FrameScene:
    """Nothing is known of the scene but a floor."""
    return FrameScene(floor, False, {}, torch.zeros(0, dtype=torch.float64), {})


def refine_frames(
    people: Sequence[PlacedPerson],
    observed: Mapping[int, Observed],
    evidence: Mapping[int, Evidence],
    floor: Float[np.ndarray, 3],
    scene: FrameScene,
    times: Float[np.ndarray, " frames"],
    priors: PriorConfig,
    config: EveryFrameConfig,
) -> tuple[list[PlacedPerson], Float[np.ndarray, 3]]:
    """Everybody in all frames, at `times` seconds, and the floor z = a x + b y + d as (a, b, d).

    `observed` (camera frame, all rows) is given for people whose observed pose is a prior; for others standing is. Its
    pelvis is where the keyframes have put him.
    `evidence` has the known cameras in metres. The floor is found with the first stretch.
    """
    done = list(people)
    for number, (start, stop) in enumerate(segments(len(times), config.stretch, config.overlap)):
        inside = {p.id: np.flatnonzero((p.frames >= start) & (p.frames < stop)) for p in done}
        present = [p for p in done if len(inside[p.id])]
        if not present:
            continue
        refined, floor = _stretch(
            present, inside, observed, evidence, floor, scene, times, priors, config, floor_is_free=number == 0
        )
        fade = config.overlap if number else 0
        merged = {p.id: _put_back(p, q, inside[p.id], start, fade) for p, q in zip(present, refined, strict=True)}
        done = [merged.get(p.id, p) for p in done]
    return done, floor


def _stretch(
    people: Sequence[PlacedPerson], inside: Mapping[int, np.ndarray], observed: Mapping[int, Observed],
    evidence: Mapping[int, Evidence], floor: np.ndarray, scene: FrameScene, times: np.ndarray, priors: PriorConfig,
    config: EveryFrameConfig, *, floor_is_free: bool,
) -> tuple[list[PlacedPerson], Float[np.ndarray, 3]]:  # fmt: skip
    unknowns, values, terms, variables, slot = [], dict(scene.values), [], [], 0
    for person in people:
        rows = inside[person.id]
        unknown = UnknownPerson.of(person.model, person.id, len(rows), slot, surface_step=0)
        unknown.free_betas = torch.zeros(person.betas.shape[1], dtype=torch.float64)
        slot += len(rows) + 8
        values |= {unknown.transl: person.transl[rows], unknown.rotations: person.rotations[rows]}
        values[unknown.betas] = person.betas
        values[bias_name(unknown)] = torch.zeros(1, 1, dtype=torch.float64)
        variables += unknown.variables()
        seconds = torch.from_numpy(times[person.frames[rows]].copy())
        terms += _motion(unknown, seconds, config)
        terms += _person(unknown, person, rows, observed.get(person.id), evidence.get(person.id), scene, priors, config)
        unknowns.append((person, rows, unknown))
    values[FLOOR] = torch.from_numpy(floor[None].astype(np.float64))
    variables.append(Variable(FLOOR, free=torch.full((3,), float(floor_is_free and scene.floor)).double()))
    slope = config.slope_sigma if scene.measured else config.slope_sigma_without_scene
    sigma = torch.tensor([slope, slope, config.floor_sigma], dtype=torch.float64)
    terms.append(_near(FLOOR, values[FLOOR], sigma))
    solution = solve(variables, values, terms, LMConfig(config.iterations, tolerance=2e-4))
    logger.debug("all frames: %s in %d iterations", solution.costs, solution.iterations)
    out = [
        replace(
            p, frames=p.frames[rows], transl=solution.values[u.transl], rotations=solution.values[u.rotations],
            confidence=p.confidence[rows], contacts=p.contacts[rows],
        )
        for p, rows, u in unknowns
    ]  # fmt: skip
    return out, solution.values[FLOOR][0].numpy()


def _person(
    unknown: UnknownPerson, person: PlacedPerson, rows: np.ndarray, observed: Observed | None, evidence: Evidence | None,
    scene: FrameScene, priors: PriorConfig, config: EveryFrameConfig,
) -> list[Term]:  # fmt: skip
    """All terms of one person in the rows of a stretch."""
    at = torch.from_numpy(rows)
    terms: list[Term] = [joint_limit_term(unknown)]
    if evidence is not None:
        seen = evidence.rows(at)
        if config.keypoints:
            weight = config.keypoints if observed is None else config.keypoints_beside
            sigma = seen.sigma_px / weight**0.5
            terms.append(keypoint_term(unknown, seen.cameras, seen.names, seen.seen, sigma, GemanMcClure(4.0)))
            limbs = seen.direction_sigma / weight**0.5
            terms.append(direction_term(unknown, LIMBS, seen.directions_world, limbs))
    if observed is None:
        terms.append(pose_prior_term(unknown, config.prior, config.prior_weight))
    else:
        part = Observed(observed.pelvis[at], observed.orient[at], observed.pose[at], observed.trust[at])
        terms += _observed(unknown, part, evidence, at, priors, config)
    return terms + _touching(unknown, person, rows, scene, config)


def _motion(unknown: UnknownPerson, times: Tensor, config: EveryFrameConfig) -> list[Term]:
    return [
        rotation_smoothness_term(unknown, times, config.smoothness),
        pelvis_smoothness_term(unknown, times, config.pelvis_sigma),
    ]


def _observed(
    unknown: UnknownPerson, observed: Observed, evidence: Evidence | None, at: Tensor, priors: PriorConfig,
    config: EveryFrameConfig,
) -> list[Term]:  # fmt: skip
    terms = [pose_term(unknown, observed, priors, config.observed)]
    if evidence is not None:
        cameras = evidence.cameras.rows(at)
        terms.append(orient_term(unknown, cameras, observed, priors, config.observed))
        near = replace(priors, depth=config.place_share, across=config.place_across)
        terms.append(place_term(unknown, cameras, observed, near, 1.0))
    return terms


def _touching(
    unknown: UnknownPerson, person: PlacedPerson, rows: np.ndarray, scene: FrameScene, config: EveryFrameConfig
) -> list[Term]:
    """Contacts: they stay, they lie on the floor if there is one, and on the scene at keyframes."""
    contact = torch.from_numpy(person.contacts[rows])
    feet = contact[:, FOOT_COLUMNS]
    terms = []
    if config.contact_static:
        near = torch.from_numpy(np.diff(person.frames[rows]) <= 3)[:, None]
        lasting = near * config.contact_static * feet[:-1] * feet[1:]
        terms.append(static_contact_term(unknown, FEET, lasting, config.slide_sigma))
        others = contact[:, OTHER_COLUMNS]
        lasting = near * config.contact_static * torch.minimum(others[:-1], others[1:])
        lasting = torch.where(lasting > 0.5 * config.contact_static, lasting, 0.0)
        if bool(lasting.any()):
            names = [SITES[n] for n in OTHER_COLUMNS]
            terms.append(static_contact_term(unknown, names, lasting, config.slide_sigma, GemanMcClure(3.0)))
    if scene.floor:
        terms.append(floor_contact_term(unknown, FEET, feet, config.height_sigma))
        terms.append(no_sinking_term(unknown, FEET, config.sinking_sigma))
    found = scene.contacts.get(person.id)
    if found is not None and config.contact_scene:
        place = np.searchsorted(rows, found.row.numpy()).clip(0, len(rows) - 1)
        chosen = torch.from_numpy(np.flatnonzero(rows[place] == found.row.numpy()))
        part = replace(found.of(chosen), row=torch.from_numpy(place)[chosen])
        if scene.floor:
            # One floor under all feet is surer than the maps around each.
            part = part.of(torch.nonzero(part.site >= len(FEET))[:, 0])
        if len(part):
            terms.append(scene_contact_term(unknown, SITES, part, scene.focal, scene.config.loss, config.contact_scene))
    return terms


def _put_back(person: PlacedPerson, part: PlacedPerson, rows: np.ndarray, start: int, fade: int) -> PlacedPerson:
    """The refined rows in place of the old ones, cross-faded over the first `fade` frames from `start`."""
    u = np.ones(len(rows)) if not fade else np.clip((person.frames[rows] - start + 1) / (fade + 1), 0, 1)
    weight = torch.from_numpy(u)
    transl, rotations = person.transl.clone(), person.rotations.clone()
    transl[rows] = (1 - weight[:, None]) * transl[rows] + weight[:, None] * part.transl
    step = log_so3(rotations[rows].mT @ part.rotations)
    rotations[rows] = rotations[rows] @ exp_so3(weight[:, None, None] * step)
    return replace(person, transl=transl, rotations=rotations)


def _near(name: str, first: Float[Tensor, "1 n"], sigma: Float[Tensor, " n"]) -> Term:
    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        residual = ((values[name] - first) / sigma)[:, None]
        blocks = [Block(name, torch.tensor([0]), torch.diag(1 / sigma)[None, None])] if with_jacobian else []
        return Linearized(residual, blocks)

    return Term(f"{name}_prior", evaluate)


def scene_values(
    T_world_camera: Float[np.ndarray, "keys 4 4"], log_depth: Float[np.ndarray, "keys entries"]
) -> dict[str, Tensor]:
    """The constants that contacts with point maps need: cameras and corrections of the keyframes."""
    return {
        CAMERA_ROTATIONS: torch.from_numpy(T_world_camera[:, None, :3, :3].copy()),
        CAMERA_CENTRES: torch.from_numpy(T_world_camera[:, :3, 3].copy()),
        LOG_DEPTH: torch.from_numpy(log_depth.copy()),
        LOG_FOCAL: torch.zeros(1, 1, dtype=torch.float64),
    }
