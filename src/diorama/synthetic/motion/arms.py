"""Arms that reach: a palm laid on a surface and kept there exactly, whatever the trunk does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from diorama.body.joints import JOINT_INDEX
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.synthetic.curves import eased
from diorama.synthetic.feet import SIDES
from diorama.synthetic.motion.figure import Figure, pose_joints
from diorama.synthetic.motion.plan import PalmHold
from diorama.synthetic.walk import aim, two_bones

# The free body's hand does not lie flat: its palm is hollow and its thumb stands off. Of all ways to lay it on a plane,
# leaning it by these angles (radians, left hand: about the fingers, about the thumb's direction) brings the palm
# nearest: the ball of the thumb and the heel of the hand touch, the palm site stays `HandRest.gap` above.
_LEAN_ABOUT_FINGERS, _LEAN_ABOUT_THUMB = 0.21, -0.40
# Skin may be pressed in by this much, metres.
_PRESSED = 0.0035
# On its way a hand keeps off a wall by up to the first (metres), above a table by so many times more, and before its edge
# by up to the last (metres).
_APPROACH, _HIGHER, _DRAWN_BACK = 0.09, 2.5, 0.06
# A hand that has little way to go over the surface (metres) is hardly drawn back.
_SOON = 0.15


@dataclass(frozen=True)
class HandRest:
    """How a hand lies on a plane, in its rest axes.

    Attributes:
        outward: unit normal of the plane, pointing into the surface.
        fingers: unit direction of the fingers in the plane.
        gap: distance of the palm site from the plane, metres.
        flex: turn of the finger joint about the thumb's direction that lays the fingers on it, radians.
    """

    outward: tuple[float, float, float]
    fingers: tuple[float, float, float]
    gap: float
    flex: float


@lru_cache(maxsize=64)
def _lean(side: int) -> tuple[Float[np.ndarray, 3], Float[np.ndarray, 3]]:
    """Outward normal and finger direction; the right hand mirrors the left."""
    mirror = np.array([1.0 if side == 0 else -1.0, 1.0, 1.0])
    up = Rotation.from_euler("xz", [_LEAN_ABOUT_FINGERS, _LEAN_ABOUT_THUMB]).apply([0.0, 1.0, 0.0])
    along = np.array([1.0, 0.0, 0.0]) - up[0] * up
    return -up * mirror, along / np.linalg.norm(along) * mirror


def hand_rest(figure: Figure, side: int) -> HandRest:
    """How this person's hand lies: measured on the skin."""
    outward, along = _lean(side)
    name = SIDES[side]
    wrist, hand = (figure.skeleton.joints[JOINT_INDEX[f"{name}_{part}"]] for part in ("wrist", "hand"))
    palm = wrist + figure.site(f"{name}_palm")
    depth = float(((figure.skin.of(f"{name}_wrist").rest - palm) @ outward).max())
    gap = max(depth - _PRESSED, 0.0)
    fingers = figure.skin.of(f"{name}_hand").rest - hand
    tried = np.linspace(-0.9, 0.9, 91)
    sign = -1.0 if side == 0 else 1.0
    turned = np.stack([fingers @ Rotation.from_rotvec([0, 0, sign * angle]).as_matrix().T for angle in tried])
    reached = ((turned + hand - palm) @ outward).max(1)
    # The most bent fingers that do not cut in.
    allowed = np.flatnonzero(reached <= gap + 0.001)
    flex = float(sign * tried[allowed[-1]]) if len(allowed) else 0.0
    return HandRest(tuple(float(v) for v in outward), tuple(float(v) for v in along), gap, flex)  # type: ignore[arg-type]


def hand_rotation(rest: HandRest, hold: PalmHold) -> Float[np.ndarray, "3 3"]:
    """World rotation of a hand that lies on a surface."""

    def basis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        second = second - (second @ first) * first
        second = second / np.linalg.norm(second)
        return np.stack([first, second, np.cross(first, second)], 1)

    world = basis(-np.array(hold.normal), np.array(hold.fingers))
    return world @ basis(np.array(rest.outward), np.array(rest.fingers)).T


def palm_on(
    figure: Figure, side: int, spot: tuple[float, float, float], normal: tuple[float, float, float]
) -> tuple[float, float, float]:
    """Place of the palm site of a hand that lies on a surface at `spot`."""
    x, y, z = np.array(spot) + hand_rest(figure, side).gap * np.array(normal)
    return float(x), float(y), float(z)


def wrist_target(figure: Figure, rest: HandRest, hold: PalmHold) -> Float[np.ndarray, 3]:
    """Where the wrist joint is while the palm is planted."""
    return np.array(hold.point) - hand_rotation(rest, hold) @ figure.site(f"{SIDES[hold.side]}_palm")


def share_of(times: Float[np.ndarray, " n"], hold: PalmHold) -> Float[np.ndarray, " n"]:
    """How much of the hand's place is the surface's: 0 hanging, 1 planted."""
    return eased((times - hold.on) / hold.reach + 1) * eased((hold.off - times) / hold.reach + 1)


def reach_out(
    figure: Figure,
    times: Float[np.ndarray, " frames"],
    hold: PalmHold,
    rotations: Float[np.ndarray, "frames 24 3 3"],
    pelvis: Float[np.ndarray, "frames 3"],
) -> None:
    """Change the local rotations of one arm in place, in the frames in which the hold acts."""
    rows = np.flatnonzero((times > hold.on - hold.reach) & (times < hold.off + hold.reach))
    if not len(rows):
        return
    name, rest = SIDES[hold.side], hand_rest(figure, hold.side)
    share = share_of(times[rows], hold)[:, None]
    joints, turns = pose_joints(figure.skeleton.joints, rotations[rows], pelvis[rows])
    shoulder, elbow, wrist = (joints[:, JOINT_INDEX[f"{name}_{part}"]] for part in ("shoulder", "elbow", "wrist"))
    lying = hand_rotation(rest, hold)
    target = wrist_target(figure, rest, hold)
    goal = wrist + _way(share, target - wrist, np.array(hold.normal))
    free = _arm(figure, name, shoulder, wrist, elbow - shoulder)
    bent = _arm(
        figure, name, shoulder, goal, (1 - share) * _sideways(shoulder, wrist, elbow) + share * np.array(hold.elbow)
    )
    chain = {part: turns[:, JOINT_INDEX[f"{name}_{part}"]] for part in ("collar", "shoulder", "elbow", "wrist")}
    # The twist that free arms have about their bones is kept: it turns bones into themselves.
    upper, fore = (
        b @ np.swapaxes(f, 1, 2) @ chain[part] for b, f, part in zip(bent, free, ("shoulder", "elbow"), strict=True)
    )
    turn = rotvec_of(np.swapaxes(chain["wrist"], 1, 2) @ lying)
    hand = chain["wrist"] @ matrix_of((1 - (1 - share) ** 2) * turn)
    parents = (chain["collar"], upper, fore)
    for part, parent, child in zip(("shoulder", "elbow", "wrist"), parents, (upper, fore, hand), strict=True):
        rotations[rows, JOINT_INDEX[f"{name}_{part}"]] = np.swapaxes(parent, 1, 2) @ child
    rotations[rows, JOINT_INDEX[f"{name}_hand"]] = matrix_of(share * np.array([0.0, 0.0, rest.flex]))


def _way(
    share: Float[np.ndarray, "n 1"], whole: Float[np.ndarray, "n 3"], normal: Float[np.ndarray, 3]
) -> Float[np.ndarray, "n 3"]:
    """Part of the way to the surface: the hand keeps off it, and onto a table it is lifted before it goes forward."""
    off = _APPROACH * 16 * (share * (1 - share)) ** 2 * normal
    if normal[2] < 0.5:
        return share * whole + off
    up = (whole @ normal)[:, None] * normal
    ahead = whole - up
    # While it is lifted it is drawn back from the edge (most at a fifth of the way).
    back = 12.2 * share * (1 - share) ** 4 * ahead / np.sqrt(_SOON**2 + (ahead**2).sum(1, keepdims=True))
    return (1 - (1 - share) ** 3) * up + share**3 * ahead - _DRAWN_BACK * back + _HIGHER * off


def _sideways(shoulder: np.ndarray, wrist: np.ndarray, elbow: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """Unit direction in which an elbow stands off the line from shoulder to wrist."""
    along = (wrist - shoulder) / np.linalg.norm(wrist - shoulder, axis=1, keepdims=True)
    off = (elbow - shoulder) - ((elbow - shoulder) * along).sum(1, keepdims=True) * along
    return off / np.linalg.norm(off, axis=1, keepdims=True)


def _arm(
    figure: Figure, name: str, shoulder: np.ndarray, wrist: np.ndarray, elbow: np.ndarray
) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, "n 3 3"]]:
    """World rotations of upper arm and forearm with the wrist at a place and the elbow towards a direction."""
    upper, fore = figure.bone(f"{name}_shoulder", f"{name}_elbow"), figure.bone(f"{name}_elbow", f"{name}_wrist")
    middle, hinge = two_bones(shoulder, wrist, elbow, np.linalg.norm(upper), np.linalg.norm(fore))
    # Elbows bend about the body's Y in the T-pose, the left one about -Y.
    rest_hinge = (0.0, -1.0 if name == "left" else 1.0, 0.0)
    return aim(upper, middle - shoulder, hinge, rest_hinge), aim(fore, wrist - middle, hinge, rest_hinge)
