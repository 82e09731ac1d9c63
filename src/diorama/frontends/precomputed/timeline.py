"""The video's side of a layout: size, times, and which row a tool's frame number means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.errors import DioramaError
from diorama.frontends.precomputed.checked_files import FIX, Arrays, read_arrays, read_json

ENTRIES = ("width", "height", "times", "frame_index", "duplicate", "numbers")


@dataclass(frozen=True)
class Timeline:
    """Size in pixels, times in seconds; `by_index`: frame numbers are those of `frame_index`, not rows."""

    width: int
    height: int
    times: Float[np.ndarray, " frames"]
    frame_index: Int[np.ndarray, " frames"]
    duplicate: Bool[np.ndarray, " frames"]
    by_index: bool

    def __len__(self) -> int:
        return len(self.times)

    def rows(self, numbers: Int[np.ndarray, " n"], path: Path) -> Int[np.ndarray, " n"]:
        """The rows that frame numbers of the file `path` mean.

        Raises:
            DioramaError: the video has no such frame.
        """
        every = self.frame_index if self.by_index else np.arange(len(self))
        at = np.searchsorted(every, numbers).clip(0, len(every) - 1)
        wrong = every[at] != numbers
        if wrong.any():
            what = f"frame {numbers[wrong][0]} where the video has {every[0]} to {every[-1]}"
            raise DioramaError(what, where=path, fix='number frames as "numbers" in the video file says')
        return at

    def increasing_rows(self, numbers: Int[np.ndarray, " n"], path: Path) -> Int[np.ndarray, " n"]:
        """As `rows`, of numbers that must increase."""
        if not (np.diff(numbers) > 0).all():
            raise DioramaError("frames do not increase, or one is there twice", where=path, fix="sort them, keep one")
        return self.rows(numbers, path)

    def rows_at(self, stamps: Float[np.ndarray, " n"], path: Path) -> Int[np.ndarray, " n"]:
        """The rows next to times in seconds, none further away than half a frame.

        Raises:
            DioramaError: a time belongs to no frame.
        """
        near = np.abs(stamps[:, None] - self.times[None])
        rows = near.argmin(1) if len(stamps) else np.zeros(0, np.int64)
        reach = 0.5 * float(np.median(np.diff(self.times))) if len(self) > 1 else 0.02
        far = near.min(1, initial=np.inf) > reach
        if far.any():
            what = f"no frame at {stamps[far][0]:g} s; the video has {self.times[0]:g} to {self.times[-1]:g} s"
            fix = 'give times of video.json, or frame numbers and "stamps": "frames" in cameras/about.json'
            raise DioramaError(what, where=path, fix=fix)
        return rows


def read_timeline(folder: Path) -> Timeline:
    """From `video.json` or `video.npz`.

    Raises:
        DioramaError: neither is there, both are, or an entry is missing or wrong.
    """
    paths = [path for path in (folder / "video.json", folder / "video.npz") if path.exists()]
    if not folder.is_dir() or len(paths) != 1:
        what = "two video files" if paths else "no video.json with width, height and times"
        raise DioramaError(what, where=folder, fix="see docs/precomputed.md for the layout of the folder")
    path = paths[0]
    arrays = read_arrays(path, ENTRIES) if path.suffix == ".npz" else _arrays(path, read_json(path))
    size = arrays.integers("width"), arrays.integers("height")
    if min(size) < 1:
        raise arrays.wrong("width", f"and height are {size[0]} and {size[1]}")
    times = arrays.numbers("times", None)
    if not len(times) or not (np.diff(times) > 0).all():
        raise arrays.wrong("times", "must be there and increase", "give the times of all frames in seconds")
    count = len(times)
    frame_index = arrays.integers("frame_index", count) if "frame_index" in arrays else np.arange(count)
    if not (np.diff(frame_index) > 0).all():
        raise arrays.wrong("frame_index", "does not increase")
    duplicate = arrays.flags("duplicate", count) if "duplicate" in arrays else np.zeros(count, bool)
    numbers = arrays.text("numbers") if "numbers" in arrays else "rows"
    if numbers not in ("rows", "frame_index"):
        raise arrays.wrong("numbers", f"is {numbers!r}", "use rows or frame_index")
    return Timeline(int(size[0]), int(size[1]), times, frame_index, duplicate, numbers == "frame_index")


def _arrays(path: Path, table: Mapping[str, Any]) -> Arrays:
    strange = sorted(set(table) - set(ENTRIES))
    if strange:
        raise DioramaError(f"unknown entry {strange[0]!r}", where=path, fix=f"the entries are {', '.join(ENTRIES)}")
    try:
        return Arrays(path, {key: np.asarray(value) for key, value in table.items()})
    except ValueError as error:
        raise DioramaError(f"lists of uneven length ({error})", where=path, fix=FIX) from error
