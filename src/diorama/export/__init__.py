"""Results as files for other tools: one file per format, each with a writer `(reconstruction, path, options)`."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from diorama.errors import DioramaError
from diorama.export.options import DEFAULTS, ExportOptions

if TYPE_CHECKING:
    from diorama.reconstruction import Reconstruction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """Where a format's writer lives, what it makes and what it needs; writers are imported when used, so that `--help`
    is fast.

    Attributes:
        module, writer: the function `(reconstruction, path, options)` that returns the files it wrote.
        target: name of the file or folder in the folder of exports.
        what: for whom.
        endings: of single files in this format; none if it is always a folder.
        people, points, mesh: it cannot do without people, scene points; it holds the people's meshes.
        whole_rate: it knows no fractions of a frame per second.
        extra: the optional package, as (module, extra of this package).
    """

    module: str
    writer: str
    target: str
    what: str
    endings: tuple[str, ...] = ()
    people: bool = False
    points: bool = False
    mesh: bool = False
    whole_rate: bool = False
    extra: tuple[str, str] | None = None


FORMATS: dict[str, Format] = {
    "glb": Format(
        "diorama.export.glb", "write_glb", "world.glb", "animated people, camera and points for 3D tools",
        (".glb",), mesh=True,
    ),
    "usd": Format(
        "diorama.export.usd", "write_usd", "world.usdc", "animated people, camera and points for USD tools",
        (".usd", ".usdc", ".usda"), mesh=True, extra=("pxr", "usd"),
    ),
    "amass": Format(
        "diorama.export.amass", "write_amass", "amass", "motion files per person (AMASS, SMPL-X form)",
        (".npz",), people=True, whole_rate=True,
    ),
    "bvh": Format(
        "diorama.export.bvh", "write_bvh", "bvh", "a skeleton and its motion per person", (".bvh",), people=True
    ),
    "colmap": Format("diorama.export.colmap", "write_colmap", "colmap", "cameras and points, text and binary"),
    "tum": Format("diorama.export.tum", "write_tum", "camera.tum", "the camera's path", (".tum",)),
    "ply": Format("diorama.export.ply", "write_ply", "scene.ply", "the scene's points", (".ply",), points=True),
    "csv": Format(
        "diorama.export.csv_tables", "write_csv", "csv", "joint centres and angles as tables", (".csv",), people=True
    ),
    "mp4": Format("diorama.export.turntable", "write_mp4", "world.mp4", "the world, turning", (".mp4",)),
}  # fmt: skip
ALL = "all"


def export(
    reconstruction: Reconstruction, folder: str | Path, formats: Sequence[str], options: ExportOptions = DEFAULTS
) -> list[Path]:
    """Write a result in each of the named formats into a folder and return the files.

    "all" stands for every format that this result and this machine can do; the others are told in the log.

    Raises:
        DioramaError: unknown format, nothing to write in it (no people, no points), numbers that are not finite, a
            missing package or body model, or the folder is not writable.
    """
    names = _named(formats)
    _check(reconstruction)
    if ALL in formats:
        names = _possible(reconstruction, names)
    for name in names:
        _refuse(reconstruction, name, options)
    _tell_licence(reconstruction, names)
    written: list[Path] = []
    for name in names:
        written += _write(reconstruction, Path(folder) / FORMATS[name].target, name, options)
    return written


def export_file(
    reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS, *, format: str | None = None
) -> list[Path]:
    """Write a result in one format, told by the path's ending or by name, and return the files.

    A format that makes several files (one per person, say) puts their names behind the path's own.

    Raises:
        DioramaError: unknown ending, or as `export`.
    """
    path = Path(path)
    name = format or next((n for n, entry in FORMATS.items() if path.suffix.lower() in entry.endings), None)
    if name is None:
        known = ", ".join(ending for entry in FORMATS.values() for ending in entry.endings)
        folders = ", ".join(f'format="{n}"' for n, entry in FORMATS.items() if not entry.endings)
        fix = f"choose from {known}" + (f", or {folders} for a folder" if folders else "")
        raise DioramaError(f"no format has the ending {path.suffix or 'of a folder'!r}", where=path, fix=fix)
    _named([name])
    _check(reconstruction)
    _refuse(reconstruction, name, options)
    _tell_licence(reconstruction, [name])
    return _write(reconstruction, path, name, options)


def _named(formats: Sequence[str]) -> list[str]:
    """The formats without repetition, "all" spelt out."""
    unknown = [name for name in formats if name not in (*FORMATS, ALL)]
    if unknown or not formats:
        known = ", ".join((*FORMATS, ALL))
        raise DioramaError(f"no format {', '.join(unknown) or 'named'}", where="export", fix=f"choose from: {known}")
    return list(FORMATS) if ALL in formats else list(dict.fromkeys(formats))


def _check(reconstruction: Reconstruction) -> None:
    importlib.import_module("diorama.export.checks").check_result(reconstruction)


def _possible(reconstruction: Reconstruction, names: list[str]) -> list[str]:
    faults = {name: fault for name in names if (fault := _fault(reconstruction, name))}
    for fault in faults.values():
        logger.warning("left out: %s", fault)
    return [name for name in names if name not in faults]


def _refuse(reconstruction: Reconstruction, name: str, options: ExportOptions) -> None:
    """Raise what speaks against a format and these options."""
    if fault := _fault(reconstruction, name):
        raise fault
    if FORMATS[name].whole_rate:
        _ = options.whole_fps


def _fault(reconstruction: Reconstruction, name: str) -> DioramaError | None:
    """Why this result cannot be written in a format on this machine."""
    checks, entry = importlib.import_module("diorama.export.checks"), FORMATS[name]
    if entry.people and not checks.has_people(reconstruction):
        others = ", ".join(n for n, other in FORMATS.items() if not other.people)
        return DioramaError("there are no people in the result", where=name, fix=f"choose from: {others}")
    if entry.points and not checks.known_points(reconstruction).any():
        return DioramaError("there are no scene points in the result", where=name, fix="choose another format")
    if entry.extra is not None and importlib.util.find_spec(entry.extra[0]) is None:
        fix = f'pip install "diorama[{entry.extra[1]}]"'
        return DioramaError("a package for it is not installed", where=name, fix=fix)
    return checks.missing_body(reconstruction) if entry.mesh else None


def _tell_licence(reconstruction: Reconstruction, names: Sequence[str]) -> None:
    """Once, however many files hold the meshes."""
    note = importlib.import_module("diorama.export.licences").mesh_licence(reconstruction)
    holders = [name for name in names if FORMATS[name].mesh]
    if note and holders:
        logger.warning("%s: %s; passing it on is limited", ", ".join(holders), note)


def _write(reconstruction: Reconstruction, path: Path, name: str, options: ExportOptions) -> list[Path]:
    entry = FORMATS[name]
    writer = getattr(importlib.import_module(entry.module), entry.writer)
    made = writer(reconstruction, path, options)
    return [made] if isinstance(made, Path) else made
