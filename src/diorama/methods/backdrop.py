"""A scene for cameras that do not move: the ground plane and a far backdrop, coloured from the video. Not measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.observations import Tracks
from diorama.reconstruction import Cameras, Scene
from diorama.video import Video


@dataclass(frozen=True)
class BackdropConfig:
    """Ground points up to `reach` metres away; everything else on a wall at that distance."""

    reach: float = 25.0
    pictures: int = 5
    grid_width: int = 240
    voxel: float = 0.05


def backdrop_scene(
    video: Video | None,
    cameras: Cameras,
    tracks: Tracks | None,
    config: BackdropConfig = BackdropConfig(),
) -> Scene:
    """Points of the plane z = 0 and of a cylinder, one per pixel of a coarse grid, people left out, each place once."""
    if video is None:
        return Scene(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32))
    rows = np.unique(np.linspace(0, len(video) - 1, config.pictures).astype(int))
    parts = [_picture_points(video, cameras, tracks, int(row), config) for row in rows]
    points, colors = np.concatenate([p for p, _ in parts]), np.concatenate([c for _, c in parts])
    # Far points are seen with coarse pixels; cells grow with distance.
    cell = np.maximum(config.voxel, 0.01 * np.linalg.norm(points - cameras.T_world_camera[0, :3, 3], axis=1))
    _, first = np.unique(np.round(points / cell[:, None]).astype(np.int64), axis=0, return_index=True)
    points, colors = points[np.sort(first)], colors[np.sort(first)]
    ground = np.abs(points[:, 2]) < 1e-6
    return Scene(points.astype(np.float32), colors, np.where(ground, 0.5, 0.1).astype(np.float32))


def _picture_points(
    video: Video, cameras: Cameras, tracks: Tracks | None, row: int, config: BackdropConfig
) -> tuple[Float[np.ndarray, "points 3"], np.ndarray]:
    picture = video.frame(row, max_size=config.grid_width)
    height, width = picture.shape[:2]
    pixels = pixel_grid(width, height) * np.array([cameras.width / width, cameras.height / height])
    directions = unproject(pixels, np.ones((height, width)), cameras.K[row], cameras.distortion[row])
    T = cameras.T_world_camera[row]
    rays = directions @ T[:3, :3].T
    down = -rays[..., 2]
    along = np.where(down > 1e-6, T[2, 3] / np.maximum(down, 1e-6), np.inf)
    flat = np.linalg.norm(rays[..., :2], axis=-1)
    on_ground = along * flat < config.reach
    distance = np.where(on_ground, along, config.reach / np.maximum(flat, 1e-6))
    points = T[:3, 3] + rays * distance[..., None]
    points[..., 2] = np.where(on_ground, 0.0, points[..., 2])
    keep = ~_people(tracks, row, width, height) & (points[..., 2] < 2 * config.reach)
    return points[keep], picture[keep]


def _people(tracks: Tracks | None, row: int, width: int, height: int) -> np.ndarray:
    covered = np.zeros((height, width), bool)
    for track in tracks.people if tracks else ():
        hit = np.flatnonzero(track.frames == row)
        if len(hit) and track.masks is not None:
            covered |= track.masks.full(int(hit[0]), (width, height))
    return covered


def measured_scene(points_world: np.ndarray, colors: np.ndarray, confidence: np.ndarray, T: np.ndarray) -> Scene:
    """Points of the cameras' world moved by the similarity `T` into the metric one."""
    return Scene(apply(T, points_world).astype(np.float32), colors, confidence.astype(np.float32))
