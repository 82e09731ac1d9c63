"""The main job with `--depth`: which part of the observations it fills, what is reused, what is refused before any work."""

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.evaluate.methods import observations_in
from diorama.frontends import given_depth
from diorama.networks.moge import MoGe2, MoGe2Config
from diorama.reconstruct import pipeline, reconstruct
from diorama.video import open_video
from fake_stages import FakeStages
from random_weights import shaken
from tiny_videos import moving, write_video


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(6))


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "maps").mkdir()
    for row in (0, 2, 5):
        np.savez(tmp_path / "maps" / f"{row}.npz", depth=np.full((32, 48), 2.0 + row))
    return tmp_path / "maps"


@pytest.fixture
def weights(tmp_path):
    shaken(MoGe2(MoGe2Config.tiny())).save_published(tmp_path / "tiny" / "model.pt")
    return tmp_path / "tiny" / "model.pt"


def test_a_still_camera_gets_its_depth_from_the_folder(video, folder, monkeypatch, tmp_path):
    stages = FakeStages(kind="static").install(monkeypatch, pipeline)
    result = reconstruct(video, out=tmp_path / "out", depth=folder)
    seen = stages.believed_from[0]
    assert seen.depth.metric and seen.depth.frames.tolist() == [0, 2, 5] and seen.depth_prior is None
    np.testing.assert_allclose(seen.depth.depth[:, 0, 0], [2, 4, 7])
    assert len(seen.depth.points) and "depth folder" in str(result.provenance["models"])
    assert result.provenance["method"] == "share", "a still camera with metric depth"
    kept = observations_in(tmp_path / "out").depth
    np.testing.assert_array_equal(kept.depth, seen.depth.depth)


def test_a_travelling_camera_keeps_its_scene_and_gets_a_second_opinion(video, weights, monkeypatch, tmp_path):
    stages = FakeStages().install(monkeypatch, pipeline)
    reconstruct(video, out=tmp_path / "out", depth=f"moge2:{weights}")
    seen = stages.believed_from[0]
    assert not seen.depth.metric and seen.depth_prior.metric
    assert seen.depth_prior.frames.tolist() == seen.depth.frames.tolist()
    assert seen.depth_prior.source.frontend == "MoGe-2" and seen.depth_prior.source.licence == "MIT"
    assert observations_in(tmp_path / "out").depth_prior.source == seen.depth_prior.source


@pytest.mark.parametrize(
    ("kind", "method", "given", "chosen"),
    [
        ("static", "auto", True, "share"),
        ("static", "auto", False, "josh"),
        ("rotating", "auto", True, "josh"),
        ("translating", "auto", True, "josh"),
        ("static", "josh", True, "josh"),
        ("static", "share", False, "share"),
    ],
)
def test_the_camera_and_the_depth_decide_the_method(video, folder, monkeypatch, tmp_path, kind, method, given, chosen):
    FakeStages(kind=kind).install(monkeypatch, pipeline)
    out = tmp_path / "out"
    result = reconstruct(video, out=out, method=method, depth=folder if given else None, stature={1: 1.6})
    assert result.provenance["method"] == chosen
    assert result.people[0].transl[0, 0] == pytest.approx(1.6), "told statures reach every method"


def test_what_follows_from_depth_is_redone_when_a_map_changes(video, folder, monkeypatch, tmp_path):
    stages = FakeStages(kind="static").install(monkeypatch, pipeline)
    read = []
    once = given_depth.read_depth_folder
    monkeypatch.setattr(given_depth, "read_depth_folder", lambda *a, **k: read.append(1) or once(*a, **k))
    for _ in range(2):
        reconstruct(video, out=tmp_path / "out", depth=str(folder))
    assert len(read) == 1 and stages.calls["method"] == 1
    np.savez(folder / "2.npz", depth=np.full((32, 48), 9.0))
    reconstruct(video, out=tmp_path / "out", depth=str(folder))
    assert len(read) == 2 and stages.calls["method"] == 2 and stages.calls["tracks"] == 1
    reconstruct(video, out=tmp_path / "out")
    assert stages.calls["method"] == 3 and observations_in(tmp_path / "out").depth is None


@pytest.mark.parametrize("word", ["moge2:{folder}/none.pt", "{folder}/none", "moge2:{folder}", "{folder}/bad"])
def test_a_source_that_cannot_be_used_is_one_line(video, monkeypatch, tmp_path, word):
    stages = FakeStages().install(monkeypatch, pipeline)
    with pytest.raises(DioramaError, match="--depth") as caught:
        reconstruct(video, out=tmp_path / "out", depth=word.format(folder=tmp_path))
    assert "MIT" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not stages.calls


@pytest.mark.slow
def test_a_real_clip_from_end_to_end(juggle_clip, weights, tmp_path):
    """A network of random weights, through the real loading code, then its maps as a folder: both get to the end."""
    clip = open_video(juggle_clip)
    pictures = [picture for _, picture in clip.frames(0, 24, max_size=640)]
    short = write_video(tmp_path / "short.mp4", pictures)
    first = reconstruct(short, out=tmp_path / "out", depth=f"moge2:{weights}", overlay=False, progress=False)
    seen = observations_in(tmp_path / "out")
    depth = seen.depth if seen.depth_prior is None else seen.depth_prior
    assert depth.metric and depth.frames[0] == 0 and depth.frames[-1] == 23 and first.people
    (tmp_path / "maps").mkdir()
    for row, found, K in zip(depth.frames, depth.depth, depth.K, strict=True):
        np.savez(tmp_path / "maps" / f"{row:06d}.npz", depth=found, K=K)
    second = reconstruct(short, out=tmp_path / "out", depth=tmp_path / "maps", overlay=False, progress=False)
    again = observations_in(tmp_path / "out")
    again = again.depth if again.depth_prior is None else again.depth_prior
    np.testing.assert_array_equal(again.depth, depth.depth)
    np.testing.assert_allclose(again.K, depth.K)
    for result in (first, second):
        assert all(np.isfinite(person.transl).all() for person in result.people)
