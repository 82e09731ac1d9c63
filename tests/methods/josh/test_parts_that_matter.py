"""What each part of JOSH is for (the paper's Table 2): without it, what it gives is lost."""

from functools import lru_cache

import numpy as np
import pytest
import torch

from diorama.body import load_body
from diorama.geometry.alignment import umeyama
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.method import JoshConfig, reconstruct_josh, without
from diorama.synthetic.josh_problem import JoshProblem, josh_problem

ANKLES = [7, 8]
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))]
CONFIGS = {
    "josh": JoshConfig(), "no contact scene": without(scene=True), "no contact static": without(static=True),
    "fixed people": without(people=True),
}  # fmt: skip


def problem(seed):
    """People hold on to tables and never move their feet; their distances are 10 % off, new in every keyframe."""
    return JoshProblem(seed=seed, keyframes=8, matches=150, window=4, cameras="unit")


@lru_cache(maxsize=8)
def solved(seed, name):
    truth, observations = josh_problem(problem(seed))
    return truth, observations, reconstruct_josh(None, observations, CONFIGS[name])


def scale_error(seed, name):
    """Relative error of the cameras' scale."""
    truth, _, found = solved(seed, name)
    return 1 / umeyama(found.cameras.T_world_camera[:, :3, 3], truth.cameras.T_world_camera[:, :3, 3]).scale - 1


def place_error(seed, name):
    """Mean distance of pelvises in the world, metres; only the first camera's pose is given."""
    truth, _, found = solved(seed, name)
    move = truth.cameras.T_world_camera[0] @ invert(found.cameras.T_world_camera[0])
    away = [apply(move, p.joints_world[:, 0]) - truth.person(p.id).joints_world[p.frames, 0] for p in found.people]
    return float(np.linalg.norm(np.concatenate(away), axis=1).mean())


def slide(seed, name):
    """Mean step of ankles that stand still, metres from frame to frame."""
    _, _, found = solved(seed, name)
    return np.mean([np.linalg.norm(np.diff(p.joints_world[:, ANKLES], axis=0), axis=-1).mean() for p in found.people])


@pytest.mark.parametrize("seed", SEEDS)
def test_without_contacts_with_the_scene_its_scale_is_lost(seed):
    assert abs(scale_error(seed, "josh")) < 0.03
    assert abs(scale_error(seed, "no contact scene")) > 0.1


@pytest.mark.parametrize("seed", SEEDS)
def test_without_static_contacts_feet_slide_more(seed):
    assert slide(seed, "no contact static") > 1.5 * slide(seed, "josh")


@pytest.mark.parametrize("seed", SEEDS)
def test_people_move_when_they_should(seed):
    assert place_error(seed, "josh") < 0.4 * place_error(seed, "fixed people")
    assert slide(seed, "josh") < 0.2 * slide(seed, "fixed people")


def test_people_who_must_not_move_are_where_they_were_seen():
    _, observations, found = solved(0, "fixed people")
    for person, seen in zip(found.people, observations.bodies.people, strict=True):
        R, centre = found.cameras.T_world_camera[:, :3, :3], found.cameras.T_world_camera[:, :3, 3]
        before_camera = ((person.joints_world[:, 0] - centre)[:, None] @ R)[:, 0]
        np.testing.assert_allclose(before_camera, pelvis_of(seen), atol=0.02)


def pelvis_of(seen):
    """Observed pelvis in the camera frame, metres."""
    rest = load_body(seen.body, seen.gender).shaped(torch.from_numpy(seen.betas)).joints_rest[0].double().numpy()
    return seen.transl + rest
