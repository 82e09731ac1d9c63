"""How far a person may be from what was observed in front of the camera: the human prior (JOSH, Eq. 7)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.image_terms import CAMERA_ROTATIONS, LOG_FOCAL, CameraRows
from diorama.body.joints import JOINT_NAMES
from diorama.body.motion_terms import shape_prior_term
from diorama.body.phenotypes import PHENOTYPES
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import log_so3, right_jacobian_inverse
from diorama.solver import Block, Huber, Linearized, RobustLoss, Term, Values

# Deviation of a shape entry that another prior holds.
_FREE = 3.0


@dataclass(frozen=True)
class PriorConfig:
    """Standard deviations of observed bodies, per group of parameters: share of the depth along the ray (of all rows of a
    person together, `depth_bias`, and of each by itself), metres across it, degrees of the orientation and of the joints,
    the logarithm of the stature, and the other shape entries: phenotypes of the free body (0-1), components of SMPL.

    A person is seen too far in all frames or in none: without the bias, many frames of one person would overrule his
    stature, and with it the world's scale.

    The paper's |.|_2 with weight 10 is an exact penalty, under which people do not move at all (measured on its release).
    These are the errors of mesh recovery in the literature, rounded: distances are the weakest, as the paper says. Shapes
    are held more tightly: noise of keypoints makes limbs longer in the mean, which rotations cannot explain, so that free
    proportions make people smaller and bring them, and the scene with them, nearer (1-2 %).
    """

    depth: float = 0.1
    depth_bias: float = 0.04
    across: float = 0.05
    orient: float = 8.0
    stature: float = 0.03
    phenotypes: float = 0.03
    components: float = 0.2
    joints: dict[str, float] = field(
        default_factory=lambda: {
            "hip": 8.0, "knee": 10.0, "ankle": 13.0, "foot": 10.0, "spine1": 5.0, "spine2": 5.0, "spine3": 5.0,
            "neck": 6.0, "head": 6.0, "collar": 5.0, "shoulder": 10.0, "elbow": 15.0, "wrist": 13.0, "hand": 8.0,
        }
    )  # fmt: skip
    loss: RobustLoss = Huber(2.0)  # noqa: RUF009 - frozen

    def joint_sigmas(self) -> Float[Tensor, " joints"]:
        """Radians of the 23 body joints."""
        short = [name.removeprefix("left_").removeprefix("right_") for name in JOINT_NAMES[1:]]
        return torch.deg2rad(torch.tensor([self.joints[name] for name in short], dtype=torch.float64))


@dataclass(frozen=True)
class Observed:
    """What was observed of one person at his keyframes: pelvis (metres) and root rotation in the camera frame, and the 23
    local rotations; `trust` 0-1 multiplies the weight of each row."""

    pelvis: Float[Tensor, "rows 3"]
    orient: Float[Tensor, "rows 3 3"]
    pose: Float[Tensor, "rows 23 3 3"]
    trust: Float[Tensor, " rows"]


def bias_name(person: UnknownPerson) -> str:
    """The variable (1, 1) of a person's common depth error, a logarithm."""
    return f"depth_bias_{person.id}"


def bias_term(person: UnknownPerson, sigma: float) -> Term:
    """The common depth error is small."""
    name = bias_name(person)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        jacobian = torch.full((1, 1, 1, 1), 1 / sigma, dtype=torch.float64)
        residual = (values[name] / sigma)[:, None]
        return Linearized(residual, [Block(name, torch.tensor([0]), jacobian)] if with_jacobian else [])

    return Term("person_depth_bias", evaluate)


def place_term(
    person: UnknownPerson, cameras: CameraRows, observed: Observed, config: PriorConfig, weight: float
) -> Term:
    """Pelvis near the observed one: share of the depth, and metres across. With another focal length f the observed
    body keeps its pixels and x, y, and z becomes z f / f_init (JOSH, "Optimizing Focal Length")."""
    root = (weight * observed.trust).sqrt()[:, None, None]
    rows = torch.arange(person.frames)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        rotation, centre, _ = cameras.at(values)
        zoom = (
            torch.exp(values[LOG_FOCAL][0, 0]) if cameras.unknown is not None else torch.ones((), dtype=torch.float64)
        )
        rest = person.rest_of(values[person.betas])[0][0]
        pelvis = ((values[person.transl] + rest - centre)[:, None] @ rotation.mT)[:, 0]
        depth = pelvis[:, 2:].clamp_min(0.1)
        expected = observed.pelvis * torch.stack([torch.ones_like(zoom), torch.ones_like(zoom), zoom])
        ray = expected[:, :2] / expected[:, 2:]
        across = (pelvis[:, :2] / depth - ray) * expected[:, 2:] / config.across
        along = (torch.log(depth / expected[:, 2:]) - values[bias_name(person)]) / config.depth
        residual = (
            torch.stack([torch.nn.functional.pad(across, (0, 1)), torch.nn.functional.pad(along, (0, 2))], 1) * root
        )
        if not with_jacobian:
            return Linearized(residual)
        by_camera = torch.zeros(person.frames, 2, 3, 3, dtype=torch.float64)
        factor = expected[:, 2:] / (depth * config.across)
        by_camera[:, 0, :2, :2] = factor[..., None] * torch.eye(2, dtype=torch.float64)
        by_camera[:, 0, :2, 2] = -factor * pelvis[:, :2] / depth
        by_camera[:, 1, 0, 2] = 1 / (depth[:, 0] * config.depth)
        by_camera = by_camera * root[..., None]
        by_world = by_camera @ rotation[:, None]
        by_bias = torch.zeros(person.frames, 2, 3, 1, dtype=torch.float64)
        by_bias[:, 1, 0, 0] = -1 / config.depth
        blocks = [Block(person.transl, rows, by_world), *cameras.blocks(by_camera, pelvis[:, None], by_world)]
        blocks.append(Block(bias_name(person), torch.zeros_like(rows), by_bias * root[..., None]))
        if person.shape_is_free:
            slope = person.rest_slope(values[person.betas])[0][0]
            blocks.append(Block(person.betas, torch.zeros_like(rows), by_world @ slope))
        if cameras.unknown is not None:
            by_focal = torch.zeros(person.frames, 2, 3, 1, dtype=torch.float64)
            by_focal[:, 0, :2, 0] = (pelvis[:, :2] / depth) * expected[:, 2:] / config.across
            by_focal[:, 1, 0, 0] = -1 / config.depth
            blocks.append(Block(LOG_FOCAL, torch.zeros_like(rows), by_focal * root[..., None]))
        return Linearized(residual, blocks)

    return Term("person_place", evaluate, config.loss)


def orient_term(
    person: UnknownPerson, cameras: CameraRows, observed: Observed, config: PriorConfig, weight: float
) -> Term:
    """log(observed^-1 R_camera_world R_root) over its deviation."""
    scale = (weight * observed.trust).sqrt()[:, None] / torch.deg2rad(torch.tensor(config.orient, dtype=torch.float64))
    rows, first = torch.arange(person.frames), torch.zeros(person.frames, dtype=torch.long)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        rotation, _, _ = cameras.at(values)
        believed = rotation @ values[person.rotations][:, 0]
        away = log_so3(observed.orient.mT @ believed)
        residual = (away * scale)[:, None]
        if not with_jacobian:
            return Linearized(residual)
        by_turn = right_jacobian_inverse(away) * scale[..., None]
        blocks = [Block(person.rotations, rows, by_turn[:, None], first)]
        if cameras.unknown is not None:
            blocks.append(Block(CAMERA_ROTATIONS, cameras.unknown, -(by_turn @ believed.mT)[:, None]))
        return Linearized(residual, blocks)

    return Term("person_orient", evaluate, config.loss)


def pose_term(person: UnknownPerson, observed: Observed, config: PriorConfig, weight: float) -> Term:
    """log(observed^-1 R) of the 23 body joints over their deviations."""
    joints = len(JOINT_NAMES) - 1
    scale = (weight * observed.trust).sqrt()[:, None, None] / config.joint_sigmas()[None, :, None]
    rows = torch.arange(person.frames).repeat_interleave(joints)
    first = (3 * torch.arange(1, joints + 1)).repeat(person.frames)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        away = log_so3(observed.pose.mT @ values[person.rotations][:, 1:])
        residual = (away * scale).reshape(-1, 1, 3)
        if not with_jacobian:
            return Linearized(residual)
        jacobian = (right_jacobian_inverse(away) * scale[..., None]).reshape(-1, 1, 3, 3)
        return Linearized(residual, [Block(person.rotations, rows, jacobian, first)])

    return Term("person_pose", evaluate, config.loss)


def shape_terms(
    person: UnknownPerson, slope: Float[Tensor, " betas"], first: Float[Tensor, "1 betas"], free_body: bool,
    config: PriorConfig,
) -> list[Term]:  # fmt: skip
    """The shape near the observed one, entry by entry, and the logarithm of the stature (`slope`: its derivative) by
    itself: many entries change it, and together they would make children of adults."""
    each = torch.full((first.shape[1],), config.phenotypes if free_body else config.components, dtype=torch.float64)
    # The entry that is stature and little else is free to make up for what the others do to it.
    index = PHENOTYPES.index("height") if free_body else 0
    each[index : index + 1] = _FREE
    slope = slope / config.stature

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        residual = ((values[person.betas] - first) @ slope)[None, None]
        jacobian = slope[None, None, None].clone()
        return Linearized(residual, [Block(person.betas, torch.tensor([0]), jacobian)] if with_jacobian else [])

    return [shape_prior_term(person, first[0], each), Term("person_stature", evaluate)]
