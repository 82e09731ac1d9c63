"""What every camera of an exact world sees: depth and ids without error, by ray casting, kept on disk per sequence."""

from __future__ import annotations

import logging
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from diorama.assets import atomic_path
from diorama.render.depth import depth_and_ids
from diorama.synthetic.world import World

logger = logging.getLogger(__name__)


@runtime_checkable
class ExactView(Protocol):
    """Depth and ids of any frame of a sequence."""

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """Depth z at pixel centres (metres, 0: nothing) and ids (0 scenery or nothing, else the person's) of frame
        `row`, on a grid of `width` x `height` pixels that covers the whole source picture, lens distortion included."""
        ...


@dataclass(frozen=True)
class Frames:
    """Exact pictures of some frames on one grid: depth in metres (0: nothing), ids of people (0: none)."""

    rows: Int[np.ndarray, " frames"]
    depth: Float[np.ndarray, "frames height width"]
    ids: Int[np.ndarray, "frames height width"]

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the grid, pixels."""
        return self.ids.shape[2], self.ids.shape[1]

    def of(self, rows: Int[np.ndarray, " n"]) -> Frames:
        """Only some frames, in the order asked for."""
        at = np.searchsorted(self.rows, rows)
        return Frames(rows, self.depth[at], self.ids[at])


def look(view: ExactView, rows: Int[np.ndarray, " n"], width: int, height: int) -> Frames:
    """The exact pictures of `rows` (ascending); a `CachedView` reads and writes them all at once."""
    if isinstance(view, CachedView):
        return view.look(rows, width, height)
    seen = [view.depth_and_ids(int(row), width, height) for row in rows]
    depth = np.stack([d for d, _ in seen]).astype(np.float32) if seen else np.zeros((0, height, width), np.float32)
    ids = np.stack([i for _, i in seen]).astype(np.int16) if seen else np.zeros((0, height, width), np.int16)
    return Frames(rows, depth, ids)


def grid_size(width: int, height: int, longer: int) -> tuple[int, int]:
    """Width and height of a grid over a picture whose longer side has `longer` pixels."""
    scale = longer / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


@dataclass(frozen=True)
class CachedView:
    """A view whose pictures are kept in `folder` under `key`, one file per grid; `key` names the sequence and must change
    when the sequence does. A damaged file is made again."""

    view: ExactView
    folder: Path
    key: str

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `ExactView`."""
        frames = self.look(np.array([row]), width, height)
        return frames.depth[0], frames.ids[0]

    def path(self, width: int, height: int) -> Path:
        """The file of one grid."""
        return self.folder / f"{self.key}-{width}x{height}.npz"

    def look(self, rows: Int[np.ndarray, " n"], width: int, height: int) -> Frames:
        """The pictures of `rows` (ascending) from the file, which is extended by those that it lacks."""
        known = _read(self.path(width, height), width, height)
        missing = np.setdiff1d(rows, known.rows)
        if len(missing):
            new = look(self.view, missing, width, height)
            every = np.concatenate([known.rows, new.rows])
            order = np.argsort(every)
            known = Frames(
                every[order],
                np.concatenate([known.depth, new.depth])[order],
                np.concatenate([known.ids, new.ids])[order],
            )
            with atomic_path(self.path(width, height)) as temporary, temporary.open("wb") as file:
                np.savez(file, rows=known.rows, depth=known.depth, ids=known.ids)
        return known.of(rows)


def _read(path: Path, width: int, height: int) -> Frames:
    """What a cache file holds; nothing if it is not there, or damaged."""
    nothing = Frames(
        np.zeros(0, np.int64), np.zeros((0, height, width), np.float32), np.zeros((0, height, width), np.int16)
    )
    if not path.is_file():
        return nothing
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            frames = Frames(file["rows"], file["depth"], file["ids"])
        whole = len(frames.rows) == len(frames.depth) == len(frames.ids) and frames.size == (width, height)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        logger.warning("%s: damaged (%s), made again", path, error)
        return nothing
    return frames if whole else nothing


@dataclass(frozen=True)
class WorldView:
    """The view of a `World`."""

    world: World

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `ExactView`."""
        staging = self.world.staging
        scale = np.array([width / staging.shot.width, height / staging.shot.height, 1.0])
        meshes = (*self.world.scenery, *(actor.mesh(row) for actor in self.world.actors))
        return depth_and_ids(meshes, scale[:, None] * staging.K, staging.T_world_camera[row], width, height)
