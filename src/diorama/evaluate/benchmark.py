"""`diorama evaluate`: methods over the sequences of a data set, one table."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diorama.data import DataOptions
from diorama.errors import DioramaError
from diorama.evaluate.cases import Case, open_cases
from diorama.evaluate.methods import chosen_methods
from diorama.evaluate.plots import draw_plots
from diorama.evaluate.runs import Redo, run_all
from diorama.evaluate.table import Table, make_table
from diorama.evaluate.table_files import save_table

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` made: the table, and the files that it was written to (Markdown, CSV, JSON, then plots)."""

    table: Table
    files: tuple[Path, ...]


def evaluate(
    data: str,
    methods: Sequence[str],
    out: str | Path,
    *,
    root: str | Path | None = None,
    sequences: Sequence[str] = (),
    options: DataOptions | None = None,
    redo: Redo = "none",
    weights: Mapping[str, str] | None = None,
) -> Evaluation:
    """Run methods over sequences, score them against the truth, and write table and plots into `out`.

    A second call with the same `out` takes the records that are there; a method that raises is a record too.

    Args:
        data: "synthetic:SUITE", "synthetic:SUITE+PRESET" with other errors, or a name of `diorama.data.DATASETS`.
        methods: names of `diorama.evaluate.methods.METHODS` and `NETWORKS`.
        out: folder for records, table and plots.
        root: folder of the data set.
        sequences: only these, by name; all if none is given.
        options: what the reader may be told.
        redo: "failed" or "all": make these records again.
        weights: of the methods with a network of their own, by name: file, folder, or repository of the Hugging Face hub.

    Raises:
        DioramaError: an unknown name, a missing folder or file, or `out` cannot be written; nothing was run.
    """
    chosen = chosen_methods(tuple(methods), weights)
    cases = _named(open_cases(data, None if root is None else Path(root), options or DataOptions()), sequences, data)
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise DioramaError("it is a file", where=folder, fix="give a folder")
    records = run_all(cases, chosen, folder, redo=redo)
    table = make_table(data, records)
    return Evaluation(table, (*save_table(table, folder), *draw_plots(records, folder / "plots")))


def _named(cases: Sequence[Case], names: Sequence[str], data: str) -> tuple[Case, ...]:
    known = {case.name: case for case in cases}
    for name in names:
        if name not in known:
            some = ", ".join(list(known)[:5])
            raise DioramaError("no such sequence", where=f"{data} {name}", fix=f"use one of {some}, ...")
    return tuple(known[name] for name in names) if names else tuple(cases)
