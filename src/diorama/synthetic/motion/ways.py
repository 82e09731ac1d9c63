"""Ways round what stands about: the shortest polyline past the corners of everything that cannot be walked on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion.terrain import near

_WIDE = 4.0


def way_round(
    layout: Layout, start: tuple[float, float], goal: tuple[float, float], room: float
) -> list[tuple[float, float]] | None:
    """Places to walk through, the goal last, `room` metres away from everything; None if there is no way.

    Start and goal may themselves be nearer to things than that; if one of them is on steps, steps are ground. What is
    more than 4 m off the direct way is no help and no hindrance.
    """
    nearby = near(layout, np.array([start, goal]), _WIDE)
    ends = np.array([start, goal])
    on_steps = any(slab.covers(ends).any() for slab in nearby.of_kind("step"))
    blocks = [_grown(slab, room) for slab in nearby.slabs if slab.kind != "step" or not on_steps]
    # Beside a seat that somebody comes from or goes to there is less room.
    tight = [_tightened(block, room, np.array(start), np.array(goal)) for block in blocks]
    nodes = np.concatenate([np.array([start, goal]), *(_corners(_grown(block, 0.02)) for block in blocks)])
    one, two = np.triu_indices(len(nodes), 1)
    free = np.ones(len(one), bool)
    for block, shrunk in zip(blocks, tight, strict=True):
        from_end = one < 2
        for rows, box in ((~from_end, block), (from_end, shrunk)):
            free[rows] &= ~crosses(box, nodes[one[rows]], nodes[two[rows]])
    lengths = np.linalg.norm(nodes[one] - nodes[two], axis=1)
    graph = csr_matrix((lengths[free], (one[free], two[free])), shape=(len(nodes), len(nodes)))
    length, before = dijkstra(graph, directed=False, indices=0, return_predecessors=True)
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


def crosses(slab: Slab, one: Float[np.ndarray, "n 2"], two: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " n"]:
    """Which straight lines over the ground pass through a box (the slab method, in the box's axes)."""
    start, end = (slab.local(np.concatenate([ends, np.zeros((len(ends), 1))], 1))[:, :2] for ends in (one, two))
    half = np.array(slab.size[:2]) / 2
    way = np.where(np.abs(end - start) < 1e-12, 1e-12, end - start)
    gates = np.sort(np.stack([(-half - start) / way, (half - start) / way]), axis=0)
    first, last = np.maximum(gates[0].max(1), 0.0), np.minimum(gates[1].min(1), 1.0)
    return last - first > 1e-9


def free_places(layout: Layout, xy: Float[np.ndarray, "n 2"], room: float) -> Bool[np.ndarray, " n"]:
    """Which ground points have `room` metres around them without anything."""
    free = np.ones(len(xy), bool)
    for slab in layout.slabs:
        free &= ~_grown(slab, room).covers(xy)
    return free
