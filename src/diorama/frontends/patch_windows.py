"""Which part of a video's picture the networks see, and at which size; pixels there and back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diorama.errors import DioramaError
from diorama.video import Video

_PATCH = 16


@dataclass(frozen=True)
class Window:
    """Columns left to right and rows top to bottom of the source picture, shown as `width` x `height` pixels."""

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int

    def shown(self, picture: UInt8[np.ndarray, "rows columns 3"]) -> UInt8[np.ndarray, "height width 3"]:
        """The window of a source picture."""
        part = picture[self.top : self.bottom, self.left : self.right]
        smaller = self.width <= part.shape[1] and self.height <= part.shape[0]
        return cv2.resize(
            np.ascontiguousarray(part), (self.width, self.height),
            interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC,
        )  # fmt: skip

    def shown_mask(self, mask: Bool[np.ndarray, "rows columns"]) -> Bool[np.ndarray, "height width"]:
        """The window of a mask of the source picture, nearest pixels."""
        part = np.ascontiguousarray(mask[self.top : self.bottom, self.left : self.right]).astype(np.uint8)
        return cv2.resize(part, (self.width, self.height), interpolation=cv2.INTER_NEAREST_EXACT).astype(bool)

    def to_window(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Source pixels to the window's; they may lie outside."""
        return (xy - [self.left, self.top]) * self._scale()

    def to_source(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """The window's pixels to source pixels."""
        return xy / self._scale() + [self.left, self.top]

    def boxes(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 4"]:
        """x1, y1, x2, y2 of source pixels in the window."""
        return self.to_window(boxes.reshape(-1, 2, 2)).reshape(-1, 4)

    @property
    def source_per_shown(self) -> float:
        """Source pixels per shown pixel, across."""
        return (self.right - self.left) / self.width

    def _scale(self) -> Float[np.ndarray, 2]:
        return np.array([self.width / (self.right - self.left), self.height / (self.bottom - self.top)])


def window_of(width: int, height: int, *, crop: float, longest: int) -> Window:
    """The middle of a picture for networks with patches of 16 px.

    Args:
        width, height: of the source picture.
        crop: share of both sides that is shown: 1 as the paper, 0.5 as the release.
        longest: pixels of the longer side; sides are cut (not squeezed) to multiples of 16.

    Raises:
        DioramaError: `crop` is not in (0, 1], or `longest` is less than a patch.
    """
    if not 0 < crop <= 1 or longest < _PATCH:
        raise DioramaError(
            f"a share of {crop:g} at {longest} px is no picture",
            where="the shown window",
            fix="take a crop in (0, 1], 512 px",
        )
    scale = longest / (crop * max(width, height))
    sides = [max(_PATCH, int(crop * side * scale + 1e-6) // _PATCH * _PATCH) for side in (width, height)]
    # A very narrow picture has fewer pixels than one patch shows: all of it is taken, and stretched.
    part = [min(side, max(1, round(shown / scale))) for side, shown in zip((width, height), sides, strict=True)]
    left, top = (width - part[0]) // 2, (height - part[1]) // 2
    return Window(left, top, left + part[0], top + part[1], sides[0], sides[1])


def shown_frames(
    video: Video, rows: Int[np.ndarray, " keys"], window: Window
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The window of the given rows, which ascend."""
    wanted = set(rows.tolist())
    if not wanted:
        return
    for row, picture in video.frames(int(rows[0]), int(rows[-1]) + 1):
        if row in wanted:
            yield window.shown(picture)


def as_input(picture: UInt8[np.ndarray, "height width 3"]) -> Float[Tensor, "3 height width"]:
    """RGB bytes to [-1, 1]."""
    return torch.from_numpy(picture).permute(2, 0, 1).float() / 127.5 - 1
