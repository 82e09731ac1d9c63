"""A walk stands where it says it stands: planted sites do not move, nothing sinks, joints move like a human's."""

import numpy as np
import pytest
import torch

from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS
from diorama.body.stature import betas_for_stature
from diorama.metrics import floating, foot_slide_by_contacts, penetration
from diorama.synthetic.feet import FOOT_SITES, Gait, quintic
from diorama.synthetic.walk import Manner, Skeleton, WalkPath, two_bones, walk

TIMES = np.arange(100) / 30
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module", params=[(1.5, 0.9, 0.05), (1.58, 1.1, -0.03), (1.86, 1.4, 0.0), (1.95, 1.5, 0.03)])
def walker(request, free_body):
    stature, speed, curvature = request.param
    shaped = free_body.to(dtype=torch.float64).shaped(
        betas_for_stature(free_body, stature, age=2 / 3, gender=float(stature < 1.7)).double()
    )
    path = WalkPath((1.0, -2.0), 2.0, speed, curvature)
    motion = walk(Skeleton.of(shaped), path, TIMES, Manner(phase=stature))
    posed = shaped.posed(*(torch.from_numpy(a) for a in (motion.global_orient, motion.body_pose, motion.transl)))
    return path, motion, posed


def test_planted_sites_do_not_move(walker):
    _, motion, posed = walker
    sites = posed.contact_sites(FOOT_SITES).numpy()
    assert foot_slide_by_contacts(sites, motion.contacts).max() < 0.1
    assert np.abs(sites[motion.contacts][:, 2]).max() < 1e-4


def test_nothing_sinks_or_floats(walker):
    _, _, posed = walker
    verts = posed.verts(range(0, len(posed.shaped.verts_rest), 3)).numpy()
    assert penetration(verts).max() < 5
    assert floating(verts).max() < 5


def test_sites_in_the_air_are_not_labelled(walker):
    _, motion, posed = walker
    sites = posed.contact_sites(FOOT_SITES).numpy()
    steps = np.linalg.norm(np.diff(sites, axis=0), axis=-1)
    swinging = steps > 0.02
    assert not (swinging & motion.contacts[1:] & motion.contacts[:-1]).any()
    assert (sites[~motion.contacts][:, 2] > -1e-4).all()


def test_each_foot_stands_about_sixty_percent(walker):
    _, motion, _ = walker
    for side in range(2):
        assert 0.5 < motion.contacts[:, [side, side + 2]].any(1).mean() < 0.72
    # While walking, one foot is always on the ground, and never do both leave it.
    assert motion.contacts.any(1).all()


def test_accelerations_are_human(walker):
    _, _, posed = walker
    acceleration = np.linalg.norm(np.diff(posed.joints.numpy(), n=2, axis=0), axis=-1) * 30**2
    assert acceleration[:, [0, JOINT_INDEX["neck"], JOINT_INDEX["head"]]].max() < 6
    assert np.median(acceleration) < 5
    assert acceleration.max() < 80


def test_the_pelvis_follows_the_path(walker):
    path, _, posed = walker
    pelvis = posed.joints[:, 0].numpy()
    assert np.linalg.norm(pelvis[:, :2] - path.point_at(path.speed * TIMES), axis=1).max() < 0.03
    speed = np.linalg.norm(np.diff(pelvis[:, :2], axis=0), axis=1) * 30
    assert np.median(speed) == pytest.approx(path.speed, rel=0.05)


def test_knees_bend_forward_and_bones_keep_their_length(walker):
    _, motion, posed = walker
    knees = motion.body_pose[:, [JOINT_INDEX["left_knee"] - 1, JOINT_INDEX["right_knee"] - 1]]
    assert knees[..., 0].min() > 0
    assert 0.9 < np.linalg.norm(knees, axis=-1).max() < 1.5
    joints = posed.joints.numpy()
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        lengths = np.linalg.norm(joints[:, joint] - joints[:, parent], axis=1)
        assert np.ptp(lengths) < 1e-9


def test_arms_swing_against_the_legs(walker):
    path, _, posed = walker
    heading = path.heading_at(path.speed * TIMES)
    ahead = np.stack([np.cos(heading), np.sin(heading), 0 * heading], 1)
    place = {
        name: ((posed.joints[:, JOINT_INDEX[name]].numpy() - posed.joints[:, 0].numpy()) * ahead).sum(1)
        for name in ("left_wrist", "left_ankle", "right_wrist", "right_ankle")
    }
    for side in ("left", "right"):
        assert np.corrcoef(place[f"{side}_wrist"], place[f"{side}_ankle"])[0, 1] < -0.5


def test_an_arc_has_the_length_and_heading_that_it_says():
    path = WalkPath((0.0, 0.0), 0.5, 1.0, 0.3)
    distance = np.linspace(0, 4, 4001)
    points = path.point_at(distance)
    steps = np.diff(points, axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(4, rel=1e-6)
    middle = (distance[1:] + distance[:-1]) / 2
    assert np.arctan2(steps[:, 1], steps[:, 0]) == pytest.approx(path.heading_at(middle), abs=1e-6)


def test_two_bones_reach_and_bend_forward():
    root, end, forward = RNG.normal(0, 1, (3, 50, 3))
    reach = np.linalg.norm(end - root, axis=1)
    end = root + (end - root) / reach[:, None] * RNG.uniform(0.3, 0.95, (50, 1))
    middle, hinge = two_bones(root, end, forward, 0.5, 0.46)
    assert np.linalg.norm(middle - root, axis=1) == pytest.approx(np.full(50, 0.5))
    assert np.linalg.norm(end - middle, axis=1) == pytest.approx(np.full(50, 0.46))
    across = np.cross(end - root, forward)
    bend = np.cross(end - root, middle - root)
    assert ((across * bend).sum(1) > 0).all()
    assert np.abs((hinge * (end - root)).sum(1)).max() < 1e-9


def test_quintic_meets_its_ends():
    start, end = RNG.normal(0, 1, (2, 3, 2))
    u = np.array([0.0, 1e-4, 2e-4, 1 - 2e-4, 1 - 1e-4, 1.0])
    value = quintic(u, tuple(start), tuple(end))
    assert value[[0, -1]] == pytest.approx(np.stack([start[0], end[0]]))
    first = (value[[1, -1]] - value[[0, -2]]) / 1e-4
    assert first == pytest.approx(np.stack([start[1], end[1]]), abs=5e-3)
    second = (value[2] - 2 * value[1] + value[0]) / 1e-8
    assert second == pytest.approx(start[2], abs=0.2)


def test_gait_phases_are_in_order():
    gait = Gait()
    assert 0 < gait.flat < gait.middle < gait.heel_off < gait.toe_off < gait.toes_settled < 1
