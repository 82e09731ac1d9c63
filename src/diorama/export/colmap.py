"""COLMAP's sparse model, text and binary: cameras, one image per frame of the video, the scene as 3D points.

Poses are world to camera with quaternions in w, x, y, z order; pixels have their centres at half integers, as ours.
Frames share a camera where they have the same lens. Images are called `frame_000012.png` after the number of the frame
in the video; they are not written. There are no 2D points, so no tracks; COLMAP accepts that. Files of before 3.12
(without rigs.txt and frames.txt) are what every reader knows.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.export.axes import Axes
from diorama.export.checks import known_points
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.skin import quaternions_xyzw
from diorama.geometry.transforms import invert
from diorama.reconstruction import Cameras, Reconstruction

logger = logging.getLogger(__name__)

# COLMAP's models by the number of radial coefficients: name, number in binary files.
MODELS = {0: ("PINHOLE", 1), 1: ("OPENCV", 4), 2: ("OPENCV", 4), 3: ("FULL_OPENCV", 6)}
# Means "not computed".
_ERROR = -1.0
_BLOCK = 1 << 15
_POINT = np.dtype([("id", "<u8"), ("xyz", "<f8", 3), ("rgb", "u1", 3), ("error", "<f8"), ("track", "<u8")])


def write_colmap(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> list[Path]:
    """Write `sparse/0/{cameras,images,points3D}` as `.txt` and `.bin` into a folder.

    Raises:
        DioramaError: a lens has more radial coefficients than COLMAP's models, or the folder is not writable.
    """
    if options.fps is not None:
        logger.warning("colmap keeps the video's own frames, because its images are pictures of the video")
    folder, model = Path(path) / "sparse" / "0", _model(reconstruction, Axes.chosen(options))
    writers = {
        "cameras.txt": _cameras_text, "images.txt": _images_text, "points3D.txt": _points_text,
        "cameras.bin": _cameras_binary, "images.bin": _images_binary, "points3D.bin": _points_binary,
    }  # fmt: skip
    for name, blocks in writers.items():
        with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
            _write(file, blocks(model))
    return [folder / name for name in writers]


def _write(file: IO[bytes], blocks: Iterator[bytes]) -> None:
    for block in blocks:
        file.write(block)


@dataclass(frozen=True)
class _Model:
    """What both forms hold. `lenses`: parameters in COLMAP's order, one row per distinct camera; `lens_of`: the row of
    each frame; ids are these numbers and 1."""

    kind: tuple[str, int]
    width: int
    height: int
    lenses: Float[np.ndarray, "lenses parameters"]
    lens_of: Int[np.ndarray, " frames"]
    wxyz: Float[np.ndarray, "frames 4"]
    centres: Float[np.ndarray, "frames 3"]
    names: tuple[str, ...]
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]


def _model(reconstruction: Reconstruction, axes: Axes) -> _Model:
    cameras, known = reconstruction.cameras, known_points(reconstruction)
    kind, parameters = _parameters(cameras)
    lenses, lens_of = np.unique(parameters, axis=0, return_inverse=True)
    Ts_camera_world = invert(axes.poses(cameras.T_world_camera))
    return _Model(
        kind, cameras.width, cameras.height, lenses, lens_of.reshape(-1),
        wxyz=quaternions_xyzw(Ts_camera_world[:, :3, :3])[:, [3, 0, 1, 2]], centres=Ts_camera_world[:, :3, 3],
        names=tuple(f"frame_{index:06d}.png" for index in reconstruction.frame_index),
        points=axes.points(reconstruction.scene.points_world[known]), colors=reconstruction.scene.colors[known],
    )  # fmt: skip


def _parameters(cameras: Cameras) -> tuple[tuple[str, int], Float[np.ndarray, "frames parameters"]]:
    """The simplest of COLMAP's models that holds the lens, and fx, fy, cx, cy[, k1, k2, p1, p2[, k3, k4, k5, k6]]."""
    used = np.flatnonzero(cameras.distortion.any(0))
    count = int(used.max()) + 1 if len(used) else 0
    if count not in MODELS:
        raise DioramaError(f"a lens of {count} radial coefficients", where="colmap", fix="its models have at most 3")
    radial = np.zeros((len(cameras.K), 3))
    radial[:, :count] = cameras.distortion[:, :count]
    zeros = np.zeros_like(radial)
    every = np.concatenate(
        [cameras.K[:, [0, 1, 0, 1], [0, 1, 2, 2]], radial[:, :2], zeros[:, :2], radial[:, 2:], zeros], 1
    )
    return MODELS[count], every[:, : {0: 4, 3: 12}.get(count, 8)]


def _cameras_text(model: _Model) -> Iterator[bytes]:
    yield b"# Camera list with one line of data per camera:\n#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]\n"
    for number, lens in enumerate(model.lenses, 1):
        yield f"{number} {model.kind[0]} {model.width} {model.height} {_numbers(lens)}\n".encode()


def _images_text(model: _Model) -> Iterator[bytes]:
    yield b"# Image list with two lines of data per image:\n"
    yield b"#   IMAGE_ID, QW, QX, QY, QZ, TX, TY, TZ, CAMERA_ID, NAME\n#   POINTS2D[] as (X, Y, POINT3D_ID)\n"
    for row, name in enumerate(model.names):
        pose = _numbers([*model.wxyz[row], *model.centres[row]])
        yield f"{row + 1} {pose} {model.lens_of[row] + 1} {name}\n\n".encode()


def _points_text(model: _Model) -> Iterator[bytes]:
    yield b"# 3D point list with one line of data per point:\n"
    yield b"#   POINT3D_ID, X, Y, Z, R, G, B, ERROR, TRACK[] as (IMAGE_ID, POINT2D_IDX)\n"
    for start in range(0, len(model.points), _BLOCK):
        places, colors = model.points[start : start + _BLOCK].tolist(), model.colors[start : start + _BLOCK].tolist()
        yield "".join(
            f"{number} {x:.9g} {y:.9g} {z:.9g} {r} {g} {b} {_ERROR:g}\n"
            for number, ((x, y, z), (r, g, b)) in enumerate(zip(places, colors, strict=True), start + 1)
        ).encode()


def _numbers(values: np.ndarray | list[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)


def _cameras_binary(model: _Model) -> Iterator[bytes]:
    yield struct.pack("<Q", len(model.lenses))
    for number, lens in enumerate(model.lenses, 1):
        yield struct.pack("<IiQQ", number, model.kind[1], model.width, model.height) + lens.astype("<f8").tobytes()


def _images_binary(model: _Model) -> Iterator[bytes]:
    yield struct.pack("<Q", len(model.names))
    for row, name in enumerate(model.names):
        pose = struct.pack("<I7dI", row + 1, *model.wxyz[row], *model.centres[row], model.lens_of[row] + 1)
        yield pose + name.encode() + b"\0" + struct.pack("<Q", 0)


def _points_binary(model: _Model) -> Iterator[bytes]:
    yield struct.pack("<Q", len(model.points))
    for start in range(0, len(model.points), _BLOCK):
        stop = min(start + _BLOCK, len(model.points))
        block = np.zeros(stop - start, _POINT)
        block["id"] = np.arange(start + 1, stop + 1)
        block["xyz"], block["rgb"], block["error"] = model.points[start:stop], model.colors[start:stop], _ERROR
        yield block.tobytes()
