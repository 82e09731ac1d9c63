"""The command line: words that users type, one line for what they can mend, exit codes 0, 2 and 130."""

import logging
import re
import runpy
import sys

import numpy as np
import pytest

from diorama import cli
from diorama.errors import DioramaError
from diorama.reconstruct import pipeline
from fake_stages import FakeStages
from tiny_videos import moving, write_video


@pytest.fixture(autouse=True)
def _quiet_logger():
    """The command line gives the logger of the library a handler; other tests want it as it was."""
    logger = logging.getLogger("diorama")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def video(tmp_path):
    return write_video(tmp_path / "street.mp4", moving(6))


def run(capsys, *words) -> tuple[int, str, str]:
    code = 0
    try:
        cli.main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code or 0
    out = capsys.readouterr()
    return code, out.out, out.err


def test_reconstruct_tells_the_plan_the_progress_the_card_and_how_to_look(capsys, monkeypatch, video, tmp_path):
    FakeStages().install(monkeypatch, pipeline)
    code, out, err = run(capsys, "reconstruct", video, "-o", tmp_path / "out", "--stature", "1=1.85")
    assert code == 0, err
    assert "6 frames, 96x64" in out and "BlazePose (Apache-2.0)" in out
    assert re.search(r"^expected: \d+ s", out, re.M)
    for number, name in enumerate(("tracks", "cameras", "depth", "bodies", "method", "result", "overlay"), 1):
        assert f"[{number}/7] {name}: " in out
    assert f"diorama view {tmp_path / 'out'}" in out
    code, out, err = run(capsys, "reconstruct", video, "-o", tmp_path / "out", "--stature", "1=1.85")
    assert code == 0 and out.count("reused") >= 7


def test_depth_of_a_folder_is_in_the_plan_and_in_the_result(capsys, monkeypatch, video, tmp_path):
    FakeStages(kind="static").install(monkeypatch, pipeline)
    (tmp_path / "maps").mkdir()
    np.savez(tmp_path / "maps" / "0.npz", depth=np.ones((32, 48)))
    code, out, err = run(capsys, "reconstruct", video, "-o", tmp_path / "out", "--depth", tmp_path / "maps")
    assert code == 0, err
    assert "depth maps of a folder" in out
    tree = (tmp_path / "out" / "reconstruction.json").read_text()
    assert "depth folder" in tree and str(tmp_path / "maps") in tree


def test_quiet_is_quiet(capsys, monkeypatch, video, tmp_path):
    FakeStages().install(monkeypatch, pipeline)
    assert run(capsys, "reconstruct", video, "-o", tmp_path / "out", "--quiet") == (0, "", "")


@pytest.mark.parametrize(
    "words",
    [
        ("reconstruct", "missing.mp4", "-o", "out"),
        ("reconstruct", "{video}", "-o", "out", "--stature", "tall"),
        ("reconstruct", "{video}", "-o", "out", "--method", "magic"),
        ("reconstruct", "{video}", "-o", "out", "--method", "unish"),
        ("reconstruct", "{video}", "-o", "out", "--method", "unish", "--weights", "no/such/file"),
        ("reconstruct", "{video}", "-o", "out", "--method", "josh3r"),
        ("reconstruct", "{video}", "-o", "out", "--method", "josh3r", "--weights", "no/such/file"),
        ("reconstruct", "{video}", "-o", "out", "--weights", "owner/name"),
        ("reconstruct", "{video}", "-o", "out", "--scene", "mast3r:missing.pt"),
        ("reconstruct", "{video}", "-o", "out", "--scene", "missing"),
        ("reconstruct", "{video}", "-o", "out", "--depth", "missing"),
        ("reconstruct", "{video}", "-o", "out", "--depth", "moge2:missing.pt"),
        ("reconstruct", "{video}", "-o", "{video}"),
        ("reconstruct", "{video}", "-o", "{video}/out"),
        ("view", "missing"),
        ("export", "missing", "--to", "glb"),
        ("models", "--from", "missing.whl"),
        ("demo", "missing.mp4", "-o", "out"),
        ("synth", "--preset", "moon", "-o", "out"),
        ("synth", "--suite", "easy", "-o", "out"),
        ("synth", "--motion", "missing.npz", "-o", "out"),
        ("evaluate", "--data", "synthetic:easy", "-o", "out"),
        ("evaluate", "--data", "emdb2", "--root", "missing", "-o", "out"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_code_2(capsys, monkeypatch, video, tmp_path, words):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code, _, err = run(capsys, *(word.format(video=video) for word in words))
    assert code == 2
    assert err.startswith("diorama: ") and err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written"


def test_an_interrupt_ends_with_130(capsys, monkeypatch, video, tmp_path):
    def stop(*_, **__):
        raise KeyboardInterrupt

    FakeStages().install(monkeypatch, pipeline)
    monkeypatch.setattr(pipeline, "estimate_cameras", stop)
    code, _, err = run(capsys, "reconstruct", video, "-o", tmp_path / "out")
    assert code == 130 and err.count("\n") == 1
    assert (tmp_path / "out" / "steps" / "tracks.json").exists()


def test_statures_are_read_as_id_and_metres():
    assert cli.parse_statures(("1=1.85", "3=1.2")) == {1: 1.85, 3: 1.2}
    with pytest.raises(DioramaError, match=r"1=1\.85"):
        cli.parse_statures(("1:1.85",))


def test_weights_are_read_as_method_and_place():
    assert cli.parse_weights(("unish=a/b@main", "other=c=d")) == {"unish": "a/b@main", "other": "c=d"}
    for word in ("folder", "unish=", "=folder"):
        with pytest.raises(DioramaError, match="unish=FOLDER"):
            cli.parse_weights((word,))


def test_every_word_is_explained(capsys):
    code, out, _ = run(capsys, "--help")
    assert code == 0
    for word in ("reconstruct", "view", "export", "evaluate", "models", "doctor", "demo"):
        assert word in out
        assert run(capsys, word, "--help")[0] == 0


def test_models_lists_task_size_source_and_licence(capsys):
    code, out, _ = run(capsys, "models")
    assert code == 0
    for model, licence in (("BlazePose", "Apache-2.0"), ("free body", "CC0")):
        line = next(line for line in out.splitlines() if line.startswith(model))
        assert licence in line and " MB" in line and ("yes" in line or "no" in line)


def test_doctor_finds_what_is_missing_and_names_one_command(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "empty"))
    code, out, _ = run(capsys, "doctor")
    assert code == 1
    assert "models --fetch" in out.splitlines()[-1]
    assert not (tmp_path / "empty").exists(), "the doctor changes nothing"


def test_python_m_diorama_is_the_same_program(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["diorama", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("diorama", run_name="__main__")
    assert not ended.value.code
    assert "reconstruct" in capsys.readouterr().out
