"""Arrays out of the SMPL-family files that a user has: npz, or the old pickles without running what is in them.

A pickle can name any function to be called. Here only plain containers and numpy arrays are built; chumpy arrays and
scipy sparse matrices become inert records from which the numbers are taken; any other name ends the reading.
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
_DAMAGE = (
    *(ValueError, TypeError, AttributeError, EOFError, IndexError, OSError, MemoryError, OverflowError),
    *(zipfile.BadZipFile, zlib.error),
)


class _Inert:
    """Keeps the state of a foreign object and does nothing else."""

    def __new__(cls, *_arguments: object) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_arguments: object) -> None:
        self.state: dict[str, Any] = {}

    def __setstate__(self, state: object) -> None:
        self.state = dict(state) if isinstance(state, Mapping) else {}

    def array(self) -> np.ndarray:
        """The numbers."""
        raise ValueError("not an array")


class _Chumpy(_Inert):
    """A chumpy array: holds its values in `x`, or is a selection `idxs` of the flattened array `a`."""

    def array(self) -> np.ndarray:
        if "x" in self.state:
            return as_array(self.state["x"])
        if "a" in self.state and "idxs" in self.state:
            chosen = as_array(self.state["a"]).ravel()[as_array(self.state["idxs"]).astype(np.int64)]
            return chosen.reshape(self.state.get("preferred_shape") or chosen.shape)
        raise ValueError("unknown kind of chumpy array")


class _Columns(_Inert):
    """A scipy csc_matrix."""

    build: Callable[..., Any] = staticmethod(sparse.csc_matrix)

    def array(self) -> np.ndarray:
        parts = tuple(as_array(self.state[name]) for name in ("data", "indices", "indptr"))
        shape = self.state.get("_shape") or self.state.get("shape")
        return self.build(parts, shape=shape).toarray()


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


_ALLOWED: dict[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT_ARRAY for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _RECONSTRUCT_SCALAR for core in ("core", "_core")},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    **{(module, "_reconstructor"): _inert_object for module in ("copy_reg", "copyreg")},
    **{(module, "object"): object for module in ("__builtin__", "builtins")},
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


def as_array(value: object) -> np.ndarray:
    """The numbers of a plain, chumpy or sparse array."""
    array = value.array() if isinstance(value, _Inert) else np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError("not an array of numbers")
    return array


def read_smpl_arrays(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """The named arrays of a body model file (`.npz`, else a pickle).

    Raises:
        DioramaError: no such file, a key is missing, or the pickle holds anything but arrays.
    """
    if not path.is_file():
        raise DioramaError("no such body model file", where=path, fix="give the path of the file you downloaded")
    read = _read_npz if path.suffix == ".npz" else _read_pickle
    try:
        return read(path, keys)
    except KeyError as error:
        raise DioramaError(f"no array {error}", where=path, fix="give a file of SMPL, SMPL-H or SMPL-X") from error
    except pickle.UnpicklingError as error:
        raise DioramaError(f"refused to read this pickle: {error}", where=path, fix="get the original file") from error
    except _DAMAGE as error:
        raise DioramaError(f"not a body model file ({error})", where=path, fix="get the original file") from error


def _read_npz(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {key: as_array(file[key]) for key in keys}


def _read_pickle(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        content = _Reader(file, encoding="latin1").load()
    if not isinstance(content, Mapping):
        raise TypeError("no table of arrays")
    return {key: as_array(content[key]) for key in keys}
