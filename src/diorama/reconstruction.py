"""What is believed: one metric, gravity-aligned world of cameras, people, scene, contacts; saved without pickles."""

from __future__ import annotations

import dataclasses
import importlib
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.records import flatten, unflatten

FORMAT = 1
ARRAYS, DEPTH, TREE = "arrays.npz", "depth.npz", "reconstruction.json"


@dataclass(frozen=True)
class Cameras:
    """One camera per row of `times`. K in pixels of the upright source video (pixel centres at half integers), poses in
    metres; `distortion` holds radial k1, k2, ...; `registered` is false where the pose was interpolated.
    `focal_source`: "recovered", "assumed" or "given". `kind`: "translating", "rotating" or "static"."""

    K: Float[np.ndarray, "frames 3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    distortion: Float[np.ndarray, "frames k"]
    registered: Bool[np.ndarray, " frames"]
    width: int
    height: int
    focal_source: str
    kind: str = "translating"


@dataclass(frozen=True)
class Person:
    """One person. `frames` are rows into `Reconstruction.times`; rotations are rotation vectors in radians;
    `joints_world` are the named 24 joints in metres; `contacts` is 0-1 per site of `contact_sites`; `observed` is false
    where the person was filled in; `body` names the body model, whose `betas` they are."""

    id: int
    frames: Int[np.ndarray, " n"]
    body: str
    gender: str
    betas: Float[np.ndarray, " betas"]
    global_orient: Float[np.ndarray, "n 3"]
    body_pose: Float[np.ndarray, "n j 3"]
    transl: Float[np.ndarray, "n 3"]
    joints_world: Float[np.ndarray, "n 24 3"]
    contacts: Float[np.ndarray, "n sites"]
    contact_sites: tuple[str, ...]
    observed: Bool[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]

    def __post_init__(self) -> None:
        counts = {len(getattr(self, n)) for n in ("frames", "global_orient", "body_pose", "transl", "joints_world")}
        counts |= {len(self.contacts), len(self.observed), len(self.confidence)}
        if len(counts) != 1:
            raise ValueError(f"person {self.id}: arrays have different numbers of frames: {sorted(counts)}")
        if self.contacts.shape[1] != len(self.contact_sites):
            raise ValueError(
                f"person {self.id}: {self.contacts.shape[1]} contact columns, {len(self.contact_sites)} sites"
            )


@dataclass(frozen=True)
class Scene:
    """The static scene as coloured points, depth maps of keyframes (metres, 0 unknown), and people's surface points."""

    points_world: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    confidence: Float[np.ndarray, " points"]
    depth: Float[np.ndarray, "d height width"] | None = None
    depth_K: Float[np.ndarray, "d 3 3"] | None = None
    depth_frames: Int[np.ndarray, " d"] | None = None
    people_points: Float[np.ndarray, "q 3"] | None = None
    people_points_id: Int[np.ndarray, " q"] | None = None
    people_points_frame: Int[np.ndarray, " q"] | None = None


@dataclass(frozen=True)
class Reconstruction:
    """A metric world, +Z up, floor near z = 0. One row per decoded frame of the shot (duplicates are flagged).

    `up` tells where gravity comes from; `quality` has figures whose keys carry the unit; `provenance` the method, its
    configuration and the models with their licences.
    """

    times: Float[np.ndarray, " frames"]
    frame_index: Int[np.ndarray, " frames"]
    duplicate: Bool[np.ndarray, " frames"]
    cameras: Cameras
    people: tuple[Person, ...]
    scene: Scene
    up: str
    quality: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        count = len(self.times)
        if not count == len(self.frame_index) == len(self.duplicate) == len(self.cameras.K):
            raise ValueError("times, frame_index, duplicate and cameras must have one row per frame")
        for person in self.people:
            if len(person.frames) and not 0 <= person.frames.min() <= person.frames.max() < count:
                raise ValueError(f"person {person.id}: frames outside 0..{count - 1}")

    def __len__(self) -> int:
        return len(self.times)

    def person(self, id: int) -> Person:
        """The person with this id.

        Raises:
            KeyError: nobody has it.
        """
        for person in self.people:
            if person.id == id:
                return person
        raise KeyError(f"no person {id}; there are {[p.id for p in self.people]}")

    def save(self, folder: str | Path) -> Path:
        """Write `reconstruction.json`, `arrays.npz`, `depth.npz` into a folder; the JSON file comes last.

        Raises:
            DioramaError: the folder cannot be written.
        """
        folder = Path(folder)
        arrays: dict[str, np.ndarray] = {}
        tree = flatten(self, "", arrays)
        deep = {name: array for name, array in arrays.items() if name == ".scene.depth"}
        _write_arrays(folder / ARRAYS, {name: array for name, array in arrays.items() if name not in deep})
        _write_arrays(folder / DEPTH, deep)
        text = json.dumps({"format": FORMAT, "units": "metres, seconds, radians, pixels; world Z up", **tree}, indent=1)
        with atomic_path(folder / TREE) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
        return folder

    def export(self, path: str | Path, *, format: str | None = None, **options: Any) -> list[Path]:
        """Write for another program, in the format of the path's ending: .glb .usd .bvh .npz .tum .ply .csv .mp4.

        Args:
            path: the file; or a folder, for a format given by name, as "colmap".
            options: fields of `diorama.export.options.ExportOptions`, such as `up="y"`, `unit="cm"`, `fps=30`.

        Returns:
            The files that were written.

        Raises:
            DioramaError: unknown ending, nothing to write, numbers that are not finite, a missing package or body
                model, or the path is not writable.
        """
        # Exports know results, not the other way round: their room is looked up when somebody asks for it.
        room = importlib.import_module("diorama.export")
        return room.export_file(self, path, room.ExportOptions(**options), format=format)

    def replace(self, **changes: Any) -> Reconstruction:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{name.lstrip("."): array for name, array in arrays.items()})  # type: ignore[arg-type]


def load(folder: str | Path) -> Reconstruction:
    """Read a folder written by `Reconstruction.save`.

    Raises:
        DioramaError: not such a folder, damaged, or written by a newer version.
    """
    folder = Path(folder)
    if not (folder / TREE).is_file():
        raise DioramaError(
            "no reconstruction here", where=folder, fix="give the folder that `diorama reconstruct VIDEO -o OUT` made"
        )
    try:
        tree = json.loads((folder / TREE).read_text(encoding="utf-8"))
        if tree.pop("format") > FORMAT:
            raise DioramaError("written by a newer diorama", where=folder, fix="pip install --upgrade diorama")
        arrays: dict[str, np.ndarray] = {}
        for name in (ARRAYS, DEPTH):
            with (folder / name).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays |= {f".{key}": file[key] for key in file.files}
        return unflatten(Reconstruction, tree, arrays)
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise DioramaError(f"damaged ({error})", where=folder / TREE, fix="run reconstruct again") from error
