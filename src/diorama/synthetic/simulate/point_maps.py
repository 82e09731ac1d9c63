"""Depth maps at keyframes as networks give them: off scale, bent in low frequencies, smeared at edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.special import ndtr

from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.observations import Depth, ObservedCameras, Source
from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.noise import correlated, graded, stream

# Second difference of 1 / z, relative to 1 / z, above which a pixel lies at an edge. Planes have none, however slanted.
_EDGE = 0.1
# What a noisy depth cannot fall below, metres.
_NEAREST = 0.05


@dataclass(frozen=True)
class DepthConfig:
    """Errors of depth maps. The defaults make none. All deviations are of the logarithm of depth (0.05: five percent).

    Attributes:
        metric: whether depth is in metres, or in the unit of the observed cameras.
        scale: a fixed factor on all depth.
        scale_sigma: standard deviation of one factor on all depth of the sequence.
        keyframe_sigma: that of a factor per keyframe, each by itself.
        distortion: that of a smooth field over the picture, rms over picture and time.
        distortion_waves: half waves of that field across and down the picture.
        distortion_seconds: its correlation time, seconds.
        noise: that of every pixel by itself.
        edge: share of the pixels at depth edges that lie between front and back.
        people: whether people are in the maps; if not their depth is 0.
        people_sigma: standard deviation of a factor on each person's depth relative to the scene, which varies with
            `distortion_seconds`.
        farthest: depth beyond it (metres) is unknown.
        focal: standard deviation of the logarithm of the focal length, once per sequence.
        focal_keyframe: the same, per keyframe.
        focal_factor: a fixed factor on it; depth stays.
        shock: share of keyframes (or of all pixels, see `shock_of`) with Gaussian noise of `shock_metres` on every
            pixel's depth (JOSH, appendix F).
        shock_metres: metres.
        shock_of: "keyframes" or "pixels".
        confidence: range of confidences.
        confidence_follows: correlation 0-1 of the confidence with the size of the true error, without that of scales
            (normal scores).
        points: number of points of the scene that are handed out beside the maps.
    """

    metric: bool = True
    scale: float = 1.0
    scale_sigma: float = 0.0
    keyframe_sigma: float = 0.0
    distortion: float = 0.0
    distortion_waves: int = 3
    distortion_seconds: float = 1.0
    noise: float = 0.0
    edge: float = 0.0
    people: bool = True
    people_sigma: float = 0.0
    farthest: float = np.inf
    focal: float = 0.0
    focal_keyframe: float = 0.0
    focal_factor: float = 1.0
    shock: float = 0.0
    shock_metres: float = 1.0
    shock_of: Literal["keyframes", "pixels"] = "keyframes"
    confidence: tuple[float, float] = (1.0, 1.0)
    confidence_follows: float = 0.0
    points: int = 20_000


def keyframe_rows(
    times: Float[np.ndarray, " frames"], seconds: float, usable: Bool[np.ndarray, " frames"] | None = None
) -> Int[np.ndarray, " keys"]:
    """Frames nearest to every multiple of `seconds` since the first one, and the last frame; only `usable` ones."""
    rows = np.arange(len(times)) if usable is None or not usable.any() else np.flatnonzero(usable)
    at = times[rows]
    wanted = np.arange(at[0], at[-1] + seconds / 2, seconds) if seconds > 0 else at
    right = np.clip(np.searchsorted(at, wanted), 1, max(len(at) - 1, 1))
    right = np.minimum(right, len(at) - 1)
    left = np.maximum(right - 1, 0)
    nearest = np.where(wanted - at[left] <= at[right] - wanted, left, right)
    return rows[np.unique([*nearest, len(rows) - 1])]


def observed_depth(
    frames: Frames,
    times: Float[np.ndarray, " keys"],
    K: Float[np.ndarray, "keys 3 3"],
    cameras: ObservedCameras,
    unit: float,
    config: DepthConfig,
    seed: int,
    purpose: str = "depth",
) -> Depth:
    """Depth maps of the keyframes `frames` (exact, all on one grid).

    Args:
        times: seconds of the keyframes.
        K: exact intrinsics in pixels of the grid.
        cameras: the observed cameras, whose world the loose points are in.
        unit: units of the cameras' world per metre; that of the maps too unless they are metric.
        purpose: names the random numbers, so that two kinds of depth have errors of their own.
    """
    rng = stream(seed, purpose)
    known = (frames.depth > 0) & (frames.depth <= config.farthest)
    known &= (frames.ids == 0) | config.people
    edges = depth_edges(frames.depth) & known
    exact = np.where(edges, _smeared(frames.depth, edges, config, rng), frames.depth)
    field = _error_field(frames, times, config, rng) + config.noise * rng.normal(size=frames.depth.shape)
    scales = np.exp(config.scale_sigma * rng.normal() + config.keyframe_sigma * rng.normal(size=(len(times), 1, 1)))
    depth = np.maximum(exact * np.exp(field) + _shocks(frames, config, stream(seed, purpose, "shock")), _NEAREST)
    confidence = _confidence(frames.depth, depth, config, rng)
    depth = depth * config.scale * scales * (1.0 if config.metric else unit)
    focal = np.exp(config.focal * rng.normal() + config.focal_keyframe * rng.normal(size=len(times)))
    seen_K = K.copy()
    seen_K[:, [0, 1], [0, 1]] *= config.focal_factor * focal[:, None]
    depth, confidence = np.where(known, depth, 0.0), np.where(known, confidence, 0.0)
    in_units = depth * (unit if config.metric else 1.0)
    points, of_points = _scene_points(frames, in_units, confidence, seen_K, cameras, config.points, rng)
    return Depth(
        Source("simulated", purpose), frames.rows, depth.astype(np.float32), confidence.astype(np.float32), seen_K,
        config.metric, points, np.full((len(points), 3), 128, np.uint8), of_points,
    )  # fmt: skip


def depth_edges(depth: Float[np.ndarray, "n height width"]) -> Bool[np.ndarray, "n height width"]:
    """Pixels beside a jump of depth: where 1 / z bends sharply (a plane's is linear in the picture, at any slant)."""
    near = np.where(depth > 0, 1 / np.maximum(depth, 1e-6), 0.0)
    bend = np.zeros_like(near)
    bend[:, :, 1:-1] = np.abs(near[:, :, 2:] - 2 * near[:, :, 1:-1] + near[:, :, :-2])
    bend[:, 1:-1] = np.maximum(bend[:, 1:-1], np.abs(near[:, 2:] - 2 * near[:, 1:-1] + near[:, :-2]))
    return bend > _EDGE * np.maximum(near, 1e-9)


def _smeared(
    depth: np.ndarray, edges: np.ndarray, config: DepthConfig, rng: np.random.Generator
) -> Float[np.ndarray, "n height width"]:
    """Some edge pixels anywhere between the nearest and the farthest of their neighbours (in the logarithm)."""
    near = minimum_filter(np.where(depth > 0, depth, np.inf), (1, 3, 3))
    far = maximum_filter(depth, (1, 3, 3))
    near = np.where(np.isfinite(near), near, 1.0)
    between = near * (np.maximum(far, near) / near) ** rng.random(depth.shape)
    return np.where(edges & (rng.random(depth.shape) < config.edge), between, depth)


def _error_field(
    frames: Frames, times: np.ndarray, config: DepthConfig, rng: np.random.Generator
) -> Float[np.ndarray, "n height width"]:
    """Smooth error of the logarithm of depth, and that of each person."""
    width, height = frames.size
    across, down = _waves(width, config.distortion_waves), _waves(height, config.distortion_waves)
    count = (config.distortion_waves + 1) ** 2
    weights = correlated(rng, times, config.distortion_seconds, count).reshape(len(times), *(len(down), len(across)))
    # The constant belongs to the scales.
    weights[:, 0, 0] = 0
    out = config.distortion / np.sqrt(count - 1) * np.einsum("nkl,ky,lx->nyx", weights, down, across)
    for id in np.unique(frames.ids[frames.ids > 0]):
        factor = correlated(rng, times, config.distortion_seconds, 1)[:, 0]
        out += config.people_sigma * factor[:, None, None] * (frames.ids == id)
    return out


def _waves(pixels: int, count: int) -> Float[np.ndarray, "waves pixels"]:
    """Cosines with 0 to `count` half waves at pixel centres, mean square 1."""
    phase = np.pi * np.arange(count + 1)[:, None] * (np.arange(pixels) + 0.5) / pixels
    return np.cos(phase) * np.where(np.arange(count + 1) == 0, 1.0, np.sqrt(2))[:, None]


def _shocks(frames: Frames, config: DepthConfig, rng: np.random.Generator) -> Float[np.ndarray, "n height width"]:
    per_pixel = config.shock_of == "pixels"
    struck = rng.random(frames.depth.shape if per_pixel else (len(frames.depth), 1, 1)) < config.shock
    return struck * config.shock_metres * rng.normal(size=frames.depth.shape)


def _confidence(
    exact: np.ndarray, depth: np.ndarray, config: DepthConfig, rng: np.random.Generator
) -> Float[np.ndarray, "n height width"]:
    error = np.abs(np.log(depth / np.where(exact > 0, exact, depth)))
    expected = np.sqrt(config.distortion**2 + config.noise**2)
    tail = 2 * ndtr(-np.minimum(error / max(expected, 1e-9), 30.0))
    return graded(rng, np.where(error > 1e-6, tail, 1.0), config.confidence_follows, config.confidence)


def _scene_points(
    frames: Frames, depth: np.ndarray, confidence: np.ndarray, K: np.ndarray, cameras: ObservedCameras, count: int,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:  # fmt: skip
    """Points of the scenery in the cameras' world, an equal share of every keyframe."""
    pixels = pixel_grid(*frames.size)
    points, weights = [np.zeros((0, 3))], [np.zeros(0)]
    for n, row in enumerate(frames.rows):
        y, x = np.nonzero((depth[n] > 0) & (frames.ids[n] == 0))
        chosen = rng.choice(len(y), min(len(y), count // len(frames.rows)), replace=False)
        y, x = y[chosen], x[chosen]
        at = unproject(pixels[y, x], depth[n, y, x], K[n], cameras.distortion[row])
        points.append(apply(cameras.T_world_camera[row], at))
        weights.append(confidence[n, y, x])
    return np.concatenate(points), np.concatenate(weights)
