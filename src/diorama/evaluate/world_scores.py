"""Cameras, depth and scene of a result against the truth, by the conventions of the papers for each data set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from diorama import metrics
from diorama.data.truth import Truth
from diorama.errors import DioramaError
from diorama.evaluate.found_scene import FoundScene, found_scene
from diorama.evaluate.matched import Pair
from diorama.evaluate.scores import Series
from diorama.evaluate.surfaces import feet_of
from diorama.geometry.alignment import has_extent
from diorama.geometry.cameras import project
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, invert, rigid
from diorama.reconstruction import Cameras, Reconstruction

# JOSH's columns and statistic (section 3 of the conventions); everywhere else RMSE of the camera centres.
ATE_RULES = {"emdb1": ("josh", "mean"), "emdb2": ("josh", "mean"), "sloper4d": ("josh", "rmse")}
# One scale for the depth of a whole video (Pi3, UniSH); everywhere else depth is metric as it is.
DEPTH_ALIGNED = {"bonn": "scale"}
# Voxel of the Chamfer distance, metres (JOSH).
VOXEL = 0.3
# Metres that a person's path must span to tell the size of the world.
WALKED = 1.0


def score_cameras(
    found: Reconstruction, truth: Truth, covered: Bool[np.ndarray, " rows"], dataset: str
) -> Iterator[Series]:
    """Trajectory and size; rows that the result does not cover are left out."""
    pred, true = (world.cameras.T_world_camera[covered] for world in (found, truth.reconstruction))
    if not len(true) or not np.isfinite(true).all():
        return
    points, statistic = ATE_RULES.get(dataset, ("centres", "rmse"))
    yield _single("ATE", metrics.ate(pred, true, align="se3", statistic=statistic, points=points))  # type: ignore[arg-type]
    if _travels(truth.reconstruction.cameras):
        yield _single("ATE-sim3", metrics.ate(pred, true, align="sim3"))


def score_scale(found: Reconstruction, truth: Truth, covered: np.ndarray, pairs: Sequence[Pair]) -> Iterator[Series]:
    """Error of size: of the camera's path where the true camera travels, else of the path of each person who walks."""
    known = truth.extras.cameras_known and _travels(truth.reconstruction.cameras)
    paths = [(p.joints[0][:, 0], p.joints[1][:, 0]) for p in pairs]
    # Of somebody who sits or stands only the noise has a size.
    paths = [(pred, true) for pred, true in paths if len(true) and np.ptp(true, axis=0).max() >= WALKED]
    if known:
        paths = [tuple(w.cameras.T_world_camera[covered, :3, 3] for w in (found, truth.reconstruction))]
    paths = [(pred, true) for pred, true in paths if len(true) and has_extent(pred) and has_extent(true)]
    if paths:
        yield Series("Scale", np.array([metrics.scale_error(pred, true) for pred, true in paths]))


def _travels(cameras: Cameras) -> bool:
    return cameras.kind == "translating" and bool(has_extent(cameras.T_world_camera[:, :3, 3]))


def _single(column: str, value: float) -> Series:
    return Series(column, np.array([value]))


def score_depth(found: Reconstruction, truth: Truth, dataset: str) -> Iterator[Series]:
    """AbsRel and delta per keyframe that has true depth, and the share of the true pixels that have a prediction."""
    maps = list(_depth_pairs(found, truth))
    maps = [(pred, true) for pred, true in maps if _known(true).any()]
    if not maps:
        return
    seen = [_known(pred) & _known(true) for pred, true in maps]
    asked = np.array([float(_known(true).sum()) for _, true in maps])
    yield Series("DepthPx", np.array([s.sum() for s in seen]) / asked, asked)
    scored = [(pred, true, s) for (pred, true), s in zip(maps, seen, strict=True) if s.any()]
    if not scored:
        return
    scale, weights = 1.0, None
    if dataset in DEPTH_ALIGNED:
        scale = _common_scale(scored, DEPTH_ALIGNED[dataset])
        weights = np.array([float(s.sum()) for *_, s in scored])
    yield Series("AbsRel", np.array([metrics.abs_rel(scale * p, t, s) for p, t, s in scored]), weights)
    yield Series("delta1.25", np.array([metrics.delta(scale * p, t, s) for p, t, s in scored]), weights)


def _common_scale(maps: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], mode: str) -> float:
    pred = np.concatenate([p[s] for p, _, s in maps])
    true = np.concatenate([t[s] for _, t, s in maps])
    return float((metrics.align_depth(pred, true, mode=mode) / pred).flat[0])  # type: ignore[arg-type]


def _known(depth: np.ndarray) -> Bool[np.ndarray, "height width"]:
    return np.isfinite(depth) & (depth > 0)


def _depth_pairs(found: Reconstruction, truth: Truth) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Found and true depth of the keyframes that have both, on the grid of the found map."""
    scene = found.scene
    if scene.depth is None or scene.depth_frames is None:
        return
    for pred, row in zip(scene.depth, scene.depth_frames, strict=True):
        height, width = pred.shape
        true = _true_depth(truth, int(row), (width, height))
        if true is not None:
            yield np.asarray(pred, np.float64), true


def _true_depth(truth: Truth, row: int, size: tuple[int, int]) -> Float[np.ndarray, "height width"] | None:
    """From the data set's reader; else from the exact truth's own maps, the nearest pixel of another grid."""
    if truth.extras.depth is not None:
        known = row in truth.extras.depth.rows
        return np.asarray(truth.extras.depth.at(row, size), np.float64) if known else None
    scene = truth.reconstruction.scene
    if scene.depth is None or scene.depth_frames is None:
        return None
    at = np.flatnonzero(scene.depth_frames == row)
    if not len(at):
        return None
    exact = scene.depth[at[0]]
    y = ((np.arange(size[1]) + 0.5) * exact.shape[0] / size[1]).astype(int)
    x = ((np.arange(size[0]) + 0.5) * exact.shape[1] / size[0]).astype(int)
    return exact[y[:, None], x[None]].astype(np.float64)


def score_scene(found: Reconstruction, truth: Truth, pairs: Sequence[Pair], *, chamfer: bool) -> Iterator[Series]:
    """FFR against the result's own scene, and Chamfer against the true one (`chamfer`: if the papers score it here)."""
    wanted = true_scene(truth) if chamfer else np.zeros((0, 3))
    if not pairs and not len(wanted):
        return
    scene = found_scene(found)
    if not len(scene.points):
        return
    for pair in pairs:
        yield from _floating(pair, scene)
    placed = _placing(found, truth, pairs)
    if len(wanted) and placed is not None:
        pred = apply(placed, metrics.voxel_means(scene.points, VOXEL))
        yield _single("CD", metrics.chamfer(pred, wanted).chamfer)


def _floating(pair: Pair, scene: FoundScene) -> Iterator[Series]:
    if len(pair.mine) < 2:
        return
    try:
        feet = feet_of(pair.found, pair.mine)
    except DioramaError:
        return
    if scene.frames is None:
        floats = metrics.foot_floating(feet, pair.frames, scene.points)
    else:
        floats = metrics.foot_floating(feet, pair.frames, scene.clouds, scene.frames)
    yield Series("FFR", floats.astype(np.float64))


def true_scene(truth: Truth) -> Float[np.ndarray, "points 3"]:
    """The true scene as voxel means; only what some true camera has in its picture, where the cameras are known (JOSH)."""
    scan, world = truth.extras.scene, truth.reconstruction
    points = scan.read() if scan is not None else np.asarray(world.scene.points_world, np.float64)
    if not len(points):
        return points
    points = metrics.voxel_means(points, VOXEL)
    if not truth.extras.cameras_known:
        return points
    seen = np.zeros(len(points), bool)
    lens = world.cameras
    for T, K, bent in zip(invert(lens.T_world_camera), lens.K, lens.distortion, strict=True):
        left = np.flatnonzero(~seen)
        pixels = project(apply(T, points[left]), K, bent)
        inside = (pixels >= 0) & (pixels < [lens.width, lens.height])
        seen[left] = inside.all(1)
    return points[seen]


def _placing(found: Reconstruction, truth: Truth, pairs: Sequence[Pair]) -> Float[np.ndarray, "4 4"] | None:
    """Takes the result's world to the true one without any fit: by the first camera (JOSH, SLOPER4D); where that is not
    known, by the first root pose of a person (JOSH, RICH)."""
    if truth.extras.cameras_known:
        first = truth.reconstruction.cameras.T_world_camera[0]
        return first @ invert(found.cameras.T_world_camera[0])
    if not pairs:
        return None
    pair = pairs[0]
    mine, true = (j[0, 0] for j in pair.joints)
    R = matrix_of(np.asarray(pair.true.global_orient[pair.theirs[0]], np.float64))
    R = R @ matrix_of(np.asarray(pair.found.global_orient[pair.mine[0]], np.float64)).T
    return rigid(R, true - R @ mine)
