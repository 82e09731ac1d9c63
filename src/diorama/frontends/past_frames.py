"""Frames that the tracker keeps for a while, small, to look at them again."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import UInt8

from diorama.frontends.blazepose import CROP
from diorama.frontends.separation import Sighting

# Hardly visible losses; colours at full resolution, since they tell people apart.
_JPEG = [cv2.IMWRITE_JPEG_QUALITY, 96, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_NO_MASK = np.zeros((CROP, CROP), np.float32)


@dataclass(frozen=True)
class PastFrame:
    """A frame as a JPEG, and who was seen in it."""

    row: int
    jpeg: UInt8[np.ndarray, " bytes"]
    present: dict[int, Sighting]

    @classmethod
    def of(cls, row: int, rgb: UInt8[np.ndarray, "height width 3"], present: dict[int, Sighting]) -> PastFrame:
        """Keep a frame; of the sightings without the network's own crops."""
        _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), _JPEG)
        small = {key: replace(s, pose=replace(s.pose, mask=_NO_MASK)) for key, s in present.items()}
        return cls(row, jpeg.reshape(-1), small)

    def picture(self) -> UInt8[np.ndarray, "height width 3"]:
        """The picture, decoded."""
        decoded = cv2.imdecode(self.jpeg, cv2.IMREAD_COLOR)
        assert decoded is not None
        return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
