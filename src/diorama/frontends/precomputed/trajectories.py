"""Text files of camera poses and lenses: TUM trajectories, COLMAP's text model, and lines of intrinsics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.errors import DioramaError
from diorama.frontends.precomputed.checked_files import (
    FIX,
    floats,
    number_of,
    numbered_lines,
    read_lines,
    turned,
    wrong_line,
)
from diorama.geometry.transforms import invert, rigid

# Columns of COLMAP's camera models that have no tangential part: f or fx fy, cx, cy, radial coefficients.
_LENSES = {"SIMPLE_PINHOLE": (1, 0), "PINHOLE": (2, 0), "SIMPLE_RADIAL": (1, 1), "RADIAL": (1, 2)}


def read_tum(path: Path) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 4 4"]]:
    """Stamps and `T_world_camera` of a trajectory with lines `stamp tx ty tz qx qy qz qw`, in the file's order.

    Raises:
        DioramaError: no such file, or a line is not of this form.
    """
    stamps, Ts = [], []
    for number, line in numbered_lines(path):
        fields = line.split()
        if len(fields) != 8:
            raise wrong_line(path, number, f"{len(fields)} columns where 8 were expected: stamp tx ty tz qx qy qz qw")
        values = floats(path, number, fields)
        rotation = turned(values[4:])
        if rotation is None:
            raise wrong_line(path, number, "qx qy qz qw is no unit quaternion")
        stamps.append(values[0])
        Ts.append(rigid(rotation, values[1:4]))
    return np.array(stamps, np.float64), np.array(Ts).reshape(-1, 4, 4)


@dataclass(frozen=True)
class Lens:
    """Intrinsics in pixels of a picture of `width` x `height`, centres at half integers, and radial coefficients."""

    width: int
    height: int
    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class ColmapImages:
    """Frame numbers (from the names), poses and lenses of the images of a COLMAP model, in the order of the numbers."""

    numbers: Int[np.ndarray, " n"]
    T_world_camera: Float[np.ndarray, "n 4 4"]
    lenses: tuple[Lens, ...]


def read_colmap(folder: Path) -> ColmapImages:
    """The `cameras.txt` and `images.txt` of a COLMAP model; its world-to-camera poses are inverted.

    Raises:
        DioramaError: a file is missing, or a line is not of COLMAP's form.
    """
    lenses = _colmap_lenses(folder / "cameras.txt")
    path = folder / "images.txt"
    found: dict[int, tuple[np.ndarray, Lens]] = {}
    for number, line in _image_lines(path):
        fields = line.split(maxsplit=9)
        if len(fields) != 10:
            raise wrong_line(
                path, number, f"{len(fields)} columns where 10 were expected: ID QW..QZ TX..TZ CAMERA NAME"
            )
        values = floats(path, number, fields[:9])
        rotation, camera = turned(values[[2, 3, 4, 1]]), int(values[8])
        if rotation is None:
            raise wrong_line(path, number, "QW QX QY QZ is no unit quaternion")
        if camera not in lenses:
            raise wrong_line(path, number, f"camera {camera} is not in cameras.txt")
        frame = number_of(path, fields[9])
        if frame in found:
            raise wrong_line(path, number, f"a second image of frame {frame}")
        found[frame] = (invert(rigid(rotation, values[5:8])), lenses[camera])
    frames = sorted(found)
    poses = np.array([found[frame][0] for frame in frames]).reshape(-1, 4, 4)
    return ColmapImages(np.array(frames, np.int64), poses, tuple(found[frame][1] for frame in frames))


def _image_lines(path: Path) -> list[tuple[int, str]]:
    """The first of the two lines of every image; the second, of points, may be empty."""
    lines = [(n, line.strip()) for n, line in enumerate(read_lines(path), 1) if not line.lstrip().startswith("#")]
    out, at = [], 0
    while at < len(lines):
        if lines[at][1]:
            out.append(lines[at])
            if at + 1 < len(lines) and len(lines[at + 1][1].split()) % 3:
                raise wrong_line(path, lines[at + 1][0], "the line of 2D points (X Y ID ..., may be empty) is missing")
            at += 1
        at += 1
    return out


def _colmap_lenses(path: Path) -> dict[int, Lens]:
    found = {}
    for number, line in numbered_lines(path):
        fields = line.split()
        model = fields[1] if len(fields) > 1 else ""
        if model not in _LENSES:
            fix = f"undistort the pictures, or solve with one of {', '.join(_LENSES)}"
            raise DioramaError(f"line {number}: camera model {model!r}", where=path, fix=fix)
        focals, radial = _LENSES[model]
        if len(fields) != 4 + focals + 2 + radial:
            raise wrong_line(path, number, f"{len(fields)} columns where {model} has {4 + focals + 2 + radial}")
        values = floats(path, number, [fields[0], *fields[2:]])
        size, lens = values[1:3], values[3:]
        if min(size) < 1 or min(lens[:focals]) <= 0:
            raise wrong_line(path, number, "size or focal length is not positive")
        K = _matrix(lens[0], lens[focals - 1], *lens[focals : focals + 2])
        found[int(values[0])] = Lens(int(size[0]), int(size[1]), K, lens[focals + 2 :])
    return found


def read_colmap_points(path: Path) -> tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"]]:
    """World points and RGB colours of a `points3D.txt`.

    Raises:
        DioramaError: a line is not of COLMAP's form.
    """
    rows = []
    for number, line in numbered_lines(path):
        fields = line.split()
        if len(fields) < 8:
            raise wrong_line(path, number, "fewer than 8 columns: ID X Y Z R G B ERROR ...")
        values = floats(path, number, fields[1:7])
        if not ((values[3:] >= 0) & (values[3:] <= 255)).all():
            raise wrong_line(path, number, "R G B is not within 0 to 255")
        rows.append(values)
    table = np.array(rows, np.float64).reshape(-1, 6)
    return table[:, :3], table[:, 3:].astype(np.uint8)


def read_intrinsics_text(path: Path) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n k"]]:
    """K and radial coefficients from lines `fx fy cx cy [k1 k2 ...]`: one line for all frames, or one per frame.

    Raises:
        DioramaError: no such file, no line, or a line is not of this form.
    """
    rows = []
    for number, line in numbered_lines(path):
        values = floats(path, number, line.split())
        if len(values) < 4 or (rows and len(values) != len(rows[0])):
            raise wrong_line(path, number, f"{len(values)} columns where all lines have fx fy cx cy and as many k")
        if min(values[:2]) <= 0:
            raise wrong_line(path, number, "the focal length is not positive")
        rows.append(values)
    if not rows:
        raise DioramaError("no line fx fy cx cy", where=path, fix=FIX)
    table = np.array(rows)
    return np.array([_matrix(*row[:4]) for row in table]), table[:, 4:]


def _matrix(fx: float, fy: float, cx: float, cy: float) -> Float[np.ndarray, "3 3"]:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float64)
