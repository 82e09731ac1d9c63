"""Finding a data set's files, and saying which one was expected where; checked access to what is in them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int

from diorama.errors import DioramaError
from diorama.geometry.transforms import invert
from diorama.pickles import read_pickle
from diorama.reconstruction import Cameras

_PICTURES = (".jpg", ".jpeg", ".png", ".bmp")
_FIX = "compare with the tree in docs/datasets.md"


def need_file(path: Path, what: str) -> Path:
    """The path, if it is a file.

    Raises:
        DioramaError: it is not there; `what` names it.
    """
    if not path.is_file():
        raise DioramaError(f"{what} was expected here", where=path, fix=_FIX)
    return path


def need_folder(path: Path, what: str) -> Path:
    """The path, if it is a folder.

    Raises:
        DioramaError: it is not there; `what` names it.
    """
    if not path.is_dir():
        raise DioramaError(f"{what} was expected here", where=path, fix=_FIX)
    return path


def need_all(found: Sequence[str], wanted: Mapping[str, Path], title: str, *, partial: bool) -> None:
    """Check that every sequence of a benchmark was found; `wanted` maps its name to where it belongs.

    Raises:
        DioramaError: none was found, or some are missing and `partial` is false.
    """
    missing = [name for name in wanted if name not in found]
    if not missing or (partial and len(missing) < len(wanted)):
        return
    raise DioramaError(
        f"{len(missing)} of {len(wanted)} sequences of {title} are missing, first {missing[0]}, expected here",
        where=wanted[missing[0]],
        fix="complete the download"
        + (", or take what is there with partial=True" if len(missing) < len(wanted) else ""),
    )


def numbered_files(folder: Path, *, last: bool = False) -> dict[int, Path]:
    """Pictures by the first (or `last`) number in their name, in its order (no such folder: none)."""
    numbers = [(re.findall(r"\d+", path.stem), path) for path in picture_files(folder)]
    return dict(sorted((int(found[-1 if last else 0]), path) for found, path in numbers if found))


def numbered_folders(folder: Path) -> dict[int, Path]:
    """Subfolders whose whole name is a number, in its order."""
    return dict(sorted((int(p.name), p) for p in folder.iterdir() if p.is_dir() and p.name.isdigit()))


def picture_files(folder: Path) -> list[Path]:
    """Pictures of a folder in the order of their names."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in _PICTURES) if folder.is_dir() else []


def pictures_or_none(folder: Path, count: int, name: str) -> tuple[Path, ...] | None:
    """The pictures of a folder, one per row, or None where there is no such folder.

    Raises:
        DioramaError: their number differs from that of the rows; `name` is the pattern of the names.
    """
    if not folder.is_dir():
        return None
    found = picture_files(folder)
    if len(found) != count:
        raise DioramaError(f"{len(found)} pictures where {count} were expected", where=folder / name, fix=_FIX)
    return tuple(found)


def picture_size(path: Path) -> tuple[int, int]:
    """(width, height) of a picture.

    Raises:
        DioramaError: it cannot be read.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        raise DioramaError("not a readable picture", where=path, fix="get the original file")
    return picture.shape[1], picture.shape[0]


@dataclass(frozen=True)
class Entries:
    """The content of a data set's file with checked access; `prefix` is where in the file this table is."""

    content: Mapping[Any, Any]
    path: Path
    prefix: str = ""

    def __contains__(self, key: str) -> bool:
        return key in self.content

    def value(self, key: str) -> Any:
        """An entry of any kind.

        Raises:
            DioramaError: there is no such entry.
        """
        if key not in self.content:
            raise self.wrong(key, "there is no entry")
        return self.content[key]

    def table(self, key: str) -> Entries:
        """A table within this one.

        Raises:
            DioramaError: there is no such table.
        """
        inner = self.value(key)
        if not isinstance(inner, Mapping):
            raise self.wrong(key, "not a table:")
        return Entries(inner, self.path, f"{self.prefix}{key}/")

    def numbers(self, key: str) -> np.ndarray:
        """An entry as a float64 array of any shape.

        Raises:
            DioramaError: there is no such entry, or it is not an array of numbers.
        """
        try:
            return np.asarray(self.value(key), np.float64)
        except (TypeError, ValueError) as error:
            raise self.wrong(key, "not an array of numbers:") from error

    def array(self, key: str, *shape: int | None) -> np.ndarray:
        """An entry as a float64 array of this shape (None: any length); axes of length 1 in front are dropped.

        Raises:
            DioramaError: there is no such entry, or it is not an array of this shape.
        """
        array = self.numbers(key)
        while array.ndim > len(shape) and array.shape[0] == 1:
            array = array[0]
        if array.ndim != len(shape) or any(w not in (None, n) for w, n in zip(shape, array.shape, strict=True)):
            wanted = ", ".join("any" if n is None else str(n) for n in shape)
            raise self.wrong(key, f"shape {array.shape} where ({wanted}) was expected:")
        return array

    def integer(self, key: str) -> int:
        """An entry as a whole number of at least 1.

        Raises:
            DioramaError: there is no such entry, or it is no such number.
        """
        found = self.value(key)
        if not isinstance(found, (int, float, np.integer)) or not float(found).is_integer() or found < 1:
            raise self.wrong(key, "not a whole number of at least 1:")
        return int(found)

    def flag(self, key: str) -> bool:
        """An entry that is true or false.

        Raises:
            DioramaError: there is no such entry, or it is neither.
        """
        found = self.value(key)
        if not isinstance(found, (bool, int, np.bool_, np.integer)):
            raise self.wrong(key, "neither true nor false:")
        return bool(found)

    def items(self, key: str, count: int | None = None) -> list[Any]:
        """An entry as a list of `count` items (None: any number).

        Raises:
            DioramaError: there is no such entry, or it is not such a list.
        """
        found = self.value(key)
        sized = isinstance(found, (list, tuple)) or (isinstance(found, np.ndarray) and found.ndim > 0)
        if not sized or len(found) != (len(found) if count is None else count):
            raise self.wrong(key, f"a list{'' if count is None else f' of {count}'} was expected:")
        return list(found)

    def wrong(self, key: str, what: str) -> DioramaError:
        """The error that names an entry of this file."""
        fix = "get the published release, whose files docs/datasets.md describes"
        return DioramaError(f"{what} {self.prefix}{key}", where=self.path, fix=fix)


def read_entries(path: Path) -> Entries:
    """The table in a pickle.

    Raises:
        DioramaError: no such file, damaged, refused, or not a table.
    """
    content = read_pickle(path)
    if not isinstance(content, Mapping):
        raise DioramaError("this pickle holds no table", where=path, fix="get the original file")
    return Entries(content, path)


def cameras_of(
    T_camera_dataset: Float[np.ndarray, "frames 4 4"],
    K: Float[np.ndarray, "3 3"] | Float[np.ndarray, "frames 3 3"],
    size: tuple[int, int],
    *,
    kind: str = "translating",
    distortion: Sequence[float] = (),
    registered: np.ndarray | None = None,
    focal_source: str = "given",
) -> Cameras:
    """Cameras from a calibration in OpenCV's pixels (centres at integers): its world-to-camera transforms are inverted
    and the principal point moves by half a pixel."""
    count = len(T_camera_dataset)
    shifted = np.array(np.broadcast_to(K, (count, 3, 3)), np.float64)
    shifted[:, :2, 2] += 0.5
    return Cameras(
        K=shifted,
        T_world_camera=invert(np.asarray(T_camera_dataset, np.float64)),
        distortion=np.tile(np.asarray(distortion, np.float64), (count, 1)),
        registered=np.ones(count, bool) if registered is None else registered,
        width=size[0],
        height=size[1],
        focal_source=focal_source,
        kind=kind,
    )


def shifted_keypoints(
    xy: Float[np.ndarray, "n k 2"], confidence: Float[np.ndarray, "n k"]
) -> Float[np.ndarray, "n k 3"]:
    """Keypoints in the house's pixels (half a pixel from OpenCV's) with their confidence."""
    return np.concatenate([xy + 0.5, confidence[..., None]], -1)


def rows_and_times(count: int, fps: float) -> tuple[Float[np.ndarray, " frames"], Int[np.ndarray, " frames"]]:
    """Times in seconds and numbers of evenly spaced frames."""
    return np.arange(count) / fps, np.arange(count)
