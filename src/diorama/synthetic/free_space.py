"""Where people and cameras may be in a layout, how far away its solids are, and what hides what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from diorama.synthetic.layout import Layout, Slab

# Half sides (x, y; metres) of the ground on which people act, for layouts made around the origin.
_STAGES = {"street": (4.0, 10.0), "slope": (7.0, 7.0), "clutter": (5.0, 5.0)}
# How far beyond the people a camera may go out of doors, and how far a layout without a stage of its own reaches.
_CAMERA_MARGIN, _OPEN_MARGIN = 3.5, 4.0
_SKY = 30.0
_UNDER_CEILING = 0.15


@dataclass(frozen=True)
class Zone:
    """A box of air: the ground rectangle from `low` to `high` (x, y; metres) up to the height `ceiling` (metres)."""

    low: tuple[float, float]
    high: tuple[float, float]
    ceiling: float = _SKY

    def contains(self, points: Float[np.ndarray, "*n d"], margin: float = 0.0) -> Bool[np.ndarray, "*n"]:
        """Points (x, y) or (x, y, z) that keep `margin` metres away from its sides."""
        xy = points[..., :2]
        inside = np.asarray(((xy >= np.array(self.low) + margin) & (xy <= np.array(self.high) - margin)).all(-1))
        if points.shape[-1] == 3:
            inside &= points[..., 2] <= self.ceiling - margin
        return inside

    def draw(self, rng: np.random.Generator, margin: float = 0.0, count: int = 1) -> Float[np.ndarray, "count 2"]:
        """Random ground points (x, y)."""
        return rng.uniform(np.array(self.low) + margin, np.array(self.high) - margin, (count, 2))


def stage_of(layout: Layout) -> Zone:
    """Where people act: inside the walls of a room, the presets' own ground, else 4 m around all that stands there."""
    if layout.name == "room":
        return _inside_walls(layout)
    if layout.name in _STAGES:
        x, y = _STAGES[layout.name]
        return Zone((-x, -y), (x, y))
    corners = np.array([[0.0, 0.0], *(corner for slab in layout.slabs for corner in footprint(slab))])
    low, high = corners.min(0) - _OPEN_MARGIN, corners.max(0) + _OPEN_MARGIN
    return Zone((float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def arena_of(layout: Layout) -> Zone:
    """Where cameras may be; only slabs stand in it, scenery of the distance begins outside."""
    stage = stage_of(layout)
    if layout.name == "room":
        return stage
    (x0, y0), (x1, y1), m = stage.low, stage.high, _CAMERA_MARGIN
    return Zone((x0 - m, y0 - m), (x1 + m, y1 + m))


def _inside_walls(layout: Layout) -> Zone:
    """The rectangle between four walls around the origin."""
    low, high, ceiling = np.full(2, -np.inf), np.full(2, np.inf), np.inf
    for wall in layout.of_kind("wall"):
        axis = int(wall.size[0] > wall.size[1])  # a wall along x bounds y
        middle, half = wall.base[axis], wall.size[axis] / 2
        if middle > 0:
            high[axis] = min(high[axis], middle - half)
        else:
            low[axis] = max(low[axis], middle + half)
        ceiling = min(ceiling, wall.top)
    return Zone((float(low[0]), float(low[1])), (float(high[0]), float(high[1])), float(ceiling - _UNDER_CEILING))


def footprint(slab: Slab) -> Float[np.ndarray, "4 2"]:
    """Ground corners, counter-clockwise."""
    x, y = slab.size[0] / 2, slab.size[1] / 2
    c, s = np.cos(slab.yaw), np.sin(slab.yaw)
    return np.array([[-x, -y], [x, -y], [x, y], [-x, y]]) @ np.array([[c, s], [-s, c]]) + np.array(slab.base[:2])


def ground_distance(slab: Slab, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """Horizontal distance to a box, metres; 0 over it."""
    p = slab.local(np.concatenate([xy, np.zeros_like(xy[..., :1])], -1))[..., :2]
    return np.linalg.norm(np.maximum(np.abs(p) - np.array(slab.size[:2]) / 2, 0), axis=-1)


def is_free(layout: Layout, xy: Float[np.ndarray, "*n 2"], reach: float = 0.3) -> Bool[np.ndarray, "*n"]:
    """Ground points where somebody of radius `reach` (metres) can be; steps and obstacles are stepped on and over."""
    free = stage_of(layout).contains(xy, reach)
    for slab in layout.slabs:
        if slab.kind not in ("step", "obstacle"):
            free &= ground_distance(slab, xy) > reach
    return free


def clearance(layout: Layout, points_world: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
    """Distance to the nearest solid (boxes and floor), metres; 0 inside of one."""
    floor = points_world[..., 2] - layout.floor_height(points_world[..., :2])
    distance = np.maximum(floor * layout.floor_normal[2], 0)
    for slab in layout.slabs:
        p = slab.local(points_world)
        half = np.array(slab.size) / 2
        beside = np.maximum(np.abs(p[..., :2]) - half[:2], 0)
        above = np.maximum(p[..., 2:] - slab.size[2], 0)
        distance = np.minimum(distance, np.linalg.norm(np.concatenate([beside, above], -1), axis=-1))
    return distance


def sees(layout: Layout, start: Float[np.ndarray, "*n 3"], end: Float[np.ndarray, "*n 3"]) -> Bool[np.ndarray, "*n"]:
    """Whether no box cuts the line between two points."""
    clear = np.ones(start.shape[:-1], bool)
    for slab in layout.slabs:
        a, b = slab.local(start), slab.local(end)
        enters, leaves = np.zeros(a.shape[:-1]), np.ones(a.shape[:-1])
        for axis, low in enumerate((-slab.size[0] / 2, -slab.size[1] / 2, -np.inf)):
            high = slab.size[2] if axis == 2 else -low
            step = b[..., axis] - a[..., axis]
            step = np.where(np.abs(step) < 1e-12, 1e-12, step)
            first, second = (low - a[..., axis]) / step, (high - a[..., axis]) / step
            enters = np.maximum(enters, np.minimum(first, second))
            leaves = np.minimum(leaves, np.maximum(first, second))
        clear &= enters >= leaves
    return clear
