"""The raw tables of BEDLAM's renderings: who stands where in a sequence, and the path of its camera."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama.data.layout import need_file
from diorama.data.unreal import world_points
from diorama.errors import DioramaError


@dataclass(frozen=True)
class PlacedBody:
    """A body of a sequence: its name (`subject_motion`), place in metres in the project's world, turn to the right
    about the vertical in degrees, and the frame of its motion at which the sequence starts."""

    name: str
    place: Float[np.ndarray, " 3"]
    yaw_degrees: float
    start_frame: int


@dataclass(frozen=True)
class Staging:
    """One sequence of a scene as `be_seq.csv` lists it."""

    name: str
    bodies: tuple[PlacedBody, ...]


@dataclass(frozen=True)
class CameraPath:
    """A camera as Unreal moved it, one row per rendered frame: metres in the project's world, angles in degrees, focal
    length in mm behind a sensor of 36 x 20.25 mm."""

    centres: Float[np.ndarray, "frames 3"]
    yaw: Float[np.ndarray, " frames"]
    pitch: Float[np.ndarray, " frames"]
    roll: Float[np.ndarray, " frames"]
    focal_mm: Float[np.ndarray, " frames"]


def read_stagings(path: Path) -> tuple[Staging, ...]:
    """The sequences of a scene: a row with `sequence_name=...` opens one, rows with a `Body` follow it.

    Raises:
        DioramaError: no such file, or it is no such table.
    """
    found: list[tuple[str, list[PlacedBody]]] = []
    for row in _rows(path, "be_seq.csv"):
        words = _assignments(row)
        if "sequence_name" in words:
            found.append((words["sequence_name"], []))
        elif row.get("body") and found:
            found[-1][1].append(_placed(row, words, path))
    if not found:
        raise DioramaError("no row with sequence_name=", where=path, fix="get the original file")
    return tuple(Staging(name, tuple(bodies)) for name, bodies in found)


def _placed(row: dict[str, str], words: dict[str, str], path: Path) -> PlacedBody:
    place = world_points(np.array([_number(row, axis, path) for axis in "xyz"]))
    return PlacedBody(row["body"], place, _number(row, "yaw", path), int(words.get("start_frame", "0")))


def read_camera_path(path: Path) -> CameraPath:
    """One `{seq}_camera.csv`.

    Raises:
        DioramaError: no such file, or a column is missing.
    """
    rows = _rows(path, "the path of the camera")
    if not rows:
        raise DioramaError("no rows", where=path, fix="get the original file")
    columns = {
        name: np.array([_number(row, name, path) for row in rows])
        for name in ("x", "y", "z", "yaw", "pitch", "roll", "focal_length")
    }
    centres = world_points(np.stack([columns[axis] for axis in "xyz"], -1))
    return CameraPath(centres, columns["yaw"], columns["pitch"], columns["roll"], columns["focal_length"])


def _rows(path: Path, what: str) -> list[dict[str, str]]:
    """Rows of a table by column names in small letters."""
    with need_file(path, what).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.DictReader(file, skipinitialspace=True)
        return [{str(k).strip().lower(): str(v or "").strip() for k, v in row.items() if k} for row in rows]


def _assignments(row: dict[str, str]) -> dict[str, str]:
    """All `name=value` in the cells of a row."""
    return dict(re.findall(r"(\w+)=([^;\s]+)", ";".join(row.values())))


def _number(row: dict[str, str], column: str, path: Path) -> float:
    try:
        return float(row[column])
    except (KeyError, ValueError) as error:
        raise DioramaError(f"no number in column {column}", where=path, fix="get the original file") from error
