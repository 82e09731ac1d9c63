"""Join the maps of overlapping segments into one world by similarities over what they share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8

from diorama.frontends.mapping import SegmentMap
from diorama.frontends.registration import RegisteredSegment
from diorama.geometry.alignment import Similarity
from diorama.geometry.rotations import matrix_of, mean_rotation, rotvec_of
from diorama.geometry.transforms import move_cameras, rigid


@dataclass(frozen=True)
class MappedSegment:
    """The map of a segment and the poses of all its rows, in the same world."""

    found: SegmentMap
    poses: RegisteredSegment


@dataclass(frozen=True)
class JoinedMap:
    """One world: poses of rows first..last, points with colours; `joints` holds the scale of every join."""

    rows: Int[np.ndarray, " frames"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    registered: Bool[np.ndarray, " frames"]
    residual_px: Float[np.ndarray, " frames"]
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    joints: tuple[float, ...] = ()


def join_segments(segments: list[MappedSegment]) -> JoinedMap:
    """Later segments are moved into the world of the first, one after the other; poses are blended where they overlap.

    Raises:
        ValueError: neighbours share no registered row.
    """
    first = segments[0]
    joined = JoinedMap(
        first.poses.rows, first.poses.T_world_camera, first.poses.registered, first.poses.residual_px,
        first.found.points, first.poses.colors,
    )  # fmt: skip
    towards = Similarity(1.0, np.eye(3), np.zeros(3))
    for before, after in itertools.pairwise(segments):
        step = similarity_between(before, after)
        towards = Similarity(
            towards.scale * step.scale, towards.rotation @ step.rotation, towards.apply(step.translation)
        )
        joined = _append(joined, after, towards, _shared_points(before, after)[1], step.scale)
    return joined


def similarity_between(before: MappedSegment, after: MappedSegment) -> Similarity:
    """World of `after` -> world of `before`.

    The scale is the median ratio of depths of observations that both maps explain (the same feature in the same
    keyframe), or of the cameras' spread if there are under 20; rotation and offset come from the shared cameras.
    """
    rows = np.intersect1d(
        before.poses.rows[before.poses.registered], after.poses.rows[after.poses.registered], assume_unique=True
    )
    if not len(rows):
        raise ValueError("the segments share no registered frame")
    one = before.poses.T_world_camera[rows - before.poses.rows[0]]
    two = after.poses.T_world_camera[rows - after.poses.rows[0]]
    rotation = mean_rotation(torch.from_numpy(one[:, :3, :3] @ np.swapaxes(two[:, :3, :3], 1, 2))).numpy()
    near, far = _shared_depths(before, after)
    if len(near) >= 20:
        scale = float(np.median(near / far))
    else:
        spread = [np.linalg.norm(T[:, :3, 3] - T[:, :3, 3].mean(0), axis=1).sum() for T in (one, two)]
        scale = float(spread[0] / spread[1]) if spread[1] > 0 else 1.0
    return Similarity(scale, rotation, np.median(one[:, :3, 3] - scale * two[:, :3, 3] @ rotation.T, axis=0))


def disagreement(before: MappedSegment, after: MappedSegment) -> float:
    """How far the shared cameras of two maps are apart once joined: median distance over the median depth seen there,
    or the median angle between their axes (radians) if that is larger.
    """
    step = similarity_between(before, after)
    _, i, j = np.intersect1d(before.poses.rows, after.poses.rows, assume_unique=True, return_indices=True)
    one, two = before.poses.T_world_camera[i], move_cameras(after.poses.T_world_camera[j], *step)
    apart = float(np.median(np.linalg.norm(one[:, :3, 3] - two[:, :3, 3], axis=1)))
    angle = float(np.median(np.linalg.norm(rotvec_of(np.swapaxes(one[:, :3, :3], 1, 2) @ two[:, :3, :3]), axis=1)))
    depth = float(np.median(_shared_depths(before, after)[0])) if len(_shared_depths(before, after)[0]) else np.inf
    return max(apart / depth, angle)


def _codes(found: SegmentMap) -> Int[np.ndarray, " n"]:
    """One number per observation: keyframe row and pixel to 1/64 px; the same feature in two maps has the same one."""
    x, y = np.round(found.seen_xy * 64).astype(np.int64).T
    return (found.rows[found.seen_key].astype(np.int64) << 40) | (x << 20) | y


def _shared(before: MappedSegment, after: MappedSegment) -> tuple[np.ndarray, np.ndarray]:
    _, i, j = np.intersect1d(_codes(before.found), _codes(after.found), return_indices=True)
    return i, j


def _shared_depths(before: MappedSegment, after: MappedSegment) -> tuple[np.ndarray, np.ndarray]:
    picked = zip((before.found, after.found), _shared(before, after), strict=True)
    one, two = (_depths(found, index) for found, index in picked)
    good = (one > 0) & (two > 0)
    return one[good], two[good]


def _depths(found: SegmentMap, index: np.ndarray) -> Float[np.ndarray, " n"]:
    T = found.T_world_camera[found.seen_key[index]]
    return ((found.points[found.seen_point[index]] - T[:, :3, 3]) * T[:, :3, 2]).sum(1)


def _shared_points(before: MappedSegment, after: MappedSegment) -> tuple[np.ndarray, np.ndarray]:
    i, j = _shared(before, after)
    return np.unique(before.found.seen_point[i]), np.unique(after.found.seen_point[j])


def _append(
    joined: JoinedMap, after: MappedSegment, towards: Similarity, known_points: np.ndarray, scale: float
) -> JoinedMap:
    moved = move_cameras(after.poses.T_world_camera, *towards)
    shared = int(joined.rows[-1] - after.poses.rows[0] + 1)
    blend = np.linspace(0, 1, shared + 2)[1:-1]
    head, tail = joined.T_world_camera[:-shared], joined.T_world_camera[-shared:]
    middle = blend_poses(tail, moved[:shared], blend)
    new = np.setdiff1d(np.arange(len(after.found.points)), known_points)
    better = blend < 0.5
    return JoinedMap(
        rows=np.arange(joined.rows[0], after.poses.rows[-1] + 1),
        T_world_camera=np.concatenate([head, middle, moved[shared:]]),
        registered=np.concatenate(
            [joined.registered[:-shared], joined.registered[-shared:] & after.poses.registered[:shared],
             after.poses.registered[shared:]]
        ),
        residual_px=np.concatenate(
            [joined.residual_px[:-shared],
             np.where(better, joined.residual_px[-shared:], after.poses.residual_px[:shared]),
             after.poses.residual_px[shared:]]
        ),
        points=np.concatenate([joined.points, towards.apply(after.found.points[new])]),
        colors=np.concatenate([joined.colors, after.poses.colors[new]]),
        joints=(*joined.joints, scale),
    )  # fmt: skip


def blend_poses(
    one: Float[np.ndarray, "n 4 4"], two: Float[np.ndarray, "n 4 4"], share: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 4 4"]:
    """Poses between `one` (share 0) and `two` (share 1), row by row: linear centres, geodesic rotations."""
    turn = rotvec_of(np.swapaxes(one[:, :3, :3], 1, 2) @ two[:, :3, :3])
    rotation = one[:, :3, :3] @ matrix_of(share[:, None] * turn)
    return rigid(rotation, (1 - share[:, None]) * one[:, :3, 3] + share[:, None] * two[:, :3, 3])
