"""Observations into the folder layout of docs/precomputed.md, whole or not at all."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.observations import (
    Bodies,
    ContactLabels,
    Depth,
    MaskStack,
    Matches,
    Observations,
    ObservedCameras,
    Source,
    Track,
    Tracks,
)


def write_precomputed(observations: Observations, folder: Path | str) -> None:
    """Write observations so that `read_precomputed(folder)` gives them back.

    The folder takes its name when everything is in it. Numbers come back as they are, poses up to rounding (1e-13),
    masks with windows that fit; figures that are not finite are left out of the cameras' evidence.

    Raises:
        DioramaError: the folder is there already and not empty, or cannot be written; an array holds NaN or infinity.
    """
    folder = Path(folder)
    with _folder_when_whole(folder) as place:
        seen = observations
        if seen.cameras is not None:
            _cameras(seen.cameras, place / "cameras")
        if seen.tracks is not None:
            _tracks(seen.tracks, place / "tracks")
        if seen.bodies is not None:
            _bodies(seen.bodies, place / "bodies")
        for name in ("depth", "depth_prior"):
            if (depth := getattr(seen, name)) is not None:
                _depth(depth, place / name)
        if seen.matches is not None:
            _matches(seen.matches, place / "matches")
        if seen.contacts is not None:
            _contacts(seen.contacts, place / "contacts")
        video = {
            "width": seen.width, "height": seen.height, "times": seen.times.tolist(),
            "frame_index": seen.frame_index.tolist(), "duplicate": seen.duplicate.tolist(), "numbers": "rows",
        }  # fmt: skip
        _json(place / "video.json", video)


@contextmanager
def _folder_when_whole(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` that takes its name only if the block ends well."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise DioramaError("is there already", where=folder, fix="choose a new folder, so that nothing old stays in it")
    place = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir(parents=True)
        yield place
        if folder.is_dir():
            folder.rmdir()
        place.replace(folder)
    except OSError as error:
        raise DioramaError(f"cannot write ({error.strerror})", where=folder, fix="choose a writable folder") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False), encoding="utf-8")


def _about(folder: Path, source: Source, **entries: Any) -> None:
    told = {"frontend": source.frontend, "model": source.model, "licence": source.licence, "notes": list(source.notes)}
    _json(folder / "about.json", {"source": told, **entries})


def _npz(path: Path, /, **arrays: Any) -> None:
    for name, array in arrays.items():
        values = np.asarray(array)
        if name != "residual_px" and values.dtype.kind == "f" and not np.isfinite(values).all():
            fix = "drop the rows that hold it before writing"
            raise DioramaError(f"array {name!r} holds NaN or infinity", where=path.name, fix=fix)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def _given(**arrays: np.ndarray | None) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if array is not None}


def _cameras(cameras: ObservedCameras, folder: Path) -> None:
    quaternions = Rotation.from_matrix(cameras.T_world_camera[:, :3, :3]).as_quat()
    rows = np.concatenate([cameras.T_world_camera[:, :3, 3], quaternions], 1)
    lines = [f"{row} " + " ".join(repr(float(value)) for value in values) for row, values in enumerate(rows)]
    with atomic_path(folder / "poses.txt") as temporary:
        temporary.write_text("\n".join(["# frame tx ty tz qx qy qz qw", *lines]) + "\n", encoding="utf-8")
    _npz(folder / "intrinsics.npz", K=cameras.K, distortion=cameras.distortion)
    _npz(folder / "points.npz", points_world=cameras.points_world, colors=cameras.colors)
    known = {"reprojection_px": cameras.reprojection_px} if math.isfinite(cameras.reprojection_px) else {}
    _about(
        folder, cameras.source, metric=cameras.metric, kind=cameras.kind, focal_source=cameras.focal_source,
        stamps="frames", pixel_centres="half", interpolated=np.flatnonzero(~cameras.registered).tolist(),
        evidence={key: float(value) for key, value in cameras.evidence.items() if math.isfinite(value)},
        warnings=list(cameras.warnings), **known,
    )  # fmt: skip


def _tracks(tracks: Tracks, folder: Path) -> None:
    _about(folder, tracks.source, pixel_centres="half", dropped=list(tracks.dropped))
    for track in tracks.people:
        _npz(
            folder / "keypoints" / f"{track.id}.npz", frames=track.frames, keypoints=track.keypoints, boxes=track.boxes,
            joint_set=np.array(track.joint_set), **_given(keypoints_3d=track.keypoints_3d, overlap=track.overlap),
        )  # fmt: skip
        if track.masks is not None:
            _masks(track, track.masks, folder / "masks" / str(track.id))


def _masks(track: Track, masks: MaskStack, folder: Path) -> None:
    for index, row in enumerate(track.frames):
        coded = cv2.imencode(".png", masks.full(index).astype(np.uint8) * 255)[1]
        with atomic_path(folder / f"{row:06d}.png") as temporary:
            temporary.write_bytes(coded.tobytes())


def _bodies(bodies: Bodies, folder: Path) -> None:
    _about(folder, bodies.source)
    for body in bodies.people:
        _npz(
            folder / f"{body.id}.npz", frames=body.frames, body=np.array(body.body), gender=np.array(body.gender),
            betas=body.betas, global_orient=body.global_orient, body_pose=body.body_pose, transl=body.transl,
            focal=body.focal, confidence=body.confidence, residual_px=body.residual_px,
        )  # fmt: skip


def _depth(depth: Depth, folder: Path) -> None:
    _about(folder, depth.source, metric=depth.metric, pixel_centres="half", confidence="0 to 1")
    for index, row in enumerate(depth.frames):
        _npz(folder / f"{row:06d}.npz", depth=depth.depth[index], K=depth.K[index], confidence=depth.confidence[index])
    _npz(folder / "points.npz", points=depth.points, colors=depth.colors, confidence=depth.points_confidence)


def _matches(matches: Matches, folder: Path) -> None:
    _about(folder, matches.source, pixel_centres="half", confidence="0 to 1")
    _npz(
        folder / "matches.npz", frames_i=matches.frames_i, frames_j=matches.frames_j, xy_i=matches.xy_i, xy_j=matches.xy_j,
        confidence=matches.confidence,
    )  # fmt: skip


def _contacts(contacts: ContactLabels, folder: Path) -> None:
    _about(folder, contacts.source)
    for id, frames, probability in zip(contacts.ids, contacts.frames, contacts.probability, strict=True):
        _npz(folder / f"{id}.npz", frames=frames, sites=np.array(contacts.sites, str), probability=probability)
