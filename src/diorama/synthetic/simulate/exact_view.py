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
from diorama.render.raycast import Mesh
from diorama.render.rays import RayScene, camera_rays
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


class WorldView:
    """The view of a `World`. Its scenery is given to embree once, of people only the triangles that a ray can meet."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._scenery = RayScene([(mesh.vertices, mesh.faces) for mesh in world.scenery])

    def depth_and_ids(
        self, row: int, width: int, height: int
    ) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """As `ExactView`."""
        staging = self.world.staging
        scale = np.array([width / staging.shot.width, height / staging.shot.height, 1.0])
        K, T = scale[:, None] * staging.K, staging.T_world_camera[row]
        directions = camera_rays(K, width, height).reshape(-1, 3) @ T[:3, :3].T.astype(np.float32)
        origins = np.broadcast_to(T[:3, 3].astype(np.float32), directions.shape)
        behind = self._scenery.first_hits(origins, directions)
        people = [actor.mesh(row) for actor in self.world.actors]
        parts = [_reachable(mesh, K, T) for mesh in people]
        seen = [index for index, (_, faces) in enumerate(parts) if len(faces)]
        front = RayScene([parts[index] for index in seen]).first_hits(origins, directions)
        nearer = (front.mesh >= 0) & ((behind.mesh < 0) | (front.distance < behind.distance))
        ids = np.array([0, *(people[index].id for index in seen)], np.int32)[np.where(nearer, front.mesh + 1, 0)]
        depth = np.where(nearer, front.distance, behind.distance)
        return depth.reshape(height, width), ids.reshape(height, width)


def _reachable(
    mesh: Mesh, K: np.ndarray, T_world_camera: np.ndarray
) -> tuple[Float[np.ndarray, "verts 3"], Int[np.ndarray, "faces 3"]]:
    """The triangles whose image box holds a pixel's centre, and all that reach near the camera's plane."""
    T = T_world_camera.astype(np.float32)
    points = (mesh.vertices.astype(np.float32, copy=False) - T[:3, 3]) @ T[:3, :3]
    near = points[:, 2] < 0.05
    kept = np.ones(len(mesh.faces), bool)
    for axis in range(2):
        pixels = points[:, axis] / np.where(near, np.float32(1), points[:, 2]) * K[axis, axis] + K[axis, 2]
        a, b, c = (pixels[mesh.faces[:, k]] for k in range(3))
        # Widened by 0.02 px, so that rounding opens no gap between neighbours.
        low, high = np.minimum(np.minimum(a, b), c) - 0.52, np.maximum(np.maximum(a, b), c) - 0.48
        kept &= np.ceil(low) <= np.floor(high)
    kept |= near[mesh.faces].any(1) if near.any() else False
    used, faces = np.unique(mesh.faces[kept], return_inverse=True)
    return mesh.vertices[used], faces.reshape(-1, 3)
