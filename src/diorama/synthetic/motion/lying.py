"""Lying down and getting up again: from a seat round the edge onto the bed, or straight back onto the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from diorama.body.joints import JOINT_INDEX
from diorama.errors import DioramaError
from diorama.synthetic.feet import SIDES, Foothold, Roll, Swing
from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.arms import hand_rest, hand_rotation, palm_on
from diorama.synthetic.motion.carriage import upper_body
from diorama.synthetic.motion.figure import pose_joints
from diorama.synthetic.motion.plan import CHANNEL, PalmHold, SeatHold
from diorama.synthetic.motion.posing import pelvis_place
from diorama.synthetic.motion.seats import seated_feet
from diorama.synthetic.motion.sitting import ARMS, TRUNK, Points, Seated, get_up, hands_of, reversed_points, sit_down
from diorama.synthetic.motion.supine import LyingPose, aside_on_bed, head_sign, lying_columns, lying_pose

if TYPE_CHECKING:
    from diorama.synthetic.motion.timeline import Timeline

# Seconds for a person of 1.72 m, on a bed and on the ground.
_LIE_SECONDS, _RECLINE_SECONDS = 3.4, 2.4
# What arms add half-way from sitting to lying on a bed: they are held before the chest.
_HANDS_UP = (0.5, 0.5, 0.0, 0.0, 1.0, 1.0)
# The way of a foot onto a bed, for a share of the turn: distance from the hips and height above the bed, both in legs.
_LEGS_UP = ((0.0, 0.72, 0.16), (0.25, 0.78, 0.22), (0.6, 0.78, 0.22), (1.0, 0.70, 0.17))
# Before that (and last on the way back) it goes straight up, a little before the bed; legs.
_FIRST_OUT, _FIRST_UP = 0.14, 0.30
# The body is lifted by this much at the two control points of its turn, metres.
_LIFTED = (0.05, 0.06)
# Hands lie this far outside the shoulders (metres, at 1.72 m), with arms this straight.
_OUTSIDE, _STRAIGHT = 0.07, 0.94


@dataclass(frozen=True)
class Lying:
    """Somebody lying: since when and where, the glide back to sitting, and the feet's way back (ankle control points)."""

    since: float
    point: tuple[float, float, float]
    back: Points
    ways: tuple[tuple[tuple[float, float, float], ...], ...]


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
    change = (columns - seated.columns)[0, [CHANNEL[name] for name in TRUNK]]
    change[3] = np.angle(np.exp(1j * change[3]))
    points = _lying_points(change, hands_of(seated.pose.side), on_bed=not seated.pose.side.is_ground)
    seconds = (_RECLINE_SECONDS if seated.pose.side.is_ground else _LIE_SECONDS) * float(
        np.sqrt(line.walker.figure.size)
    )
    ways = () if seated.pose.side.is_ground else _legs_up(line, seated, columns, yaw, pose, point, seconds)
    line.glide(seconds, (*TRUNK, *ARMS), points)
    line.posture, line.lying = "lying", Lying(line.time, point, reversed_points(points), ways)
    line.palms.extend(_palms_down(line, columns, yaw, point[2]))


def _on_bed(line: Timeline, bed: Slab | None, seated: Seated) -> tuple[tuple[float, float, float], float]:
    """Seat site and direction of the feet of somebody who will lie along the middle of a bed."""
    side = seated.pose.side
    if bed is None or bed.kind != "bed":
        raise DioramaError("only a bed or the ground is there to lie on", where="script", fix="name the bed")
    sign = head_sign(bed, side)
    yaw = side.facing - sign * np.pi / 2
    aside = aside_on_bed(line.walker.figure, bed, side)
    if aside is None:
        raise DioramaError(f"a bed of {side.width:.2f} m is too short", where="script", fix="take a longer one")
    x, y = side.at(-side.depth / 2, aside)
    return (float(x), float(y), side.top), float(yaw)


def _lying_points(change: np.ndarray, arms: np.ndarray, *, on_bed: bool) -> Points:
    """Glide from sitting to lying; on a bed the body first turns, a little lifted, with the trunk half reclined."""
    if on_bed:
        first = change * np.array([0.2, 0.2, 0.3, 0.3, 0.25, 0.1, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.85, 0.55, 0.3, 0.0])
        first[2] += _LIFTED[0]
        second[2] += _LIFTED[1]
    else:
        first = change * np.array([0.3, 0.3, 0.3, 0.0, 0.3, 0.0, 0.0])
        second = change * np.array([0.7, 0.7, 0.7, 0.0, 0.75, 0.5, 0.0])
    first[6] -= 0.2
    up = np.array(_HANDS_UP) - arms if on_bed else -0.3 * arms
    rows = [(*first, *up), (*second, *(up if on_bed else -arms)), (*change, *-arms)]
    return tuple(tuple(float(v) for v in row) for row in rows)


def _legs_up(
    line: Timeline,
    seated: Seated,
    columns: np.ndarray,
    yaw: float,
    pose: LyingPose,
    point: Sequence[float],
    seconds: float,
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
        start = seated_feet(walker, seated.pose)[number].ground
        out_x, out_y = _FIRST_OUT * leg * np.array([np.cos(side.facing), np.sin(side.facing)])
        ankle = figure.skeleton.feet[0].ankle_height
        way = [(start[0] + float(out_x), start[1] + float(out_y), start[2] + ankle + _FIRST_UP * leg)]
        for share, out, up in _LEGS_UP:
            angle = side.facing + share * turn
            ahead, aside = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
            middle = hip[:2] + share * (columns[0, :2] - hip[:2])
            place = middle + out * leg * ahead + outward * walker.half_track * aside
            way.append((float(place[0]), float(place[1]), float(side.top + ankle + up * leg)))
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
        elbow = _triple(0.8 * outward - 0.3 * ahead + [0, 0, 0.3])
        base = PalmHold(side, line.time, np.inf, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0), _triple(ahead), elbow)
        rest = hand_rest(figure, side)
        wrist = -hand_rotation(rest, base) @ figure.site(f"{name}_palm") + [0, 0, top + rest.gap]
        down = float(shoulder[2] - wrist[2])
        out = _OUTSIDE * figure.size
        along = float(np.sqrt(max((_STRAIGHT * arm) ** 2 - down**2 - out**2, 0.01)))
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
            line.lift(
                side,
                line.time + 0.05 * seconds,
                replace(goal, on=line.time + 0.95 * seconds),
                Roll(),
                Swing(via=lying.ways[side]),
            )
    line.glide(seconds, (*TRUNK, *ARMS), lying.back)
    since = seated.since if on_ground else line.time
    line.posture, line.seated, line.lying = "sitting", replace(seated, since=since), None
    get_up(line)
