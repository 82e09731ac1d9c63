"""Files of other programs with checked access: arrays without pickles, JSON, tables in text, pictures of ids.

Whatever is wrong is one `DioramaError` that names the file, what is wrong in it, and what to do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt

from diorama.errors import DioramaError
from diorama.pickles import DAMAGE

FIX = "compare with docs/precomputed.md"
_NUMBERED = re.compile(r"\d+")


@dataclass(frozen=True)
class Arrays:
    """The arrays of one npz file by name."""

    path: Path
    content: Mapping[str, np.ndarray]

    def __contains__(self, name: str) -> bool:
        return name in self.content

    def wrong(self, name: str, what: str, fix: str = FIX) -> DioramaError:
        """The error that names an array of this file."""
        return DioramaError(f"array {name!r} {what}", where=self.path, fix=fix)

    def array(self, name: str) -> np.ndarray:
        """An array of any kind.

        Raises:
            DioramaError: there is no such array.
        """
        if name not in self.content:
            raise self.wrong(name, "is missing")
        return self.content[name]

    def numbers(self, name: str, *shape: int | None, may_be_nan: bool = False) -> np.ndarray:
        """Finite numbers of this shape (None: any length) as float64.

        Raises:
            DioramaError: there is no such array, it has another shape or kind, or it holds NaN or infinity.
        """
        found = self.array(name)
        if found.dtype.kind not in "fiub":
            raise self.wrong(name, f"holds {found.dtype}, not numbers")
        self._check_shape(name, found, shape)
        found = found.astype(np.float64)
        good = np.isfinite(found) | (np.isnan(found) & may_be_nan)
        if not good.all():
            raise self.wrong(name, f"holds NaN or infinity (first at {_first(~good)})", "leave out what is not known")
        return found

    def positive(self, name: str, *shape: int | None) -> np.ndarray:
        """As `numbers`, all above zero."""
        found = self.numbers(name, *shape)
        if not (found > 0).all():
            raise self.wrong(name, f"is not positive (first at {_first(found <= 0)})")
        return found

    def shares(self, name: str, *shape: int | None) -> np.ndarray:
        """As `numbers`, all from 0 to 1."""
        found = self.numbers(name, *shape)
        if not ((found >= 0) & (found <= 1)).all():
            raise self.wrong(name, f"is not within 0 to 1 (first at {_first((found < 0) | (found > 1))})")
        return found

    def integers(self, name: str, *shape: int | None) -> np.ndarray:
        """As `numbers`, all whole, as int64."""
        found = self.numbers(name, *shape)
        if not (found == np.round(found)).all():
            raise self.wrong(name, "holds numbers that are not whole")
        return found.astype(np.int64)

    def flags(self, name: str, *shape: int | None) -> np.ndarray:
        """As `numbers`, all 0 or 1, as bool."""
        found = self.numbers(name, *shape)
        if not np.isin(found, (0, 1)).all():
            raise self.wrong(name, "holds numbers other than 0 and 1")
        return found.astype(bool)

    def bytes(self, name: str, *shape: int | None) -> np.ndarray:
        """As `numbers`, all whole and from 0 to 255, as uint8."""
        found = self.integers(name, *shape)
        if not ((found >= 0) & (found <= 255)).all():
            raise self.wrong(name, "is not within 0 to 255")
        return found.astype(np.uint8)

    def text(self, name: str) -> str:
        """One piece of text.

        Raises:
            DioramaError: there is no such array, or it is not text.
        """
        found = self.array(name)
        if found.dtype.kind != "U" or found.ndim != 0:
            raise self.wrong(name, "is not one piece of text")
        return str(found)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of texts.

        Raises:
            DioramaError: there is no such array, or it is not a list of texts.
        """
        found = self.array(name)
        if found.dtype.kind != "U" or found.ndim != 1:
            raise self.wrong(name, "is not a list of texts")
        return tuple(str(item) for item in found)

    def _check_shape(self, name: str, found: np.ndarray, shape: tuple[int | None, ...]) -> None:
        if found.ndim != len(shape) or any(w not in (None, n) for w, n in zip(shape, found.shape, strict=True)):
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise self.wrong(name, f"has shape {found.shape} where ({wanted}) was expected")


def _first(bad: np.ndarray) -> str:
    return str([int(index) for index in np.argwhere(bad)[0]])


def read_arrays(path: Path, known: tuple[str, ...]) -> Arrays:
    """All arrays of an npz file, none of which may have a name that is not `known`: it would be overlooked.

    Raises:
        DioramaError: no such file, damaged, holds pickled objects, or holds an array of another name.
    """
    if not path.is_file():
        raise DioramaError("this file is missing", where=path, fix=FIX)
    try:
        # Opened here, because numpy leaves a damaged archive open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            content = dict(file)
    except DAMAGE as error:
        pickled = "allow_pickle" in str(error) or "pickle" in str(error).lower()
        what = "holds pickled objects, which are not read" if pickled else f"not a readable npz ({error})"
        raise DioramaError(what, where=path, fix="write plain arrays with numpy.savez") from error
    strange = sorted(set(content) - set(known))
    if strange:
        fix = f"the arrays of this file are {', '.join(known)}"
        raise DioramaError(f"unknown array {strange[0]!r}", where=path, fix=fix)
    return Arrays(path, content)


def read_json(path: Path) -> dict[str, Any]:
    """The table in a JSON file.

    Raises:
        DioramaError: no such file, not JSON, NaN in it, or not a table.
    """
    try:
        content = json.loads(path.read_bytes().decode(), parse_constant=_no_constant)
    except FileNotFoundError as error:
        raise DioramaError("this file is missing", where=path, fix=FIX) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DioramaError(f"not readable as JSON ({error})", where=path, fix="mend or write it anew") from error
    if not isinstance(content, dict):
        raise DioramaError("holds no table of entries", where=path, fix=FIX)
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DioramaError: no such file, or not text.
    """
    try:
        return path.read_bytes().decode().splitlines()
    except FileNotFoundError as error:
        raise DioramaError("this file is missing", where=path, fix=FIX) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DioramaError(f"not readable as text ({error})", where=path, fix="write it anew") from error


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number of the line, its content) without empty lines and those that start with #."""
    for number, line in enumerate(read_lines(path), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line.strip()


def wrong_line(path: Path, number: int, what: str) -> DioramaError:
    """The error that names a line of a text file."""
    return DioramaError(f"line {number}: {what}", where=path, fix=FIX)


def floats(path: Path, number: int, fields: list[str]) -> Float[np.ndarray, " n"]:
    """The fields of a line as finite numbers.

    Raises:
        DioramaError: one of them is none.
    """
    try:
        found = np.array([float(field) for field in fields], np.float64)
    except ValueError as error:
        raise wrong_line(path, number, f"not a number ({error})") from error
    if not np.isfinite(found).all():
        raise wrong_line(path, number, "NaN or infinity")
    return found


def number_of(path: Path, name: str) -> int:
    """The last number in the name of a file, of which `path` (the file itself, or the list that names it) tells.

    Raises:
        DioramaError: there is none.
    """
    found = _NUMBERED.findall(Path(name).stem)
    if not found:
        raise DioramaError(f"no frame number in the name {name!r}", where=path, fix="name files as 000012.png")
    return int(found[-1])


def read_ids(path: Path) -> Int[np.ndarray, "height width"]:
    """A picture of one channel, 8 or 16 bits, as whole numbers.

    Raises:
        DioramaError: it is not such a picture.
    """
    return read_grey(path).astype(np.int64)


def read_grey(path: Path) -> UInt[np.ndarray, "height width"]:
    """A picture of one channel, in its own 8 or 16 bits.

    Raises:
        DioramaError: it is not such a picture.
    """
    coded = np.frombuffer(path.read_bytes(), np.uint8)
    picture = cv2.imdecode(coded, cv2.IMREAD_UNCHANGED) if len(coded) else None
    if picture is None:
        raise DioramaError("not a readable picture", where=path, fix="write it anew")
    if picture.ndim != 2 or picture.dtype not in (np.uint8, np.uint16):
        fix = "write grey values of 8 or 16 bits, without a palette"
        raise DioramaError(f"{picture.dtype} of shape {picture.shape}", where=path, fix=fix)
    return picture


def files_of(
    folder: Path, suffix: str | tuple[str, ...], besides: tuple[str, ...] = ("about.json",), *, folders: bool = False
) -> list[Path]:
    """Files with this suffix or one of these (and `folders` named by a number), ordered by name; no such folder: none.

    Those named in `besides` and hidden files are passed over.

    Raises:
        DioramaError: there is anything else, which would be overlooked.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [path for path in paths if not path.name.startswith(".") and path.name not in besides]
    for path in paths:
        wanted = (folders and path.name.isdecimal()) if path.is_dir() else bool(suffix) and path.name.endswith(suffix)
        if not wanted:
            raise DioramaError("no file of this layout", where=path, fix=FIX)
    return paths


def ids_of_files(folder: Path, *, suffix: str = ".npz", folders: bool = False) -> dict[int, Path]:
    """Files `<id>.npz` (or subfolders `<id>`) by id, ascending; no such folder: none.

    Raises:
        DioramaError: a name is no id.
    """
    found = {}
    for path in files_of(folder, suffix, folders=folders):
        if path.is_dir() != folders:
            continue
        if not path.stem.isdecimal() or int(path.stem) < 1:
            raise DioramaError("named like no person", where=path, fix="call people 1, 2, ... (1.npz); there is no 0")
        if int(path.stem) in found:
            raise DioramaError(f"a second file of person {int(path.stem)}", where=path, fix="keep one of them")
        found[int(path.stem)] = path
    return dict(sorted(found.items()))


def turned(quaternion_xyzw: Float[np.ndarray, " 4"]) -> Float[np.ndarray, "3 3"] | None:
    """The rotation matrix of a quaternion x y z w; None if its length is not about 1."""
    length = float(np.linalg.norm(quaternion_xyzw))
    # Text of three digits is off by less than this.
    if abs(length - 1) > 0.01:
        return None
    x, y, z, w = quaternion_xyzw / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def nearest_rotations(
    matrices: Float[np.ndarray, "*batch 3 3"], tolerance: float
) -> tuple[Float[np.ndarray, "*batch 3 3"], Bool[np.ndarray, "*batch"]]:
    """The rotations next to 3x3 matrices, and which matrices were within `tolerance` (per entry) of theirs."""
    u, _, vt = np.linalg.svd(matrices)
    u[..., 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    rotations = u @ vt
    return rotations, np.asarray((np.abs(rotations - matrices) < tolerance).all((-2, -1)))
