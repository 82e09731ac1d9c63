"""Methods over sequences: one record file each, so that a run goes on where it stopped and a fault costs one record."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

import diorama
from diorama.data.truth import Truth
from diorama.errors import DioramaError
from diorama.evaluate.cases import Case, Inputs
from diorama.evaluate.methods import Method
from diorama.evaluate.score import score
from diorama.evaluate.scores import Scores
from diorama.reconstruction import Reconstruction
from diorama.records import load_record, save_record

logger = logging.getLogger(__name__)
# Raised when scores of the same result come out differently than before.
SCORES_VERSION = 1
Redo = Literal["none", "failed", "all"]


@dataclass(frozen=True)
class RunRecord:
    """One method on one sequence.

    Attributes:
        key: what the scores depend on: program, data, sequence, method and its configuration.
        seconds: of the method, without loading and scoring.
        error: one line, empty if all went well; `details` is the traceback.
        scores: None after an error.
    """

    key: str
    dataset: str
    sequence: str
    method: str
    seconds: float
    error: str = ""
    details: str = ""
    scores: Scores | None = None


def key_of(case: Case, name: str, method: Method) -> str:
    """Hex sha256 of everything that the record depends on."""
    tree = {
        "diorama": diorama.__version__,
        "scores": SCORES_VERSION,
        "dataset": case.dataset,
        "sequence": case.name,
        "identity": case.identity,
        "method": name,
        "configuration": method.configuration(),
    }
    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()


def record_path(folder: Path, case: Case, name: str) -> Path:
    """Where the record of a sequence and a method lies."""
    return folder / "records" / case.name / f"{name}.npz"


def run_all(
    cases: Sequence[Case], methods: Mapping[str, Method], folder: Path, *, redo: Redo = "none"
) -> tuple[RunRecord, ...]:
    """Every method on every sequence; records that are there with the same key are taken as they are, but for faults that
    the user can mend (`DioramaError`), which are tried again.

    Args:
        folder: gets `records/` and, while a sequence is worked on, `work/`.
        redo: which of the records that are there are made again.

    Raises:
        DioramaError: the folder cannot be written.
    """
    records = []
    for number, case in enumerate(cases, 1):
        logger.info("[%d/%d] %s", number, len(cases), case.name)
        records += _run_case(case, methods, folder, redo)
    return tuple(records)


def _run_case(case: Case, methods: Mapping[str, Method], folder: Path, redo: Redo) -> list[RunRecord]:
    keys = {name: key_of(case, name, method) for name, method in methods.items()}
    records = {name: _recall(record_path(folder, case, name), keys[name], redo) for name in methods}
    missing = [name for name, record in records.items() if record is None]
    for name in set(methods) - set(missing):
        logger.info("  %s: recorded", name)
    work = folder / "work" / case.name
    inputs = _loaded(case, work) if missing else None
    for name in missing:
        assert inputs is not None
        record = _run(case, name, methods[name], inputs, work, keys[name])
        save_record(record, record_path(folder, case, name))
        records[name] = record
        logger.info("  %s: %s", name, f"failed: {record.error}" if record.error else f"{record.seconds:.1f} s")
    # The pictures of a data set once more, and without loss, would fill the disk.
    shutil.rmtree(work / "clip", ignore_errors=True)
    return [record for record in records.values() if record is not None]


def _recall(path: Path, key: str, redo: Redo) -> RunRecord | None:
    if redo == "all" or not path.is_file():
        return None
    try:
        record = load_record(RunRecord, path)
    except DioramaError:
        return None
    # What the user can mend (a file that was missing) may have been mended.
    again = record.error and (redo == "failed" or record.error.startswith(DioramaError.__name__))
    return None if record.key != key or again else record


def _loaded(case: Case, work: Path) -> Inputs | Exception:
    """The inputs, or why there are none: then every method has failed on this sequence."""
    try:
        return case.load(work / "clip")
    except Exception as error:  # noqa: BLE001 - any fault is a record
        return error


def _run(case: Case, name: str, method: Method, inputs: Inputs | Exception, work: Path, key: str) -> RunRecord:
    """Run and score; whatever goes wrong is written down, and the others go on."""
    began = time.monotonic()
    seconds = 0.0
    try:
        if isinstance(inputs, Exception):
            raise inputs
        result = method.run(inputs, work / "reconstruct")
        seconds = round(time.monotonic() - began, 2)
        scores = _scored(case, result, inputs.truth, from_video=inputs.video is not None)
    except Exception as error:  # noqa: BLE001 - any fault is a record
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return RunRecord(key, case.dataset, case.name, name, seconds, text, traceback.format_exc())
    return RunRecord(key, case.dataset, case.name, name, seconds, scores=scores)


def _scored(case: Case, result: Reconstruction, truth: Truth, *, from_video: bool) -> Scores:
    # Of a video one shot is taken: its frames say which rows of the sequence they are.
    rows = np.asarray(result.frame_index) if from_video else None
    return score(result, truth, case.fps, rows=rows, dataset=case.dataset, scene_counts=case.scene_counts)
