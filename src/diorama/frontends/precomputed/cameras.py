"""Cameras of another tool: poses in TUM or COLMAP form, its lens, its sparse points."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import About, Pixels, pixels_of, scale_to_source
from diorama.frontends.precomputed.checked_files import Arrays, files_of, read_arrays
from diorama.frontends.precomputed.timeline import Timeline
from diorama.frontends.precomputed.trajectories import (
    read_colmap,
    read_colmap_points,
    read_intrinsics_text,
    read_tum,
)
from diorama.geometry.transforms import interpolate_rigid
from diorama.observations import ObservedCameras

KINDS = ("translating", "rotating", "static")
FOCAL_SOURCES = ("recovered", "assumed", "given")
INTRINSICS = ("K", "distortion")
POINTS = ("points_world", "colors")
FILES = (
    "about.json", "poses.txt", "intrinsics.txt", "intrinsics.npz", "points.npz", "cameras.txt", "images.txt", "points3D.txt",
)  # fmt: skip
# What COLMAP 3.12 and later writes beside them, and what says nothing new of one camera.
_UNUSED = ("rigs.txt", "frames.txt")
# Poses of one place and direction, up to the digits of text: radians, and a share of the world's size.
_SAME = 1e-6


@dataclass(frozen=True)
class _Found:
    """Poses of some rows (ascending), K and distortion of each."""

    rows: Int[np.ndarray, " n"]
    T_world_camera: Float[np.ndarray, "n 4 4"]
    K: Float[np.ndarray, "n 3 3"]
    distortion: Float[np.ndarray, "n k"]


def read_cameras(folder: Path, timeline: Timeline, about: About) -> ObservedCameras:
    """Cameras of all rows; rows without a pose get an interpolated one and are not `registered`.

    Raises:
        DioramaError: a file is missing or damaged, or contradicts another one.
    """
    files_of(folder, "", (*FILES, *_UNUSED))
    colmap, simple = (
        [name for name in names if (folder / name).exists()]
        for names in (("cameras.txt", "images.txt"), ("poses.txt", "intrinsics.txt", "intrinsics.npz"))
    )
    if colmap and simple:
        raise DioramaError(f"both {colmap[0]} and {simple[0]}", where=folder, fix="keep COLMAP's files or the others")
    found = _colmap(folder, timeline) if colmap else _simple(folder, timeline, about)
    everything = np.arange(len(timeline))
    Ts = interpolate_rigid(timeline.times, timeline.times[found.rows], found.T_world_camera)
    last = np.clip(np.searchsorted(found.rows, everything, side="right") - 1, 0, None)
    registered = np.isin(everything, found.rows) & ~np.isin(everything, _interpolated(about, timeline))
    points, colors = _points(folder, bool(colmap))
    kind = _kind_of(found.T_world_camera) if about.value("kind") is None else about.choice("kind", KINDS)
    unknown = about.value("reprojection_px") is None
    return ObservedCameras(
        source=about.source(),
        kind=kind,
        focal_source=about.choice("focal_source", FOCAL_SOURCES),
        K=found.K[last],
        distortion=found.distortion[last],
        T_world_camera=Ts,
        registered=registered,
        metric=about.flag("metric"),
        points_world=points,
        colors=colors,
        reprojection_px=float("nan") if unknown else about.number("reprojection_px"),
        evidence=_evidence(about),
        warnings=about.texts("warnings"),
    )


def _colmap(folder: Path, timeline: Timeline) -> _Found:
    images = read_colmap(folder)
    _need_poses(len(images.numbers), folder / "images.txt")
    rows = timeline.increasing_rows(images.numbers, folder / "images.txt")
    sizes = [(lens.width, lens.height) for lens in images.lenses]
    pixels = [Pixels(scale_to_source(size, timeline, folder / "cameras.txt"), 0.0) for size in sizes]
    K = np.array([p.intrinsics(lens.K) for p, lens in zip(pixels, images.lenses, strict=True)])
    distortion = np.zeros((len(rows), max(len(lens.distortion) for lens in images.lenses)))
    for row, lens in zip(distortion, images.lenses, strict=True):
        row[: len(lens.distortion)] = lens.distortion
    return _Found(rows, images.T_world_camera, K, distortion)


def _simple(folder: Path, timeline: Timeline, about: About) -> _Found:
    rows, Ts = _poses(folder / "poses.txt", timeline, about)
    K, distortion = _intrinsics(folder, timeline)
    return _Found(rows, Ts, pixels_of(about, timeline).intrinsics(K)[rows], distortion[rows])


def _poses(path: Path, timeline: Timeline, about: About) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, "n 4 4"]]:
    """Rows and poses of a TUM file; a camera that is said to be static needs none."""
    if not path.exists() and about.value("kind") == "static":
        return np.arange(len(timeline)), np.tile(np.eye(4), (len(timeline), 1, 1))
    stamps, Ts = read_tum(path)
    _need_poses(len(stamps), path)
    order = np.argsort(stamps, kind="stable")
    stamps, Ts = stamps[order], Ts[order]
    if about.choice("stamps", ("seconds", "frames")) == "seconds":
        rows = timeline.rows_at(stamps, path)
        if not (np.diff(rows) > 0).all():
            raise DioramaError("two poses of one frame", where=path, fix="keep the pose nearest to each frame")
        return rows, Ts
    if not (stamps == np.round(stamps)).all():
        raise DioramaError("frame numbers that are not whole", where=path, fix='state "stamps": "seconds"')
    return timeline.increasing_rows(stamps.astype(np.int64), path), Ts


def _need_poses(count: int, path: Path) -> None:
    if not count:
        raise DioramaError("no pose in it", where=path, fix="leave the cameras folder out if there are none")


def _intrinsics(folder: Path, timeline: Timeline) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n k"]]:
    """K and distortion of all rows, in the tool's pixels."""
    text, binary = folder / "intrinsics.txt", folder / "intrinsics.npz"
    if text.exists() == binary.exists():
        what = "two files of intrinsics" if text.exists() else "neither intrinsics.txt nor intrinsics.npz"
        raise DioramaError(what, where=folder, fix="give one: fx fy cx cy, or K")
    count = len(timeline)
    K, distortion = read_intrinsics_text(text) if text.exists() else _intrinsics_npz(binary)
    path = text if text.exists() else binary
    for what, found in (("lenses", K), ("rows of distortion", distortion)):
        if len(found) not in (1, count):
            raise DioramaError(f"{len(found)} {what} for {count} frames", where=path, fix="give one, or one per frame")
    return np.broadcast_to(K, (count, 3, 3)), np.broadcast_to(distortion, (count, distortion.shape[1]))


def _intrinsics_npz(path: Path) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "m k"]]:
    arrays = read_arrays(path, INTRINSICS)
    K = matrices_of(arrays)
    if "distortion" not in arrays:
        return K, np.zeros((1, 0))
    shape = (None,) * max(arrays.array("distortion").ndim, 1)
    return K, np.atleast_2d(arrays.numbers("distortion", *shape[:2]))


def matrices_of(arrays: Arrays) -> Float[np.ndarray, "n 3 3"]:
    """The array `K` of a file, (3, 3) or (n, 3, 3), as (n, 3, 3).

    Raises:
        DioramaError: it is not of the form fx 0 cx, 0 fy cy, 0 0 1.
    """
    shape = (3, 3) if arrays.array("K").ndim == 2 else (None, 3, 3)
    K = arrays.numbers("K", *shape).reshape(-1, 3, 3)
    form = np.array([[1, 0, 1], [0, 1, 1], [0, 0, 0]], bool)
    straight = np.array([[0, 0, 0], [0, 0, 0], [0, 0, 1.0]])
    if not (K[:, ~form] == straight[~form]).all() or not (K[:, [0, 1], [0, 1]] > 0).all():
        raise arrays.wrong("K", "is not of the form fx 0 cx, 0 fy cy, 0 0 1 in pixels")
    return K


def _interpolated(about: About, timeline: Timeline) -> Int[np.ndarray, " n"]:
    found = about.value("interpolated")
    if not isinstance(found, list) or not all(isinstance(n, int) and not isinstance(n, bool) for n in found):
        raise about.wrong("interpolated", "is not a list of frame numbers")
    return timeline.rows(np.array(found, np.int64), about.path)


def _evidence(about: About) -> dict[str, float]:
    found = about.value("evidence")
    numbers = isinstance(found, dict) and all(isinstance(value, (int, float)) for value in found.values())
    if not numbers:
        raise about.wrong("evidence", "is not a table of numbers")
    return {key: float(value) for key, value in found.items()}


def _points(folder: Path, colmap: bool) -> tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"]]:
    text, binary = folder / "points3D.txt", folder / "points.npz"
    if colmap and text.exists():
        return read_colmap_points(text)
    if not binary.exists():
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8)
    arrays = read_arrays(binary, POINTS)
    points = arrays.numbers("points_world", None, 3)
    return points, colours_of(arrays, len(points))


def colours_of(arrays: Arrays, count: int) -> UInt8[np.ndarray, "points 3"]:
    """The array `colors` of a file; grey if there is none."""
    return arrays.bytes("colors", count, 3) if "colors" in arrays else np.full((count, 3), 128, np.uint8)


def _kind_of(Ts: Float[np.ndarray, "n 4 4"]) -> str:
    """What the poses themselves show: a camera that does not move at all, one that only turns, or one that travels."""
    centres = Ts[:, :3, 3]
    if np.ptp(centres, axis=0).max() > _SAME * max(1.0, float(np.abs(centres).max())):
        return "translating"
    turn = np.abs(Ts[:, :3, :3] - Ts[0, :3, :3]).max()
    return "rotating" if turn > _SAME else "static"
