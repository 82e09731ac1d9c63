"""What the keyframes' depth maps show before a camera that stands still: scenery, and whose each pixel is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.geometry.cameras import pixel_grid, unproject
from diorama.observations import Depth, Observations, Track

# More people than one on a pixel.
SEVERAL = -1
# A jump of depth in 3 x 3 pixels by this share of its own is an edge (release: 0.04).
EDGE = 0.04


@dataclass(frozen=True)
class KeyMaps:
    """Keyframes of a standing camera.

    Attributes:
        rows: frames of the video.
        depth: metres along the axis, 0 where unknown.
        solid: depth is known, trusted, and no edge.
        owner: id of the person on a pixel, 0: nobody, `SEVERAL`.
        near_people: pixels beside a person, where depth and masks bleed.
        K: in pixels of the maps, what directions are taken from.
        own_K: what the maps claim, in pixels of the maps.
        distortion: of the lens.
    """

    rows: Int[np.ndarray, " keys"]
    depth: Float[np.ndarray, "keys height width"]
    solid: Bool[np.ndarray, "keys height width"]
    owner: Int[np.ndarray, "keys height width"]
    near_people: Bool[np.ndarray, "keys height width"]
    K: Float[np.ndarray, "keys 3 3"]
    own_K: Float[np.ndarray, "keys 3 3"]
    distortion: Float[np.ndarray, "keys k"]

    @property
    def background(self) -> Bool[np.ndarray, "keys height width"]:
        """Scenery whose depth is good."""
        return self.solid & (self.owner == 0) & ~self.near_people

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the maps."""
        return self.depth.shape[2], self.depth.shape[1]

    def of(self, keys: Int[np.ndarray, " n"]) -> KeyMaps:
        """Some of the keyframes, by index."""
        names = ("rows", "depth", "solid", "owner", "near_people", "K", "own_K", "distortion")
        return KeyMaps(*(getattr(self, name)[keys] for name in names))

    def scaled(self, factors: Float[np.ndarray, " keys"]) -> KeyMaps:
        """Every map times its factor."""
        names = ("solid", "owner", "near_people", "K", "own_K", "distortion")
        return KeyMaps(self.rows, self.depth * factors[:, None, None], *(getattr(self, name) for name in names))

    def points(self, key: int, pixels: Bool[np.ndarray, "height width"], *, own_K: bool) -> Float[np.ndarray, "n 3"]:
        """Camera-frame points of chosen pixels of one map (Eq. 1; pixel centres at half integers)."""
        K = (self.own_K if own_K else self.K)[key]
        return unproject(pixel_grid(*self.size)[pixels], self.depth[key][pixels], K, self.distortion[key])


def key_maps(depth: Depth, observations: Observations) -> KeyMaps:
    """The maps of all keyframes of `depth`, with the owners of their pixels by the tracks' masks (boxes, where there are
    none, belong to nobody and hide the scenery)."""
    assert observations.cameras is not None
    cameras, tracks = observations.cameras, observations.tracks.people if observations.tracks else ()
    found = np.asarray(depth.depth, np.float64)
    known = np.isfinite(found) & (found > 0)
    found = np.where(known, found, 0.0)
    trusted = np.nan_to_num(np.asarray(depth.confidence)) > 0
    size = found.shape[2], found.shape[1]
    per_source = np.array([[size[0] / observations.width], [size[1] / observations.height], [1.0]])
    owner = np.stack([_owners(tracks, int(row), size, observations.width) for row in depth.frames])
    covered = owner != 0
    grown = np.stack([cv2.dilate(each.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for each in covered])
    edges = np.stack([_edges(each) for each in found])
    return KeyMaps(
        np.asarray(depth.frames), found, known & trusted & ~edges, owner, grown & ~covered,
        per_source * cameras.K[depth.frames], np.asarray(depth.K, np.float64), cameras.distortion[depth.frames],
    )  # fmt: skip


def _edges(depth: Float[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Pixels around which depth varies by more than `EDGE`; where it merely ends is none."""
    square = np.ones((3, 3), np.uint8)
    nearest = cv2.erode(np.where(depth > 0, depth, np.inf).astype(np.float32), square)
    farthest = cv2.dilate(depth.astype(np.float32), square)
    return farthest - np.where(np.isfinite(nearest), nearest, farthest) > EDGE * depth


def _owners(
    tracks: Sequence[Track], row: int, size: tuple[int, int], source_width: int
) -> Int[np.ndarray, "height width"]:
    out = np.zeros((size[1], size[0]), np.int64)
    for track in tracks:
        for at in np.flatnonzero(track.frames == row):
            if track.masks is not None:
                mine = track.masks.full(int(at), size)
                out[mine] = np.where(out[mine] == 0, track.id, SEVERAL)
            else:
                x0, y0, x1, y1 = np.round(track.boxes[at] * size[0] / source_width).astype(int).clip(0)
                out[y0:y1, x0:x1] = SEVERAL
    return out


def borders(owner: Int[np.ndarray, "height width"], id: int) -> Bool[np.ndarray, "height width"]:
    """Pixels of a person at the border of his mask."""
    mine = (owner == id).astype(np.uint8)
    return (mine > 0) & (cv2.erode(mine, np.ones((3, 3), np.uint8)) == 0)
