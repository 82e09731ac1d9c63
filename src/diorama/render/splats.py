"""Points drawn as small squares, the nearest in front: for clouds of some hundred thousand points on the CPU."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

from diorama.render.overlay import Lens

# Depths are sorted as 16-bit numbers, which numpy does by counting.
_LEVELS = 65535


def splat(
    picture: UInt8[np.ndarray, "height width 3"],
    depth: Float[np.ndarray, "height width"],
    points_camera: Float[np.ndarray, "points 3"],
    colors: UInt8[np.ndarray, "points 3"],
    lens: Lens,
    *,
    size: int = 2,
    near: float = 0.05,
) -> None:
    """Draw points on `picture` where they are nearer than `depth` (metres along the axis), and lower `depth` there.

    Args:
        points_camera: camera frame, metres; the lens must not distort.
        size: side of a point in pixels.
        near: points nearer to the camera are left out.
    """
    x, y, z, rows = _in_view(points_camera, lens, near)
    if not len(rows):
        return
    # Only the part of the picture that the points reach is looked at.
    left, top = int(x.min()), int(y.min())
    part = slice(top, int(y.max()) + size), slice(left, int(x.max()) + size)
    picture, depth = picture[part], depth[part]
    # Far to near: of several points on a pixel the last, nearest one stays.
    order = np.argsort(((z - z.min()) / max(float(np.ptp(z)), 1e-9) * _LEVELS).astype(np.uint16), kind="stable")[::-1]
    where = np.full(depth.size, -1, np.int32)
    where[((y - top) * depth.shape[1] + x - left)[order]] = order
    where = where.reshape(depth.shape)
    drawn = np.append(z, np.float32(np.inf))[where]
    for axis in (0, 1):
        drawn, where = _spread(drawn, where, size, axis)
    front = drawn < depth
    picture[front], depth[front] = colors[rows[where[front]]], drawn[front]


def _in_view(points: np.ndarray, lens: Lens, near: float) -> tuple[np.ndarray, ...]:
    """Pixel columns and rows, depths and numbers of the points that the picture shows."""
    focal, centre = lens.K[[0, 1], [0, 1]].astype(np.float32), lens.K[:2, 2].astype(np.float32)
    z = points[:, 2]
    rows = np.flatnonzero(z > near)
    z = z[rows]
    x = points[rows, 0] / z * focal[0] + centre[0]
    y = points[rows, 1] / z * focal[1] + centre[1]
    inside = (x >= 0) & (x < lens.width) & (y >= 0) & (y < lens.height)
    return x[inside].astype(np.int32), y[inside].astype(np.int32), z[inside], rows[inside].astype(np.int32)


def _spread(drawn: np.ndarray, where: np.ndarray, size: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Every pixel takes the nearest of itself and the `size` - 1 before it along an axis."""
    out, owner = drawn.copy(), where.copy()
    for shift in range(1, size):
        target = (slice(shift, None), slice(None)) if axis == 0 else (slice(None), slice(shift, None))
        source = (slice(None, -shift), slice(None)) if axis == 0 else (slice(None), slice(None, -shift))
        nearer = drawn[source] < out[target]
        out[target] = np.where(nearer, drawn[source], out[target])
        owner[target] = np.where(nearer, where[source], owner[target])
    return out, owner
