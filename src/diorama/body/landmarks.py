"""Where the 33 BlazePose landmarks (COCO-17 is a part of them) and the head's top lie on a body in its T-pose.

The same rules serve every model: extreme points of the surface (nose, ears, heels, toe tips), joint centres (shoulders,
elbows, wrists, knees, ankles), and surface points at measured fractions of a body part (eyes, mouth, knuckles). The
fractions were measured on the free body, whose rig knows its eyes and finger joints. All are fixed to one joint.
"""

from __future__ import annotations

import numpy as np

from diorama.body.joints import LANDMARK_NAMES
from diorama.body.points import PointRecipe, RestGeometry

# (sideways, up) from the tip of the nose, in units of the height from nose to the top of the head.
_FACE = {"eye_inner": (0.12, 0.22), "eye": (0.20, 0.24), "eye_outer": (0.29, 0.24), "mouth": (0.165, -0.235)}
# (along the hand, up, towards the thumb) from the wrist in units of the distance wrist to hand joint.
_KNUCKLES = {"pinky": (0.82, -0.12, -0.50), "index": (1.08, -0.14, 0.12), "thumb": (0.54, -0.29, 0.38)}
# A knuckle lies inside the hand: the mean of this many vertices around it comes within a few millimetres.
_RING = 12
_JOINT_CENTRES = ("shoulder", "elbow", "wrist", "knee", "ankle")


def landmark_recipes(body: RestGeometry, *, hip_share: float) -> dict[str, PointRecipe]:
    """Recipes of all landmarks, in the order of `LANDMARK_NAMES`.

    Args:
        body: an average body of the model.
        hip_share: how far the hip landmark lies from the hip joint towards the body's side. Detectors learn hips where
            people click, about 11 cm from the middle on an adult: the hip joints of all models lie inside that.
    """
    found = _face(body)
    for sign, side in ((1.0, "left"), (-1.0, "right")):
        for name in _JOINT_CENTRES:
            found[f"{side}_{name}"] = PointRecipe(owner=f"{side}_{name}", base=f"{side}_{name}")
        found[f"{side}_hip"] = _hip(body, side, sign, hip_share)
        found |= _hand(body, side, sign) | _foot(body, side, sign)
    return {name: found[name] for name in LANDMARK_NAMES}


def _face(body: RestGeometry) -> dict[str, PointRecipe]:
    head = body.owned_by("head")
    top = body.extreme(head, (0.0, 1.0, 0.0))
    middle = head[np.abs(body.verts[head, 0]) < 0.02]
    # The chin may reach further than a flat nose: look only above the head joint's height less a little.
    middle = middle[body.verts[middle, 1] > body.joint("head")[1] - 0.03]
    nose = body.extreme(middle, (0.0, 0.0, 1.0))
    unit = float(body.verts[top, 1] - body.verts[nose, 1])
    found = {"head_top": PointRecipe("head", (top,)), "nose": PointRecipe("head", (nose,))}
    for name, (sideways, up) in _FACE.items():
        for sign, side in ((1.0, "left"), (-1.0, "right")):
            spot = body.verts[nose, :2] * (0, 1) + np.array([sign * sideways, up]) * unit
            full = f"mouth_{side}" if name == "mouth" else f"{side}_{name}"
            found[full] = PointRecipe("head", (_front(body, head, spot, 0.05 * unit),))
    for sign, side in ((1.0, "left"), (-1.0, "right")):
        level = head[np.abs(body.verts[head, 1] - body.verts[nose, 1] - 0.15 * unit) < 0.25 * unit]
        found[f"{side}_ear"] = PointRecipe("head", (body.extreme(level, (sign, 0.0, 0.0)),))
    return found


def _front(body: RestGeometry, candidates: np.ndarray, spot: np.ndarray, radius: float) -> int:
    """The foremost vertex around (x, y); the nearest of the front half if none is that close."""
    distance = np.linalg.norm(body.verts[candidates, :2] - spot, axis=1)
    front = body.verts[candidates, 2] > np.median(body.verts[candidates, 2])
    near = candidates[front & (distance < max(radius, distance[front].min() + 1e-9))]
    return body.extreme(near, (0.0, 0.0, 1.0))


def _hip(body: RestGeometry, side: str, sign: float, share: float) -> PointRecipe:
    joint = body.joint(f"{side}_hip")
    trunk = body.owned_by("pelvis", f"{side}_hip")
    level = trunk[np.abs(body.verts[trunk, 1] - joint[1]) < 0.02]
    outside = body.extreme(level, (sign, 0.0, 0.0))
    return PointRecipe("pelvis", (outside,), base=f"{side}_hip", share=share)


def _hand(body: RestGeometry, side: str, sign: float) -> dict[str, PointRecipe]:
    wrist, hand = body.joint(f"{side}_wrist"), body.joint(f"{side}_hand")
    near = body.owned_by(f"{side}_wrist", f"{side}_hand")
    unit = np.linalg.norm(hand - wrist)
    found = {}
    for name, (along, up, thumbwards) in _KNUCKLES.items():
        target = wrist + unit * np.array([sign * along, up, thumbwards])
        found[f"{side}_{name}"] = PointRecipe(f"{side}_wrist", tuple(body.nearest(near, target, _RING)))
    return found


def _foot(body: RestGeometry, side: str, sign: float) -> dict[str, PointRecipe]:
    ankle, toes = body.joint(f"{side}_ankle"), body.joint(f"{side}_foot")
    along = (toes - ankle) * (1, 0, 1)
    along = along / np.linalg.norm(along)
    inwards = np.array([-along[2], 0.0, along[0]]) * sign
    heel_side = body.owned_by(f"{side}_ankle")
    low = heel_side[body.verts[heel_side, 1] < (ankle[1] + body.verts[heel_side, 1].min()) / 2]
    tip = along + 0.5 * inwards
    return {
        f"{side}_heel": PointRecipe(f"{side}_ankle", (body.extreme(low, -along),)),
        f"{side}_foot_index": PointRecipe(f"{side}_foot", (body.extreme(body.owned_by(f"{side}_foot"), tip),)),
    }
