"""Points of PLY and PCD files: ascii and binary, also the compressed PCD of point-cloud recorders; positions only."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError

_PLY_TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"),
    **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"),
    **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"),
    **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"),
    **dict.fromkeys(("double", "float64"), "f8"),
}
_PLY_FORMATS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
# A header longer than this is no header.
_HEADER_LINES = 1000


@dataclass(frozen=True)
class _Table:
    """How points lie in a file: their number, and one (name, numpy type, values) per field."""

    count: int
    fields: tuple[tuple[str, str, int], ...]

    def dtype(self) -> np.dtype:
        return np.dtype([(f"{name}.{n}", kind, (size,)) for n, (name, kind, size) in enumerate(self.fields)])

    def columns(self) -> tuple[int, ...]:
        """Columns of x, y and z in a text line."""
        starts = dict(zip((f[0] for f in self.fields), np.cumsum([0, *(f[2] for f in self.fields)]), strict=False))
        return tuple(int(starts[axis]) for axis in "xyz")

    def positions(self, rows: np.ndarray) -> Float[np.ndarray, "points 3"]:
        names = [next(n for n in rows.dtype.names or () if n.split(".")[0] == axis) for axis in "xyz"]
        return np.stack([rows[name][:, 0].astype(np.float64) for name in names], -1)


def read_points(path: Path) -> Float[np.ndarray, "points 3"]:
    """Positions in the file's own units and frame; points that are not finite are dropped, the order is kept.

    Raises:
        DioramaError: no such file, or not a PLY or PCD file that can be read.
    """
    if not path.is_file():
        raise DioramaError("no such file", where=path, fix="see docs/datasets.md for the files that belong here")
    try:
        with path.open("rb") as file:
            points = _read_ply(file) if path.suffix.lower() == ".ply" else _read_pcd(file)
    except (ValueError, IndexError, KeyError, StopIteration, OverflowError, MemoryError) as error:
        raise DioramaError(
            f"not a readable file of points ({error})", where=path, fix="get the original file"
        ) from error
    return points[np.isfinite(points).all(1)]


def _header(file: BufferedReader, last: str) -> list[list[str]]:
    """Words of the header's lines, up to and with the line that starts with `last`."""
    lines: list[list[str]] = []
    for raw in itertools.islice(file, _HEADER_LINES):
        words = raw.decode("latin1").split()
        lines.append(words)
        if words and words[0] == last:
            return lines
    raise ValueError(f"no line {last}")


def _read_ply(file: BufferedReader) -> np.ndarray:
    lines = _header(file, "end_header")
    order = _PLY_FORMATS[next(words[1] for words in lines if words[:1] == ["format"])]
    elements = [number for number, words in enumerate(lines) if words[:1] == ["element"]]
    if lines[elements[0]][1] != "vertex":
        raise ValueError("its first element is not vertex")
    until = elements[1] if len(elements) > 1 else len(lines)
    properties = [words for words in lines[elements[0] : until] if words[:1] == ["property"]]
    table = _Table(
        int(lines[elements[0]][2]), tuple((words[2], order + _PLY_TYPES[words[1]], 1) for words in properties)
    )
    return _ascii(file, table) if not order else _binary(file, table)


def _read_pcd(file: BufferedReader) -> np.ndarray:
    header = {words[0]: words[1:] for words in _header(file, "DATA") if words}
    kinds = {"I": "i", "U": "u", "F": "f"}
    counts = header.get("COUNT", ["1"] * len(header["FIELDS"]))
    rows = zip(header["FIELDS"], header["TYPE"], header["SIZE"], counts, strict=True)
    fields = tuple((name, f"<{kinds[kind]}{size}", int(count)) for name, kind, size, count in rows)
    table = _Table(int(header["POINTS"][0]), fields)
    layout = header["DATA"][0]
    return {"ascii": _ascii, "binary": _binary, "binary_compressed": _compressed}[layout](file, table)


def _ascii(file: BufferedReader, table: _Table) -> np.ndarray:
    if not table.count:
        return np.zeros((0, 3))
    lines = (line.decode("latin1") for line in itertools.islice(file, table.count))
    points = np.loadtxt(lines, usecols=table.columns(), ndmin=2, dtype=np.float64)
    return _whole(points, table.count)


def _binary(file: BufferedReader, table: _Table) -> np.ndarray:
    dtype = table.dtype()
    content = file.read(table.count * dtype.itemsize)
    return table.positions(
        _whole(np.frombuffer(content[: len(content) - len(content) % dtype.itemsize], dtype), table.count)
    )


def _compressed(file: BufferedReader, table: _Table) -> np.ndarray:
    """Two sizes, then all values of the first field, of the second, ..., packed by LZF."""
    packed, size = np.frombuffer(file.read(8), "<u4")
    content = unpack_lzf(file.read(int(packed)), int(size))
    columns, start = {}, 0
    for name, kind, values in table.fields:
        length = table.count * values * np.dtype(kind).itemsize
        columns.setdefault(name, np.frombuffer(content[start : start + length], kind).reshape(table.count, values))
        start += length
    return np.stack([columns[axis][:, 0].astype(np.float64) for axis in "xyz"], -1)


def _whole(rows: np.ndarray, count: int) -> np.ndarray:
    if len(rows) != count:
        raise ValueError(f"{len(rows)} of {count} points")
    return rows


def unpack_lzf(packed: bytes, size: int) -> bytes:
    """Unpack LZF: a byte below 32 announces that many literal bytes and one more; any other a copy of what came before.

    Raises:
        ValueError: the result has another size, or a copy reaches before the start.
        IndexError: the data end too early.
    """
    out, at = bytearray(), 0
    while at < len(packed):
        control = packed[at]
        at += 1
        if control < 32:
            out += packed[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += packed[at]
            at += 1
        start = len(out) - ((control & 31) << 8) - packed[at] - 1
        at += 1
        if start < 0:
            raise ValueError("a copy from before the start")
        # A copy may overlap what it writes: then it repeats the bytes in between.
        period = bytes(out[start : start + length + 2])
        out += (period * (-(-(length + 2) // len(period))))[: length + 2]
    if len(out) != size:
        raise ValueError(f"{len(out)} bytes where {size} were expected")
    return bytes(out)
