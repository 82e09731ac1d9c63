"""The static scene of a travelling shot: DIS flow from keyframes to neighbours, triangulated, checked, fused.

Depth maps lie on the pixel grid of the video (lens distortion included, as in `ObservedCameras.distortion`), scaled to
half the working picture: the flow is made at that resolution.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from diorama.frontends.background_mask import people_mask
from diorama.frontends.depth_fusion import FusionConfig, agreement, clean_edges, fuse, without_flat_fringes
from diorama.frontends.ray_depth import RayConfig, RayDepth, View, depth_along_rays, map_size
from diorama.geometry.cameras import scale_intrinsics
from diorama.geometry.transforms import apply, invert
from diorama.observations import Depth, Matches, ObservedCameras, Source, Tracks
from diorama.progress import progress_bar
from diorama.video import Video


@dataclass(frozen=True)
class DenseConfig:
    """About `per_hundred` keyframes in 100 frames and at most `max_keyframes`, evenly along the path of the camera.

    Neighbours are looked for within `reach` frames on both sides, at baselines of `baselines` times the median depth.
    People grown by `people_margin` of the longer side give no depth.
    """

    max_size: int = 960
    per_hundred: float = 12.0
    max_keyframes: int = 60
    reach: int = 24
    baselines: tuple[float, ...] = (0.015, 0.035, 0.08)
    people_margin: float = 0.012
    rays: RayConfig = field(default_factory=RayConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)


@dataclass(frozen=True)
class _Keyframe:
    row: int
    view: View
    picture: UInt8[np.ndarray, "height width 3"]
    people: Bool[np.ndarray, "height width"]
    result: RayDepth


def triangulate_scene(
    video: Video, tracks: Tracks | None, cameras: ObservedCameras, config: DenseConfig = DenseConfig(), *,
    matches: Matches | None = None, progress: bool = True,
) -> Depth:  # fmt: skip
    """Depth maps of keyframes and a fused point cloud in the cameras' world (not metric); empty if nothing moved.

    Of `matches` only the frames are used, see `pick_keyframes`.
    """
    keys = pick_keyframes(video, cameras, config, None if matches is None else matches.frames)
    found = list(_keyframe_depths(video, tracks, cameras, keys, config, progress)) if len(keys) > 1 else []
    found = [_cleaned(frame, config) for frame in found]
    views, maps = [frame.view for frame in found], [frame.result for frame in found]
    width, height = video.working_size(config.max_size)
    depth = np.zeros((len(found), height // 2, width // 2), np.float32)
    confidence = np.zeros_like(depth)
    for index in range(len(found)):
        others = _nearest(index, len(found), config.fusion.others)
        good, confidence[index] = agreement(index, others, views, maps, config.fusion)
        good = clean_edges(RayDepth(np.where(good, maps[index].depth, 0), maps[index].sigma), config.fusion).depth > 0
        depth[index] = np.where(good, maps[index].depth, 0)
        confidence[index] *= good
    points, colors, points_confidence = fuse(views, depth, confidence, [f.picture for f in found], config.fusion)
    return Depth(
        source=Source("DIS flow triangulation", "", "Apache-2.0", ("unit length of the cameras",)),
        frames=np.array([frame.row for frame in found], np.int64),
        depth=depth,
        confidence=confidence,
        K=scale_intrinsics(np.array([view.K for view in views]).reshape(-1, 3, 3), 0.5),
        metric=cameras.metric,
        points=points,
        colors=colors,
        points_confidence=points_confidence,
    )


def pick_keyframes(
    video: Video, cameras: ObservedCameras, config: DenseConfig, matched: Int[np.ndarray, " matched"] | None = None
) -> Int[np.ndarray, " keys"]:
    """Registered rows that are no duplicates, evenly spaced by the path length of the camera's centre.

    Each moves to the nearest free row of `matched` that is less than the even spacing away, so that depth and matches
    meet in the same frames (those also have the best poses).
    """
    rows = np.flatnonzero(cameras.registered & ~video.duplicate)
    if cameras.kind != "translating" or len(rows) < 3:
        return rows[:0]
    steps = np.linalg.norm(np.diff(cameras.T_world_camera[rows, :3, 3], axis=0), axis=1)
    # Half the spacing follows time, so that a camera that rests does not leave a hole.
    length = np.concatenate([[0], np.cumsum(steps / max(steps.sum(), 1e-12) + 1 / len(steps))]) / 2
    count = int(np.clip(round(config.per_hundred * len(rows) / 100), 2, config.max_keyframes))
    at = (np.arange(count) + 0.5) / count
    even = np.unique(np.searchsorted(length, at).clip(0, len(rows) - 1))
    offered = np.flatnonzero(np.isin(rows, matched)) if matched is not None else even[:0]
    return rows[_moved_to(offered, even, length, 1 / count)]


def _moved_to(
    offered: Int[np.ndarray, " offered"], even: Int[np.ndarray, " keys"], length: np.ndarray, reach: float
) -> Int[np.ndarray, " keys"]:
    """As many indices as in `even`: each becomes the nearest free one of `offered` less than `reach` of length away."""
    chosen = np.intersect1d(even, offered)
    for wanted in np.setdiff1d(even, offered):
        free = np.setdiff1d(offered, chosen)
        away = np.abs(length[free] - length[wanted])
        chosen = np.append(chosen, free[away.argmin()] if len(free) and away.min() < reach else wanted)
    return np.sort(chosen)


def _nearest(index: int, count: int, wanted: int) -> list[int]:
    others = sorted((i for i in range(count) if i != index), key=lambda i: abs(i - index))
    return others[:wanted]


def _cleaned(frame: _Keyframe, config: DenseConfig) -> _Keyframe:
    depth = np.where(frame.people, 0, frame.result.depth)
    grey = cv2.cvtColor(frame.picture, cv2.COLOR_RGB2GRAY)
    result = without_flat_fringes(RayDepth(depth, frame.result.sigma), grey, config.fusion)
    result = clean_edges(result, config.fusion)
    return _Keyframe(frame.row, frame.view, frame.picture, frame.people, result)


def _keyframe_depths(
    video: Video, tracks: Tracks | None, cameras: ObservedCameras, keys: Int[np.ndarray, " keys"], config: DenseConfig,
    progress: bool,
):  # fmt: skip
    """Yield keyframes with their raw depth; at most 2 `reach` + 1 grey pictures are held."""
    flow_maker = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
    flow_maker.setFinestScale(1)
    neighbours = {int(key): pick_neighbours(video, cameras, int(key), config) for key in keys}
    views: dict[int, View] = {}
    pictures: dict[int, np.ndarray] = {}
    waiting = [int(key) for key in keys]
    last = max([int(keys[-1]), *(row for rows in neighbours.values() for row in rows)])
    first = min([int(keys[0]), *(row for rows in neighbours.values() for row in rows)])
    wanted = set(waiting) | {row for rows in neighbours.values() for row in rows}
    frames = video.frames(first, last + 1, max_size=config.max_size)
    for row, picture in progress_bar(frames, desc="scene", total=last + 1 - first, show=progress):
        if row in wanted:
            views[row] = _view(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cameras, row, video)
        if row in neighbours:
            pictures[row] = picture
        while waiting and row >= max([waiting[0], *neighbours[waiting[0]]]):
            key = waiting.pop(0)
            others = [views[other] for other in neighbours[key]]
            size = map_size(views[key])
            picture_of = cv2.resize(pictures.pop(key), size, interpolation=cv2.INTER_AREA)
            people = people_mask(tracks, key, size, (video.width, video.height), config.people_margin)
            result = depth_along_rays(views[key], others, flow_maker, config.rays) if others else None
            if result is not None:
                yield _Keyframe(key, views[key], picture_of, people, result)
            needed = {other for later in waiting for other in (later, *neighbours[later])}
            views = {other: view for other, view in views.items() if other in needed}


def _view(grey: np.ndarray, cameras: ObservedCameras, row: int, video: Video) -> View:
    K = scale_intrinsics(cameras.K[row], grey.shape[1] / video.width)
    return View(grey, cameras.T_world_camera[row], K, cameras.distortion[row])


def pick_neighbours(video: Video, cameras: ObservedCameras, key: int, config: DenseConfig) -> list[int]:
    """Rows before and after the keyframe whose baselines come closest to the wanted ones; shortest baseline first."""
    rows = np.arange(max(key - config.reach, 0), min(key + config.reach + 1, len(video)))
    rows = rows[cameras.registered[rows] & ~video.duplicate[rows] & (rows != key)]
    if not len(rows):
        return []
    baseline = np.linalg.norm(cameras.T_world_camera[rows, :3, 3] - cameras.T_world_camera[key, :3, 3], axis=1)
    ratio = baseline / median_depth(cameras, key)
    chosen: list[int] = []
    for wanted in config.baselines:
        for side in (rows < key, rows > key):
            free = side & ~np.isin(rows, chosen)
            if free.any():
                chosen.append(int(rows[free][np.abs(np.log(np.maximum(ratio[free], 1e-6) / wanted)).argmin()]))
    return sorted(chosen, key=lambda row: float(baseline[rows == row][0]))


def median_depth(cameras: ObservedCameras, row: int) -> float:
    """Median depth of the sparse points in a camera's view (1 if there are none)."""
    camera = apply(invert(cameras.T_world_camera[row]), cameras.points_world)
    plane = camera[:, :2] / np.maximum(camera[:, 2:], 1e-6)
    inside = (camera[:, 2] > 0) & (np.abs(plane) < cameras.K[row, :2, 2] / cameras.K[row, [0, 1], [0, 1]]).all(1)
    return float(np.median(camera[inside, 2])) if inside.any() else 1.0
