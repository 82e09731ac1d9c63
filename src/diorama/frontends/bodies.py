"""Bodies from landmarks: every track is fitted as one motion of one body, in overlapping segments, by least squares."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.anny import load_free_body
from diorama.body.detected import as_detected
from diorama.body.image_terms import direction_term, keypoint_term, silhouette_term
from diorama.body.joints import BLAZEPOSE_33, JOINT_INDEX, JOINT_NAMES
from diorama.body.model import BodyModel
from diorama.body.motion_terms import (
    PosePrior,
    Smoothness,
    joint_limit_term,
    pelvis_smoothness_term,
    pose_prior_term,
    rotation_smoothness_term,
    shape_prior_term,
)
from diorama.body.unknown_person import UnknownPerson
from diorama.frontends.body_evidence import LIMBS, Evidence, EvidenceConfig, gather_evidence
from diorama.frontends.body_initial import initial_rotations, initial_translation
from diorama.geometry.rotations import exp_so3, log_so3
from diorama.observations import Bodies, Observations, ObservedBody, Source, Track
from diorama.progress import progress_bar
from diorama.solver import GemanMcClure, Huber, LMConfig, Term, solve
from diorama.solver.threads import one_thread

logger = logging.getLogger(__name__)

# Shape entries that pictures show when stature is held: gender, weight, proportions (of the free body's six).
SEEN_SHAPE = (1.0, 0.0, 0.0, 1.0, 0.0, 1.0)


# Hair, shoes and what hands hold belong to a mask as often as not; trunk and limbs are trusted.
CLOTHED = tuple(
    JOINT_INDEX[name] for name in JOINT_NAMES if not name.endswith(("head", "ankle", "foot", "wrist", "hand"))
)


@dataclass(frozen=True)
class BodiesConfig:
    """Fit of camera-frame bodies. Segments bound the memory; neighbours share `overlap` frames, which are blended."""

    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    prior: PosePrior = field(default_factory=PosePrior)
    prior_weight: float = 0.3
    smoothness: Smoothness = field(default_factory=Smoothness)
    pelvis_sigma: float = 6.0
    shape_sigma: float = 0.15
    segment: int = 300
    overlap: int = 30
    iterations: int = 25


def fit_bodies(
    observations: Observations,
    config: BodiesConfig = BodiesConfig(),
    *,
    progress: bool = True,
) -> Bodies:
    """Camera-frame bodies of all tracks, at the free body's default stature (sizes are decided later, for all together).

    Needs `tracks` and `cameras`.
    """
    if observations.tracks is None or observations.cameras is None:
        raise ValueError("bodies need tracks and cameras")
    people, cameras, model = observations.tracks.people, observations.cameras, load_free_body()

    def fit(track: Track) -> ObservedBody:
        others = tuple(p for p in people if p.id != track.id)
        evidence = gather_evidence(
            track, others, cameras, observations.times, observations.width, observations.height, config.evidence
        )
        return fit_track(track, evidence, as_detected(model, track.joint_set), config)

    with one_thread() as workers, ThreadPoolExecutor(workers) as pool:
        done = progress_bar(pool.map(fit, people), desc="bodies", total=len(people), unit="person", show=progress)
        fitted = tuple(done)
    return Bodies(Source("fit_bodies", model.name, "CC0 (body), own code"), fitted)


@dataclass
class _Motion:
    """Values of one fitted stretch: translation, rotations (frames 24 3 3), betas."""

    transl: Tensor
    rotations: Tensor
    betas: Tensor


def fit_track(track: Track, evidence: Evidence, model: BodyModel, config: BodiesConfig) -> ObservedBody:
    """One person: segments with a shape each, then, if there are several, again with their mean shape."""
    betas = model.default_betas.double()[None]
    pieces = segments(len(track.frames), config.segment, config.overlap)
    motions = [_fit_segment(evidence.rows(slice(a, b)), model, betas, config, shape_is_free=True) for a, b in pieces]
    if len(pieces) > 1:
        betas = torch.stack([m.betas for m in motions]).mean(0)
        motions = [
            _fit_segment(evidence.rows(slice(a, b)), model, betas, config, shape_is_free=False) for a, b in pieces
        ]
    motion = blend(motions, pieces)
    return _observed(track, evidence, model, motion)


def segments(count: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Half-open ranges of at most `length` rows that cover 0..count and share `overlap` rows with their neighbours."""
    if count <= length:
        return [(0, count)]
    step = length - overlap
    number = int(np.ceil((count - overlap) / step))
    starts = np.round(np.linspace(0, count - length, number)).astype(int)
    return [(int(a), int(a) + length) for a in starts]


def blend(motions: list[_Motion], pieces: list[tuple[int, int]]) -> _Motion:
    """One motion from overlapping ones: within an overlap the weight moves linearly from the earlier to the later."""
    out = motions[0]
    for motion, (start, _) in zip(motions[1:], pieces[1:], strict=True):
        shared = len(out.transl) - start
        u = torch.linspace(0, 1, shared + 2, dtype=torch.float64)[1:-1]
        transl = (1 - u[:, None]) * out.transl[start:] + u[:, None] * motion.transl[:shared]
        step = log_so3(out.rotations[start:].mT @ motion.rotations[:shared])
        rotations = out.rotations[start:] @ exp_so3(u[:, None, None] * step)
        out = _Motion(
            torch.cat([out.transl[:start], transl, motion.transl[shared:]]),
            torch.cat([out.rotations[:start], rotations, motion.rotations[shared:]]),
            motion.betas,
        )
    return out


def _fit_segment(
    evidence: Evidence, model: BodyModel, betas: Tensor, config: BodiesConfig, *, shape_is_free: bool
) -> _Motion:
    """Two solves: first with wide, slowly growing losses from the first guess, then with the real ones."""
    person = UnknownPerson.of(model, 0, len(evidence.times))
    person.free_betas = torch.tensor(SEEN_SHAPE, dtype=torch.float64) * float(shape_is_free)
    rotations = initial_rotations(evidence, person.rest_of(betas)[0], config.prior)
    values = {
        person.transl: initial_translation(person, list(BLAZEPOSE_33), evidence, rotations, betas),
        person.rotations: rotations,
        person.betas: betas.clone(),
    }
    prior = shared_terms(person, evidence, betas, config)
    seen = evidence.seen
    wide = [keypoint_term(person, evidence.cameras, evidence.names, seen, 2 * evidence.sigma_px, Huber(2.0)), *prior]
    fine = [keypoint_term(person, evidence.cameras, evidence.names, seen, evidence.sigma_px, GemanMcClure(4.0)), *prior]
    if evidence.fields is not None:
        inside = person.surface_of(CLOTHED)
        fine.append(silhouette_term(person, evidence.cameras, inside, evidence.fields, evidence.silhouette_sigma_px))
    variables = person.variables()
    values = solve(variables, values, wide, LMConfig(config.iterations, tolerance=1e-3)).values
    solution = solve(variables, values, fine, LMConfig(config.iterations, tolerance=1e-5))
    logger.debug("body fit: %s in %d iterations", solution.costs, solution.iterations)
    values = solution.values
    return _Motion(values[person.transl], values[person.rotations], values[person.betas].clamp(0, 1))


def shared_terms(person: UnknownPerson, evidence: Evidence, betas: Tensor, config: BodiesConfig) -> list[Term]:
    """What holds for every motion: limb directions, pose prior, joint limits, smoothness, shape near `betas`."""
    sigma = torch.full((betas.shape[1],), config.shape_sigma, dtype=torch.float64)
    shape = [shape_prior_term(person, betas[0], sigma)] if person.shape_is_free else []
    return [
        *shape,
        direction_term(person, LIMBS, evidence.directions_world, evidence.direction_sigma),
        pose_prior_term(person, config.prior, config.prior_weight),
        joint_limit_term(person),
        rotation_smoothness_term(person, evidence.times, config.smoothness),
        pelvis_smoothness_term(person, evidence.times, config.pelvis_sigma),
    ]


def _observed(track: Track, evidence: Evidence, model: BodyModel, motion: _Motion) -> ObservedBody:
    person = UnknownPerson.of(model, track.id, len(track.frames))
    values = {person.transl: motion.transl, person.rotations: motion.rotations, person.betas: motion.betas}
    residual = keypoint_residual_px(person, values, evidence)
    R = evidence.cameras.R_camera_world
    pelvis_rest = person.rest_of(motion.betas)[0][0]
    transl = (R @ (motion.transl + pelvis_rest)[..., None])[..., 0] - pelvis_rest
    rotvecs = log_so3(torch.cat([(R @ motion.rotations[:, 0])[:, None], motion.rotations[:, 1:]], 1))
    quality = torch.exp(-0.5 * (residual / (0.02 * evidence.height_px)) ** 2)
    return ObservedBody(
        id=track.id,
        frames=track.frames,
        body=model.name,
        gender="neutral",
        betas=motion.betas[0].numpy(),
        global_orient=rotvecs[:, 0].numpy(),
        body_pose=rotvecs[:, 1:].numpy(),
        transl=transl.numpy(),
        focal=evidence.cameras.focal.numpy(),
        residual_px=residual.numpy(),
        confidence=(evidence.confidence.mean(1) * quality).numpy(),
    )


def keypoint_residual_px(
    person: UnknownPerson, values: dict[str, Tensor], evidence: Evidence
) -> Float[Tensor, " frames"]:
    """Median distance in pixels between projected and seen landmarks that were seen well, per frame."""
    pixels = project_landmarks(person, values, evidence)
    seen = evidence.seen[:, : len(BLAZEPOSE_33)]
    distance = (pixels - seen).norm(dim=-1)
    usable = torch.isfinite(evidence.sigma_px[:, : len(BLAZEPOSE_33)])
    return torch.where(usable, distance, torch.nan).nanmedian(1).values.nan_to_num(float("inf"))


def project_landmarks(person: UnknownPerson, values: dict[str, Tensor], evidence: Evidence) -> Tensor:
    """Pixels of the landmarks relative to the principal point, undistorted, (F, 33, 2)."""
    points = person.points(values, False).position[:, person.index(BLAZEPOSE_33)]
    camera = evidence.cameras.to_camera(values, points)
    return camera[..., :2] / camera[..., 2:].clamp_min(0.1) * evidence.cameras.focal[:, None, None]
