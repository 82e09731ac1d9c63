"""What is known of human motion before looking: a pose prior, joint limits, and smoothness in time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.joints import JOINT_NAMES
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import exp_so3, log_so3, right_jacobian_inverse
from diorama.solver import Block, Huber, Linearized, RobustLoss, Term, Values


@dataclass(frozen=True)
class PosePrior:
    """Relaxed standing as the mean, and standard deviations in radians about the joint's x, y, z axes.

    Ranges are those of everyday motion in textbooks of kinesiology, rounded; the prior is weak against landmarks and
    decides only what they do not show (twist of limbs, the spine's shares of a bend).
    """

    mean: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {"left_shoulder": (0, 0, -1.1), "right_shoulder": (0, 0, 1.1)}
    )
    sigma: Mapping[str, tuple[float, float, float]] = field(
        default_factory=lambda: {
            "hip": (0.6, 0.25, 0.25),
            "knee": (0.9, 0.08, 0.08),
            "ankle": (0.3, 0.15, 0.15),
            "foot": (0.25, 0.05, 0.05),
            "spine1": (0.15, 0.1, 0.1),
            "spine2": (0.12, 0.1, 0.1),
            "spine3": (0.1, 0.1, 0.1),
            "neck": (0.2, 0.25, 0.15),
            "head": (0.2, 0.25, 0.15),
            "collar": (0.1, 0.12, 0.12),
            "shoulder": (0.6, 0.7, 0.7),
            "elbow": (0.3, 0.9, 0.15),
            "wrist": (0.25, 0.3, 0.25),
            "hand": (0.1, 0.1, 0.1),
        }
    )

    def mean_rotations(self) -> Float[Tensor, "joints 3 3"]:
        """Mean of the 23 body joints."""
        vectors = [self.mean.get(name, (0.0, 0.0, 0.0)) for name in JOINT_NAMES[1:]]
        return exp_so3(torch.tensor(vectors, dtype=torch.float64))

    def sigmas(self) -> Float[Tensor, "joints 3"]:
        """Standard deviations of the 23 body joints."""
        short = [name.removeprefix("left_").removeprefix("right_") for name in JOINT_NAMES[1:]]
        return torch.tensor([self.sigma[name] for name in short], dtype=torch.float64)


def _per_joint(frames: int, joints: Int[Tensor, " joints"]) -> tuple[Tensor, Tensor]:
    """Row and first tangent entry of every (frame, joint), frames outermost: one item of a term each."""
    rows = torch.arange(frames).repeat_interleave(len(joints))
    return rows, (3 * joints).repeat(frames)


def pose_prior_term(person: UnknownPerson, prior: PosePrior, weight: float = 1.0) -> Term:
    """log(mean^-1 R) / sigma for every body joint."""
    mean, scale = prior.mean_rotations(), weight**0.5 / prior.sigmas()
    rows, first = _per_joint(person.frames, torch.arange(1, len(JOINT_NAMES)))

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        away = log_so3(mean.mT @ values[person.rotations][:, 1:])
        residual = (away * scale).reshape(-1, 1, 3)
        if not with_jacobian:
            return Linearized(residual)
        jacobian = (right_jacobian_inverse(away) * scale[..., None]).reshape(-1, 1, 3, 3)
        return Linearized(residual, [Block(person.rotations, rows, jacobian, first)])

    return Term("pose_prior", evaluate)


def joint_limit_term(person: UnknownPerson, sigma: float = 0.05) -> Term:
    """Knees and elbows bend one way: flexion below zero, in radians over `sigma`, is penalised.

    In the T-pose convention the knees flex about +x, the left elbow about -y, the right elbow about +y.
    """
    hinges = {
        "left_knee": (1.0, 0, 0),
        "right_knee": (1.0, 0, 0),
        "left_elbow": (0, -1.0, 0),
        "right_elbow": (0, 1.0, 0),
    }
    joints = torch.tensor([JOINT_NAMES.index(name) for name in hinges])
    axes = torch.tensor(list(hinges.values()), dtype=torch.float64)
    rows, first = _per_joint(person.frames, joints)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        rotvec = log_so3(values[person.rotations][:, joints])
        flexion = (axes * rotvec).sum(-1)
        residual = ((-flexion).clamp_min(0) / sigma).reshape(-1, 1, 1)
        if not with_jacobian:
            return Linearized(residual)
        slope = -(flexion < 0).double()[..., None] / sigma * axes
        jacobian = (slope[:, :, None] @ right_jacobian_inverse(rotvec)).reshape(-1, 1, 1, 3)
        return Linearized(residual, [Block(person.rotations, rows, jacobian, first)])

    return Term("joint_limits", evaluate)


@dataclass(frozen=True)
class Smoothness:
    """Standard deviations of angular accelerations in rad/s^2, per group of joints.

    A walking shank reaches some 60 rad/s^2, faster motion several times that; trunk and head turn far more gently.
    """

    root: float = 20.0
    spine: float = 20.0
    limbs: float = 120.0

    def of_joints(self) -> Float[Tensor, " joints"]:
        limbs = ("hip", "knee", "ankle", "foot", "shoulder", "elbow", "wrist", "hand")
        each = [self.limbs if name.endswith(limbs) else self.spine for name in JOINT_NAMES]
        return torch.tensor([self.root, *each[1:]], dtype=torch.float64)


def rotation_smoothness_term(
    person: UnknownPerson,
    times: Float[Tensor, " frames"],
    smoothness: Smoothness,
    loss: RobustLoss = Huber(3.0),  # noqa: B008
) -> Term:
    """Angular acceleration of every joint in its parent over its standard deviation; robust per joint, so that a
    sudden stop of one limb stays possible."""
    before, after = times[1:-1] - times[:-2], times[2:] - times[1:-1]
    middle = 0.5 * (before + after)
    scale = 1 / (smoothness.of_joints()[None] * middle[:, None])
    count = max(person.frames - 2, 0)

    rows, entry = _per_joint(count, torch.arange(len(JOINT_NAMES)))

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        rotations = values[person.rotations]
        relative = rotations[:-1].mT @ rotations[1:]
        step = log_so3(relative)
        first, second = step[:-1] / before[:, None, None], step[1:] / after[:, None, None]
        residual = ((second - first) * scale[..., None]).reshape(-1, 1, 3)
        if not with_jacobian or not count:
            return Linearized(residual)
        by_later = right_jacobian_inverse(step)
        by_earlier = -by_later @ relative.mT
        one, two = (scale / before[:, None])[..., None, None], (scale / after[:, None])[..., None, None]
        blocks = [-one * by_earlier[:-1], two * by_earlier[1:] - one * by_later[:-1], two * by_later[1:]]
        return Linearized(
            residual,
            [Block(person.rotations, rows + shift, b.reshape(-1, 1, 3, 3), entry) for shift, b in enumerate(blocks)],
        )

    return Term("rotation_smoothness", evaluate, loss)


def pelvis_smoothness_term(
    person: UnknownPerson,
    times: Float[Tensor, " frames"],
    sigma: float,
    loss: RobustLoss = Huber(3.0),  # noqa: B008
) -> Term:
    """Acceleration of the translation, in m/s^2 over `sigma`."""
    before, after = (times[1:-1] - times[:-2])[:, None], (times[2:] - times[1:-1])[:, None]
    scale = 1 / (sigma * 0.5 * (before + after))
    count = max(person.frames - 2, 0)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        position = values[person.transl]
        speed_before = (position[1:-1] - position[:-2]) / before
        residual = (((position[2:] - position[1:-1]) / after - speed_before) * scale)[:, None]
        if not with_jacobian or not count:
            return Linearized(residual)
        eye = torch.eye(3, dtype=torch.float64)
        weights = (scale / before, -scale / before - scale / after, scale / after)
        blocks = [
            Block(person.transl, torch.arange(count) + shift, weight[:, :, None, None] * eye)
            for shift, weight in enumerate(weights)
        ]
        return Linearized(residual, blocks)

    return Term("pelvis_smoothness", evaluate, loss)


def shape_prior_term(person: UnknownPerson, mean: Float[Tensor, " betas"], sigma: Float[Tensor, " betas"]) -> Term:
    """(betas - mean) / sigma."""

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        residual = ((values[person.betas] - mean) / sigma)[:, None]
        if not with_jacobian:
            return Linearized(residual)
        return Linearized(residual, [Block(person.betas, torch.tensor([0]), torch.diag(1 / sigma)[None, None])])

    return Term("shape_prior", evaluate)
