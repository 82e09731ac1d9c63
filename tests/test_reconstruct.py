"""The main job around its steps: each is one file, reused as it is, redone when something it depends on changes."""

import itertools
import json

import numpy as np
import pytest

import diorama
from diorama.errors import DioramaError
from diorama.evaluate.methods import observations_in
from diorama.frontends.cameras import SeenCameras
from diorama.observations import Bodies, Observations, Tracks
from diorama.reconstruct import pipeline, reconstruct
from diorama.reconstruction import load
from diorama.records import load_record
from diorama.video import open_video
from fake_stages import FakeStages
from tiny_videos import moving, write_video

STEPS = ("scan", "tracks", "cameras", "depth", "bodies", "method", "result", "overlay")
ALL = {name: 1 for name in STEPS if name != "scan"}


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(6))


@pytest.fixture
def stages(monkeypatch):
    return FakeStages().install(monkeypatch, pipeline)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_step_is_a_file_and_the_result_is_complete(video, stages, tmp_path):
    out = tmp_path / "out"
    result = reconstruct(video, out=out)
    assert stages.calls == ALL
    files = contents(out)
    wanted = {f"steps/{name}.json" for name in STEPS} | {f"steps/{name}.npz" for name in STEPS[:6]}
    wanted |= {"reconstruction.json", "arrays.npz", "depth.npz", "quality.png", "overlay.mp4"}
    assert set(files) == wanted
    assert result.quality["people"] == 1
    assert set(result.quality["seconds"]) >= {"tracks", "cameras", "depth", "bodies", "method"}
    assert result.provenance["video"]["name"] == "street.mp4"
    assert result.provenance["method"] == "josh"
    assert any("assumed" in warning for warning in result.quality["warnings"])
    assert all({"name", "licence", "source"} <= set(model) for model in result.provenance["models"])
    np.testing.assert_array_equal(load(out).people[0].transl, result.people[0].transl)


def test_a_second_run_reuses_every_byte(video, stages, tmp_path):
    first = reconstruct(video, out=tmp_path / "out")
    before = contents(tmp_path / "out")
    second = reconstruct(video, out=tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert stages.calls == ALL
    assert first.quality == second.quality


@pytest.mark.parametrize(
    ("options", "again"),
    [
        ({"stature": {1: 1.85}}, {"method", "result", "overlay"}),
        ({"focal": 321.0}, {"cameras", "depth", "bodies", "method", "result", "overlay"}),
        ({"method": "josh"}, set()),
        ({"overlay": False}, set()),
    ],
)
def test_an_option_redoes_what_depends_on_it(video, stages, tmp_path, options, again):
    reconstruct(video, out=tmp_path / "out")
    reconstruct(video, out=tmp_path / "out", **options)
    assert {name for name, count in stages.calls.items() if count == 2} == again


def test_an_overlay_of_another_result_does_not_stay(video, stages, tmp_path):
    reconstruct(video, out=tmp_path / "out")
    reconstruct(video, out=tmp_path / "out", stature={1: 1.5}, overlay=False)
    assert not (tmp_path / "out" / "overlay.mp4").exists()
    reconstruct(video, out=tmp_path / "out", stature={1: 1.5})
    assert (tmp_path / "out" / "overlay.mp4").exists()


@pytest.mark.parametrize("step", STEPS)
def test_a_lost_or_damaged_step_is_done_again(video, stages, tmp_path, step):
    out = tmp_path / "out"
    reconstruct(video, out=out)
    before = contents(out)
    marker = json.loads((out / "steps" / f"{step}.json").read_text())
    name = next(iter(marker["files"]))
    (out / name).write_bytes(b"damaged")
    reconstruct(video, out=out)
    after = contents(out)
    assert after[name] == before[name] or step in ("result",)
    assert set(after) == set(before)
    assert stages.calls[step] == (0 if step == "scan" else 2)
    assert stages.calls["tracks"] == (2 if step == "tracks" else 1), "an equal result does not invalidate what follows"


def test_another_video_takes_nothing_from_the_first(video, stages, tmp_path):
    reconstruct(video, out=tmp_path / "out")
    other = write_video(tmp_path / "other.mp4", moving(9))
    result = reconstruct(other, out=tmp_path / "out")
    assert len(result) == 9
    assert set(stages.calls.values()) == {2}


def test_without_out_nothing_is_written(video, stages, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    result = reconstruct(video)
    assert contents(tmp_path) == before
    assert result.quality["people"] == 1
    assert "overlay" not in stages.calls


def test_a_resumed_run_goes_on_from_the_same_matches(video, stages, tmp_path):
    for stature in (1.7, 1.8):
        reconstruct(video, out=tmp_path / "out", stature={1: stature}, overlay=False)
    reconstruct(video)
    assert stages.calls["cameras"] == 2 and len(stages.believed_from) == 3
    given = [seen.matches for seen in (*stages.believed_from, observations_in(tmp_path / "out"))]
    assert len(given[0].xy_i) == 7
    for other, name in itertools.product(given[1:], ("frames_i", "frames_j", "xy_i", "xy_j", "confidence")):
        one, two = getattr(given[0], name), getattr(other, name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)


def test_nobody_in_the_picture(video, monkeypatch, tmp_path):
    FakeStages(people=0).install(monkeypatch, pipeline)
    result = reconstruct(video, out=tmp_path / "out")
    assert result.people == () and len(result.cameras.K) == 6


@pytest.mark.parametrize("kind", ["static", "rotating"])
def test_no_triangulation_where_the_camera_stays(video, monkeypatch, tmp_path, kind):
    stages = FakeStages(kind=kind).install(monkeypatch, pipeline)
    for _ in range(2):
        assert reconstruct(video, out=tmp_path / "out").scene.depth is None
    assert stages.believed_from[0].matches is None and observations_in(tmp_path / "out").matches is None
    assert "depth" not in stages.calls


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "magic"}, "josh"),
        ({"focal": -3.0}, "focal"),
        ({"focal": 2.0}, "focal"),
        ({"fov": 200.0}, "fov"),
        ({"focal": 500.0, "fov": 60.0}, "give one"),
        ({"stature": {1: 185.0}}, "metres"),
        ({"shot": 4}, "shot"),
    ],
)
def test_an_impossible_option_is_refused_before_anything_is_written(video, stages, tmp_path, options, words):
    with pytest.raises(DioramaError, match=words):
        reconstruct(video, out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
    assert not stages.calls


def test_observations_alone_are_enough_for_the_method(video, stages, tmp_path):
    reconstruct(video, out=tmp_path / "out")
    steps = tmp_path / "out" / "steps"
    whole = open_video(video)
    seen = Observations(
        whole.width, whole.height, whole.times, np.arange(6), whole.duplicate,
        tracks=load_record(Tracks, steps / "tracks.npz"), bodies=load_record(Bodies, steps / "bodies.npz"),
        cameras=load_record(SeenCameras, steps / "cameras.npz").cameras,
    )  # fmt: skip
    result = pipeline.reconstruct_from_observations(seen, stature={1: 1.5})
    np.testing.assert_allclose(result.people[0].transl, 1.5)


def test_the_public_name_is_callable_whatever_was_imported_first():
    import diorama.reconstruct as module

    assert callable(diorama.reconstruct) and callable(module)
    assert diorama.reconstruct.reconstruct is reconstruct
