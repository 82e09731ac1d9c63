"""Camera trajectories: the demo's walk, pan and still camera; `MOVES_OF` the ways of filming people in a layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from diorama.geometry.filters import gaussian_smooth
from diorama.geometry.transforms import rigid
from diorama.synthetic.free_space import arena_of
from diorama.synthetic.hand import COPTER, FREE_HAND, GIMBAL, PANNED, TRIPOD, Hand, footsteps
from diorama.synthetic.layout import Layout

MOVES = ("walk", "pan", "static")
# A ceiling lower than this (metres) is that of a room.
_INDOORS = 5.0


@dataclass(frozen=True)
class CameraMove:
    """`kind` is one of `MOVES`; `middle` is the camera's place (x, y, z; metres) half-way through, `velocity` its
    horizontal velocity (m/s; walk only), `seed` that of the hand's tremor."""

    kind: str
    middle: tuple[float, float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    seed: int = 0


def camera_path(
    move: CameraMove, times: Float[np.ndarray, " frames"], target: Float[np.ndarray, "frames 3"]
) -> Float[np.ndarray, "frames 4 4"]:
    """`T_world_camera` of a camera that keeps `target` (metres, world) near the picture's middle."""
    rng = np.random.default_rng(move.seed)
    middle = times.mean()
    centre = np.tile(move.middle, (len(times), 1))
    aim = np.tile(target.mean(0), (len(times), 1)) if move.kind == "static" else _straightened(times, target)
    tremor = np.zeros((len(times), 3))
    if move.kind == "walk":
        centre[:, :2] += (times - middle)[:, None] * np.array(move.velocity)
        centre += _steps(rng, times, move.velocity) + tremble(rng, times, 0.004)
        tremor = tremble(rng, times, np.radians(0.35))
    elif move.kind == "pan":
        tremor = tremble(rng, times, np.radians(0.08))
    return rigid(look_at(centre, aim) @ Rotation.from_rotvec(tremor).as_matrix(), centre)


def look_at(centre: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Rotations of level cameras (OpenCV axes, world +Z up) at `centre` that look at `target`."""
    forward = (target - centre) / np.linalg.norm(target - centre, axis=1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], 2)


def tremble(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], deviation: float
) -> Float[np.ndarray, "frames 3"]:
    """Smooth random motion of a hand on three axes: 14 sines from 0.3 to 4 Hz whose amplitude falls with frequency."""
    frequency = np.geomspace(0.3, 4.0, 14)
    phase = rng.uniform(0, 2 * np.pi, (3, 14))
    waves = np.sin(2 * np.pi * frequency * times[:, None, None] + phase) / frequency
    return deviation * waves.sum(-1) / np.sqrt((0.5 / frequency**2).sum())


def _steps(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], velocity: tuple[float, float]
) -> Float[np.ndarray, "frames 3"]:
    """Bob and sway of somebody who films while walking, 1.8 steps per second."""
    speed = float(np.hypot(*velocity))
    side = np.array([-velocity[1], velocity[0], 0.0]) / max(speed, 1e-9)
    turn = 2 * np.pi * 0.9 * times + rng.uniform(0, 2 * np.pi)
    return 0.010 * np.sin(turn)[:, None] * side + 0.012 * np.cos(2 * turn)[:, None] * np.array([0.0, 0.0, 1.0])


def _straightened(times: np.ndarray, target: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    """The straight line in time closest to the target: nobody's hand follows every step."""
    basis = np.stack([np.ones_like(times), times], 1)
    return basis @ np.linalg.lstsq(basis, target, rcond=None)[0]


@dataclass(frozen=True)
class Subject:
    """Whom a camera films, and where: `targets` are the people's pelvises (world, metres) at `times` (seconds)."""

    targets: Float[np.ndarray, "frames people 3"]
    times: Float[np.ndarray, " frames"]
    layout: Layout

    @cached_property
    def middle(self) -> Float[np.ndarray, "frames 3"]:
        """The mean of all pelvises."""
        return self.targets.mean(1)

    @cached_property
    def spread(self) -> float:
        """The farthest that anybody is from the middle, metres."""
        return float(np.linalg.norm(self.targets - self.middle[:, None], axis=2).max())

    @cached_property
    def bodies(self) -> Float[np.ndarray, "frames points 3"]:
        """Corners of boxes around everybody: 0.45 m to the sides, 0.95 m above the pelvis, down to the ground (at most
        1.1 m); a standing man of 1.9 m fits, whoever is shorter or lower is framed more widely."""
        low = np.maximum(self.targets[..., 2] - 1.1, self.layout.ground_height(self.targets[..., :2]))
        low = np.minimum(low, self.targets[..., 2] - 0.2)
        ends = [
            self.targets * [1, 1, 0] + np.stack([np.full_like(low, x), np.full_like(low, y), z], -1)
            for x in (-0.45, 0.45) for y in (-0.45, 0.45) for z in (low, self.targets[..., 2] + 0.95)
        ]  # fmt: skip
        return np.concatenate(ends, 1)

    @cached_property
    def followed(self) -> Float[np.ndarray, "frames 2"]:
        """The middle's way on the ground without the beat of steps."""
        return self.smoothed(self.middle[:, :2], 0.6)

    @cached_property
    def heading(self) -> Float[np.ndarray, " frames"] | None:
        """Direction of the walk (radians) as somebody who follows takes it, over 1.5 s; None for people who stay."""
        velocity = self.smoothed(self.velocity(self.middle[:, :2]), 1.5)
        if np.linalg.norm(velocity, axis=1).max() < 0.3:
            return None
        # Where the people stop or turn about, the whole clip's direction decides.
        velocity = velocity + 0.15 * velocity.mean(0) / max(float(np.linalg.norm(velocity.mean(0))), 1e-9)
        return self.smoothed(np.unwrap(np.arctan2(velocity[:, 1], velocity[:, 0]))[:, None], 0.8)[:, 0]

    def smoothed(self, values: Float[np.ndarray, "frames d"], seconds: float) -> Float[np.ndarray, "frames d"]:
        """Gaussian smoothing along time; the ends keep their slope."""
        basis = np.stack([np.ones_like(self.times), self.times], 1)
        line = basis @ np.linalg.lstsq(basis, values, rcond=None)[0]
        step = float(np.diff(self.times).mean()) if len(self.times) > 1 else 1.0
        return line + gaussian_smooth(values - line, seconds / step)

    def ground(self, xy: Float[np.ndarray, "frames 2"]) -> Float[np.ndarray, " frames"]:
        """What somebody who carries a camera feels of the ground under it: steps smoothed over 0.4 s."""
        return self.smoothed(self.layout.ground_height(xy)[:, None], 0.4)[:, 0]

    def velocity(self, centres: Float[np.ndarray, "frames d"]) -> Float[np.ndarray, "frames d"]:
        """Metres per second."""
        return np.gradient(centres, self.times, axis=0) if len(self.times) > 1 else np.zeros_like(centres)


@dataclass(frozen=True)
class Trajectory:
    """Where a camera is, and the time (seconds) over which whoever aims it follows the people: infinite for a camera
    that is not turned."""

    centres: Float[np.ndarray, "frames 3"]
    lag: float

    def shaken(
        self, subject: Subject, sway: Float[np.ndarray, "frames 3"], shake: Float[np.ndarray, "frames 3"]
    ) -> Float[np.ndarray, "frames 4 4"]:
        """`T_world_camera` of level cameras that keep the middle of the people's angular extent in the picture's
        middle, moved (m) and turned (rotation vectors, radians) by a hand."""
        centres = self.centres + sway
        forward = self._aim(subject)
        turned = look_at(np.zeros_like(forward), forward) @ Rotation.from_rotvec(shake).as_matrix()
        return rigid(turned, centres)

    def _aim(self, subject: Subject) -> Float[np.ndarray, "frames 3"]:
        """Directions to the middle between the outermost edges of the people, in azimuth and elevation."""
        offset = subject.bodies - self.centres[:, None]
        main = offset.mean((0, 1))
        azimuth = np.arctan2(offset[..., 1], offset[..., 0]) - np.arctan2(main[1], main[0])
        azimuth = np.unwrap(np.arctan2(np.sin(azimuth), np.cos(azimuth)), axis=0)
        angles = np.stack([azimuth, np.arctan2(offset[..., 2], np.linalg.norm(offset[..., :2], axis=-1))], -1)
        if np.isinf(self.lag):
            aim = np.tile((angles.min((0, 1)) + angles.max((0, 1))) / 2, (len(self.centres), 1))
        else:
            aim = subject.smoothed((angles.min(1) + angles.max(1)) / 2, self.lag)
        around, up = aim[:, 0] + np.arctan2(main[1], main[0]), aim[:, 1]
        return np.stack([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)], 1)


Move = Callable[[Subject, np.random.Generator], Trajectory]


def _stand(low: float, high: float, lag: float) -> Move:
    """One place, anywhere in the arena or near the people, between two heights above the ground (metres)."""

    def move(subject: Subject, rng: np.random.Generator) -> Trajectory:
        arena = arena_of(subject.layout)
        xy = arena.draw(rng, 0.3)
        if rng.random() < 0.6:
            xy = subject.middle[:, :2].mean(0) + _polar(rng.uniform(0, 2 * np.pi, 1)) * _between(rng, 1.8, 12)
        height = float(subject.layout.ground_height(xy)[0]) + rng.uniform(low, high)
        return Trajectory(np.tile([*xy[0], height], (len(subject.times), 1)), lag)

    return move


def _follow(low: float, high: float) -> Move:
    """Somebody walks with the people and films them from an angle (radians, either side) to their heading."""

    def move(subject: Subject, rng: np.random.Generator) -> Trajectory:
        time = subject.times - subject.times.mean()
        angle = _heading(subject, rng) + rng.choice([-1, 1]) * rng.uniform(low, high) + rng.uniform(-0.12, 0.12) * time
        away = _between(rng, 1.3, 7.5) + 0.8 * subject.spread + rng.uniform(-0.35, 0.35) * time
        # Between walls there is not always room to keep up.
        share = rng.uniform(0.3, 1.0) if arena_of(subject.layout).ceiling < _INDOORS else 1.0
        path = share * subject.followed + (1 - share) * subject.followed.mean(0)
        xy = path + np.maximum(away, 1.2)[:, None] * _polar(angle)
        xy = subject.smoothed(xy, 0.5)
        centres = np.c_[xy, subject.ground(xy) + rng.uniform(1.3, 1.7)]
        return Trajectory(centres + footsteps(rng, subject.times, subject.velocity(xy)), 0.4)

    return move


def _heading(subject: Subject, rng: np.random.Generator) -> Float[np.ndarray, " frames"]:
    """Direction of the walk (radians); anything for people who stay."""
    turn = rng.uniform(0, 2 * np.pi)
    return np.full(len(subject.times), turn) if subject.heading is None else subject.heading


def _orbit(subject: Subject, rng: np.random.Generator) -> Trajectory:
    """A circle around the straight line that the people's middle follows, at one height, at 8-30 degrees per second."""
    time = subject.times - subject.times.mean()
    middle = subject.middle[:, :2]
    pivot = _straightened(subject.times, np.c_[middle, subject.layout.ground_height(middle)])
    rate = min(np.radians(rng.uniform(8, 30)), np.radians(170) / max(float(np.ptp(time)), 1e-9))
    angle = rng.uniform(0, 2 * np.pi) + rng.choice([-1, 1]) * rate * time
    xy = pivot[:, :2] + (_between(rng, 1.2, 7.5) + 0.8 * subject.spread) * _polar(angle)
    return Trajectory(np.c_[xy, pivot[:, 2] + rng.uniform(1.1, 2.3)], 0.6)


def _drone(subject: Subject, rng: np.random.Generator) -> Trajectory:
    """It comes down from 4-11 m (in a room: from under the ceiling), nearer or past, and tilts to keep the people."""
    lasting = float(np.ptp(subject.times))
    share = (subject.times - subject.times[0]) / max(lasting, 1e-9)
    eased = 0.5 * share + 0.5 * share**2 * (3 - 2 * share)
    pivot = _straightened(subject.times, subject.middle)
    ground = float(subject.layout.ground_height(subject.middle[:, :2]).max())
    top = min(ground + rng.uniform(4, 11), arena_of(subject.layout).ceiling - 0.15)
    down = min(rng.uniform(0.4, 1.6) * lasting, top - ground - rng.uniform(1.3, 1.8))
    away = _between(rng, 1.0, 9.0) + 0.8 * subject.spread
    nearer = min(rng.uniform(-0.2, 1.2) * lasting, away - 1.5)
    angle = rng.uniform(0, 2 * np.pi) + rng.uniform(-0.6, 0.6) * share
    xy = pivot[:, :2] + (away - nearer * eased)[:, None] * _polar(angle)
    return Trajectory(np.c_[xy, top - down * eased], 0.7)


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    """A positive number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _polar(angle) -> np.ndarray:
    return np.stack([np.cos(angle), np.sin(angle)], -1)


# Ways of filming, each with its kind in the terms of `ObservedCameras` (a hand that stands still turns the camera) and
# who holds it.
MOVES_OF: dict[str, tuple[str, Hand, Move]] = {
    "static": ("static", TRIPOD, _stand(0.9, 2.2, np.inf)),
    "pan": ("rotating", PANNED, _stand(0.9, 2.0, 0.5)),
    "standing": ("rotating", FREE_HAND, _stand(1.25, 1.7, 0.4)),
    "behind": ("translating", FREE_HAND, _follow(np.pi - 0.6, np.pi)),
    "front": ("translating", FREE_HAND, _follow(0.0, 0.6)),
    "beside": ("translating", FREE_HAND, _follow(1.0, 2.1)),
    "orbit": ("translating", GIMBAL, _orbit),
    "drone": ("translating", COPTER, _drone),
}
