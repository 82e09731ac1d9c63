"""From a script to a motion: plan it on the layout, then compute any frames of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import ShapedBody
from diorama.geometry.rotations import rotvec_of
from diorama.synthetic.feet import SIDES, FootMotion, foot_motion
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion.actions import Script
from diorama.synthetic.motion.arms import reach_out
from diorama.synthetic.motion.carriage import body_curves, pelvis_rotation
from diorama.synthetic.motion.figure import Figure, Skin, pose_joints, pose_skin
from diorama.synthetic.motion.plan import Plan
from diorama.synthetic.motion.posing import body_rotations, pelvis_place
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.motion.terrain import near
from diorama.synthetic.motion.timeline import planned
from diorama.synthetic.walk import PLAIN_MANNER, Manner, Motion


def perform(
    person: ShapedBody | Figure,
    script: Script,
    layout: Layout,
    times: Float[np.ndarray, " frames"],
    manner: Manner = PLAIN_MANNER,
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


def duration(person: ShapedBody | Figure, script: Script, layout: Layout, manner: Manner = PLAIN_MANNER) -> float:
    """Seconds that a script takes from its `begin` on."""
    figure = person if isinstance(person, Figure) else Figure.of(person)
    return planned(Walker(figure, layout, manner), script).seconds - script.begin


def frames_of(plan: Plan, times: Float[np.ndarray, " frames"]) -> Motion:
    """Frames of a plan; times are those of the script, from 0 to `plan.seconds`."""
    figure = plan.walker.figure
    rotations, pelvis, feet = _posed(plan, times)
    rotvecs = rotvec_of(rotations)
    contacts = _contacts(plan, times, feet)
    return Motion(rotvecs[:, 0], rotvecs[:, 1:], pelvis - figure.skeleton.joints[0], contacts, CONTACT_SITE_NAMES)


def deepest(plan: Plan, times: Float[np.ndarray, " frames"], *, thin: int = 7) -> float:
    """How deep (metres) the skin is in the layout at some times, for every `thin`-th vertex of the figure's skin.

    Plans keep feet, seated legs, backs and planted hands out of things; nobody plans where a swinging hand goes."""
    figure = plan.walker.figure
    rotations, pelvis, _ = _posed(plan, times)
    joints, turns = pose_joints(figure.skeleton.joints, rotations, pelvis)
    skin = Skin(figure.skin.rest[::thin], figure.skin.weights[::thin], figure.skin.owner[::thin])
    verts = pose_skin(skin, figure.skeleton.joints, joints, turns)
    return float(near(plan.walker.layout, verts[..., :2], 0.0).penetration(verts).max())


def _posed(
    plan: Plan, times: Float[np.ndarray, " frames"]
) -> tuple[Float[np.ndarray, "frames 24 3 3"], Float[np.ndarray, "frames 3"], list[FootMotion]]:
    """Local rotations, pelvis and feet."""
    figure = plan.walker.figure
    columns = body_curves(plan)(times)
    pelvis = _seated(plan, times, columns, pelvis_place(columns))
    feet = [
        foot_motion(times, list(plan.holds[side]), list(plan.swings[side]), figure.skeleton.feet[side])
        for side in range(2)
    ]
    rotations = body_rotations(figure, columns, pelvis, feet, plan.walker.manner.arm_down)
    for hold in plan.palms:
        reach_out(figure, times, hold, rotations, pelvis)
    return rotations, pelvis, feet


def _seated(plan: Plan, times: np.ndarray, columns: np.ndarray, pelvis: np.ndarray) -> Float[np.ndarray, "frames 3"]:
    """The pelvis turns about the seat site while that is planted."""
    pelvis = pelvis.copy()
    for hold in plan.seats:
        rows = hold.covers(times)
        pelvis[rows] = np.array(hold.point) - pelvis_rotation(columns[rows]) @ plan.walker.figure.site("seat")
    return pelvis


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
