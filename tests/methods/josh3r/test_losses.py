"""JOSH3R's losses: zero at the truth, known values, who learns from them, empty batches."""

import pytest
import torch

from diorama.methods.josh3r import losses
from diorama.networks.josh3r import rotation_of_rows


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_errors_of_numbers():
    label = normal(5, 3)
    assert losses.rel_trans_loss(label, label) == 0
    assert losses.rel_trans_loss(label + torch.tensor([1.0, -2.0, 0]), label) == pytest.approx(1)
    assert losses.rel_rot_loss(normal(5, 6) + 2, normal(5, 6)) == pytest.approx(4)
    assert losses.trans_loss(1.1 * label, label) == pytest.approx(0.1, rel=5e-3)
    assert losses.trans_loss(torch.full((1, 3), 1e-3), torch.zeros(1, 3)) == pytest.approx(3**0.5)


def scene(people=2):
    """Points of a picture, and people whose feet are on every second of them at 1.5 times the size."""
    points, joints = normal(people, 4, 6, 3, seed=1), normal(people, 24, 3, seed=2)
    joints[:, list(losses.FEET)] = 1.5 * points.flatten(1, 2)[:, ::2][:, :4]
    return points, joints


def test_contact_scale_is_least_where_feet_touch():
    points, joints = scene()
    scale = torch.full((2, 1), 1.5, dtype=torch.float64, requires_grad=True)
    assert losses.contact_scale_loss(scale, points, joints) < 1e-12
    points.requires_grad_()
    worse = losses.contact_scale_loss(1.01 * scale, points, joints)
    worse.backward()
    assert worse > 1e-3 and (scale.grad > 0).all() and points.grad is None


def test_contact_scale_is_the_least_of_all_distances():
    points, joints = scene()
    scale, valid = 1 + normal(2, 1, seed=4).abs(), normal(2, 4, 6, seed=5) > 0
    total = 0.0
    for person in range(2):
        for joint in losses.FEET:
            ways = [
                float((joints[person, joint] - scale[person] * points[person, row, column]).norm())
                for row in range(4)
                for column in range(6)
                if valid[person, row, column]
            ]
            total += min(ways)
    assert float(losses.contact_scale_loss(scale, points, joints, valid)) == pytest.approx(total / 8)


def test_people_without_valid_points_cost_nothing():
    points, joints = scene()
    valid = torch.zeros(2, 4, 6, dtype=torch.bool)
    scale = torch.ones(2, 1, dtype=torch.float64, requires_grad=True)
    lost = losses.contact_scale_loss(scale, points, joints, valid)
    lost.backward()
    assert lost == 0 and torch.isfinite(scale.grad).all()
    assert losses.contact_scale_loss(scale[:0], points[:0], joints[:0]) == 0
    assert losses.depth_loss(scale, points, points, valid) == 0


def test_the_standing_foot_counts():
    joints = normal(3, 24, 3)
    rotation, trans = rotation_of_rows(normal(3, 6, seed=3)), normal(3, 3, seed=4)
    second = (joints - trans[:, None]) @ rotation  # the same places in the second body frame
    assert losses.contact_static_loss(trans, rotation, joints, second) < 1e-12
    swung = second.clone()
    swung[:, list(losses.LEFT)] += 1
    assert losses.contact_static_loss(trans, rotation, joints, swung) < 1e-12
    swung[:, list(losses.RIGHT)] += torch.tensor([0.1, 0, 0])
    assert losses.contact_static_loss(trans, rotation, joints, swung) == pytest.approx(0.1)
    flying = torch.tensor([True, False, False])
    swung[1:] += 5
    assert losses.contact_static_loss(trans, rotation, joints, swung, flying) == pytest.approx(0.1)


def test_relative_depth():
    points, valid = normal(2, 4, 6, 3), normal(2, 4, 6, seed=1) > 0
    scale = torch.tensor([[2.0], [4.0]], dtype=torch.float64)
    label = scale[:, :, None, None] * points
    assert losses.depth_loss(scale, points, label, valid) == 0
    assert losses.depth_loss(1.2 * scale, points, label, valid) == pytest.approx(0.2, rel=2e-3)
    label[~valid] = 1e6
    assert losses.depth_loss(scale, points, label, valid) == 0


def test_the_total_is_the_sum():
    parts = [torch.tensor(float(2**i)) for i in range(9)]
    assert losses.Losses(*parts).total() == 2**9 - 1
