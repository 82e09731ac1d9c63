"""Small pictures of the source video, decoded in the background and kept compressed, for the camera's frustum."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from diorama.errors import DioramaError
from diorama.export.source_video import named_shot
from diorama.reconstruction import Reconstruction
from diorama.video import open_video

logger = logging.getLogger(__name__)


class Pictures:
    """The frames of a video, at most `size` pixels wide or high, as far as they have been read."""

    def __init__(self, path: Path, reconstruction: Reconstruction, size: int = 320) -> None:
        self.path, self.size, self.shot = path, size, named_shot(reconstruction)
        self._row_of = {int(index): row for row, index in enumerate(reconstruction.frame_index)}
        self._jpegs: dict[int, np.ndarray] = {}

    def start(self, arrived: Callable[[int], None]) -> None:
        """Read the video in a thread of its own; `arrived` is told of every row that has its picture."""
        threading.Thread(target=self.read, args=(arrived,), name="diorama-pictures", daemon=True).start()

    def read(self, arrived: Callable[[int], None]) -> None:
        """Read the video from end to end; a fault is told in the log, and the viewer goes on without pictures."""
        try:
            video = open_video(self.path, shot=self.shot)
            for row, picture in video.frames(max_size=self.size):
                if (known := self._row_of.get(row + video.first_frame)) is not None:
                    self._jpegs[known] = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
                    arrived(known)
        except DioramaError as error:
            logger.warning("no pictures of the video: %s", error)

    def picture(self, row: int) -> UInt8[np.ndarray, "height width 3"] | None:
        """The picture of a row of the reconstruction, RGB; None if it is not there (yet)."""
        jpeg = self._jpegs.get(row)
        picture = None if jpeg is None else cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        return None if picture is None else np.ascontiguousarray(picture[..., ::-1])
