"""JOSH's Tables 1, 2 and 7 on a synthetic suite, in the paper's form, beside the paper's own numbers.

    python benchmarks/josh_tables.py --tables 1 2 7 --out josh_tables_out
    python benchmarks/josh_tables.py --methods observations,synchmr,tram --out josh_tables_out

Runs `diorama evaluate` on the suite with each preset of errors that the tables need; a second run takes the records that
are there. The paper's numbers are those of SLOPER4D: what can be compared is the order of the methods.
"""

from __future__ import annotations

import argparse
import logging
import platform
import time
from pathlib import Path

import torch

from diorama.evaluate.benchmark import evaluate
from diorama.evaluate.cases import SYNTHETIC
from diorama.evaluate.paper_tables import (
    JOSH_TABLES,
    PaperTable,
    data_of,
    paper_table,
    runs_needed,
    table_of_methods,
)
from diorama.evaluate.table import Table


def measured(tables: list[PaperTable], suite: str, out: Path, sequences: tuple[str, ...]) -> dict[str, Table]:
    """The evaluations that the tables need, by data name."""
    found = {}
    for data, methods in runs_needed(tables, suite).items():
        folder = out / data.removeprefix(SYNTHETIC)
        found[data] = evaluate(data, methods, folder, sequences=sequences).table
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, nargs="*", choices=sorted(JOSH_TABLES), default=sorted(JOSH_TABLES))
    parser.add_argument("--methods", default="", help="rows of Table 1 in place of the paper's, commas between")
    parser.add_argument("--suite", default="standard")
    parser.add_argument("--sequences", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=Path("josh_tables_out"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    methods = [name for name in given.methods.split(",") if name]
    tables = [table_of_methods(methods)] if methods else [JOSH_TABLES[number] for number in given.tables]
    found = measured(tables, given.suite, given.out, tuple(given.sequences))
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {SYNTHETIC}{given.suite}\n")
    for table in tables:
        means = {
            row.label: mean
            for row in table.rows
            for mean in found[data_of(given.suite, row)].means
            if mean.method == row.method
        }
        print(paper_table(table, means))
    for data, result in found.items():
        for row in result.failures:
            print(f"failed: {data}, {row.sequence}, {row.method}: {row.error}")


if __name__ == "__main__":
    main()
