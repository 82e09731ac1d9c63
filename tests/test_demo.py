"""The demonstration ends by itself and says where the result is and how to look at it."""

import pytest

from diorama import demo as demonstration
from diorama.reconstruct import pipeline, reconstruct
from diorama.synthetic.demo_clip import DemoClip
from fake_stages import FakeStages
from tiny_videos import moving, write_video


@pytest.fixture
def video(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    FakeStages().install(monkeypatch, pipeline)
    return write_video(tmp_path / "street.mp4", moving(6))


def test_a_video_of_the_user(video, tmp_path):
    said = "\n".join(demonstration.demo(video, None))
    assert (tmp_path / "demo_out" / "street" / "reconstruction.json").is_file()
    for word in ("quality", "view", "demo_out", "overlay.mp4", "done in"):
        assert word in said


def test_the_rendered_clip_is_compared_with_its_truth(video, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "diorama")
    monkeypatch.setattr(demonstration, "MODELS", ())
    truth = reconstruct(video)
    monkeypatch.setattr(demonstration, "make_demo_clip", lambda folder: DemoClip(folder, video, truth))
    monkeypatch.setattr(demonstration, "compare_with_truth", lambda result, truth: {"ate_cm": 1.25, "person_1_x": 3.0})
    said = "\n".join(demonstration.demo(None, tmp_path / "there"))
    assert "ate_cm" in said and "1.25" in said and "person_1_x" not in said
    assert (tmp_path / "there" / "reconstruction.json").is_file()
    assert "expected" in caplog.text and "render" in caplog.text
