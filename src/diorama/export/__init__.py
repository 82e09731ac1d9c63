"""Results as files for other tools: one file per format, all with the signature `(reconstruction, path)`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diorama.errors import DioramaError

if TYPE_CHECKING:
    from diorama.reconstruction import Reconstruction


@dataclass(frozen=True)
class Format:
    """Where a format's writer lives and what it makes; writers are imported when used, so that `--help` is fast."""

    module: str
    writer: str
    target: str
    what: str


FORMATS: dict[str, Format] = {
    "glb": Format("diorama.export.glb", "write_glb", "world.glb", "animated people, camera and points for 3D tools"),
    "amass": Format("diorama.export.amass", "write_amass", "amass", "motion files per person (AMASS, SMPL-X form)"),
}


def export(reconstruction: Reconstruction, folder: str | Path, formats: Sequence[str]) -> list[Path]:
    """Write a result in each of the named formats into a folder and return the files.

    Raises:
        DioramaError: unknown format, a body model is missing, or the folder is not writable.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        known = ", ".join(FORMATS)
        raise DioramaError(f"no format {', '.join(unknown) or 'named'}", where="export", fix=f"choose from: {known}")
    written: list[Path] = []
    for name in dict.fromkeys(formats):
        entry = FORMATS[name]
        writer = getattr(importlib.import_module(entry.module), entry.writer)
        made = writer(reconstruction, Path(folder) / entry.target)
        written += [made] if isinstance(made, Path) else made
    return written
