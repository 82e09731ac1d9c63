"""Depth and ids alone, fast at a small size: only triangles that a pixel's centre can meet are given to embree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.geometry.cameras import distort
from diorama.render.raycast import Mesh
from diorama.render.rays import RayScene, camera_rays

# A triangle that reaches nearer to the camera's plane than this (metres) is kept without looking where it projects.
_NEAR = 0.05
# Pixels by which outlines are widened, so that rounding cannot open a gap between neighbours.
_MARGIN = 0.02


def depth_and_ids(
    meshes: Sequence[Mesh],
    K: Float[np.ndarray, "3 3"],
    T_world_camera: Float[np.ndarray, "4 4"],
    width: int,
    height: int,
    *,
    distortion: Float[np.ndarray, " k"] | None = None,
) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
    """Depth z at pixel centres (metres, 0: nothing) and ids of the meshes: those of `render`, without its colours.

    The cost of a small picture is that of handing triangles to embree; a body of 27,000 faces has some hundred that
    cover a pixel's centre of a picture of 128 x 72.
    """
    K, T = K.astype(np.float32), T_world_camera.astype(np.float32)
    parts = [_reachable(mesh, K, T, width, height, distortion) for mesh in meshes]
    kept = [index for index, (_, faces) in enumerate(parts) if len(faces)]
    directions = camera_rays(K, width, height, distortion).reshape(-1, 3) @ T[:3, :3].T
    hits = RayScene([parts[index] for index in kept]).first_hits(
        np.broadcast_to(T[:3, 3], directions.shape), directions
    )
    ids = np.array([0, *(meshes[index].id for index in kept)], np.int32)[hits.mesh + 1]
    return hits.distance.reshape(height, width), ids.reshape(height, width)


def _reachable(
    mesh: Mesh, K: np.ndarray, T: np.ndarray, width: int, height: int, distortion: np.ndarray | None
) -> tuple[Float[np.ndarray, "verts 3"], Int[np.ndarray, "faces 3"]]:
    """The part of a mesh that rays through pixel centres may meet, with its vertices numbered anew."""
    vertices = mesh.vertices.astype(np.float32, copy=False)
    points = (vertices - T[:3, 3]) @ T[:3, :3]
    xy = points[:, :2] / np.maximum(points[:, 2:], np.float32(_NEAR))
    if distortion is not None and np.any(distortion):
        xy = distort(xy, distortion).astype(np.float32)
    pixels = xy * K[[0, 1], [0, 1]] + K[:2, 2]
    nearest, farthest = _extent(points[:, 2], mesh.faces)
    seen = (nearest < _NEAR) & (farthest > 0)
    seen |= (nearest >= _NEAR) & _covers_a_centre(pixels, mesh.faces, (width, height))
    used, faces = np.unique(mesh.faces[seen], return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)


def _covers_a_centre(
    pixels: Float[np.ndarray, "verts 2"], faces: Int[np.ndarray, "faces 3"], size: tuple[int, int]
) -> Bool[np.ndarray, " faces"]:
    """Whether the image box of each triangle holds the centre of a pixel of the picture."""
    out = np.ones(len(faces), bool)
    for axis in range(2):
        low, high = _extent(pixels[:, axis], faces)
        first = np.maximum(np.ceil(low - np.float32(_MARGIN + 0.5)), 0)
        out &= first <= np.minimum(np.floor(high + np.float32(_MARGIN - 0.5)), size[axis] - 1)
    return out


def _extent(
    values: Float[np.ndarray, " verts"], faces: Int[np.ndarray, "faces 3"]
) -> tuple[Float[np.ndarray, " faces"], Float[np.ndarray, " faces"]]:
    """Least and greatest value at the corners of each face (columns are much faster here than an axis of three)."""
    a, b, c = (np.ascontiguousarray(values)[faces[:, k]] for k in range(3))
    return np.minimum(np.minimum(a, b), c), np.maximum(np.maximum(a, b), c)
