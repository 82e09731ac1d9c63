"""Forward kinematics of a joint tree, points attached to it, and their derivatives in closed form."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@functools.lru_cache
def _levels(parents: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Joints by depth, root excluded, so that a level is computed in one batch."""
    depth = [0] * len(parents)
    for joint in range(1, len(parents)):
        depth[joint] = depth[parents[joint]] + 1
    return tuple(tuple(j for j, d in enumerate(depth) if d == level) for level in range(1, max(depth) + 1))


@functools.lru_cache
def ancestors(parents: tuple[int, ...]) -> Bool[Tensor, "joints joints"]:
    """`ancestors[j, k]`: joint k is j itself or above it, so that its rotation moves what is attached to j."""
    table = torch.eye(len(parents), dtype=torch.bool)
    for joint in range(1, len(parents)):
        table[joint] |= table[parents[joint]]
    return table


def forward_kinematics(
    parents: Sequence[int],
    joints_rest: Float[Tensor, "joints 3"],
    rotations: Float[Tensor, "frames joints 3 3"],
    transl: Float[Tensor, "frames 3"],
) -> tuple[Float[Tensor, "frames joints 3"], Float[Tensor, "frames joints 3 3"]]:
    """Joint positions and global joint rotations. Rotation 0 acts about the rest position of joint 0 (SMPL's rule):
    joint 0 is at `joints_rest[0] + transl`."""
    parents = tuple(parents)
    positions: list[Tensor] = [joints_rest[0] + transl] * len(parents)
    frames: list[Tensor] = [rotations[:, 0]] * len(parents)
    for level in _levels(parents):
        above = [parents[j] for j in level]
        parent_frames = torch.stack([frames[p] for p in above], 1)
        offsets = joints_rest[list(level)] - joints_rest[above]
        moved = torch.stack([positions[p] for p in above], 1) + (parent_frames @ offsets[..., None])[..., 0]
        turned = parent_frames @ rotations[:, list(level)]
        for index, joint in enumerate(level):
            positions[joint], frames[joint] = moved[:, index], turned[:, index]
    return torch.stack(positions, 1), torch.stack(frames, 1)


def attached_points(
    joints: Float[Tensor, "frames joints 3"],
    joint_rotations: Float[Tensor, "frames joints 3 3"],
    owner: Int[Tensor, " points"],
    offsets: Float[Tensor, "points 3"],
) -> Float[Tensor, "frames points 3"]:
    """Positions of points that ride on the joints `owner`; `offsets` are from the owner joint in the rest pose."""
    return joints[:, owner] + (joint_rotations[:, owner] @ offsets[..., None])[..., 0]


def rotation_jacobians(
    parents: Sequence[int],
    joints: Float[Tensor, "frames joints 3"],
    joint_rotations: Float[Tensor, "frames joints 3 3"],
    owner: Int[Tensor, " points"],
    points: Float[Tensor, "frames points 3"],
) -> Float[Tensor, "frames points 3 joints_3"]:
    """Derivative of attached points by perturbations R_k <- R_k exp(w_k) of all local rotations, (F, P, 3, 3 J).

    A joint turns everything below it about its own position: dp = (G_k w_k) x (p - p_k), with G_k the global rotation.
    """
    arm = points[:, :, None] - joints[:, None]
    arm = torch.where(ancestors(tuple(parents))[owner][None, :, :, None], arm, torch.zeros_like(arm))
    # columns of G_k crossed with the arm: (F, P, J, 3 components, 3 tangent entries)
    axes = joint_rotations[:, None].expand(-1, arm.shape[1], -1, -1, -1)
    crossed = torch.linalg.cross(axes, arm[..., None].expand_as(axes), dim=-2)
    return crossed.permute(0, 1, 3, 2, 4).reshape(*points.shape, -1)


def rest_jacobians(
    parents: Sequence[int],
    joint_rotations: Float[Tensor, "frames joints 3 3"],
    owner: Int[Tensor, " points"],
    joints_rest_by: Float[Tensor, "joints 3 betas"],
    offsets_by: Float[Tensor, "points 3 betas"],
) -> Float[Tensor, "frames points 3 betas"]:
    """Derivative of attached points by shape: kinematics is linear in rest positions for fixed rotations."""
    parents = tuple(parents)
    moved: list[Tensor] = [joints_rest_by[0].expand(len(joint_rotations), 3, joints_rest_by.shape[-1])] * len(parents)
    for level in _levels(parents):
        for joint in level:
            offset = joints_rest_by[joint] - joints_rest_by[parents[joint]]
            moved[joint] = moved[parents[joint]] + joint_rotations[:, parents[joint]] @ offset
    return torch.stack(moved, 1)[:, owner] + joint_rotations[:, owner] @ offsets_by
