"""Parametric people: one staged body type for the free body and for SMPL, SMPL-H and SMPL-X files of the user."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diorama.body.model import BodyModel


@lru_cache(maxsize=4)
def load_body(name: str) -> BodyModel:
    """The body model that a record names: the free body "anny", or "smpl", "smplh", "smplx" from the user's file.

    A user's file is looked for in the cache as `bodies/<name>.npz` or `bodies/<name>.pkl`.

    Raises:
        DioramaError: an unknown name, or the user's file is not there.
    """
    from diorama.assets import cache_dir
    from diorama.body.anny import FREE_BODY_NAME, load_free_body
    from diorama.body.smpl import SMPL_FAMILY, load_smpl
    from diorama.errors import DioramaError

    if name == FREE_BODY_NAME:
        return load_free_body()
    if name not in SMPL_FAMILY:
        raise DioramaError(f"unknown body model {name!r}", where="body", fix=f"use anny or one of {SMPL_FAMILY}")
    for suffix in (".npz", ".pkl"):
        path = cache_dir() / "bodies" / f"{name}{suffix}"
        if path.is_file():
            return load_smpl(path)
    raise DioramaError("no file of this body model", where=name, fix=f"put yours at {path.with_suffix('.npz')}")
