"""The table as Markdown for people, CSV for spreadsheets and JSON for programs."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import diorama
from diorama.assets import atomic_path
from diorama.evaluate.columns import Column
from diorama.evaluate.table import COVERAGE_SLACK, Row, Table

_RULES = (
    "`-`: not scored (nobody was found, the method gives no such thing, or the data set has no truth for it). Means: "
    "{frames}: over all frames (pairs, contacts, keyframes) of all sequences together; {sequences}: over sequences. "
    "Errors are those of the frames that were found, so look at People, Frames, Cameras and DepthPx beside them. Bold: the "
    "best of the methods that scored every sequence and whose coverage is within {slack:g} points of the best."
)


def save_table(table: Table, folder: Path) -> tuple[Path, Path, Path]:
    """Write table.md, table.csv and table.json.

    Raises:
        DioramaError: the folder cannot be written.
    """
    contents = {"table.md": markdown(table), "table.csv": as_csv(table), "table.json": as_json(table)}
    for name, text in contents.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    return folder / "table.md", folder / "table.csv", folder / "table.json"


def markdown(table: Table) -> str:
    """Means beside the papers' own numbers, then every sequence, then what failed."""
    lines = [f"# {table.data}, diorama {diorama.__version__}", ""]
    head = ["method", "sequences", *(_title(column) for column in table.columns)]
    rows = [[row.method, f"{row.scored[0]}/{row.scored[1]}", *_cells(table, row, bold=True)] for row in table.means]
    means = [row for row in table.published if not row.sequence]
    rows += [[f"{row.method} ({row.source})", "-", *_cells(table, row)] for row in means]
    lines += [*markdown_grid(head, rows), "", _rules(table), ""]
    lines += [f"- The papers: {text}" for text in table.doubts]
    lines += ["", "## Sequences", ""] if table.doubts else ["## Sequences", ""]
    head = ["sequence", "method", "seconds", *(_title(column) for column in table.columns)]
    lines += markdown_grid(head, [_sequence_cells(table, row) for row in _by_sequence(table)])
    if table.failures:
        lines += ["", "## Failed", "", *(f"- {row.sequence}, {row.method}: {row.error}" for row in table.failures)]
    return "\n".join(lines) + "\n"


def _rules(table: Table) -> str:
    names = {mean: [c.name for c in table.columns if c.mean == mean] for mean in ("frames", "sequences")}
    told = {mean: ", ".join(columns) or "none" for mean, columns in names.items()}
    return _RULES.format(**told, slack=COVERAGE_SLACK)


def _title(column: Column) -> str:
    return column.name if column.unit in ("fraction", "ratio") else f"{column.name} {column.unit}"


def _by_sequence(table: Table) -> list[Row]:
    """Measured and printed rows of the same sequence one below the other."""
    order = list(dict.fromkeys(row.sequence for row in table.sequences))
    printed = [row for row in table.published if row.sequence]
    return [row for name in order for row in (*table.sequences, *printed) if row.sequence == name]


def _sequence_cells(table: Table, row: Row) -> list[str]:
    measured = row.source == "measured"
    method = row.method if measured else f"{row.method} ({row.source})"
    seconds = f"{row.seconds:.1f}" if measured else "-"
    return [row.sequence, method, "failed" if row.error else seconds, *_cells(table, row)]


def _cells(table: Table, row: Row, *, bold: bool = False) -> list[str]:
    cells = []
    for column in table.columns:
        value = row.figures.get(column.name)
        text = "-" if value is None else f"{value:.{column.digits}f}"
        cells.append(f"**{text}**" if bold and row.method in table.best(column) else text)
    return cells


def markdown_grid(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table whose columns are also aligned as plain text; numbers to the right."""
    widths = [max(len(line[i]) for line in (head, *rows)) for i in range(len(head))]
    words = 2

    def line(cells: Sequence[str]) -> str:
        padded = (c.ljust(w) if i < words else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths, strict=True)))
        return f"| {' | '.join(padded)} |"

    rule = (":" + "-" * (w + 1) if i < words else "-" * (w + 1) + ":" for i, w in enumerate(widths))
    return [line(head), f"|{'|'.join(rule)}|", *map(line, rows)]


def as_csv(table: Table) -> str:
    """All rows in full precision; an empty cell is not scored; means have no sequence."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    units = [f"{column.name} [{column.unit}]" for column in table.columns]
    writer.writerow(["method", "sequence", "source", "sequences_scored", "sequences", "seconds", "error", *units])
    for row in (*table.means, *table.published, *table.sequences):
        cells = [row.figures.get(column.name, "") for column in table.columns]
        seconds = row.seconds if np.isfinite(row.seconds) else ""
        writer.writerow([row.method, row.sequence, row.source, *row.scored, seconds, row.error, *cells])
    return out.getvalue()


def as_json(table: Table) -> str:
    """Columns with unit and kind of mean, and all rows; what was not scored is absent."""
    tree = {
        "diorama": diorama.__version__,
        "data": table.data,
        "columns": [dataclasses.asdict(column) for column in table.columns],
        "means": [_tree(row) for row in table.means],
        "published": [_tree(row) for row in table.published],
        "sequences": [_tree(row) for row in table.sequences],
        "doubts": list(table.doubts),
    }
    return json.dumps(tree, indent=1) + "\n"


def _tree(row: Row) -> dict[str, Any]:
    seconds = row.seconds if np.isfinite(row.seconds) else None
    tree = {"method": row.method, "sequence": row.sequence, "source": row.source, "figures": dict(row.figures)}
    return tree | {"scored": list(row.scored), "seconds": seconds, "error": row.error}
