"""Pairs of keyframes, and who is in both pictures of a pair."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from diorama.body.model import ShapedBody
from diorama.geometry.cameras import project
from diorama.methods.carried import bodies_of, camera_joints
from diorama.methods.josh3r.chaining import body_placement
from diorama.observations import Observations, ObservedBody, Track

# Boxes of people without a track reach so far beyond their joints, shares of the joints' own.
_AROUND = 0.15


@dataclass(frozen=True)
class PairPeople:
    """One row per person and pair of keyframes.

    Attributes:
        id: of the person.
        pair: row of the pair.
        boxes_1, boxes_2: x1, y1, x2, y2 in source pixels.
        placed_1, placed_2: T_camera_body, see `chaining`.
        weight: the lesser of the body's two confidences.
    """

    id: Int[np.ndarray, " n"]
    pair: Int[np.ndarray, " n"]
    boxes_1: Float[np.ndarray, "n 4"]
    boxes_2: Float[np.ndarray, "n 4"]
    placed_1: Float[np.ndarray, "n 4 4"]
    placed_2: Float[np.ndarray, "n 4 4"]
    weight: Float[np.ndarray, " n"]

    def resized(self, ratio: Mapping[int, float]) -> PairPeople:
        """With everybody so many times as large and as far away, by id: on the same pixels."""
        factor = np.array([ratio[int(id)] for id in self.id]).reshape(-1, 1)
        sides = [np.array(placed) for placed in (self.placed_1, self.placed_2)]
        for side in sides:
            side[:, :3, 3] *= factor
        return replace(self, placed_1=sides[0], placed_2=sides[1])


def people_in_pairs(
    observations: Observations,
    shaped: dict[int, ShapedBody],
    keys: Int[np.ndarray, " keys"],
    pairs: Int[np.ndarray, "pairs 2"],
    K: Float[np.ndarray, "frames 3 3"],
) -> PairPeople:
    """Everybody with a body and a box in both pictures.

    Args:
        observations: with bodies; boxes are those of the tracks, else around the body's joints.
        shaped: of all bodies.
        keys: rows of the keyframes; `pairs` are places in it.
        K: per frame, for the boxes around joints.
    """
    tracks = {track.id: track for track in observations.tracks.people} if observations.tracks else {}
    parts = [_of_person(body, shaped[body.id], tracks.get(body.id), keys, pairs, K) for body in bodies_of(observations)]
    every = [np.concatenate([part[i] for part in parts]) if parts else empty for i, empty in enumerate(_nobody())]
    return PairPeople(*every)


def _nobody() -> tuple[np.ndarray, ...]:
    whole, boxes, poses = np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 4, 4))
    return whole, whole, boxes, boxes, poses, poses, np.zeros(0)


def _of_person(
    body: ObservedBody,
    shaped: ShapedBody,
    track: Track | None,
    keys: Int[np.ndarray, " keys"],
    pairs: Int[np.ndarray, "pairs 2"],
    K: Float[np.ndarray, "frames 3 3"],
) -> tuple[np.ndarray, ...]:
    boxes = _boxes(body, shaped, track, K)
    whole = np.isfinite(boxes).all(1) & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    place = np.full(int(max(keys.max(initial=0), body.frames.max(initial=0))) + 1, -1)
    place[body.frames[whole]] = np.flatnonzero(whole)
    at = place[keys[pairs]]
    pair = np.flatnonzero((at >= 0).all(1))
    first, second = at[pair].T
    rest = shaped.joints_rest[0].double().numpy()
    placed = body_placement(np.asarray(body.global_orient, np.float64), np.asarray(body.transl, np.float64), rest)
    weight = np.minimum(body.confidence[first], body.confidence[second]).astype(np.float64)
    ids = np.full(len(pair), body.id)
    return ids, pair, boxes[first], boxes[second], placed[first], placed[second], weight


def _boxes(
    body: ObservedBody, shaped: ShapedBody, track: Track | None, K: Float[np.ndarray, "frames 3 3"]
) -> Float[np.ndarray, "n 4"]:
    """Of the track where it has one, else around the joints."""
    joints = camera_joints(body, shaped)
    pixels = project(joints, K[body.frames])
    low, high = pixels.min(1), pixels.max(1)
    around = _AROUND * (high - low)
    boxes = np.concatenate([low - around, high + around], -1)
    if track is not None:
        _, mine, theirs = np.intersect1d(body.frames, track.frames, return_indices=True)
        boxes[mine] = track.boxes[theirs]
    return boxes


def chain_pairs(keys: int) -> Int[np.ndarray, "pairs 2"]:
    """Neighbouring keyframes."""
    first = np.arange(max(keys - 1, 0))
    return np.stack([first, first + 1], -1)


def pairs_of(keys: int, baselines: tuple[int, ...]) -> Int[np.ndarray, "pairs 2"]:
    """Neighbouring keyframes first, then those that are so many keyframes apart."""
    farther = sorted(set(baselines) - {1})
    parts = [np.stack([np.arange(keys - gap), np.arange(gap, keys)], -1) for gap in farther if 1 < gap < keys]
    return np.concatenate([chain_pairs(keys), *parts])
