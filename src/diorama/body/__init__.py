"""Parametric people: one staged body type for the free body and for SMPL, SMPL-H and SMPL-X files of the user."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from diorama.body.model import BodyModel


@lru_cache(maxsize=8)
def load_body(name: str, gender: str = "neutral") -> BodyModel:
    """The body model that a record names: the free body "anny", or "smpl", "smplh", "smplx" from the user's file.

    The free body has its gender among its shape numbers, so `gender` only chooses among the user's files: see
    `body_file`.

    Raises:
        DioramaError: an unknown name, or the user's file is not there.
    """
    from diorama.body.anny import FREE_BODY_NAME, load_free_body
    from diorama.body.smpl import load_smpl

    return load_free_body() if name == FREE_BODY_NAME else load_smpl(body_file(name, gender))


def body_file(name: str, gender: str = "neutral") -> Path:
    """The user's file of "smpl", "smplh" or "smplx" in the cache: `bodies/<name>_<gender>.npz` or `.pkl`.

    Capital letters do not matter (`SMPL_FEMALE.pkl` is found), and the neutral body may lack its gender (`smpl.npz`).

    Raises:
        DioramaError: an unknown name, or the file is not there.
    """
    from diorama.assets import cache_dir
    from diorama.body.smpl import SMPL_FAMILY
    from diorama.errors import DioramaError

    if name not in SMPL_FAMILY:
        raise DioramaError(f"unknown body model {name!r}", where="body", fix=f"use anny or one of {SMPL_FAMILY}")
    folder = cache_dir() / "bodies"
    stems = (name, f"{name}_neutral") if gender == "neutral" else (f"{name}_{gender}",)
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    for suffix in (".npz", ".pkl"):
        for path in files:
            if path.stem.lower() in stems and path.suffix.lower() == suffix:
                return path
    wanted = folder / f"{stems[0]}.npz"
    raise DioramaError(f"no file of the {gender} body model", where=name, fix=f"put yours at {wanted} (or .pkl)")
