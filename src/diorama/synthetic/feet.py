"""The feet: planted exactly, rolling over heel and toes, and carried smoothly through the air between.

A foot's motion is a list of footholds. A foothold starts when the foot touches the ground (`on`), rolls about the heel
(or the toes, if they land first) until the foot is flat, rests, rolls about the toes, and is left at `off`. Between two
footholds the ankle follows a polynomial that continues position, velocity and acceleration of both stances.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from diorama.synthetic.curves import eased, glide

SIDES = ("left", "right")
FOOT_SITES = ("left_heel", "right_heel", "left_toe", "right_toe")
_ZERO = np.zeros(1)
# Shares of the rolls over which the one-sided differences at a stance's ends are taken.
_STRIKE_STEP, _LEAVE_STEP = 1 / 100, 1 / 270
# Mid-swing is what is this share of the swing's time away from both ends.
_MID_SWING = 0.3


@dataclass(frozen=True)
class Gait:
    """Phases of a cycle and angles (radians) of a walking foot; textbook values of level walking (stance 62 %).

    A cycle starts at heel strike (phase 0). `middle` is the phase at which the pelvis passes over the ankle, speeds are
    in radians per cycle.
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
        return -float((pitched(np.array(self.flat_pitch)) @ self.heel)[1])


@dataclass(frozen=True)
class FootMotion:
    """One foot over frames, world frame: ankle position, rotations of foot and toes, and what touches the ground.

    `swinging` rises smoothly from 0 while the foot stands to 1 in mid-swing.
    """

    ankle: Float[np.ndarray, "frames 3"]
    foot: Float[np.ndarray, "frames 3 3"]
    toes: Float[np.ndarray, "frames 3 3"]
    heel_contact: Bool[np.ndarray, " frames"]
    toe_contact: Bool[np.ndarray, " frames"]
    swinging: Float[np.ndarray, " frames"]


@dataclass(frozen=True)
class Roll:
    """One end of a stance: the foot's pitch over the ground (radians, heel up) and its speed (rad/s) when it touches or
    leaves, and the seconds between that and the flat foot. All zero: the foot is put down or lifted flat."""

    pitch: float = 0.0
    speed: float = 0.0
    seconds: float = 0.0


_FLAT = Roll()


@dataclass(frozen=True)
class Foothold:
    """A stance: `ground` is the point below the flat ankle (metres), `yaw` the foot's direction (radians from +X).

    `heel` and `toe` say whether there is something under these sites; a foot that hangs in the air has neither.
    """

    ground: tuple[float, float, float]
    yaw: float
    on: float = -np.inf
    off: float = np.inf
    normal: tuple[float, float, float] = (0.0, 0.0, 1.0)
    strike: Roll = _FLAT
    leave: Roll = _FLAT
    heel: bool = True
    toe: bool = True


@dataclass(frozen=True)
class Swing:
    """How a foot is carried to its next foothold, beyond what the two stances ask for.

    Attributes:
        lift: height of an additional smooth bump, metres; `peak` is its place in the swing's time.
        delay, hurry: along the ground the foot stays behind by up to `delay` early in the swing, and is ahead by up to
            `hurry` late in it, metres: up before a riser, down behind an edge.
        flick: additional pitch in mid-swing, radians (the heel of a runner goes up).
        settled: share of the swing after which the toes are straight again.
        via: if given, the ankle glides along these control points (metres) and nothing above is added.
    """

    lift: float = 0.0
    peak: float = 0.5
    delay: float = 0.0
    hurry: float = 0.0
    flick: float = 0.0
    settled: float = 0.69
    via: tuple[tuple[float, float, float], ...] = ()


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


def standing_frame(
    yaw: Float[np.ndarray, "*batch"], normal: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch 3 3"]:
    """`upright`, tilted so that the body's +Y is the ground's normal and the left stays where it is as far as possible."""
    level = upright(yaw)
    if (normal[..., 2] >= 1).all():
        return level
    forward = np.cross(level[..., :, 0], normal)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True)
    return np.stack([np.cross(normal, forward), normal, forward], -1)


def pitched(angle: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch 3 3"]:
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


def ramp(u: Float[np.ndarray, " n"], start: tuple[float, float], end: tuple[float, float]) -> Float[np.ndarray, " n"]:
    """A `quintic` of one number between (value, derivative) pairs, without second derivative at the ends."""
    ends = [(np.array([value]), np.array([speed]), _ZERO) for value, speed in (start, end)]
    return quintic(u, *ends)[:, 0]


def bump(u: Float[np.ndarray, " n"], peak: float = 0.5) -> Float[np.ndarray, " n"]:
    """A smooth hill of height 1 at `peak`, zero with two derivatives at 0 and 1."""
    left, right = (3.0, 3.0 * (1 - peak) / peak) if peak <= 0.5 else (3.0 * peak / (1 - peak), 3.0)
    return u**left * (1 - u) ** right / (peak**left * (1 - peak) ** right)


def walk_foot(
    times: Float[np.ndarray, " frames"], prints: Footprints, shape: FootShape, gait: Gait = Gait()
) -> FootMotion:
    """The motion of one foot over its footprints; `times` must lie between the first and the last strike."""
    holds = _walking_holds(prints, gait)
    plain = Swing(settled=(gait.toes_settled - gait.toe_off) / (1 - gait.toe_off))
    swings = []
    for leave, land in itertools.pairwise(holds):
        rows = times[(times > leave.off) & (times < land.on)]
        u = (rows - leave.off) / (land.on - leave.off)
        points = sole_points(*swing(u, leave, land, shape, plain), shape, (shape.heel[None], shape.toe[None]))
        wanted = gait.clearance * np.minimum(1, bump(u) * 4)
        swings.append(replace(plain, lift=lift_over(points[..., 2].min(1), wanted, bump(u))))
    return foot_motion(times, holds, swings, shape)


def _walking_holds(prints: Footprints, gait: Gait) -> list[Foothold]:
    holds = []
    for k, period in enumerate(np.diff(prints.strikes, append=2 * prints.strikes[-1] - prints.strikes[-2])):
        on = float(prints.strikes[k])
        strike = Roll(gait.strike_pitch, gait.strike_speed / period, gait.flat * period)
        leave = Roll(gait.toe_off_pitch, gait.toe_off_speed / period, (gait.toe_off - gait.heel_off) * period)
        x, y = prints.ground[k]
        off = on + gait.toe_off * float(period)
        holds.append(Foothold((float(x), float(y), 0.0), float(prints.yaw[k]), on, off, strike=strike, leave=leave))
    return holds


def foot_motion(
    times: Float[np.ndarray, " frames"], holds: list[Foothold], swings: list[Swing], shape: FootShape
) -> FootMotion:
    """The motion of one foot over its footholds in order; `swings[k]` leads from foothold k to the next."""
    ankle, foot, toes = np.empty((len(times), 3)), np.empty((len(times), 3, 3)), np.empty((len(times), 3, 3))
    heel, toe, swinging = np.zeros(len(times), bool), np.zeros(len(times), bool), np.zeros(len(times))
    for k, hold in enumerate(holds):
        rows = np.flatnonzero((times >= hold.on) & (times <= hold.off))
        if len(rows):
            ankle[rows], foot[rows], toes[rows] = stance(times[rows], hold, shape)
            heel[rows], toe[rows] = _touching(times[rows], hold)
        if k + 1 < len(holds):
            rows = np.flatnonzero((times > hold.off) & (times < holds[k + 1].on))
            if len(rows):
                u = (times[rows] - hold.off) / (holds[k + 1].on - hold.off)
                ankle[rows], foot[rows], toes[rows] = swing(u, hold, holds[k + 1], shape, swings[k])
                swinging[rows] = eased(u / _MID_SWING) * eased((1 - u) / _MID_SWING)
    return FootMotion(ankle, foot, toes, heel, toe, swinging)


def _touching(times: np.ndarray, hold: Foothold) -> tuple[np.ndarray, np.ndarray]:
    """Whether heel and toe sites stand: both do while the foot is flat, one of them while it rolls."""
    flat, rolls = times >= hold.on + hold.strike.seconds, times <= hold.off - hold.leave.seconds
    first = flat | (hold.strike.pitch <= 0), flat | (hold.strike.pitch > 0)
    return hold.heel & first[0] & rolls, hold.toe & first[1]


def stance(
    times: Float[np.ndarray, " n"], hold: Foothold, shape: FootShape
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 3 3"]]:
    """Ankle, foot and toe rotations while the foot stands; the pivot's place in the world does not depend on time."""
    pitch, bend, on_heel = _stance_pitch(times, hold)
    level = standing_frame(np.full(len(times), hold.yaw), np.tile(np.array(hold.normal), (len(times), 1)))
    flat = level @ pitched(np.full(len(times), shape.flat_pitch))
    foot = level @ pitched(shape.flat_pitch + pitch)
    toes = level @ pitched(shape.flat_pitch + pitch - bend)
    standing = np.array(hold.ground) + shape.ankle_height * np.array(hold.normal)
    about_heel = standing + flat @ shape.heel - foot @ shape.heel
    about_toe = standing + flat @ (shape.ball + shape.toe) - toes @ shape.toe - foot @ shape.ball
    return np.where(on_heel[:, None], about_heel, about_toe), foot, toes


def _stance_pitch(times: np.ndarray, hold: Foothold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pitch over the ground, how far the toes stay behind it (all of it while they stand), and whether on the heel."""
    pitch, on_heel = np.zeros(len(times)), np.zeros(len(times), bool)
    strike, leave = hold.strike, hold.leave
    if strike.seconds > 0:
        landing = times < hold.on + strike.seconds
        u = (times[landing] - hold.on) / strike.seconds
        pitch[landing] = ramp(u, (strike.pitch, strike.speed * strike.seconds), (0.0, 0.0))
        on_heel |= landing & (strike.pitch <= 0)
    if leave.seconds > 0:
        leaving = times > hold.off - leave.seconds
        u = (times[leaving] - hold.off) / leave.seconds + 1
        pitch[leaving] = ramp(u, (0.0, 0.0), (leave.pitch, leave.speed * leave.seconds))
    return pitch, np.where(on_heel, 0.0, pitch), on_heel


def swing(
    u: Float[np.ndarray, " n"], leave: Foothold, land: Foothold, shape: FootShape, style: Swing
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 3 3"]]:
    """From one foothold (u = 0) to the next (u = 1): ankle, foot and toe rotations."""
    span = land.on - leave.off
    states = _end_state(leave, shape, span, leaving=True), _end_state(land, shape, span, leaving=False)
    share = ramp(u, (0.0, 0.0), (1.0, 0.0))
    turn = np.angle(np.exp(1j * (land.yaw - leave.yaw)))
    normal = np.array(leave.normal) + share[:, None] * (np.array(land.normal) - np.array(leave.normal))
    level = standing_frame(leave.yaw + turn * share, normal / np.linalg.norm(normal, axis=1, keepdims=True))
    first, last = (leave.leave.pitch, leave.leave.speed * span), (land.strike.pitch, land.strike.speed * span)
    pitch = shape.flat_pitch + ramp(u, first, last) + style.flick * bump(u, 0.4)
    bend = _swing_bend(u, first, last if land.strike.pitch > 0 else (0.0, 0.0), style.settled)
    if style.via:
        ends = quintic(np.array([0.0, 1.0]), *states)
        ankle = glide(u, np.array([ends[0], *style.via, ends[1]]))
    else:
        ankle = quintic(u, *states) + detour(u, leave, land, style)
    return ankle, level @ pitched(pitch), level @ pitched(pitch - bend)


def detour(u: Float[np.ndarray, " n"], leave: Foothold, land: Foothold, style: Swing) -> Float[np.ndarray, "n 3"]:
    """How far (metres) a style leads the ankle off the smoothest way."""
    along = np.array(land.ground[:2]) - np.array(leave.ground[:2])
    ahead = style.hurry * bump(u, 0.7) - style.delay * bump(u, 0.3)
    flat = ahead[:, None] * along / max(float(np.linalg.norm(along)), 1e-9)
    return np.concatenate([flat, (style.lift * bump(u, style.peak))[:, None]], 1)


def _swing_bend(
    u: np.ndarray, first: tuple[float, float], last: tuple[float, float], settled: float
) -> Float[np.ndarray, " n"]:
    """Bend of the toes: from that of the stance to none, and if the toes land first, to that of the landing."""
    early, late = u < settled, 1 - settled
    bend = np.zeros(len(u))
    bend[early] = ramp(u[early] / settled, (first[0], first[1] * settled), (0.0, 0.0))
    bend[~early] = ramp((u[~early] - settled) / late, (0.0, 0.0), (last[0], last[1] * late))
    return bend


def lift_over(height: Float[np.ndarray, " n"], wanted: Float[np.ndarray, " n"], hill: Float[np.ndarray, " n"]) -> float:
    """How high (metres) a bump of the shape `hill` must be so that the foot is nowhere lower than wanted."""
    return float(np.max(np.maximum(wanted - height, 0) / np.maximum(hill, 1e-3), initial=0.0))


def sole_points(
    ankle: Float[np.ndarray, "n 3"],
    foot: Float[np.ndarray, "n 3 3"],
    toes: Float[np.ndarray, "n 3 3"],
    shape: FootShape,
    outline: tuple[Float[np.ndarray, "a 3"], Float[np.ndarray, "b 3"]],
) -> Float[np.ndarray, "n points 3"]:
    """World places of points of the foot (rest offsets from the ankle) and of the toes (from the foot joint)."""
    behind = ankle[:, None] + outline[0] @ np.swapaxes(foot, 1, 2)
    front = (ankle + foot @ shape.ball)[:, None] + outline[1] @ np.swapaxes(toes, 1, 2)
    return np.concatenate([behind, front], 1)


def _end_state(
    hold: Foothold, shape: FootShape, span: float, *, leaving: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ankle position and its derivatives by the swing's u at an end of a stance (one-sided differences)."""
    roll, edge, inward = (hold.leave, hold.off, -1) if leaving else (hold.strike, hold.on, 1)
    h = roll.seconds * (_LEAVE_STEP if leaving else _STRIKE_STEP)
    ankle, _, _ = stance(edge + inward * h * np.arange(4), hold, shape)
    if h == 0:
        return ankle[0], np.zeros(3), np.zeros(3)
    first = inward * (-11 * ankle[0] + 18 * ankle[1] - 9 * ankle[2] + 2 * ankle[3]) / (6 * h)
    second = (2 * ankle[0] - 5 * ankle[1] + 4 * ankle[2] - ankle[3]) / h**2
    return ankle[0], first * span, second * span**2
