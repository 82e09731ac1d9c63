"""A first guess of a person's pose from limb directions, and of the place from the landmarks' spread in the picture."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS
from diorama.body.motion_terms import PosePrior
from diorama.body.unknown_person import UnknownPerson
from diorama.frontends.body_evidence import LIMBS, Evidence
from diorama.geometry.rotations import nearest_rotation, rotation_between

# Joint that is turned, the rest bone (joint -> child) that shows its direction, and the limb that is seen.
CHAINS: tuple[tuple[str, str, tuple[str, str]], ...] = (
    ("left_hip", "left_knee", ("left_hip", "left_knee")),
    ("right_hip", "right_knee", ("right_hip", "right_knee")),
    ("left_knee", "left_ankle", ("left_knee", "left_ankle")),
    ("right_knee", "right_ankle", ("right_knee", "right_ankle")),
    ("left_shoulder", "left_elbow", ("left_shoulder", "left_elbow")),
    ("right_shoulder", "right_elbow", ("right_shoulder", "right_elbow")),
    ("left_elbow", "left_wrist", ("left_elbow", "left_wrist")),
    ("right_elbow", "right_wrist", ("right_elbow", "right_wrist")),
)


def initial_rotations(
    evidence: Evidence, joints_rest: Float[Tensor, "24 3"], prior: PosePrior
) -> Float[Tensor, "frames 24 3 3"]:
    """Root from hips and shoulders, limbs turned along their seen directions, everything else relaxed."""
    limb = {pair: evidence.directions_world[:, i] for i, pair in enumerate(LIMBS)}
    up = limb["left_hip", "left_shoulder"] + limb["right_hip", "right_shoulder"]
    left = -limb["left_hip", "right_hip"] - limb["left_shoulder", "right_shoulder"]
    forward = torch.linalg.cross(left, up)
    root = nearest_rotation(torch.stack([_unit(left), _unit(up), _unit(forward)], -1))
    mean = prior.mean_rotations().expand(len(root), -1, -1, -1)
    rotations = torch.cat([root[:, None], mean], 1).clone()
    for joint, child, pair in CHAINS:
        index = JOINT_INDEX[joint]
        bone = joints_rest[JOINT_INDEX[child]] - joints_rest[index]
        seen = (_global(rotations, JOINT_PARENTS[index]).mT @ limb[pair][..., None])[..., 0]
        rotations[:, index] = rotation_between(bone.expand_as(seen), seen)
    return rotations


def initial_translation(
    person: UnknownPerson, names: list[str], evidence: Evidence, rotations: Tensor, betas: Tensor
) -> Float[Tensor, "frames 3"]:
    """Where the posed landmarks project best, by linear least squares per frame: (X + t) x ray = 0."""
    values = {
        person.transl: torch.zeros(len(rotations), 3, dtype=torch.float64),
        person.rotations: rotations,
        person.betas: betas,
    }
    points = person.points(values, False).position[:, person.index(names)] @ evidence.cameras.R_camera_world.mT
    xy = evidence.seen[:, : len(names)] / evidence.cameras.focal[:, None, None]
    weight = evidence.confidence.clamp_min(1e-3)
    eye = torch.eye(2, dtype=torch.float64).expand(*xy.shape, 2)
    rows = torch.cat([eye, -xy[..., None]], -1) * weight[..., None, None]
    right = (xy * points[..., 2:] - points[..., :2]) * weight[..., None]
    offset = torch.linalg.lstsq(rows.flatten(1, 2), right.flatten(1)[..., None]).solution[..., 0]
    behind = offset[:, 2] < 0.3
    offset[behind, 2] = 3.0
    return (evidence.cameras.R_camera_world.mT @ offset[..., None])[..., 0]


def _global(rotations: Tensor, joint: int) -> Tensor:
    """Global rotation of a joint by the chain above it."""
    frame = rotations[:, joint]
    while JOINT_PARENTS[joint] >= 0:
        joint = JOINT_PARENTS[joint]
        frame = rotations[:, joint] @ frame
    return frame


def _unit(vector: Tensor) -> Tensor:
    return torch.nn.functional.normalize(vector, dim=-1)
