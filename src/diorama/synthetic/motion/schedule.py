"""When the feet come and go, and where the body is meanwhile: steps become footholds and keys for smooth curves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from diorama.synthetic.feet import Foothold, Roll
from diorama.synthetic.motion.steps import Step, Walker
from diorama.synthetic.motion.strides import GRAVITY, Stride
from diorama.synthetic.motion.swings import barrier

# Columns of a body key: place, height of the ground, heading, phase of the arms' cycle, trunk, arms, pelvis.
KEY_COLUMNS = ("x", "y", "ground", "heading", "phase", "lean", "swing", "elbow", "amount")
# How far the body's key goes from the middle towards the standing foot; the curve takes a third of it.
_SWAY = 0.6
_STRIKE_PITCH, _LEAVE_PITCH = -0.26, 1.0
_STRIKE_SPEED, _LEAVE_SPEED = 0.65, 2.5
_STRIKE_SHARE, _LEAVE_SHARE = 0.20, 0.54


@dataclass(frozen=True)
class BodyKey:
    """What the body tends to at a time (seconds); `values` in the order of `KEY_COLUMNS`."""

    time: float
    values: tuple[float, ...]


@dataclass(frozen=True)
class Flight:
    """Neither foot stands from `start` to `end` (seconds)."""

    start: float
    end: float

    @property
    def middle(self) -> float:
        """When the body is highest."""
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class Bout:
    """Steps from standing to standing, in time.

    Attributes:
        holds: footholds per side, the first is left, the last stands on.
        keys: for the body, in order of time.
        flights: all of them.
        end: when all is at rest again, seconds.
    """

    holds: tuple[tuple[Foothold, ...], tuple[Foothold, ...]]
    keys: tuple[BodyKey, ...]
    flights: tuple[Flight, ...]
    end: float


def scheduled(walker: Walker, start: float, feet: tuple[Foothold, Foothold], body: BodyKey, steps: list[Step]) -> Bout:
    """Steps that begin at `start` (seconds) from standing feet, with the body as the last key says."""
    strikes = _strikes(start, steps)
    holds: tuple[list[Foothold], list[Foothold]] = ([feet[0]], [feet[1]])
    for k, (step, strike) in enumerate(zip(steps, strikes, strict=True)):
        mine = holds[step.side]
        lifted = mine[-1].off if k > 1 else strike - step.stride.carried if k == 0 else strikes[0] + _overlap(steps[0])
        leave, land = replace(mine[-1], off=lifted), replace(step.hold, on=strike)
        mine[-1], landed = _linked(walker, leave, land, step.stride, start)
        off = strikes[k + 1] + _overlap(steps[k + 1]) if k + 1 < len(steps) else np.inf
        mine.append(replace(landed, off=off if k + 2 < len(steps) else np.inf))
    keys = _keys(walker, start, feet, body, steps, strikes)
    return Bout((tuple(holds[0]), tuple(holds[1])), keys, _flights(steps, strikes), keys[-1].time)


def _overlap(step: Step) -> float:
    return step.stride.overlap


def _strikes(start: float, steps: list[Step]) -> list[float]:
    """Time of each strike; the body leans over before the first foot is lifted."""
    first = steps[0].stride
    strikes = [start + 2 * first.seconds - first.middle]
    for step in steps[1:]:
        strikes.append(strikes[-1] + step.stride.seconds)
    return strikes


def _linked(walker: Walker, leave: Foothold, land: Foothold, plan: Stride, start: float) -> tuple[Foothold, Foothold]:
    """Both footholds with the rolls that suit the way between them."""
    way = float(np.hypot(land.ground[0] - leave.ground[0], land.ground[1] - leave.ground[1]))
    up, down = barrier(walker.layout, leave, land)
    # Textbook angles belong to a normal stride (1.44 legs); in short ones the foot rolls less.
    amount = float(np.clip(way / (1.44 * walker.figure.leg), 0.2, 1.05))
    seconds = plan.seconds
    leaving = _rolled(_LEAVE_PITCH, _LEAVE_SPEED, _LEAVE_SHARE * (0.6 if plan.running else 1.0), amount, seconds)
    tipped = min(amount, -walker.figure.steepest_heel / _STRIKE_PITCH)
    striking = _rolled(_STRIKE_PITCH, _STRIKE_SPEED, _STRIKE_SHARE, tipped, seconds)
    if plan.running:
        striking = Roll(-0.10, 0.4 / seconds, 0.12 * seconds)
    if up:
        leaving = _rolled(_LEAVE_PITCH, _LEAVE_SPEED, _LEAVE_SHARE, min(amount, 0.6), seconds)
        striking = Roll()
    if down:
        striking = Roll(0.35, -1.6 / seconds, 0.24 * seconds) if land.ground[2] < leave.ground[2] - 0.05 else Roll()
        leaving = _rolled(_LEAVE_PITCH, _LEAVE_SPEED, _LEAVE_SHARE, min(amount, 0.5), seconds)
    if not leave.toe:
        leaving = Roll()
    if not (land.heel and land.toe):
        striking = Roll()
    # A short stance (that of a runner who begins to walk) leaves little time to roll, and so does standing until now.
    room = 0.6 * (leave.off - leave.on) if leave.on > start else 0.9 * (leave.off - start)
    return replace(leave, leave=replace(leaving, seconds=min(leaving.seconds, room))), replace(land, strike=striking)


def _rolled(pitch: float, speed: float, share: float, amount: float, seconds: float) -> Roll:
    return Roll(pitch * amount, speed * amount / seconds, share * seconds)


def _keys(
    walker: Walker,
    start: float,
    feet: tuple[Foothold, Foothold],
    body: BodyKey,
    steps: list[Step],
    strikes: list[float],
) -> tuple[BodyKey, ...]:
    """Rest, over the standing foot, one key per step above its foot, and rest again."""
    rest = np.array(body.values)
    first = steps[0]
    period = first.stride.seconds
    phase = _next_phase(rest[4], first.side)
    rest[4] = phase - 0.5
    over = np.array(_over(tuple(rest[:2]), feet[1 - first.side]))
    keys = [
        (start, rest), (start + period / 2, rest),
        (start + period, np.concatenate([over, rest[2:]])),
    ]  # fmt: skip
    for k, (step, strike) in enumerate(zip(steps, strikes, strict=True)):
        last = k == len(steps) - 1
        plan, ground = step.stride, float(walker.layout.ground_height(np.array([step.centre]))[0])
        place = step.centre if last else _over(step.centre, step.hold)
        ground = ground if last else step.hold.ground[2]
        amounts = (0.0, 0.0, walker.manner.elbow, 0.0) if last else (plan.lean, plan.swing, plan.elbow, plan.amount)
        values = (*place, ground, step.heading, phase + 0.5 * k, *amounts)
        keys.append((strike + plan.middle, np.array(values)))
    end, values = keys[-1]
    keys.append((end + steps[-1].stride.seconds / 2, values))
    return tuple(BodyKey(float(time), tuple(float(v) for v in row)) for time, row in keys)


def _next_phase(phase: float, side: int) -> float:
    """The next phase at which the foot of a side strikes: whole for the left, half for the right."""
    return float(np.ceil(phase + 0.5 - 0.5 * side)) + 0.5 * side


def _over(centre: tuple[float, float], hold: Foothold) -> tuple[float, float]:
    return (
        centre[0] + _SWAY * (hold.ground[0] - centre[0]),
        centre[1] + _SWAY * (hold.ground[1] - centre[1]),
    )


def _flights(steps: list[Step], strikes: list[float]) -> tuple[Flight, ...]:
    return tuple(
        Flight(strike + step.stride.overlap, strike)
        for step, strike in zip(steps, strikes, strict=True)
        if step.stride.overlap < 0
    )


def bounce(times: Float[np.ndarray, " n"], flights: tuple[Flight, ...]) -> Float[np.ndarray, " n"]:
    """Height (metres, at most 0) of a runner's pelvis below its highest points: free fall in every flight, and between
    two of them a push of the ground that rises and falls like a half sine, so that height is twice differentiable.

    Before the first and after the last flight the bounce of one more step fades.
    """
    out = np.zeros(len(times))
    for run in _runs(flights):
        first, last = run[0], run[-1]
        step = run[1].middle - first.middle if len(run) > 1 else 3 * (first.end - first.start)
        before = Flight(first.start - step, first.end - step)
        after = Flight(last.start + step, last.end + step)
        for one, two in zip((before, *run), (*run, after), strict=True):
            rows = (times >= one.middle) & (times < two.middle)
            t = times[rows]
            height = _push(t, one, two)
            if one is before:
                height *= _fade((t - one.middle) / (two.start - one.middle))
            if two is after:
                height *= _fade((two.middle - t) / (two.middle - one.end))
            out[rows] = height
    return out


def _runs(flights: tuple[Flight, ...]) -> list[list[Flight]]:
    """Flights of steps that follow each other."""
    runs: list[list[Flight]] = []
    for flight in flights:
        if runs and flight.start - runs[-1][-1].end < 0.6:
            runs[-1].append(flight)
        else:
            runs.append([flight])
    return runs


def _fade(u: np.ndarray) -> Float[np.ndarray, " n"]:
    u = np.clip(u, 0, 1)
    return u**3 * (10 - 15 * u + 6 * u * u)


def _push(times: np.ndarray, one: Flight, two: Flight) -> Float[np.ndarray, " n"]:
    """Height between the middles of two flights, 0 at the first; starts and ends at rest."""
    contact = two.start - one.end
    fall = one.end - one.middle
    rise = two.middle - two.start
    force = GRAVITY * (two.middle - one.middle) * np.pi / (2 * contact)
    speed = -GRAVITY * fall
    t = times - one.end
    pushed = force * contact / np.pi * (t - contact / np.pi * np.sin(np.pi * t / contact))
    standing = -GRAVITY * fall**2 / 2 + speed * t - GRAVITY * t**2 / 2 + pushed
    height = np.where(t < 0, -GRAVITY * (times - one.middle) ** 2 / 2, standing)
    # Unequal flights would end at another height: the difference is spread over the push.
    late = t > contact
    takeoff = -GRAVITY * fall**2 / 2 + speed * contact - GRAVITY * contact**2 / 2 + force * contact**2 / np.pi
    height = height + (-GRAVITY * rise**2 / 2 - takeoff) * _fade(t / contact)
    return np.where(late, -GRAVITY * (two.middle - times) ** 2 / 2, height)
