"""Masks of people on one canvas: placing, comparing, erasing from a crop, carrying from frame to frame.

The canvas is the picture shrunk so that its longer side has at most `max_side` pixels: the pose network's masks have
256 pixels across a whole person, so a finer canvas would hold no more.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.frontends.blazepose import CROP, Picture, Pose, Region

# Bones in BlazePose-33 numbers: torso, arms, legs, and the head from the ears to the nose.
BONES = (
    (11, 12), (11, 23), (12, 24), (23, 24), (11, 13), (13, 15), (12, 14), (14, 16), (15, 19), (16, 20), (23, 25),
    (25, 27), (24, 26), (26, 28), (27, 31), (28, 32), (27, 29), (28, 30), (7, 8), (0, 7), (0, 8),
)  # fmt: skip
# No part of a dressed person is further from the nearest bone than this, relative to the crop's size.
REACH = 0.12


@dataclass(frozen=True)
class Canvas:
    """The mask picture: `width` x `height` pixels, `scale` canvas pixels per picture pixel."""

    width: int
    height: int
    scale: float

    @classmethod
    def of(cls, width: int, height: int, max_side: int) -> Canvas:
        scale = min(1.0, max_side / max(width, height))
        return cls(max(1, round(width * scale)), max(1, round(height * scale)), scale)

    def colours(self, picture: Picture) -> UInt8[np.ndarray, "height width 3"]:
        """The picture on the canvas."""
        level = picture.level(1) if self.scale <= 0.5 else picture.level(0)
        if level.shape[:2] == (self.height, self.width):
            return level
        return cv2.resize(level, (self.width, self.height), interpolation=cv2.INTER_AREA)


@dataclass(frozen=True)
class Silhouette:
    """Probability per canvas pixel of belonging to one person; zero outside of the window that starts at (x0, y0)."""

    x0: int
    y0: int
    values: Float[np.ndarray, "height width"]

    @property
    def window(self) -> tuple[int, int, int, int]:
        return self.x0, self.y0, self.x0 + self.values.shape[1], self.y0 + self.values.shape[0]

    @property
    def area(self) -> int:
        """Canvas pixels that belong to the person."""
        return int((self.values > 0.5).sum())

    def on(self, window: tuple[int, int, int, int]) -> Float[np.ndarray, "height width"]:
        """The values on another window (canvas px xyxy), zero where unknown."""
        x0, y0, x1, y1 = window
        out = np.zeros((y1 - y0, x1 - x0), np.float32)
        a0, b0, a1, b1 = self.window
        left, top, right, bottom = max(x0, a0), max(y0, b0), min(x1, a1), min(y1, b1)
        if left < right and top < bottom:
            out[top - y0 : bottom - y0, left - x0 : right - x0] = self.values[
                top - b0 : bottom - b0, left - a0 : right - a0
            ]
        return out

    def moved(self, dx: float, dy: float) -> Silhouette:
        """The same shape `dx`, `dy` canvas pixels further (rounded); may reach out of the canvas."""
        return Silhouette(self.x0 + round(dx), self.y0 + round(dy), self.values)

    def box(self) -> tuple[float, float, float, float] | None:
        """xyxy around the larger parts of the mask, canvas px; None if empty."""
        mask = self.values > 0.5
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if not len(rows):
            return None
        x, y = float(self.x0), float(self.y0)
        return x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1

    def in_crop(self, region: Region, canvas: Canvas, resolution: int = CROP) -> Bool[np.ndarray, "height width"]:
        """The mask as seen in the crop `region` of the picture."""
        matrix = region.affine(resolution, canvas.scale)
        matrix[:, 2] -= (self.x0, self.y0)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(self.values, matrix, (resolution, resolution), flags=flags) > 0.5

    def at(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, " points"]:
        """The values at canvas points (nearest pixel)."""
        columns, rows = (np.floor(points).astype(int) - (self.x0, self.y0)).T
        height, width = self.values.shape
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        out = np.zeros(len(points))
        out[inside] = self.values[rows[inside], columns[inside]]
        return out


def silhouette_of(pose: Pose, canvas: Canvas) -> Silhouette:
    """The pose network's mask, from its crop onto the canvas."""
    corners = pose.region.to_picture(np.array([[0.0, 0], [1, 0], [1, 1], [0, 1]])) * canvas.scale
    x0, y0 = np.clip(np.floor(corners.min(0)), 0, (canvas.width - 1, canvas.height - 1)).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0)), (x0 + 1, y0 + 1), (canvas.width, canvas.height)).astype(int)
    matrix = pose.region.affine(CROP, canvas.scale)
    matrix[:, 2] -= (x0, y0)
    values = cv2.warpAffine(pose.mask, matrix, (int(x1 - x0), int(y1 - y0)))
    away = bone_distance(pose.keypoints, (int(x0), int(y0), int(x1), int(y1)), canvas)
    # Pixels far from every bone are somebody or something else.
    return Silhouette(int(x0), int(y0), values * (away < REACH * pose.region.size * canvas.scale))


def union_window(windows: list[tuple[int, int, int, int]], canvas: Canvas) -> tuple[int, int, int, int]:
    """The smallest window on the canvas around all."""
    edges = np.array(windows)
    x0, y0 = max(int(edges[:, 0].min()), 0), max(int(edges[:, 1].min()), 0)
    x1, y1 = min(int(edges[:, 2].max()), canvas.width), min(int(edges[:, 3].max()), canvas.height)
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def mask_overlap(one: Silhouette, other: Silhouette) -> tuple[float, float]:
    """(intersection over union, intersection over the smaller mask)."""
    a = one.values > 0.5
    b = other.on(one.window) > 0.5
    both, area = int((a & b).sum()), other.area
    return both / max(int(a.sum()) + area - both, 1), both / max(min(int(a.sum()), area), 1)


def erase(
    crop: UInt8[np.ndarray, "height width 3"], hidden: Bool[np.ndarray, "height width"]
) -> UInt8[np.ndarray, "height width 3"]:
    """The crop with `hidden` pixels replaced by a blur of the others, which shows the pose network nothing to see."""
    if not hidden.any():
        return crop
    kept = (~hidden).astype(np.float32)
    small = cv2.resize(crop * kept[..., None], (32, 32), interpolation=cv2.INTER_AREA)
    weight = cv2.resize(kept, (32, 32), interpolation=cv2.INTER_AREA)
    total = cv2.GaussianBlur(weight, (0, 0), 3)[..., None]
    # Far inside of a large hole nothing is known: mid grey.
    filled = (cv2.GaussianBlur(small, (0, 0), 3) + 1e-3 * 128) / (total + 1e-3)
    filled = cv2.resize(filled, (crop.shape[1], crop.shape[0]))
    out = crop.copy()
    out[hidden] = np.clip(filled, 0, 255).astype(np.uint8)[hidden]
    return out


def bone_distance(
    keypoints: Float[np.ndarray, "33 3"], window: tuple[int, int, int, int], canvas: Canvas
) -> Float[np.ndarray, "height width"]:
    """Canvas pixels from each pixel of a window to the nearest bone."""
    lines = np.full((window[3] - window[1], window[2] - window[0]), 255, np.uint8)
    # Far away joints (of people partly outside) are pulled close, for OpenCV draws with 16-bit coordinates.
    ends = np.clip(keypoints[:, :2] * canvas.scale - window[:2], -4000, 4000).astype(int)
    for a, b in BONES:
        cv2.line(lines, ends[a].tolist(), ends[b].tolist(), 0)
    return cv2.distanceTransform(lines, cv2.DIST_L2, 3)


class Flow:
    """Carries masks from one frame to the next, along with the picture's motion."""

    def __init__(self) -> None:
        self.estimator = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.before: UInt8[np.ndarray, "height width"] | None = None

    def remember(self, colours: UInt8[np.ndarray, "height width 3"]) -> None:
        """Call at the end of each frame, with the picture on the canvas."""
        self.before = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)

    def carry(
        self, masks: list[Silhouette], colours: UInt8[np.ndarray, "height width 3"], margin: int
    ) -> list[Silhouette]:
        """The masks of the frame before, where their pixels are now; they may move by about `margin` canvas px."""
        height, width = colours.shape[:2]
        x0, y0, x1, y1 = union_window([m.window for m in masks], Canvas(width, height, 1.0))
        x0, y0, x1, y1 = max(x0 - margin, 0), max(y0 - margin, 0), min(x1 + margin, width), min(y1 + margin, height)
        # The estimator's patches need some pixels to work on.
        if self.before is None or min(x1 - x0, y1 - y0) < 32:
            return masks
        now = cv2.cvtColor(colours[y0:y1, x0:x1], cv2.COLOR_RGB2GRAY)
        earlier = np.ascontiguousarray(self.before[y0:y1, x0:x1])
        flow = self.estimator.calc(now, earlier, np.zeros((*now.shape, 2), np.float32))
        rows, columns = np.mgrid[: y1 - y0, : x1 - x0].astype(np.float32)
        return [
            Silhouette(
                x0, y0, cv2.remap(m.on((x0, y0, x1, y1)), columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR)
            )
            for m in masks
        ]
