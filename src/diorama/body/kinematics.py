"""Forward kinematics of the 24-joint tree and its analytic Jacobian; joints only, no vertices, differentiable."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.joints import JOINT_PARENTS
from diorama.geometry.rotations import skew


def _levels() -> tuple[tuple[int, ...], ...]:
    """Joints grouped by their depth in the tree, so that each depth is one batched product."""
    depth: list[int] = []
    for parent in JOINT_PARENTS:
        depth.append(0 if parent < 0 else depth[parent] + 1)
    return tuple(tuple(j for j, d in enumerate(depth) if d == level) for level in range(max(depth) + 1))


_LEVELS = _levels()
_ORDER = tuple(joint for level in _LEVELS for joint in level)
_PLACE = tuple(_ORDER.index(joint) for joint in range(len(JOINT_PARENTS)))
_PARENT_SLOTS = tuple(
    tuple(_LEVELS[depth].index(JOINT_PARENTS[joint]) for joint in level) for depth, level in enumerate(_LEVELS[1:])
)


def ancestor_mask() -> list[list[bool]]:
    """`mask[a][j]`: joint j is joint a or one of its ancestors, (24, 24)."""
    mask = [[False] * len(JOINT_PARENTS) for _ in JOINT_PARENTS]
    for joint in range(len(JOINT_PARENTS)):
        up = joint
        while up >= 0:
            mask[joint][up] = True
            up = JOINT_PARENTS[up]
    return mask


def forward_kinematics(
    local_rotations: Float[Tensor, "frames 24 3 3"],
    joints_rest: Float[Tensor, "24 3"],
    transl: Float[Tensor, "frames 3"],
) -> tuple[Float[Tensor, "frames 24 3"], Float[Tensor, "frames 24 3 3"]]:
    """Joint positions and global joint rotations, SMPL's convention.

    Args:
        local_rotations: rotation of each joint relative to its parent's frame; the first is the global orientation.
        joints_rest: joints of the shaped body in its rest pose, metres.
        transl: added to everything after posing: the pelvis lies at `joints_rest[0] + transl`.
    """
    offsets = torch.cat([joints_rest[:1], joints_rest[1:] - joints_rest[list(JOINT_PARENTS[1:])]])
    rotations = [local_rotations[:, :1]]
    positions = [(joints_rest[0] + transl)[:, None]]
    for level, slots in zip(_LEVELS[1:], _PARENT_SLOTS, strict=True):
        joints, parents = list(level), list(slots)
        above = rotations[-1][:, parents]
        positions.append(positions[-1][:, parents] + (above @ offsets[joints][..., None])[..., 0])
        rotations.append(above @ local_rotations[:, joints])
    place = list(_PLACE)
    return torch.cat(positions, 1)[:, place], torch.cat(rotations, 1)[:, place]


def attach(
    joints: Float[Tensor, "frames 24 3"],
    rotations: Float[Tensor, "frames 24 3 3"],
    joints_rest: Float[Tensor, "24 3"],
    owners: Int[Tensor, " points"],
    points_rest: Float[Tensor, "points 3"],
) -> Float[Tensor, "frames points 3"]:
    """Points that are rigidly fixed to joints, carried by the pose."""
    offsets = points_rest - joints_rest[owners]
    return joints[:, owners] + (rotations[:, owners] @ offsets[..., None])[..., 0]


def attached_point_jacobians(
    joints: Float[Tensor, "frames 24 3"],
    rotations: Float[Tensor, "frames 24 3 3"],
    owners: Int[Tensor, " points"],
    points: Float[Tensor, "frames points 3"],
) -> Float[Tensor, "frames points 3 24 3"]:
    """d points / d w for the right perturbations `R_j <- R_j exp(w_j)` of all 24 local rotations at w = 0.

    A turn w_j of joint j moves every point below it by (G_j w_j) x (p - p_j), with G_j the joint's global rotation, so
    the block is -[p - p_j]_x G_j; it is zero for joints that are not ancestors. With respect to `transl` the Jacobian
    is the identity.
    """
    mask = torch.tensor(ancestor_mask(), dtype=points.dtype, device=points.device)[owners]
    # All joints beside each other, (p - q) and (p_j - q) apart: one product of matrices per frame. q is the pelvis.
    beside = rotations.permute(0, 2, 1, 3)
    from_pelvis = -skew(points - joints[:, :1]).flatten(1, 2) @ beside.flatten(2)
    of_joints = (skew(joints - joints[:, :1]) @ rotations).permute(0, 2, 1, 3)
    blocks = from_pelvis.view(*points.shape, *beside.shape[2:]) + of_joints[:, None]
    return blocks * mask[:, None, :, None]
