"""Landmarks where a detector puts them: a small, mirrored, growing shift of the anatomical ones."""

import pytest
import torch

from diorama.body.anny import load_free_body
from diorama.body.detected import as_detected
from diorama.body.joints import BLAZEPOSE_33, mirrored_name
from diorama.body.stature import betas_for_stature


def shift(stature):
    model = load_free_body()
    betas = betas_for_stature(model, stature)
    marks = [m.shaped(betas).landmarks for m in (model, as_detected(model, "blazepose33"))]
    assert marks[0].names == marks[1].names
    return marks[0].names, marks[1].rest - marks[0].rest


def test_left_and_right_are_mirror_images():
    names, moved = shift(1.7)
    for name, offset in zip(names, moved, strict=True):
        other = moved[names.index(mirrored_name(name))]
        if mirrored_name(name) != name:
            assert torch.allclose(other, offset * torch.tensor([-1.0, 1.0, 1.0]), atol=1e-6), name


def test_the_shift_is_some_centimetres_and_grows_with_the_body():
    names, adult = shift(1.8)
    _, child = shift(1.2)
    size = adult.norm(dim=1)
    assert size.max() < 0.07
    assert all(size[names.index(name)] > 0.005 for name in BLAZEPOSE_33)
    assert torch.allclose(child, adult * 1.2 / 1.8, atol=3e-3)
    # Ankles are seen up the shin; the crown comes from the mask and is where it is.
    assert 0.02 < adult[names.index("left_ankle"), 1] < 0.035
    assert size[names.index("head_top")] == 0


@pytest.mark.parametrize("joint_set", ["coco17", "smpl24", ""])
def test_other_joint_sets_are_taken_as_they_are(joint_set):
    model = load_free_body()
    assert as_detected(model, joint_set) is model
