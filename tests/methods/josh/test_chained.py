"""First cameras from point maps and matches alone, against the true ones."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.geometry.alignment import umeyama
from diorama.geometry.transforms import apply
from diorama.methods.josh.chained import chained_cameras, with_chained_cameras
from diorama.methods.josh.checked import checked
from diorama.synthetic.josh_problem import EXACT_PROBLEM, JoshProblem, josh_problem

SMALL = {"keyframes": 8, "matches": 200, "people": 1}
SEEDS = (0, 1, 2)


def ate_of(found, truth):
    """Root mean square distance of the centres after the best similarity, metres."""
    ours, true = (c.T_world_camera[:, :3, 3] for c in (found, truth.cameras))
    return float(np.sqrt(((umeyama(ours, true).apply(ours) - true) ** 2).sum(1).mean()))


def chained(problem):
    truth, observations = josh_problem(problem)
    assert observations.cameras is None
    return chained_cameras(checked(observations)), truth


@pytest.mark.parametrize("seed", SEEDS)
def test_exact_maps_and_matches_give_the_cameras(seed):
    found, truth = chained(replace(EXACT_PROBLEM, cameras="none", seed=seed, **SMALL))
    assert found.kind == "translating" and found.registered.all()
    assert ate_of(found, truth) < 0.005


def test_the_world_is_that_of_the_first_camera_in_units_of_the_maps():
    found, truth = chained(replace(EXACT_PROBLEM, cameras="none", **SMALL))
    first = np.linalg.inv(truth.cameras.T_world_camera[0]) @ truth.cameras.T_world_camera
    assert np.abs(found.T_world_camera - first).max() < 1e-3


@pytest.mark.parametrize("seed", SEEDS)
def test_factors_of_single_maps_are_found(seed):
    """Maps off scale by five percent each, as in the benchmark."""
    found, truth = chained(JoshProblem(seed=seed, **SMALL))
    assert ate_of(found, truth) < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_noise_moves_the_cameras_by_centimetres(seed):
    noisy = JoshProblem(seed=seed, match_px=1.0, match_outliers=0.1, depth_pixels=0.03, **SMALL)
    found, truth = chained(noisy)
    assert ate_of(found, truth) < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pair_of_wrong_matches_is_left_out(seed):
    problem = JoshProblem(seed=seed, wrong_pairs=1, **SMALL)
    found, truth = chained(problem)
    assert found.evidence["pairs"] == problem.pairs - 1
    assert ate_of(found, truth) < 0.05


def test_frames_between_keyframes_lie_on_the_way():
    found, truth = chained(replace(EXACT_PROBLEM, cameras="none", frames_between=3, keyframes=5, people=1, matches=200))
    keys = np.arange(0, len(truth.times), 4)
    assert list(np.flatnonzero(found.registered)) == list(keys)
    assert ate_of(found, truth) < 0.05


def test_matches_given_backwards_say_the_same():
    _, observations = josh_problem(JoshProblem(**SMALL))
    matches = observations.matches
    turned = replace(
        matches, frames_i=matches.frames_j, frames_j=matches.frames_i, xy_i=matches.xy_j, xy_j=matches.xy_i
    )
    ways = [chained_cameras(checked(replace(observations, matches=m))) for m in (matches, turned)]
    np.testing.assert_allclose(ways[0].T_world_camera, ways[1].T_world_camera, atol=1e-6)


def test_a_camera_that_stands_still_does_not_move():
    found, _ = chained(JoshProblem(travel=(0.0, 0.0), match_px=0.5, **SMALL))
    assert found.kind == "static"
    np.testing.assert_array_equal(found.T_world_camera, np.tile(np.eye(4), (len(found.T_world_camera), 1, 1)))


def test_scene_points_lie_in_the_true_scene():
    """They are pixels of the maps, each in its keyframe: nothing of the room is below its ground, z = 0."""
    truth, observations = josh_problem(replace(EXACT_PROBLEM, cameras="none", **SMALL))
    chain = with_chained_cameras(checked(observations))
    points = apply(truth.cameras.T_world_camera[0], chain.cameras.points_world)
    assert len(points) > 1000 and len(chain.depth.points) == len(points)
    assert -0.01 < points[:, 2].min() < 0.01


def test_without_matches_one_camera_stands_still():
    _, observations = josh_problem(JoshProblem(**SMALL))
    found = chained_cameras(checked(replace(observations, matches=None)))
    assert found.kind == "static" and found.warnings
    assert np.ptp(found.T_world_camera, axis=0).max() == 0


def test_without_depth_bodies_alone_stand_before_one_camera():
    _, observations = josh_problem(JoshProblem(**SMALL))
    found = chained_cameras(checked(replace(observations, matches=None, depth=None)))
    assert found.kind == "static" and found.focal_source == "assumed"
    assert found.K[0, 0, 0] == pytest.approx(observations.bodies.people[0].focal[0])


@pytest.mark.parametrize(
    "parts", [{"matches": None, "depth": None, "bodies": None}, {"depth": None}], ids=["nothing", "matches alone"]
)
def test_what_gives_no_cameras_is_said(parts):
    _, observations = josh_problem(JoshProblem(**SMALL))
    with pytest.raises(DioramaError, match="no cameras were observed"):
        chained_cameras(checked(replace(observations, **parts)))


def test_matches_that_fit_no_map_are_said():
    problem = JoshProblem(**SMALL)
    with pytest.raises(DioramaError, match="do not fit"):
        chained(replace(problem, wrong_pairs=problem.pairs))
