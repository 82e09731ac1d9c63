"""world.mp4: the world from a camera that circles around it while time goes by, people, paths, scene and camera.

Paths are light where they begin and dark where they end, each in its person's colour, the camera's in grey; at any time
only what has happened is drawn. Frames and times are the video's, unless another rate is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from diorama.errors import DioramaError
from diorama.export.encoding import write_pictures
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.overlay import overlaid
from diorama.export.performer import Performer
from diorama.export.resampling import at_rate, frame_rate
from diorama.export.source_video import find_video, named_shot
from diorama.export.trails import Trail, camera_outline, floor_grid, trails
from diorama.geometry.cameras import focal_of_fov, intrinsics
from diorama.geometry.transforms import invert, rigid
from diorama.reconstruction import Reconstruction
from diorama.render.overlay import Lens, cast_bodies, draw_skeleton
from diorama.render.splats import splat
from diorama.video import open_video


@dataclass(frozen=True)
class TurntableConfig:
    """Picture size, field of view and elevation of the circling camera in degrees, its degrees per second; of
    larger scenes every so many points are drawn; `paper` is the colour behind everything."""

    width: int = 960
    height: int = 540
    fov: float = 50.0
    elevation: float = 24.0
    degrees_per_second: float = 20.0
    most_points: int = 300_000
    paper: tuple[int, int, int] = (250, 250, 252)


def write_mp4(
    reconstruction: Reconstruction,
    path: str | Path,
    options: ExportOptions = DEFAULTS,
    config: TurntableConfig = TurntableConfig(),
) -> Path:
    """Write the turn-table; with `side_by_side`, the video with the bodies on it to its left.

    Raises:
        DioramaError: the video is wanted and is not there or another one, or the path is not writable.
    """
    path, moving = Path(path), at_rate(reconstruction, options)
    if not options.side_by_side:
        write_pictures(path, pictures(moving, config), moving.times, frame_rate(moving.times))
        return path
    if options.fps is not None:
        raise DioramaError("the video beside the world has its own rate", where="--fps", fix="leave --fps out")
    source = options.video or find_video(reconstruction, None)
    if source is None:
        raise DioramaError("the source video is not where it was", where="--side-by-side", fix="give --video PATH")
    video = open_video(source, shot=named_shot(reconstruction))
    left = overlaid(video, moving, max(video.width, video.height))
    pairs = zip(left, pictures(moving, config), strict=True)
    write_pictures(path, (_beside(*pair) for pair in pairs), video.times, video.fps)
    return path


def _beside(left: np.ndarray, right: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    """Two pictures of the height of the second, of even width."""
    height = right.shape[0]
    width = max(2, round(left.shape[1] * height / left.shape[0] / 2) * 2)
    return np.concatenate([cv2.resize(left, (width, height), interpolation=cv2.INTER_AREA), right], 1)


def pictures(moving: Reconstruction, config: TurntableConfig) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """The pictures of all frames, made one after the other."""
    orbit = Orbit.around(moving, config)
    stage = _Stage.of(moving, orbit)
    for row, time in enumerate(moving.times):
        yield stage.picture(row, orbit.pose(time - moving.times[0]))


@dataclass(frozen=True)
class Orbit:
    """A circle around `centre` (metres, world) of `radius` metres from which everything is seen."""

    centre: Float[np.ndarray, " 3"]
    radius: float
    azimuth: float
    config: TurntableConfig

    @classmethod
    def around(cls, moving: Reconstruction, config: TurntableConfig) -> Orbit:
        """Around the paths of people and camera, starting on the camera's side."""
        eye = moving.cameras.T_world_camera[:, :3, 3]
        people = [person.joints_world.reshape(-1, 3) for person in moving.people if len(person.frames)]
        shown = np.concatenate([*people, eye]) if people else np.concatenate([eye, _middle_half(moving)])
        low, high = shown.min(0), shown.max(0)
        centre = (low + high) / 2
        # Nothing fills its box to the corners.
        reach = max(0.85 * float(np.linalg.norm(high - low)) / 2, 1.5)
        towards = eye[0] - centre
        azimuth = float(np.degrees(np.arctan2(towards[1], towards[0])))
        half = np.arctan(np.tan(np.radians(config.fov) / 2) * config.height / config.width)
        return cls(centre, reach / float(np.sin(half)), azimuth, config)

    @property
    def lens(self) -> Lens:
        """The camera's lens."""
        width, height = self.config.width, self.config.height
        return Lens(intrinsics(focal_of_fov(self.config.fov, width), width, height), np.zeros(0), width, height)

    def pose(self, seconds: float) -> Float[np.ndarray, "4 4"]:
        """T_world_camera of the circling camera, which looks at the centre, upright."""
        around = np.radians(self.azimuth + self.config.degrees_per_second * seconds)
        up = np.radians(self.config.elevation)
        away = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
        right = np.array([-np.sin(around), np.cos(around), 0.0])
        return rigid(np.stack([right, np.cross(-away, right), -away], 1), self.centre + self.radius * away)


def _middle_half(moving: Reconstruction) -> Float[np.ndarray, "two 3"]:
    points = moving.scene.points_world
    points = points[np.isfinite(points).all(1)]
    return np.quantile(points, [0.25, 0.75], axis=0) if len(points) else np.zeros((0, 3))


@dataclass(frozen=True)
class _Stage:
    """What is drawn: the scene once and for all, and what changes with time."""

    moving: Reconstruction
    orbit: Orbit
    lens: Lens
    performers: list[Performer]
    trails: list[Trail]
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]

    @classmethod
    def of(cls, moving: Reconstruction, orbit: Orbit) -> _Stage:
        # A sample of a path per pixel at the centre's distance.
        spacing = orbit.radius / orbit.lens.K[0, 0]
        scene = moving.scene
        near = np.flatnonzero(np.linalg.norm(scene.points_world - orbit.centre, axis=1) < 2.5 * orbit.radius)
        near = near[np.linspace(0, len(near) - 1, min(len(near), orbit.config.most_points)).astype(int)]
        grid, shade = floor_grid(orbit.centre, orbit.radius, spacing)
        # Details of two pixels; the mesh of a whole body would have many triangles for each.
        performers = [Performer.of(person, 2 * spacing) for person in moving.people if len(person.frames)]
        # Coordinate after coordinate in memory, as turning many points wants it.
        points = np.asfortranarray(np.concatenate([grid, scene.points_world[near]]), np.float32)
        colors = np.concatenate([shade, scene.colors[near]])
        return cls(moving, orbit, orbit.lens, performers, trails(moving, spacing), points, colors)

    def picture(self, row: int, T_world_eye: Float[np.ndarray, "4 4"]) -> UInt8[np.ndarray, "height width 3"]:
        T_eye_world = invert(T_world_eye)
        out = np.full((self.lens.height, self.lens.width, 3), self.orbit.config.paper, np.uint8)
        depth = np.full(out.shape[:2], np.inf, np.float32)
        # What stands between the eye and the middle of the world would hide it.
        self._splat(out, depth, T_eye_world, self.points, self.colors, near=0.4 * self.orbit.radius)
        layers = [one.layer(row, T_eye_world) for one in self.performers if row in one.rows]
        colour, nearest = cast_bodies(layers, self.lens)
        front = nearest < depth
        out[front], depth[front] = colour[front].astype(np.uint8), nearest[front]
        lines = [trail.until(row) for trail in self.trails]
        lines.append(camera_outline(self.moving.cameras, row, 0.05 * self.orbit.radius))
        places, shades = (np.concatenate(part) for part in zip(*lines, strict=True))
        self._splat(out, depth, T_eye_world, places, shades, size=3)
        for layer in layers:
            if layer.vertices is None:
                draw_skeleton(out, layer, self.lens)
        return out

    def _splat(self, out: np.ndarray, depth: np.ndarray, T_eye_world: np.ndarray, points: np.ndarray,
               colors: np.ndarray, size: int = 2, near: float = 0.05) -> None:  # fmt: skip
        seen = T_eye_world[:3, :3].astype(np.float32) @ points.T.astype(np.float32)
        seen += T_eye_world[:3, 3:].astype(np.float32)
        splat(out, depth, seen.T, colors, self.lens, size=size, near=near)
