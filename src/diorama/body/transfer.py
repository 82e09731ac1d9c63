"""Carrying a pose from one body to another: the same bones point the same way in the world.

All models here share SMPL's zero pose and the free body's limb bones are re-posed to SMPL's average rest directions, so
the parameters themselves almost transfer: copying them (`exact=False`) leaves the limbs' directions within a few
degrees, the spread of real SMPL shapes. `exact=True` also removes the small differences of limb rest directions.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS
from diorama.body.model import ShapedBody
from diorama.geometry.rotations import exp_so3, log_so3, rotation_between

# Joints whose bone (to the child given) is corrected. The trunk, collars, feet and hands keep their rotations: there
# the models differ in where joints lie inside the body, and turning them would bend the surface for nothing.
_LIMB_BONES = tuple(
    (f"{side}_{joint}", f"{side}_{child}")
    for side in ("left", "right")
    for joint, child in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
)


def transfer_pose(
    source: ShapedBody,
    target: ShapedBody,
    global_orient: Float[Tensor, "frames 3"],
    body_pose: Float[Tensor, "frames 23 3"],
    transl: Float[Tensor, "frames 3"],
    *,
    exact: bool = True,
) -> tuple[Float[Tensor, "frames 3"], Float[Tensor, "frames 23 3"], Float[Tensor, "frames 3"]]:
    """Pose parameters for `target` that show the pose of `source`: same pelvis place, same limb directions.

    Args:
        exact: correct the limbs for differing rest directions; else copy the rotations and only move the pelvis.

    Returns:
        Global orientation, body pose (rotation vectors, radians) and translation (metres) for the target.
    """
    moved = transl + source.joints_rest[0] - target.joints_rest[0]
    if not exact:
        return global_orient, body_pose, moved
    local = exp_so3(torch.cat([global_orient[:, None], body_pose], dim=1))
    frames = _rest_corrections(source, target)
    # G_target = G_source C per joint, so the local rotation is C_parent^T R C.
    parents = torch.stack([frames[parent] if parent >= 0 else torch.eye(3).to(frames) for parent in JOINT_PARENTS])
    out = log_so3(parents.transpose(-1, -2) @ local @ frames)
    return out[:, 0], out[:, 1:], moved


def _rest_corrections(source: ShapedBody, target: ShapedBody) -> Float[Tensor, "24 3 3"]:
    """Rotation per joint that turns the target's rest bone to the source's; identity off the limbs."""
    frames = [torch.eye(3).to(source.joints_rest) for _ in JOINT_PARENTS]
    for name, child in _LIMB_BONES:
        joint, end = JOINT_INDEX[name], JOINT_INDEX[child]
        bone_target = target.joints_rest[end] - target.joints_rest[joint]
        bone_source = source.joints_rest[end] - source.joints_rest[joint]
        frames[joint] = rotation_between(bone_target, bone_source)
    return torch.stack(frames)
