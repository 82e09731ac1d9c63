"""Depth maps of several keyframes checked against each other, cleaned at depth edges, and fused to one point cloud."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.frontends.ray_depth import RayDepth, View, normalised_grid
from diorama.geometry.cameras import distort
from diorama.geometry.transforms import apply, invert


@dataclass(frozen=True)
class FusionConfig:
    """A pixel survives if `min_agreeing` of the other keyframes tried show the same depth there within `agree` of it or
    `agree_sigmas` deviations, and if at most `max_seen_through` look through it onto something farther.

    A flat region (neighbours differ by under `flat_level` grey levels, `flat_area` px and more) of which less than
    `flat_coverage` has a depth loses it, with a rim of `flat_px`: there the flow only copies what is around, and sky
    would hang like a fringe about what stands before it. Pixels within `edge_px` of a bend of the inverse depth by
    `edge_bend` of it (a depth edge) and specks under `min_speck` pixels go. `voxel` is relative to the distance.
    """

    others: int = 6
    agree: float = 0.02
    agree_sigmas: float = 2.0
    min_agreeing: int = 2
    see_through: float = 0.10
    max_seen_through: int = 0
    edge_bend: float = 0.04
    edge_px: int = 1
    min_speck: int = 30
    flat_level: float = 3.0
    flat_area: int = 150
    flat_coverage: float = 0.4
    flat_px: int = 2
    voxel: float = 0.004
    max_points: int = 300_000


def clean_edges(result: RayDepth, config: FusionConfig) -> RayDepth:
    """Without pixels next to a depth jump (flow mixes both sides there), next to nothing, or in small specks."""
    known = result.depth > 0
    inverse = np.where(known, 1 / np.maximum(result.depth, 1e-9), 0).astype(np.float32)
    # On a plane, however slanted, the inverse depth is linear in the picture: its second difference vanishes.
    bend = np.zeros(known.shape, bool)
    for kernel in (np.array([[1, -2, 1]], np.float32), np.array([[1], [-2], [1]], np.float32)):
        whole = cv2.erode(known.astype(np.uint8), np.ones(kernel.shape, np.uint8)) > 0
        bend |= whole & (np.abs(cv2.filter2D(inverse, -1, kernel)) > config.edge_bend * inverse)
    reach = 2 * config.edge_px + 1
    near_edge = cv2.dilate(bend.astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return _keep(result, _without_specks(known & ~near_edge, config.min_speck))


def without_flat_fringes(result: RayDepth, grey: UInt8[np.ndarray, "height width"], config: FusionConfig) -> RayDepth:
    """Without the depth that leaks from edges into flat regions which have none of their own, such as sky."""
    kernel = np.ones((3, 3), np.uint8)
    flat = cv2.dilate(grey, kernel).astype(int) - cv2.erode(grey, kernel) < config.flat_level
    count, labels, stats, _ = cv2.connectedComponentsWithStats(flat.astype(np.uint8), connectivity=4)
    labels = np.asarray(labels, np.int64)
    covered = np.bincount(labels.ravel(), weights=(result.depth > 0).ravel(), minlength=count)
    bare = (stats[:, cv2.CC_STAT_AREA] >= config.flat_area) & (
        covered < config.flat_coverage * stats[:, cv2.CC_STAT_AREA]
    )
    bare[0] = False
    reach = 2 * (config.flat_px + 1) + 1  # one more, because the rim of a flat region has a neighbour that is not flat
    gone = cv2.dilate(bare[labels].astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
    return _keep(result, ~gone)


def _without_specks(mask: Bool[np.ndarray, "height width"], least: int) -> Bool[np.ndarray, "height width"]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = stats[:count, cv2.CC_STAT_AREA] >= least
    large[0] = False
    return large[np.asarray(labels, np.int64)]


def _keep(result: RayDepth, good: np.ndarray) -> RayDepth:
    return RayDepth(np.where(good, result.depth, 0), np.where(good, result.sigma, 1e3).astype(np.float32))


def agreement(
    index: int, others: list[int], views: list[View], maps: list[RayDepth], config: FusionConfig
) -> tuple[Bool[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """Which pixels of map `index` other keyframes confirm and none contradicts, and a confidence 0-1."""
    mine = maps[index]
    y, x = np.nonzero(mine.depth)
    world = _world_points(views[index], mine.depth, y, x)
    agreeing, through = np.zeros(len(y), int), np.zeros(len(y), int)
    for other in others:
        seen, there, sigma = _look_up(world, views[other], maps[other])
        both = np.hypot(np.where(there > 0, sigma, 0), mine.sigma[y, x])
        known = there > 0
        limit = np.maximum(config.agree, config.agree_sigmas * both)
        agreeing += known & (np.abs(seen / np.maximum(there, 1e-9) - 1) < limit)
        through += known & (seen < there * (1 - config.see_through - 2 * both))
    good = np.zeros(mine.depth.shape, bool)
    good[y, x] = (agreeing >= min(config.min_agreeing, len(others))) & (through <= config.max_seen_through)
    confidence = np.zeros(mine.depth.shape, np.float32)
    confidence[y, x] = np.clip(agreeing / 4, 0, 1) / (1 + (mine.sigma[y, x] / 0.02) ** 2)
    return good, np.where(good, confidence, 0)


def _world_points(view: View, depth: np.ndarray, y: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "n 3"]:
    plane = normalised_grid(view, 2)[y, x]
    camera = np.concatenate([plane, np.ones((len(y), 1))], 1) * depth[y, x][:, None]
    return apply(view.T_world_camera, camera)


def _look_up(world: np.ndarray, view: View, other: RayDepth) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Depth of the points in another view, the depth it has at their pixels (0 if none), and its deviation."""
    camera = apply(invert(view.T_world_camera), world)
    z = camera[:, 2]
    plane = camera[:, :2] / np.maximum(z, 1e-6)[:, None]
    pixel = np.floor((distort(plane, view.distortion) * view.K[[0, 1], [0, 1]] + view.K[:2, 2]) / 2)
    height, width = other.depth.shape
    inside = (z > 1e-6) & (pixel >= 0).all(1) & (pixel < [width, height]).all(1)
    x, y = np.where(inside[:, None], pixel, 0).astype(int).T
    return z, np.where(inside, other.depth[y, x], 0), np.where(inside, other.sigma[y, x], 1e3)


def fuse(
    views: list[View], depths: Float[np.ndarray, "frames height width"], confidence: Float[np.ndarray, "frames height width"],
    pictures: list[UInt8[np.ndarray, "height width 3"]], config: FusionConfig,
) -> tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:  # fmt: skip
    """World points, colours and confidence: one point per cell, cells growing with the distance from the cameras."""
    points, colors, weights, sizes = [], [], [], []
    for index, view in enumerate(views):
        y, x = np.nonzero(depths[index])
        points.append(_world_points(view, depths[index], y, x).astype(np.float32))
        colors.append(pictures[index][y, x])
        weights.append(confidence[index][y, x])
        sizes.append(depths[index][y, x])
    if not sum(map(len, points)):
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32)
    cloud = (np.concatenate(points), np.concatenate(colors), np.concatenate(weights), np.concatenate(sizes))
    return _thin(*cloud, config)


def _thin(
    points: np.ndarray, colors: np.ndarray, weights: np.ndarray, sizes: np.ndarray, config: FusionConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The most confident point of each cell; a cell is `voxel` of its distance wide, in steps of a factor of two."""
    level = np.floor(np.log2(np.maximum(sizes, 1e-9)))
    voxel = config.voxel
    while True:
        cell = np.floor(points / (voxel * 2.0**level)[:, None]).astype(np.int64)
        code = ((cell[:, 0] * 73856093) ^ (cell[:, 1] * 19349663) ^ (cell[:, 2] * 83492791)) * 64 + level.astype(
            np.int64
        )
        order = np.lexsort((-weights, code))
        _, first = np.unique(code[order], return_index=True)
        if len(first) <= config.max_points:
            chosen = np.sort(order[first])
            return points[chosen], colors[chosen], weights[chosen]
        voxel *= 1.3
