"""Sitting down, getting up, lying down: the trunk glides between poses that were found on the skin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from diorama.body.joints import JOINT_INDEX
from diorama.errors import DioramaError
from diorama.synthetic.feet import SIDES, Foothold, Roll, Swing
from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.arms import hand_rest, hand_rotation, palm_on
from diorama.synthetic.motion.carriage import rest_channels, upper_body
from diorama.synthetic.motion.figure import Figure, pose_joints
from diorama.synthetic.motion.plan import CHANNEL, PalmHold, SeatHold, Span
from diorama.synthetic.motion.posing import pelvis_place, standing_feet
from diorama.synthetic.motion.seats import (
    LyingPose, SeatedPose, Side, chosen_side, ground_side, lying_columns, lying_pose, seated_columns, seated_feet,
    seated_pose,
)  # fmt: skip

if TYPE_CHECKING:
    from diorama.synthetic.motion.timeline import Timeline

Points = tuple[tuple[float, ...], ...]

# Seconds for a person of 1.72 m.
_SIT_SECONDS, _LIE_SECONDS, _RECLINE_SECONDS = 1.7, 3.4, 2.4
# A high seat takes so much longer.
_CLIMB = 1.4
_TRUNK = ("x", "y", "z", "yaw", "pitch", "bend", "nod")
_ARMS = ("left_swing", "right_swing", "left_spread", "right_spread", "left_elbow", "right_elbow")
# What arms add when seated, more on the way there, and half-way from sitting to lying on a bed: they keep off the seat.
_HANDS_ON_THIGHS = (0.30, 0.30, 0.0, 0.0, 0.48, 0.48)
_HANDS_AT_KNEES = (0.42, 0.42, 0.04, 0.04, 0.75, 0.75)
_HANDS_FORWARD = (0.45, 0.45, 0.0, 0.0, 0.6, 0.6)
_HANDS_UP = (0.5, 0.5, 0.0, 0.0, 1.0, 1.0)
# Shares of the way down at the two control points of sitting down, how far back the hips go there (of what upright
# shins allow), and how high they are lifted (metres, at 1.72 m) over the edge of a seat that is climbed.
_FIRST_DOWN, _SECOND_DOWN, _UPRIGHT, _OVER_EDGE = 0.35, 0.85, 0.9, 0.09
# The second control point lies so much above the straight way down, metres: the seat is reached from above.
_ABOVE = 0.025
# Head room and foot room of somebody who lies, metres.
_ROOM = 0.05


@dataclass(frozen=True)
class Seated:
    """Somebody on a seat: how, since when (seconds), and the glide back to standing."""

    pose: SeatedPose
    since: float
    columns: Float[np.ndarray, "1 channels"]
    back: Points
    feet: tuple[Foothold, Foothold]


@dataclass(frozen=True)
class Lying:
    """Somebody lying: since when and where, the glide back to sitting, and the feet's way back (ankle control points)."""

    since: float
    point: tuple[float, float, float]
    back: Points
    ways: tuple[tuple[tuple[float, float, float], ...], ...]


def sit_down(line: Timeline, seat: Slab | None, facing: float | None = None) -> None:
    """Go to the seat, turn the back to it, sit down."""
    line.need("standing")
    walker = line.walker
    if seat is None:
        side, aside = ground_side(walker, line.place, line.heading), 0.0
    else:
        side = chosen_side(walker, seat, line.place, facing)
        aside = _aside(line, seat, side)
    pose = seated_pose(walker, side, aside)
    if seat is not None:
        far = max(float(np.hypot(*(np.array(pose.stand) - side.at(0.0, aside)))), walker.figure.toe_front + 0.14)
        x, y = side.at(far, aside)
        line.approach(pose.stand, side.facing, (float(x), float(y)))
    feet = (line.holds[0][-1], line.holds[1][-1])
    ground = line.keys[-1].values[2]
    standing = rest_channels(walker, line.place, line.heading, ground, [standing_feet(walker.figure, k, [f]) for k, f in enumerate(feet)])
    columns = seated_columns(walker.figure, pose)
    points = _sitting_points(walker.figure, standing, columns, _arms(side), climbs=pose.hanging is not None)
    seconds = _seconds(walker.figure, pose)
    line.carried.append(Span(line.time, np.inf))
    if pose.hanging is not None:
        _hang(line, pose.hanging, seconds)
    line.glide(seconds, (*_TRUNK, *_ARMS), points)
    line.posture, line.seated = "sitting", Seated(pose, line.time, columns, _reversed(points), feet)


def _aside(line: Timeline, seat: Slab, side: Side) -> float:
    """Where along the edge: the middle; on a bed, so that the head will lie towards its own -X (or -Y) end."""
    if seat.kind != "bed":
        return 0.0
    head, feet = _lengths(line)
    if head + feet > side.width:
        raise DioramaError(
            f"a bed of {side.width:.2f} m is too short to lie on", where="script", fix=f"one of {head + feet:.2f} m"
        )
    return _head_sign(seat, side) * (side.width / 2 - head - (side.width - head - feet) / 2)


def _head_sign(seat: Slab, side: Side) -> float:
    """Whether the head end lies to the left (1) or right (-1) of somebody who sits on this side."""
    end = seat.yaw + (np.pi if seat.size[0] >= seat.size[1] else -np.pi / 2)
    return 1.0 if np.sin(end - side.facing) > 0 else -1.0


def _lengths(line: Timeline) -> tuple[float, float]:
    """From the seat site to the top of the head and to the tips of the toes when lying, metres."""
    figure = line.walker.figure
    top = float(figure.skin.rest[:, 1].max() - figure.skeleton.joints[0, 1] - figure.site("seat")[1])
    reach = 0.62 * figure.length("left_hip", "left_knee", "left_ankle")
    return top + _ROOM, reach + figure.toe_front + _ROOM


def _sitting_points(
    figure: Figure, standing: np.ndarray, columns: np.ndarray, arms: np.ndarray, *, climbs: bool
) -> Points:
    """Glide from standing to the seat: the hips go back and down over shins that stay upright, with the trunk leaning
    forward, which then rises; onto a high seat they go over its edge."""
    index = [CHANNEL[name] for name in _TRUNK]
    change = (columns - standing)[0, index]
    change[3] = np.angle(np.exp(1j * change[3]))
    first, second = change * 0.0, change.copy()
    for row, down in ((first, _FIRST_DOWN), (second, _SECOND_DOWN)):
        row[:3] = change[:3] * (*(2 * [_hips_back(figure, change, down)]), down)
    if climbs:
        first[:3] = change[:3] * (0.05, 0.05, 0.0) + (0, 0, 2 * _OVER_EDGE * figure.size)
        second[:3] = change[:3] + (0, 0, _OVER_EDGE * figure.size)
    second[2] += _ABOVE * figure.size
    first[4:], second[4:] = (0.55, 0.06, -0.12), (0.30, change[5], -0.06)
    lifted = arms + np.array(_HANDS_FORWARD)
    rows = [(*first, *lifted), (*second, *lifted), (*change, *arms)]
    return tuple(tuple(float(v) for v in row) for row in rows)


def _arms(side: Side) -> Float[np.ndarray, 6]:
    """Arm channels of somebody who sits: hands on the thighs; on the ground, at the knees."""
    return np.array(_HANDS_AT_KNEES if side.is_ground else _HANDS_ON_THIGHS)


def _hips_back(figure: Figure, change: np.ndarray, down: float) -> float:
    """Share of the way back that upright shins allow when the hips have sunk by a share of their way down."""
    thigh = figure.length("left_hip", "left_knee")
    above = thigh + down * float(change[2])
    return min(1.0, _UPRIGHT * float(np.sqrt(max(thigh**2 - above**2, 0.0)) / max(np.hypot(*change[:2]), 1e-6)))


def _reversed(points: Points) -> Points:
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
        off, on = line.time + (0.22 + 0.03 * side) * seconds, line.time + (0.80 + 0.03 * side) * seconds
        line.lift(side, off, replace(feet[side], on=on), Roll(0.5, 2.0, 0.2 * seconds))


def get_up(line: Timeline) -> None:
    """From sitting to standing, the same way back."""
    line.need("sitting")
    seated = line.seated
    assert seated is not None
    line.seats.append(SeatHold(seated.since, line.time, seated.pose.point))
    seconds = _seconds(line.walker.figure, seated.pose)
    if seated.pose.hanging is not None:
        for side in range(2):
            off, on = line.time + (0.17 + 0.03 * side) * seconds, line.time + (0.75 + 0.03 * side) * seconds
            line.lift(side, off, replace(seated.feet[side], on=on, strike=Roll(0.5, -2.0, 0.2 * seconds)), Roll())
    line.glide(seconds, (*_TRUNK, *_ARMS), seated.back)
    line.carried[-1] = replace(line.carried[-1], end=line.time)
    line.posture, line.seated = "standing", None


def lie_down(line: Timeline, bed: Slab | None) -> None:
    """From sitting (after sitting down, from standing) to lying on the back with bent knees."""
    if line.posture == "standing":
        sit_down(line, bed)
    line.need("sitting")
    seated = line.seated
    assert seated is not None
    pose = lying_pose(line.walker)
    if seated.pose.side.is_ground:
        point, yaw = seated.pose.point, seated.pose.side.facing
    else:
        point, yaw = _on_bed(line, bed, seated)
        line.seats.append(SeatHold(seated.since, line.time, seated.pose.point))
    columns = lying_columns(line.walker.figure, point, yaw, pose)
    change = (columns - seated.columns)[0, [CHANNEL[name] for name in _TRUNK]]
    change[3] = np.angle(np.exp(1j * change[3]))
    points = _lying_points(change, _arms(seated.pose.side), on_bed=not seated.pose.side.is_ground)
    seconds = (_RECLINE_SECONDS if seated.pose.side.is_ground else _LIE_SECONDS) * float(np.sqrt(line.walker.figure.size))
    ways = () if seated.pose.side.is_ground else _legs_up(line, seated, columns, yaw, pose, point, seconds)
    line.glide(seconds, (*_TRUNK, *_ARMS), points)
    line.posture, line.lying = "lying", Lying(line.time, point, _reversed(points), ways)
    line.palms.extend(_palms_down(line, columns, yaw, point[2]))


def _on_bed(line: Timeline, bed: Slab | None, seated: Seated) -> tuple[tuple[float, float, float], float]:
    """Seat site and direction of the feet of somebody who will lie along the middle of a bed."""
    side = seated.pose.side
    if bed is None or bed.kind != "bed":
        raise DioramaError("only a bed or the ground is there to lie on", where="script", fix="name the bed")
    sign = _head_sign(bed, side)
    yaw = side.facing - sign * np.pi / 2
    x, y = side.at(-side.depth / 2, _aside(line, bed, side))
    return (float(x), float(y), side.top), float(yaw)


def _lying_points(change: np.ndarray, arms: np.ndarray, *, on_bed: bool) -> Points:
    """Glide from sitting to lying; on a bed the body first turns, a little lifted, with the trunk half reclined."""
    if on_bed:
        first = change * np.array([0.2, 0.2, 0.3, 0.3, 0.25, 0.1, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.85, 0.55, 0.3, 0.0])
        first[2] += 0.05
        second[2] += 0.06
    else:
        first = change * np.array([0.3, 0.3, 0.3, 0.0, 0.3, 0.0, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.0, 0.75, 0.5, 0.0])
    first[6] -= 0.2
    up = np.array(_HANDS_UP) - arms if on_bed else -0.3 * arms
    rows = [(*first, *up), (*second, *(up if on_bed else -arms)), (*change, *-arms)]
    return tuple(tuple(float(v) for v in row) for row in rows)


def _legs_up(
    line: Timeline, seated: Seated, columns: np.ndarray, yaw: float, pose: LyingPose, point: Sequence[float], seconds: float
) -> tuple[tuple[tuple[float, float, float], ...], ...]:
    """The feet leave the ground (or the air), are carried round over the edge, and stand on the bed."""
    walker, figure = line.walker, line.walker.figure
    hip, side = pelvis_place(seated.columns)[0], seated.pose.side
    turn = float(np.angle(np.exp(1j * (yaw - side.facing))))
    leg = figure.length("left_hip", "left_knee", "left_ankle")
    ways = []
    for number in range(2):
        outward = 1 if number == 0 else -1
        left = outward * walker.half_track * np.array([-np.sin(yaw), np.cos(yaw)])
        x, y = np.array(point[:2]) + pose.reach * np.array([np.cos(yaw), np.sin(yaw)]) + left
        land = Foothold((float(x), float(y), side.top), yaw + outward * walker.manner.toe_out)
        way = []
        for share, out, up in ((0.0, 0.72, 0.16), (0.25, 0.78, 0.22), (0.6, 0.78, 0.22), (1.0, 0.70, 0.17)):
            angle = side.facing + share * turn
            ahead, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
            middle = hip[:2] + share * (columns[0, :2] - hip[:2])
            place = middle + out * leg * ahead + outward * walker.half_track * aside
            way.append((float(place[0]), float(place[1]), float(side.top + figure.skeleton.feet[0].ankle_height + up * leg)))
        # The outer leg goes first: the foot on the side of the turn.
        late = 0.06 if (turn > 0) == (number == 1) else 0.0
        line.lift(
            number, line.time + (0.05 + late) * seconds, replace(land, on=line.time + (0.9 + late) * seconds), Roll(),
            Swing(via=tuple(way)),
        )  # fmt: skip
        ways.append(tuple(way[::-1]))
    return tuple(ways)


def _palms_down(line: Timeline, columns: np.ndarray, yaw: float, top: float) -> list[PalmHold]:
    """Both palms on the bed or ground beside the hips; they leave when the person gets up."""
    figure = line.walker.figure
    pelvis = pelvis_place(columns)
    joints, _ = pose_joints(figure.skeleton.joints, upper_body(columns, line.walker.manner.arm_down), pelvis)
    ahead, left = np.array([np.cos(yaw), np.sin(yaw), 0.0]), np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    holds = []
    for side, name in enumerate(SIDES):
        outward = (1 if side == 0 else -1) * left
        shoulder = joints[0, JOINT_INDEX[f"{name}_shoulder"]]
        arm = figure.length(f"{name}_shoulder", f"{name}_elbow", f"{name}_wrist")
        base = PalmHold(
            side, line.time, np.inf, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), _triple(ahead), _triple(0.8 * outward - 0.3 * ahead + [0, 0, 0.3]),
        )  # fmt: skip
        rest = hand_rest(figure, side)
        wrist = -hand_rotation(rest, base) @ figure.site(f"{name}_palm") + [0, 0, top + rest.gap]
        down = float(shoulder[2] - wrist[2])
        out = 0.07 * figure.size
        along = float(np.sqrt(max((0.94 * arm) ** 2 - down**2 - out**2, 0.01)))
        wanted = shoulder * [1, 1, 0] + along * ahead + out * outward
        spot = wanted - (wrist - [0, 0, wrist[2]])
        holds.append(replace(base, point=palm_on(figure, side, (spot[0], spot[1], top), (0.0, 0.0, 1.0))))
    return holds


def _triple(vector: np.ndarray) -> tuple[float, float, float]:
    unit = vector / np.linalg.norm(vector)
    return float(unit[0]), float(unit[1]), float(unit[2])


def open_seats(line: Timeline) -> list[SeatHold]:
    """The seat site of somebody who still sits or lies when the script ends."""
    if line.seated is None:
        return []
    if line.lying is not None and not line.seated.pose.side.is_ground:
        return [SeatHold(line.lying.since, np.inf, line.lying.point)]
    return [SeatHold(line.seated.since, np.inf, line.seated.pose.point)]


def get_up_from_lying(line: Timeline) -> None:
    """Back to sitting, and up."""
    line.need("lying")
    seated, lying = line.seated, line.lying
    assert seated is not None and lying is not None
    line.palms[-2:] = [replace(hold, off=line.time) for hold in line.palms[-2:]]
    on_ground = seated.pose.side.is_ground
    seconds = (_RECLINE_SECONDS if on_ground else _LIE_SECONDS) * float(np.sqrt(line.walker.figure.size))
    if not on_ground:
        line.seats.append(SeatHold(lying.since, line.time, lying.point))
        for side in range(2):
            goal = seated_feet(line.walker, seated.pose)[side]
            line.lift(side, line.time + 0.05 * seconds, replace(goal, on=line.time + 0.95 * seconds), Roll(), Swing(via=lying.ways[side]))
    line.glide(seconds, (*_TRUNK, *_ARMS), lying.back)
    since = seated.since if on_ground else line.time
    line.posture, line.seated, line.lying = "sitting", replace(seated, since=since), None
    get_up(line)
