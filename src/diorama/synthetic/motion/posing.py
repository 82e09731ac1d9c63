"""From channels and feet to a posed body, and to its skin where a plan must know what it touches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from diorama.synthetic.feet import SIDES, Foothold, FootMotion, stance
from diorama.synthetic.motion.carriage import upper_body
from diorama.synthetic.motion.figure import Figure, pose_joints, pose_skin
from diorama.synthetic.motion.plan import CHANNEL
from diorama.synthetic.walk import FULL_LEG, pose_leg

# A swinging leg is never straighter than this share of its length.
STRAIGHT_LEG = 0.998
# A standing leg may be this much (of its length) straighter between the samples of the pelvis's height.
_INTERPOLATED = 0.002
# In mid-swing the straightening of the leg is slowed down from this much (of its length) earlier on.
_EARLIER = 0.05


def body_rotations(
    figure: Figure,
    columns: Float[np.ndarray, "frames channels"],
    pelvis: Float[np.ndarray, "frames 3"],
    feet: Sequence[FootMotion],
    arm_down: float,
) -> Float[np.ndarray, "frames 24 3 3"]:
    """Local rotations of the whole body: trunk and arms from the channels, legs to the feet."""
    rotations = upper_body(columns, arm_down)
    for name, foot in zip(SIDES, feet, strict=True):
        pose_leg(figure.skeleton, name, pelvis, _within_reach(figure, name, pelvis, rotations[:, 0], foot), rotations)
    return rotations


def pelvis_place(columns: Float[np.ndarray, "frames channels"]) -> Float[np.ndarray, "frames 3"]:
    """The pelvis joint in the world, metres."""
    return columns[:, [CHANNEL[name] for name in ("x", "y", "z")]]


def _within_reach(
    figure: Figure, side: str, pelvis: np.ndarray, orientation: np.ndarray, foot: FootMotion
) -> FootMotion:
    """The foot, drawn towards the hip where a swing would stretch the leg more than standing ever does."""
    length = figure.length(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    hip = pelvis + orientation @ figure.bone("pelvis", f"{side}_hip")
    span = np.linalg.norm(foot.ankle - hip, axis=1)
    free = (FULL_LEG + _INTERPOLATED - _EARLIER * foot.swinging) * length
    room = STRAIGHT_LEG * length - free
    # tanh starts without curvature: nothing changes below the limit, and nothing jumps at it.
    kept = free + room * np.tanh(np.maximum(span - free, 0) / room)
    share = np.where(span > free, kept / span, 1.0)[:, None]
    return replace(foot, ankle=hip + share * (foot.ankle - hip))


def standing_feet(figure: Figure, side: int, holds: Sequence[Foothold]) -> FootMotion:
    """One flat foot per row."""
    parts = [stance(np.zeros(1), replace(hold, on=-np.inf, off=np.inf), figure.skeleton.feet[side]) for hold in holds]
    ankle, foot, toes = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return FootMotion(ankle, foot, toes, np.ones(len(holds), bool), np.ones(len(holds), bool), np.zeros(len(holds)))


def skin_of(
    figure: Figure,
    columns: Float[np.ndarray, "frames channels"],
    feet: Sequence[FootMotion],
    arm_down: float,
    *owners: str,
) -> Float[np.ndarray, "frames verts 3"]:
    """World places of the thinned skin that belongs to some joints."""
    pelvis = pelvis_place(columns)
    rotations = body_rotations(figure, columns, pelvis, feet, arm_down)
    joints, turns = pose_joints(figure.skeleton.joints, rotations, pelvis)
    return pose_skin(figure.skin.of(*owners), figure.skeleton.joints, joints, turns)
