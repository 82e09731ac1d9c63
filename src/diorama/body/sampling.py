"""A few hundred vertices spread evenly over the outside of a body, for fits that need no full mesh."""

from __future__ import annotations

import itertools

import numpy as np
import trimesh
from jaxtyping import Float, Int


def outside_vertices(
    verts: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"]
) -> Int[np.ndarray, " outside"]:
    """Vertices that see the open in some direction: not those inside the mouth, the nose or behind the eyes."""
    mesh = trimesh.Trimesh(verts, faces, process=False)
    directions = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if any(d)], dtype=np.float64)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    normals = np.asarray(mesh.vertex_normals)
    free = np.zeros(len(verts), dtype=bool)
    for direction in directions:
        # A vertex looks along a direction only well above its own tangent plane.
        open_to = np.flatnonzero((normals @ direction > 0.3) & ~free)
        starts = verts[open_to] + 1e-3 * normals[open_to]
        free[open_to] = ~mesh.ray.intersects_any(starts, np.tile(direction, (len(open_to), 1)))
    return np.flatnonzero(free)


def spread_subset(
    verts: Float[np.ndarray, "verts 3"], candidates: Int[np.ndarray, " n"], count: int
) -> Int[np.ndarray, " subset"]:
    """Farthest-point sampling: `count` candidates spread evenly over the surface, sorted."""
    points = verts[candidates]
    chosen = [int(np.argmax(points[:, 1]))]
    distance = np.full(len(points), np.inf)
    while len(chosen) < min(count, len(points)):
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
        chosen.append(int(distance.argmax()))
    return np.sort(candidates[chosen])
