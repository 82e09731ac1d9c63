"""`diorama reconstruct --method unish`: its steps, their reuse, and what is said without weights."""

import numpy as np
import pytest
import torch

from diorama import cli
from diorama.networks.unish import UniSH, UniSHConfig
from diorama.observations import Source, Track, Tracks
from diorama.reconstruct import Options, pipeline, reconstruct
from diorama.reconstruct.plan import phases_of
from diorama.reconstruction import load
from random_weights import shaken
from tiny_videos import moving, write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(8))


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    shaken(UniSH(UniSHConfig.tiny())).save(tmp_path / "weights", licence="CC0-1.0 (random numbers)")
    return tmp_path / "weights"


@pytest.fixture
def tracked(monkeypatch, free_body):
    """Counts how often people are tracked; nobody else may be asked."""
    calls = []

    def track_people(video, config, *, progress=True):
        calls.append(1)
        rows = np.arange(len(video))
        boxes = np.tile([10.0, 10.0, 30.0, 50.0], (len(rows), 1))
        points = np.tile(np.random.default_rng(0).uniform(10, 50, (33, 3)), (len(rows), 1, 1))
        return Tracks(Source("fake"), (Track(1, rows, boxes, points, "blazepose33"),))

    monkeypatch.setattr(pipeline, "track_people", track_people)
    monkeypatch.setattr(pipeline, "prepare_models", lambda plan: None)
    for name in ("estimate_cameras", "triangulate_scene", "fit_bodies", "reconstruct_josh"):
        monkeypatch.setattr(pipeline, name, None)
    return calls


def test_the_job_tracks_people_and_asks_the_network(tracked, video, weights, tmp_path):
    out = tmp_path / "out"
    world = reconstruct(video, method="unish", weights=weights, out=out, overlay=False, progress=False)
    steps = {path.stem for path in (out / "steps").glob("*.json")}
    assert steps == {"scan", "tracks", "method", "result"}
    assert {"CC0-1.0 (random numbers)"} <= {model["licence"] for model in world.provenance["models"]}
    assert world.provenance["method"] == "unish" and world.quality["windows"] == 1
    assert any("free body" in warning for warning in world.quality["warnings"])
    written = (out / "reconstruction.json").read_bytes()
    again = reconstruct(video, method="unish", weights=weights, out=out, overlay=False, progress=False)
    assert tracked == [1] and (out / "reconstruction.json").read_bytes() == written
    np.testing.assert_array_equal(again.people[0].transl, load(out).people[0].transl)


def test_other_weights_and_a_focal_length_are_another_result(tracked, video, weights, tmp_path):
    out = tmp_path / "out"
    options = {"method": "unish", "weights": weights, "out": out, "overlay": False, "progress": False}
    first = reconstruct(video, **options)
    told = reconstruct(video, **options, focal=120.0)
    assert first.cameras.focal_source == "recovered" and told.cameras.focal_source == "given"
    np.testing.assert_allclose(told.cameras.K[:, 0, 0], 120.0, rtol=0.02)
    shaken(UniSH(UniSHConfig.tiny()), seed=1).save(weights, licence="CC0-1.0 (random numbers)")
    other = reconstruct(video, **options)
    assert tracked == [1]
    assert not np.allclose(other.people[0].joints_world[0, 15], first.people[0].joints_world[0, 15])


def test_the_plan_has_only_the_steps_of_the_method():
    assert [phase.name for phase in phases_of("unish")] == ["tracks", "method", "result", "overlay"]
    for method in ("josh", "unish"):
        needs = pipeline.needs_of(method)
        assert all(set(read) <= {"scan", *needs} for read in needs.values())
        assert set(needs) == {phase.name for phase in phases_of(method)}
    assert Options().chosen_method == "josh"


def test_without_weights_one_line_says_how_to_get_them(capsys, video, tmp_path):
    with pytest.raises(SystemExit) as ended:
        cli.main(["reconstruct", str(video), "-o", str(tmp_path / "out"), "--method", "unish"])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and told.count("\n") == 1
    assert "--weights" in told and "6.5 GB" in told and "CC BY-NC 4.0" in told
    assert not (tmp_path / "out").exists()
