"""The methods that are there: on exact observations raw bodies are the truth, and videos share their steps."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.data import exact_truth
from diorama.errors import DioramaError
from diorama.evaluate.cases import Inputs
from diorama.evaluate.columns import COLUMNS
from diorama.evaluate.methods import METHODS, chosen_methods, observations_in
from diorama.evaluate.score import score
from diorama.methods.observed import reconstruct_observed
from diorama.networks.unish import UniSH, UniSHConfig
from diorama.reconstruct import pipeline
from diorama.synthetic.simulate import PRESETS, simulate
from evaluated_world import FRAMES, people_pixels
from fake_stages import FakeStages
from random_weights import shaken
from simulated_world import simulated_world
from tiny_networks import josh3r_weights
from tiny_videos import moving, write_video


@pytest.fixture(scope="module")
def seen(free_body):
    truth, view = simulated_world("walk", FRAMES)
    config = replace(PRESETS["exact"], grid=96)
    config = replace(config, cameras=replace(config.cameras, unit=0.37))
    return truth, simulate(truth, view, config, seed=0)


def figures(found, truth):
    scores = score(found, exact_truth(truth), 30.0)
    return {column.name: scores.figure(column.name) for column in COLUMNS}


@pytest.mark.parametrize(("metric", "people"), [(True, True), (False, True), (False, False)])
def test_raw_exact_observations_are_the_true_world(seen, metric, people):
    """Maps that are metric (scale by the sparse points), or in the cameras' unit (by the bodies, by the ground at feet)."""
    truth, observations = seen
    if not metric:
        depth = 0.37 * observations.depth.depth * (people | ~people_pixels(observations.depth.frames))
        depth = replace(observations.depth, depth=depth.astype(np.float32), metric=False)
        observations = replace(observations, depth=depth)
    world = reconstruct_observed(None, observations)
    got = figures(world, truth)
    # The pelvis lies some centimetres behind the surface that a map shows, the ground some behind the feet.
    slack = 0.5 if metric else 5
    assert got["Scale"] < slack and got["RTE"] < slack
    assert got["MPJPE"] < 1 and got["MRPE"] < 1e-2 and got["PA-MPJPE"] < 1
    assert got["ContactP"] == got["ContactR"] == 1 and got["People"] == 100
    ups = world.cameras.T_world_camera[:, 2, 1] - truth.cameras.T_world_camera[:, 2, 1]
    assert np.abs(ups).max() < 0.1, "up is up"
    assert world.provenance["scale_source"]


def test_the_default_on_observations_is_the_josh_method(seen, tmp_path):
    truth, observations = seen
    result = METHODS["default"].run(Inputs(exact_truth(truth), observations), tmp_path)
    assert result.provenance["method"] == "josh" and figures(result, truth)["People"] == 100


def test_people_who_are_nowhere_and_worlds_without_depth(seen):
    _, observations = seen
    world = reconstruct_observed(None, replace(observations, bodies=None, depth=None, contacts=None))
    assert world.people == () and world.cameras.T_world_camera[0, 2, 3] == pytest.approx(1)
    assert world.provenance["scale_source"].startswith("none")
    with pytest.raises(ValueError, match="cameras"):
        reconstruct_observed(None, replace(observations, cameras=None))


@pytest.mark.parametrize("kind", ["translating", "static"])
def test_methods_of_a_video_share_its_finished_steps(monkeypatch, free_body, tmp_path, kind):
    stages = FakeStages(kind=kind).install(monkeypatch, pipeline)
    video = write_video(tmp_path / "street.mp4", moving(6))
    inputs = Inputs(exact_truth(simulated_world("walk", FRAMES)[0]), video=video)
    METHODS["default"].run(inputs, tmp_path / "out")
    before = dict(stages.calls)
    for name in ("observations", "synchmr", "tram"):
        world = METHODS[name].run(inputs, tmp_path / "out")
        assert stages.calls == before and world.provenance["method"] == name
        assert len(observations_in(tmp_path / "out").tracks.people) == len(world.people) == 1


def unish_weights(folder, seed=0):
    torch.manual_seed(0)
    shaken(UniSH(UniSHConfig.tiny()), seed=seed).save(folder, licence="CC0-1.0 (random numbers)")


def _first_rows(body, count):
    names = ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return replace(body, **{name: getattr(body, name)[:count] for name in names})


@pytest.mark.parametrize(("name", "saved"), [("unish", unish_weights), ("josh3r", josh3r_weights)])
def test_a_network_is_run_on_videos_with_the_weights_that_are_told(seen, monkeypatch, tmp_path, name, saved):
    weights = tmp_path / "weights"
    saved(weights)
    FakeStages(kind="translating").install(monkeypatch, pipeline)
    bodies = replace(seen[1].bodies, people=(_first_rows(seen[1].bodies.people[0], 6),))
    monkeypatch.setattr(pipeline, "fit_bodies", lambda *_, **__: bodies)
    inputs = Inputs(exact_truth(simulated_world("walk", FRAMES)[0]), video=write_video(tmp_path / "a.mp4", moving(6)))
    method = chosen_methods((name,), {name: str(weights)})[name]
    world = method.run(inputs, tmp_path / "out")
    assert world.provenance["method"] == name and len(world.people) == 1
    before = json.dumps(method.configuration())
    assert str(weights) in before
    saved(weights, 1)
    assert json.dumps(method.configuration()) != before
    with pytest.raises(DioramaError):
        method.run(replace(inputs, video=None, observations=seen[1]), tmp_path / "out")


@pytest.mark.parametrize(
    ("names", "weights", "told"),
    [
        (("unish",), {}, "--weights with a file"),
        (("unish",), {"unish": "no/such/weights"}, "no such weights"),
        (("josh3r",), {}, "JOSH3R's weights are not part"),
        (("josh3r",), {"josh3r": "no/such/weights"}, "no such weights"),
        (("default",), {"unish": "weights"}, "not run"),
        (("josh",), {"josh": "weights"}, "not run"),
    ],
)
def test_weights_that_are_missing_or_of_no_use(names, weights, told):
    with pytest.raises(DioramaError, match=told):
        chosen_methods(names, weights)


def test_a_configuration_is_plain_and_does_not_depend_on_threads():
    for name, method in METHODS.items():
        text = json.dumps(method.configuration())
        assert "threads" not in text and "adult_stature" in text, name
    text = json.dumps(METHODS["synchmr"].configuration())
    assert '"shift_sigma": 0.5' in text and '"reach": 10.0' in text
