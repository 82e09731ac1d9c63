"""EXR files of one part in scan lines, for tests: written by hand, block by block."""

import struct
import zlib
from pathlib import Path

import numpy as np

TYPES = {np.dtype(np.uint32): 0, np.dtype(np.float16): 1, np.dtype(np.float32): 2}
LINES = {"none": (0, 1), "zips": (2, 1), "zip": (3, 16), "piz": (4, 32)}


def _attribute(name: str, kind: str, data: bytes) -> bytes:
    return name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(data)) + data


def _zipped(block: bytes) -> bytes:
    """Even bytes, odd bytes, differences, zlib; plain if that is not shorter."""
    apart = block[0::2] + block[1::2]
    steps = bytes([apart[0], *((apart[i] - apart[i - 1] + 128) & 255 for i in range(1, len(apart)))])
    packed = zlib.compress(steps)
    return packed if len(packed) < len(block) else block


def write_exr(path: Path, channels: dict[str, np.ndarray], compression: str = "zip", top: int = 0) -> Path:
    """`channels` are pictures of one size by name; they are written in the order of their names."""
    names = sorted(channels)
    height, width = channels[names[0]].shape
    code, lines = LINES[compression]
    listed = b"".join(
        name.encode() + b"\0" + struct.pack("<iIii", TYPES[channels[name].dtype], 0, 1, 1) for name in names
    )
    window = struct.pack("<iiii", 0, top, width - 1, top + height - 1)
    head = struct.pack("<II", 20000630, 2)
    head += _attribute("channels", "chlist", listed + b"\0") + _attribute("compression", "compression", bytes([code]))
    head += _attribute("dataWindow", "box2i", window) + _attribute("displayWindow", "box2i", window)
    head += _attribute("lineOrder", "lineOrder", b"\0") + _attribute("pixelAspectRatio", "float", struct.pack("<f", 1))
    head += _attribute("screenWindowCenter", "v2f", struct.pack("<ff", 0, 0))
    head += _attribute("screenWindowWidth", "float", struct.pack("<f", 1)) + b"\0"
    blocks = []
    for row in range(0, height, lines):
        block = b"".join(channels[n][y].tobytes() for y in range(row, min(row + lines, height)) for n in names)
        block = block if compression == "none" else _zipped(block)
        blocks.append(struct.pack("<ii", top + row, len(block)) + block)
    places = np.cumsum([len(head) + 8 * len(blocks), *(len(block) for block in blocks[:-1])])
    path.write_bytes(head + b"".join(struct.pack("<Q", place) for place in places) + b"".join(blocks))
    return path
