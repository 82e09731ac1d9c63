"""Band-limited textures: mip pyramids in one atlas, sampled with the pixel's footprint; tileable noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

# Samples along the longer axis of a pixel's footprint: grazing ground keeps its detail without aliasing.
_TAPS = (-0.375, -0.125, 0.125, 0.375)
# cv2.remap takes pictures of at most 32766 columns; samples are folded into rows of this length.
_FOLD = 4096


@dataclass(frozen=True)
class Texture:
    """A square tile of `side` texels (a power of two) that covers `metres` and repeats, turned by `angle` radians.

    `atlas` stacks the mip levels (each with one wrapped row and column) from top to bottom. A `faint` texture is read
    once per pixel even where the footprint is long: four times faster, and no loss where contrast is low.
    """

    atlas: UInt8[np.ndarray, "height width 3"]
    side: int
    metres: float
    angle: float = 0.0
    faint: bool = False

    @property
    def levels(self) -> int:
        return self.side.bit_length()

    @classmethod
    def from_picture(
        cls, picture: Float[np.ndarray, "side side 3"], metres: float, angle: float = 0.0, *, faint: bool = False
    ) -> Texture:
        """Build the pyramid of a tile with values 0-1."""
        side = len(picture)
        if picture.shape[:2] != (side, side) or side & (side - 1):
            raise ValueError(f"a texture tile must be square with a power-of-two side, not {picture.shape[:2]}")
        rows, level = [], np.clip(picture, 0, 1).astype(np.float32)
        while True:
            padded = np.pad(level, ((0, 1), (0, 1), (0, 0)), mode="wrap")
            rows.append(np.pad(padded, ((0, 0), (0, side - level.shape[1]), (0, 0))))
            if len(level) == 1:
                break
            level = level.reshape(len(level) // 2, 2, len(level) // 2, 2, 3).mean((1, 3))
        return cls((np.concatenate(rows) * 255 + 0.5).astype(np.uint8), side, metres, angle, faint)

    def sample(
        self, uv: Float[np.ndarray, "n 2"], along_x: Float[np.ndarray, "n 2"], along_y: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n 3"]:
        """Colours 0-1 at surface coordinates `uv` (metres); `along_x`, `along_y` are one pixel's extent there."""
        scale = self.side / self.metres
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        turn = (scale * np.array([[cosine, sine], [-sine, cosine]])).astype(np.float32)
        at, step_x, step_y = uv @ turn, along_x @ turn, along_y @ turn
        length_x, length_y = np.hypot(*step_x.T), np.hypot(*step_y.T)
        short, long = np.minimum(length_x, length_y), np.maximum(length_x, length_y)
        if self.faint:
            return self._trilinear(at, np.sqrt(short * long)) / np.float32(255)
        stretched = long > 2 * short
        out = np.empty((len(uv), 3), np.float32)
        out[~stretched] = self._trilinear(at[~stretched], long[~stretched])
        if stretched.any():
            longer = np.where((length_x > length_y)[stretched, None], step_x[stretched], step_y[stretched])
            blur = np.maximum(short, long / len(_TAPS))[stretched]
            taps = [self._trilinear(at[stretched] + np.float32(tap) * longer, blur) for tap in _TAPS]
            out[stretched] = sum(taps) / len(_TAPS)  # type: ignore[assignment]
        return out / np.float32(255)

    def _trilinear(self, at: np.ndarray, blur: np.ndarray) -> np.ndarray:
        """Colours 0-255 at texel positions, smoothed over `blur` texels."""
        level = np.clip(np.log2(np.maximum(blur, 1e-6)), 0, self.levels - 1.001).astype(np.float32)
        lower = level.astype(np.int32)
        weight = (level - lower)[:, None]
        return (1 - weight) * self._bilinear(at, lower) + weight * self._bilinear(at, lower + 1)

    def _bilinear(self, at: np.ndarray, level: np.ndarray) -> np.ndarray:
        sides = self.side >> np.arange(self.levels)
        tops = np.concatenate([[0], np.cumsum(sides + 1)[:-1]]).astype(np.float32)
        side = sides.astype(np.float32)[level]
        xy = at * (side / np.float32(self.side))[:, None] - np.float32(0.5)
        xy -= np.floor(xy / side[:, None]) * side[:, None]
        xy[:, 1] += tops[level]
        return remap(self.atlas, xy)


def remap(picture: np.ndarray, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n c"]:
    """Bilinear samples of a picture at (column, row) positions where integers are texel centres."""
    rows = max(1, -(-len(xy) // _FOLD))
    folded = np.zeros((rows * _FOLD, 2), np.float32)
    folded[: len(xy)] = xy
    folded = folded.reshape(rows, _FOLD, 2)
    out = cv2.remap(picture, folded, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return out.reshape(rows * _FOLD, -1)[: len(xy)].astype(np.float32)


def noise(rng: np.random.Generator, side: int, cells: int, octaves: int = 4) -> Float[np.ndarray, "side side"]:
    """Smooth tileable noise of mean 0 and deviation 1; the coarsest octave has `cells` cells along a side."""
    out = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        count = cells << octave
        if count > side:
            break
        grid = np.pad(rng.standard_normal((count, count)).astype(np.float32), 2, mode="wrap")
        border = 2 * side // count
        large = cv2.resize(grid, (side + 2 * border, side + 2 * border), interpolation=cv2.INTER_CUBIC)
        out += large[border : border + side, border : border + side] * 0.6**octave
    return (out - out.mean()) / out.std()
