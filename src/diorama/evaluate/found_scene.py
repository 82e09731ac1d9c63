"""The scene that a result believes in, as points: what feet may stand on, and what is compared with a scan."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.errors import DioramaError
from diorama.evaluate.surfaces import verts_of
from diorama.geometry.cameras import pixel_grid, project, unproject
from diorama.geometry.transforms import apply, invert
from diorama.reconstruction import Reconstruction

# Depth pixels that are taken of one keyframe at most; denser maps are thinned evenly.
_PIXELS = 20_000


@dataclass(frozen=True)
class FoundScene:
    """One cloud per keyframe, metres in the result's world; `frames` None: a single cloud that belongs to no frame."""

    clouds: tuple[Float[np.ndarray, "_ 3"], ...]
    frames: Int[np.ndarray, " keyframes"] | None

    @property
    def points(self) -> Float[np.ndarray, "points 3"]:
        """Everything together."""
        return np.concatenate([np.zeros((0, 3)), *self.clouds])


def found_scene(found: Reconstruction) -> FoundScene:
    """The depth maps of the keyframes without the pixels that the result's own bodies cover; where there are no maps,
    the points of the scene. People are no scene: with their pixels no foot would ever be far from a point."""
    scene = found.scene
    if scene.depth is None or scene.depth_frames is None or scene.depth_K is None or not len(scene.depth_frames):
        return FoundScene((np.asarray(scene.points_world, np.float64),), None)
    clouds = tuple(_cloud(found, index) for index in range(len(scene.depth_frames)))
    return FoundScene(clouds, np.asarray(scene.depth_frames))


def _cloud(found: Reconstruction, index: int) -> Float[np.ndarray, "_ 3"]:
    scene, lens = found.scene, found.cameras
    assert scene.depth is not None and scene.depth_frames is not None and scene.depth_K is not None
    depth, row = scene.depth[index], int(scene.depth_frames[index])
    height, width = depth.shape
    usable = np.isfinite(depth) & (depth > 0) & ~_covered_by_people(found, row, scene.depth_K[index], width, height)
    y, x = np.nonzero(usable)
    thinned = slice(None, None, max(1, -(-len(y) // _PIXELS)))
    y, x = y[thinned], x[thinned]
    pixels, z = pixel_grid(width, height)[y, x], depth[y, x].astype(np.float64)
    points = unproject(pixels, z, np.asarray(scene.depth_K[index], np.float64), lens.distortion[row])
    return apply(lens.T_world_camera[row], points)


def _covered_by_people(
    found: Reconstruction, row: int, K: Float[np.ndarray, "3 3"], width: int, height: int
) -> Bool[np.ndarray, "height width"]:
    """Pixels within one pixel of a vertex of a found body, as the camera of the row sees it."""
    covered = np.zeros((height, width), np.uint8)
    for person in found.people:
        at = np.flatnonzero(person.frames == row)
        try:
            verts = verts_of(person, at)[0] if len(at) else np.zeros((0, 3))
        except DioramaError:
            continue
        inside = apply(invert(found.cameras.T_world_camera[row]), verts)
        pixels = project(inside, np.asarray(K, np.float64), found.cameras.distortion[row])
        hit = np.all(np.isfinite(pixels) & (pixels >= 0) & (pixels < np.array([width, height])), axis=1)
        x, y = pixels[hit].astype(int).T
        covered[y, x] = 1
    return cv2.dilate(covered, np.ones((3, 3), np.uint8)) > 0
