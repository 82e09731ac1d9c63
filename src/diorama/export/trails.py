"""Paths as rows of coloured points, light to dark by time; the filming camera's outline; a grid on the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.export.resampling import runs
from diorama.export.skin import person_color
from diorama.geometry.cameras import unproject
from diorama.geometry.transforms import apply
from diorama.reconstruction import Cameras, Reconstruction

CAMERA_COLOR = (110, 110, 118)
_GRID_COLOR = (205, 208, 214)
_MOST_SAMPLES = 20_000


@dataclass(frozen=True)
class Trail:
    """Samples of a path; `rows` (ascending) says in which frame the path reached each."""

    points: Float[np.ndarray, "samples 3"]
    colors: UInt8[np.ndarray, "samples 3"]
    rows: Int[np.ndarray, " samples"]

    def until(self, row: int) -> tuple[Float[np.ndarray, "some 3"], UInt8[np.ndarray, "some 3"]]:
        """What has happened up to a frame."""
        count = int(np.searchsorted(self.rows, row, side="right"))
        return self.points[:count], self.colors[:count]


def trails(moving: Reconstruction, spacing: float) -> list[Trail]:
    """Paths of all pelvises and of the camera, a sample every `spacing` metres; gaps of a track are gaps of its path."""
    count = len(moving)
    paths: list[tuple[np.ndarray, np.ndarray, tuple[int, int, int]]]
    paths = [(moving.cameras.T_world_camera[:, :3, 3], np.arange(count), CAMERA_COLOR)]
    for person in moving.people:
        for run in runs(person, moving.times):
            paths.append((person.joints_world[run, 0], person.frames[run], person_color(person.id)))
    return [_trail(np.asarray(places, np.float64), rows, color, count, spacing) for places, rows, color in paths]


def light_to_dark(color: tuple[int, int, int], share: Float[np.ndarray, " n"]) -> UInt8[np.ndarray, "n 3"]:
    """A colour over time: mixed with white at 0, itself half way, mixed with black at 1."""
    base, share = np.array(color, float), share[:, None]
    light, dark = 255 - 0.35 * (255 - base), 0.4 * base
    mixed = np.where(share < 0.5, light + 2 * share * (base - light), base + (2 * share - 1) * (dark - base))
    return np.round(mixed).astype(np.uint8)


def _trail(places: np.ndarray, rows: np.ndarray, color: tuple[int, int, int], count: int, spacing: float) -> Trail:
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    total = float(steps.sum())
    length = np.r_[0, np.cumsum(steps)]
    samples = int(min(total / spacing + 1, _MOST_SAMPLES)) + 1
    # A path that stands still has no length to interpolate over; a tiny slope keeps it in order.
    along = length + 1e-12 * np.arange(len(length))
    at = np.linspace(0, along[-1], samples)
    points = np.stack([np.interp(at, along, column) for column in places.T], -1)
    when = np.interp(at, along, rows)
    return Trail(points, light_to_dark(color, when / max(count - 1, 1)), np.ceil(when - 1e-6).astype(int))


def camera_outline(
    cameras: Cameras, row: int, size: float
) -> tuple[Float[np.ndarray, "samples 3"], UInt8[np.ndarray, "samples 3"]]:
    """The pyramid of a camera's view, `size` metres deep, as samples of its eight edges."""
    w, h = float(cameras.width), float(cameras.height)
    corners = np.array([[0.0, 0], [w, 0], [w, h], [0, h]])
    far = unproject(corners, np.full(4, size), np.asarray(cameras.K[row], np.float64))
    share = np.linspace(0, 1, 120)[:, None]
    edges = [share * corner for corner in far]
    edges += [far[n] + share * (far[(n + 1) % 4] - far[n]) for n in range(4)]
    points = apply(cameras.T_world_camera[row], np.concatenate(edges))
    return points, np.tile(np.array([30, 30, 34], np.uint8), (len(points), 1))


def floor_grid(
    centre: Float[np.ndarray, " 3"], radius: float, spacing: float
) -> tuple[Float[np.ndarray, "samples 3"], UInt8[np.ndarray, "samples 3"]]:
    """Lines on the floor (z = 0) around the centre, a metre apart (more in large worlds), as samples."""
    metre = float(10 ** max(0, np.ceil(np.log10(radius / 20))))
    low = np.floor((centre[:2] - radius / 2) / metre) * metre
    lines = int(np.ceil(radius / metre)) + 1
    along = np.arange(0, (lines - 1) * metre, spacing)
    across = np.repeat(np.arange(lines) * metre, len(along))
    along = np.tile(along, lines)
    flat = np.zeros(len(along))
    points = np.concatenate(
        [
            np.stack([low[0] + across, low[1] + along, flat], -1),
            np.stack([low[0] + along, low[1] + across, flat], -1),
        ]
    )
    return points, np.tile(np.array(_GRID_COLOR, np.uint8), (len(points), 1))
