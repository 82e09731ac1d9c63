"""Pixel correspondences of a map: the sparse points that two keyframes see, as matches between source pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from diorama.frontends.mapping import SegmentMap
from diorama.frontends.resection import project_points
from diorama.observations import Matches, Source


@dataclass(frozen=True)
class MapMatchConfig:
    """Keyframes at most `window` apart (of those mapped; JOSH: 10) are matched, with at most `per_pair` matches.

    Sightings more than `max_px` from their point's projection are left out (as in `RegistrationConfig`); the confidence
    is 1/2 at a miss of `scale_px` at both ends (SIFT's mean miss is some 0.5 px). Pixels here are those of the working
    picture. Of more than `per_pair` matches those are kept that are the most confident of their cell, of which there
    are `cells` along the longer side. So there are at most `window` x `per_pair` matches per keyframe.
    """

    window: int = 10
    per_pair: int = 300
    max_px: float = 2.0
    scale_px: float = 1.0
    cells: int = 16


@dataclass(frozen=True)
class _Pair:
    xy_i: Float[np.ndarray, "n 2"]
    xy_j: Float[np.ndarray, "n 2"]
    confidence: Float[np.ndarray, " n"]


def map_matches(
    maps: Sequence[SegmentMap], size: tuple[int, int], config: MapMatchConfig = MapMatchConfig()
) -> Matches:
    """Matches within each map, in pixels of the source picture of `size` = (width, height), distortion included.

    Pairs of keyframes in the overlap of two maps come from the first map that matches them.
    """
    pairs: dict[tuple[int, int], _Pair] = {}
    for found in maps:
        pairs = _matched_pairs(found, config) | pairs
    names = sorted(pairs)
    frames = np.repeat(np.array(names, np.int32).reshape(-1, 2), [len(pairs[name].xy_i) for name in names], axis=0)
    scale = np.array(size) / (maps[0].size if maps else size)
    none = np.zeros((0, 2))
    return Matches(
        source=Source("structure from motion", "pycolmap SIFT mapping", "BSD-3-Clause", ("static scene",)),
        frames_i=frames[:, 0],
        frames_j=frames[:, 1],
        xy_i=(scale * np.concatenate([none, *(pairs[name].xy_i for name in names)])).astype(np.float32),
        xy_j=(scale * np.concatenate([none, *(pairs[name].xy_j for name in names)])).astype(np.float32),
        confidence=np.concatenate([none[:, 0], *(pairs[name].confidence for name in names)]).astype(np.float32),
    )


def _matched_pairs(found: SegmentMap, config: MapMatchConfig) -> dict[tuple[int, int], _Pair]:
    """Pairs of rows with anything in common; pixels of the working picture."""
    miss = _misses(found)
    good = miss <= config.max_px
    keys = len(found.rows)
    seen = [np.flatnonzero(good & (found.seen_key == key)) for key in range(keys)]
    pairs = {}
    for i in range(keys):
        for j in range(i + 1, min(i + 1 + config.window, keys)):
            points_i, points_j = found.seen_point[seen[i]], found.seen_point[seen[j]]
            _, at_i, at_j = np.intersect1d(points_i, points_j, return_indices=True)
            one, two = seen[i][at_i], seen[j][at_j]
            confidence = 1 / (1 + (miss[one] ** 2 + miss[two] ** 2) / (2 * config.scale_px**2))
            kept = best_spread(found.seen_xy[one], confidence, max(found.size) / config.cells, config.per_pair)
            if len(kept):
                pair = _Pair(found.seen_xy[one[kept]], found.seen_xy[two[kept]], confidence[kept])
                pairs[int(found.rows[i]), int(found.rows[j])] = pair
    return pairs


def _misses(found: SegmentMap) -> Float[np.ndarray, " n"]:
    """Distance in working px of every sighting from the projection of its point."""
    miss = np.zeros(len(found.seen_key))
    for key, T in enumerate(found.T_world_camera):
        mine = found.seen_key == key
        points = found.points[found.seen_point[mine]]
        xy, _ = project_points(points, T, found.focal, found.k1, np.array(found.size) / 2)
        miss[mine] = np.linalg.norm(xy - found.seen_xy[mine], axis=1)
    return miss


def best_spread(
    xy: Float[np.ndarray, "n 2"], confidence: Float[np.ndarray, " n"], cell: float, most: int
) -> Int[np.ndarray, " kept"]:
    """At most `most` rows: first the most confident of every square cell of `cell` px, then every second one, ..."""
    if len(xy) <= most:
        return np.arange(len(xy))
    column, row = (xy // cell).astype(int).T
    cells = row * (column.max() + 1) + column
    order = np.lexsort([-confidence, cells])
    _, start, counts = np.unique(cells[order], return_index=True, return_counts=True)
    rank = np.empty(len(xy), int)
    rank[order] = np.arange(len(xy)) - np.repeat(start, counts)
    return np.sort(np.lexsort([-confidence, rank])[:most])
