"""Frozen dataclasses to and from disk without pickles: a JSON tree beside named arrays."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
import zipfile
import zlib
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from diorama.assets import atomic_path
from diorama.errors import DioramaError

Record = TypeVar("Record")


def flatten(value: Any, name: str, arrays: dict[str, np.ndarray]) -> Any:
    """A JSON tree of `value`; arrays go into `arrays` under dotted names and are referred to by name."""
    if isinstance(value, np.ndarray):
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: flatten(getattr(value, f.name), f"{name}.{f.name}", arrays) for f in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [flatten(item, f"{name}.{index}", arrays) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return {str(key): flatten(item, f"{name}.{key}", arrays) for key, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value


def unflatten(kind: Any, tree: Any, arrays: Any) -> Any:
    """Inverse of `flatten`, guided by the type `kind` of the value."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if tree is None:
        return None
    if origin in (typing.Union, types.UnionType):
        return unflatten(next(a for a in arguments if a is not type(None)), tree, arrays)
    if isinstance(tree, dict) and set(tree) == {"array"} and not dataclasses.is_dataclass(kind):
        return np.asarray(arrays[tree["array"]])
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        names = [f.name for f in dataclasses.fields(kind) if f.name in tree]
        return kind(**{name: unflatten(hints[name], tree[name], arrays) for name in names})  # type: ignore[operator]
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(unflatten(arguments[0], item, arrays) for item in tree)
        return tuple(unflatten(a, item, arrays) for a, item in zip(arguments, tree, strict=True))
    return Path(str(tree)) if kind is Path else tree


def save_record(record: Any, path: Path) -> None:
    """Write a dataclass to one `.npz` (its JSON tree rides along as text); atomic and deterministic."""
    arrays: dict[str, np.ndarray] = {}
    tree = flatten(record, "record", arrays)
    text = np.frombuffer(json.dumps(tree, sort_keys=True).encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, json=text, **arrays)  # type: ignore[arg-type]


def load_record(kind: type[Record], path: Path) -> Record:
    """Read what `save_record` wrote.

    Raises:
        DioramaError: the file is missing, damaged, or of another version.
    """
    try:
        # Opened here, because numpy leaves a damaged archive open.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return unflatten(kind, json.loads(file["json"].tobytes()), dict(file))
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError) as error:
        raise DioramaError(f"not a readable record ({error})", where=path, fix="delete it and run again") from error
