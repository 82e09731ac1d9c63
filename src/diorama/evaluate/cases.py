"""What methods are run on: sequences of a data set or of a synthetic suite, loaded one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diorama.assets import cache_dir
from diorama.data import DATASETS, DataOptions, open_dataset
from diorama.data.sequence import Sequence
from diorama.data.truth import Truth, exact_truth
from diorama.errors import DioramaError
from diorama.evaluate.picture_clip import write_clip
from diorama.observations import Observations
from diorama.records import flatten
from diorama.synthetic.rendering import render_sequence
from diorama.synthetic.sequences import SequenceSpec, simulated
from diorama.synthetic.simulate import PRESETS as ERRORS
from diorama.synthetic.suites import SUITES

SYNTHETIC = "synthetic:"
# The suite that has videos; all others have simulated observations, with these errors unless others are named.
RENDERED, USUAL_ERRORS = "rendered", "typical"
# JOSH scores cameras, depth and scene on some of the sequences only: those with this tag.
SCENE_TAGS = {"sloper4d": "scene", "rich-moving": "chamfer"}
# A reader gives all splits where there are several; benchmarks use this one.
BENCHMARK_TAGS = {"3dpw": "test"}


@dataclass(frozen=True)
class Inputs:
    """A sequence in memory: its truth, and what a method is given: observations, or a video."""

    truth: Truth
    observations: Observations | None = None
    video: Path | None = None


@dataclass(frozen=True)
class Case:
    """One sequence to evaluate on.

    Attributes:
        dataset: as in `--data`.
        name: unique in the data set, fit for a file's name.
        fps: frames per second of the rows.
        identity: plain values on which a result depends beside the method.
        load: makes the inputs; a folder is given for files that they need.
        scene_counts: whether the papers score cameras, depth and scene of this sequence.
    """

    dataset: str
    name: str
    fps: float
    identity: Any
    load: Callable[[Path], Inputs]
    scene_counts: bool = True


def open_cases(data: str, root: Path | None, options: DataOptions) -> tuple[Case, ...]:
    """The sequences of `data`: "synthetic:SUITE" or "synthetic:SUITE+PRESET", or the name of a data set below `root`.

    Raises:
        DioramaError: no such suite, preset of errors or data set, no root, a missing file, or a data set without truth.
    """
    if data.startswith(SYNTHETIC):
        return _synthetic(data.removeprefix(SYNTHETIC))
    if data not in DATASETS:
        known = ", ".join([f"{SYNTHETIC}SUITE", *DATASETS])
        raise DioramaError("no such data set", where=f"--data {data}", fix=f"use one of {known}")
    if root is None:
        raise DioramaError("the data set's folder is not given", where=f"--data {data}", fix="add --root FOLDER")
    if not root.expanduser().is_dir():
        raise DioramaError("no such folder", where=root, fix=f"give the folder of {data} (see docs/datasets.md)")
    sequences = open_dataset(data, root, options)
    tag = BENCHMARK_TAGS.get(data)
    cases = tuple(_of_sequence(s, root, options) for s in sequences if tag is None or tag in s.split)
    if not cases or not any(s.read_truth or s.read_parameters for s in sequences):
        raise DioramaError("nothing here has a truth to compare with", where=f"--data {data}", fix="use another set")
    return cases


def _of_sequence(sequence: Sequence, root: Path, options: DataOptions) -> Case:
    tag = SCENE_TAGS.get(sequence.dataset)
    identity = {"root": str(root.expanduser().resolve()), "options": flatten(options, "options", {})}
    return Case(
        sequence.dataset, sequence.name, sequence.fps, identity, lambda folder: _load(sequence, folder),
        tag is None or tag in sequence.split,
    )  # fmt: skip


def _load(sequence: Sequence, folder: Path) -> Inputs:
    pictures = sequence.pictures
    if pictures is None:
        where = f"{sequence.dataset} {sequence.name}"
        raise DioramaError("it has no pictures here", where=where, fix="download them too")
    truth = sequence.truth()
    if isinstance(pictures, tuple):
        clip = folder / "pictures.avi"
        pictures = write_clip(pictures, sequence.fps, clip, turns=sequence.picture_turns)
    return Inputs(truth, video=pictures)


def _synthetic(name: str) -> tuple[Case, ...]:
    suite, named, errors = name.partition("+")
    if suite not in SUITES:
        raise DioramaError("no such suite", where=f"--data {SYNTHETIC}{name}", fix=f"use one of {', '.join(SUITES)}")
    if named and errors not in ERRORS:
        known = ", ".join(ERRORS)
        raise DioramaError("no such preset of errors", where=f"--data {SYNTHETIC}{name}", fix=f"use one of {known}")
    if named and suite == RENDERED:
        fix = f"leave out +{errors}"
        raise DioramaError("rendered videos have no simulated errors", where=f"--data {SYNTHETIC}{name}", fix=fix)
    return tuple(_of_spec(suite, spec, errors) for spec in SUITES[suite])


def _of_spec(suite: str, spec: SequenceSpec, errors: str) -> Case:
    # Shared by all evaluations: what a suite is does not depend on where its tables go, its geometry not on errors.
    kept = cache_dir() / "synthetic" / suite / spec.key
    if suite == RENDERED:
        return Case(f"{SYNTHETIC}{suite}", spec.name, spec.fps, {"key": spec.key}, lambda _: _render(spec, kept))
    data, chosen = (f"{SYNTHETIC}{suite}+{errors}", errors) if errors else (f"{SYNTHETIC}{suite}", USUAL_ERRORS)
    identity = {"key": spec.key, "errors": chosen}
    return Case(data, spec.name, spec.fps, identity, lambda _: _simulate(spec, kept, chosen))


def _simulate(spec: SequenceSpec, kept: Path, errors: str) -> Inputs:
    truth, observations = simulated(spec, kept, errors=errors)
    return Inputs(exact_truth(truth), observations)


def _render(spec: SequenceSpec, kept: Path) -> Inputs:
    made = render_sequence(spec, kept)
    return Inputs(exact_truth(made.truth), video=made.video)
