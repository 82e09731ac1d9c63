"""A person's own skeleton, read off the result itself, so that files without a mesh need no body model."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.kinematics import forward_kinematics
from diorama.errors import DioramaError
from diorama.geometry.rotations import matrix_of
from diorama.reconstruction import Person


def local_rotations(person: Person) -> Float[np.ndarray, "frames 24 3 3"]:
    """Rotation of every joint against its parent, the first against the world; joints without a pose stay at rest.

    Raises:
        DioramaError: the motion is not finite, or has more joints than the bodies here.
    """
    pose = np.concatenate([person.global_orient[:, None], person.body_pose], 1)
    missing = len(JOINT_NAMES) - pose.shape[1]
    if missing < 0 or not np.isfinite(pose).all() or not np.isfinite(person.transl).all():
        what = "the motion is not finite" if missing >= 0 else f"{pose.shape[1]} posed joints instead of 24"
        raise DioramaError(what, where=f"person {person.id}", fix="run reconstruct again")
    return matrix_of(np.pad(pose, ((0, 0), (0, missing), (0, 0))))


def rest_joints(person: Person) -> Float[np.ndarray, "24 3"]:
    """Joints of the rest pose (+Y up, metres), by undoing the pose: the median over the frames of each bone.

    Where `joints_world` come from the body model, as they should, these are the model's own rest joints.
    """
    rotations = local_rotations(person)
    places = np.asarray(person.joints_world, np.float64)
    rest = np.zeros((len(JOINT_NAMES), 3))
    turns = np.empty_like(rotations)
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent < 0:
            rest[joint], turns[:, joint] = np.median(places[:, joint] - person.transl, 0), rotations[:, joint]
            continue
        bone = np.einsum("fji,fj->fi", turns[:, parent], places[:, joint] - places[:, parent])
        rest[joint], turns[:, joint] = rest[parent] + np.median(bone, 0), turns[:, parent] @ rotations[:, joint]
    return rest


def bones(rest: Float[np.ndarray, "24 3"]) -> Float[np.ndarray, "24 3"]:
    """Offset of every joint from its parent at rest, that of the pelvis from the origin."""
    return rest - np.where(np.array(JOINT_PARENTS)[:, None] < 0, 0, rest[list(JOINT_PARENTS)])


def placed_joints(
    rotations: Float[np.ndarray, "frames 24 3 3"],
    rest: Float[np.ndarray, "24 3"],
    transl: Float[np.ndarray, "frames 3"],
) -> tuple[Float[np.ndarray, "frames 24 3"], Float[np.ndarray, "frames 24 3 3"]]:
    """Places and rotations of all joints in the world (double precision: far from the origin nothing jitters)."""
    parts = (torch.from_numpy(np.asarray(part, np.float64)) for part in (rotations, rest, transl))
    places, turns = forward_kinematics(*parts)
    return places.numpy(), turns.numpy()
