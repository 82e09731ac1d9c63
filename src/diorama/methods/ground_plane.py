"""Up and the ground in the cameras' world, before its unit is known: from upright bodies and the points around feet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import unproject
from diorama.geometry.ground import fit_plane
from diorama.geometry.transforms import apply
from diorama.observations import Depth, ObservedCameras


@dataclass(frozen=True)
class Ground:
    """Plane normal . x = offset in the cameras' world; `spread` is the median distance of the points used, relative to
    their distance from the camera; `points` their number (0: no points, the plane is not from the scene)."""

    normal: Float[np.ndarray, 3]
    offset: float
    points: int
    spread: float


def upright_direction(
    body_ups: Float[np.ndarray, "n 3"], weights: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, 3], float]:
    """Robust mean of body axes (feet to head) and its typical spread in degrees.

    People lean both ways while they walk or play, so the weighted geometric median of their axes is vertical.
    """
    mean = (weights[:, None] * body_ups).sum(0)
    for _ in range(30):
        mean /= np.linalg.norm(mean)
        distance = np.linalg.norm(body_ups - mean, axis=1)
        mean = (weights[:, None] * body_ups / np.maximum(distance, 0.02)[:, None]).sum(0)
    mean /= np.linalg.norm(mean)
    angles = np.degrees(np.arccos(np.clip(body_ups @ mean, -1, 1)))
    return mean, float(np.median(angles))


def ground_near_feet(
    depth: Depth,
    cameras: ObservedCameras,
    feet: dict[int, Float[np.ndarray, "n 2"]],
    heights: dict[int, Float[np.ndarray, " n"]],
    width: int,
) -> Float[np.ndarray, "points 3"]:
    """Scene points (cameras' world) whose pixels lie around people's feet: beside and just below them.

    `feet[row]` are foot pixels of the source picture in that frame, `heights[row]` the people's heights in pixels.
    """
    found = []
    for index, row in enumerate(depth.frames):
        picture = depth.depth[index]
        factor = picture.shape[1] / width
        for pixel, tall in zip(feet.get(int(row), ()), heights.get(int(row), ()), strict=True):
            x, y, reach = pixel[0] * factor, pixel[1] * factor, tall * factor
            rows = slice(max(int(y - 0.05 * reach), 0), max(int(y + 0.25 * reach), 0))
            columns = slice(max(int(x - 0.5 * reach), 0), max(int(x + 0.5 * reach), 0))
            patch = picture[rows, columns]
            known = np.argwhere(patch > 0)
            if not len(known):
                continue
            pixels = known[:, ::-1] + np.array([columns.start, rows.start]) + 0.5
            distance = patch[known[:, 0], known[:, 1]].astype(np.float64)
            points = unproject(pixels.astype(np.float64), distance, depth.K[index], cameras.distortion[row])
            found.append(apply(cameras.T_world_camera[row], points))
    return np.concatenate(found) if found else np.zeros((0, 3))


def fit_ground(
    points: Float[np.ndarray, "n 3"], up: Float[np.ndarray, 3], centres: Float[np.ndarray, "frames 3"], *,
    max_tilt_degrees: float = 15.0, seed: int = 0,
) -> Ground | None:  # fmt: skip
    """The plane most points agree on, tilted at most so far from `up`; None where there is none.

    Random triples first (points of walls and shoes are among the samples), then a robust refinement. The tolerance is
    1.5 % of the median distance from the cameras, the noise of triangulated points.
    """
    below = points[(points - centres.mean(0)) @ up < 0]
    if len(below) < 50:
        return None
    rng = np.random.default_rng(seed)
    sample = below[rng.choice(len(below), min(len(below), 4000), replace=False)]
    distance = float(np.median(np.linalg.norm(sample - centres.mean(0), axis=1)))
    tolerance = 0.015 * distance
    best, normal, offset = 0, up, 0.0
    for _ in range(300):
        a, b, c = sample[rng.choice(len(sample), 3, replace=False)]
        n = np.cross(b - a, c - a)
        size = np.linalg.norm(n)
        if size < 1e-12:
            continue
        n = n / size * np.sign(n @ up)
        if n @ up < np.cos(np.radians(max_tilt_degrees)):
            continue
        support = int((np.abs((sample - a) @ n) < tolerance).sum())
        if support > best:
            best, normal, offset = support, n, float(a @ n)
    if best < 0.2 * len(sample):
        return None
    inliers = sample[np.abs(sample @ normal - offset) < 2 * tolerance]
    normal, offset = fit_plane(inliers, normal, sigma=tolerance)
    residual = np.abs(inliers @ normal - offset)
    return Ground(normal, offset, len(inliers), float(np.median(residual) / distance))
