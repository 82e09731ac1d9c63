"""Camera rays, and the first thing that they meet (embree)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene
from jaxtyping import Bool, Float, Int

from diorama.geometry.cameras import distort, pixel_grid, undistort

# Embree's "nothing was hit" distance is 1e37.
_FAR = 1e30


def camera_rays(
    K: Float[np.ndarray, "3 3"],
    width: int,
    height: int,
    distortion: Float[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, "height width 3"]:
    """Camera-frame directions with z = 1 through all pixel centres, so that a distance along a ray is a depth z."""
    xy = (pixel_grid(width, height) - K[:2, 2]) / K[[0, 1], [0, 1]]
    if distortion is not None and np.any(distortion):
        xy = xy * _stretch(xy, distortion)
    return np.concatenate([xy, np.ones_like(xy[..., :1])], -1).astype(np.float32)


def _stretch(
    xy: Float[np.ndarray, "height width 2"], distortion: Float[np.ndarray, " k"]
) -> Float[np.ndarray, "height width 1"]:
    """Factor from distorted to ideal coordinates, by a table over the radius: a picture has many pixels per radius."""
    radius = np.linalg.norm(xy, axis=-1)
    farthest = float(np.linalg.norm(undistort(np.array([radius.max(), 0.0]), distortion)))
    ideal = np.stack([np.linspace(0, 1.01 * farthest, 4096), np.zeros(4096)], 1)
    distorted = np.maximum.accumulate(distort(ideal, distortion)[:, 0])
    found = np.interp(radius, distorted, ideal[:, 0])
    return np.where(radius > 1e-9, found / np.maximum(radius, 1e-9), 1.0)[..., None]


@dataclass(frozen=True)
class Hits:
    """First hits of N rays: `distance` in units of the direction's length (0 where nothing was hit), `mesh` and `face`
    indices (-1), barycentric weights `u`, `v` of the face's second and third corner, unit `normal` of the face."""

    distance: Float[np.ndarray, " rays"]
    mesh: Int[np.ndarray, " rays"]
    face: Int[np.ndarray, " rays"]
    u: Float[np.ndarray, " rays"]
    v: Float[np.ndarray, " rays"]
    normal: Float[np.ndarray, "rays 3"]


class RayScene:
    """Triangle meshes in an acceleration structure; mesh n is the n-th of `meshes` = (vertices, faces) pairs."""

    def __init__(self, meshes: Sequence[tuple[Float[np.ndarray, "_ 3"], Int[np.ndarray, "_ 3"]]]) -> None:
        self._device = EmbreeDevice()
        self._scene = EmbreeScene(self._device)
        self._meshes = [
            TriangleMesh(self._scene, np.ascontiguousarray(v, np.float32), np.ascontiguousarray(f, np.int32))
            for v, f in meshes
        ]

    def first_hits(self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]) -> Hits:
        """What each ray meets first; back faces count."""
        if not self._meshes or not len(origins):
            return _nothing(len(origins))
        found = self._scene.run(_float32(origins), _float32(directions), output=True)
        distance = np.where(found["tfar"] < _FAR, found["tfar"], 0).astype(np.float32)
        normal = found["Ng"] / np.maximum(np.linalg.norm(found["Ng"], axis=1, keepdims=True), 1e-30)
        return Hits(distance, found["geomID"], found["primID"], found["u"], found["v"], normal)

    def occluded(
        self, origins: Float[np.ndarray, "rays 3"], directions: Float[np.ndarray, "rays 3"]
    ) -> Bool[np.ndarray, " rays"]:
        """Whether each ray meets anything at all."""
        if not self._meshes or not len(origins):
            return np.zeros(len(origins), bool)
        return self._scene.run(_float32(origins), _float32(directions), query="OCCLUDED") == 0


def _float32(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array, np.float32)


def _nothing(count: int) -> Hits:
    none, zero = np.full(count, -1, np.int32), np.zeros(count, np.float32)
    return Hits(zero, none, none, zero, zero, np.zeros((count, 3), np.float32))
