"""Depth maps against points of the cameras' world, and in its unit, whatever unit they were observed in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.observations import Depth, ObservedCameras

# Points that both the cameras and a depth map must show, at least.
_FEWEST = 50


def depth_in_camera_units(depth: Depth | None, cameras: ObservedCameras, size: tuple[int, int]) -> Depth | None:
    """Metric maps (of a network) divided by the median of their ratio to the cameras' sparse points; maps that are in
    the cameras' unit already as they are. None where nothing tells the ratio. `size` is that of the source picture."""
    if depth is None or depth.metric == cameras.metric:
        return depth
    pairs = [depths_of_points(depth, i, cameras.points_world, cameras, size) for i in range(len(depth.frames))]
    every = np.concatenate([np.zeros(0), *(own / shown for own, shown in pairs)])
    if len(every) < _FEWEST:
        return None
    unit = float(np.median(every))
    return replace(depth, depth=(depth.depth * unit).astype(depth.depth.dtype), metric=cameras.metric)


def depths_of_points(
    depth: Depth, index: int, points_world: Float[np.ndarray, "points 3"], cameras: ObservedCameras, size: tuple[int, int]
) -> tuple[Float[np.ndarray, " seen"], Float[np.ndarray, " seen"]]:  # fmt: skip
    """Of the points before the camera that fall on a pixel with a depth: their own depth, in units of the cameras'
    world, and that of map `index`, in its own. `size` is that of the source picture."""
    row = int(depth.frames[index])
    points = apply(invert(cameras.T_world_camera[row]), np.asarray(points_world, np.float64))
    points = points[points[:, 2] > 1e-6]
    shown = depth_at(depth, index, project(points, cameras.K[row], cameras.distortion[row]), size)
    return points[shown > 0, 2], shown[shown > 0]


def depth_at(
    depth: Depth, index: int, pixels: Float[np.ndarray, "n 2"], size: tuple[int, int]
) -> Float[np.ndarray, " n"]:
    """Depth of map `index` at pixels of the source picture of `size`; 0 outside and where unknown."""
    height, width = depth.depth.shape[1:]
    at = pixels * np.array([width / size[0], height / size[1]])
    inside = np.all(np.isfinite(at) & (at >= 0) & (at < np.array([width, height])), axis=1)
    x, y = np.where(inside[:, None], at, 0).astype(int).T
    found = depth.depth[index][y, x].astype(np.float64)
    return np.where(inside & np.isfinite(found), found, 0.0)
