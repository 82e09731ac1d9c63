"""From a script to a motion: plan it on the layout, then compute any frames of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import ShapedBody
from diorama.geometry.rotations import rotvec_of
from diorama.synthetic.feet import SIDES, FootMotion, foot_motion
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion.actions import Script
from diorama.synthetic.motion.arms import reach_out
from diorama.synthetic.motion.carriage import body_curves, upper_body
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.plan import CHANNEL, Plan
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.motion.timeline import planned
from diorama.synthetic.walk import FULL_LEG, Manner, Motion, pose_leg


# A swinging leg is never straighter than this share of its length.
STRAIGHT_LEG = 0.998
# A standing leg may be this much (of its length) straighter between the samples of the pelvis's height.
_INTERPOLATED = 0.002


def perform(
    person: ShapedBody | Figure,
    script: Script,
    layout: Layout,
    times: Float[np.ndarray, " frames"],
    manner: Manner = Manner(),
) -> Motion:
    """What a person does at some times (seconds; before the script's start and after its end the person stands still).

    The answer does not depend on which other frames are asked for. Sites are `CONTACT_SITE_NAMES`; where a site is
    labelled in two frames of one contact, it is at the same place in both.

    Raises:
        DioramaError: the script cannot be done: too fast, too high, no room, or no way to put the feet.
    """
    figure = person if isinstance(person, Figure) else Figure.of(person)
    plan = planned(Walker(figure, layout, manner), script)
    return frames_of(plan, np.clip(times + script.begin, 0, plan.seconds))


def duration(
    person: ShapedBody | Figure, script: Script, layout: Layout, manner: Manner = Manner()
) -> float:
    """Seconds that a script takes from its `begin` on."""
    figure = person if isinstance(person, Figure) else Figure.of(person)
    return planned(Walker(figure, layout, manner), script).seconds - script.begin


def frames_of(plan: Plan, times: Float[np.ndarray, " frames"]) -> Motion:
    """Frames of a plan; times are those of the script, from 0 to `plan.seconds`."""
    figure = plan.walker.figure
    columns = body_curves(plan)(times)
    rotations = upper_body(columns, plan.walker.manner.arm_down)
    pelvis = np.stack([columns[:, CHANNEL[name]] for name in ("x", "y", "z")], 1)
    feet = []
    for side, name in enumerate(SIDES):
        foot = foot_motion(times, list(plan.holds[side]), list(plan.swings[side]), figure.skeleton.feet[side])
        foot = _within_reach(figure, name, pelvis, rotations[:, 0], foot)
        pose_leg(figure.skeleton, name, pelvis, foot, rotations)
        feet.append(foot)
    for hold in plan.palms:
        reach_out(figure, times, hold, rotations, pelvis)
    rotvecs = rotvec_of(rotations)
    contacts = _contacts(plan, times, feet)
    return Motion(rotvecs[:, 0], rotvecs[:, 1:], pelvis - figure.skeleton.joints[0], contacts, CONTACT_SITE_NAMES)


def _within_reach(
    figure: Figure, side: str, pelvis: np.ndarray, orientation: np.ndarray, foot: FootMotion
) -> FootMotion:
    """The foot, drawn towards the hip where a swing would stretch the leg more than standing ever does."""
    length = figure.length(f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    hip = pelvis + orientation @ figure.bone("pelvis", f"{side}_hip")
    span = np.linalg.norm(foot.ankle - hip, axis=1)
    free = (FULL_LEG + _INTERPOLATED) * length
    room = STRAIGHT_LEG * length - free
    # tanh starts without curvature: nothing changes below the limit, and nothing jumps at it.
    kept = free + room * np.tanh(np.maximum(span - free, 0) / room)
    share = np.where(span > free, kept / span, 1.0)[:, None]
    return replace(foot, ankle=hip + share * (foot.ankle - hip))


def _contacts(plan: Plan, times: np.ndarray, feet: list[FootMotion]) -> Bool[np.ndarray, "frames 9"]:
    """Which sites touch something, in the order of `CONTACT_SITE_NAMES`; nothing here puts a knee down."""
    none = np.zeros(len(times), bool)
    touching = {
        "left_heel": feet[0].heel_contact, "right_heel": feet[1].heel_contact,
        "left_toe": feet[0].toe_contact, "right_toe": feet[1].toe_contact,
    }  # fmt: skip
    for hold in plan.palms:
        name = f"{SIDES[hold.side]}_palm"
        touching[name] = touching.get(name, none) | ((times >= hold.on) & (times <= hold.off))
    for span in plan.seats:
        touching["seat"] = touching.get("seat", none) | span.covers(times)
    return np.stack([touching.get(name, none) for name in CONTACT_SITE_NAMES], 1)
