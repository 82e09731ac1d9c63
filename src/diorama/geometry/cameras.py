"""Pinhole cameras with radial distortion: OpenCV axes, pixels with centres at half integers.

`distortion` holds radial coefficients (k1, k2, ...) on normalised coordinates: x_d = x (1 + k1 r^2 + k2 r^4 ...).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def intrinsics(focal: float, width: int, height: int) -> Float[np.ndarray, "3 3"]:
    """K with square pixels and a centred principal point; `focal` in pixels."""
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)


def focal_of_fov(fov_degrees: float, width: int) -> float:
    """Focal length in pixels of a horizontal field of view in degrees."""
    return width / 2 / np.tan(np.radians(fov_degrees) / 2)


def scale_intrinsics(K: Float[np.ndarray, "*batch 3 3"], factor: float) -> Float[np.ndarray, "*batch 3 3"]:
    """K of the same camera after the image is resized by `factor` (exact for half-integer pixel centres)."""
    out = np.array(K, np.float64)
    out[..., :2, :] *= factor
    return out


def scale_focal(
    K: Float[np.ndarray, "*batch 3 3"], factor: float | Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch 3 3"]:
    """K with the focal length times `factor`, the principal point as it was."""
    out = np.array(K, np.float64)
    out[..., [0, 1], [0, 1]] *= np.asarray(factor)[..., None]
    return out


def distort(
    xy: Float[np.ndarray, "*points 2"], distortion: Float[np.ndarray, "*coefficients"]
) -> Float[np.ndarray, "*points 2"]:
    """Radially distorted normalised coordinates; the last axis of `distortion` is k1, k2, ..."""
    squared = (xy**2).sum(-1, keepdims=True)
    factor, power = np.ones_like(squared), squared
    for index in range(distortion.shape[-1]):
        factor = factor + distortion[..., index, None] * power
        power = power * squared
    return xy * factor


def undistort(
    xy: Float[np.ndarray, "*points 2"], distortion: Float[np.ndarray, "*coefficients"]
) -> Float[np.ndarray, "*points 2"]:
    """Inverse of `distort` by fixed-point iteration (accurate to 1e-9 for the mild lenses it is meant for)."""
    out = np.array(xy, np.float64)
    if not np.any(distortion):
        return out
    for _ in range(25):
        ratio = np.linalg.norm(distort(out, distortion), axis=-1, keepdims=True)
        radius = np.linalg.norm(out, axis=-1, keepdims=True)
        out = xy * np.where(ratio > 1e-12, radius / np.maximum(ratio, 1e-12), 1.0)
    return out


def project(
    points_camera: Float[np.ndarray, "*points 3"],
    K: Float[np.ndarray, "*batch 3 3"],
    distortion: Float[np.ndarray, "*coefficients"] | None = None,
) -> Float[np.ndarray, "*points 2"]:
    """Pixels of camera-frame points; K is (3,3) for all, or (F,3,3) for points (F,...,3). Behind the camera: NaN."""
    z = points_camera[..., 2:]
    xy = points_camera[..., :2] / np.where(z > 1e-9, z, np.nan)
    extra = xy.ndim - 1 - (K.ndim - 2) if K.ndim > 2 else 0
    if distortion is not None and distortion.size and np.any(distortion):
        shaped = (
            distortion.reshape(*distortion.shape[:-1], *(1,) * extra, distortion.shape[-1])
            if K.ndim > 2
            else distortion
        )
        xy = distort(xy, shaped)
    focal, centre = K[..., [0, 1], [0, 1]], K[..., :2, 2]
    if K.ndim > 2:
        focal, centre = (v.reshape(*v.shape[:-1], *(1,) * extra, 2) for v in (focal, centre))
    return xy * focal + centre


def unproject(
    pixels: Float[np.ndarray, "*points 2"],
    depth: Float[np.ndarray, "*points"],
    K: Float[np.ndarray, "3 3"],
    distortion: Float[np.ndarray, " k"] | None = None,
) -> Float[np.ndarray, "*points 3"]:
    """Camera-frame points of pixels at depth z (metres along the optical axis)."""
    xy = (pixels - K[:2, 2]) / K[[0, 1], [0, 1]]
    if distortion is not None and distortion.size and np.any(distortion):
        xy = undistort(xy, distortion)
    return np.concatenate([xy * depth[..., None], depth[..., None]], -1)


def pixel_grid(width: int, height: int) -> Float[np.ndarray, "height width 2"]:
    """Pixel centres (x, y) of an image."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([x, y], -1)
