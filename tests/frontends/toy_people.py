"""A toy world: one-coloured upright boxes walk over a plain, and toy networks that see colours instead of people."""

from dataclasses import dataclass

import numpy as np

from diorama.frontends.blazepose import BlazePose, Candidates, Picture, Pose, Region

PLAIN = (90, 110, 90)


def standing(x: float, top: float, height: float) -> np.ndarray:
    """Keypoints of a person who stands upright and sees us, px."""
    levels = {0: 0.06, 7: 0.06, 8: 0.06, 11: 0.2, 12: 0.2, 13: 0.35, 14: 0.35, 15: 0.48, 16: 0.48, 23: 0.5, 24: 0.5}
    levels |= {25: 0.72, 26: 0.72, 27: 0.94, 28: 0.94, 29: 0.97, 30: 0.97, 31: 1.0, 32: 1.0}
    keypoints = np.tile(np.array([x, top + 0.06 * height, 0.9]), (33, 1))
    for joint, level in levels.items():
        side = 0.08 * height * (1 if joint % 2 else -1) * (joint >= 11)
        keypoints[joint, :2] = (x + side, top + level * height)
    keypoints[17:23] = keypoints[[15, 16, 15, 16, 15, 16]]
    return keypoints


@dataclass(frozen=True)
class Walker:
    """A box of `colour`, `height` x `height` / 4 px, whose feet are at (x + speed * row, y); drawn in rows first..last."""

    colour: tuple[int, int, int]
    x: float
    y: float
    speed: float = 0.0
    height: float = 160.0
    first: int = 0
    last: int = 10**6

    def box(self, row: int) -> tuple[int, int, int, int]:
        x = self.x + self.speed * row
        corners = (x - self.height / 8, self.y - self.height, x + self.height / 8, self.y)
        return tuple(round(v) for v in corners)


@dataclass(frozen=True)
class ToyVideo:
    """What the tracker needs of a video; later walkers are drawn over earlier ones."""

    walkers: tuple[Walker, ...]
    count: int = 30
    width: int = 640
    height: int = 360

    @property
    def times(self) -> np.ndarray:
        return np.arange(self.count) / 30

    def frames(self, start: int = 0, stop: int | None = None, *, max_size: int | None = None):
        for row in range(start, self.count if stop is None else stop):
            picture = np.full((self.height, self.width, 3), PLAIN, np.uint8)
            for walker in self.walkers:
                if walker.first <= row <= walker.last:
                    x0, y0, x1, y1 = walker.box(row)
                    picture[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = walker.colour
            yield row, picture


class ToyNetworks(BlazePose):
    """Sees every walker of `colours` of which enough pixels show; `double` makes the detector see everybody twice."""

    def __init__(self, colours: list[tuple[int, int, int]], double: bool = False) -> None:
        self.colours, self.double = colours, double

    def detect(self, picture: Picture, tile: tuple[float, float, float], min_score: float = 0.5) -> Candidates:
        parts = []
        if tile[2] < picture.width:
            return Candidates.join([])
        for colour in self.colours:
            rows, columns = np.nonzero((picture.level(0) == colour).all(-1))
            if len(rows) < 400:
                continue
            points = _detector_points(columns, rows)
            for shift in (0.0, 25.0) if self.double else (0.0,):
                box = np.array([[columns.min(), rows.min(), columns.max(), rows.max()]], float)
                parts.append(Candidates(np.array([0.9 - shift / 100]), box, points[None] + shift))
        return Candidates.join(parts)

    def pose_of_crop(self, crop: np.ndarray, region: Region) -> Pose:
        best, least = None, 70.0
        for colour in self.colours:
            mask = (np.abs(crop.astype(int) - colour) < 40).all(-1)
            if mask.sum() < 60:
                continue
            rows, columns = np.nonzero(mask)
            away = np.hypot(columns.mean() - 128, rows.mean() - 128)
            if away < least:
                best, least = mask, away
        return _toy_pose(best, region)


def _detector_points(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    x, top, height = columns.mean() + 0.5, float(rows.min()), float(np.ptp(rows) + 1)
    return np.array([[x, top + 0.5 * height], [x, top], [x, top + 0.2 * height], [x, top]])


def _toy_pose(mask: np.ndarray | None, region: Region) -> Pose:
    if mask is None:
        keypoints = standing(region.x, region.y, 1.0) * (1, 1, 0)
        return Pose(region, keypoints, np.zeros((33, 3)), np.zeros(33), 0.0, np.zeros((256, 256), np.float32), region)
    rows, columns = np.nonzero(mask)
    corners = np.array([[columns.min(), rows.min()], [columns.max() + 1, rows.max() + 1]]) / 256
    (x0, y0), (x1, y1) = region.to_picture(corners)
    keypoints = standing((x0 + x1) / 2, y0, y1 - y0)
    keypoints[:, 0] = (x0 + x1) / 2 + (keypoints[:, 0] - (x0 + x1) / 2) * 0.8
    following = Region((x0 + x1) / 2, (y0 + y1) / 2, 1.25 * (y1 - y0))
    return Pose(region, keypoints, np.zeros((33, 3)), np.zeros(33), 1.0, mask.astype(np.float32), following)
