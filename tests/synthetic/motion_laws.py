"""What every exact motion must obey, measured on the skinned body."""

import numpy as np
import torch

from diorama.body.joints import JOINT_INDEX
from diorama.body.model import PosedBody
from diorama.body.stature import betas_for_stature
from diorama.metrics import foot_slide_by_contacts
from diorama.synthetic.layout import Layout, Slab

FEET = [JOINT_INDEX[f"{side}_{part}"] for side in ("left", "right") for part in ("ankle", "foot")]


def person(free_body, stature):
    """A child or an adult of a stature, in float64."""
    age = None if stature < 1.45 else 2 / 3
    betas = betas_for_stature(free_body, stature, age=age, gender=float(stature < 1.7))
    return free_body.to(dtype=torch.float64).shaped(betas.double())


def posed(shaped, motion):
    return shaped.posed(*(torch.from_numpy(a) for a in (motion.global_orient, motion.body_pose, motion.transl)))


def sites_of(body, motion):
    return body.contact_sites(motion.sites).numpy()


def planted_mm(body, motion):
    """Farthest that a site moves between two frames in which it is labelled."""
    return foot_slide_by_contacts(sites_of(body, motion), motion.contacts).max(initial=0.0)


def skin_mm(body, layout, step=13):
    """Deepest vertex in the layout: all soles, and every `step`-th of the rest; frames in blocks."""
    owner = body.shaped.model.skin.joints[:, 0].numpy()
    chosen = np.unique(np.r_[np.arange(0, len(owner), step), np.flatnonzero(np.isin(owner, FEET))[::2]])
    worst = 0.0
    for start in range(0, len(body.joints), 40):
        rows = slice(start, start + 40)
        part = PosedBody(body.shaped, body.local_rotations[rows], body.joints[rows], body.joint_rotations[rows])
        worst = max(worst, 1000 * float(layout.penetration(part.verts(chosen.tolist()).numpy()).max()))
    return worst


def accelerations(body, fps):
    """Lengths of all joints' second differences, m/s^2."""
    return np.linalg.norm(np.diff(body.joints.numpy(), n=2, axis=0), axis=-1) * fps**2


def least_flexion(body):
    """Smallest bend of a knee, radians; negative if it bends the wrong way."""
    worst = np.inf
    for side in ("left", "right"):
        hip, knee, ankle = (body.joints[:, JOINT_INDEX[f"{side}_{n}"]].numpy() for n in ("hip", "knee", "ankle"))
        hinge = body.joint_rotations[:, JOINT_INDEX[f"{side}_hip"], :, 0].numpy()
        thigh, shin = knee - hip, ankle - knee
        sine = (np.cross(thigh, shin) * hinge).sum(1)
        worst = min(worst, np.arctan2(sine, (thigh * shin).sum(1)).min())
    return worst


def off_the_surface(layout, points):
    """Distance of points from the nearest face of the layout (floor, tops and sides of slabs), metres."""
    gap = np.abs(points[..., 2] - layout.floor_height(points[..., :2])) * layout.floor_normal[2]
    for slab in layout.slabs:
        local = slab.local(points)
        half = np.array(slab.size) / 2
        out = np.abs(local - [0, 0, half[2]]) - half
        outside = np.linalg.norm(np.maximum(out, 0), axis=-1)
        gap = np.minimum(gap, np.where(outside > 0, outside, -out.max(-1)))
    return gap


STEPS = tuple(
    Slab(
        "step", (1.3 + 0.29 * k + (0.29 if k < 3 else 1.1) / 2, 0.0, 0.0), (0.29 if k < 3 else 1.1, 1.4, 0.16 * (k + 1))
    )
    for k in range(4)
)
SEAT = Slab("seat", (1.2, 0.3, 0.0), (0.45, 0.5, 0.45), 2.6)
BED = Slab("bed", (1.6, 0.9, 0.0), (2.05, 1.0, 0.5), 0.3)
TABLE = Slab("table", (1.3, -0.5, 0.0), (0.7, 1.5, 0.74), 0.2)
WALL = Slab("wall", (1.5, 0.0, 0.0), (0.2, 4.0, 2.5), 0.1)
BAR = Slab("obstacle", (1.7, 0.0, 0.0), (0.15, 1.2, 0.16), 0.1)
FLAT, SLOPED = Layout("flat"), Layout("slope", (), (0.12, 0.05))
ROOM = Layout(
    "room",
    (
        SEAT,
        Slab("bed", (-2.2, 0.5, 0.0), (1.0, 2.05, 0.5)),
        Slab("table", (0.5, 2.2, 0.0), (1.5, 0.7, 0.74)),
        Slab("wall", (0.0, -2.6, 0.0), (6.0, 0.2, 2.5)),
        Slab("obstacle", (1.2, 1.3, 0.0), (1.0, 0.12, 0.15)),
    ),
)
