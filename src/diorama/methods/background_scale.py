"""The size of the cameras' world from metric depth of the background: the scale step of TRAM (ECCV 2024), section 3.2."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from diorama.body.model import ShapedBody
from diorama.frontends.background_mask import people_mask
from diorama.geometry.cameras import unproject
from diorama.methods.carried import cameras_of, carried_world
from diorama.methods.depth_units import depths_of_points
from diorama.methods.observed import metres_per_unit
from diorama.observations import Depth, Matches, Observations, ObservedCameras
from diorama.reconstruction import Reconstruction


@dataclass(frozen=True)
class BackgroundScaleConfig:
    """TRAM's numbers: background nearer than `reach` metres, `rounds` of medians, Geman-McClure with `sigma` metres.

    `threshold` (metres between the two depths, beyond which a point is left out of the next median) is ours: twice
    `sigma`. `fewest` points decide a keyframe; people's masks are grown by `margin` of the map's longer side.

    Where the cameras have no sparse points, `matches` of them are triangulated, evenly chosen: those whose rays meet at
    `parallax` degrees at least and pass each other within `miss` of their length.
    """

    reach: float = 10.0
    rounds: int = 10
    threshold: float = 1.0
    sigma: float = 0.5
    fewest: int = 20
    margin: float = 0.01
    matches: int = 50_000
    parallax: float = 1.0
    miss: float = 0.01


def carried_by_depth(
    observations: Observations,
    shaped: dict[int, ShapedBody],
    metric: Depth | None,
    config: BackgroundScaleConfig,
    method: str,
) -> Reconstruction:
    """`carried_world` in the scale of metric depth, whose maps are its scene.

    Without metric depth, or where no keyframe shows enough background (cameras that do not travel have no depth of their
    own), scale and scene are those of `reconstruct_observed`. Metric cameras keep their scale.
    """
    told = None if metric is None or cameras_of(observations).metric else scale_by_depth(metric, observations, config)
    scale = told or metres_per_unit(observations, shaped)
    return carried_world(observations, shaped, scale, metric or observations.depth, method)


def scale_by_depth(
    metric: Depth, observations: Observations, config: BackgroundScaleConfig = BackgroundScaleConfig()
) -> tuple[float, str] | None:
    """Metres per unit of the cameras' world, the median over keyframes, and in words where it comes from.

    Where everything is farther than `reach` in all keyframes, everything counts. None where no keyframe tells anything.
    """
    cameras, size = cameras_of(observations), (observations.width, observations.height)
    points, what = background_points(observations, config)
    background = without_people(metric, observations, config.margin)
    rows = [i for i, row in enumerate(metric.frames) if cameras.registered[row]]
    pairs = [depths_of_points(background, i, points, cameras, size) for i in rows]
    for reach, where in ((config.reach, f" within {config.reach:g} m"), (np.inf, "")):
        chosen = replace(config, reach=float(reach))
        scales = np.array([keyframe_scale(shown, own, chosen) for own, shown in pairs])
        scales = scales[np.isfinite(scales)]
        if len(scales):
            return float(np.median(scales)), f"metric depth against {what}{where}, {len(scales)} keyframes"
    return None


def keyframe_scale(
    metric: Float[np.ndarray, " n"], camera: Float[np.ndarray, " n"], config: BackgroundScaleConfig
) -> float:
    """The factor from the cameras' depth to metric depth of the same points; NaN of fewer than `fewest` near ones.

    Median of the ratios, again of those points whose two depths then agree within `threshold`, and at last the minimum
    of sum GM(scale * camera - metric) over them by iterated re-weighting.
    """
    kept = metric < config.reach
    if kept.sum() < config.fewest:
        return float("nan")
    scale = float(np.median(metric[kept] / camera[kept]))
    for _ in range(config.rounds):
        near = (metric < config.reach) & (scale * camera < config.reach)
        near &= np.abs(scale * camera - metric) < config.threshold
        if near.sum() < config.fewest:
            break
        kept, scale = near, float(np.median(metric[near] / camera[near]))
    y, x = metric[kept], camera[kept]
    for _ in range(50):
        weight = 1 / (1 + ((scale * x - y) / config.sigma) ** 2) ** 2
        before, scale = scale, float((weight * x * y).sum() / max((weight * x * x).sum(), 1e-300))
        if abs(scale - before) <= 1e-9 * before:
            break
    return scale if scale > 0 else float("nan")


def without_people(depth: Depth, observations: Observations, margin: float) -> Depth:
    """The maps with nothing where people are."""
    height, width = depth.depth.shape[1:]
    maps = np.array(depth.depth)
    for index, row in enumerate(depth.frames):
        size = (observations.width, observations.height)
        maps[index][people_mask(observations.tracks, int(row), (width, height), size, margin)] = 0
    return replace(depth, depth=maps)


def background_points(
    observations: Observations, config: BackgroundScaleConfig
) -> tuple[Float[np.ndarray, "points 3"], str]:
    """Points of the cameras' world, and in words what they are: the cameras' sparse points, or triangulated matches."""
    cameras = cameras_of(observations)
    if len(cameras.points_world) or observations.matches is None or cameras.kind != "translating":
        return np.asarray(cameras.points_world, np.float64), "the cameras' sparse points"
    return triangulated(observations.matches, cameras, config), "triangulated matches"


def triangulated(
    matches: Matches, cameras: ObservedCameras, config: BackgroundScaleConfig
) -> Float[np.ndarray, "points 3"]:
    """World points midway between the two rays of each match, where they come near each other before both cameras."""
    every = slice(None, None, max(1, -(-len(matches.frames_i) // config.matches)))
    a, u = _rays(matches.xy_i[every], matches.frames_i[every], cameras)
    b, v = _rays(matches.xy_j[every], matches.frames_j[every], cameras)
    # The nearest points a + s u and b + t v of two lines with unit directions.
    cosine, gap = (u * v).sum(1), b - a
    sine2 = np.maximum(1 - cosine**2, 1e-12)
    s = ((u * gap).sum(1) - cosine * (v * gap).sum(1)) / sine2
    t = (cosine * (u * gap).sum(1) - (v * gap).sum(1)) / sine2
    one, other = a + s[:, None] * u, b + t[:, None] * v
    good = (s > 0) & (t > 0) & (sine2 > np.sin(np.radians(config.parallax)) ** 2)
    good &= np.linalg.norm(one - other, axis=1) < config.miss * np.minimum(s, t)
    return (0.5 * (one + other))[good]


def _rays(
    pixels: Float[np.ndarray, "n 2"], frames: np.ndarray, cameras: ObservedCameras
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Camera centres and unit directions in the cameras' world of pixels of the source picture."""
    T = cameras.T_world_camera[frames]
    rays = np.zeros((len(frames), 3))
    for row in np.unique(frames):
        at = frames == row
        seen = np.asarray(pixels[at], np.float64)
        rays[at] = unproject(seen, np.ones(len(seen)), cameras.K[row], cameras.distortion[row])
    rays = np.einsum("nij,nj->ni", T[:, :3, :3], rays)
    return T[:, :3, 3], rays / np.linalg.norm(rays, axis=1, keepdims=True)
