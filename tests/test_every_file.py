"""The whole job, with its real steps, on every kind of file that people have: it ends well, and says what it assumes."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from diorama.models import MODELS
from diorama.reconstruct import reconstruct
from diorama.reconstruction import load
from diorama.video import open_video
from tiny_videos import moving, write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _models_are_here():
    missing = [model.title for model in MODELS if not model.is_ready()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not fetched: diorama models --fetch")


def truncated(path, video):
    whole = write_video(path.with_name("whole.mkv"), video, options={"g": "5"})
    path.write_bytes(whole.read_bytes()[: int(0.6 * whole.stat().st_size)])


KINDS = {
    "one_frame.mp4": lambda path: write_video(path, moving(1, 320, 240)),
    "two_frames.mp4": lambda path: write_video(path, moving(2, 320, 240)),
    "turned.mp4": lambda path: write_video(path, moving(12, 320, 240), turn=90),
    "variable_rate.mp4": lambda path: write_video(
        path, moving(12, 320, 240), times=[0, 0.03, 0.1, 0.11, 0.3, 0.33, 0.4, 0.6, 0.61, 0.7, 1.0, 1.5]
    ),
    "ten_bit.mp4": lambda path: write_video(
        path, moving(12, 320, 240), codec="libx265", pixels="yuv420p10le", options={"x265-params": "log-level=none"}
    ),
    "av1.mp4": lambda path: write_video(path, moving(12, 320, 240), codec="libsvtav1"),
    "odd.mkv": lambda path: write_video(path, moving(12, 321, 243), codec="ffv1", pixels="yuv444p"),
    "still.mp4": lambda path: write_video(path, moving(1, 320, 240) * 12),
    "cut.mp4": lambda path: write_video(path, moving(10, 320, 240) + moving(16, 320, 240, tone=1)),
    "truncated.mkv": lambda path: truncated(path, moving(40, 320, 240)),
}


@pytest.mark.parametrize("name", KINDS)
def test_nobody_in_the_picture_still_gives_scene_and_cameras(tmp_path, name):
    KINDS[name](tmp_path / name)
    video = open_video(tmp_path / name)
    result = reconstruct(tmp_path / name, out=tmp_path / "out", progress=False)
    assert len(result) == len(video)
    np.testing.assert_array_equal(result.times, video.times)
    assert result.people == ()
    assert result.cameras.K.shape == (len(video), 3, 3) and np.isfinite(result.cameras.T_world_camera).all()
    assert (result.cameras.width, result.cameras.height) == (video.width, video.height)
    assert len(load(tmp_path / "out")) == len(video)
    with_bodies = open_video(tmp_path / "out" / "overlay.mp4")
    assert len(with_bodies) == len(video)


def test_a_person_in_five_frames_only(juggle_clip, tmp_path):
    """A real meadow on which somebody stands for five frames; before and after, a piece of meadow hides him."""
    juggler = open_video(juggle_clip)
    pictures = [picture.copy() for _, picture in juggler.frames(0, 17)]
    for row in (*range(6), *range(11, 17)):
        pictures[row] = pictures[0].copy()
        pictures[row][:, 560:880] = pictures[0][:, 200:520]
    write_video(tmp_path / "short.mp4", pictures)
    result = reconstruct(tmp_path / "short.mp4", out=tmp_path / "out", progress=False)
    assert len(result) == 17
    assert result.people or result.quality["dropped"], "found, or said to be dropped"
    for person in result.people:
        assert set(person.frames) <= set(range(5, 12))
        assert np.isfinite(person.joints_world).all()


@pytest.mark.skipif(os.name != "posix", reason="kills are those of POSIX")
def test_kill_9_of_the_real_job(street_clip, tmp_path):
    """Half a second of the street at 640 px, killed three times; what was finished stays as it is, byte for byte."""
    street = open_video(street_clip)
    pictures = [picture for _, picture in street.frames(0, 15, max_size=640)]
    video = write_video(tmp_path / "street.mp4", pictures, times=list(street.times[:15]))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "diorama", "reconstruct", str(video), "-o", str(out), "--quiet"]
    chance = random.Random(3)
    for _ in range(3):
        before = finished_files(out)
        with subprocess.Popen(command) as process:
            time.sleep(chance.uniform(5, 25))
            process.kill()
        after = finished_files(out)
        assert {path: after[path] for path in before} == before
    before = finished_files(out)
    assert before
    subprocess.run(command, check=True)
    after = finished_files(out)
    assert {path: after[path] for path in before} == before
    assert len(load(out)) == 15


def finished_files(out: Path) -> dict[Path, tuple[bytes, int]]:
    """Bytes and time of writing of the results of all finished steps."""
    paths = [marker.with_suffix(".npz") for marker in (out / "steps").glob("*.json")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths if path.exists()}


def test_a_second_run_with_the_real_steps_changes_no_byte(tmp_path):
    write_video(tmp_path / "v.mp4", moving(8, 320, 240))
    reconstruct(tmp_path / "v.mp4", out=tmp_path / "out", progress=False)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")}
    reconstruct(tmp_path / "v.mp4", out=tmp_path / "out", progress=False)
    assert {path: path.read_bytes() for path in (tmp_path / "out").rglob("*.*")} == before
