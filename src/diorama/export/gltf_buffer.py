"""The binary glTF container: a JSON document beside one buffer of typed arrays (accessors); writing and reading it."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diorama.assets import atomic_path
from diorama.errors import DioramaError

MAGIC, VERSION = 0x46546C67, 2
JSON_CHUNK, BINARY_CHUNK = 0x4E4F534A, 0x004E4942

COMPONENTS: dict[np.dtype, int] = {
    np.dtype(np.uint8): 5121,
    np.dtype(np.uint16): 5123,
    np.dtype(np.uint32): 5125,
    np.dtype(np.float32): 5126,
}
DTYPES = {number: dtype for dtype, number in COMPONENTS.items()}
SHAPES: dict[tuple[int, ...], str] = {(): "SCALAR", (2,): "VEC2", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
SHAPE_OF = {name: shape for shape, name in SHAPES.items()}

ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963


@dataclass
class GltfBuffer:
    """Arrays on their way into the one buffer of a GLB file, with the accessors that describe them."""

    chunks: list[bytes] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    accessors: list[dict[str, Any]] = field(default_factory=list)
    length: int = 0

    def add(
        self, array: np.ndarray, *, target: int | None = None, bounds: bool = False, normalized: bool = False
    ) -> int:
        """Append an array of shape (n,), (n,3), (n,4) or (n,4,4) and return the number of its accessor.

        4x4 matrices are given in the usual row-major way; glTF's column-major order is made here. `target` marks vertex
        attributes and indices; `bounds` records the extremes, which glTF asks for in positions and key times.
        """
        if array.ndim == 3:
            array = np.swapaxes(array, 1, 2)
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        view: dict[str, Any] = {"buffer": 0, "byteOffset": self.length, "byteLength": little.nbytes}
        accessor: dict[str, Any] = {
            "bufferView": len(self.views),
            "componentType": COMPONENTS[array.dtype],
            "count": len(array),
            "type": SHAPES[array.shape[1:]],
        }
        if target is not None:
            view["target"] = target
        if normalized:
            accessor["normalized"] = True
        if bounds:
            accessor["min"] = np.atleast_1d(array.min(0)).tolist()
            accessor["max"] = np.atleast_1d(array.max(0)).tolist()
        self.views.append(view)
        self.accessors.append(accessor)
        self.chunks.append(little.tobytes() + bytes(-little.nbytes % 4))
        self.length += len(self.chunks[-1])
        return len(self.accessors) - 1


def write_container(path: Path, document: dict[str, Any], buffer: GltfBuffer) -> None:
    """Write a glTF document (without buffers, views and accessors) and its buffer as one `.glb` file.

    Raises:
        DioramaError: the document holds a number that is not finite, or the file cannot be written.
    """
    document = dict(document)
    if buffer.length:
        tables = {"buffers": [{"byteLength": buffer.length}], "bufferViews": buffer.views}
        document |= {**tables, "accessors": buffer.accessors}
    try:
        text = json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as error:
        raise DioramaError("holds numbers that are not finite", where=path, fix="run reconstruct again") from error
    text += b" " * (-len(text) % 4)
    total = 12 + 8 + len(text) + (8 + buffer.length if buffer.length else 0)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<3I", MAGIC, VERSION, total))
        file.write(struct.pack("<2I", len(text), JSON_CHUNK) + text)
        if buffer.length:
            file.write(struct.pack("<2I", buffer.length, BINARY_CHUNK))
            file.writelines(buffer.chunks)


@dataclass(frozen=True)
class Glb:
    """A GLB file in memory: its JSON document and its one buffer."""

    document: dict[str, Any]
    buffer: bytes

    def array(self, accessor: int) -> np.ndarray:
        """The array of an accessor, as stored; 4x4 matrices come back row-major."""
        entry = self.document["accessors"][accessor]
        view = self.document["bufferViews"][entry["bufferView"]]
        shape, dtype = SHAPE_OF[entry["type"]], DTYPES[entry["componentType"]].newbyteorder("<")
        start = view.get("byteOffset", 0) + entry.get("byteOffset", 0)
        count = entry["count"] * int(np.prod(shape, dtype=int))
        array = np.frombuffer(self.buffer, dtype, count, start).reshape(entry["count"], *shape)
        return np.swapaxes(array, 1, 2) if len(shape) == 2 else array


def read_glb(path: str | Path) -> Glb:
    """Read a GLB file that keeps all its data in its own buffer, untransformed (no sparse or interleaved accessors).

    Raises:
        DioramaError: missing, or not a GLB file of version 2.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        magic, version, total = struct.unpack_from("<3I", data)
        length, kind = struct.unpack_from("<2I", data, 12)
        if (magic, version, total, kind) != (MAGIC, VERSION, len(data), JSON_CHUNK):
            raise ValueError("header")
        document = json.loads(data[20 : 20 + length])
    except (OSError, ValueError, struct.error) as error:
        raise DioramaError(f"not a readable GLB file ({error})", where=path, fix="export it again") from error
    return Glb(document, data[20 + length + 8 :])
