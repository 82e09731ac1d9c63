"""JOSH's tables in the paper's own form, every number beside the printed one, and where the order of methods differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diorama.evaluate.cases import SYNTHETIC
from diorama.evaluate.columns import COLUMN
from diorama.evaluate.published import load_published
from diorama.evaluate.table import COVERAGE, COVERAGE_SLACK, Row
from diorama.evaluate.table_files import markdown_grid

PAPER, DATASET = "JOSH", "sloper4d"


@dataclass(frozen=True)
class PaperRow:
    """One row: what is run here, and what the paper calls it.

    Attributes:
        method: name in `METHODS`.
        printed: the paper's name; empty if the paper has no such row.
        errors: preset of simulation errors; empty for the suite's usual ones.
        table: where the paper prints it, if not in the same table.
    """

    method: str
    printed: str
    errors: str = ""
    table: str = ""

    @property
    def label(self) -> str:
        """As the row is called here."""
        return f"{self.method} +{self.errors}" if self.errors else self.method


@dataclass(frozen=True)
class PaperTable:
    """One table of the paper, with the columns in the paper's order."""

    name: str
    caption: str
    columns: tuple[str, ...]
    rows: tuple[PaperRow, ...]


_EVERYTHING = ("WA-MPJPE", "W-MPJPE", "RTE", "ATE", "AbsRel", "delta1.25", "CD", "Jitter", "FS", "FFR")
JOSH_TABLES: dict[int, PaperTable] = {
    1: PaperTable(
        "Table 1",
        "4D human-scene reconstruction",
        _EVERYTHING,
        (PaperRow("synchmr", "SynCHMR*"), PaperRow("josh", "JOSH_3")),
    ),
    # The paper's rows 1 to 4 are told the true intrinsics; the suite's usual errors have them 2 % off.
    2: PaperTable(
        "Table 2",
        "ablations",
        ("W-MPJPE", "RTE", "AbsRel", "ATE", "FS", "FFR"),
        (
            PaperRow("josh-no-contact-scene", "JOSH_3 without L_c1"),
            PaperRow("josh-fixed-people", "JOSH_3 without optimising local human motion"),
            PaperRow("josh-no-contact-static", "JOSH_3 without L_c2"),
            PaperRow("josh", "JOSH_3"),
            PaperRow("josh-fixed-intrinsics", "JOSH_3 estimated intrinsics, fixed", "josh_focal"),
            PaperRow("josh", "JOSH_3 estimated intrinsics, optimised", "josh_focal"),
        ),
    ),
    7: PaperTable(
        "Table 7",
        "robustness to noisy inputs",
        _EVERYTHING,
        (
            PaperRow("josh", "JOSH_3"),
            PaperRow("josh", "JOSH_3 (+noisy depth)", "josh_f_depth"),
            PaperRow("josh", "JOSH_3 (+noisy contact)", "josh_f_contact"),
            PaperRow("josh", "JOSH_3 (+noisy human)", "josh_f_human"),
            PaperRow("synchmr", "SynCHMR*"),
        ),
    ),
}
# Rows that can stand in Table 1 beside the paper's own.
_KNOWN_ROWS = {
    "synchmr": PaperRow("synchmr", "SynCHMR*"),
    "josh": PaperRow("josh", "JOSH_3"),
    "tram": PaperRow("tram", "TRAM", table="Table 3"),
}


def table_of_methods(methods: Sequence[str]) -> PaperTable:
    """Table 1 with other rows."""
    table = JOSH_TABLES[1]
    rows = tuple(_KNOWN_ROWS.get(method, PaperRow(method, "")) for method in methods)
    return PaperTable(table.name, table.caption, table.columns, rows)


def runs_needed(tables: Sequence[PaperTable], suite: str) -> dict[str, tuple[str, ...]]:
    """The methods that the tables ask for, by data name ("synthetic:SUITE+PRESET"); each once."""
    out: dict[str, tuple[str, ...]] = {}
    for row in (row for table in tables for row in table.rows):
        data = data_of(suite, row)
        out[data] = tuple(dict.fromkeys((*out.get(data, ()), row.method)))
    return out


def data_of(suite: str, row: PaperRow) -> str:
    """What a row is measured on, as in `--data`."""
    return f"{SYNTHETIC}{suite}" + (f"+{row.errors}" if row.errors else "")


def printed_figures(table: PaperTable, row: PaperRow) -> dict[str, float]:
    """The paper's own numbers of a row, by column."""
    results = load_published().select(paper=PAPER, dataset=DATASET, method=row.printed) if row.printed else ()
    return {r.metric: r.value for r in results if r.table == (row.table or table.name)}


def paper_table(table: PaperTable, measured: Mapping[str, Row]) -> str:
    """The table in Markdown, every figure with the paper's in brackets; then one line per column whose order of methods
    differs, per row that covers less, and per contradiction of the paper.

    Args:
        measured: means over the suite by `PaperRow.label`; a row that is missing is "-".
    """
    ours = {row.label: measured[row.label].figures if row.label in measured else {} for row in table.rows}
    theirs = {row.label: printed_figures(table, row) for row in table.rows}
    head = ["method", "the paper's name", *(_title(name) for name in table.columns)]
    rows = [
        [_named(row, measured), row.printed or "-", *_cells(table.columns, ours[row.label], theirs[row.label])]
        for row in table.rows
    ]
    title = f"JOSH, {table.name}, {table.caption}: measured (printed, on SLOPER4D)"
    lines = [title, "", *markdown_grid(head, rows), ""]
    if sum(bool(ours[label] and theirs[label]) for label in ours) > 1:
        found = (order_difference(name, _column(ours, name), _column(theirs, name)) for name in table.columns)
        told = [text for text in found if text]
        lines += [f"- {text}" for text in told or ["No column orders the methods otherwise than the paper does."]]
    lines += [f"- {text}" for text in _omissions(table, measured)]
    lines += [f"- The paper: {text}" for text in _doubts(table)]
    return "\n".join(lines) + "\n"


def _omissions(table: PaperTable, measured: Mapping[str, Row]) -> Iterator[str]:
    """Rows whose figures leave out more than those of the best covered row: omission does not win."""
    rows = [measured[row.label] for row in table.rows if row.label in measured]
    for column in COVERAGE:
        best = max((row.figures.get(column, 0.0) for row in rows), default=0.0)
        for row in table.rows:
            share = measured[row.label].figures.get(column, 0.0) if row.label in measured else best
            if share < best - COVERAGE_SLACK:
                yield f"{row.label} covers {share:.0f} % of {column}, others up to {best:.0f} %."


def _named(row: PaperRow, measured: Mapping[str, Row]) -> str:
    """With the number of sequences, if not all were scored."""
    scored, asked = measured[row.label].scored if row.label in measured else (0, 0)
    return row.label if scored == asked else f"{row.label} ({scored}/{asked} sequences)"


def _title(name: str) -> str:
    column = COLUMN[name]
    unit = "" if column.unit in ("fraction", "ratio") else f" {column.unit}"
    return f"{name}{unit} {'↑' if column.better == 'high' else '↓'}"


def _cells(columns: Sequence[str], ours: Mapping[str, float], theirs: Mapping[str, float]) -> Iterator[str]:
    for name in columns:
        here = f"{ours[name]:.{COLUMN[name].digits}f}" if name in ours else "-"
        yield f"{here} ({theirs[name]:g})" if name in theirs else here


def _column(figures: Mapping[str, Mapping[str, float]], name: str) -> dict[str, float]:
    return {label: row[name] for label, row in figures.items() if name in row}


def order_difference(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str | None:
    """One line if some pair of methods that the paper orders stands otherwise here, else None.

    Only methods with both figures count, and figures as they are printed: what is equal in the paper may stand in any
    order here, but what differs there must not be equal here.
    """
    column = COLUMN[name]
    sign = -1.0 if column.better == "high" else 1.0
    both = [method for method in theirs if method in ours]
    here = {method: sign * round(ours[method], column.digits) for method in both}
    there = {method: sign * theirs[method] for method in both}
    pairs = [(a, b) for a in both for b in both if there[a] < there[b]]
    if all(here[a] < here[b] for a, b in pairs):
        return None
    return f"{name}, best first: here {_ranking(here)}; the paper {_ranking(there)}."


def _ranking(values: Mapping[str, float]) -> str:
    """Names from the lowest value on, those with equal values joined by "="."""
    levels = np.unique(list(values.values()))
    return " < ".join(" = ".join(m for m, v in values.items() if v == level) for level in levels)


def _doubts(table: PaperTable) -> list[str]:
    """Where the paper contradicts itself about a number of the table."""
    published = load_published()
    names = {row.printed for row in table.rows}
    results = [
        r
        for r in published.select(paper=PAPER, dataset=DATASET)
        if r.table == table.name and r.method in names and r.metric in table.columns
    ]
    return list(dict.fromkeys(doubt.text for result in results for doubt in published.doubts(result)))
