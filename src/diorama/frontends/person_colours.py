"""The colours of a person's head, torso and legs: whose pixel is this, and is this the same person as before?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.frontends.silhouettes import Canvas, Silhouette, union_window


@dataclass(frozen=True)
class Colours:
    """Colour histograms (8 x 8 x 8 RGB) of a person's head, torso and legs, as densities; `weight` in pictures."""

    histograms: Float[np.ndarray, "3 512"] = field(default_factory=lambda: np.full((3, 512), 1 / 512))
    weight: float = 0.0

    def updated(self, bins: Int[np.ndarray, " pixels"], parts: Int[np.ndarray, " pixels"], memory: float) -> Colours:
        """With the pixels of one more picture; `memory` is the largest weight of what was before."""
        old = min(self.weight, memory)
        fresh = np.stack([np.bincount(bins[parts == part], minlength=512) for part in range(3)]).astype(float)
        counts = fresh.sum(1, keepdims=True)
        fresh = np.where(counts > 20, fresh / np.maximum(counts, 1), self.histograms)
        return Colours((old * self.histograms + fresh) / (old + 1), old + 1)

    def log_density(self, bins: np.ndarray, parts: np.ndarray) -> np.ndarray:
        """Log likelihood of pixels with these bins in these parts of the body."""
        smooth = np.stack([_blur_histogram(h) for h in self.histograms])
        return np.log(smooth + 1e-4)[parts, bins]

    def distance(self, other: Colours) -> float:
        """Hellinger distance 0..1, the mean over the parts."""
        return float(np.sqrt(np.clip(1 - np.sqrt(self.histograms * other.histograms).sum(1), 0, 1)).mean())


def _blur_histogram(histogram: np.ndarray) -> np.ndarray:
    """Neighbouring bins lend each other mass: light changes, and bins have edges."""
    cube = histogram.reshape(8, 8, 8)
    for axis in range(3):
        edges = np.concatenate([cube.take([0], axis), cube, cube.take([7], axis)], axis)
        cube = 0.25 * edges.take(range(8), axis) + 0.5 * cube + 0.25 * edges.take(range(2, 10), axis)
    return cube.reshape(512)


def colour_bins(colours: UInt8[np.ndarray, "height width 3"]) -> Int[np.ndarray, "height width"]:
    """Number 0..511 of each pixel's colour in 8 x 8 x 8 cells of RGB."""
    cells = (colours >> 5).astype(np.int32)
    return (cells[..., 0] << 6) | (cells[..., 1] << 3) | cells[..., 2]


def body_parts(
    keypoints: Float[np.ndarray, "33 3"], window: tuple[int, int, int, int], canvas: Canvas
) -> Int[np.ndarray, "height width"]:
    """0 for pixels of a canvas window that lie beyond the shoulders (head), 1 between shoulders and hips, 2 beyond."""
    hips, shoulders = keypoints[[23, 24], :2].mean(0), keypoints[[11, 12], :2].mean(0)
    axis = (hips - shoulders) / max(float(((hips - shoulders) ** 2).sum()), 1e-6)
    x = (np.arange(window[0], window[2]) + 0.5) / canvas.scale - shoulders[0]
    y = (np.arange(window[1], window[3]) + 0.5) / canvas.scale - shoulders[1]
    along = x[None] * axis[0] + y[:, None] * axis[1]
    return (along > 0).astype(int) + (along > 1)


def learn_colours(
    before: Colours, mask: Silhouette, keypoints: np.ndarray, colours: np.ndarray, canvas: Canvas, memory: float = 20.0
) -> Colours:
    """`before` with the colours of the pixels inside `mask` (`colours` is the picture on the canvas)."""
    window = union_window([mask.window], canvas)
    x0, y0, x1, y1 = window
    inside = mask.on(window) > 0.6
    bins, parts = colour_bins(colours[y0:y1, x0:x1]), body_parts(keypoints, window, canvas)
    return before.updated(bins[inside], parts[inside], memory)
