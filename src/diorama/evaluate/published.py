"""The numbers that the papers of JOSH, UniSH and SHARE print, from `paper_results.json`; nothing of them is measured here.

Data sets are named as `diorama.data.open_dataset` names them. A paper that contradicts itself is kept as printed: the
contradictions are listed beside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class PublishedResult:
    """One number of one table.

    Attributes:
        method: as the paper calls it.
        dataset: name for `open_dataset`, or None where the number belongs to no data set (frame rates).
        metric, value, unit: as printed; the paper's own protocol (docs/datasets.md says which split).
        higher_is_better: for bold print.
        paper, table: where it is printed.
        sequence: name of the sequence, for the few numbers that are not means over a data set.
        note: what else the table says about it.
    """

    method: str
    dataset: str | None
    metric: str
    value: float
    unit: str
    higher_is_better: bool
    paper: str
    table: str
    sequence: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Contradiction:
    """A place where a paper contradicts itself; `dataset` and `method` are None where it is about all of them."""

    paper: str
    dataset: str | None
    method: str | None
    metrics: tuple[str, ...]
    text: str


@dataclass(frozen=True)
class Published:
    """Everything in the file; `papers` are full titles by short name."""

    papers: dict[str, str]
    results: tuple[PublishedResult, ...]
    contradictions: tuple[Contradiction, ...]

    def select(
        self,
        *,
        dataset: str | None = None,
        metric: str | None = None,
        method: str | None = None,
        paper: str | None = None,
        by_sequence: bool = False,
    ) -> tuple[PublishedResult, ...]:
        """Results that match everything that is given, in the order of papers and tables.

        Args:
            by_sequence: those of single sequences instead of the means over a data set.
        """
        wanted = {"dataset": dataset, "metric": metric, "method": method, "paper": paper}
        given = {name: value for name, value in wanted.items() if value is not None}
        return tuple(
            result
            for result in self.results
            if (result.sequence is not None) == by_sequence
            and all(getattr(result, name) == value for name, value in given.items())
        )

    def doubts(self, result: PublishedResult) -> tuple[Contradiction, ...]:
        """The contradictions that concern a result."""
        return tuple(
            c
            for c in self.contradictions
            if c.paper == result.paper
            and result.metric in c.metrics
            and c.dataset in (None, result.dataset)
            and c.method in (None, result.method)
        )


@lru_cache(maxsize=1)
def load_published() -> Published:
    """The content of `paper_results.json`."""
    tree = json.loads(files("diorama.evaluate").joinpath("paper_results.json").read_text(encoding="utf-8"))
    results = tuple(result for table in tree["tables"] for result in _results(table, tree))
    doubts = tuple(Contradiction(**{**c, "metrics": tuple(c["metrics"])}) for c in tree["contradictions"])
    return Published(tree["papers"], results, doubts)


def _results(table: dict[str, Any], tree: dict[str, Any]) -> Iterator[PublishedResult]:
    for method, row in table["results"].items():
        rows = row if isinstance(row, dict) else {None: row}
        for sequence, values in rows.items():
            for metric, value in zip(table["metrics"], values, strict=True):
                if value is not None:
                    yield _result(table, tree, method, metric, value, sequence)


def _result(
    table: dict[str, Any], tree: dict[str, Any], method: str, metric: str, value: float, sequence: str | None
) -> PublishedResult:
    notes = (table.get("note", ""), table.get("method_notes", {}).get(method, ""))
    return PublishedResult(
        method=method,
        dataset=table["dataset"],
        metric=metric,
        value=float(value),
        unit=tree["units"][metric],
        higher_is_better=metric in tree["higher_is_better"],
        paper=table["paper"],
        table=table["table"],
        sequence=sequence,
        note="; ".join(note for note in notes if note),
    )
