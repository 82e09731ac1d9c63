"""Every residual term of the keyframes: derivatives equal numeric ones, and a moved world costs the same."""

import math
from dataclasses import replace

import pytest
import torch

from diorama.body.contact_terms import static_contact_term
from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL, CameraRows
from diorama.body.motion_terms import pelvis_smoothness_term
from diorama.body.unknown_person import UnknownPerson, in_statures, stature_slope
from diorama.geometry.rotations import exp_so3
from diorama.methods.josh.camera_terms import CameraConfig, anchor_term, depth_terms, focal_term, step_term
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.methods.josh.person_terms import (
    Observed,
    PriorConfig,
    bias_name,
    bias_term,
    orient_term,
    place_term,
    pose_term,
    shape_terms,
)
from diorama.methods.josh.scene_contact import SceneContacts, scene_contact_term
from diorama.solver import Squared, Variable
from numeric_jacobian import assert_jacobian
from random_person import BETAS, FRAMES, NAMES, POINTS, random_person

KEYS, NODES = FRAMES + 1, 3
ROWS = torch.tensor([2, 0, 4, 1])
FOCAL = torch.tensor([500.0, 480.0, 510.0, 505.0, 495.0]).double()
TIMES = torch.tensor([0.0, 0.2, 0.45, 0.6]).double()
CAMERAS = CameraConfig()
PRIOR = PriorConfig()


def random_keyframes(seed=3):
    """A random person before one keyframe more than he has rows, all of it unknown."""
    person, values, make = random_person(seed)
    values = {
        person.transl: values[person.transl],
        person.rotations: values[person.rotations],
        person.betas: values[person.betas],
        CAMERA_ROTATIONS: exp_so3(0.2 * make(KEYS, 1, 3)),
        CAMERA_CENTRES: 0.4 * make(KEYS, 3),
        LOG_DEPTH: 0.2 * make(KEYS, 1 + NODES),
        LOG_FOCAL: 0.1 * make(1, 1),
        bias_name(person): 0.1 * make(1, 1),
    }
    return person, values, make


def cameras_of(values):
    """Unknown cameras at the person's rows; what they start with must not matter."""
    return CameraRows(
        values[CAMERA_ROTATIONS][ROWS, 0].mT @ exp_so3(torch.full((FRAMES, 3), 0.3).double()),
        values[CAMERA_CENTRES][ROWS] + 5, FOCAL[ROWS], ROWS,
    )  # fmt: skip


def observed_near(person, values, make):
    R, c = values[CAMERA_ROTATIONS][ROWS, 0], values[CAMERA_CENTRES][ROWS]
    rest = person.rest(values[person.betas][0])[0][0]
    pelvis = ((values[person.transl] + rest - c)[:, None] @ R)[:, 0] + 0.3 * make(FRAMES, 3)
    rotations = values[person.rotations] @ exp_so3(0.3 * make(FRAMES, 24, 3))
    return Observed(pelvis, R.mT @ rotations[:, 0], rotations[:, 1:], 0.2 + 0.8 * make(FRAMES).sigmoid())


def contacts(make, components):
    """Seven contacts in any order, some of a row with a keyframe that is not his own."""
    row, key = torch.tensor([0, 3, 1, 1, 2, 0, 3]), torch.tensor([2, 1, 0, 4, 4, 2, 3])
    site = torch.tensor([0, 2, 1, 1, 0, 2, 0])
    nodes = make(7, NODES).abs()
    return SceneContacts(row, key, site, 60 * make(7, 2), 5 + make(7).abs(), nodes, 8 * make(7, components, 3))


def stature(betas):
    return 1.7 + 0.05 * float(betas.sum())


def all_terms():
    person, values, make = random_keyframes()
    cameras, observed = cameras_of(values), observed_near(person, values, make)
    known = CameraRows(exp_so3(0.1 * make(FRAMES, 3)), 0.2 * make(FRAMES, 3), 500 + make(FRAMES))
    first = exp_so3(0.3 * make(KEYS, 3)), make(KEYS, 3)
    points, sites = NAMES[1:4], NAMES[:3]
    static = static_contact_term(person, points, make(FRAMES - 1, 3).abs(), 0.3)
    scene = {n: scene_contact_term(person, sites, contacts(make, n), FOCAL, Squared(), 0.7) for n in (1, 3)}
    metres = {
        "static contact": static, "scene contact": scene[3],
        "pelvis acceleration": pelvis_smoothness_term(person, TIMES, 3.0),
    }  # fmt: skip
    reference = values[person.betas] + 0.4 * make(1, BETAS)
    slope = stature_slope(stature, reference)
    terms = {
        "anchor": anchor_term(first[0][0], first[1][0], 0.1),
        "steps": step_term(*first, CAMERAS),
        "focal": focal_term(0.05),
        "place": place_term(person, cameras, observed, PRIOR, 0.6),
        "place before known cameras": place_term(person, known, observed, PRIOR, 1.0),
        "orient": orient_term(person, cameras, observed, PRIOR, 0.6),
        "orient before known cameras": orient_term(person, known, observed, PRIOR, 1.0),
        "pose": pose_term(person, observed, PRIOR, 0.6),
        "bias": bias_term(person, 0.07),
        "contact with the surface": scene[1],
        "contact with a point": scene[3],
    }
    terms |= {t.name: t for t in depth_terms(0.1 * make(KEYS, 1 + NODES), torch.tensor([0.1, -0.3]).double(), CAMERAS)}
    terms |= {t.name: t for t in shape_terms(person, slope, reference, False, PRIOR)}
    terms |= {f"{name} in statures": in_statures(t, person, slope, reference) for name, t in metres.items()}
    return person, values, terms


@pytest.mark.parametrize("name", sorted(all_terms()[2]))
def test_jacobian_equals_numeric_derivative(name):
    person, values, terms = all_terms()
    assert_jacobian(terms[name], values, [*person.variables(), Variable(CAMERA_ROTATIONS, rotations=True)])


@pytest.mark.parametrize("name", ["place", "contact with a point", "contact with a point in statures"])
def test_a_shape_that_is_fixed_has_no_blocks(name):
    person, values, make = random_keyframes()
    person.free_betas = torch.zeros(BETAS).double()
    if name == "place":
        term = place_term(person, cameras_of(values), observed_near(person, values, make), PRIOR, 1.0)
    else:
        term = scene_contact_term(person, NAMES[:3], contacts(make, 3), FOCAL, Squared())
    slope = stature_slope(stature, values[person.betas])
    term = in_statures(term, person, slope, values[person.betas]) if name.endswith("statures") else term
    rest = {key: value for key, value in values.items() if key != person.betas}
    assert person.betas not in {b.variable for b in term.function(values, True).blocks}
    part = replace(term, function=lambda v, j: term.function({**v, person.betas: values[person.betas]}, j))
    assert_jacobian(part, rest, [*person.variables(), Variable(CAMERA_ROTATIONS, rotations=True)])


def moved_world(person, values, turn, shift):
    """All cameras and the person after the world turned and shifted; the root turns about the pelvis."""
    rest = person.rest(values[person.betas][0])[0][0]
    rotations = values[person.rotations].clone()
    rotations[:, 0] = turn @ rotations[:, 0]
    return {
        **values,
        CAMERA_ROTATIONS: turn @ values[CAMERA_ROTATIONS],
        CAMERA_CENTRES: values[CAMERA_CENTRES] @ turn.T + shift,
        person.transl: (values[person.transl] + rest) @ turn.T + shift - rest,
        person.rotations: rotations,
    }


def test_nothing_but_the_anchor_knows_where_the_world_is():
    person, values, terms = all_terms()
    turn, shift = exp_so3(torch.tensor([0.4, -1.1, 0.7]).double()), torch.tensor([3.0, -2.0, 5.0]).double()
    moved = moved_world(person, values, turn, shift)
    for name, term in terms.items():
        before, after = float(term.cost(values)), float(term.cost(moved))
        if name == "anchor" or "known cameras" in name:
            assert abs(after - before) > 1e-3 * before, name
        else:
            assert after == pytest.approx(before, rel=1e-9), name


def test_a_world_that_shrinks_with_its_people_gains_nothing_from_lengths():
    """Static contacts, contacts with the scene: the same cost for a world of half the size, people and all."""
    _, values, make = random_keyframes()
    joints, points = 0.3 * make(24, 3), 0.3 * make(POINTS, 3)
    person = UnknownPerson(
        0, NAMES, torch.tensor([0, 5, 21, 15, 8, 20]), lambda b: ((1 + b[0]) * joints, (1 + b[0]) * points), FRAMES
    )
    values[person.betas] = torch.zeros(1, 1).double()
    tall = lambda betas: 1.7 * float(1 + betas[0])  # noqa: E731
    half = {
        **values,
        person.betas: torch.full((1, 1), -0.5).double(),
        person.transl: 0.5 * values[person.transl],
        CAMERA_CENTRES: 0.5 * values[CAMERA_CENTRES],
        LOG_DEPTH: values[LOG_DEPTH] + math.log(0.5) * torch.eye(1 + NODES, dtype=torch.float64)[0],
    }
    lengths = [
        static_contact_term(person, NAMES[1:4], make(FRAMES - 1, 3).abs(), 0.3),
        scene_contact_term(person, NAMES[:3], contacts(make, 3), FOCAL, Squared()),
        pelvis_smoothness_term(person, TIMES, 3.0),
    ]
    for term in lengths:
        assert float(term.cost(half)) < 0.9 * float(term.cost(values))
        first = torch.zeros(1, 1).double()
        relative = in_statures(term, person, stature_slope(tall, first), first)
        assert float(relative.cost(half)) == pytest.approx(float(relative.cost(values)), rel=1e-9), term.name


def exactly_seen(person, values):
    """Observations that agree with the values at their focal length."""
    R, c = values[CAMERA_ROTATIONS][ROWS, 0], values[CAMERA_CENTRES][ROWS]
    rest = person.rest(values[person.betas][0])[0][0]
    pelvis = ((values[person.transl] + rest - c)[:, None] @ R)[:, 0]
    root = R.mT @ values[person.rotations][:, 0]
    return Observed(pelvis, root, values[person.rotations][:, 1:], torch.ones(FRAMES).double())


def test_the_prior_is_free_where_people_are_as_observed():
    person, values, _ = random_keyframes()
    values |= {LOG_FOCAL: torch.zeros(1, 1).double(), bias_name(person): torch.zeros(1, 1).double()}
    cameras, observed = cameras_of(values), exactly_seen(person, values)
    for term in (
        place_term(person, cameras, observed, PRIOR, 1.0), orient_term(person, cameras, observed, PRIOR, 1.0),
        pose_term(person, observed, PRIOR, 1.0), bias_term(person, 0.1),
        *shape_terms(person, stature_slope(stature, values[person.betas]), values[person.betas], True, PRIOR),
    ):  # fmt: skip
        assert float(term.cost(values)) < 1e-18, term.name


def test_peoples_depth_follows_the_focal_length_and_their_common_error():
    """JOSH: z becomes z f / f_init, x and y stay. A common factor of all distances is the bias and costs nothing more."""
    person, values, _ = random_keyframes()
    zoom, bias = 1.3, 0.2
    values |= {
        LOG_FOCAL: torch.full((1, 1), math.log(zoom), dtype=torch.float64),
        bias_name(person): torch.full((1, 1), bias, dtype=torch.float64),
    }
    cameras, seen = cameras_of(values), exactly_seen(person, values)
    factor = torch.tensor([1.0, 1.0, zoom], dtype=torch.float64)
    observed = replace(seen, pelvis=seen.pelvis * math.exp(-bias) / factor)
    assert float(place_term(person, cameras, observed, PRIOR, 1.0).cost(values)) < 1e-18
    unbiased = {**values, bias_name(person): torch.zeros(1, 1).double()}
    alone = replace(PRIOR, loss=Squared())
    expected = FRAMES * (bias / PRIOR.depth) ** 2
    assert float(place_term(person, cameras, observed, alone, 1.0).cost(unbiased)) == pytest.approx(expected, rel=1e-9)


def test_trust_and_weight_multiply_the_cost():
    person, values, make = random_keyframes()
    cameras, observed = cameras_of(values), observed_near(person, values, make)
    config = replace(PRIOR, loss=Squared())
    for build in (
        lambda o, w: place_term(person, cameras, o, config, w), lambda o, w: orient_term(person, cameras, o, config, w),
        lambda o, w: pose_term(person, o, config, w),
    ):  # fmt: skip
        full, zero = replace(observed, trust=torch.ones(FRAMES).double()), replace(observed, trust=0 * observed.trust)
        assert float(build(zero, 1.0).cost(values)) == 0
        third = replace(observed, trust=torch.full((FRAMES,), 1 / 3).double())
        assert float(build(third, 3.0).cost(values)) == pytest.approx(float(build(full, 1.0).cost(values)))


def test_scales_are_told_apart_by_claims_only():
    """One factor on all maps costs nothing but what claims say; without claims there is no such term."""
    _, values, make = random_keyframes()
    first = 0.1 * make(KEYS, 1 + NODES)
    claimed = depth_terms(first, torch.tensor([0.1]).double(), CAMERAS)
    grown = {**values, LOG_DEPTH: values[LOG_DEPTH] + torch.tensor([0.5, 0, 0, 0]).double()}
    costs = {t.name: (float(t.cost(values)), float(t.cost(grown))) for t in claimed}
    for name in ("depth_nodes", "depth_scales"):
        assert costs[name][0] == pytest.approx(costs[name][1], rel=1e-9)
    assert abs(costs["metric_claims"][0] - costs["metric_claims"][1]) > 0.1
    assert [t.name for t in depth_terms(first, torch.zeros(0).double(), CAMERAS)] == ["depth_nodes", "depth_scales"]


@pytest.mark.parametrize("keys", [1, 2])
def test_few_keyframes_have_terms_too(keys):
    _, values, make = random_keyframes()
    values = {name: values[name][:keys] for name in (CAMERA_ROTATIONS, CAMERA_CENTRES, LOG_DEPTH)}
    terms = [
        step_term(exp_so3(0.3 * make(keys, 3)), make(keys, 3), CAMERAS),
        *depth_terms(0.1 * make(keys, 1 + NODES), torch.tensor([0.1]).double(), CAMERAS),
    ]
    for term in terms:
        assert_jacobian(term, values, [Variable(CAMERA_ROTATIONS, rotations=True)])
