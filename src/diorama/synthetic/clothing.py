"""Clothes as colours of a body's vertices: shirt, trousers, shoes, skin, hair, by the joint that moves each vertex."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.body.joints import JOINT_INDEX
from diorama.body.model import ShapedBody

Colour = tuple[float, float, float]

_REGIONS: dict[str, tuple[str, ...]] = {
    "trousers": ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee"),
    "shirt": ("spine1", "spine2", "spine3", "left_collar", "right_collar", "left_shoulder", "right_shoulder"),
    "sleeves": ("left_elbow", "right_elbow"),
    "shoes": ("left_ankle", "right_ankle", "left_foot", "right_foot"),
    "skin": ("neck", "head", "left_wrist", "right_wrist", "left_hand", "right_hand"),
}


@dataclass(frozen=True)
class Outfit:
    """Linear colours 0-1; `stripes` is the contrast of the shirt's horizontal bands."""

    shirt: Colour = (0.16, 0.25, 0.55)
    trousers: Colour = (0.10, 0.11, 0.14)
    shoes: Colour = (0.30, 0.16, 0.10)
    skin: Colour = (0.62, 0.42, 0.32)
    hair: Colour = (0.09, 0.06, 0.04)
    long_sleeves: bool = True
    stripes: float = 0.0


def random_outfit(rng: np.random.Generator) -> Outfit:
    """Plausible clothes: the shirt in any colour, dark or blue trousers, skin and hair of all people."""
    tone = float(rng.uniform(0.25, 1.0))
    shirt = rng.uniform(0.06, 0.75, 3)
    trousers = rng.uniform(0.04, 0.28) * (1 + rng.normal(0, 0.15, 3) + np.array([0, 0, rng.uniform(0, 0.8)]))
    return Outfit(
        shirt=_colour(shirt),
        trousers=_colour(trousers),
        shoes=_colour(np.full(3, rng.uniform(0.03, 0.5))),
        skin=_colour(tone * np.array([0.70, 0.50, 0.40])),
        hair=_colour(rng.uniform(0.03, 0.35) * np.array([1.0, 0.75, 0.5])),
        long_sleeves=bool(rng.random() < 0.5),
        stripes=float(rng.choice([0.0, 0.0, 0.35])),
    )


def _colour(value: np.ndarray) -> Colour:
    r, g, b = (float(v) for v in np.clip(value, 0.02, 0.9))
    return r, g, b


def dress(shaped: ShapedBody, outfit: Outfit) -> Float[np.ndarray, "verts 3"]:
    """Colour per vertex of a shaped body."""
    rest = shaped.verts_rest.detach().numpy()
    owner = shaped.model.skin.joints[:, 0].numpy()
    joints = shaped.joints_rest.detach().numpy()
    size = float(shaped.stature.detach())
    colours = np.empty((len(rest), 3), np.float32)
    for region, names in _REGIONS.items():
        colour = outfit.shirt if region == "sleeves" and outfit.long_sleeves else getattr(outfit, region, outfit.skin)
        colours[np.isin(owner, [JOINT_INDEX[name] for name in names])] = colour
    shirt = np.isin(owner, [JOINT_INDEX[name] for name in _REGIONS["shirt"]])
    bands = 1 + outfit.stripes * np.sign(np.sin(rest[:, 1] * 2 * np.pi / 0.09))
    colours[shirt] *= bands[shirt, None]
    ankle = np.isin(owner, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]])
    colours[ankle & (rest[:, 1] > joints[JOINT_INDEX["left_ankle"], 1] + 0.01 * size)] = outfit.trousers
    belt = (owner == JOINT_INDEX["spine1"]) & (rest[:, 1] < joints[JOINT_INDEX["spine1"], 1] - 0.02 * size)
    colours[belt] = outfit.trousers
    _head(shaped, outfit, rest, owner == JOINT_INDEX["head"], colours)
    return colours


def _head(shaped: ShapedBody, outfit: Outfit, rest: np.ndarray, head: np.ndarray, colours: np.ndarray) -> None:
    """Hair above and behind the face; eyes and lips, which face detectors look for."""
    names = ("left_eye", "right_eye", "left_ear", "nose", "mouth_left", "mouth_right", "head_top")
    eye_l, eye_r, ear, nose, mouth_l, mouth_r, top = shaped.landmarks.select(names).rest.detach().numpy()
    face = float(top[1] - mouth_l[1])
    brow = eye_l[1] + 0.28 * face
    # High over the face, just above the ears beside it, down to the mouth behind.
    beside = np.where(rest[:, 2] > ear[2] - 0.15 * face, ear[1] + 0.1 * face, mouth_l[1])
    hairline = np.where(rest[:, 2] > ear[2] + 0.02 * face, brow, beside)
    colours[head & (rest[:, 1] > hairline)] = outfit.hair
    front = rest[:, 2] > nose[2] - 0.35 * face
    for eye in (eye_l, eye_r):
        colours[head & front & (np.linalg.norm((rest - eye)[:, :2], axis=1) < 0.07 * face)] = (0.04, 0.03, 0.03)
        above = rest - eye - np.array([0, 0.11 * face, 0])
        colours[head & front & (np.abs(above[:, 0]) < 0.12 * face) & (np.abs(above[:, 1]) < 0.03 * face)] = outfit.hair
    mouth = (mouth_l + mouth_r) / 2
    lips = rest - mouth
    wide = float(abs(mouth_l[0] - mouth_r[0])) / 2
    red = np.array(outfit.skin) * np.array([0.8, 0.5, 0.5])
    colours[head & front & (np.abs(lips[:, 0]) < wide) & (np.abs(lips[:, 1]) < 0.05 * face)] = red
