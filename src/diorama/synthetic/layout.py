"""The walkable shape of a scene, exact and without looks: a level or sloped floor, and oriented boxes on it.

Motions are planned on it, scenery is built around it, and tests ask it whether anything penetrates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# What a box is for; people step on "step" and over "obstacle", sit on "seat", lie on "bed", lean on "table" and "wall".
SLAB_KINDS = ("step", "obstacle", "seat", "bed", "table", "wall", "clutter")


@dataclass(frozen=True)
class Slab:
    """A box with vertical sides: middle of its base (x, y, z), size along its own x, y, z (metres), yaw (radians)."""

    kind: str
    base: tuple[float, float, float]
    size: tuple[float, float, float]
    yaw: float = 0.0

    @property
    def top(self) -> float:
        """Height of the upper face in the world, metres."""
        return self.base[2] + self.size[2]

    def local(self, points_world: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Points relative to the base's middle, along the box's own axes."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return (points_world - np.array(self.base)) @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def depth_inside(self, points_world: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Distance to the nearest face for points inside (metres); 0 for the others. The base is no face: it stands."""
        p = self.local(points_world)
        half = np.array(self.size) / 2
        gaps = np.stack([half[0] - np.abs(p[..., 0]), half[1] - np.abs(p[..., 1]), self.size[2] - p[..., 2]], -1)
        inside = (gaps > 0).all(-1) & (p[..., 2] > -0.5)
        return np.where(inside, gaps.min(-1), 0.0)

    def covers(self, xy: Float[np.ndarray, "*n 2"]) -> Bool[np.ndarray, "*n"]:
        """Ground points under the box."""
        p = self.local(np.concatenate([xy, np.zeros_like(xy[..., :1])], -1))
        return np.asarray((np.abs(p[..., 0]) <= self.size[0] / 2) & (np.abs(p[..., 1]) <= self.size[1] / 2))


@dataclass(frozen=True)
class Layout:
    """A floor z = slope . (x, y) (rise per metre) and what stands on it."""

    name: str
    slabs: tuple[Slab, ...] = ()
    slope: tuple[float, float] = (0.0, 0.0)

    @property
    def floor_normal(self) -> Float[np.ndarray, 3]:
        """Unit normal of the floor, pointing up."""
        normal = np.array([-self.slope[0], -self.slope[1], 1.0])
        return normal / np.linalg.norm(normal)

    def of_kind(self, kind: str) -> tuple[Slab, ...]:
        """All boxes of one kind, in the layout's order."""
        return tuple(slab for slab in self.slabs if slab.kind == kind)

    def floor_height(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """The floor without anything on it, metres."""
        return np.asarray(xy @ np.array(self.slope))

    def ground_height(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
        """What a foot stands on: the floor, or the highest step there; metres."""
        height = self.floor_height(xy)
        for slab in self.of_kind("step"):
            height = np.where(slab.covers(xy), np.maximum(height, slab.top), height)
        return height

    def penetration(self, points_world: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n"]:
        """Depth inside the floor or a box, metres; 0 outside."""
        height = points_world[..., 2] - self.floor_height(points_world[..., :2])
        depth = np.maximum(-height * self.floor_normal[2], 0)
        for slab in self.slabs:
            depth = np.maximum(depth, slab.depth_inside(points_world))
        return np.asarray(depth)
