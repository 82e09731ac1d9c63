"""Ways round what stands about: the shortest polyline past the corners of everything that cannot be walked on."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse.csgraph import dijkstra

from diorama.synthetic.layout import Layout, Slab


def way_round(
    layout: Layout, start: tuple[float, float], goal: tuple[float, float], room: float
) -> list[tuple[float, float]] | None:
    """Places to walk through, the goal last, `room` metres away from everything but steps; None if there is no way.

    Start and goal may themselves be nearer to things than that.
    """
    blocks = [_grown(slab, room) for slab in layout.slabs if slab.kind != "step"]
    corners = [corner for block in blocks for corner in _corners(_grown(block, 0.02))]
    nodes = np.array([start, goal, *corners])
    costs = np.full((len(nodes), len(nodes)), np.inf)
    for i, j in itertools.combinations(range(len(nodes)), 2):
        # Beside a seat that somebody comes from or goes to there is less room.
        near = [_tightened(block, room, *nodes[[k for k in (i, j) if k < 2]]) for block in blocks]
        if not any(crosses(block, nodes[i], nodes[j]) for block in near):
            costs[i, j] = np.linalg.norm(nodes[i] - nodes[j])
    costs[~np.isfinite(costs)] = 0.0
    length, before = dijkstra(costs, directed=False, indices=0, return_predecessors=True)
    if not np.isfinite(length[1]):
        return None
    way, at = [], 1
    while at != 0:
        way.append((float(nodes[at, 0]), float(nodes[at, 1])))
        at = int(before[at])
    return way[::-1]


def _grown(slab: Slab, room: float) -> Slab:
    return replace(slab, size=(slab.size[0] + 2 * room, slab.size[1] + 2 * room, slab.size[2]))


def _corners(slab: Slab) -> Float[np.ndarray, "4 2"]:
    c, s = np.cos(slab.yaw), np.sin(slab.yaw)
    half = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * np.array(slab.size[:2]) / 2
    return np.array(slab.base[:2]) + half @ np.array([[c, s], [-s, c]])


def _tightened(block: Slab, room: float, *ends: np.ndarray) -> Slab:
    """The block, shrunk just so far that given ends lie outside it, at most to what it was before it was grown."""
    for end in ends:
        x, y = np.abs(block.local(np.array([end[0], end[1], 0.0]))[:2])
        over = min(block.size[0] / 2 - x, block.size[1] / 2 - y)
        if over > 0:
            block = _grown(block, -min(over + 1e-6, room))
    return block


def crosses(slab: Slab, one: Float[np.ndarray, 2], two: Float[np.ndarray, 2]) -> bool:
    """Whether a straight line over the ground passes through a box."""
    ends = slab.local(np.array([[*one, 0.0], [*two, 0.0]]))[:, :2]
    way = ends[1] - ends[0]
    half = np.array(slab.size[:2]) / 2
    first, last = 0.0, 1.0
    for axis in range(2):
        if abs(way[axis]) < 1e-12:
            if abs(ends[0, axis]) >= half[axis]:
                return False
            continue
        near, far = sorted(((-half[axis] - ends[0, axis]) / way[axis], (half[axis] - ends[0, axis]) / way[axis]))
        first, last = max(first, near), min(last, far)
    return last - first > 1e-9


def free_places(layout: Layout, xy: Float[np.ndarray, "n 2"], room: float) -> Bool[np.ndarray, " n"]:
    """Which ground points have `room` metres around them without anything."""
    free = np.ones(len(xy), bool)
    for slab in layout.slabs:
        free &= ~_grown(slab, room).covers(xy)
    return free
