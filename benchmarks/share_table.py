"""SHARE's Table 1 on standing cameras with exact truth: MRPE and V2V in metres, mean and deviation over all frames.

    python benchmarks/share_table.py -o OUT --data synthetic:static+static
    python benchmarks/share_table.py -o OUT2 --data synthetic:standard+static --sequences room-static-1 room-static-3

The records are those of `diorama evaluate` with the same OUT. The paper's own numbers are of 33 clips of RICH, which are not
these sequences: they stand beside for the form, not for comparison.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diorama.data import DataOptions
from diorama.evaluate.cases import open_cases
from diorama.evaluate.methods import chosen_methods
from diorama.evaluate.runs import RunRecord, run_all

METHODS = ("observations", "share-published", "share", "josh")
# SHARE, Table 1 (RICH subset), metres.
PAPER = (("MHMocap", "1.19 ± 0.67", "1.20 ± 0.67"), ("TRAM", "0.98 ± 0.37", "0.98 ± 0.36"),
         ("BEV", "0.61 ± 0.35", "0.62 ± 0.33"), ("SHARE", "0.44 ± 0.37", "0.44 ± 0.36"))  # fmt: skip


def spread(records: Sequence[RunRecord], column: str) -> str:
    """Mean and standard deviation over all frames of all sequences."""
    parts = [s.values for r in records if r.scores for s in r.scores.series if s.column == column]
    values = np.concatenate([np.zeros(0), *parts])
    return f"{values.mean():.2f} ± {values.std():.2f}" if len(values) else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--data", default="synthetic:static+static")
    parser.add_argument("--sequences", nargs="*", default=[])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    options = parser.parse_args()
    cases = open_cases(options.data, None, DataOptions())
    cases = [case for case in cases if not options.sequences or case.name in options.sequences]
    records = run_all(cases, chosen_methods(tuple(options.methods)), options.out)
    frames = {"observations": "-", "share-published": "two keyframes", "josh": "all maps"}
    print(f"{options.data}, {len(cases)} sequences\n\n| method | scene | MRPE m | V2V m |\n|---|---|---|---|")
    for name in options.methods:
        own = [record for record in records if record.method == name]
        failed = sum(record.scores is None for record in own)
        note = f" ({failed} failed)" if failed else ""
        print(f"| {name}{note} | {frames.get(name, 'merged')} | {spread(own, 'MRPE')} | {spread(own, 'V2V')} |")
    for name, root, surface in PAPER:
        print(f"| {name}, the paper on RICH | | {root} | {surface} |")


if __name__ == "__main__":
    main()
