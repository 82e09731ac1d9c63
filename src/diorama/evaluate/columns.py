"""The columns of the table: name, unit, direction, and how the papers take the mean over sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# "frames": all values of all sequences together, weighted where weights are given; "sequences": every sequence counts once.
Mean = Literal["frames", "sequences"]


@dataclass(frozen=True)
class Column:
    """One figure of merit.

    Attributes:
        name: as in the papers' tables (`published.py`), where they have it.
        unit: of the values; "fraction" and "ratio" are plain numbers.
        digits: after the point, in Markdown only.
        better: "low" or "high"; "" for what is only told (coverage).
        mean: over sequences, see `Mean`.
        factor: from the metric's unit to that of the table.
    """

    name: str
    unit: str
    digits: int
    better: Literal["low", "high", ""]
    mean: Mean
    factor: float = 1.0


COLUMNS: tuple[Column, ...] = (
    Column("WA-MPJPE", "mm", 1, "low", "frames"),
    Column("W-MPJPE", "mm", 1, "low", "frames"),
    Column("RTE", "%", 2, "low", "frames"),
    Column("PA-MPJPE", "mm", 1, "low", "frames"),
    Column("MPJPE", "mm", 1, "low", "frames"),
    Column("PVE", "mm", 1, "low", "frames"),
    Column("Accel", "m/s^2", 2, "low", "frames"),
    Column("Jitter", "10 m/s^3", 1, "low", "frames"),
    Column("MRPE", "m", 3, "low", "frames"),
    Column("V2V", "m", 3, "low", "frames"),
    Column("FS", "mm", 1, "low", "frames"),
    Column("FFR", "%", 1, "low", "sequences", 100.0),
    Column("Sink", "mm", 1, "low", "frames"),
    Column("ContactP", "fraction", 3, "high", "frames"),
    Column("ContactR", "fraction", 3, "high", "frames"),
    Column("ATE", "m", 3, "low", "sequences"),
    Column("ATE-sim3", "m", 3, "low", "sequences"),
    Column("Scale", "%", 1, "low", "sequences"),
    Column("AbsRel", "ratio", 3, "low", "frames"),
    Column("delta1.25", "fraction", 3, "high", "frames"),
    Column("CD", "m", 2, "low", "sequences"),
    Column("People", "%", 0, "", "frames", 100.0),
    Column("Frames", "%", 0, "", "frames", 100.0),
    Column("Cameras", "%", 0, "", "frames", 100.0),
    Column("DepthPx", "%", 0, "", "frames", 100.0),
)
COLUMN = {column.name: column for column in COLUMNS}
