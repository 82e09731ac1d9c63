"""Labels of JOSH3R's training, made of a reconstruction (JOSH's, in the paper): pairs of frames, and what is true of them.

Every row is one person in two frames. Boxes are pixels of the upright source picture; everything else metres, in camera or
body frames (`chaining`: origin at the pelvis). docs/josh3r.md has the arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body import load_body
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh3r.chaining import body_placement
from diorama.reconstruction import Person, Reconstruction

_FEET = ("left_heel", "right_heel", "left_toe", "right_toe")
_LEAST_CONTACT = 0.5


@dataclass(frozen=True)
class PairLabels:
    """One row per person and pair.

    Attributes:
        id: of the person.
        frames: rows of the reconstruction's `times`, first and second picture.
        boxes_1, boxes_2: x1, y1, x2, y2, pixels.
        rel_rot6d: first two rows of the rotation of the second body frame in the first.
        rel_trans: its origin there, metres.
        trans_1, trans_2: the pelvis in the cameras, metres.
        joints_1, joints_2: the 24 joints in the cameras, metres: the contact-scale loss reads the feet.
        joints_body_1, joints_body_2: the same in the body frames: the contact-static loss reads them.
        contact: a foot touches the ground in both frames.
    """

    id: Int[np.ndarray, " n"]
    frames: Int[np.ndarray, "n 2"]
    boxes_1: Float[np.ndarray, "n 4"]
    boxes_2: Float[np.ndarray, "n 4"]
    rel_rot6d: Float[np.ndarray, "n 6"]
    rel_trans: Float[np.ndarray, "n 3"]
    trans_1: Float[np.ndarray, "n 3"]
    trans_2: Float[np.ndarray, "n 3"]
    joints_1: Float[np.ndarray, "n 24 3"]
    joints_2: Float[np.ndarray, "n 24 3"]
    joints_body_1: Float[np.ndarray, "n 24 3"]
    joints_body_2: Float[np.ndarray, "n 24 3"]
    contact: Bool[np.ndarray, " n"]


def pair_labels(
    truth: Reconstruction, pairs: Int[np.ndarray, "pairs 2"], boxes: dict[int, Float[np.ndarray, "frames 4"]]
) -> PairLabels:
    """Labels of everybody who has a box in both frames of a pair.

    Args:
        truth: a metric reconstruction.
        pairs: rows of frames; the second may be the earlier.
        boxes: per person one row per frame of the reconstruction; NaN where there is none.
    """
    parts = [_of_person(person, truth, pairs, boxes[person.id]) for person in truth.people if person.id in boxes]
    return _joined(parts)


def _of_person(
    person: Person, truth: Reconstruction, pairs: Int[np.ndarray, "pairs 2"], boxes: Float[np.ndarray, "frames 4"]
) -> PairLabels:
    place = np.full(len(truth), -1)
    place[person.frames] = np.arange(len(person.frames))
    place[~np.isfinite(boxes).all(1)] = -1
    pairs = pairs[(place[pairs] >= 0).all(1)]
    first, second = place[pairs].T
    shaped = load_body(person.body, person.gender).shaped(torch.from_numpy(np.asarray(person.betas, np.float32)))
    placed = body_placement(person.global_orient, person.transl, shaped.joints_rest[0].double().numpy())
    moved = invert(placed[first]) @ placed[second]
    cameras = invert(truth.cameras.T_world_camera[person.frames])
    joints, own = (apply(T, np.asarray(person.joints_world, np.float64)) for T in (cameras, invert(placed)))
    pelvis = apply(cameras, placed[:, :3, 3])
    sites = [person.contact_sites.index(name) for name in _FEET if name in person.contact_sites]
    touching = person.contacts[:, sites].max(1, initial=0) > _LEAST_CONTACT
    return PairLabels(
        id=np.full(len(pairs), person.id),
        frames=pairs,
        boxes_1=boxes[pairs[:, 0]],
        boxes_2=boxes[pairs[:, 1]],
        rel_rot6d=moved[:, :2, :3].reshape(-1, 6),
        rel_trans=moved[:, :3, 3],
        trans_1=pelvis[first],
        trans_2=pelvis[second],
        joints_1=joints[first],
        joints_2=joints[second],
        joints_body_1=own[first],
        joints_body_2=own[second],
        contact=touching[first] & touching[second],
    )


def _joined(parts: list[PairLabels]) -> PairLabels:
    whole, box, one = np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros((0, 3))
    joints = np.zeros((0, 24, 3))
    pairs, rows = np.zeros((0, 2), np.int64), np.zeros((0, 6))
    nobody = PairLabels(whole, pairs, box, box, rows, one, one, one, joints, joints, joints, joints, np.zeros(0, bool))
    names = [part.name for part in fields(PairLabels)]
    return PairLabels(*(np.concatenate([getattr(part, name) for part in (nobody, *parts)]) for name in names))
