"""Derivatives of every residual term equal numeric ones on a random body."""

from dataclasses import replace

import pytest
import torch

from diorama.body.contact_terms import FLOOR, floor_contact_term, no_sinking_term, static_contact_term
from diorama.body.image_terms import (
    CAMERA_CENTRES,
    CAMERA_ROTATIONS,
    LOG_FOCAL,
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
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import exp_so3
from diorama.solver import Variable

FRAMES, POINTS, BETAS = 4, 6, 2
NAMES = [f"p{i}" for i in range(POINTS)]


def random_person():
    generator = torch.Generator().manual_seed(2)
    make = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    joints, points = 0.3 * make(24, 3), 0.3 * make(POINTS, 3)
    joints_by, points_by = 0.1 * make(24, 3, BETAS), 0.1 * make(POINTS, 3, BETAS)
    owner = torch.tensor([0, 5, 21, 15, 8, 20])
    person = UnknownPerson(0, NAMES, owner, lambda b: (joints + joints_by @ b, points + points_by @ b), FRAMES)
    values = {
        person.transl: make(FRAMES, 3) + torch.tensor([0.0, 0.0, 8.0]).double(),
        person.rotations: exp_so3(0.15 * make(FRAMES, 24, 3)),
        person.betas: make(1, BETAS),
        CAMERA_ROTATIONS: exp_so3(0.1 * make(FRAMES, 1, 3)),
        CAMERA_CENTRES: 0.2 * make(FRAMES, 3),
        LOG_FOCAL: torch.tensor([[0.1]]).double(),
        FLOOR: torch.tensor([[0.05, -0.1, 8.0]]).double(),
    }
    return person, values, make


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


NAMES_OF_TERMS = [
    "keypoints",
    "keypoints of unknown cameras",
    "directions",
    "silhouette",
    "pelvis",
    "shape",
    "prior",
    "smooth",
    "limits",
]


@pytest.mark.parametrize("name", [*NAMES_OF_TERMS, "contact", "sinking", "static"])
def test_jacobian_equals_numeric_derivative(name):
    person, values, terms = all_terms()
    term, tolerance = terms[name]
    part = term.function(values, True)
    variables = {v.name: v for v in [*person.variables(), Variable(CAMERA_ROTATIONS, rotations=True)]}
    for key in {block.variable for block in part.blocks}:
        value = values[key]
        for row in range(len(value)):
            size = variables[key].tangent(value) if key in variables else value.shape[1]
            for entry in range(size):
                numeric = numeric_derivative(term, values, variables.get(key), key, row, entry)
                ours = torch.zeros_like(numeric)
                for block in part.blocks:
                    if block.variable == key:
                        first = torch.zeros_like(block.rows) if block.first is None else block.first
                        inside = (entry >= first) & (entry < first + block.jacobian.shape[-1])
                        for item in torch.nonzero((block.rows == row) & inside)[:, 0].tolist():
                            ours[item] += block.jacobian[item][..., entry - int(first[item])]
                scale = max(1.0, float(numeric.abs().max()))
                assert float((ours - numeric).abs().max()) < tolerance * scale, (key, row, entry)


def numeric_derivative(term, values, variable, key, row, entry, step=1e-6):
    def at(signed):
        delta = torch.zeros(
            len(values[key]), variable.tangent(values[key]) if variable else values[key].shape[1]
        ).double()
        delta[row, entry] = signed
        moved = variable.retract(values[key], delta) if variable else values[key] + delta
        return term.function({**values, key: moved}, False).residual

    return (at(step) - at(-step)) / (2 * step)


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
