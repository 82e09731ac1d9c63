"""Named places where a body touches the world, as surface points fixed to joints.

Heel and toe sites lie on the sole: the lowest point of the heel (moves with the ankle) and of the ball and toes (moves
with the foot joint). The palm site is the middle of the palm, the knee site the front of the shin just below the
kneecap, the seat site the middle between the buttocks' lower backs.
"""

from __future__ import annotations

import numpy as np

from diorama.body.points import PointRecipe, RestGeometry

CONTACT_SITE_NAMES: tuple[str, ...] = (
    "left_heel",
    "right_heel",
    "left_toe",
    "right_toe",
    "left_palm",
    "right_palm",
    "left_knee",
    "right_knee",
    "seat",
)
FOOT_SITE_NAMES: tuple[str, ...] = CONTACT_SITE_NAMES[:4]

# Vertices this close to the lowest one count as the sole; the most central of them becomes the site.
_SOLE_THICKNESS = 0.0015


def contact_site_recipes(body: RestGeometry) -> dict[str, PointRecipe]:
    """Recipes of all contact sites, in the order of `CONTACT_SITE_NAMES`."""
    found = {"seat": _seat(body)}
    for side in ("left", "right"):
        ankle, toes = body.joint(f"{side}_ankle"), body.joint(f"{side}_foot")
        heel = body.owned_by(f"{side}_ankle")
        heel = heel[body.verts[heel, 2] < ankle[2] + 0.2 * (toes[2] - ankle[2])]
        found[f"{side}_heel"] = PointRecipe(f"{side}_ankle", (_lowest(body, heel),))
        found[f"{side}_toe"] = PointRecipe(f"{side}_foot", (_lowest(body, body.owned_by(f"{side}_foot")),))
        found[f"{side}_palm"] = _palm(body, side)
        found[f"{side}_knee"] = _knee(body, side)
    return {name: found[name] for name in CONTACT_SITE_NAMES}


def _lowest(body: RestGeometry, candidates: np.ndarray) -> int:
    heights = body.verts[candidates, 1]
    sole = candidates[heights < heights.min() + _SOLE_THICKNESS]
    return body.nearest(sole, body.verts[sole].mean(axis=0))[0]


def _palm(body: RestGeometry, side: str) -> PointRecipe:
    wrist, hand = body.joint(f"{side}_wrist"), body.joint(f"{side}_hand")
    middle, radius = (wrist + hand) / 2, 0.2 * np.linalg.norm(hand - wrist)
    near = body.owned_by(f"{side}_wrist", f"{side}_hand")
    near = near[np.linalg.norm((body.verts[near] - middle)[:, [0, 2]], axis=1) < radius]
    return PointRecipe(f"{side}_wrist", (body.extreme(near, (0.0, -1.0, 0.0)),))


def _knee(body: RestGeometry, side: str) -> PointRecipe:
    knee, ankle = body.joint(f"{side}_knee"), body.joint(f"{side}_ankle")
    shin = body.owned_by(f"{side}_hip", f"{side}_knee")
    level = knee[1] + 0.08 * (ankle[1] - knee[1])
    distance = np.abs(body.verts[shin, 1] - level)
    near = shin[distance < max(0.015, distance.min() + 1e-9)]
    return PointRecipe(f"{side}_knee", (body.extreme(near, (0.0, 0.0, 1.0)),))


def _seat(body: RestGeometry) -> PointRecipe:
    trunk = body.owned_by("pelvis", "left_hip", "right_hip")
    hips, knees = body.joint("left_hip")[1], body.joint("left_knee")[1]
    trunk = trunk[body.verts[trunk, 1] > hips - 0.2 * (hips - knees)]
    sides = [trunk[np.sign(body.verts[trunk, 0]) == sign] for sign in (1.0, -1.0)]
    return PointRecipe("pelvis", tuple(body.extreme(side, (0.0, -1.0, -1.0)) for side in sides))
