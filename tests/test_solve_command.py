"""`diorama solve`: other tools' results in a folder become a saved world; what is wrong is one line and code 2."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from diorama import cli
from diorama.frontends.precomputed import write_precomputed
from diorama.methods.josh.method import reconstruct_josh
from diorama.methods.observed import reconstruct_observed
from diorama.reconstruction import load
from diorama.synthetic.compare import compare_with_truth
from diorama.synthetic.josh_problem import EXACT_PROBLEM, josh_problem

PROBLEM = replace(
    EXACT_PROBLEM, keyframes=4, matches=60, people=1, action="walking", cameras="unit", depth_step=16, mask_step=8
)


@pytest.fixture(autouse=True)
def _quiet_logger():
    """The command line gives the logger of the library a handler; other tests want it as it was."""
    logger = logging.getLogger("diorama")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture(scope="module")
def seen():
    return josh_problem(PROBLEM)[1]


@pytest.fixture
def folder(tmp_path, seen):
    write_precomputed(seen, tmp_path / "seen")
    return tmp_path / "seen"


def run(capsys, *words) -> tuple[int, str, str]:
    code = 0
    try:
        cli.main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code or 0
    out = capsys.readouterr()
    return code, out.out, out.err


def written(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_folder_of_results_becomes_a_world(capsys, folder, tmp_path, seen):
    before = written(folder)
    code, out, err = run(capsys, "solve", folder, "-o", tmp_path / "out")
    assert code == 0, err
    assert f"diorama view {tmp_path / 'out'}" in out and len(out.splitlines()) > 3
    found, truth = load(tmp_path / "out"), josh_problem(PROBLEM)[0]
    assert found.provenance["method"] == "josh" and found.provenance["observations"] == str(folder)
    errors = compare_with_truth(found, truth)
    assert errors["people_matched"] == 1
    assert errors["ate_cm"] < 1 and errors["scale_error_percent"] < 5 and errors["pa_mpjpe_mm"] < 40
    assert len(found) == len(seen.times) and found.scene.depth is not None
    assert written(folder) == before, "what was given is left alone"
    # The same as without files in between.
    direct = reconstruct_josh(None, seen)
    np.testing.assert_allclose(found.cameras.T_world_camera, direct.cameras.T_world_camera, atol=1e-5)
    np.testing.assert_allclose(found.people[0].joints_world, direct.people[0].joints_world, atol=1e-4)


def test_a_second_run_replaces_the_result_and_a_baseline_is_one_too(capsys, folder, tmp_path, seen):
    for method in ("tram", "observations"):
        code, _, err = run(capsys, "solve", folder, "-o", tmp_path / "out", "--method", method, "--quiet")
        assert code == 0, err
    found, wanted = load(tmp_path / "out"), reconstruct_observed(None, seen)
    assert found.provenance["method"] == "observations"
    np.testing.assert_allclose(found.people[0].transl, wanted.people[0].transl, atol=1e-5)


def test_quiet_is_quiet(capsys, folder, tmp_path):
    words = ("solve", folder, "-o", tmp_path / "out", "--method", "observations", "--quiet")
    assert run(capsys, *words) == (0, "", "")


def test_a_told_height_is_his_height(capsys, folder, tmp_path):
    code, _, err = run(capsys, "solve", folder, "-o", tmp_path / "out", "--stature", "1=1.5", "--quiet")
    assert code == 0, err
    statures = load(tmp_path / "out").quality["statures_m"]
    assert statures["1"] == pytest.approx(1.5, abs=0.03)


WRONG = {
    "no such folder": ("{tmp}/missing", "-o", "{tmp}/out"),
    "a file for a folder": ("{tmp}/words.txt", "-o", "{tmp}/out"),
    "a folder of something else": ("{tmp}/other", "-o", "{tmp}/out"),
    "no such preset": ("{seen}", "-o", "{tmp}/out", "--preset", "magic"),
    "no such method": ("{seen}", "-o", "{tmp}/out", "--method", "magic"),
    "a height that is none": ("{seen}", "-o", "{tmp}/out", "--stature", "tall"),
    "a height of nobody": ("{seen}", "-o", "{tmp}/out", "--stature", "1=17"),
    "a height for a baseline": ("{seen}", "-o", "{tmp}/out", "--stature", "1=1.7", "--method", "tram"),
    "results on top of something else": ("{seen}", "-o", "{tmp}/other"),
    "results into a file": ("{seen}", "-o", "{tmp}/words.txt"),
    "results into a folder inside a file": ("{seen}", "-o", "{tmp}/words.txt/out"),
    "results on top of what was seen": ("{seen}", "-o", "{seen}"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_and_nothing_is_written(capsys, folder, tmp_path, name):
    (tmp_path / "words.txt").write_text("words")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "picture.png").write_bytes(b"0")
    before = written(tmp_path)
    words = [word.format(tmp=tmp_path, seen=folder) for word in WRONG[name]]
    code, _, err = run(capsys, "solve", *words)
    assert code == 2
    assert err.startswith("diorama: ") and err.count("\n") == 1, err
    assert written(tmp_path) == before
    assert not (tmp_path / "out").exists()


DAMAGED = {
    "a map that is no file of arrays": ("depth", "*.npz"),
    "cameras that are no text": ("cameras", "*.txt"),
    "matches that are no file of arrays": ("matches", "*.npz"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named_and_nothing_is_written(capsys, folder, tmp_path, name):
    part, pattern = DAMAGED[name]
    path = next(iter(sorted((folder / part).glob(pattern))))
    path.write_bytes(b"\x00nonsense")
    code, _, err = run(capsys, "solve", folder, "-o", tmp_path / "out")
    assert code == 2 and err.count("\n") == 1
    assert path.name in err
    assert not (tmp_path / "out").exists()


def test_a_world_that_cannot_be_saved_leaves_the_old_one(capsys, folder, tmp_path, monkeypatch):
    """Interrupted while it is written: the former result is whole."""
    out = tmp_path / "out"
    assert run(capsys, "solve", folder, "-o", out, "--method", "observations", "--quiet")[0] == 0
    before = load(out)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    monkeypatch.setattr(np, "savez_compressed", stop)
    code, _, err = run(capsys, "solve", folder, "-o", out, "--method", "tram", "--quiet")
    assert code == 130 and err.count("\n") == 1
    monkeypatch.undo()
    again = load(out)
    assert again.provenance == before.provenance
    np.testing.assert_array_equal(again.people[0].transl, before.people[0].transl)
