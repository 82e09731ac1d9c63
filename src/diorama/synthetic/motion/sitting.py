"""Sitting down and getting up: the trunk glides between standing and a seated pose that was found on the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from diorama.synthetic.feet import Foothold, Roll
from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.carriage import rest_channels
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.plan import CHANNEL, SeatHold, Span
from diorama.synthetic.motion.posing import standing_feet
from diorama.synthetic.motion.seats import (
    SeatedPose,
    Side,
    chosen_side,
    ground_side,
    seated_columns,
    seated_pose,
)
from diorama.synthetic.motion.supine import aside_on_bed

if TYPE_CHECKING:
    from diorama.synthetic.motion.timeline import Timeline

Points = tuple[tuple[float, ...], ...]

# Seconds for a person of 1.72 m; a high seat takes so much longer.
_SIT_SECONDS, _CLIMB = 1.7, 1.4
TRUNK = ("x", "y", "z", "yaw", "pitch", "bend", "nod")
ARMS = ("left_swing", "right_swing", "left_spread", "right_spread", "left_elbow", "right_elbow")
# What arms add when seated, and more on the way there, so that they keep off the seat.
_HANDS_ON_THIGHS = (0.30, 0.30, 0.0, 0.0, 0.48, 0.48)
_HANDS_AT_KNEES = (0.42, 0.42, 0.04, 0.04, 0.75, 0.75)
_HANDS_FORWARD = (0.45, 0.45, 0.0, 0.0, 0.6, 0.6)
# Shares of the way down at the two control points of sitting down, how far back the hips go there (of what upright
# shins allow), and how high they are lifted (metres, at 1.72 m) over the edge of a seat that is climbed.
_FIRST_DOWN, _SECOND_DOWN, _UPRIGHT, _OVER_EDGE = 0.35, 0.85, 0.9, 0.09
# Shares of that time at which each foot leaves the ground and hangs, and for which it is on tiptoe before.
_OFF_THE_GROUND, _TIPTOE = ((0.15, 0.56), (0.17, 0.60)), 0.11
# The second control point lies so much above the straight way down, metres: the seat is reached from above.
_ABOVE = 0.025
# Somebody turns before a seat this far from its edge, beyond the tips of the toes, metres.
_TURN_BEFORE = 0.14


@dataclass(frozen=True)
class Seated:
    """Somebody on a seat: how, since when (seconds), and the glide back to standing."""

    pose: SeatedPose
    since: float
    columns: Float[np.ndarray, "1 channels"]
    back: Points
    feet: tuple[Foothold, Foothold]


def sit_down(line: Timeline, seat: Slab | None, facing: float | None = None) -> None:
    """Go to the seat, turn the back to it, sit down."""
    line.need("standing")
    walker = line.walker
    if seat is None:
        pose = seated_pose(walker, ground_side(walker, line.place, line.heading))
    else:
        side = chosen_side(walker, seat, line.place, facing)
        aside = (aside_on_bed(walker.figure, seat, side) if seat.kind == "bed" else None) or 0.0
        pose = seated_pose(walker, side, aside)
        out = float(np.hypot(*(np.array(pose.stand) - side.at(0.0, aside))))
        x, y = side.at(max(out, walker.figure.toe_front + _TURN_BEFORE), aside)
        line.approach(pose.stand, side.facing, (float(x), float(y)))
    feet = (line.holds[0][-1], line.holds[1][-1])
    flat = [standing_feet(walker.figure, number, [hold]) for number, hold in enumerate(feet)]
    standing = rest_channels(walker, line.place, line.heading, line.keys[-1].values[2], flat)
    columns = seated_columns(walker.figure, pose)
    points = _sitting_points(walker.figure, standing, columns, hands_of(pose.side), climbs=pose.hanging is not None)
    seconds = _seconds(walker.figure, pose)
    line.carried.append(Span(line.time, np.inf))
    if pose.hanging is not None:
        _hang(line, pose.hanging, seconds)
    line.glide(seconds, (*TRUNK, *ARMS), points)
    line.posture, line.seated = "sitting", Seated(pose, line.time, columns, reversed_points(points), feet)


def _sitting_points(
    figure: Figure, standing: np.ndarray, columns: np.ndarray, arms: np.ndarray, *, climbs: bool
) -> Points:
    """Glide from standing to the seat: the hips go back and down over shins that stay upright, with the trunk leaning
    forward, which then rises; onto a high seat they go over its edge."""
    index = [CHANNEL[name] for name in TRUNK]
    change = (columns - standing)[0, index]
    change[3] = np.angle(np.exp(1j * change[3]))
    first, second = change * 0.0, change.copy()
    for row, down in ((first, _FIRST_DOWN), (second, _SECOND_DOWN)):
        row[:3] = change[:3] * (*(2 * [_hips_back(figure, change, down)]), down)
    if climbs:
        over = max(change[2], 0.0) + 2 * _OVER_EDGE * figure.size
        first[:3] = (0.05 * change[0], 0.05 * change[1], over)
        second[:3] = change[:3]
        second[2] += _OVER_EDGE * figure.size
    second[2] += _ABOVE * figure.size
    first[4:], second[4:] = (0.55, 0.06, -0.12), (0.30, change[5], -0.06)
    lifted = arms + np.array(_HANDS_FORWARD)
    rows = [(*first, *lifted), (*second, *lifted), (*change, *arms)]
    return tuple(tuple(float(v) for v in row) for row in rows)


def hands_of(side: Side) -> Float[np.ndarray, 6]:
    """Arm channels of somebody who sits: hands on the thighs; on the ground, at the knees."""
    return np.array(_HANDS_AT_KNEES if side.is_ground else _HANDS_ON_THIGHS)


def _hips_back(figure: Figure, change: np.ndarray, down: float) -> float:
    """Share of the way back that upright shins allow when the hips have sunk by a share of their way down."""
    thigh = figure.length("left_hip", "left_knee")
    above = thigh + down * float(change[2])
    return min(1.0, _UPRIGHT * float(np.sqrt(max(thigh**2 - above**2, 0.0)) / max(np.hypot(*change[:2]), 1e-6)))


def reversed_points(points: Points) -> Points:
    """The same glide back: control points relative to its end, the last one undoing everything."""
    rows = np.array([[0.0] * len(points[0]), *points])
    back = rows[-2::-1] - rows[-1]
    return tuple(tuple(float(v) for v in row) for row in back)


def _seconds(figure: Figure, pose: SeatedPose) -> float:
    """How long sitting down takes."""
    return _SIT_SECONDS * float(np.sqrt(figure.size)) * (1.0 if pose.hanging is None else _CLIMB)


def _hang(line: Timeline, feet: tuple[Foothold, Foothold], seconds: float) -> None:
    """The feet push off from tiptoe before the hips go back, and hang before the seat is reached."""
    for side in range(2):
        off, on = (line.time + share * seconds for share in _OFF_THE_GROUND[side])
        line.lift(side, off, replace(feet[side], on=on), Roll(0.5, 2.0, _TIPTOE * seconds))


def get_up(line: Timeline) -> None:
    """From sitting to standing, the same way back."""
    line.need("sitting")
    seated = line.seated
    assert seated is not None
    line.seats.append(SeatHold(seated.since, line.time, seated.pose.point))
    seconds = _seconds(line.walker.figure, seated.pose)
    if seated.pose.hanging is not None:
        for side in range(2):
            on, off = (line.time + (1 - share) * seconds for share in _OFF_THE_GROUND[side])
            land = replace(seated.feet[side], on=on, strike=Roll(0.5, -2.0, _TIPTOE * seconds))
            line.lift(side, off, land, Roll())
    line.glide(seconds, (*TRUNK, *ARMS), seated.back)
    line.carried[-1] = replace(line.carried[-1], end=line.time)
    line.posture, line.seated = "standing", None
