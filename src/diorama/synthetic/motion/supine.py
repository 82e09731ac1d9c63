"""How somebody lies on the back with bent knees, found on the person's own skin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.synthetic.feet import Foothold, FootMotion, pitched, upright
from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.plan import CHANNEL, CHANNELS
from diorama.synthetic.motion.posing import skin_of, standing_feet
from diorama.synthetic.motion.seats import Side
from diorama.synthetic.motion.steps import Walker

# How deep the skin of pelvis and back may be in the bed, metres.
_PRESSED, _PRESSED_BACK = 0.003, 0.0015
# Distance along the body from the seat site to the ankles, in lengths of thigh and shin; room beyond head and toes, metres.
_REACH, _ROOM = 0.62, 0.05


@dataclass(frozen=True)
class LyingPose:
    """Supine with bent knees: angles (radians) that lay pelvis, back and head of this person on a plane.

    `reach` is the distance from the seat site to the ankles along the body, metres."""

    pitch: float
    bend: float
    nod: float
    reach: float


def lying_pose(walker: Walker) -> LyingPose:
    """Found by bisection on the skin: pelvis, then spine, then head."""
    figure = walker.figure
    feet = _feet_of_lying(walker)
    pitch = _solved(
        lambda value: _PRESSED + _lowest(walker, feet, value, 0.0, 0.0, "pelvis", "left_hip", "right_hip"), -1.57, -0.9
    )
    trunk = ("spine1", "spine2", "spine3", "left_collar", "right_collar")
    bend = _solved(lambda value: _PRESSED_BACK + _lowest(walker, feet, pitch, value, 0.0, *trunk), -0.35, 0.2)
    nod = _solved(lambda value: _lowest(walker, feet, pitch, bend, value, "head"), -0.45, 0.3)
    return LyingPose(pitch, bend, nod, reach_of(figure))


def reach_of(figure: Figure) -> float:
    """Distance along the body from the seat site to the ankles of somebody who lies, metres."""
    return _REACH * figure.length("left_hip", "left_knee", "left_ankle")


def head_sign(bed: Slab, side: Side) -> float:
    """Whether the head's end of a bed is to the left (1) or right (-1) of somebody who sits on this side.

    It is the end towards the bed's own -X, or -Y if that is the long way."""
    end = bed.yaw + (np.pi if bed.size[0] >= bed.size[1] else -np.pi / 2)
    return 1.0 if np.sin(end - side.facing) > 0 else -1.0


def aside_on_bed(figure: Figure, bed: Slab, side: Side) -> float | None:
    """How far to the left of the edge's middle (metres) to sit so that lying down fills the bed; None if it is short."""
    top = float(figure.skin.rest[:, 1].max() - figure.skeleton.joints[0, 1] - figure.site("seat")[1])
    head, feet = top + _ROOM, reach_of(figure) + figure.toe_front + _ROOM
    if head + feet > side.width:
        return None
    return head_sign(bed, side) * (feet - head) / 2


def _solved(gap: Callable[[float], float], low: float, high: float) -> float:
    """Where a gap that grows with its argument is zero (the nearer end if it is nowhere)."""
    for _ in range(18):
        middle = (low + high) / 2
        low, high = (middle, high) if gap(middle) < 0 else (low, middle)
    return (low + high) / 2


def _feet_of_lying(walker: Walker) -> list[FootMotion]:
    reach = reach_of(walker.figure)
    holds = [Foothold((reach, sign * walker.half_track, 0.0), 0.0) for sign in (1, -1)]
    return [standing_feet(walker.figure, side, [hold]) for side, hold in enumerate(holds)]


def lying_columns(
    figure: Figure, point: Sequence[float], yaw: float, pose: LyingPose
) -> Float[np.ndarray, "1 channels"]:
    """The body's channels when lying with the seat site at a point and the feet towards `yaw`."""
    turn = upright(np.array(yaw)) @ pitched(np.array(pose.pitch))
    pelvis = np.array(point) - turn @ figure.site("seat")
    columns = np.zeros((1, len(CHANNELS)))
    names = ("x", "y", "z", "yaw", "pitch", "bend", "nod")
    columns[0, [CHANNEL[name] for name in names]] = (*pelvis, yaw, pose.pitch, pose.bend, pose.nod)
    return columns


def _lowest(walker: Walker, feet: Sequence[FootMotion], pitch: float, bend: float, nod: float, *owners: str) -> float:
    """Lowest skin of some joints above a plane on which the seat site lies, metres."""
    columns = lying_columns(walker.figure, (0.0, 0.0, 0.0), 0.0, LyingPose(pitch, bend, nod, 0.0))
    return float(skin_of(walker.figure, columns, feet, walker.manner.arm_down, *owners)[..., 2].min())
