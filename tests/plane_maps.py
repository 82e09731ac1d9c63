"""Point maps of keyframes that see planes, exactly."""

import numpy as np

from diorama.geometry.cameras import pixel_grid, undistort
from diorama.methods.josh.point_maps import PointMaps

SIZE = (480, 320)
FARTHEST = 60.0
# Normal and offset before a camera 1.5 m above the ground that looks 20 degrees down.
GROUND = (0.0, np.cos(np.radians(20)), np.sin(np.radians(20)), 1.5)


def plane_maps(planes, rows=None, cells=(120, 80), grid=(3, 2), distortion=0.0):
    """Maps of one plane (a, b, c, d) per keyframe, a X + b Y + c Z = d in its camera's frame; 0 where it is not seen.

    Every keyframe has another focal length and principal point.
    """
    planes = np.asarray(planes, float)
    count = len(planes)
    keys = np.arange(count)
    focal = 400.0 + 10 * keys
    centre = np.stack([SIZE[0] / 2 + 7 - keys, SIZE[1] / 2 - 5 + 2.0 * keys], 1)
    bent = np.full((count, 1), distortion)
    maps = PointMaps(
        np.arange(count) if rows is None else np.asarray(rows), np.zeros((count, cells[1], cells[0]), np.float32),
        np.zeros((count, cells[1], cells[0]), bool), None, focal, centre, bent, SIZE, grid,
    )  # fmt: skip
    pixels = pixel_grid(*cells) * np.array(SIZE) / np.array(cells)
    for key in keys:
        shown = plane_depth(maps, planes[key], pixels.reshape(-1, 2), key).reshape(cells[::-1])
        maps.depth[key], maps.background[key] = shown, shown > 0
    return maps


def plane_depth(maps, plane, pixels, key):
    """Depth of a plane at source pixels of a keyframe; 0 where it is behind the camera or far away."""
    flat = undistort((pixels - maps.centre[key]) / maps.focal[key], maps.distortion[key])
    along = np.concatenate([flat, np.ones((len(flat), 1))], 1) @ plane[:3]
    depth = plane[3] / np.where(np.abs(along) > 1e-9, along, np.nan)
    return np.where((depth > 0) & (depth < FARTHEST), depth, 0.0)
