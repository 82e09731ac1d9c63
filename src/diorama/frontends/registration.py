"""Register the frames between mapped keyframes: the map's points are tracked from both neighbours, then one pose fit."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.frontends.background_tracks import TrackingConfig, track_points
from diorama.frontends.mapping import SegmentMap
from diorama.frontends.resection import project_points, refine_pose
from diorama.geometry.transforms import interpolate_rigid
from diorama.video import Video


@dataclass(frozen=True)
class RegistrationConfig:
    """A frame is registered with at least `min_points` points within `inlier_px`; others keep an interpolated pose.

    Points are used from a keyframe in which they were seen within `inlier_px` of their projection.
    """

    min_points: int = 30
    inlier_px: float = 2.0
    scale_px: float = 0.7
    tracking: TrackingConfig = field(default_factory=lambda: TrackingConfig(window=15, levels=2, max_return_px=0.4))


@dataclass(frozen=True)
class RegisteredSegment:
    """Poses of the rows `rows` (consecutive), with the median residual (working px) and inlier count of each."""

    rows: Int[np.ndarray, " frames"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    registered: Bool[np.ndarray, " frames"]
    residual_px: Float[np.ndarray, " frames"]
    inliers: Int[np.ndarray, " frames"]
    colors: UInt8[np.ndarray, "points 3"]


@dataclass(frozen=True)
class _Key:
    row: int
    grey: np.ndarray
    T_world_camera: np.ndarray
    points: np.ndarray
    xy: np.ndarray


def register_between(
    video: Video, found: SegmentMap, config: RegistrationConfig = RegistrationConfig()
) -> RegisteredSegment:
    """Poses of all rows from the first to the last mapped keyframe; frames are streamed."""
    first, last = int(found.rows[0]), int(found.rows[-1])
    count = last - first + 1
    rows = np.arange(first, last + 1)
    Ts = interpolate_rigid(rows.astype(float), found.rows.astype(float), found.T_world_camera)
    registered, residual, inliers = np.zeros(count, bool), np.full(count, np.nan), np.zeros(count, int)
    colors = np.zeros((len(found.points), 4))
    before: _Key | None = None
    pending: list[tuple[int, np.ndarray]] = []
    for row, picture in video.frames(first, last + 1, max_size=max(found.size)):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        key = int(np.searchsorted(found.rows, row))
        if found.rows[key] != row:
            pending.append((row, grey))
            continue
        now, error = _make_key(found, key, grey, config)
        _add_colors(colors, found, key, picture)
        registered[row - first], residual[row - first], inliers[row - first] = True, error, len(now.xy)
        for other, between in pending:
            at = other - first
            if video.duplicate[other] and registered[at - 1]:
                Ts[at], registered[at], residual[at], inliers[at] = Ts[at - 1], True, residual[at - 1], inliers[at - 1]
            elif before is not None:
                Ts[at], registered[at], residual[at], inliers[at] = _register(
                    between, Ts[at], (before, now), found, config
                )
        before, pending = now, []
    mean = colors[:, :3] / np.maximum(colors[:, 3:], 1)
    return RegisteredSegment(rows, Ts, registered, residual, inliers, mean.round().astype(np.uint8))


def _make_key(found: SegmentMap, key: int, grey: np.ndarray, config: RegistrationConfig) -> tuple[_Key, float]:
    """A keyframe ready for tracking, with the points' projections (not their noisy detections) as positions."""
    seen = found.seen_key == key
    points = found.seen_point[seen]
    T = found.T_world_camera[key]
    xy, _ = project_points(found.points[points], T, found.focal, found.k1, np.array(found.size) / 2)
    miss = np.linalg.norm(xy - found.seen_xy[seen], axis=1)
    good = miss < config.inlier_px
    return _Key(int(found.rows[key]), grey, T, points[good], xy[good]), float(np.median(miss)) if len(miss) else np.nan


def _add_colors(colors: np.ndarray, found: SegmentMap, key: int, picture: UInt8[np.ndarray, "height width 3"]) -> None:
    seen = found.seen_key == key
    x, y = np.clip(found.seen_xy[seen].astype(int), 0, np.array(found.size) - 1).T
    np.add.at(colors, found.seen_point[seen], np.concatenate([picture[y, x], np.ones((len(x), 1))], 1))


def _register(
    grey: np.ndarray, guess: np.ndarray, neighbours: tuple[_Key, _Key], found: SegmentMap, config: RegistrationConfig
) -> tuple[Float[np.ndarray, "4 4"], bool, float, int]:
    """Pose, whether it is good enough, median residual px and inliers of one frame between two keyframes."""
    centre = np.array(found.size) / 2
    all_points, all_xy = [], []
    for key in neighbours:
        points = found.points[key.points]
        ahead, _ = project_points(points, guess, found.focal, found.k1, centre)
        moved, good = track_points(key.grey, grey, key.xy - 0.5, ahead - 0.5, config.tracking)
        all_points.append(points[good])
        all_xy.append(moved[good] + 0.5)
    points, xy = np.concatenate(all_points), np.concatenate(all_xy).astype(np.float64)
    if len(points) < config.min_points:
        return guess, False, float("nan"), len(points)
    T, miss = refine_pose(points, xy, guess, found.focal, found.k1, centre, scale_px=config.scale_px)
    inliers = miss < config.inlier_px
    good = int(inliers.sum()) >= config.min_points
    return (T if good else guess), good, float(np.median(miss[inliers])) if good else float("nan"), int(inliers.sum())
