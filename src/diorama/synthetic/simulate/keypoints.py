"""Keypoints as detectors give them: errors that last, jitter, hidden joints guessed, and a confidence that half knows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from diorama.body.joints import KEYPOINT_SETS
from diorama.synthetic.simulate.noise import graded, mixed, stream
from diorama.synthetic.simulate.seen_person import SeenPerson

# How far people's clicks scatter, as a share of the person's size: the constants of COCO's keypoint similarity
# (cocodataset.org/#keypoints-eval), times 10. Points that COCO lacks have those of their neighbours.
_SCATTER = {
    "nose": 0.26, "eye": 0.25, "ear": 0.35, "mouth": 0.26, "head": 0.35, "neck": 0.79, "collar": 0.79, "shoulder": 0.79,
    "elbow": 0.72, "wrist": 0.62, "hand": 0.62, "pinky": 0.62, "index": 0.62, "thumb": 0.62, "hip": 1.07,
    "pelvis": 1.07, "spine1": 1.07, "spine2": 1.07, "spine3": 1.07, "knee": 0.87, "ankle": 0.89, "heel": 0.89,
    "foot": 0.89,
}  # fmt: skip
# Depth errors grow along the limbs: directions of trunk, upper limbs and lower limbs are 6, 15 and 25 degrees off
# (measured for BlazePose on rendered walkers, frontends/body_evidence.py).
_DEPTH_OF = {"elbow": 1.0, "knee": 1.0, "wrist": 1.6, "hand": 1.7, "ankle": 1.6, "foot": 1.7, "heel": 1.7}
_DEPTH_OF |= {"pinky": 1.7, "index": 1.7, "thumb": 1.7}
_DEPTH_OF_TRUNK = 0.4


@dataclass(frozen=True)
class KeypointConfig:
    """Errors of 2D and 3D keypoints. The defaults make none.

    Attributes:
        joint_set: one of `joints.KEYPOINT_SETS`: blazepose33, coco17, smpl24.
        noise: standard deviation per picture axis as a share of the standing height in the picture, rms over the joint
            set: eyes have a fourth of a hip's (COCO's annotators).
        noise_px: the same error once more, in pixels, equal for all joints and new in every frame.
        seconds: correlation time of the slow part of `noise`, seconds.
        white: share of the variance of `noise` that is new in every frame.
        tail: degrees of freedom of that part (Student-t; infinity: normal).
        hidden_factor: factor on `noise` for joints that are hidden or outside of the picture.
        outliers: share of visible joints that lie anywhere in the person's box.
        hidden_outliers: the same of hidden joints.
        seen_confidence, hidden_confidence: ranges of confidences.
        confidence_follows: correlation 0-1 of the confidence with the size of the true error (normal scores).
        stature_3d: the stature in metres that 3D keypoints have whatever the person's is; None: the true one.
        lateral_3d: standard deviation of 3D keypoints across the line of sight, metres per axis.
        depth_3d: the same along the line of sight, rms over the joint set; it grows from trunk to hands and feet.
    """

    joint_set: str = "blazepose33"
    noise: float = 0.0
    noise_px: float = 0.0
    seconds: float = 0.5
    white: float = 0.25
    tail: float = np.inf
    hidden_factor: float = 1.0
    outliers: float = 0.0
    hidden_outliers: float = 0.0
    seen_confidence: tuple[float, float] = (1.0, 1.0)
    hidden_confidence: tuple[float, float] = (1.0, 1.0)
    confidence_follows: float = 0.0
    stature_3d: float | None = None
    lateral_3d: float = 0.0
    depth_3d: float = 0.0


def observed_keypoints(person: SeenPerson, config: KeypointConfig, seed: int) -> Float[np.ndarray, "n joints 3"]:
    """x px, y px, confidence 0-1 of all rows of a person."""
    rng = stream(seed, "keypoints", person.id)
    frames, joints = person.hidden.shape
    names = KEYPOINT_SETS[config.joint_set]
    process = mixed(rng, person.times, config.seconds, config.white, 2 * joints, config.tail)
    error = process.reshape(frames, joints, 2) * np.where(person.hidden, config.hidden_factor, 1.0)[..., None]
    scale = config.noise * person.height[:, None] * _normalised([_of(name, _SCATTER) for name in names])
    true = _finite(person)
    found = true + scale[..., None] * error + config.noise_px * rng.normal(size=true.shape)
    wild = rng.random(person.hidden.shape) < np.where(person.hidden, config.hidden_outliers, config.outliers)
    place = rng.random(true.shape)
    low, high = person.box[:, None, :2], person.box[:, None, 2:]
    found = np.where(wild[..., None], low + place * (high - low), found)
    confidence = _confidence(person, found - true, np.hypot(scale, config.noise_px), config, rng)
    return np.concatenate([found, confidence[..., None]], 2).astype(np.float64)


def _finite(person: SeenPerson) -> Float[np.ndarray, "n joints 2"]:
    """True pixels; a point behind the camera, which has none, is put into the middle of the person's box."""
    middle = (person.box[:, :2] + person.box[:, 2:]) / 2
    return np.where(np.isfinite(person.pixels), person.pixels, middle[:, None])


def _confidence(
    person: SeenPerson, error: np.ndarray, sigma: np.ndarray, config: KeypointConfig, rng: np.random.Generator
) -> Float[np.ndarray, "n joints"]:
    squared = (error**2).sum(-1) / np.maximum(sigma, 1e-9) ** 2
    tail = np.exp(-0.5 * np.minimum(squared, 1e3))
    seen = graded(rng, tail, config.confidence_follows, config.seen_confidence)
    hidden = graded(rng, tail, config.confidence_follows, config.hidden_confidence)
    return np.where(person.hidden, hidden, seen)


def observed_keypoints_3d(person: SeenPerson, config: KeypointConfig, seed: int) -> Float[np.ndarray, "n joints 3"]:
    """Metres from the hips' middle, along the axes of a camera that looks straight at the person, as BlazePose sees his
    crop."""
    rng = stream(seed, "keypoints 3d", person.id)
    names = KEYPOINT_SETS[config.joint_set]
    hips = [names.index("left_hip"), names.index("right_hip")]
    relative = person.landmarks - person.landmarks[:, hips].mean(1, keepdims=True)
    straight = np.einsum("nij,nkj->nki", _looking(person.landmarks[:, _below_face(names)].mean(1)), relative)
    if config.stature_3d is not None:
        straight = straight * (config.stature_3d / person.stature)
    process = mixed(rng, person.times, config.seconds, config.white, 3 * len(names), config.tail)
    error = process.reshape(len(straight), len(names), 3) * [config.lateral_3d, config.lateral_3d, config.depth_3d]
    error[..., 2] *= _normalised([_of(name, _DEPTH_OF, _DEPTH_OF_TRUNK) for name in names])
    return straight + error


def _below_face(names: tuple[str, ...]) -> Bool[np.ndarray, " joints"]:
    return np.array([not any(part in name for part in ("nose", "eye", "ear", "mouth", "head")) for name in names])


def _looking(target: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Rotations from camera axes to those of a camera of the same roll that looks at `target`."""
    forward = target / np.linalg.norm(target, axis=1, keepdims=True)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], 1)


def _of(name: str, table: dict[str, float], otherwise: float = 1.0) -> float:
    """The entry whose key is a word of the name; `foot_index` is a foot, not a finger."""
    words = name.replace("foot_index", "foot").split("_")
    return next((table[word] for word in words if word in table), otherwise)


def _normalised(factors: list[float]) -> Float[np.ndarray, " joints"]:
    """Factors with mean square 1."""
    values = np.array(factors)
    return values / np.sqrt((values**2).mean())
