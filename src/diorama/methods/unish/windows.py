"""Which rows of a video the network sees, and in which overlapping windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from diorama.errors import DioramaError

PATCH = 14  # sides of working pictures are multiples of it


@dataclass(frozen=True)
class WindowConfig:
    """How a video is cut up.

    Attributes:
        fps: sampled pictures per second; the network was trained at 6.
        longest: longer side of the working picture, pixels (518: 37 patches, as trained).
        frames: pictures per window; trained with 30.
        overlap: pictures that a window shares with the one before. They say how the two worlds lie to each other; six
            (a second) cost a quarter more work.

    Raises:
        DioramaError: sizes that make no windows.
    """

    fps: float = 6.0
    longest: int = 518
    frames: int = 30
    overlap: int = 6

    def __post_init__(self) -> None:
        if not (self.fps > 0 and self.longest >= PATCH and self.frames > self.overlap >= 1):
            raise DioramaError(
                f"no windows of {self.frames} pictures with {self.overlap} shared, {self.longest} px, {self.fps:g} per s",
                where="windows",
                fix="share at least one and less than all; give at least 14 px",
            )


@dataclass(frozen=True)
class Layout:
    """Sizes (width, height) in pixels of the upright source picture and of the working picture, which covers it all."""

    source: tuple[int, int]
    working: tuple[int, int]

    @property
    def source_per_working(self) -> Float[np.ndarray, 2]:
        """Source pixels per working pixel, across and down; they differ by up to 7 px of the shorter side."""
        return np.array(self.source, np.float64) / np.array(self.working)


def layout_of(width: int, height: int, longest: int) -> Layout:
    """Working picture: longer side `longest` (rounded down to patches), the other to the nearest whole patch, at least
    one; small pictures are enlarged."""
    factor = longest / max(width, height)
    sides = [max(1, round(side * factor / PATCH)) * PATCH for side in (width, height)]
    top = longest // PATCH * PATCH
    return Layout((width, height), (min(sides[0], top), min(sides[1], top)))


def sample_rows(times: Float[np.ndarray, " frames"], fps: float) -> Int[np.ndarray, " samples"]:
    """The rows nearest to every 1/fps seconds from the first on, and the last row, so that no row lies outside; all rows
    of slower videos."""
    ticks = np.arange(times[0], times[-1] + 0.5 / fps, 1 / fps)
    right = np.clip(np.searchsorted(times, ticks), 1, max(len(times) - 1, 1))
    nearest = right - (ticks - times[right - 1] <= times[np.minimum(right, len(times) - 1)] - ticks)
    return np.unique(np.append(np.clip(nearest, 0, len(times) - 1), len(times) - 1))


def spans_of(samples: int, config: WindowConfig) -> list[tuple[int, int]]:
    """(first, end) of every window in samples. All are of full length if there are that many samples: the last one then
    shares more with its neighbours."""
    step = config.frames - config.overlap
    starts = range(0, max(samples - config.overlap, 1), step)
    last = max(samples - config.frames, 0)
    return [(min(start, last), min(start + config.frames, samples)) for start in starts]


def homes_of(spans: list[tuple[int, int]], samples: int) -> Int[np.ndarray, " samples"]:
    """For every sample the window in whose middle it lies best."""
    home, best = np.zeros(samples, int), np.full(samples, -1)
    for number, (first, end) in enumerate(spans):
        at = np.arange(first, end)
        inside = np.minimum(at - first, end - 1 - at)
        better = inside > best[at]
        home[at[better]], best[at[better]] = number, inside[better]
    return home


def ramp_of(span: tuple[int, int], overlap: int) -> Float[np.ndarray, " frames"]:
    """How much a window counts in each of its samples: less towards its ends, so that nothing jumps where it ends."""
    inside = np.minimum(np.arange(1, span[1] - span[0] + 1), np.arange(span[1] - span[0], 0, -1))
    return np.minimum(inside / (overlap + 1), 1.0)
