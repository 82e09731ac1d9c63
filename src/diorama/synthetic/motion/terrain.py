"""What is under a foot: where it may stand on a layout, and how high it must be carried."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from diorama.synthetic.feet import Foothold, pitched, standing_frame
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion.figure import Figure

# What sticks up less than this under a sole does not matter; a site this far above the ground hangs in the air.
_UNEVEN = 0.003
# Room kept around a standing foot, metres.
MARGIN = 0.012


def surface_height(layout: Layout, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n"]:
    """The highest thing at ground points, floor or any slab, metres."""
    height = layout.floor_height(xy)
    for slab in layout.slabs:
        height = np.where(slab.covers(xy), np.maximum(height, slab.top), height)
    return height


def near(layout: Layout, points: Float[np.ndarray, "*n 2"], reach: float) -> Layout:
    """The layout with only those slabs that come within `reach` metres of the box around some ground points."""
    flat = points.reshape(-1, 2)
    low, high = flat.min(0) - reach, flat.max(0) + reach
    kept = []
    for slab in layout.slabs:
        radius = 0.5 * float(np.hypot(*slab.size[:2]))
        middle = np.array(slab.base[:2])
        if (middle + radius >= low).all() and (middle - radius <= high).all():
            kept.append(slab)
    return replace(layout, slabs=tuple(kept))


def ground_normal(layout: Layout, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Unit normal of what a foot stands on: the floor's, or straight up on steps."""
    on_floor = layout.ground_height(xy) <= layout.floor_height(xy) + 1e-9
    return np.where(on_floor[:, None], layout.floor_normal, np.array([0.0, 0.0, 1.0]))


def foot_fits(
    layout: Layout,
    figure: Figure,
    side: int,
    xy: Float[np.ndarray, "n 2"],
    yaw: Float[np.ndarray, " n"],
    margin: float = MARGIN,
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, "n 2"]]:
    """Whether a flat foot can stand with its ankle above each point: nothing sticks into it and its toes or heel stand.

    Returns:
        Allowed or not, and per foot whether heel and toe sites have ground under them.
    """
    points, sites = _flat_foot(layout, figure, side, xy, yaw, margin)
    free = (surface_height(layout, points[..., :2]) - points[..., 2] < _UNEVEN).all(1)
    gap = sites[..., 2] - layout.ground_height(sites[..., :2])
    held = np.abs(gap) < _UNEVEN
    # A foot stands on its ball; the heel alone carries only somebody who goes downstairs.
    middle = 0.5 * (sites[:, 0] + sites[:, 1])
    carried = np.abs(middle[:, 2] - layout.ground_height(middle[:, :2])) < _UNEVEN
    return free & carried & held.any(1), held


def _flat_foot(
    layout: Layout, figure: Figure, side: int, xy: np.ndarray, yaw: np.ndarray, margin: float
) -> tuple[Float[np.ndarray, "n points 3"], Float[np.ndarray, "n 2 3"]]:
    """Outline points, widened by the margin and put on the plane of the sole, and heel and toe sites."""
    shape, (behind, front) = figure.skeleton.feet[side], figure.outlines[side]
    normal = ground_normal(layout, xy)
    level = standing_frame(yaw, normal)
    standing = np.concatenate([xy, layout.ground_height(xy)[:, None]], 1) + shape.ankle_height * normal
    outline = np.concatenate([behind, shape.ball + front])[:, [0, 2]]
    # A grid over the whole sole: a thin bar would slip between points of its outline.
    low, high = outline.min(0) - margin, outline.max(0) + margin
    across, along = np.linspace(low[0], high[0], 3), np.linspace(low[1], high[1], 9)
    grid = np.stack(np.meshgrid(across, along), -1).reshape(-1, 2)
    sole = np.insert(grid, 1, -shape.ankle_height, axis=1)
    sites = np.stack([shape.heel, shape.ball + shape.toe]) @ pitched(np.array(shape.flat_pitch)).T
    return standing[:, None] + sole @ np.swapaxes(level, 1, 2), standing[:, None] + sites @ np.swapaxes(level, 1, 2)


def foothold(layout: Layout, figure: Figure, side: int, xy: Float[np.ndarray, 2], yaw: float) -> Foothold:
    """A flat foot standing on the layout for ever; when it came and goes is for the planner to say."""
    _, held = foot_fits(layout, figure, side, xy[None], np.array([yaw]))
    x, y = (float(v) for v in xy)
    normal = ground_normal(layout, xy[None])[0]
    z = float(layout.ground_height(xy[None])[0])
    return Foothold(
        (x, y, z), float(yaw), normal=(float(normal[0]), float(normal[1]), float(normal[2])),
        heel=bool(held[0, 0]), toe=bool(held[0, 1]),
    )  # fmt: skip
