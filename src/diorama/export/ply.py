"""The scene's points as binary PLY: float x y z, uchar red green blue, float confidence."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diorama import __version__
from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.export.axes import Axes
from diorama.export.checks import known_points
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.reconstruction import Reconstruction, Scene

VERTEX = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("confidence", "<f4")]
)
_NAMES = {"<f4": "float", "|u1": "uchar"}
_BLOCK = 1 << 17


def write_ply(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> Path:
    """Write the points that are known, block by block. The scene does not move, so a frame rate changes nothing.

    Raises:
        DioramaError: the path is not writable.
    """
    path, axes, scene = Path(path), Axes.chosen(options), reconstruction.scene
    rows = np.flatnonzero(known_points(reconstruction))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_header(len(rows), axes).encode("ascii"))
        for start in range(0, len(rows), _BLOCK):
            file.write(_vertices(scene, rows[start : start + _BLOCK], axes).tobytes())
    return path


def _header(count: int, axes: Axes) -> str:
    properties = [f"property {_NAMES[VERTEX[name].str]} {name}" for name in VERTEX.names or ()]
    about = f"comment diorama {__version__}; +{axes.up.upper()} up, {axes.unit}"
    lines = ["ply", "format binary_little_endian 1.0", about, f"element vertex {count}", *properties, "end_header"]
    return "\n".join(lines) + "\n"


def _vertices(scene: Scene, rows: np.ndarray, axes: Axes) -> np.ndarray:
    vertices = np.empty(len(rows), VERTEX)
    places = axes.points(scene.points_world[rows])
    for column, name in enumerate("xyz"):
        vertices[name] = places[:, column]
    for column, name in enumerate(("red", "green", "blue")):
        vertices[name] = scene.colors[rows, column]
    vertices["confidence"] = scene.confidence[rows]
    return vertices


def read_ply(path: str | Path) -> np.ndarray:
    """Vertices of a PLY file of ours, with the fields of `VERTEX`, in the file's axes and unit.

    Raises:
        DioramaError: missing, or not such a file.
    """
    try:
        with Path(path).open("rb") as file:
            lines = [file.readline().decode("ascii").strip()]
            while lines[-1] != "end_header" and len(lines) < 100:
                lines.append(file.readline().decode("ascii").strip())
            count = int(next(line for line in lines if line.startswith("element vertex")).split()[-1])
            properties = [line.split()[1:] for line in lines if line.startswith("property")]
            if properties != [[_NAMES[VERTEX[name].str], name] for name in VERTEX.names or ()]:
                raise ValueError("other properties")
            return np.frombuffer(file.read(count * VERTEX.itemsize), VERTEX, count)
    except (OSError, ValueError, StopIteration) as error:
        raise DioramaError(f"not a PLY file of diorama ({error})", where=path, fix="export it again") from error
