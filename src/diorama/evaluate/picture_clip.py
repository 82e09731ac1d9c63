"""Numbered pictures as a video that loses nothing: a method that reads videos gets every pixel of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from jaxtyping import UInt8

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.progress import progress_bar


def write_clip(pictures: Sequence[Path], fps: float, path: Path, *, turns: int = 0, progress: bool = True) -> Path:
    """Encode pictures to FFV1, RGB, one frame each at a constant rate; kept if it is there already.

    Args:
        fps: frames per second.
        path: ends in .avi, whose clock is the frame rate itself.
        turns: quarter turns clockwise that make the pictures upright.

    Raises:
        DioramaError: a picture cannot be read or has another size than the first, or there is no room.
    """
    if path.is_file():
        return path
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_path(path) as temporary, av.open(str(temporary), "w") as container:
        stream = container.add_stream("ffv1", rate=rate)
        size: tuple[int, int] | None = None
        for row, file in enumerate(progress_bar(pictures, desc="pictures", total=len(pictures), show=progress)):
            picture = _read(file, turns)
            if size is None:
                size = picture.shape[1], picture.shape[0]
                stream.width, stream.height, stream.pix_fmt = *size, "bgr0"
            if size != (picture.shape[1], picture.shape[0]):
                raise DioramaError("a picture of another size than the first", where=file, fix="check the data set")
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = row, 1 / rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def _read(file: Path, turns: int) -> UInt8[np.ndarray, "height width 3"]:
    """BGR, as stored (no turn of the picture's own tags), then upright."""
    picture = cv2.imread(str(file), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise DioramaError("not a readable picture", where=file, fix="copy the data set again")
    return np.ascontiguousarray(np.rot90(picture, -turns))
