"""One depth map of one file, whatever its format, as the arrays that an npz would hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import About
from diorama.frontends.precomputed.checked_files import Arrays, read_arrays, read_grey
from diorama.frontends.precomputed.exr import read_exr_depth

KEYFRAME = ("depth", "K", "confidence")
MAP_SUFFIXES = (".npz", ".png", ".exr")
# Blender writes 1e10 where there is nothing, half floats end at 65504; nothing in a picture is further away.
_NOTHING = 6e4


def read_map(path: Path, about: About) -> Arrays:
    """`depth`, and `K` and `confidence` if they are there.

    Raises:
        DioramaError: the file is damaged, a PNG has not 16 bits, or nobody says how long its unit is.
    """
    if path.suffix == ".npz":
        return read_arrays(path, KEYFRAME)
    if path.suffix == ".exr":
        depth = read_exr_depth(path)
        return Arrays(path, {"depth": np.where(np.isfinite(depth) & (depth < _NOTHING), depth, 0.0)})
    grey = read_grey(path)
    if grey.dtype != np.uint16:
        raise DioramaError("8 bits are too few for depth", where=path, fix="write 16 bits, or npz")
    if about.value("png_unit") is None:
        fix = 'state it in about.json: {"png_unit": 0.001} for millimetres'
        raise about.wrong("png_unit", "is missing, but there are PNG files", fix)
    return Arrays(path, {"depth": grey * about.number("png_unit")})
