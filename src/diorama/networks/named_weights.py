"""Weights as a user names them: a file, a folder, or OWNER/NAME[@REVISION] of the Hugging Face hub.

Light, so that what is wrong with a name is said at once, before any work.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diorama.errors import DioramaError


def source_and_revision(weights: str) -> tuple[str, str | None]:
    """`OWNER/NAME@REVISION` in its two parts; paths as they are."""
    if Path(weights).expanduser().exists() or "@" not in weights:
        return weights, None
    source, revision = weights.rsplit("@", 1)
    return source, revision or None


def check_named(weights: str, *, where: str, fix: str) -> None:
    """Refuse what is neither a path that is there nor the name of a repository.

    Raises:
        DioramaError: with `where` it was said, and `fix`: in one line how to get the weights.
    """
    source, _ = source_and_revision(weights)
    if Path(source).expanduser().exists():
        return
    from diorama.networks.hub import is_hub_id  # brings torch with it

    if not is_hub_id(source):
        raise DioramaError("no such weights", where=where, fix=fix)


def stamp_of(source: str) -> str:
    """Sizes and dates of the files of local weights, also one folder deep; nothing for the hub's."""
    path = Path(source).expanduser()
    if path.is_file():
        return _stamp(path, path.name)
    files = sorted({*path.glob("*"), *path.glob("*/*")}) if path.is_dir() else []
    return " ".join(_stamp(file, file.relative_to(path).as_posix()) for file in files if file.is_file())


def _stamp(file: Path, name: str) -> str:
    about = file.stat()
    return f"{name}:{about.st_size}:{about.st_mtime_ns}"


def licence_told(source: str, network: str, published: str) -> str:
    """What our own config.json beside the weights of `network` says, else the licence of the published weights."""
    path = Path(source).expanduser()
    about = (path if path.is_dir() else path.parent) / "config.json"
    if not path.exists() or not about.is_file():
        return published
    told: Any = json.loads(about.read_text(encoding="utf-8"))
    ours = isinstance(told, dict) and told.get("diorama") == network
    return str(told.get("licence", published)) if ours else published


def part_of(source: str, network: str) -> str:
    """The folder of one network inside a folder that holds several, each under its name; else the source itself."""
    inside = Path(source).expanduser() / network
    return str(inside) if inside.is_dir() else source
