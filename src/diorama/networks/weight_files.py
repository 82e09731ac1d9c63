"""Files of weights to tensors without running what is in them: safetensors, and torch files read as weights only."""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from diorama.assets import atomic_path
from diorama.errors import DioramaError

TORCH_SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
_WRAPPERS = ("state_dict", "model", "model_state_dict")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Named tensors of a file, on the CPU. They are mapped: a page of the file is read when it is used.

    Writing to a tensor does not reach the file. The file may be replaced or deleted, but not be written into, as long as
    a tensor lives.

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
        return load_file(path)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise DioramaError(
            f"not a readable safetensors file ({_first_line(error)})", where=path, fix="get the original file"
        ) from error


def write_safetensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors; atomic, and the same bytes for the same tensors in any order.

    Raises:
        DioramaError: the folder cannot be written, or the format has no such tensors.
    """
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    ready = _apart(ready)
    with atomic_path(path) as temporary:
        try:
            save_file(ready, temporary, metadata={"format": "pt"})
        except (SafetensorError, ValueError, RuntimeError, KeyError) as error:
            raise DioramaError(
                f"cannot be saved ({_first_line(error)})", where=path, fix="free some space, or give plain tensors"
            ) from error


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of those that share numbers with one before them (tied weights, views): the format has no such thing."""
    seen: set[int] = set()
    out = {}
    for name, tensor in tensors.items():
        storage = tensor.untyped_storage().data_ptr()
        out[name] = tensor.clone() if storage in seen else tensor
        seen.add(storage)
    return out


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
            f"not a readable torch file ({_first_line(error)})", where=path, fix="get the original file"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


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
