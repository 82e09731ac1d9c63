"""The main job with `--scene`: MASt3R in the place of cameras, depth and matches; its licence, reuse, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from diorama import cli
from diorama.errors import DioramaError
from diorama.frontends import mast3r_scene
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.patch_windows import window_of
from diorama.reconstruct import pipeline, reconstruct
from diorama.reconstruct.plan import phases_of
from diorama.video import open_video
from fake_stages import FakeStages
from seen_planes import Oracle, Room, walking
from tiny_networks import RANDOM_LICENCE, josh3r_weights, mast3r_weights
from tiny_videos import moving, write_video

SIZE, FRAMES = (160, 112), 21


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(FRAMES, *SIZE))


@pytest.fixture
def weights(tmp_path):
    return mast3r_weights(tmp_path / "mast3r")


@pytest.fixture
def small(monkeypatch):
    """Pictures of 160 px."""
    prepare = pipeline.prepare_mast3r_scene
    config = {"longest": 160, "map_size": 80, "window": 2}
    monkeypatch.setattr(pipeline, "prepare_mast3r_scene", lambda word: replace(prepare(word), **config))


@pytest.fixture
def known(video, small, monkeypatch):
    """A network that knows a room, in the place of the loaded one, which is loaded all the same."""
    loaded, opened, calls = mast3r_scene.load_mast3r, open_video(video), []

    def oracle(config):
        calls.append(loaded(config))
        keys = keyframes(opened.times, opened.duplicate, config.interval)
        return Oracle(Room(walking(FRAMES), 150.0, SIZE), keys, window_of(*SIZE, crop=1.0, longest=config.longest))

    monkeypatch.setattr(mast3r_scene, "load_mast3r", oracle)
    return calls


def test_josh_is_given_what_mast3r_saw(video, weights, known, monkeypatch, tmp_path):
    stages = FakeStages().install(monkeypatch, pipeline)
    options = {"out": tmp_path / "out", "scene": f"mast3r:{weights}", "overlay": False, "progress": False}
    world = reconstruct(video, **options)
    steps = {path.stem for path in (tmp_path / "out" / "steps").glob("*.json")}
    assert steps == {"scan", "tracks", "scene", "bodies", "method", "result"}
    assert not stages.calls["cameras"] and not stages.calls["depth"]
    seen = stages.believed_from[0]
    assert seen.depth.metric and seen.depth.source.frontend == "MASt3R" and len(seen.matches.frames_i) > 100
    assert seen.cameras.kind == "translating" and seen.cameras.focal_source == "recovered"
    np.testing.assert_allclose(seen.cameras.K[:, 0, 0], 150, rtol=1e-3)
    way = seen.cameras.T_world_camera[:, :3, 3]
    assert np.abs(np.linalg.norm(way[-1] - way[0]) / np.linalg.norm(walking(FRAMES)[-1, :3, 3]) - 1) < 0.1
    models = {model["name"]: model["licence"] for model in world.provenance["models"]}
    assert models["MASt3R"] == RANDOM_LICENCE
    reconstruct(video, **options)
    assert len(known) == 1 and stages.calls["method"] == 1, "the second run reuses everything"
    told = reconstruct(video, **options, focal=140.0)
    assert len(known) == 2 and stages.calls["tracks"] == 1 and told.cameras.focal_source == "given"
    mast3r_weights(weights, seed=1)
    reconstruct(video, **options)
    assert len(known) == 3 and stages.calls["tracks"] == 1, "other weights are another scene"


def test_weights_of_josh3r_will_do(video, known, monkeypatch, tmp_path):
    FakeStages().install(monkeypatch, pipeline)
    folder = josh3r_weights(tmp_path / "both")
    world = reconstruct(video, scene=f"mast3r:{folder}", overlay=False, progress=False)
    assert any(model["name"] == "MASt3R" for model in world.provenance["models"])


def test_weights_that_do_not_fit_are_one_line(video, weights, monkeypatch, capsys, tmp_path):
    FakeStages().install(monkeypatch, pipeline)
    (weights / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(SystemExit) as ended:
        cli.main(["reconstruct", str(video), "-o", str(tmp_path / "out"), "--scene", f"mast3r:{weights}"])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("diorama: ")]
    assert ended.value.code == 2 and len(told) == 1 and "--scene mast3r:" in told[0]


def test_a_network_that_makes_no_sense_is_one_line(video, weights, small, monkeypatch, tmp_path):
    """Random numbers: nothing fits, and the user is told which word was to blame."""
    stages = FakeStages().install(monkeypatch, pipeline)
    with pytest.raises(DioramaError, match="no two keyframes fit together") as caught:
        reconstruct(video, out=tmp_path / "out", scene=f"mast3r:{weights}", progress=False)
    assert "--scene mast3r:" in str(caught.value) and not stages.calls["method"]


@pytest.mark.parametrize("options", [{"method": "share"}, {"depth": "moge2:a/b"}, {"scene": "droid:a/b"}])
def test_what_does_not_go_together_is_refused(video, weights, monkeypatch, tmp_path, options):
    stages = FakeStages().install(monkeypatch, pipeline)
    with pytest.raises(DioramaError, match="--scene"):
        reconstruct(video, out=tmp_path / "out", **{"scene": f"mast3r:{weights}", **options})
    assert not stages.calls and not (tmp_path / "out").exists()


def test_the_plan_shows_the_licence():
    phases = phases_of("scene")
    assert [phase.name for phase in phases] == ["tracks", "scene", "bodies", "method", "result", "overlay"]
    assert "CC BY-NC-SA 4.0" in phases[1].what
    needs = pipeline.needs_of("scene")
    assert set(needs) == {phase.name for phase in phases} and needs["scene"] == ("scan", "tracks")
