"""A hand on a wall or a table: where to stand, how far to lean, and where the palm goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from diorama.body.joints import JOINT_INDEX
from diorama.errors import DioramaError
from diorama.synthetic.feet import SIDES, Foothold
from diorama.synthetic.motion.actions import LeanHand
from diorama.synthetic.motion.arms import hand_rest, hand_rotation
from diorama.synthetic.motion.carriage import legs_excess, rest_channels, upper_body
from diorama.synthetic.motion.figure import pose_joints
from diorama.synthetic.motion.plan import CHANNEL, PalmHold
from diorama.synthetic.motion.posing import pelvis_place, standing_feet
from diorama.synthetic.motion.seats import Side, chosen_side
from diorama.synthetic.motion.steps import Walker

if TYPE_CHECKING:
    from diorama.synthetic.motion.timeline import Timeline

# Channels of a lean, and what a whole lean adds: the hips go back (in legs) while pelvis and spine bend forward.
LEAN_CHANNELS = ("x", "y", "z", "pitch", "bend", "nod")
_HIPS_BACK, _PITCH, _BEND, _NOD = -0.12, 0.72, 0.2, -0.3
_WALL_LEAN = 0.12
# A resting arm is this straight.
_STRAIGHT = 0.93
# Free air before the toes, how far from the edge of a table the palm lies, and how far outside the shoulder, metres.
_BEFORE, _ON_TABLE, _OUTSIDE = 0.03, 0.10, 0.05
_SECONDS, _PAUSE, _REACH = 1.1, 0.25, 1.2
# One turns to the surface this far before where one stands to lean, metres.
_STEP_UP = 0.22


@dataclass(frozen=True)
class Lean:
    """How somebody who looks along +X and stands at the origin leans on a surface that begins at x = `ahead`.

    `amount` is the share of a whole lean; lengths in metres, z above the ground."""

    ahead: float
    amount: float
    change: tuple[float, ...]
    palm: Float[np.ndarray, 3]
    normal: Float[np.ndarray, 3]
    fingers: Float[np.ndarray, 3]
    elbow: Float[np.ndarray, 3]

    def turned(self, heading: float) -> tuple[float, ...]:
        """What is added to `LEAN_CHANNELS` of somebody who looks along `heading` (radians from +X)."""
        back = self.change[0]
        return back * float(np.cos(heading)), back * float(np.sin(heading)), *self.change[1:]

    def palm_hold(
        self, place: tuple[float, float, float], heading: float, number: int, on: float, off: float
    ) -> PalmHold:
        """The hold in the world, for somebody who stands at `place` (the ground there, metres) and looks along
        `heading`; `number` is the hand in the order of `SIDES`, planted from `on` to `off` (seconds)."""
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
        vectors = (np.array(place) + turn @ self.palm, turn @ self.normal, turn @ self.fingers, turn @ self.elbow)
        point, normal, fingers, elbow = ((float(v[0]), float(v[1]), float(v[2])) for v in vectors)
        return PalmHold(number, on, off, point, normal, fingers, elbow, reach=_REACH)


def lean_hand(line: Timeline, action: LeanHand) -> None:
    """Go there, lean, put the palm down, stay, and come back."""
    line.need("standing")
    walker, number = line.walker, SIDES.index(action.side)
    face = chosen_side(walker, action.slab, line.place, None)
    ground = float(walker.layout.ground_height(face.at(0.4)[None])[0])
    lean = _on_wall(walker, number) if action.slab.kind == "wall" else lean_on_top(walker, number, face.top - ground)
    aside = _aside(line, face)
    x, y = face.at(lean.ahead, aside)
    far_x, far_y = face.at(lean.ahead + _STEP_UP * walker.figure.size, aside)
    line.approach((float(x), float(y)), face.facing + np.pi, (float(far_x), float(far_y)))
    seconds = _SECONDS * float(np.sqrt(walker.figure.size))
    amounts = (*lean.turned(line.heading), 0.25 * lean.amount)
    names = (*LEAN_CHANNELS, f"{SIDES[1 - number]}_swing")
    line.glide(seconds, names, [amounts])
    on = line.time + _PAUSE
    off = on + action.seconds
    place = (*line.place, line.keys[-1].values[2])
    line.palms.append(lean.palm_hold(place, line.heading, number, on, off))
    line.time = off + _PAUSE
    line.glide(seconds, names, [tuple(-value for value in amounts)])


def _aside(line: Timeline, face: Side) -> float:
    """Straight before where the person comes from, but not beyond the ends of the face."""
    left = np.array([-np.sin(face.facing), np.cos(face.facing)])
    wanted = float((np.array(line.place) - np.array(face.edge)) @ left)
    room = max(face.width / 2 - 0.35 * line.walker.figure.size, 0.0)
    return float(np.clip(wanted, -room, room))


def _on_wall(walker: Walker, number: int) -> Lean:
    """Palm at shoulder height, fingers up; the distance is what the arm needs."""
    outward = 1 if number == 0 else -1
    normal, fingers = np.array([-1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])
    change, shoulder = _leaning(walker, _WALL_LEAN, number)
    wrist, gap = _wrist_from_palm(walker, number, normal, fingers)
    palm = shoulder + np.array([0.0, outward * _OUTSIDE, -0.06 * walker.figure.size])
    across = (palm + wrist - shoulder)[1:]
    forward = np.sqrt(max(_resting_arm(walker, number) ** 2 - across @ across, 0.01))
    ahead = max(float(shoulder[0] + forward - wrist[0] + gap), walker.figure.toe_front + _BEFORE)
    palm[0] = ahead - gap
    return Lean(ahead, _WALL_LEAN, change, palm, normal, fingers, np.array([0.0, 0.5 * outward, -1.0]))


def lean_on_top(walker: Walker, number: int, top: float, straight: float = _STRAIGHT) -> Lean:
    """Palm on a table near its edge; the trunk leans as far as the arm needs.

    Args:
        number: the hand, in the order of `SIDES`.
        top: height of the table above the ground, metres.
        straight: how straight the arm is, as a share of its length.

    Raises:
        DioramaError: too low for this person.
    """
    outward = 1 if number == 0 else -1
    normal, fingers = np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.25 * outward, 0.0])
    wrist, gap = _wrist_from_palm(walker, number, normal, fingers)
    ahead = walker.figure.toe_front + _BEFORE

    def reach(amount: float) -> tuple[float, np.ndarray, tuple[float, ...]]:
        change, shoulder = _leaning(walker, amount, number)
        palm = np.array([ahead + _ON_TABLE, shoulder[1] + outward * _OUTSIDE, top + gap])
        return float(np.linalg.norm(palm + wrist - shoulder)), palm, change

    low, high = 0.0, 1.0
    arm = straight / _STRAIGHT * _resting_arm(walker, number)
    if reach(high)[0] > arm:
        raise DioramaError(f"a table of {top:.2f} m is too low to lean on", where="script", fix="take a higher one")
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if reach(middle)[0] <= arm else (middle, high)
    _, palm, change = reach(high)
    return Lean(ahead, high, change, palm, normal, fingers, np.array([-1.0, 0.6 * outward, 0.2]))


def _resting_arm(walker: Walker, number: int) -> float:
    name = SIDES[number]
    return _STRAIGHT * walker.figure.length(f"{name}_shoulder", f"{name}_elbow", f"{name}_wrist")


def _wrist_from_palm(
    walker: Walker, number: int, normal: np.ndarray, fingers: np.ndarray
) -> tuple[Float[np.ndarray, 3], float]:
    """Wrist joint relative to the palm site of a hand on a surface, and the site's distance from the surface."""
    rest = hand_rest(walker.figure, number)
    turn = hand_rotation(rest, PalmHold(number, 0, 0, (0, 0, 0), tuple(normal), tuple(fingers), (0, 0, 1)))
    return -turn @ walker.figure.site(f"{SIDES[number]}_palm"), rest.gap


def _leaning(walker: Walker, amount: float, number: int) -> tuple[tuple[float, ...], Float[np.ndarray, 3]]:
    """What a lean adds to `LEAN_CHANNELS` (along +X), and where the shoulder is then; both feet at the origin."""
    figure = walker.figure
    holds = [Foothold((0.0, sign * walker.half_track, 0.0), sign * walker.manner.toe_out) for sign in (1, -1)]
    feet = [standing_feet(figure, side, [hold]) for side, hold in enumerate(holds)]
    columns = rest_channels(walker, (0.0, 0.0), 0.0, 0.0, feet)
    change = amount * np.array([_HIPS_BACK * figure.leg, 0.0, 0.0, _PITCH, _BEND, _NOD])
    index = [CHANNEL[name] for name in LEAN_CHANNELS]
    columns[0, index] += change
    change[2] = -max(0.0, legs_excess(figure, columns, feet))
    columns[0, CHANNEL["z"]] += change[2]
    joints, _ = pose_joints(figure.skeleton.joints, upper_body(columns, walker.manner.arm_down), pelvis_place(columns))
    # The sideways entry is along the heading's left and never used: the two first become world x and y.
    kept = (float(change[0]), *(float(v) for v in change[2:]))
    return kept, joints[0, JOINT_INDEX[f"{SIDES[number]}_shoulder"]]
