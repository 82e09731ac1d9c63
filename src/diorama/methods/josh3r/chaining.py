"""From motions between two keyframes to paths in one world (JOSH, Eq. 9), and one camera path of several people's votes.

A person's body frame at keyframe k has the pelvis as its origin: `T_camera_body` = (global_orient, pelvis). The network's
motion dT_k = T_world_body,k^-1 T_world_body,k+1 is expressed in the body frame at k, so that motions are appended on the
right: T_world_body,k = T_camera_body,1 dT_1 ... dT_k-1, and the camera is T_world_camera = T_world_body T_camera_body^-1.
(Eq. 9 writes the first placement on the right, which would turn every motion about the first camera.) The world is the
first camera.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.geometry.rotations import matrix_of, nearest_rotation, rotvec_of
from diorama.geometry.transforms import invert, rigid


def motion(
    rel_rot6d: Float[np.ndarray, "*batch 6"], rel_trans: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 4 4"]:
    """Motions from the network's numbers: the six are the first two rows of a rotation, up to Gram-Schmidt."""
    first, second = np.asarray(rel_rot6d[..., :3], np.float64), np.asarray(rel_rot6d[..., 3:], np.float64)
    first = first / np.linalg.norm(first, axis=-1, keepdims=True)
    second = second - (first * second).sum(-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return rigid(np.stack([first, second, np.cross(first, second)], -2), rel_trans)


def body_placement(
    global_orient: Float[np.ndarray, "*batch 3"],
    transl: Float[np.ndarray, "*batch 3"],
    pelvis: Float[np.ndarray, "*p 3"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """T_camera_body of SMPL parameters: the body turns about its pelvis at rest, J0(betas), then `transl` is added."""
    return rigid(matrix_of(global_orient), transl + pelvis)


def chain(
    T_start: Float[np.ndarray, "4 4"], motions: Float[np.ndarray, "steps 4 4"]
) -> Float[np.ndarray, "frames 4 4"]:
    """T_start, T_start dT_1, T_start dT_1 dT_2, ...: one more than motions.

    Float64; rotations are put back onto SO(3) at the end, so that rounding does not turn into shear.
    """
    path = np.empty((len(motions) + 1, 4, 4))
    path[0] = T_start
    for step, moved in enumerate(motions):
        path[step + 1] = path[step] @ moved
    return rigid(nearest_rotation(torch.from_numpy(path[:, :3, :3])).numpy(), path[:, :3, 3])


def people_to_cameras(
    T_world_body: Float[np.ndarray, "frames 4 4"], T_camera_body: Float[np.ndarray, "frames 4 4"]
) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_camera of every frame from one person (the second half of Eq. 9)."""
    return T_world_body @ invert(T_camera_body)


def cameras_to_people(
    T_world_camera: Float[np.ndarray, "frames 4 4"], T_camera_body: Float[np.ndarray, "frames 4 4"]
) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_body of a person from the cameras: the inverse of `people_to_cameras`."""
    return T_world_camera @ T_camera_body


def camera_motion(
    T_camera_body_1: Float[np.ndarray, "*batch 4 4"],
    motions: Float[np.ndarray, "*batch 4 4"],
    T_camera_body_2: Float[np.ndarray, "*batch 4 4"],
) -> Float[np.ndarray, "*batch 4 4"]:
    """What a person's motion says of the camera's: T_world_camera,1^-1 T_world_camera,2 = T_1 dT T_2^-1."""
    return T_camera_body_1 @ motions @ invert(T_camera_body_2)


@dataclass(frozen=True)
class VoteConfig:
    """How votes are joined.

    Attributes:
        metres, radians: deviations from the common motion up to which a vote counts in full; beyond, its pull stays
            constant (Huber), so that a minority cannot carry the mean away.
        rounds: of reweighting.
    """

    metres: float = 0.03
    radians: float = 0.02
    rounds: int = 40


@dataclass(frozen=True)
class Votes:
    """Joined votes; a step without any stays where it was, and says so."""

    motions: Float[np.ndarray, "steps 4 4"]
    seen: Bool[np.ndarray, " steps"]


def vote(
    motions: Float[np.ndarray, "votes 4 4"],
    step: Int[np.ndarray, " votes"],
    weight: Float[np.ndarray, " votes"],
    steps: int,
    config: VoteConfig | None = None,
) -> Votes:
    """One camera motion per step: a robust mean of several people's, weighted by their confidence.

    Args:
        motions: one per person and step, from `camera_motion`.
        step: which step each belongs to, 0 to steps - 1.
        weight: confidence, from 0; votes of weight 0 do not count.
        steps: number of steps.
        config: see `VoteConfig`.
    """
    config = config or VoteConfig()
    counted = weight > 0
    motions, step, weight = motions[counted], step[counted], weight[counted].astype(np.float64)
    seen = np.bincount(step, minlength=steps) > 0
    means = np.broadcast_to(np.eye(4), (steps, 4, 4)).copy()
    means[seen] = _mean(motions, step, weight, steps)[seen]
    for _ in range(config.rounds if (np.bincount(step, minlength=steps) > 1).any() else 0):
        turn, shift = _deviations(motions, means[step])
        size = np.hypot(np.linalg.norm(turn, axis=-1) / config.radians, np.linalg.norm(shift, axis=-1) / config.metres)
        pull = weight / np.maximum(size, 1)
        total = _sums(pull, step, steps) + ~seen
        turn, shift = (_sums(pull[:, None] * part, step, steps) / total[:, None] for part in (turn, shift))
        means = rigid(means[:, :3, :3] @ matrix_of(turn), means[:, :3, 3] + shift)
    return Votes(means, seen)


def _deviations(
    motions: Float[np.ndarray, "votes 4 4"], means: Float[np.ndarray, "votes 4 4"]
) -> tuple[Float[np.ndarray, "votes 3"], Float[np.ndarray, "votes 3"]]:
    turn = rotvec_of(np.swapaxes(means[:, :3, :3], -1, -2) @ motions[:, :3, :3])
    return turn, motions[:, :3, 3] - means[:, :3, 3]


def _mean(
    motions: Float[np.ndarray, "votes 4 4"],
    step: Int[np.ndarray, " votes"],
    weight: Float[np.ndarray, " votes"],
    steps: int,
) -> Float[np.ndarray, "steps 4 4"]:
    """Chordal means; only steps with votes mean anything."""
    sums = _sums(weight[:, None] * motions.reshape(-1, 16), step, steps).reshape(-1, 4, 4)
    total = np.maximum(_sums(weight, step, steps), 1e-300)
    return rigid(nearest_rotation(torch.from_numpy(sums[:, :3, :3])).numpy(), sums[:, :3, 3] / total[:, None])


def _sums(
    values: Float[np.ndarray, "votes ..."], step: Int[np.ndarray, " votes"], steps: int
) -> Float[np.ndarray, "steps ..."]:
    sums = np.zeros((steps, *values.shape[1:]))
    np.add.at(sums, step, values)
    return sums
