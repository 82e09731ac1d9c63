"""RICH (Huang et al. 2022): people in scanned places, static calibrated cameras, and one moving uncalibrated one."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import dataclass, replace
from functools import partial as bind
from pathlib import Path
from typing import Literal

import numpy as np

from diorama.data.layout import (
    cameras_of,
    need_all,
    need_file,
    need_folder,
    numbered_files,
    numbered_folders,
    picture_size,
)
from diorama.data.rich_bodies import read_bodies
from diorama.data.rich_calibration import (
    calibration_file,
    read_calibration,
    scan_file,
    scene_of,
    upright_of_scene,
)
from diorama.data.rich_names import CHAMFER, MOVING, MOVING_CAMERA, SHARE, SHARE_BATCH
from diorama.data.sequence import Sequence
from diorama.data.truth import BodyParameters, Extras, Parameters, ScenePoints, Surface
from diorama.data.upright import upright
from diorama.errors import DioramaError
from diorama.geometry.cameras import intrinsics
from diorama.geometry.transforms import invert
from diorama.reconstruction import Cameras

FPS = 30.0
SPLITS = ("train", "val", "test")
Subset = Literal["rich", "rich-moving", "rich-share"]
# Pictures of the moving camera where there are none at hand.
_UNKNOWN_SIZE = (1920, 1080)


@dataclass(frozen=True)
class Source:
    """Where one sequence of RICH is, seen by one camera. `batch` of SHARE, or None for all frames."""

    root: Path
    name: str
    split: str
    bodies: Path
    pictures: Path
    camera: int
    batch: int | None = None
    smplx_to_smpl: Path | None = None


def open_rich(
    root: Path, subset: Subset = "rich", *, smplx_to_smpl: Path | None = None, partial: bool = False
) -> tuple[Sequence, ...]:
    """Sequences of RICH.

    "rich" is every sequence by every static camera that has pictures; "rich-moving" the 40 sequences by the moving
    camera (its truth has no cameras); "rich-share" the 33 batches of 100 frames of SHARE, by one static camera each.

    Args:
        root: holds `bodies`, `images`, `scan_calibration`, `multicam2world`; or, for the bodies and pictures of the
            moving camera, one folder per sequence as JOSH has it.
        smplx_to_smpl: a file with the matrix from SMPL-X to SMPL, if the bodies were not converted beforehand.

    Raises:
        DioramaError: not such a folder; or sequences of the benchmark are missing and `partial` is false.
    """
    need_folder(root, "the folder of RICH")
    listed = {"rich": _static_sources, "rich-moving": _moving_sources, "rich-share": _share_sources}[subset]
    sources = {name: s for name, s in listed(root).items() if s.bodies.is_dir()}
    wanted = {name: source.bodies for name, source in listed(root).items()}
    if not wanted:
        raise DioramaError("no sequences of RICH here", where=root / "bodies" / "test", fix="see docs/datasets.md")
    need_all(list(sources), wanted, subset.upper(), partial=partial)
    return tuple(_sequence(name, s, subset, smplx_to_smpl) for name, s in sources.items())


def _sequence(name: str, source: Source, subset: Subset, smplx_to_smpl: Path | None) -> Sequence:
    tags = [source.split]
    tags += ["single-person"] if len(source.name.split("_")) == 3 else []
    tags += ["chamfer"] if subset == "rich-moving" and source.name in CHAMFER else []
    source = replace(source, smplx_to_smpl=smplx_to_smpl)
    return Sequence(
        dataset=subset,
        name=name,
        split=tuple(tags),
        fps=FPS,
        find_pictures=bind(find_pictures, source),
        read_parameters=bind(read_parameters, source),
    )


def _source(root: Path, name: str, split: str, camera: int, batch: int | None = None) -> Source:
    """The published layout, or JOSH's where only that is there."""
    bodies, pictures = root / "bodies" / split / name, root / "images" / split / name / f"cam_{camera:02d}"
    if not bodies.is_dir() and (root / name).is_dir():
        bodies, pictures = root / name, root / name / "images"
    return Source(root, name, split, bodies, pictures, camera, batch)


def _split_of(root: Path, name: str) -> str:
    return next((split for split in SPLITS if (root / "bodies" / split / name).is_dir()), "test")


def _static_sources(root: Path) -> dict[str, Source]:
    found = {}
    for split in SPLITS:
        for folder in sorted((root / "images" / split).glob("*/cam_*")):
            camera = int(folder.name.removeprefix("cam_"))
            if calibration_file(root, scene_of(folder.parent.name), camera).is_file():
                name = folder.parent.name
                found[f"{name}_cam{camera:02d}"] = _source(root, name, split, camera)
    return found


def _moving_sources(root: Path) -> dict[str, Source]:
    return {name: _source(root, name, split, MOVING_CAMERA) for name, split in MOVING.items()}


def _share_sources(root: Path) -> dict[str, Source]:
    return {
        f"{name}_batch{batch:02d}": _source(root, name, _split_of(root, name), camera, batch)
        for name, camera, batches in SHARE
        for batch in batches
    }


def _frames(source: Source) -> tuple[list[int], dict[int, Path], dict[int, Path]]:
    """Numbers of the frames (rows of the sequence), folders of bodies and pictures by number.

    With all frames, the rows are the pictures, or the bodies where there are no pictures; SHARE's batches count the
    sorted folders of bodies.
    """
    folders = numbered_folders(need_folder(source.bodies, "the folder of bodies, one folder per frame"))
    pictures = numbered_files(source.pictures)
    if source.batch is None:
        return sorted(pictures or folders), folders, pictures
    rows = list(folders)[source.batch * SHARE_BATCH : (source.batch + 1) * SHARE_BATCH]
    if len(rows) != SHARE_BATCH:
        raise DioramaError(
            f"{len(folders)} frames where batch {source.batch} needs {(source.batch + 1) * SHARE_BATCH}",
            where=source.bodies,
            fix="complete the download",
        )
    return rows, folders, pictures


def find_pictures(source: Source) -> tuple[Path, ...] | None:
    """One picture per row, or None where this camera has no folder.

    Raises:
        DioramaError: the picture of a row is missing.
    """
    rows, _, pictures = _frames(source)
    if not pictures:
        return None
    expected = source.pictures / f"%05d_{source.camera:02d}.*"
    for row in rows:
        need_file(pictures.get(row, expected.with_name(f"{row:05d}_{source.camera:02d}.jpeg")), "a picture")
    return tuple(pictures[row] for row in rows)


def read_parameters(source: Source) -> Parameters:
    """Cameras and people of one sequence in RICH's world (the frame of the first calibrated camera).

    Raises:
        DioramaError: files are missing or damaged.
    """
    rows, folders, pictures = _frames(source)
    T_world_dataset = upright_of_scene(source.root, scene_of(source.name))
    size = picture_size(next(iter(pictures.values()))) if pictures else None
    moving = source.camera == MOVING_CAMERA
    cameras = _unknown_cameras(len(rows), T_world_dataset, size) if moving else _static_cameras(source, len(rows), size)
    with_bodies = [row for row, number in enumerate(rows) if number in folders]
    bodies = read_bodies([folders[rows[row]] for row in with_bodies], source.root, source.smplx_to_smpl)
    scan = scan_file(source.root, source.name)
    return Parameters(
        times=np.array(rows) / FPS,
        frame_index=np.array(rows, np.int64),
        cameras=cameras,
        people=tuple(_in_rows(person, with_bodies) for person in bodies.people),
        up="estimated: what the static cameras hold upwards, at the next axis of multicam2world where it is there",
        extras=Extras(
            T_world_dataset=T_world_dataset,
            cameras_known=not moving,
            scene=None if scan is None else ScenePoints(scan, T_world_dataset),
            surface=None if bodies.surface is None else _surface_of_rows(bodies.surface, with_bodies),
        ),
    )


def _in_rows(person: BodyParameters, with_bodies: Rows[int]) -> BodyParameters:
    return replace(person, frames=np.array(with_bodies, np.int64)[person.frames])


def _surface_of_rows(surface: Surface, with_bodies: Rows[int]) -> Surface:
    """The same reader, asked by rows of the sequence."""
    place = {row: index for index, row in enumerate(with_bodies)}
    return lambda id, rows: surface(id, np.array([place[row] for row in rows.tolist()], np.int64))


def _static_cameras(source: Source, count: int, size: tuple[int, int] | None) -> Cameras:
    path = calibration_file(source.root, scene_of(source.name), source.camera)
    calibration = read_calibration(path)
    if size is not None:
        calibration = calibration.scaled(size, source.pictures)
    T = np.tile(calibration.T_camera_dataset, (count, 1, 1))
    return cameras_of(T, calibration.K, calibration.size, kind="static", distortion=calibration.distortion)


def _unknown_cameras(count: int, T_world_dataset: np.ndarray, size: tuple[int, int] | None) -> Cameras:
    """Placeholders: level cameras at the origin, a focal length of the picture's diagonal, none of them registered."""
    width, height = size or _UNKNOWN_SIZE
    K = intrinsics(float(np.hypot(width, height)), width, height)
    level = invert(upright(np.array([0.0, -1.0, 0.0]))) @ T_world_dataset
    K[:2, 2] -= 0.5
    unregistered = np.zeros(count, bool)
    T = np.tile(level, (count, 1, 1))
    return cameras_of(T, K, (width, height), registered=unregistered, focal_source="assumed")
