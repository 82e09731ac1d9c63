"""Files of weights to tensors without running what is in them: safetensors, and torch files read as weights only.

A safetensors file is eight bytes (the header's length, little endian), a JSON header that maps names to type, shape and
byte range, and the numbers. It is read and written here, so that no further package is needed.
"""

from __future__ import annotations

import json
import math
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diorama.assets import atomic_path
from diorama.errors import DioramaError

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_TYPES = {
    **{"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16},
    **{"I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8},
    **{"U8": torch.uint8, "BOOL": torch.bool},
}
_NAMES = {kind: name for name, kind in _TYPES.items()}
_LONGEST_HEADER = 100_000_000
_WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a file, on the CPU. Large files stay on disk until a tensor is used.

    Raises:
        DioramaError: no such file, damaged, of another kind, or a pickle that asks for more than tensors.
    """
    if not path.is_file():
        raise DioramaError("no such file", where=path, fix="give a file or folder of weights")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in TORCH_SUFFIXES:
        return _unwrapped(_read_torch(path), path)
    kinds = ", ".join((".safetensors", *TORCH_SUFFIXES))
    raise DioramaError("no kind of weight file", where=path, fix=f"give one of {kinds}")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(_LONGEST_HEADER, path.stat().st_size - 8):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise TypeError("its header is no table")
        header.pop("__metadata__", None)
        start = 8 + length
        size = path.stat().st_size - start
        # A private mapping: pages are read when they are used, and writing to a tensor does not reach the file.
        numbers = np.memmap(path, np.uint8, "c", offset=start, shape=(size,)) if size else np.empty(0, np.uint8)
        return {str(name): _tensor(entry, numbers) for name, entry in header.items()}
    except (OSError, ValueError, TypeError, KeyError, OverflowError, struct.error, RecursionError) as error:
        raise DioramaError(
            f"not a readable safetensors file ({error})", where=path, fix="get the original file"
        ) from error


def _tensor(entry: Any, numbers: np.ndarray) -> Tensor:
    kind, shape = _TYPES[entry["dtype"]], [int(side) for side in entry["shape"]]
    begin, end = (int(place) for place in entry["data_offsets"])
    if min([0, *shape]) < 0 or not 0 <= begin <= end <= len(numbers):
        raise ValueError("a tensor lies outside the file")
    if math.prod(shape) * kind.itemsize != end - begin:
        raise ValueError("a tensor's shape and its bytes disagree")
    if begin == end:
        return torch.empty(shape, dtype=kind)
    part = numbers[begin:end]
    if part.ctypes.data % kind.itemsize:
        part = part.copy()
    return torch.from_numpy(part).view(kind).reshape(shape)


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors; atomic and deterministic (names are sorted, wide types first, so that all are aligned).

    Raises:
        DioramaError: the folder cannot be written, or a tensor's type has no name in the format.
    """
    header: dict[str, Any] = {}
    names, place = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name)), 0
    for name in names:
        tensor = tensors[name]
        if tensor.dtype not in _NAMES:
            raise DioramaError(f"{tensor.dtype} cannot be saved", where=name, fix="convert it to float32")
        end = place + tensor.numel() * tensor.dtype.itemsize
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [place, end]}
        place = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in names:
            tensor = tensors[name].detach().to("cpu").contiguous()
            file.write(tensor.reshape(-1).view(torch.uint8).numpy().data)


def read_beside_weights(path: Path, name: str) -> Any | None:
    """What a torch file holds under a name beside its weights; None if it has no such entry or is of another kind.

    Raises:
        DioramaError: damaged, or a pickle that asks for more than tensors and plain values.
    """
    if path.suffix not in TORCH_SUFFIXES or not path.is_file():
        return None
    content = _read_torch(path)
    return content.get(name) if isinstance(content, dict) else None


def _read_torch(path: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # torch warns of old formats and of pickles that it then refuses.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path) or None)
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {asked[1]}" if asked else "it holds more than tensors"
        raise DioramaError(
            f"refused to read this file: {what}, which could run code",
            where=path,
            fix="get the weights as safetensors, or convert them where you trust the file",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DioramaError(
            f"not a readable torch file ({str(error).splitlines()[0] if str(error) else type(error).__name__})",
            where=path,
            fix="get the original file",
        ) from error


def _unwrapped(content: Any, path: Path) -> dict[str, Tensor]:
    """The table of tensors in what a training program saved around it."""
    for name in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
            break
    if not isinstance(content, dict) or not content:
        raise DioramaError("no table of weights in it", where=path, fix="give a state dict")
    if others := [str(name) for name, value in content.items() if not isinstance(value, Tensor)]:
        raise DioramaError(
            f"{len(others)} entries are no tensors ({', '.join(others[:4])})", where=path, fix="give a state dict"
        )
    return {str(name): value for name, value in content.items()}
