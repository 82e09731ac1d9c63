"""Methods over sequences: faults cost one record, a second run repeats nothing, and the command says what is wrong."""

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from diorama import cli
from diorama.data import DataOptions, Sequence, exact_truth
from diorama.errors import DioramaError
from diorama.evaluate import cases, methods
from diorama.evaluate.benchmark import evaluate
from diorama.evaluate.methods import Method
from diorama.evaluate.runs import key_of
from diorama.observations import Observations
from diorama.synthetic.sequences import SequenceSpec
from evaluated_world import FRAMES, shifted, with_people


def spec(name: str) -> SequenceSpec:
    """The description of a synthetic sequence, which is never built here."""
    return SequenceSpec(name, "street", "behind", frames=FRAMES)


@pytest.fixture
def plain(exact):
    """The exact world with bodies whose model is not here, which is quick to score: no vertices, no feet."""
    return with_people(exact, lambda p: replace(p, body="nobody"))


@pytest.fixture
def suites(monkeypatch, plain, tmp_path):
    """Suites of one exact world, under the names and with the signatures of the real ones; loads are counted."""
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "cache"))
    loads = Counter()
    lens = plain.cameras
    seen = Observations(lens.width, lens.height, plain.times, plain.frame_index, plain.duplicate)

    def simulated(spec, cache: Path, *, errors: str):
        loads[spec.name if errors == "typical" else f"{spec.name} {errors}"] += 1
        if spec.name == "broken":
            raise ValueError("the world\nis broken")
        return plain, seen

    fake = {"standard": (spec("walk"), spec("stairs")), "bad": (spec("walk"), spec("broken"))}
    fake |= {"rendered": (spec("walk"),)}
    monkeypatch.setattr(cases, "SUITES", fake)
    monkeypatch.setattr(cases, "simulated", simulated)
    return loads


class FakeMethods:
    """Methods that know the answer, or err; `calls` counts them, `faults` are raised by "crash", one per call."""

    def __init__(self, exact) -> None:
        self.calls, self.faults, self.version = Counter(), [], 1
        near = with_people(exact, lambda p: shifted(p, [0.01, 0, 0]))
        self.results = {"exact": exact, "near": near, "crash": exact}

    def table(self) -> dict[str, Method]:
        return {name: self._method(name) for name in self.results}

    def _method(self, name: str) -> Method:
        def run(*_):
            self.calls[name] += 1
            if name == "crash" and self.faults:
                raise self.faults.pop(0)
            return self.results[name]

        return Method(name, run, run, lambda: {"version": self.version})


@pytest.fixture
def fakes(monkeypatch, plain):
    made = FakeMethods(plain)
    monkeypatch.setattr(methods, "METHODS", made.table())
    return made


def test_one_row_per_method_and_sequence_and_files_of_all_kinds(suites, fakes, tmp_path):
    done = evaluate("synthetic:standard", ("exact", "near"), tmp_path / "out")
    assert [(r.sequence, r.method) for r in done.table.sequences] == [
        ("walk", "exact"), ("walk", "near"), ("stairs", "exact"), ("stairs", "near"),
    ]  # fmt: skip
    exact, near = done.table.means
    assert exact.figures["MRPE"] == 0 and near.figures["MRPE"] == pytest.approx(0.01)
    assert suites == {"walk": 1, "stairs": 1}, "methods of a sequence share its inputs"
    names = [p.relative_to(tmp_path / "out").as_posix() for p in done.files]
    assert names == ["table.md", "table.csv", "table.json", "plots/walk.png", "plots/stairs.png"]
    picture = cv2.imread(str(done.files[3]))
    assert picture is not None and len(np.unique(picture)) > 20
    assert sorted(p.name for p in (tmp_path / "out" / "records" / "walk").iterdir()) == ["exact.npz", "near.npz"]


def test_a_second_run_repeats_nothing_and_says_the_same(suites, fakes, tmp_path):
    first = evaluate("synthetic:standard", ("exact", "near"), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    second = evaluate("synthetic:standard", ("exact", "near"), tmp_path)
    assert fakes.calls == {"exact": 2, "near": 2} and suites == {"walk": 1, "stairs": 1}
    assert second.table == first.table
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before
    # Another method, or another configuration, is run alone.
    evaluate("synthetic:standard", ("exact", "near", "crash"), tmp_path)
    assert fakes.calls == {"exact": 2, "near": 2, "crash": 2}
    fakes.version = 2
    evaluate("synthetic:standard", ("exact",), tmp_path)
    assert fakes.calls["exact"] == 4


def test_a_suite_with_other_errors_is_other_data(suites, fakes, tmp_path):
    """The preset goes to the simulation and into the key; geometry on disk is shared."""
    usual, noisy = (
        cases.open_cases(f"synthetic:standard{plus}", None, DataOptions()) for plus in ("", "+josh_f_depth")
    )
    assert [c.name for c in usual] == [c.name for c in noisy] and noisy[0].dataset == "synthetic:standard+josh_f_depth"
    assert usual[0].identity | {"errors": "josh_f_depth"} == noisy[0].identity != usual[0].identity
    method = methods.METHODS["exact"]
    assert len({key_of(case, "exact", method) for case in (*usual, *noisy)}) == 4
    for _ in range(2):
        done = evaluate("synthetic:standard+josh_f_depth", ("exact",), tmp_path)
        assert done.table.data == "synthetic:standard+josh_f_depth" and not done.table.failures
    evaluate("synthetic:standard", ("exact",), tmp_path)
    assert suites == {"walk josh_f_depth": 1, "stairs josh_f_depth": 1, "walk": 1, "stairs": 1}


def test_an_interrupted_run_goes_on_where_it_stopped(suites, fakes, tmp_path):
    fakes.faults = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        evaluate("synthetic:standard", ("exact", "crash", "near"), tmp_path)
    assert fakes.calls == {"exact": 1, "crash": 1}
    done = evaluate("synthetic:standard", ("exact", "crash", "near"), tmp_path)
    assert fakes.calls == {"exact": 2, "crash": 3, "near": 2} and not done.table.failures


def test_a_damaged_record_is_made_again(suites, fakes, tmp_path):
    evaluate("synthetic:standard", ("exact",), tmp_path)
    (tmp_path / "records" / "walk" / "exact.npz").write_bytes(b"half a fi")
    evaluate("synthetic:standard", ("exact",), tmp_path)
    assert fakes.calls == {"exact": 3}


def test_a_method_that_raises_is_a_record_and_the_others_go_on(suites, fakes, tmp_path):
    fakes.faults = [RuntimeError("no\nluck")]
    done = evaluate("synthetic:standard", ("crash", "near"), tmp_path)
    assert [(r.sequence, r.method, r.error) for r in done.table.failures] == [
        ("walk", "crash", "RuntimeError: no luck")
    ]
    crash, near = done.table.means
    assert crash.scored == (1, 2) and near.scored == (2, 2)
    assert done.table.best(next(c for c in done.table.columns if c.name == "MPJPE")) == {"near"}
    # It is kept, until it is asked for again.
    evaluate("synthetic:standard", ("crash", "near"), tmp_path)
    assert fakes.calls == {"crash": 2, "near": 2}
    assert not evaluate("synthetic:standard", ("crash", "near"), tmp_path, redo="failed").table.failures
    assert fakes.calls == {"crash": 3, "near": 2}
    evaluate("synthetic:standard", ("crash", "near"), tmp_path, redo="all")
    assert fakes.calls == {"crash": 5, "near": 4}


def test_what_the_user_has_mended_meanwhile_is_tried_again(suites, fakes, tmp_path):
    fakes.faults = [DioramaError("no file", fix="put it there")]
    done = evaluate("synthetic:standard", ("crash",), tmp_path, sequences=("walk",))
    assert done.table.failures[0].error == "DioramaError: no file; put it there"
    assert not evaluate("synthetic:standard", ("crash",), tmp_path, sequences=("walk",)).table.failures


def test_a_sequence_that_cannot_be_loaded_fails_for_all_methods(suites, fakes, tmp_path):
    done = evaluate("synthetic:bad", ("exact", "near"), tmp_path)
    assert {(r.sequence, r.method) for r in done.table.failures} == {("broken", "exact"), ("broken", "near")}
    assert all(r.error == "ValueError: the world is broken" for r in done.table.failures)


def test_chosen_sequences(suites, fakes, tmp_path):
    done = evaluate("synthetic:standard", ("exact",), tmp_path, sequences=("stairs",))
    assert [r.sequence for r in done.table.sequences] == ["stairs"]
    with pytest.raises(DioramaError, match="no such sequence"):
        evaluate("synthetic:standard", ("exact",), tmp_path, sequences=("moon",))


def test_pictures_of_a_data_set_become_a_clip_that_is_taken_away_again(monkeypatch, fakes, plain, tmp_path):
    """The method reads a video whose frames are the upright pictures; rows of the result are those of its shot."""
    pictures = []
    for row in range(4):
        pictures.append(tmp_path / "data" / f"{row}.png")
        pictures[-1].parent.mkdir(exist_ok=True)
        cv2.imwrite(str(pictures[-1]), np.full((20, 30, 3), 40 * row, np.uint8))
    sequence = Sequence(
        "emdb2", "P0", (), 30.0, lambda: tuple(pictures), read_truth=lambda: exact_truth(plain), picture_turns=1
    )
    monkeypatch.setattr("diorama.evaluate.cases.open_dataset", lambda *_: (sequence,))
    seen = []

    def run(video, folder):
        from diorama.video import open_video

        seen.extend(picture for _, picture in open_video(video).frames())
        return plain

    monkeypatch.setattr(methods, "METHODS", {"exact": Method("exact", run, run, dict)})
    done = evaluate("emdb2", ("exact",), tmp_path / "out", root=tmp_path / "data")
    assert not done.table.failures
    assert [p.shape for p in seen] == [(30, 20, 3)] * 4 and [int(p.mean()) for p in seen] == [0, 40, 80, 120]
    assert not list((tmp_path / "out").rglob("*.avi"))
    assert any(row.method == "JOSH_3" for row in done.table.published)


@pytest.fixture
def _quiet_logger():
    """The command line gives the logger of the library a handler; other tests want it as it was."""
    logger = logging.getLogger("diorama")
    before = logger.handlers[:], logger.level, logger.propagate
    yield
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


def command(capsys, *words):
    code = 0
    try:
        cli.main(["evaluate", *(str(word) for word in words)])
    except SystemExit as ended:
        code = ended.code or 0
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.usefixtures("_quiet_logger")
def test_the_command_prints_the_table_it_saves(capsys, suites, fakes, tmp_path):
    code, out, err = command(capsys, "--data", "synthetic:standard", "--methods", "exact,near", "-o", tmp_path / "out")
    assert code == 0 and err == ""
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") in out and "[2/2] stairs" in out
    tree = json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))
    assert tree["data"] == "synthetic:standard" and [row["method"] for row in tree["means"]] == ["exact", "near"]
    fakes.faults = [RuntimeError("no")]
    words = ("--data", "synthetic:standard", "--methods", "crash", "-o", tmp_path / "out", "--quiet")
    code, out, err = command(capsys, *words)
    assert code == 1 and "RuntimeError: no" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--data", "synthetic:moon"), "use one of standard, bad, rendered"),
        (("--data", "synthetic:standard+moon"), "use one of exact, typical"),
        (("--data", "synthetic:standard+"), "use one of exact, typical"),
        (("--data", "synthetic:rendered+hard"), "leave out +hard"),
        (("--data", "moon"), "emdb2"),
        (("--data", "emdb2"), "--root"),
        (("--data", "emdb2", "--root", "{tmp}/missing"), "missing"),
        (("--data", "emdb2", "--root", "{tmp}"), "expected"),
        (("--data", "toyota", "--root", "{tmp}"), "mp4"),
        (("--data", "synthetic:standard", "--methods", "magic"), "choose from exact"),
        (("--data", "synthetic:standard", "--methods", ","), "choose from exact"),
        (("--data", "synthetic:standard", "--sequences", "moon"), "walk"),
        (("--data", "synthetic:standard", "--methods", "exact", "-o", "{tmp}/file"), "folder"),
    ],
)
@pytest.mark.usefixtures("_quiet_logger", "suites")
def test_what_the_user_can_mend_is_one_line_and_code_2(capsys, fakes, tmp_path, words, told):
    (tmp_path / "file").write_text("x")
    words = [word.format(tmp=tmp_path) for word in words]
    extra = [] if "-o" in words else ["-o", tmp_path / "out"]
    extra += [] if "--methods" in words else ["--methods", "exact"]
    code, out, err = command(capsys, *words, *extra)
    assert code == 2, err
    assert err.startswith("diorama: ") and err.count("\n") == 1 and told in err and out == ""
    assert not fakes.calls and not (tmp_path / "out").exists()
