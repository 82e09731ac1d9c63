"""Correspondences of keyframe pairs as padded tensors: every match carries a point of one map into the other picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.methods.josh.point_maps import PointMaps
from diorama.observations import Matches


@dataclass(frozen=True)
class Carried:
    """Both directions of all pairs: points of keyframe `source[n]`, seen again in keyframe `target[n]`.

    Pixels are without distortion and relative to the principal point. `weight` is 0 for padding and for points without
    depth; `depth_weight` also where the target has none. float32: there are hundreds of thousands.
    """

    source: Int[Tensor, " sides"]
    target: Int[Tensor, " sides"]
    pixel: Float[Tensor, "sides points 2"]
    depth: Float[Tensor, "sides points"]
    nodes: Float[Tensor, "sides points nodes"]
    seen: Float[Tensor, "sides points 2"]
    seen_depth: Float[Tensor, "sides points"]
    seen_nodes: Float[Tensor, "sides points nodes"]
    weight: Float[Tensor, "sides points"]
    depth_weight: Float[Tensor, "sides points"]

    @property
    def pairs(self) -> int:
        """Number of pairs of keyframes."""
        return len(self.source) // 2

    def to(self, device: torch.device | str) -> Carried:
        """The same on another device."""
        return Carried(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


def carried_points(matches: Matches | None, maps: PointMaps, effective: float) -> Carried:
    """All usable matches between the keyframes of `maps`.

    Errors of matches of one pair are not independent: a pair with more than `effective` matches counts as so many.
    Confidences are relative to their median. Matches with NaN, without depth, or of other frames are left out.
    """
    nothing = np.zeros(0, int)
    key_i, key_j, chosen = between_keyframes(matches, maps) if matches is not None else (nothing, nothing, nothing)
    if not len(chosen) or matches is None:
        return _pad([], maps)
    xy_i, xy_j = (np.asarray(xy, np.float64)[chosen] for xy in (matches.xy_i, matches.xy_j))
    confidence = np.nan_to_num(np.asarray(matches.confidence, np.float64)[chosen]).clip(0)
    confidence = np.minimum(confidence / max(float(np.median(confidence)), 1e-9), 2.0)
    one, other = _points(xy_i, key_i, maps), _points(xy_j, key_j, maps)
    pair = key_i * len(maps.rows) + key_j
    order = np.argsort(pair, kind="stable")
    bounds = np.flatnonzero(np.diff(pair[order], prepend=-1))
    sides = []
    for members in np.split(order, bounds[1:]):
        share = min(1.0, effective / len(members))
        for a, b, ka, kb in ((one, other, key_i, key_j), (other, one, key_j, key_i)):
            sides.append((int(ka[members[0]]), int(kb[members[0]]), a, b, members, share * confidence[members]))
    return _pad(sides, maps)


def between_keyframes(matches: Matches, maps: PointMaps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keyframe indices of both ends, and which matches join two different keyframes at finite pixels."""
    ends = []
    for frames in (matches.frames_i, matches.frames_j):
        at = np.clip(np.searchsorted(maps.rows, frames), 0, max(len(maps.rows) - 1, 0))
        ends.append(np.where(maps.rows[at] == frames, at, -1) if len(maps.rows) else np.full(len(frames), -1))
    finite = np.isfinite(matches.xy_i).all(1) & np.isfinite(matches.xy_j).all(1)
    chosen = np.flatnonzero((ends[0] >= 0) & (ends[1] >= 0) & (ends[0] != ends[1]) & finite)
    return ends[0][chosen], ends[1][chosen], chosen


def _points(pixels: np.ndarray, keys: np.ndarray, maps: PointMaps) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels without distortion, depth, weights of the nodes."""
    return maps.straight(pixels, keys), maps.depth_at(pixels, keys), maps.weights(pixels)


def _pad(sides: list, maps: PointMaps) -> Carried:
    most = max((len(side[4]) for side in sides), default=0)
    count, nodes = len(sides), maps.nodes
    shapes = ((count, most, 2), (count, most), (count, most, nodes))
    pixel, depth, weights = (np.zeros(shape, np.float32) for shape in shapes)
    seen, seen_depth, seen_nodes = (np.zeros(shape, np.float32) for shape in shapes)
    weight, depth_weight = np.zeros(shapes[1], np.float32), np.zeros(shapes[1], np.float32)
    for n, (_, _, one, other, members, share) in enumerate(sides):
        m = len(members)
        pixel[n, :m], depth[n, :m], weights[n, :m] = (part[members] for part in one)
        seen[n, :m], seen_depth[n, :m], seen_nodes[n, :m] = (part[members] for part in other)
        weight[n, :m] = share * (depth[n, :m] > 0)
        depth_weight[n, :m] = weight[n, :m] * (seen_depth[n, :m] > 0)
    ends = (torch.tensor([side[k] for side in sides], dtype=torch.long) for k in (0, 1))
    arrays = pixel, np.where(depth > 0, depth, 1), weights, seen, np.where(seen_depth > 0, seen_depth, 1), seen_nodes
    return Carried(*ends, *(torch.from_numpy(np.ascontiguousarray(a)) for a in (*arrays, weight, depth_weight)))
