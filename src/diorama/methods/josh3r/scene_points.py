"""Points of the scene out of some pairs' maps, scaled by what their people say, off people."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.frontends.background_mask import people_mask
from diorama.frontends.patch_windows import Window
from diorama.geometry.cameras import pixel_grid
from diorama.networks.mast3r_head import DenseMaps
from diorama.observations import Observations

# Points nearer to people than this share of the longer side are not scene.
_MARGIN = 0.01


@dataclass(frozen=True)
class ScenePointsConfig:
    """Points of every `every`-th pair (as in the release), `stride` pixels apart and of MASt3R's `confidence` (1 up) at
    least; at most `most` in all, however long the video is."""

    every: int = 10
    stride: int = 4
    confidence: float = 1.1
    most: int = 300_000


@dataclass(frozen=True)
class ScenePoints:
    """Points of some keyframes in their cameras, metres; `key` is the keyframe of each, `pixels` where it was seen
    in the source picture; confidence 0 to 1."""

    key: Int[np.ndarray, " points"]
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    confidence: Float[np.ndarray, " points"]
    pixels: Float[np.ndarray, "points 2"]

    def rows(self, which: np.ndarray) -> ScenePoints:
        """Some of the points, by number or truth value."""
        return ScenePoints(*(getattr(self, part.name)[which] for part in fields(self)))


def map_points(
    maps: DenseMaps, at: int, scale: float, key: int, picture: UInt8[np.ndarray, "height width 3"], window: Window,
    config: ScenePointsConfig, most: int,
) -> ScenePoints:  # fmt: skip
    """Pixels of map `at`, scaled, with the colours of the picture that the networks saw; at most `most`, evenly."""
    step = slice(config.stride // 2, None, config.stride)
    conf = maps.conf[at, step, step].double().cpu().numpy()
    kept = conf >= config.confidence
    points = scale * maps.points[at, step, step].double().cpu().numpy()[kept]
    pixels = window.to_source(pixel_grid(window.width, window.height)[step, step][kept])
    trust = 1 - 1 / conf[kept]
    every = ScenePoints(np.full(len(points), key), points, picture[step, step][kept], trust, pixels)
    if len(points) <= most:
        return every
    return every.rows(np.linspace(0, len(points) - 1, most).astype(int))


def joined_points(parts: list[ScenePoints]) -> ScenePoints:
    """All of them; none of none."""
    none = np.zeros((0, 3))
    nobody = ScenePoints(np.zeros(0, np.int64), none, none.astype(np.uint8), np.zeros(0), np.zeros((0, 2)))
    names = [part.name for part in fields(ScenePoints)]
    return ScenePoints(*(np.concatenate([getattr(part, name) for part in (nobody, *parts)]) for name in names))


def without_people(points: ScenePoints, observations: Observations, keys: Int[np.ndarray, " keys"]) -> ScenePoints:
    """Points off people, by their masks or boxes."""
    size = (observations.width, observations.height)
    off = np.ones(len(points.key), bool)
    for key in np.unique(points.key):
        mask = people_mask(observations.tracks, int(keys[key]), size, size, _MARGIN)
        own = points.key == key
        column, line = np.clip(points.pixels[own].astype(int), 0, np.array(size) - 1).T
        off[own] = ~mask[line, column]
    return points.rows(off)
