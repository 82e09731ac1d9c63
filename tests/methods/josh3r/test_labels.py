"""Labels chain back to the truth, and the losses are zero at them."""

import numpy as np
import pytest
import torch

from diorama.body.anny import load_free_body
from diorama.errors import DioramaError
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh3r import losses
from diorama.methods.josh3r.chaining import chain, motion
from diorama.methods.josh3r.labels import pair_labels
from diorama.methods.josh3r.pairs import chain_pairs
from diorama.networks.josh3r import rotation_of_rows
from simulated_world import simulated_world

FRAMES = 24


@pytest.fixture(scope="module")
def truth():
    try:
        load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
    return simulated_world("walk", FRAMES)[0]


def everywhere(truth):
    return {person.id: np.tile([0.0, 0, 10, 20], (FRAMES, 1)) for person in truth.people}


def test_labels_chain_to_the_true_path(truth):
    labels = pair_labels(truth, chain_pairs(FRAMES), everywhere(truth))
    for person in truth.people:
        own = labels.id == person.id
        assert own.sum() == len(person.frames) - 1
        start = np.eye(4)
        path = chain(start, motion(labels.rel_rot6d[own], labels.rel_trans[own]))
        # The pelvis of frame k in the first body frame; its own frame has it at the origin.
        pelvis = person.joints_world[:, 0] - person.joints_world[0, 0]
        assert np.allclose(np.linalg.norm(path[:, :3, 3], axis=1), np.linalg.norm(pelvis, axis=1), atol=1e-3)
        cameras = invert(truth.cameras.T_world_camera)
        seen = apply(cameras[person.frames], person.joints_world)
        assert np.allclose(labels.joints_1[own], seen[:-1]) and np.allclose(labels.joints_2[own], seen[1:])
        assert np.allclose(labels.trans_1[own], seen[:-1, 0], atol=1e-3)


def test_joints_of_both_body_frames_agree_through_the_motion(truth):
    labels = pair_labels(truth, np.array([[3, 9], [9, 3]]), everywhere(truth))
    moved = motion(labels.rel_rot6d, labels.rel_trans)
    placed = apply(moved, labels.joints_body_2)
    back = apply(invert(moved), placed)
    assert np.allclose(back, labels.joints_body_2)
    # Feet that stand are at one place in the first body frame, whichever picture they are seen in.
    neighbours = pair_labels(truth, chain_pairs(FRAMES), everywhere(truth))
    six, trans = torch.from_numpy(neighbours.rel_rot6d), torch.from_numpy(neighbours.rel_trans)
    first, second = torch.from_numpy(neighbours.joints_body_1), torch.from_numpy(neighbours.joints_body_2)
    contact = torch.from_numpy(neighbours.contact)
    slid = losses.contact_static_loss(trans, rotation_of_rows(six), first, second, contact)
    wrong = losses.contact_static_loss(trans + 0.1, rotation_of_rows(six), first, second, contact)
    assert contact.any() and slid < 0.01 and wrong > 0.1


def test_people_without_a_box_have_no_label(truth):
    boxes = everywhere(truth)
    gone = truth.people[0].id
    boxes[gone][5:] = np.nan
    labels = pair_labels(truth, chain_pairs(FRAMES), boxes)
    assert (labels.id == gone).sum() == 4
    assert len(pair_labels(truth, chain_pairs(FRAMES), {}).id) == 0
    assert len(pair_labels(truth, np.zeros((0, 2), np.int64), boxes).id) == 0
