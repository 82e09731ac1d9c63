"""A room with a walking camera and people, seen in windows whose worlds are turned, scaled and shifted at random."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from diorama.geometry.cameras import pixel_grid
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, invert, move_cameras, rigid
from diorama.methods.unish.branch import WindowPerson, WindowWorld
from diorama.methods.unish.windows import layout_of
from diorama.observations import Observations, Source, Track, Tracks

WIDTH, HEIGHT = 1920, 1080
LOW, HIGH = np.array([-9.0, -9.0, 0.0]), np.array([9.0, 9.0, 4.0])
BETAS = np.linspace(-1, 1, 10)


@dataclass(frozen=True)
class Person:
    """`tracked` rows in which he is seen; he walks a circle, upright but for a little swing of all joints."""

    id: int
    tracked: np.ndarray

    def pelvis(self, times):
        angle = 0.25 * times + 2.0 * self.id
        return np.stack([1.5 * np.cos(angle), 1.5 * np.sin(angle), 0.9 + 0.02 * np.sin(5 * times)], 1)

    def rotations(self, times):
        """World root first: his +Y is up."""
        swing = 0.15 * np.sin(2 * times[:, None, None] + np.arange(72).reshape(24, 3) * (1 + self.id))
        local = matrix_of(swing)
        local[:, 0] = matrix_of(np.stack([0 * times, 0 * times, 0.25 * times], 1)) @ matrix_of(
            np.array([np.pi / 2, 0, 0])
        )
        return local


@dataclass
class Room:
    """`T(times)` are the true cameras: around the room, looking in."""

    frames: int
    fps: float = 30.0
    focal: float = 1500.0
    people: tuple[Person, ...] = ()
    keypoints: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def times(self):
        return np.arange(self.frames) / self.fps

    def cameras(self, times):
        angle = 0.1 * times
        centre = np.stack([6 * np.cos(angle), 6 * np.sin(angle), 1.6 + 0.1 * np.sin(1.7 * times)], 1)
        forward = -centre * np.array([1, 1, 0.3]) + np.stack([np.sin(times), np.cos(0.7 * times), 0 * times], 1)
        forward /= np.linalg.norm(forward, axis=1, keepdims=True)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right, axis=1, keepdims=True)
        return rigid(np.stack([right, np.cross(forward, right), forward], -1), centre)

    def observations(self):
        tracks = []
        for person in self.people:
            n = len(person.tracked)
            box = np.tile([860.0, 300.0, 1060.0, 900.0], (n, 1))
            points = self.keypoints.get(person.id, np.zeros((n, 33, 3)))
            tracks.append(Track(person.id, person.tracked, box, points, "blazepose33"))
        nothing = np.zeros(self.frames, bool)
        seen = Tracks(Source("room"), tuple(tracks))
        return Observations(WIDTH, HEIGHT, self.times, np.arange(self.frames), nothing, tracks=seen)


@dataclass
class RoomBranch:
    """What a network would say of the room.

    `gauge` is the spread of the windows' log scale, and turns and shifts them if not 0; `noise` the relative error of
    depth, of places in metres and of turns in radians; `rest` is taken off the pelvis for SMPL's translation.
    """

    room: Room
    gauge: float = 0.0
    noise: float = 0.0
    rest: np.ndarray = field(default_factory=lambda: np.array([0.0, -0.22, 0.03]))
    first_camera: bool = False
    calls: int = 0
    together: int = 1
    needs_pictures: bool = False
    credit: dict = field(default_factory=lambda: {"name": "a room", "licence": "none", "source": "tests"})

    def __call__(self, windows):
        return [self._world(window) for window in windows]

    def _world(self, window):
        rng = np.random.default_rng([5, self.calls])
        self.calls += 1
        times, count = self.room.times[window.rows], len(window.rows)
        width, height = window.layout.working
        K = np.tile([[self.room.focal, 0, WIDTH / 2], [0, self.room.focal, HEIGHT / 2], [0, 0, 1]], (count, 1, 1))
        K = np.diag([*1 / window.layout.source_per_working, 1.0]) @ K
        T = self.room.cameras(times)
        depth = room_depth(T, K, width, height) * (1 + self.noise * rng.normal(size=(count, height, width)))
        people = tuple(self._person(p, window, times, T, rng) for p in self.room.people if self._here(p, window))
        T = T @ rigid(
            matrix_of(0.3 * self.noise * rng.normal(size=(count, 3))), self.noise * rng.normal(size=(count, 3))
        )
        scale, turn, shift = 1.0, np.eye(3), np.zeros(3)
        if self.gauge:
            scale, shift = np.exp(self.gauge * rng.normal()), 5 * rng.normal(size=3)
            turn = matrix_of(2 * rng.normal(size=3))
        T = move_cameras(T, scale, turn, shift)
        if self.first_camera:
            T = invert(T[0]) @ T
        return WindowWorld(
            K, T, (scale * depth).astype(np.float32), np.ones(depth.shape, np.float32),
            tuple(replace(p, transl=scale * p.transl) for p in people), sum(int(p.seen.sum()) for p in people),
        )  # fmt: skip

    def _here(self, person, window):
        return np.isin(window.rows, person.tracked).any()

    def _person(self, person, window, times, T, rng):
        camera = invert(T)
        rotations = person.rotations(times)
        rotations[:, 0] = camera[:, :3, :3] @ rotations[:, 0]
        transl = apply(camera, person.pelvis(times)) - self.rest
        transl = transl + self.noise * rng.normal(size=transl.shape)
        seen = np.isin(window.rows, person.tracked)
        rotations[~seen], transl[~seen] = np.nan, np.nan
        return WindowPerson(person.id, seen, rotations, np.tile(BETAS, (len(times), 1)), transl)


def room_depth(T, K, width, height):
    """Depth of the room's inside, (frames, height, width)."""
    pixels = pixel_grid(width, height)
    out = np.zeros((len(T), height, width))
    for at in range(len(T)):
        rays = np.concatenate([(pixels - K[at, :2, 2]) / K[at, [0, 1], [0, 1]], np.ones((height, width, 1))], -1)
        along = rays @ T[at, :3, :3].T
        with np.errstate(divide="ignore"):
            hits = (np.where(along > 0, HIGH, LOW) - T[at, :3, 3]) / along
        out[at] = np.where(np.isfinite(hits), hits, np.inf).min(-1)
    return out


def small_layout(longest=56):
    return layout_of(WIDTH, HEIGHT, longest)
