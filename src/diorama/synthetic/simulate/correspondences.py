"""Pixel correspondences of the static scene between keyframes: reprojected where both see the point, then spoilt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from diorama.geometry.cameras import pixel_grid, project, unproject
from diorama.geometry.transforms import apply, invert
from diorama.observations import Matches, Source
from diorama.reconstruction import Cameras
from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.noise import graded, stream


@dataclass(frozen=True)
class MatchConfig:
    """Errors of correspondences, which never lie on people. The defaults make none.

    Attributes:
        window: keyframes i < j are matched if j - i is at most this (JOSH: 10).
        per_pair: the most matches of a pair; half of them start from the pixels of i, half from those of j.
        noise: standard deviation per picture axis at the end of a match, as a share of the picture's longer side
            (one pixel of 512: 0.002).
        outliers: share of the matches whose end lies anywhere in the picture.
        tolerance: two depths agree, and so a point is seen, if 1 / z differs by less than this share.
        confidence: range of confidences.
        confidence_follows: correlation 0-1 of the confidence with the size of the true error (normal scores).
    """

    window: int = 10
    per_pair: int = 1500
    noise: float = 0.0
    outliers: float = 0.0
    tolerance: float = 0.01
    confidence: tuple[float, float] = (1.0, 1.0)
    confidence_follows: float = 0.0


def observed_matches(frames: Frames, cameras: Cameras, config: MatchConfig, seed: int) -> Matches:
    """Matches between the keyframes `frames` (exact depth and ids on one grid) of exact cameras."""
    rng = stream(seed, "matches")
    pairs = [
        (i, j)
        for i in range(len(frames.rows))
        for j in range(i + 1, min(i + 1 + config.window, len(frames.rows)))
    ]  # fmt: skip
    scene = [_Background.of(frames, n, cameras) for n in range(len(frames.rows))]
    found = [_pair(scene[i], scene[j], config, rng) for i, j in pairs]
    start = np.concatenate([np.zeros((0, 2)), *(a for a, _ in found)])
    end = np.concatenate([np.zeros((0, 2)), *(b for _, b in found)])
    counts = [len(a) for a, _ in found]
    index = np.repeat(np.array(pairs, int).reshape(-1, 2), counts, 0)
    end, tail = _spoilt(end, (cameras.width, cameras.height), config, stream(seed, "match errors"))
    confidence = graded(stream(seed, "match confidence"), tail, config.confidence_follows, config.confidence)
    return Matches(
        Source("simulated", "matches"), frames.rows[index[:, 0]], frames.rows[index[:, 1]],
        start, end, confidence,
    )  # fmt: skip


@dataclass(frozen=True)
class _Background:
    """One keyframe: its camera, the pixels (source pixels) and world points of scenery, and 1 / z on the grid."""

    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " k"]
    T_world_camera: Float[np.ndarray, "4 4"]
    size: tuple[int, int]
    near: Float[np.ndarray, "height width"]
    people: Bool[np.ndarray, "height width"]
    pixels: Float[np.ndarray, "points 2"]
    points_world: Float[np.ndarray, "points 3"]

    @classmethod
    def of(cls, frames: Frames, n: int, cameras: Cameras) -> _Background:
        row, depth, people = int(frames.rows[n]), frames.depth[n].astype(np.float64), frames.ids[n] > 0
        K, distortion, T = cameras.K[row], cameras.distortion[row], cameras.T_world_camera[row]
        size = (cameras.width, cameras.height)
        y, x = np.nonzero((depth > 0) & ~people)
        pixels = pixel_grid(*frames.size)[y, x] * np.array(size) / frames.size
        points = apply(T, unproject(pixels, depth[y, x], K, distortion))
        near = np.where(depth > 0, 1 / np.maximum(depth, 1e-6), 0.0)
        return cls(K, distortion, T, size, near, people, pixels, points)

    def seen_at(
        self, points_world: Float[np.ndarray, "n 3"], tolerance: float
    ) -> tuple[Float[np.ndarray, "n 2"], Bool[np.ndarray, " n"]]:
        """Where world points appear, and whether they do.

        1 / z is interpolated between the four grid pixels around (exact on planes); a cell with a person or an edge in
        it does not agree with any point.
        """
        camera = apply(invert(self.T_world_camera), points_world)
        pixels = project(camera, self.K, self.distortion)
        inside = np.isfinite(pixels).all(1)
        pixels = np.where(inside.reshape(-1, 1), pixels, 0.0)
        inside &= ((pixels >= 0) & (pixels < np.array(self.size))).all(1)
        height, width = self.near.shape
        place = pixels * (width, height) / self.size - 0.5
        corner = np.clip(np.floor(np.clip(place, -1, (width, height))), 0, (width - 2, height - 2)).astype(int)
        u, v = (place - corner).T
        x, y = corner.T
        near, people = self.near, self.people
        found = (1 - v) * ((1 - u) * near[y, x] + u * near[y, x + 1])
        found += v * ((1 - u) * near[y + 1, x] + u * near[y + 1, x + 1])
        clear = ~(people[y, x] | people[y, x + 1] | people[y + 1, x] | people[y + 1, x + 1])
        wanted = 1 / np.maximum(camera[:, 2], 1e-6)
        return pixels, inside & clear & (np.abs(found - wanted) < tolerance * wanted)


def _pair(
    one: _Background, other: _Background, config: MatchConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Exact matches of a pair: pixels in one and in the other."""
    half = config.per_pair // 2
    forward = _reprojected(one, other, config.per_pair - half, config.tolerance, rng)
    backward = _reprojected(other, one, half, config.tolerance, rng)
    return np.concatenate([forward[0], backward[1]]), np.concatenate([forward[1], backward[0]])


def _reprojected(
    source: _Background, target: _Background, count: int, tolerance: float, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    ends, seen = target.seen_at(source.points_world, tolerance)
    common = np.flatnonzero(seen)
    chosen = np.sort(rng.choice(common, min(count, len(common)), replace=False)) if len(common) else common
    return source.pixels[chosen], ends[chosen]


def _spoilt(
    end: Float[np.ndarray, "n 2"], size: tuple[int, int], config: MatchConfig, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
    """Ends with noise and outliers, and the probability of an error as large as each one's."""
    sigma = config.noise * max(size)
    error = sigma * rng.normal(size=end.shape)
    wrong = rng.random(len(end)) < config.outliers
    anywhere = rng.random(end.shape) * size
    error = np.where(wrong[:, None], anywhere - end, error)
    squared = np.minimum((error**2).sum(1) / max(sigma, 1e-3) ** 2, 1e3)
    return end + error, np.exp(-0.5 * squared)
