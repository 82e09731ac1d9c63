"""Pictures to a video file."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np

from diorama.assets import atomic_path
from diorama.errors import DioramaError


def write_video(
    path: Path, pictures: Iterator[np.ndarray], size: tuple[int, int], fps: float, *, crf: int = 18
) -> None:
    """H.264 (yuv420p) of RGB pictures of `size` = (width, height); the file appears when it is complete.

    Raises:
        DioramaError: it cannot be written.
    """
    rate = Fraction(fps).limit_denominator(1001)
    with atomic_path(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4") as container:
                stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
                for picture in pictures:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
                container.mux(stream.encode())
        except av.error.FFmpegError as error:
            raise DioramaError(f"cannot write ({error})", where=path, fix="free some space") from error
