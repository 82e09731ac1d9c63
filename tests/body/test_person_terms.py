"""Derivatives of every residual term equal numeric ones on a random body."""

from dataclasses import replace

import pytest
import torch

from diorama.body.contact_terms import floor_contact_term, no_sinking_term, static_contact_term
from diorama.body.image_terms import (
    CAMERA_ROTATIONS,
    CameraRows,
    DistanceFields,
    direction_term,
    keypoint_term,
    silhouette_term,
)
from diorama.body.joints import JOINT_NAMES
from diorama.body.motion_terms import (
    PosePrior,
    Smoothness,
    joint_limit_term,
    pelvis_smoothness_term,
    pose_prior_term,
    rotation_smoothness_term,
    shape_prior_term,
)
from diorama.geometry.rotations import exp_so3
from diorama.solver import Variable
from numeric_jacobian import assert_jacobian
from random_person import BETAS, FRAMES, NAMES, POINTS, random_person


def all_terms():
    person, values, make = random_person()
    cameras = CameraRows(exp_so3(0.1 * make(FRAMES, 3)), 0.2 * make(FRAMES, 3), 500 + make(FRAMES))
    moving = replace(cameras, unknown=torch.tensor([2, 0, 3, 1]))
    times = torch.tensor([0.0, 0.03, 0.07, 0.1]).double()
    fields = DistanceFields(make(FRAMES, 9, 8).abs() * 30, -200 + 0 * make(FRAMES, 2), 50 + 0 * make(FRAMES))
    unit = torch.nn.functional.normalize(make(FRAMES, 2, 3), dim=-1)
    sigma = torch.full((FRAMES, POINTS), 4.0, dtype=torch.float64)
    seen = 50 * make(FRAMES, POINTS, 2)
    terms = {
        "keypoints": (keypoint_term(person, cameras, NAMES, seen, sigma), 1e-5),
        "keypoints of unknown cameras": (keypoint_term(person, moving, NAMES, seen, sigma), 1e-5),
        "directions": (direction_term(person, [("p1", "p4"), ("p2", "p3")], unit, sigma[:, :2] / 40), 1e-5),
        "silhouette": (silhouette_term(person, cameras, NAMES, fields, sigma[:, 0]), 1e-4),
        "pelvis": (pelvis_smoothness_term(person, times, 3.0), 1e-6),
        "shape": (shape_prior_term(person, torch.zeros(BETAS).double(), torch.ones(BETAS).double()), 1e-6),
        "contact": (floor_contact_term(person, NAMES[:3], make(FRAMES, 3).abs(), 0.5), 1e-5),
        "sinking": (no_sinking_term(person, NAMES, 0.5), 1e-5),
        "static": (static_contact_term(person, NAMES[2:], make(FRAMES - 1, 4).abs(), 0.5), 1e-5),
        "prior": (pose_prior_term(person, PosePrior(mean={})), 1e-5),
        "smooth": (rotation_smoothness_term(person, times, Smoothness()), 1e-5),
        "limits": (joint_limit_term(person), 1e-5),
    }
    return person, values, terms


NAMES_OF_TERMS = sorted(all_terms()[2])


@pytest.mark.parametrize("name", NAMES_OF_TERMS)
def test_jacobian_equals_numeric_derivative(name):
    person, values, terms = all_terms()
    term, tolerance = terms[name]
    assert_jacobian(term, values, [*person.variables(), Variable(CAMERA_ROTATIONS, rotations=True)], tolerance)


def test_pose_prior_vanishes_at_its_mean_and_names_every_joint():
    prior = PosePrior()
    person, values, _ = random_person()
    mean = torch.cat([torch.eye(3).double()[None], prior.mean_rotations()]).expand(FRAMES, 24, 3, 3)
    residual = pose_prior_term(person, prior).function({**values, person.rotations: mean}, False).residual
    assert float(residual.abs().max()) < 1e-9
    assert prior.sigmas().shape == (len(JOINT_NAMES) - 1, 3)


def test_smooth_motion_costs_nothing():
    person, values, _ = random_person()
    times = torch.tensor([0.0, 0.1, 0.25, 0.3]).double()
    spin = exp_so3(times[:, None, None] * torch.randn(1, 24, 3).double())
    drift = times[:, None] * torch.tensor([[1.0, 2.0, 0.0]]).double()
    values = {**values, person.rotations: spin, person.transl: drift}
    assert float(rotation_smoothness_term(person, times, Smoothness()).cost(values)) < 1e-12
    assert float(pelvis_smoothness_term(person, times, 1.0).cost(values)) < 1e-12
