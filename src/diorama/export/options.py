"""What a user may choose about an export: up axis, unit, frame rate, the video beside the world."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from diorama.errors import DioramaError


@dataclass(frozen=True)
class ExportOptions:
    """None leaves a choice to the format; docs/exports.md says what each takes.

    Attributes:
        up: the axis that points up in the file, y or z.
        unit: its unit of length, m or cm.
        fps: frames per second; motion between frames is interpolated on SE(3) and SO(3).
        side_by_side: MP4: the video with the bodies on it, left of the world.
        video: the source video, if it was moved since (for `side_by_side`).
    """

    up: str | None = None
    unit: str | None = None
    fps: float | None = None
    side_by_side: bool = False
    video: Path | None = None

    def __post_init__(self) -> None:
        if self.up not in (None, "y", "z"):
            raise DioramaError(f"no axis {self.up!r}", where="--up", fix="choose y or z")
        if self.unit not in (None, "m", "cm"):
            raise DioramaError(f"no unit {self.unit!r}", where="--unit", fix="choose m or cm")
        if self.fps is not None and not (math.isfinite(self.fps) and 1 <= self.fps <= 1000):
            raise DioramaError(f"{self.fps:g} frames per second", where="--fps", fix="give a number from 1 to 1000")

    @property
    def whole_fps(self) -> int | None:
        """The rate for formats that only know whole numbers.

        Raises:
            DioramaError: it is not a whole number.
        """
        if self.fps is not None and self.fps != round(self.fps):
            raise DioramaError(
                f"{self.fps:g} frames per second", where="amass", fix="its rate is a whole number: --fps 30"
            )
        return None if self.fps is None else round(self.fps)


DEFAULTS = ExportOptions()
