"""Arrays out of the SMPL-family files that a user has: npz, or the old pickles without running what is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from diorama.errors import DioramaError
from diorama.pickles import DAMAGE, as_array, unpickle


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
    except DAMAGE as error:
        raise DioramaError(f"not a body model file ({error})", where=path, fix="get the original file") from error


def _read_npz(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {key: as_array(file[key]) for key in keys}


def _read_pickle(path: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    with path.open("rb") as file:
        content = unpickle(file)
    if not isinstance(content, Mapping):
        raise TypeError("no table of arrays")
    return {key: as_array(content[key]) for key in keys}
