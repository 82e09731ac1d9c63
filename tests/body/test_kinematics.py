"""Closed-form derivatives equal automatic ones; forward kinematics equals a naive loop."""

import torch

from diorama.body.kinematics import attached_points, forward_kinematics, rest_jacobians, rotation_jacobians
from diorama.geometry.rotations import exp_so3

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def random_body(frames=3, points=7):
    torch.manual_seed(1)
    rest = torch.randn(24, 3).double()
    rotations = exp_so3(torch.randn(frames, 24, 3).double())
    transl = torch.randn(frames, 3).double()
    owner = torch.randint(0, 24, (points,))
    return rest, rotations, transl, owner, torch.randn(points, 3).double()


def pose(rest, rotations, transl, owner, offsets):
    joints, frames = forward_kinematics(PARENTS, rest, rotations, transl)
    return joints, frames, attached_points(joints, frames, owner, offsets)


def test_forward_kinematics_equals_a_naive_loop():
    rest, rotations, transl, *_ = random_body()
    joints, frames = forward_kinematics(PARENTS, rest, rotations, transl)
    for f in range(3):
        position, frame = {0: rest[0] + transl[f]}, {0: rotations[f, 0]}
        for j in range(1, 24):
            p = PARENTS[j]
            frame[j] = frame[p] @ rotations[f, j]
            position[j] = position[p] + frame[p] @ (rest[j] - rest[p])
            torch.testing.assert_close(joints[f, j], position[j])
            torch.testing.assert_close(frames[f, j], frame[j])


def test_rotation_jacobians_equal_autograd():
    rest, rotations, transl, owner, offsets = random_body()
    joints, frames, points = pose(rest, rotations, transl, owner, offsets)
    ours = rotation_jacobians(PARENTS, joints, frames, owner, points)

    def moved(delta):
        return pose(rest, rotations @ exp_so3(delta), transl, owner, offsets)[2]

    theirs = torch.autograd.functional.jacobian(moved, torch.zeros(3, 24, 3).double())
    for f in range(3):
        torch.testing.assert_close(ours[f], theirs[f, :, :, f].reshape(7, 3, 72))


def test_rest_jacobians_equal_autograd():
    rest, rotations, transl, owner, offsets = random_body()
    rest_by, offsets_by = torch.randn(24, 3, 4).double(), torch.randn(7, 3, 4).double()
    frames = pose(rest, rotations, transl, owner, offsets)[1]
    ours = rest_jacobians(PARENTS, frames, owner, rest_by, offsets_by)

    def shaped(betas):
        return pose(rest + rest_by @ betas, rotations, transl, owner, offsets + offsets_by @ betas)[2]

    theirs = torch.autograd.functional.jacobian(shaped, torch.zeros(4).double())
    torch.testing.assert_close(ours, theirs)


def test_root_rotation_acts_about_the_pelvis():
    rest, rotations, transl, *_ = random_body()
    joints, _ = forward_kinematics(PARENTS, rest, rotations, transl)
    torch.testing.assert_close(joints[:, 0], rest[0] + transl)
