"""Depth of every pixel of one picture from dense flow to its neighbours: robust triangulation along the ray."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from diorama.geometry.cameras import distort, pixel_grid, undistort
from diorama.geometry.transforms import invert


@dataclass(frozen=True)
class RayConfig:
    """Pixels are those of the map; grey levels 0-255.

    A flow vector counts if it returns within `return_px` (plus `return_share` of its length), and with a deviation
    made of `flow_px` and of `grey_noise` over the picture's gradient along the epipolar line in `texture_window`.
    A pixel gets a depth if at least `min_views` neighbours agree within `agree_px` and its relative deviation is below
    `max_sigma`, its widest ray angle above `min_angle_degrees`.
    """

    return_px: float = 0.7
    return_share: float = 0.02
    flow_px: float = 0.35
    grey_noise: float = 4.0
    texture_window: int = 7
    max_flow_sigma: float = 1.2
    agree_px: float = 1.2
    min_views: int = 3
    max_sigma: float = 0.04
    min_angle_degrees: float = 0.8
    iterations: int = 3


@dataclass(frozen=True)
class View:
    """A grey picture with its camera."""

    grey: UInt8[np.ndarray, "height width"]
    T_world_camera: Float[np.ndarray, "4 4"]
    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class RayDepth:
    """Depth along the optical axis (0 unknown) and its relative standard deviation."""

    depth: Float[np.ndarray, "height width"]
    sigma: Float[np.ndarray, "height width"]


def map_size(view: View) -> tuple[int, int]:
    """(width, height) of the depth map: half the picture, because the flow is made at half resolution anyway."""
    return view.grey.shape[1] // 2, view.grey.shape[0] // 2


def normalised_grid(view: View, stride: int = 1) -> Float[np.ndarray, "height width 2"]:
    """Undistorted normalised coordinates (x/z, y/z) of all pixels, or of the centres of blocks of `stride` pixels."""
    height, width = view.grey.shape[0] // stride, view.grey.shape[1] // stride
    coarse_step = 16  # distortion is smooth: exact on a coarse grid, bilinear between
    x = (np.arange(width // coarse_step + 2) * coarse_step + 0.5) * stride
    y = (np.arange(height // coarse_step + 2) * coarse_step + 0.5) * stride
    coarse = (np.stack(np.meshgrid(x, y), -1) - view.K[:2, 2]) / view.K[[0, 1], [0, 1]]
    plane = undistort(coarse, view.distortion).astype(np.float32)
    x, y = _pixels(width, height)
    return cv2.remap(plane, x / coarse_step, y / coarse_step, cv2.INTER_LINEAR)


def depth_along_rays(key: View, neighbours: list[View], flow_maker: cv2.DISOpticalFlow, config: RayConfig) -> RayDepth:
    """Robust depth from all neighbours on the half-size grid; begin with the shortest baselines.

    Every second neighbour, the depth so far is solved for and predicts the following flows.
    """
    grid = normalised_grid(key, 2)
    texture = _structure(key.grey, config.texture_window)
    inverse = np.zeros(grid.shape[:2], np.float32)
    views: list[_Seen] = []
    for index, other in enumerate(neighbours):
        guess = _predicted_flow(key, other, inverse) if index >= 2 else None
        flow, good = _checked_flow(key.grey, other.grey, guess, flow_maker, config)
        views.append(_seen(grid, key, other, flow, good, texture, config))
        last = index == len(neighbours) - 1
        if index % 2 or last:
            inverse = _solve(views, inverse, config.iterations if last else 1, config)
    return _judge(views, inverse, config)


@dataclass(frozen=True)
class _Seen:
    """One neighbour's view of the rays: X = ray + w * offset in its axes (w inverse depth), and what it saw."""

    ray: tuple[np.ndarray, np.ndarray, np.ndarray]
    offset: np.ndarray
    u: np.ndarray
    v: np.ndarray
    weight: np.ndarray  # 1/px^2, 0 where the flow is not believed
    focal: float


def _pixels(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return x, y


def _halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks (an odd last row or column is left out)."""
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    return cv2.resize(picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA)


def _checked_flow(
    one: np.ndarray, two: np.ndarray, guess: np.ndarray | None, maker: cv2.DISOpticalFlow, config: RayConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Flow (px of the pictures, on the half-size grid) from `one` to `two`, and where the way back confirms it."""
    forth = _halved(_flow(maker, one, two, guess))
    back_guess = None if guess is None else _warped(-guess, *_targets(-guess, 1))
    back = _flow(maker, two, one, back_guess)
    x, y = _targets(forth, 2)
    miss = cv2.magnitude(*cv2.split(_warped(back, x, y) + forth))
    height, width = one.shape
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return forth, inside & (miss < config.return_px + config.return_share * cv2.magnitude(*cv2.split(forth)))


def _flow(maker: cv2.DISOpticalFlow, one: np.ndarray, two: np.ndarray, guess: np.ndarray | None) -> np.ndarray:
    start = np.zeros((*one.shape, 2), np.float32) if guess is None else guess.copy()
    return maker.calc(one, two, start)


def _targets(flow: np.ndarray, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """Where block centres go, as integer-centred pixel coordinates for `cv2.remap`."""
    x, y = _pixels(flow.shape[1], flow.shape[0])
    shift = (stride - 1) / 2
    return stride * x + shift + flow[..., 0], stride * y + shift + flow[..., 1]


def _warped(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _structure(grey: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums of gx^2, gx gy, gy^2 over a window of the picture (grey levels per px squared), on the half-size grid."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 0.8)
    gx, gy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(smooth, cv2.CV_32F, 0, 1, scale=0.125)
    xx, xy, yy = (
        cv2.boxFilter(_halved(product), -1, (window // 2 | 1, window // 2 | 1)) * window**2
        for product in (gx * gx, gx * gy, gy * gy)
    )
    return xx, xy, yy


def _seen(
    grid: np.ndarray, key: View, other: View, flow: np.ndarray, good: np.ndarray, texture: tuple, config: RayConfig
) -> _Seen:
    T = (invert(other.T_world_camera) @ key.T_world_camera).astype(np.float32)
    gx, gy = grid[..., 0], grid[..., 1]
    ray = tuple(T[k, 0] * gx + T[k, 1] * gy + T[k, 2] for k in range(3))
    u, v = cv2.split(_warped(normalised_grid(other), *_targets(flow, 2)))
    # Direction of the epipolar line in the picture: how the projection moves with inverse depth.
    ex, ey = T[0, 3] * ray[2] - ray[0] * T[2, 3], T[1, 3] * ray[2] - ray[1] * T[2, 3]
    length = np.maximum(ex * ex + ey * ey, 1e-12)
    xx, xy, yy = texture
    gradient = (xx * ex * ex + 2 * xy * ex * ey + yy * ey * ey) / length
    variance = config.flow_px**2 + config.grey_noise**2 / np.maximum(gradient, 1e-3)
    weight = np.where(good & (variance < config.max_flow_sigma**2), 1 / variance, 0).astype(np.float32)
    return _Seen(ray, T[:3, 3], u, v, weight, float(other.K[0, 0]))


def _predicted_flow(key: View, other: View, inverse: np.ndarray) -> np.ndarray:
    """Flow (full size) to another view if the inverse depth (filled where unknown) is right."""
    known = (inverse > 0).astype(np.float32)
    spread = cv2.blur(inverse, (25, 25)) / np.maximum(cv2.blur(known, (25, 25)), 1e-3)
    filled = np.where(inverse > 0, inverse, spread)
    grid = normalised_grid(key, 2)
    T = (invert(other.T_world_camera) @ key.T_world_camera).astype(np.float32)
    camera = grid @ T[:3, :2].T + (T[:3, 2] + filled[..., None] * T[:3, 3])
    plane = camera[..., :2] / np.maximum(camera[..., 2:], 1e-3)
    pixel = distort(plane, other.distortion) * other.K[[0, 1], [0, 1]] + other.K[:2, 2]
    height, width = key.grey.shape
    limit = 0.25 * width
    flow = np.clip(pixel - 2 * pixel_grid(inverse.shape[1], inverse.shape[0]), -limit, limit).astype(np.float32)
    return cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)


def _solve(views: list[_Seen], start: np.ndarray, iterations: int, config: RayConfig) -> np.ndarray:
    """Inverse depth with least robust cost: linear where there is no start, then Gauss-Newton (Geman-McClure)."""
    top, bottom = np.zeros_like(start), np.zeros_like(start)
    for view in views:
        # u (ray_z + w t_z) = ray_x + w t_x  ->  w (u t_z - t_x) = ray_x - u ray_z, and the same for v
        tx, ty, tz = view.offset
        for seen, ray, offset in ((view.u, view.ray[0], tx), (view.v, view.ray[1], ty)):
            factor = seen * tz - offset
            top += view.weight * factor * (ray - seen * view.ray[2])
            bottom += view.weight * factor * factor
    inverse = np.where(start > 0, start, top / np.maximum(bottom, 1e-20))
    inverse = np.where(bottom > 0, np.maximum(inverse, 0), 0)
    for _ in range(iterations):
        top, bottom = np.zeros_like(start), np.zeros_like(start)
        for view in views:
            ru, rv, su, sv = _residual(view, inverse)
            # Beyond any picture the weight is nothing, and the square of a float32 must stay finite.
            ru, rv = np.clip(ru, -1e6, 1e6), np.clip(rv, -1e6, 1e6)
            robust = view.weight / (1 + (ru * ru + rv * rv) / np.float32(config.agree_px**2)) ** 2
            top += robust * (ru * su + rv * sv)
            bottom += robust * (su * su + sv * sv)
        inverse = np.maximum(inverse - top / np.maximum(bottom, 1e-20), 0)
    return inverse


def _residual(view: _Seen, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Projection minus flow target (u and v, px) and its derivative by the inverse depth."""
    scale = 1 / np.maximum(view.ray[2] + inverse * view.offset[2], 1e-3)
    u, v = (view.ray[0] + inverse * view.offset[0]) * scale, (view.ray[1] + inverse * view.offset[1]) * scale
    focal = np.float32(view.focal)
    su, sv = (view.offset[0] - u * view.offset[2]) * scale, (view.offset[1] - v * view.offset[2]) * scale
    return focal * (u - view.u), focal * (v - view.v), focal * su, focal * sv


def _judge(views: list[_Seen], inverse: np.ndarray, config: RayConfig) -> RayDepth:
    """Depth where enough neighbours agree, with enough parallax and a small deviation."""
    information, agreeing, widest = (np.zeros_like(inverse) for _ in range(3))
    for view in views:
        ru, rv, su, sv = _residual(view, inverse)
        agree = (view.weight > 0) & (ru * ru + rv * rv < config.agree_px**2)
        agreeing += agree
        squared = su * su + sv * sv
        information += np.where(agree, view.weight * squared, 0)
        widest = np.maximum(widest, np.where(agree, np.sqrt(squared) * inverse / view.focal, 0))
    relative = 1 / np.maximum(np.sqrt(information) * inverse, 1e-6)
    good = (agreeing >= min(config.min_views, len(views))) & (relative < config.max_sigma) & (inverse > 0)
    good &= widest > np.radians(config.min_angle_degrees)
    depth = np.where(good, 1 / np.maximum(inverse, 1e-9), 0)
    return RayDepth(depth.astype(np.float32), np.where(good, relative, 1e3).astype(np.float32))
