"""Where a keypoint detector puts the landmarks of a body: near the anatomical ones, with a bias of its own.

The table for BlazePose was measured on the six rendered clips of `benchmarks/figures.py` (twelve people, from behind and
from the side): the robust mean over all frames of where the detector sees a landmark less where it is. Fits to real
clips leave the same pattern (ankles up, ears down, knuckles nearer to the wrist), so it is the detector's, not the
renderer's.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from diorama.body.joints import JOINT_NAMES, KEYPOINT_SETS, LANDMARK_NAMES
from diorama.body.model import BodyModel, LinearPoints, NamedPoints, PosedBody

# % of the height from the heel to the top of the head, along the rest pose's axes (+X the person's left, +Y up, +Z
# forward), for landmarks in the middle and on the left; the right ones are mirrored.
_BLAZEPOSE: dict[str, tuple[float, float, float]] = {
    "nose": (0.0, 0.4, -1.1),
    "eye_inner": (0.0, 0.4, -1.0),
    "eye": (-0.4, -0.3, -1.3),
    "eye_outer": (-0.3, -0.2, -1.5),
    "ear": (-2.1, -0.7, 2.2),
    "mouth": (-0.3, 0.3, -1.1),
    "shoulder": (-0.9, -0.6, -0.2),
    "elbow": (-0.3, 0.2, 0.8),
    "wrist": (0.5, -0.3, -0.2),
    "pinky": (-0.5, 0.0, 1.9),
    "index": (-1.9, -0.4, -0.6),
    "thumb": (0.0, 0.4, -2.1),
    "hip": (-1.3, 0.4, 1.5),
    "knee": (0.0, -0.4, -1.0),
    "ankle": (0.4, 1.5, 0.2),
    "heel": (0.2, 0.4, 1.4),
    "foot_index": (1.2, 0.8, -1.5),
}
_BIAS = {"blazepose33": _BLAZEPOSE}


def as_detected(model: BodyModel, joint_set: str) -> BodyModel:
    """The model with its landmarks where the detector of `joint_set` puts them; the head's top is not a keypoint.

    Joint sets without a table are taken to be unbiased. The offsets grow with the body.
    """
    bias = _BIAS.get(joint_set)
    if bias is None:
        return model
    marks = model.landmarks
    offset = torch.tensor([_offset(bias, name) for name in marks.names]).to(marks.positions.template)
    top, heel = marks.names.index("head_top"), marks.names.index("left_heel")
    template, directions = marks.positions.template, marks.positions.directions
    # Both heights are linear in the shape code, so the moved points are too.
    moved = LinearPoints(
        template + offset * (template[top, 1] - template[heel, 1]),
        directions + offset * (directions[:, top, 1] - directions[:, heel, 1])[:, None, None],
    )
    return replace(model, landmarks=NamedPoints(marks.names, marks.owners, moved))


def landmark_points(posed: PosedBody, joint_set: str) -> Float[np.ndarray, "frames landmarks 3"]:
    """The points of a joint set (`joints.KEYPOINT_SETS`) on a posed body, where its detector puts them."""
    if KEYPOINT_SETS[joint_set] == JOINT_NAMES:
        return posed.joints.double().numpy()
    marks = as_detected(posed.shaped.model, joint_set).shaped(posed.shaped.betas).landmarks
    return posed.points(marks.select(KEYPOINT_SETS[joint_set])).double().numpy()


def _offset(bias: dict[str, tuple[float, float, float]], name: str) -> tuple[float, float, float]:
    """Share of the height for one landmark of `LANDMARK_NAMES`."""
    assert name in LANDMARK_NAMES
    kind = name.replace("left_", "").replace("right_", "").replace("_left", "").replace("_right", "")
    x, y, z = bias.get(kind, (0.0, 0.0, 0.0))
    return (-x if "right" in name else x) / 100, y / 100, z / 100
