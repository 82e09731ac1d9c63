"""From records to one table: a row per method with the mean as the papers take it, one per sequence, the papers' own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diorama.evaluate.columns import COLUMN, COLUMNS, Column
from diorama.evaluate.published import PublishedResult, load_published
from diorama.evaluate.runs import RunRecord
from diorama.evaluate.scores import pooled

# A method whose coverage falls short of the best by more than this, in points of percent, is not set in bold.
COVERAGE_SLACK = 5.0
COVERAGE = ("People", "Frames", "Cameras", "DepthPx")


@dataclass(frozen=True)
class Row:
    """Figures by column in the table's units; a column that is missing is "-".

    Attributes:
        sequence: empty for means over the data set.
        source: "measured", or paper and table.
        scored: sequences behind the figures, and how many there are (0 of 0 for the papers).
    """

    method: str
    sequence: str
    source: str
    figures: Mapping[str, float]
    scored: tuple[int, int] = (0, 0)
    seconds: float = float("nan")
    error: str = ""


@dataclass(frozen=True)
class Table:
    """Everything that is printed and saved; `columns` are those in which something is known."""

    data: str
    columns: tuple[Column, ...]
    means: tuple[Row, ...]
    sequences: tuple[Row, ...]
    published: tuple[Row, ...]
    doubts: tuple[str, ...]

    @property
    def failures(self) -> tuple[Row, ...]:
        """Rows of sequences on which a method failed."""
        return tuple(row for row in self.sequences if row.error)

    def best(self, column: Column) -> frozenset[str]:
        """The methods with the best mean among those that may be compared; none if there is only one method.

        Omission does not win: a method counts only if it has a figure for every sequence that any method has one for,
        and if no coverage column of its is more than `COVERAGE_SLACK` below that of the best.
        """
        if not column.better or len(self.means) < 2:
            return frozenset()
        known = {r.method: r.figures[column.name] for r in self.means if column.name in r.figures and self.complete(r)}
        wanted = {m for m, _ in self._scored_sequences(column)}
        most = set().union(*(self._sequences_of(m, column) for m in wanted))
        known = {m: v for m, v in known.items() if self._sequences_of(m, column) == most}
        if not known:
            return frozenset()
        top = (min if column.better == "low" else max)(known.values())
        return frozenset(m for m, v in known.items() if v == top)

    def complete(self, row: Row) -> bool:
        """Whether a mean covers as much as the best does, within `COVERAGE_SLACK`, and no sequence failed."""
        if row.scored[0] < row.scored[1]:
            return False
        return all(
            row.figures.get(name, 0.0) >= max(r.figures.get(name, 0.0) for r in self.means) - COVERAGE_SLACK
            for name in COVERAGE
        )

    def _scored_sequences(self, column: Column) -> set[tuple[str, str]]:
        return {(r.method, r.sequence) for r in self.sequences if column.name in r.figures}

    def _sequences_of(self, method: str, column: Column) -> set[str]:
        return {sequence for m, sequence in self._scored_sequences(column) if m == method}


def make_table(data: str, records: Sequence[RunRecord]) -> Table:
    """The table of all records of one data set, with what the papers print for it."""
    methods = list(dict.fromkeys(record.method for record in records))
    means = tuple(_mean_row(m, [r for r in records if r.method == m]) for m in methods)
    rows = tuple(_sequence_row(record) for record in records)
    results = _published(data, {record.sequence for record in records})
    published = tuple(_published_rows(results))
    named = {name for row in (*means, *rows, *published) for name in row.figures}
    doubts = dict.fromkeys(d.text for result in results for d in load_published().doubts(result))
    columns = tuple(column for column in COLUMNS if column.name in named)
    return Table(data, columns, means, rows, published, tuple(doubts))


def _mean_row(method: str, records: Sequence[RunRecord]) -> Row:
    scores = [record.scores for record in records if record.scores is not None]
    figures = _finite({column.name: pooled(column.name, scores) for column in COLUMNS})
    seconds = sum(record.seconds for record in records)
    return Row(method, "", "measured", figures, (len(scores), len(records)), seconds)


def _sequence_row(record: RunRecord) -> Row:
    scores = record.scores
    figures = {} if scores is None else _finite({column.name: scores.figure(column.name) for column in COLUMNS})
    done = (int(scores is not None), 1)
    return Row(record.method, record.sequence, "measured", figures, done, record.seconds, record.error)


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _published(data: str, sequences: set[str]) -> tuple[PublishedResult, ...]:
    """What the papers print for the data set in a column of ours, and for single sequences that are in the table."""
    papers = load_published()
    single = [r for r in papers.select(dataset=data, by_sequence=True) if r.sequence in sequences]
    return tuple(r for r in (*papers.select(dataset=data), *single) if r.metric in COLUMN)


def _published_rows(results: Iterable[PublishedResult]) -> list[Row]:
    """One row per method and table; a row that says nothing beyond another of the same paper is left out."""
    grouped: dict[tuple[str, str, str, str], dict[str, float]] = {}
    for r in results:
        grouped.setdefault((r.paper, r.method, r.sequence or "", r.table), {})[r.metric] = r.value
    kept = []
    for key, figures in grouped.items():
        others = [f for k, f in grouped.items() if k[:3] == key[:3] and k != key]
        repeated = any(figures.items() <= other.items() for other in others if len(other) > len(figures))
        first = not any(figures == f for k, f in kept if k[:3] == key[:3])
        if not repeated and first:
            kept.append((key, figures))
    return [Row(method, sequence, f"{paper} {table}", figures) for (paper, method, sequence, table), figures in kept]
