"""Camera-frame bodies as mesh recovery gives them: poses off for a while, distance wrong with focal length and stature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.detected import landmark_points
from diorama.body.joints import JOINT_NAMES
from diorama.body.model import BodyModel
from diorama.geometry.cameras import project
from diorama.geometry.rotations import matrix_of, rotation_between, rotvec_of
from diorama.observations import ObservedBody
from diorama.reconstruction import Cameras
from diorama.synthetic.simulate.identities import Identity
from diorama.synthetic.simulate.noise import correlated, graded, mixed, ranked_tail, stream
from diorama.synthetic.simulate.seen_person import SeenPerson


@dataclass(frozen=True)
class PoseNoise:
    """Standard deviations of local joint rotations, degrees per axis."""

    trunk: float = 0.0
    head: float = 0.0
    shoulders: float = 0.0
    elbows: float = 0.0
    hips: float = 0.0
    knees: float = 0.0
    wrists: float = 0.0
    ankles: float = 0.0

    def scaled(self, factor: float) -> PoseNoise:
        """All groups times `factor`."""
        return PoseNoise(**{f.name: factor * getattr(self, f.name) for f in fields(self)})

    @property
    def radians(self) -> Float[np.ndarray, 23]:
        """Per joint of `body_pose`; collars belong to the trunk, hands to the wrists, feet to the ankles."""
        groups = {"spine1": "trunk", "spine2": "trunk", "spine3": "trunk", "neck": "head", "head": "head"}
        groups |= {f"{side}_{name}": group for side in ("left", "right") for name, group in _LIMBS.items()}
        return np.radians([getattr(self, groups[name]) for name in JOINT_NAMES[1:]])


_LIMBS = {
    "collar": "trunk", "shoulder": "shoulders", "elbow": "elbows", "wrist": "wrists", "hand": "wrists", "hip": "hips",
    "knee": "knees", "ankle": "ankles", "foot": "ankles",
}  # fmt: skip


@dataclass(frozen=True)
class BodyConfig:
    """Errors of per-frame bodies. The defaults make none.

    The body's place follows the picture: with a wrong focal length its z is off by assumed / true focal and x, y stay;
    with a wrong stature the whole place is off by wrong / true stature.

    Attributes:
        pose: degrees per axis and joint group.
        orient: degrees per axis of the global orientation.
        seconds: correlation time of all slow parts, seconds.
        white: share of the variance of pose and orientation that is new in every frame.
        depth: standard deviation of the distance's logarithm (0.1: ten percent), varying in time.
        depth_white: share of its variance that is new in every frame.
        depth_bias: the same, once per person.
        lateral: standard deviation of x and y, as a share of the stature.
        hidden_factor: factor on all of these for a person of whom nothing is seen (linear in the share of covered
            landmarks).
        focal: what focal length is assumed: the true one, the picture's diagonal (VIMO, HMR 2.0 in JOSH), or that of the
            observed cameras.
        focal_factor: factor on it.
        viewing_angle: whether the orientation of people aside of the picture's middle is right ("known"), turned by the
            error that a wrong focal length makes in the direction of sight ("assumed"), or left as it looks in the crop
            ("ignored": HMR 2.0).
        stature: standard deviation of the logarithm of stature, once per person.
        stature_regression: share 0-1 by which (the logarithm of) stature is drawn to `stature_mean`; 1 is blind.
        stature_mean: metres.
        betas: standard deviation of all other shape numbers, once per person.
        shock, shock_metres: a share of frames with a jump of the translation, Gaussian with `shock_metres` per axis
            (JOSH, appendix F).
        confidence: range of confidences.
        confidence_follows: correlation 0-1 of the confidence with the true error of the pose (normal scores).
    """

    pose: PoseNoise = field(default_factory=PoseNoise)
    orient: float = 0.0
    seconds: float = 0.5
    white: float = 0.05
    depth: float = 0.0
    depth_white: float = 0.1
    depth_bias: float = 0.0
    lateral: float = 0.0
    hidden_factor: float = 1.0
    focal: Literal["true", "diagonal", "cameras"] = "true"
    focal_factor: float = 1.0
    viewing_angle: Literal["known", "assumed", "ignored"] = "known"
    stature: float = 0.0
    stature_regression: float = 0.0
    stature_mean: float = 1.70
    betas: float = 0.0
    shock: float = 0.0
    shock_metres: float = 1.0
    confidence: tuple[float, float] = (1.0, 1.0)
    confidence_follows: float = 0.0


@dataclass(frozen=True)
class BodyTrace:
    """One true person with errors, before anybody says which id he has; arrays follow the rows of `SeenPerson`.

    `pelvis` is where the pelvis would be put with the true stature; `betas` is the shape that is seen, `stature` its
    height in metres.
    """

    seen: SeenPerson
    betas: Float[Tensor, " betas"]
    stature: float
    orient: Float[np.ndarray, "n 3 3"]
    pose: Float[np.ndarray, "n 23 3 3"]
    pelvis: Float[np.ndarray, "n 3"]
    jump: Float[np.ndarray, "n 3"]
    focal: Float[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]


def trace_body(
    person: SeenPerson, size: tuple[int, int], camera_focal: Float[np.ndarray, " frames"], config: BodyConfig, seed: int
) -> BodyTrace:
    """Errors of one person in all his rows; `camera_focal` are the observed cameras' focal lengths of all frames."""
    rng = stream(seed, "bodies", person.id)
    count = len(person.rows)
    guess = 1 + (config.hidden_factor - 1) * person.covered.mean(1)
    turns = mixed(rng, person.times, config.seconds, config.white, 72).reshape(count, 24, 3) * guess[:, None, None]
    spread = np.concatenate([[np.radians(config.orient)], config.pose.radians])
    local = matrix_of(spread[:, None] * turns)
    focal = _assumed_focal(person, size, camera_focal, config)
    pelvis = _misplaced(person, guess, config, rng)
    pelvis[:, 2] *= focal / person.focal
    betas = seen_shape(person, config, stream(seed, "shape", person.id))
    error = np.linalg.norm(turns.reshape(count, -1), axis=1)
    tail = ranked_tail(error) if np.any(spread) else np.ones(count)
    return BodyTrace(
        person, betas, float(person.model.stature(betas)), _sight_turn(person, focal, config) @ person.orient @ local[:, 0],
        matrix_of(person.pose) @ local[:, 1:], pelvis, _jumps(count, config, stream(seed, "body jumps", person.id)),
        focal, graded(rng, tail, config.confidence_follows, config.confidence),
    )  # fmt: skip


def _assumed_focal(
    person: SeenPerson, size: tuple[int, int], camera_focal: np.ndarray, config: BodyConfig
) -> Float[np.ndarray, " n"]:
    diagonal = np.full(len(person.rows), float(np.hypot(*size)))
    choices = {"true": person.focal, "diagonal": diagonal, "cameras": camera_focal[person.rows]}
    return config.focal_factor * choices[config.focal]


def _misplaced(
    person: SeenPerson, guess: np.ndarray, config: BodyConfig, rng: np.random.Generator
) -> Float[np.ndarray, "n 3"]:
    """The pelvis with noise along and across the line of sight."""
    along = config.depth * mixed(rng, person.times, config.seconds, config.depth_white, 1)[:, 0] * guess
    across = config.lateral * person.stature * correlated(rng, person.times, config.seconds, 2) * guess[:, None]
    moved = person.pelvis + np.concatenate([across, np.zeros((len(across), 1))], 1)
    return moved * np.exp(along + config.depth_bias * rng.normal())[:, None]


def _jumps(count: int, config: BodyConfig, rng: np.random.Generator) -> Float[np.ndarray, "n 3"]:
    struck = rng.random(count) < config.shock
    return struck[:, None] * config.shock_metres * rng.normal(size=(count, 3))


def _sight_turn(
    person: SeenPerson, focal: Float[np.ndarray, " n"], config: BodyConfig
) -> Float[np.ndarray, "n 3 3"] | Float[np.ndarray, "3 3"]:
    """The rotation of an orientation that comes from a wrong belief about the direction of sight."""
    if config.viewing_angle == "known":
        return np.eye(3)
    believed = np.zeros_like(person.pelvis)
    believed[:, 2] = 1
    if config.viewing_angle == "assumed":
        believed = person.pelvis * np.stack([np.ones_like(focal), np.ones_like(focal), focal / person.focal], 1)
    return rotation_between(torch.from_numpy(person.pelvis), torch.from_numpy(believed)).numpy()


def seen_shape(person: SeenPerson, config: BodyConfig, rng: np.random.Generator) -> Float[Tensor, " betas"]:
    """The shape numbers that the front end believes."""
    betas = torch.from_numpy(np.asarray(person.person.betas, np.float32))
    noise = torch.from_numpy(rng.normal(size=len(betas)).astype(np.float32))
    stature = np.log(person.stature) * (1 - config.stature_regression)
    stature += np.log(config.stature_mean) * config.stature_regression + config.stature * rng.normal()
    if config.betas == config.stature == config.stature_regression == 0:
        return betas
    return with_stature(person.model, betas + config.betas * noise, float(np.exp(stature)))


def with_stature(model: BodyModel, betas: Float[Tensor, " betas"], metres: float) -> Float[Tensor, " betas"]:
    """The shape with another stature: by the height phenotype of the free body (kept within 0-1), by the first component
    of SMPL-like models. Stature is linear in both."""
    free = "height" in model.betas_names
    betas = betas.clamp(0, 1) if free else betas.clone()
    index = model.betas_names.index("height") if free else 0
    betas[index] = 0
    step = torch.zeros_like(betas)
    step[index] = 1
    lowest, highest = float(model.stature(betas)), float(model.stature(betas + step))
    value = (metres - lowest) / (highest - lowest)
    betas[index] = float(np.clip(value, 0, 1)) if free else value
    return betas


def observed_body(
    identity: Identity, traces: Mapping[int, BodyTrace], cameras: Cameras, joint_set: str
) -> ObservedBody:
    """The rows of one observed id. With exchanged ids it holds several people's poses on the shape of the main one."""
    main = traces[identity.main]
    picked = [_rows_of(traces[int(id)], identity.rows[identity.true_ids == id]) for id in np.unique(identity.true_ids)]
    order = np.argsort(np.concatenate([p["rows"] for p in picked]), kind="stable")
    row = {key: np.concatenate([p[key] for p in picked])[order] for key in picked[0]}
    shaped = main.seen.model.shaped(main.betas)
    pelvis = row["pelvis"] * (main.stature / row["stature"])[:, None] + row["jump"]
    transl = pelvis - shaped.joints_rest[0].double().numpy()
    arrays = rotvec_of(row["orient"]), rotvec_of(row["pose"]), transl
    posed = shaped.posed(*(torch.from_numpy(a.astype(np.float32)) for a in arrays))
    K = cameras.K[row["rows"]].copy()
    K[:, [0, 1], [0, 1]] *= (row["focal"] / K[:, 0, 0])[:, None]
    shown = project(landmark_points(posed, joint_set), K, cameras.distortion[row["rows"]])
    distance = np.nan_to_num(np.linalg.norm(shown - row["pixels"], axis=-1))
    return ObservedBody(
        identity.id, row["rows"], main.seen.person.body, main.seen.person.gender, main.betas.numpy(), *arrays,
        row["focal"], np.median(distance, 1), row["confidence"],
    )  # fmt: skip


def _rows_of(trace: BodyTrace, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Some frames of a true person, by name."""
    at = np.searchsorted(trace.seen.rows, rows)
    names = ("orient", "pose", "pelvis", "jump", "focal", "confidence")
    out = {name: getattr(trace, name)[at] for name in names}
    return out | {"rows": rows, "pixels": trace.seen.pixels[at], "stature": np.full(len(rows), trace.seen.stature)}
