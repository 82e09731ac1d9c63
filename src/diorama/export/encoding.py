"""Pictures to an MP4 file, at given times."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from jaxtyping import Float

from diorama.assets import atomic_path
from diorama.errors import DioramaError

# Container times are integers of this unit: the usual clock of video streams, finer than any frame time.
_CLOCK = Fraction(1, 90000)


def write_pictures(path: Path, pictures: Iterator[np.ndarray], times: Float[np.ndarray, " frames"], fps: float) -> None:
    """H.264 of RGB pictures with even sizes, at `times` (seconds, from the first on); nothing is kept in memory.

    Raises:
        DioramaError: the file cannot be written.
    """
    clock = np.round((times - times[0]) / float(_CLOCK)).astype(np.int64)
    with atomic_path(path) as temporary:
        try:
            with av.open(str(temporary), "w", format="mp4") as container:
                stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001))
                stream.options = {"crf": "21", "preset": "veryfast"}
                stream.codec_context.time_base = _CLOCK
                stream.pix_fmt = "yuv420p"
                for row, picture in enumerate(pictures):
                    if row == 0:
                        stream.height, stream.width = picture.shape[:2]
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts, frame.time_base = int(clock[row]), _CLOCK
                    container.mux(stream.encode(frame))
                container.mux(stream.encode())
        except av.error.FFmpegError as error:
            raise DioramaError(f"cannot write ({error})", where=path, fix="free some space or permit it") from error
