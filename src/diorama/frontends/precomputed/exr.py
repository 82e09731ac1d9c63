"""OpenEXR pictures of one part, in scan lines, stored plainly or by ZIP: what depth is commonly written as.

Written from the format's public description (openexr.com, "OpenEXR File Layout"); OpenCV's wheels leave EXR out.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError

_MAGIC = 20000630
_NOT_SIMPLE = 0x200 | 0x800 | 0x1000  # tiles, deep data, several parts
_TYPES = {0: np.dtype("<u4"), 1: np.dtype("<f2"), 2: np.dtype("<f4")}
_COMPRESSIONS = ("none", "RLE", "ZIPS", "ZIP", "PIZ", "PXR24", "B44", "B44A", "DWAA", "DWAB")
_LINES = {0: 1, 2: 1, 3: 16}  # scan lines per block of the compressions that are read
_LARGEST = 100_000_000


@dataclass(frozen=True)
class _Header:
    channels: list[tuple[str, np.dtype]]
    compression: int
    width: int
    height: int
    top: int
    end: int


def read_exr_depth(path: Path) -> Float[np.ndarray, "height width"]:
    """The channel of an EXR picture that holds depth: its only one, else the one called Z, V or depth, else Y, else R.

    Raises:
        DioramaError: not such a picture, damaged, or of a compression other than none, ZIPS and ZIP.
    """
    try:
        data = path.read_bytes()
        header = _read_header(data)
        names = [name for name, _ in header.channels]
        return _read_channel(data, header, names.index(_depth_channel(names)))
    except (OSError, ValueError, IndexError, KeyError, struct.error, zlib.error, OverflowError) as error:
        raise DioramaError(
            f"not a readable EXR picture ({error})", where=path, fix="write one part with ZIP compression, or npz"
        ) from error


def _read_header(data: bytes) -> _Header:
    magic, version = struct.unpack_from("<II", data)
    if magic != _MAGIC:
        raise ValueError("it does not begin as one")
    if version & _NOT_SIMPLE:
        raise ValueError("it has tiles, deep data or several parts")
    at, found = 8, {}
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        found[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    left, top, right, bottom = struct.unpack("<iiii", found["dataWindow"])
    compression = found["compression"][0]
    if compression not in _LINES:
        raise ValueError(f"its compression is {_COMPRESSIONS[compression]}")
    width, height = right - left + 1, bottom - top + 1
    if width < 1 or height < 1 or width * height > _LARGEST:
        raise ValueError(f"it has {width} x {height} pixels")
    if found["dataWindow"] != found["displayWindow"]:
        raise ValueError("it holds a part of its picture only")
    return _Header(_channels(found["channels"]), compression, width, height, top, at + 1)


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(0, at)
    return data[at:end].decode(), end + 1


def _channels(data: bytes) -> list[tuple[str, np.dtype]]:
    at, found = 0, []
    while data[at]:
        name, at = _text(data, at)
        kind, across, down = struct.unpack_from("<i4xii", data, at)
        if (across, down) != (1, 1):
            raise ValueError(f"channel {name} has fewer pixels")
        found.append((name, _TYPES[kind]))
        at += 16
    return found


def _depth_channel(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    last = {name.split(".")[-1].lower(): name for name in names}
    for wanted in ("z", "v", "depth", "y", "r"):
        if wanted in last:
            return last[wanted]
    raise ValueError(f"none of its channels {', '.join(names)} is depth")


def _read_channel(data: bytes, header: _Header, index: int) -> np.ndarray:
    lines = _LINES[header.compression]
    blocks = -(-header.height // lines)
    sizes = [kind.itemsize * header.width for _, kind in header.channels]
    before, kind = sum(sizes[:index]), header.channels[index][1]
    out = np.full((header.height, header.width), np.nan)
    for start in struct.unpack_from(f"<{blocks}Q", data, header.end):
        line, size = struct.unpack_from("<ii", data, start)
        row = line - header.top
        count = min(lines, header.height - row)
        if row < 0 or count < 1:
            raise ValueError(f"it has a line {line}")
        block = _unpacked(data[start + 8 : start + 8 + size], sum(sizes) * count, header.compression)
        table = np.frombuffer(block, np.uint8).reshape(count, sum(sizes))[:, before : before + sizes[index]]
        out[row : row + count] = np.ascontiguousarray(table).view(kind)
    return out


def _unpacked(block: bytes, size: int, compression: int) -> bytes:
    """ZIP stores differences of neighbouring bytes, the even bytes first; blocks that would grow are stored plainly."""
    if len(block) == size:
        return block
    if compression == 0:
        raise ValueError("it ends too early")
    unzipped = zlib.decompressobj()
    raw = np.frombuffer(unzipped.decompress(block, size), np.uint8)
    if len(raw) != size:
        raise ValueError("a block has the wrong size")
    steps = raw.astype(np.int64) - 128
    steps[0] += 128
    together = (np.cumsum(steps) & 255).astype(np.uint8)
    out = np.empty(size, np.uint8)
    half = (size + 1) // 2
    out[0::2], out[1::2] = together[:half], together[half:]
    return out.tobytes()
