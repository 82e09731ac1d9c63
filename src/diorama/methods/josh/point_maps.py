"""Point maps of keyframes as a solve sees them: depth at pixels, which pixels are background, and a smooth correction.

The corrected depth of a pixel is `depth * exp(s + sum_k w_k g_k)`: s is the keyframe's scale (sigma of Eq. 1), g are the
nodes of a coarse grid over the picture and w the pixel's bilinear weights. Networks bend depth in low frequencies, so a
grid is enough; free depth per pixel (the paper's Z) would follow every wrong match.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import binary_dilation

from diorama.geometry.cameras import undistort
from diorama.observations import Depth, ObservedCameras, Track

# Depths around a point that differ by more than this share lie on two surfaces; what is between them is neither.
_STEP = 1.12


@dataclass(frozen=True)
class PointMaps:
    """Keyframes `rows`; `depth` 0 where unknown or not finite, `background` where it is known and nobody is.

    `prior` is a second, metric depth of the same pixels (0 unknown). `focal` px and `centre` px (principal point) are the
    cameras' of the source picture, `size` its width and height; `grid` the nodes of the correction, across and down.
    """

    rows: Int[np.ndarray, " keys"]
    depth: Float[np.ndarray, "keys height width"]
    background: Bool[np.ndarray, "keys height width"]
    prior: Float[np.ndarray, "keys height width"] | None
    focal: Float[np.ndarray, " keys"]
    centre: Float[np.ndarray, "keys 2"]
    distortion: Float[np.ndarray, "keys k"]
    size: tuple[int, int]
    grid: tuple[int, int]

    @property
    def nodes(self) -> int:
        """Number of nodes of the correction."""
        return self.grid[0] * self.grid[1]

    def of(self, keys: Int[np.ndarray, " n"]) -> PointMaps:
        """Some of the keyframes, by index."""
        prior = None if self.prior is None else self.prior[keys]
        return PointMaps(
            self.rows[keys], self.depth[keys], self.background[keys], prior, self.focal[keys], self.centre[keys],
            self.distortion[keys], self.size, self.grid,
        )  # fmt: skip

    def cells(self, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Source pixels in pixels of the map (continuous, centres at half integers)."""
        height, width = self.depth.shape[1:]
        return pixels * np.array([width / self.size[0], height / self.size[1]])

    def straight(self, pixels: Float[np.ndarray, "n 2"], keys: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        """Pinhole pixels relative to the principal point: without the lens's distortion."""
        xy = (pixels - self.centre[keys]) / self.focal[keys, None]
        return undistort(xy, self.distortion[keys]) * self.focal[keys, None]

    def weights(self, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n nodes"]:
        """Bilinear weights of the correction's nodes; each row sums to one."""
        across, down = self.grid
        at = np.clip(pixels / np.array(self.size), 0, 1) * (np.array(self.grid) - 1)
        corner = np.minimum(np.floor(at).astype(int), np.maximum(np.array(self.grid) - 2, 0))
        u, v = (at - corner).T
        out = np.zeros((len(pixels), across * down))
        items = np.arange(len(pixels))
        for dx, dy, share in ((0, 0, (1 - u) * (1 - v)), (1, 0, u * (1 - v)), (0, 1, (1 - u) * v), (1, 1, u * v)):
            column = np.minimum(corner[:, 0] + dx, across - 1)
            line = np.minimum(corner[:, 1] + dy, down - 1)
            np.add.at(out, (items, line * across + column), share)
        return out

    def depth_at(self, pixels: Float[np.ndarray, "n 2"], keys: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Depth of the background between map pixels (1 / z is bilinear: exact on planes); 0 where one of the four is
        unknown, is a person, or lies on another surface."""
        height, width = self.depth.shape[1:]
        place = self.cells(pixels) - 0.5
        inside: np.ndarray = np.all(np.isfinite(place), axis=1)
        place = np.where(inside[:, None], place, 0.0)
        inside &= ((place > -0.5 - 1e-9) & (place < np.array([width, height]) - 0.5 + 1e-9)).all(1)
        place = np.clip(place, 0, np.array([width, height]) - 1.0)
        corner = np.minimum(np.floor(place).astype(int), np.maximum(np.array([width, height]) - 2, 0))
        u, v = (place - corner).T
        x, y = corner.T
        right, below = np.minimum(x + 1, width - 1), np.minimum(y + 1, height - 1)
        at = [(keys, y, x), (keys, y, right), (keys, below, x), (keys, below, right)]
        depths = np.stack([np.where(self.background[i], self.depth[i], 0.0) for i in at])
        shares = np.stack([(1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v])
        used = shares > 1e-6
        low = np.where(used, depths, np.inf).min(0)
        high = np.where(used, depths, 0.0).max(0)
        good = inside & (low > 0) & (high < _STEP * np.maximum(low, 1e-9))
        near = np.where(used & (depths > 0), shares / np.maximum(depths, 1e-9), 0.0).sum(0)
        return np.where(good, 1 / np.maximum(near, 1e-9), 0.0)


def point_maps(
    depth: Depth,
    prior: Depth | None,
    cameras: ObservedCameras,
    tracks: Sequence[Track],
    size: tuple[int, int],
    grid: tuple[int, int],
) -> PointMaps:
    """The maps of all keyframes of `depth`; people are cut out by the tracks' masks, with a margin of one pixel.

    The rays are those of the cameras, not of the maps' own K: one focal length is solved for.
    """
    rows = np.asarray(depth.frames)
    found = np.asarray(depth.depth, np.float32)
    known = np.isfinite(found) & (found > 0)
    confidence = np.asarray(depth.confidence)
    trusted = np.isfinite(confidence) & (confidence > 0)
    people = np.stack([_people(tracks, int(row), found.shape[2], found.shape[1]) for row in rows])
    return PointMaps(
        rows, np.where(known, found, 0), known & trusted & ~people, _aligned(prior, rows, found.shape),
        cameras.K[rows, 0, 0], cameras.K[rows, :2, 2], cameras.distortion[rows], size, grid,
    )  # fmt: skip


def _aligned(prior: Depth | None, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray | None:
    """The prior at the same keyframes on the same pixels (nearest); 0 where it has none."""
    if prior is None or not prior.metric or not len(prior.frames):
        return None
    out = np.zeros(shape, np.float32)
    height, width = prior.depth.shape[1:]
    y = ((np.arange(shape[1]) + 0.5) * height / shape[1]).astype(int)
    x = ((np.arange(shape[2]) + 0.5) * width / shape[2]).astype(int)
    place = {int(row): index for index, row in enumerate(prior.frames)}
    for key, row in enumerate(rows):
        if int(row) in place:
            out[key] = prior.depth[place[int(row)]][y[:, None], x]
    return np.where(np.isfinite(out) & (out > 0), out, 0.0)


def _people(tracks: Sequence[Track], row: int, width: int, height: int) -> Bool[np.ndarray, "height width"]:
    """Pixels of people in one frame; somebody without a mask hides nothing."""
    covered = np.zeros((height, width), bool)
    for track in tracks:
        for at in np.flatnonzero(track.frames == row):
            if track.masks is not None:
                covered |= track.masks.full(int(at), (width, height))
    return binary_dilation(covered, np.ones((3, 3), bool)) if covered.any() else covered
