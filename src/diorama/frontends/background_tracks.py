"""Points of the background followed through a shot: corner points, pyramidal Lucas-Kanade, forward-backward check.

Frames are streamed and people are left out; what remains is one compact table of observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.frontends.background_mask import people_mask
from diorama.observations import Tracks
from diorama.progress import progress_bar
from diorama.video import Video


@dataclass(frozen=True)
class TrackingConfig:
    """Pixels are those of the working picture, whose longer side has at most `max_size` px.

    A point is dropped when tracking it forth and back misses by `max_return_px`, when its patch changes by more than
    `max_patch_change` grey levels, or when it touches a person grown by `people_margin` of the longer side. New
    corners come at least `min_distance` apart and evenly over `cells` x `cells` cells until there are `max_points`.
    Every `anchor_step` frames the first frame is also tracked directly into the current one, without a prediction:
    only a camera that stands still survives that.
    """

    max_size: int = 960
    max_points: int = 900
    min_distance: float = 9.0
    min_corner: float = 2e-5
    cells: int = 12
    window: int = 17
    levels: int = 4
    max_return_px: float = 0.5
    max_patch_change: float = 25.0
    people_margin: float = 0.008
    refill_below: float = 0.85
    border: int = 6
    anchor_step: int = 10


@dataclass(frozen=True)
class BackgroundTracks:
    """Observations sorted by row; `xy` in working pixels with half-integer centres; `rows` are those looked at.

    `anchor_shift` (px, median) and `anchor_share` (of the first frame's points) belong to `anchor_rows`.
    """

    size: tuple[int, int]
    rows: Int[np.ndarray, " rows"]
    track: Int[np.ndarray, " n"]
    row: Int[np.ndarray, " n"]
    xy: Float[np.ndarray, "n 2"]
    anchor_rows: Int[np.ndarray, " a"]
    anchor_shift: Float[np.ndarray, " a"]
    anchor_share: Float[np.ndarray, " a"]

    def at(self, row: int) -> tuple[Int[np.ndarray, " m"], Float[np.ndarray, "m 2"]]:
        """Track numbers (ascending) and pixels seen in one row."""
        start, stop = np.searchsorted(self.row, [row, row + 1])
        return self.track[start:stop], self.xy[start:stop].astype(np.float64)

    def between(self, row_i: int, row_j: int) -> tuple[Float[np.ndarray, "m 2"], Float[np.ndarray, "m 2"]]:
        """Pixels of the tracks seen in both rows."""
        track_i, xy_i = self.at(row_i)
        track_j, xy_j = self.at(row_j)
        _, i, j = np.intersect1d(track_i, track_j, assume_unique=True, return_indices=True)
        return xy_i[i], xy_j[j]


def track_background(
    video: Video, tracks: Tracks | None, config: TrackingConfig = TrackingConfig(), *, progress: bool = True
) -> BackgroundTracks:
    """Follow background points through all frames that are not duplicates."""
    size = video.working_size(config.max_size)
    tracker = _Tracker(config)
    frames = video.frames(max_size=config.max_size)
    for row, picture in progress_bar(frames, desc="background points", total=len(video), show=progress):
        if row == 0 or not video.duplicate[row]:
            people = people_mask(tracks, row, size, (video.width, video.height), config.people_margin)
            tracker.add(row, cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), people)
    return tracker.result(size)


class _Tracker:
    """The tracking loop's state: the frame before, the live points, and the table so far."""

    def __init__(self, config: TrackingConfig) -> None:
        self.config = config
        self.before: np.ndarray | None = None
        self.points = np.zeros((0, 2), np.float32)
        self.ids = np.zeros(0, np.int32)
        self.next_id = 0
        self.rows: list[int] = []
        self.table: list[tuple[np.ndarray, np.ndarray]] = []
        self.anchor: tuple[np.ndarray, np.ndarray] | None = None
        self.anchored: list[tuple[int, float, float]] = []

    def add(self, row: int, grey: np.ndarray, people: Bool[np.ndarray, "height width"]) -> None:
        config = self.config
        if self.before is not None and len(self.points):
            moved, good = track_points(self.before, grey, self.points, self.points, config)
            good &= ~people[tuple(np.clip(moved[:, ::-1].round().astype(int), 0, np.array(people.shape) - 1).T)]
            self.points, self.ids = moved[good], self.ids[good]
        if len(self.points) < config.refill_below * config.max_points:
            new = find_corners(grey, people, self.points, config)
            self.points = np.concatenate([self.points, new])
            self.ids = np.concatenate([self.ids, np.arange(self.next_id, self.next_id + len(new), dtype=np.int32)])
            self.next_id += len(new)
        self.rows.append(row)
        self.table.append((self.ids.copy(), self.points + np.float32(0.5)))
        self._check_anchor(row, grey)
        self.before = grey

    def _check_anchor(self, row: int, grey: np.ndarray) -> None:
        if self.anchor is None:
            self.anchor = (grey, self.points.copy())
        elif (len(self.rows) - 1) % self.config.anchor_step == 0 and len(self.anchor[1]):
            moved, good = track_points(self.anchor[0], grey, self.anchor[1], self.anchor[1], self.config)
            shift = np.linalg.norm(moved - self.anchor[1], axis=1)[good]
            self.anchored.append((row, float(np.median(shift)) if len(shift) else np.inf, float(good.mean())))

    def result(self, size: tuple[int, int]) -> BackgroundTracks:
        counts = [len(ids) for ids, _ in self.table]
        anchored = np.array(self.anchored, np.float64).reshape(-1, 3)
        return BackgroundTracks(
            size=size,
            rows=np.array(self.rows, np.int32),
            track=np.concatenate([ids for ids, _ in self.table] or [np.zeros(0, np.int32)]),
            row=np.repeat(np.array(self.rows, np.int32), counts),
            xy=np.concatenate([xy for _, xy in self.table] or [np.zeros((0, 2), np.float32)]),
            anchor_rows=anchored[:, 0].astype(np.int32),
            anchor_shift=anchored[:, 1],
            anchor_share=anchored[:, 2],
        )


def track_points(
    one: np.ndarray, two: np.ndarray, points: np.ndarray, guess: np.ndarray, config: TrackingConfig
) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
    """Where float32 points (integer pixel centres) of picture `one` are in `two`, and which came back when tracked back."""
    window = (config.window, config.window)
    flags = cv2.OPTFLOW_USE_INITIAL_FLOW
    start = np.ascontiguousarray(points, np.float32)[:, None]
    ahead, found, change = cv2.calcOpticalFlowPyrLK(
        one, two, start, guess.astype(np.float32)[:, None].copy(), winSize=window, maxLevel=config.levels, flags=flags
    )
    back, returned, _ = cv2.calcOpticalFlowPyrLK(
        two, one, ahead, start.copy(), winSize=window, maxLevel=config.levels, flags=flags
    )
    good = (found[:, 0] == 1) & (returned[:, 0] == 1) & (change[:, 0] < config.max_patch_change)
    good &= np.linalg.norm((back - start)[:, 0], axis=1) < config.max_return_px
    moved = ahead[:, 0]
    limit = np.array(two.shape[::-1]) - 1 - config.border
    good &= ((moved > config.border) & (moved < limit)).all(1)
    return moved, good


def find_corners(
    grey: np.ndarray, people: np.ndarray, taken: Float[np.ndarray, "n 2"], config: TrackingConfig
) -> Float[np.ndarray, "m 2"]:
    """New corners (float32, integer pixel centres), evenly over cells, away from people, border and points taken."""
    strength = cv2.cornerMinEigenVal(grey, 7)
    reach = int(config.min_distance) | 1
    peaks = strength >= cv2.dilate(strength, np.ones((reach, reach), np.uint8))
    free = np.full(grey.shape, 255, np.uint8)
    for x, y in taken:
        cv2.circle(free, (round(float(x)), round(float(y))), int(config.min_distance), 0, -1)
    peaks &= (free > 0) & ~people & (strength > config.min_corner)
    margin = config.border + 2
    peaks[:margin], peaks[-margin:], peaks[:, :margin], peaks[:, -margin:] = False, False, False, False
    y, x = np.nonzero(peaks)
    chosen = _spread(x, y, strength[y, x], grey.shape, config.max_points - len(taken), config.cells)
    return np.stack([x[chosen], y[chosen]], 1).astype(np.float32)


def _spread(
    x: np.ndarray, y: np.ndarray, strength: np.ndarray, shape: tuple[int, ...], count: int, cells: int
) -> Int[np.ndarray, " m"]:
    """Indices of `count` points: first the strongest of every cell, then the second strongest, and so on."""
    cell = (y * cells // shape[0]) * cells + x * cells // shape[1]
    order = np.lexsort((-strength, cell))
    first = np.searchsorted(cell[order], np.arange(cells * cells))
    rank = np.arange(len(order)) - first[cell[order]]
    by_rank = np.argsort(rank, kind="stable")
    return order[by_rank][: max(count, 0)]
