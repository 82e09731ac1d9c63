"""overlay.mp4 has the source's frames at the source's times, with people where they are."""

import dataclasses

import numpy as np
import pytest

from asymmetric_world import FRAMES, HEIGHT, WIDTH
from diorama.errors import DioramaError
from diorama.export.overlay import write_overlay
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.video import open_video
from tiny_videos import write_video


@pytest.fixture
def source(tmp_path, world):
    # Nearly black, so that every person's colour stands out against it.
    grey = np.full((HEIGHT, WIDTH, 3), 16, np.uint8)
    rng = np.random.default_rng(0)
    times = world.times - world.times[0] + 0.004 * rng.random(FRAMES)
    pictures = [np.clip(grey + rng.integers(0, 3) * 4, 0, 255).astype(np.uint8) for _ in range(FRAMES)]
    return open_video(write_video(tmp_path / "source.mp4", pictures, times=[float(t) for t in times]))


def test_frames_and_times_are_those_of_the_source(tmp_path, world, source):
    out = open_video(write_overlay(source, world, tmp_path / "out" / "overlay.mp4", max_size=321, progress=False))
    assert len(out) == len(source)
    assert np.diff(out.times) == pytest.approx(np.diff(source.times), abs=1e-4)
    assert (out.width, out.height) == (320, 180)


def test_people_are_drawn_where_they_are_and_only_there(tmp_path, world, source):
    out = open_video(write_overlay(source, world, tmp_path / "overlay.mp4", progress=False))
    row = 3
    plain, drawn = source.frame(row).astype(int), out.frame(row).astype(int)
    changed = np.abs(plain - drawn).max(-1) > 40
    walker = world.person(3)
    lens = world.cameras
    pixels = project(
        apply(invert(lens.T_world_camera[row]), walker.joints_world[row]), lens.K[row], lens.distortion[row]
    )
    hit = [changed[int(y), int(x)] for x, y in pixels if 0 < x < WIDTH and 0 < y < HEIGHT]
    assert np.mean(hit) > 0.8
    box = np.r_[pixels.min(0) - 60, pixels.max(0) + 60]
    y, x = np.nonzero(changed)
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    assert inside.mean() > 0.95


def test_a_body_model_that_is_not_here_is_drawn_as_a_skeleton(tmp_path, world, source, monkeypatch):
    def missing(name):
        raise DioramaError("not here", where=name)

    monkeypatch.setattr("diorama.export.skin.load_body", missing)
    path = write_overlay(source, world, tmp_path / "overlay.mp4", progress=False)
    assert (np.abs(open_video(path).frame(3).astype(int) - source.frame(3)).max(-1) > 40).any()


def test_another_video_is_refused_and_nothing_is_written(tmp_path, world, source):
    short = dataclasses.replace(source, times=source.times[:-1], duplicate=source.duplicate[:-1])
    with pytest.raises(DioramaError, match="frames"):
        write_overlay(short, world, tmp_path / "overlay.mp4", progress=False)
    assert not (tmp_path / "overlay.mp4").exists()
