"""Old pickles without running what is in them: plain containers, numbers, text and arrays; anything else ends the reading.

A pickle can name any function to be called. Here only the names of `_ALLOWED` can be asked for, and none of them runs
code of the file. chumpy arrays and scipy sparse matrices become inert records from which the numbers are taken, so
neither package's code sees the file. Pickles of Python 2 (their text is latin1), of numpy 1 and of numpy 2 are read.
"""

from __future__ import annotations

import pickle
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from diorama.errors import DioramaError

_RECONSTRUCT_ARRAY: Any = np.empty(0).__reduce__()[0]
_RECONSTRUCT_SCALAR: Any = np.float64(0).__reduce__()[0]

# What a damaged pickle or archive raises depends on which byte is wrong.
DAMAGE = (
    *(ValueError, TypeError, AttributeError, EOFError, IndexError, KeyError, OSError, MemoryError, OverflowError),
    *(RecursionError, zipfile.BadZipFile, zlib.error),
)


class _Inert:
    """Keeps the state of a foreign object and does nothing else."""

    def __new__(cls, *_arguments: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = dict(state) if isinstance(state, Mapping) else {}

    def matrix(self) -> Any:
        """The numbers: an array, or a scipy sparse matrix built here."""
        raise ValueError("not an array")


class _Chumpy(_Inert):
    """A chumpy array: holds its values in `x`, or is a selection `idxs` of the flattened array `a`."""

    def matrix(self) -> np.ndarray:
        if "x" in self.state:
            return as_array(self.state["x"])
        if "a" in self.state and "idxs" in self.state:
            chosen = as_array(self.state["a"]).ravel()[as_array(self.state["idxs"]).astype(np.int64)]
            return chosen.reshape(self.state.get("preferred_shape") or chosen.shape)
        raise ValueError("unknown kind of chumpy array")


class _Columns(_Inert):
    """A scipy csc_matrix."""

    build: Callable[..., Any] = staticmethod(sparse.csc_matrix)

    def matrix(self) -> Any:
        parts = tuple(as_array(self.state[name]) for name in ("data", "indices", "indptr"))
        return self.build(parts, shape=self.state.get("_shape") or self.state.get("shape"))


class _Rows(_Columns):
    """A scipy csr_matrix."""

    build: Callable[..., Any] = staticmethod(sparse.csr_matrix)


def _inert_object(kind: type, base: type = object, _state: object = None) -> _Inert:
    """What `copyreg._reconstructor` would do, for the inert records only."""
    if not (isinstance(kind, type) and issubclass(kind, _Inert) and base is object):
        raise pickle.UnpicklingError("it rebuilds an object of its own")
    return kind()


def _latin1_bytes(text: str, encoding: str = "latin1") -> bytes:
    """What `_codecs.encode` does in pickles of bytes, for that one encoding."""
    if encoding != "latin1":
        raise pickle.UnpicklingError("it uses a codec")
    return text.encode("latin1")


def _array_of_buffer(data: bytes | bytearray, dtype: Any, shape: tuple[int, ...], order: str) -> np.ndarray:
    """An array of pickle protocol 5; `np.frombuffer` refuses arrays of objects."""
    return np.frombuffer(data, dtype).reshape(shape, order="F" if order == "F" else "C")


_ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT_ARRAY for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _RECONSTRUCT_SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array_of_buffer for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(module, "_reconstructor"): _inert_object for module in ("copy_reg", "copyreg")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _latin1_bytes,
}


class _Reader(pickle.Unpickler):
    """An unpickler that knows only the names above."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        package = module.split(".")[0]
        if package == "chumpy":
            return _Chumpy
        if package == "scipy" and module.startswith("scipy.sparse") and name in ("csc_matrix", "csr_matrix"):
            return _Columns if name == "csc_matrix" else _Rows
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def unpickle(file: Any) -> Any:
    """What an open binary file with a pickle holds; foreign arrays are still records, which `as_array` and `plain` resolve.

    Raises:
        pickle.UnpicklingError: it asks for something that is not allowed; or one of `DAMAGE`.
    """
    return _Reader(file, encoding="latin1").load()


def as_array(value: object) -> np.ndarray:
    """The numbers of a plain, chumpy or sparse array.

    Raises:
        ValueError: not an array of numbers.
    """
    found: Any = value.matrix() if isinstance(value, _Inert) else value
    array = np.asarray(found.toarray() if sparse.issparse(found) else found)
    if array.dtype.kind not in "biuf":
        raise ValueError("not an array of numbers")
    return array


def plain(value: Any) -> Any:
    """The same content with chumpy arrays as numpy arrays, and arrays of objects as lists; sparse matrices stay sparse.

    Raises:
        pickle.UnpicklingError: there is something else in it than containers, numbers, text and arrays.
    """
    if isinstance(value, _Inert):
        return value.matrix()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain(item) for item in value)
    if isinstance(value, np.ndarray) and value.dtype.hasobject:
        return plain(value.tolist())
    if value is None or isinstance(value, (np.ndarray, np.generic, str, bytes, int, float, complex)):
        return value
    raise pickle.UnpicklingError(f"it holds a {type(value).__name__}")


def read_pickle(path: Path) -> Any:
    """The content of a pickle as plain containers, text, numbers, numpy arrays and scipy sparse matrices.

    Raises:
        DioramaError: no such file, it is damaged, or it asks for anything else; nothing in it is run.
    """
    if not path.is_file():
        raise DioramaError("no such file", where=path, fix="see docs/datasets.md for the files that belong here")
    try:
        with path.open("rb") as file:
            return plain(unpickle(file))
    except pickle.UnpicklingError as error:
        raise DioramaError(f"refused to read this pickle: {error}", where=path, fix="get the original file") from error
    except DAMAGE as error:
        raise DioramaError(f"not a readable pickle ({error})", where=path, fix="get the original file") from error


def read_npz(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """The named members of an npz file; members that are arrays of objects go through the reader of pickles.

    Raises:
        DioramaError: no such file, a member is missing or damaged, or it asks for more than arrays.
    """
    if not path.is_file():
        raise DioramaError("no such file", where=path, fix="see docs/datasets.md for the files that belong here")
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if missing := [key for key in keys if f"{key}.npy" not in names]:
                raise DioramaError(f"no array {missing[0]!r}", where=path, fix="get the file of the published release")
            return {key: _member(archive, f"{key}.npy") for key in keys}
    except pickle.UnpicklingError as error:
        raise DioramaError(f"refused to read this file: {error}", where=path, fix="get the original file") from error
    except DAMAGE as error:
        raise DioramaError(f"not a readable npz file ({error})", where=path, fix="get the original file") from error


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        read_header = np.lib.format.read_array_header_1_0
        if np.lib.format.read_magic(file) != (1, 0):
            read_header = np.lib.format.read_array_header_2_0
        if read_header(file)[2].hasobject:
            return plain(unpickle(file))
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
