"""The feet of a walk: planted exactly, rolling from heel to toe, and carried smoothly through the air between.

One gait cycle of a foot starts at its heel strike (phase 0). Until `flat` the foot turns about the heel, then both
heel and toe rest, from `heel_off` it turns about the toes, at `toe_off` it leaves the ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

SIDES = ("left", "right")
FOOT_SITES = ("left_heel", "right_heel", "left_toe", "right_toe")
_ZERO = np.zeros(1)


@dataclass(frozen=True)
class Gait:
    """Phases of a cycle and angles (radians) of a walking foot; textbook values of level walking (stance 62 %).

    `middle` is the phase at which the pelvis passes over the ankle.
    """

    flat: float = 0.10
    middle: float = 0.26
    heel_off: float = 0.34
    toe_off: float = 0.61
    toes_settled: float = 0.88
    strike_pitch: float = -0.26
    toe_off_pitch: float = 1.0
    strike_speed: float = 2.6
    toe_off_speed: float = 5.0
    clearance: float = 0.015


@dataclass(frozen=True)
class FootShape:
    """Rest offsets (metres, body axes) of one foot: ankle to heel site, ankle to foot joint, foot joint to toe site."""

    heel: Float[np.ndarray, 3]
    ball: Float[np.ndarray, 3]
    toe: Float[np.ndarray, 3]

    @property
    def flat_pitch(self) -> float:
        """Pitch (radians, heel up) that brings heel and toe sites to one height."""
        span = self.ball + self.toe - self.heel
        return float(np.arctan2(span[1], span[2]))

    @property
    def ankle_height(self) -> float:
        """Height of the ankle above the ground when the foot is flat, metres."""
        return -float((_pitched(np.array(self.flat_pitch)) @ self.heel)[1])


@dataclass(frozen=True)
class FootMotion:
    """One foot over frames, world frame: ankle position, rotations of foot and toes, and what touches the ground."""

    ankle: Float[np.ndarray, "frames 3"]
    foot: Float[np.ndarray, "frames 3 3"]
    toes: Float[np.ndarray, "frames 3 3"]
    heel_contact: Bool[np.ndarray, " frames"]
    toe_contact: Bool[np.ndarray, " frames"]


@dataclass(frozen=True)
class Footprints:
    """Where and when one foot stands: row k is struck at `strikes[k]` and left before `strikes[k + 1]` (seconds).

    `ground` is the point below the flat ankle (x, y; metres) and `yaw` the foot's direction (radians).
    """

    strikes: Float[np.ndarray, " prints"]
    ground: Float[np.ndarray, "prints 2"]
    yaw: Float[np.ndarray, " prints"]


def upright(yaw: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Rotation from body axes (+X left, +Y up, +Z forward) to the world (+Z up), walking along `yaw` from +X."""
    c, s, zero = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    return np.stack([np.stack([-s, zero, c], -1), np.stack([c, zero, s], -1), np.stack([zero, zero + 1, zero], -1)], -2)


def _pitched(angle: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Turn about body X: positive lowers what lies in front (raises the heel)."""
    c, s, zero = np.cos(angle), np.sin(angle), np.zeros_like(angle)
    rows = [[zero + 1, zero, zero], [zero, c, -s], [zero, s, c]]
    return np.stack([np.stack(row, -1) for row in rows], -2)


def quintic(
    u: Float[np.ndarray, " n"], start: tuple[np.ndarray, ...], end: tuple[np.ndarray, ...]
) -> Float[np.ndarray, "n c"]:
    """The polynomial on u in 0..1 with value, first and second derivative (by u) given at both ends."""
    (p0, v0, a0), (p1, v1, a1) = start, end
    d0, d1, d2 = p1 - p0 - v0 - a0 / 2, v1 - v0 - a0, a1 - a0
    coefficients = [p0, v0, a0 / 2, 10 * d0 - 4 * d1 + d2 / 2, -15 * d0 + 7 * d1 - d2, 6 * d0 - 3 * d1 + d2 / 2]
    return sum(c * u[:, None] ** k for k, c in enumerate(coefficients))  # type: ignore[return-value]


def walk_foot(
    times: Float[np.ndarray, " frames"], prints: Footprints, shape: FootShape, gait: Gait = Gait()
) -> FootMotion:
    """The motion of one foot over its footprints; `times` must lie between the first and the last strike."""
    step = np.searchsorted(prints.strikes, times, side="right") - 1
    period = prints.strikes[step + 1] - prints.strikes[step]
    phase = (times - prints.strikes[step]) / period
    ankle, foot, toes = _stance(phase, prints.ground[step], prints.yaw[step], shape, gait)
    for k in np.unique(step):
        rows = np.flatnonzero((step == k) & (phase > gait.toe_off))
        if len(rows):
            ankle[rows], foot[rows], toes[rows] = _swing(phase[rows], prints, int(k), shape, gait)
    heel = phase <= gait.heel_off
    toe = (phase >= gait.flat) & (phase <= gait.toe_off)
    return FootMotion(ankle, foot, toes, heel, toe)


def _stance(
    phase: np.ndarray, ground: np.ndarray, yaw: np.ndarray, shape: FootShape, gait: Gait
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ankle, foot and toe rotations while the foot stands; the pivot's place in the world does not depend on phase."""
    level = upright(yaw)
    flat = level @ _pitched(np.full(len(phase), shape.flat_pitch))
    pitch, bend = _pitch(phase, gait), _toe_bend(phase, gait)
    foot = level @ _pitched(shape.flat_pitch + pitch)
    toes = level @ _pitched(shape.flat_pitch + pitch - bend)
    standing = np.concatenate([ground, np.full((len(phase), 1), shape.ankle_height)], 1)
    about_heel = standing + flat @ shape.heel - foot @ shape.heel
    about_toe = standing + flat @ (shape.ball + shape.toe) - toes @ shape.toe - foot @ shape.ball
    return np.where((phase < gait.flat)[:, None], about_heel, about_toe), foot, toes


def _swing(
    phase: np.ndarray, prints: Footprints, k: int, shape: FootShape, gait: Gait
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """From toe-off to the next strike: position, velocity and acceleration continue those of the two stances."""
    span = 1 - gait.toe_off
    start = _state(gait.toe_off, -1, prints, k, shape, gait, span)
    end = _state(0.0, 1, prints, k + 1, shape, gait, span)
    u = (phase - gait.toe_off) / span
    ankle = quintic(u, start, end)
    turn = np.angle(np.exp(1j * (prints.yaw[k + 1] - prints.yaw[k])))
    yaw = prints.yaw[k] + turn * quintic(u, (_ZERO,) * 3, (_ZERO + 1, _ZERO, _ZERO))[:, 0]
    pitch, bend = shape.flat_pitch + _pitch(phase, gait), _toe_bend(phase, gait)
    foot, toes = upright(yaw) @ _pitched(pitch), upright(yaw) @ _pitched(pitch - bend)
    ankle[:, 2] += _lift(ankle, foot, toes, u, shape, gait)
    return ankle, foot, toes


def _lift(
    ankle: np.ndarray, foot: np.ndarray, toes: np.ndarray, u: np.ndarray, shape: FootShape, gait: Gait
) -> Float[np.ndarray, " n"]:
    """A smooth bump (zero with two derivatives at both ends) that keeps heel and toes off the ground in mid-swing."""
    bump = 64 * (u * (1 - u)) ** 3
    lowest = np.minimum((ankle + foot @ shape.heel)[:, 2], (ankle + foot @ shape.ball + toes @ shape.toe)[:, 2])
    wanted = gait.clearance * np.minimum(1, bump * 4)
    return bump * np.max(np.maximum(wanted - lowest, 0) / np.maximum(bump, 1e-3), initial=0.0)


def _state(
    phase: float, inward: int, prints: Footprints, k: int, shape: FootShape, gait: Gait, span: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ankle position and its derivatives by the swing's u at an end of a stance (one-sided differences)."""
    h = 1e-3
    at = phase + inward * h * np.arange(4)
    ankle, _, _ = _stance(at, np.repeat(prints.ground[k : k + 1], 4, 0), np.full(4, prints.yaw[k]), shape, gait)
    first = inward * (-11 * ankle[0] + 18 * ankle[1] - 9 * ankle[2] + 2 * ankle[3]) / (6 * h)
    second = (2 * ankle[0] - 5 * ankle[1] + 4 * ankle[2] - ankle[3]) / h**2
    return ankle[0], first * span, second * span**2


def _pitch(phase: np.ndarray, gait: Gait) -> Float[np.ndarray, " n"]:
    """Pitch of the foot over the ground, radians, heel up positive; twice differentiable over the cycle."""
    knots = (0.0, gait.flat, gait.heel_off, gait.toe_off, 1.0)
    values = (gait.strike_pitch, 0.0, 0.0, gait.toe_off_pitch, gait.strike_pitch)
    speeds = (gait.strike_speed, 0.0, 0.0, gait.toe_off_speed, gait.strike_speed)
    return _spline(phase, knots, values, speeds)


def _toe_bend(phase: np.ndarray, gait: Gait) -> Float[np.ndarray, " n"]:
    """Angle by which the toes stay behind the foot's pitch: all of it while they stand, none after they settle."""
    loose = _spline(phase, (gait.toe_off, gait.toes_settled), (gait.toe_off_pitch, 0.0), (gait.toe_off_speed, 0.0))
    bend = np.where(phase > gait.toe_off, loose, _pitch(phase, gait))
    return np.where((phase < gait.flat) | (phase > gait.toes_settled), 0.0, bend)


def _spline(
    phase: np.ndarray, knots: tuple[float, ...], values: tuple[float, ...], speeds: tuple[float, ...]
) -> Float[np.ndarray, " n"]:
    """Quintic pieces with given values and derivatives by phase at the knots, and no second derivative there."""
    out = np.zeros(len(phase))
    for left in range(len(knots) - 1):
        width = knots[left + 1] - knots[left]
        rows = (phase >= knots[left]) & (phase <= knots[left + 1])
        ends = [(np.array([values[k]]), np.array([speeds[k] * width]), _ZERO) for k in (left, left + 1)]
        out[rows] = quintic((phase[rows] - knots[left]) / width, *ends)[:, 0]
    return out
