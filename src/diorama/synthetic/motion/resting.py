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
from diorama.synthetic.motion.figure import pose_joints
from diorama.synthetic.motion.plan import CHANNEL, PalmHold, SeatHold, Span
from diorama.synthetic.motion.posing import pelvis_place, standing_feet
from diorama.synthetic.motion.seats import (
    LyingPose, SeatedPose, Side, chosen_side, ground_side, lying_columns, lying_pose, seated_columns, seated_feet,
    seated_pose,
)  # fmt: skip

if TYPE_CHECKING:
    from diorama.synthetic.motion.timeline import Timeline

# Seconds for a person of 1.72 m.
_SIT_SECONDS, _LIE_SECONDS, _RECLINE_SECONDS = 1.7, 3.4, 2.4
_TRUNK = ("x", "y", "z", "yaw", "pitch", "bend", "nod")
_ARMS = ("left_swing", "right_swing", "left_spread", "right_spread", "left_elbow", "right_elbow")
# Arms of somebody who sits: hands on the thighs.
_HANDS_ON_THIGHS = (0.42, 0.42, 0.04, 0.04, 0.75, 0.75)
# Head room and foot room of somebody who lies, metres.
_ROOM = 0.05


@dataclass(frozen=True)
class Seated:
    """Somebody on a seat: how, since when (seconds), and the glide back to standing."""

    pose: SeatedPose
    since: float
    columns: Float[np.ndarray, "1 channels"]
    back: tuple[tuple[float, ...], ...]
    feet: tuple[Foothold, Foothold]


@dataclass(frozen=True)
class Lying:
    """Somebody lying: since when and where, the glide back to sitting, and the feet's way back (ankle control points)."""

    since: float
    point: tuple[float, float, float]
    back: tuple[tuple[float, ...], ...]
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
    points = _sitting_points(standing, columns)
    seconds = _SIT_SECONDS * float(np.sqrt(walker.figure.size))
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


def _sitting_points(standing: np.ndarray, columns: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Glide from standing to the seat: hips back with the trunk leaning forward, then down, then upright."""
    index = [CHANNEL[name] for name in _TRUNK]
    change = (columns - standing)[0, index]
    change[3] = np.angle(np.exp(1j * change[3]))
    first = change * np.array([0.5, 0.5, 0.14, 0.3, 0, 0.5, 0])
    second = change * np.array([1.0, 1.0, 0.75, 0.7, 0, 1.0, 0])
    first[4], second[4], first[6], second[6] = 0.55, 0.30, -0.12, -0.06
    arms = np.array(_HANDS_ON_THIGHS)
    rows = [(*first, *(0.5 * arms)), (*second, *arms), (*change, *arms)]
    return tuple(tuple(float(v) for v in row) for row in rows)


def _reversed(points: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """The same glide back: control points relative to its end, the last one undoing everything."""
    rows = np.array([[0.0] * len(points[0]), *points])
    back = rows[-2::-1] - rows[-1]
    return tuple(tuple(float(v) for v in row) for row in back)


def _hang(line: Timeline, feet: tuple[Foothold, Foothold], seconds: float) -> None:
    """The feet push off from tiptoe half-way and hang when the seat is reached."""
    for side in range(2):
        off, on = line.time + (0.42 + 0.05 * side) * seconds, line.time + (0.95 + 0.05 * side) * seconds
        line.lift(side, off, replace(feet[side], on=on), Roll(0.5, 1.5, 0.25 * seconds))


def get_up(line: Timeline) -> None:
    """From sitting to standing, the same way back."""
    line.need("sitting")
    seated = line.seated
    assert seated is not None
    line.seats.append(SeatHold(seated.since, line.time, seated.pose.point))
    seconds = _SIT_SECONDS * float(np.sqrt(line.walker.figure.size))
    if seated.pose.hanging is not None:
        for side in range(2):
            off, on = line.time + (0.05 * side) * seconds, line.time + (0.53 + 0.05 * side) * seconds
            line.lift(side, off, replace(seated.feet[side], on=on, strike=Roll(0.5, -1.5, 0.25 * seconds)), Roll())
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
    points = _lying_points(change, on_bed=not seated.pose.side.is_ground)
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


def _lying_points(change: np.ndarray, *, on_bed: bool) -> tuple[tuple[float, ...], ...]:
    """Glide from sitting to lying; on a bed the body first turns, a little lifted, with the trunk half reclined."""
    if on_bed:
        first = change * np.array([0.2, 0.2, 0.3, 0.3, 0.25, 0.1, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.85, 0.55, 0.3, 0.0])
        first[2] += 0.05
        second[2] += 0.06
    else:
        first = change * np.array([0.3, 0.3, 0.3, 0.0, 0.3, 0.0, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.0, 0.75, 0.5, 0.0])
    arms = -np.array(_HANDS_ON_THIGHS)
    first[6] -= 0.2
    rows = [(*first, *(0.3 * arms)), (*second, *arms), (*change, *arms)]
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
