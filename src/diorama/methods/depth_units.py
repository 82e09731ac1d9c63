"""Depth maps in the unit of the cameras' world, whatever unit they were observed in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
    ratios = [_ratios(depth, index, cameras, size) for index in range(len(depth.frames))]
    every = np.concatenate([np.zeros(0), *ratios])
    if len(every) < _FEWEST:
        return None
    unit = float(np.median(every))
    return replace(depth, depth=(depth.depth * unit).astype(depth.depth.dtype), metric=cameras.metric)


def _ratios(depth: Depth, index: int, cameras: ObservedCameras, size: tuple[int, int]) -> np.ndarray:
    """Distance of sparse points over that of the map, where a point falls on a pixel that has one."""
    row, picture = int(depth.frames[index]), depth.depth[index]
    points = apply(invert(cameras.T_world_camera[row]), cameras.points_world)
    points = points[points[:, 2] > 1e-6]
    pixels = project(points, cameras.K[row], cameras.distortion[row])
    x, y = np.floor(pixels * np.array([picture.shape[1] / size[0], picture.shape[0] / size[1]])).astype(int).T
    inside = (x >= 0) & (y >= 0) & (x < picture.shape[1]) & (y < picture.shape[0])
    seen = picture[y[inside], x[inside]]
    return points[inside, 2][seen > 0] / seen[seen > 0]
