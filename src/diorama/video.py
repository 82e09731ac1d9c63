"""A video file as exact times and streamed frames (PyAV); rotation applied, duplicates and cuts found."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.assets import sha256_of
from diorama.errors import DioramaError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Video:
    """One shot of a video file. Rows 0..F-1 are its decoded frames; `first_frame` is the index of row 0 in the file.

    `width`, `height` are those of the upright picture, in pixels; `rotation` degrees counterclockwise make the stored
    picture upright (0, 90, 180 or 270, from the container); `times` are seconds from the container; `duplicate` marks
    rows whose picture repeats the row before.
    """

    path: Path
    digest: str
    width: int
    height: int
    rotation: int
    times: Float[np.ndarray, " frames"]
    duplicate: Bool[np.ndarray, " frames"]
    first_frame: int = 0
    shot: int = 0
    shots: tuple[tuple[int, int], ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def key(self) -> str:
        """What a cached result of this shot depends on."""
        return f"{self.digest}-{self.first_frame}-{len(self)}"

    @property
    def fps(self) -> float:
        """Median frame rate, frames per second (a display figure; methods use `times`)."""
        return float(1 / np.median(np.diff(self.times))) if len(self) > 1 else 30.0

    def working_size(self, max_size: int | None) -> tuple[int, int]:
        """(width, height) after shrinking the longer side to at most `max_size` pixels."""
        factor = min(1.0, (max_size or 10**9) / max(self.width, self.height))
        return max(1, round(self.width * factor)), max(1, round(self.height * factor))

    def frames(
        self, start: int = 0, stop: int | None = None, *, step: int = 1, max_size: int | None = None
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """Yield (row, RGB picture) for rows start, start+step, ... < stop, upright, shrunk to `max_size` if given."""
        stop = len(self) if stop is None else min(stop, len(self))
        return self._pictures([row for row in range(start, stop, step) if row >= 0], max_size)

    def frames_at(
        self, rows: Int[np.ndarray, " rows"], *, max_size: int | None = None
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """Yield (row, RGB picture) for some rows, ascending, as `frames` does."""
        return self._pictures([int(row) for row in rows], max_size)

    def _pictures(
        self, rows: Sequence[int], max_size: int | None
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]:
        """One pass over the file up to the last of the rows (ascending)."""
        size = self.working_size(max_size)
        if self.rotation % 180:
            size = size[::-1]
        done = 0
        for index, frame in enumerate(_decode(self.path) if rows else ()):
            if index - self.first_frame != rows[done]:
                continue
            picture = frame.reformat(width=size[0], height=size[1], format="rgb24", interpolation="AREA")
            yield rows[done], np.ascontiguousarray(np.rot90(picture.to_ndarray(), self.rotation // 90))
            done += 1
            if done == len(rows):
                return

    def frame(self, row: int, *, max_size: int | None = None) -> UInt8[np.ndarray, "height width 3"]:
        """The picture of one row."""
        return next(self.frames(row, row + 1, max_size=max_size))[1]

    def take_shot(self, shot: int) -> Video:
        """The same file restricted to shot number `shot` (call on the whole video)."""
        start, stop = self.shots[shot]
        return dataclasses.replace(
            self,
            times=self.times[start:stop],
            duplicate=self.duplicate[start:stop] & (np.arange(stop - start) > 0),
            first_frame=start,
            shot=shot,
        )


@dataclass(frozen=True)
class ScanConfig:
    """Thresholds of the first pass, in grey levels of a 64-pixel-wide thumbnail; set on rendered and re-encoded clips.

    A frame is a duplicate if no thumbnail cell differs by more than `duplicate_level`, or if the mean and the greatest
    difference are below these fractions of the clip's medians (encoders do not repeat a picture exactly). A cut is a
    frame whose mean difference exceeds `cut_level` and `cut_ratio` times the median around it, with colour histograms
    that overlap less than `cut_overlap`.
    """

    duplicate_level: float = 1.5
    duplicate_mean_ratio: float = 0.05
    duplicate_peak_ratio: float = 0.3
    cut_level: float = 12.0
    cut_ratio: float = 4.0
    cut_overlap: float = 0.75
    min_shot_frames: int = 5


def open_video(path: str | Path, *, shot: int | None = None, config: ScanConfig = ScanConfig()) -> Video:
    """Read a file once from end to end and describe it; with cuts inside, the longest shot (or number `shot`) is taken.

    Raises:
        DioramaError: missing, empty, not a video, no decodable frame, or no such shot.
    """
    path = Path(path)
    if not path.is_file():
        raise DioramaError("no such video file", where=path, fix="check the path")
    if path.stat().st_size == 0:
        raise DioramaError("the file is empty", where=path, fix="copy the video again")
    scan = _scan(path)
    shots = _shots(scan, config)
    warnings = list(scan.warnings)
    whole = Video(
        path, sha256_of(path), scan.width, scan.height, scan.rotation, _strictly_increasing(scan.times),
        _duplicates(scan, config), 0, 0, shots,
    )  # fmt: skip
    if len(shots) > 1:
        chosen = int(np.argmax([b - a for a, b in shots])) if shot is None else shot
        cuts = ", ".join(f"{scan.times[a]:.2f} s" for a, _ in shots[1:])
        warnings.append(f"{len(shots)} shots (cuts at {cuts}); shot {chosen} is used, choose another with --shot")
    else:
        chosen = shot or 0
    if not 0 <= chosen < len(shots):
        raise DioramaError(f"there is no shot {chosen}", where=path, fix=f"choose --shot 0 to {len(shots) - 1}")
    for warning in warnings:
        logger.warning("%s: %s", path.name, warning)
    return dataclasses.replace(whole.take_shot(chosen), warnings=tuple(warnings))


@dataclass(frozen=True)
class _Scan:
    width: int
    height: int
    rotation: int
    times: np.ndarray
    mean_change: np.ndarray
    peak_change: np.ndarray
    overlap: np.ndarray
    warnings: tuple[str, ...]


def _decode(path: Path) -> Iterator[av.VideoFrame]:
    """Frames in display order; a broken tail ends the stream instead of raising."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DioramaError("the file has no video stream", where=path, fix="give a video, not sound alone")
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            try:
                yield from container.decode(stream)
            except (av.error.FFmpegError, EOFError) as error:
                logger.debug("%s: decoding ended early: %s", path, error)
    except (av.error.FFmpegError, OSError) as error:
        raise DioramaError("not a readable video", where=path, fix="convert it to mp4 (H.264)") from error


def _scan(path: Path) -> _Scan:
    times: list[float] = []
    changes: list[tuple[float, float, float]] = []
    before: tuple[np.ndarray, np.ndarray] | None = None
    rotation = width = height = 0
    for index, frame in enumerate(_decode(path)):
        if index == 0:
            rotation, width, height = round(frame.rotation / 90) * 90 % 360, frame.width, frame.height
        now = _thumbnail(frame)
        changes.append(_change(before, now))
        before = now
        times.append(float(frame.time) if frame.time is not None else np.nan)
    if not times:
        raise DioramaError("no frame could be decoded", where=path, fix="convert it to mp4 (H.264)")
    expected = _announced_frames(path)
    short = expected and len(times) < 0.95 * expected
    warnings = (f"truncated: {len(times)} of about {expected} frames could be read",) if short else ()
    if rotation % 180:
        width, height = height, width
    mean, peak, overlap = np.array(changes).T
    return _Scan(width, height, rotation, _fill_times(np.array(times)), mean, peak, overlap, warnings)


def _announced_frames(path: Path) -> int:
    with av.open(str(path)) as container:
        return int(container.streams.video[0].frames)


def _thumbnail(frame: av.VideoFrame) -> tuple[np.ndarray, np.ndarray]:
    picture = frame.reformat(width=256, height=144, format="rgb24", interpolation="AREA").to_ndarray()
    grey = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (64, 36), interpolation=cv2.INTER_AREA)
    hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
    histogram = cv2.calcHist([hsv], [0, 1, 2], None, [12, 4, 6], [0, 180, 0, 256, 0, 256]).ravel()
    return grey.astype(np.float32), histogram / histogram.sum()


def _change(
    before: tuple[np.ndarray, np.ndarray] | None, now: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float, float]:
    if before is None:
        return 0.0, 255.0, 1.0
    difference = np.abs(now[0] - before[0])
    return float(difference.mean()), float(difference.max()), float(np.minimum(now[1], before[1]).sum())


def _fill_times(times: np.ndarray) -> np.ndarray:
    known = np.isfinite(times)
    rows = np.arange(len(times))
    if known.sum() < 2:
        return rows / 30.0
    return np.interp(rows, rows[known], times[known]) if not known.all() else times


def _strictly_increasing(times: np.ndarray) -> np.ndarray:
    """Equal or backward time stamps (damaged containers) are pushed a millisecond after their predecessor."""
    out = np.array(times, np.float64)
    for row in range(1, len(out)):
        out[row] = max(out[row], out[row - 1] + 1e-3)
    return out


def _duplicates(scan: _Scan, config: ScanConfig) -> Bool[np.ndarray, " frames"]:
    mean, peak = scan.mean_change, scan.peak_change
    usual_mean, usual_peak = (np.median(change[1:]) if len(change) > 1 else 0.0 for change in (mean, peak))
    faint = (mean < config.duplicate_mean_ratio * usual_mean) & (peak < config.duplicate_peak_ratio * usual_peak)
    duplicate = (peak < config.duplicate_level) | faint
    duplicate[0] = False
    return duplicate


def _shots(scan: _Scan, config: ScanConfig) -> tuple[tuple[int, int], ...]:
    starts = [0]
    count = len(scan.times)
    for row in range(1, count):
        around = np.r_[scan.mean_change[max(1, row - 6) : row], scan.mean_change[row + 1 : row + 7]]
        usual = np.median(around) if len(around) else 0.0
        is_cut = (
            scan.mean_change[row] > max(config.cut_level, config.cut_ratio * usual)
            and scan.overlap[row] < config.cut_overlap
        )
        if is_cut and row - starts[-1] >= config.min_shot_frames and count - row >= config.min_shot_frames:
            starts.append(row)
    return tuple(zip(starts, [*starts[1:], count], strict=True))
