"""Before and after JOSH on a real clip: the card's figures that need no truth, from the same observations.

    diorama reconstruct ../shared/clips/josh_demo2.mp4 -o out
    python benchmarks/josh_clip.py out                      # before: the first world, nothing solved
    python benchmarks/josh_clip.py out --before older_out   # and another result, of an older version for instance

Figures are computed here for all, by one and the same code. Each is better if it is smaller.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import replace
from pathlib import Path

import torch

from diorama.evaluate.methods import observations_in
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.observations import Observations
from diorama.quality import quality_card
from diorama.reconstruction import Reconstruction, load

FIGURES = {
    "foot_slide_mm": "foot slide, mm per frame", "floating_mm": "floating, mm", "contact_height_mm": "height in contact, mm",
    "jitter_10m_s3": "jitter, 10 m/s^3", "keypoint_residual_percent_of_height": "keypoint residual, % of height",
    "scale_spread_percent": "scale spread of people, %",
}  # fmt: skip


def figures(found: Reconstruction, seen: Observations) -> dict[str, float]:
    """The card's figures of one result."""
    card = {**found.quality, **quality_card(found, seen, {})}
    return {name: float(card[name]) for name in FIGURES}


def unsolved() -> JoshConfig:
    """Only the first world."""
    config = JoshConfig()
    return replace(config, keys=replace(config.keys, rounds=0), rounds=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path)
    parser.add_argument("--before", type=Path, default=None)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seen = observations_in(given.result)
    columns = {"first world": figures(reconstruct_josh(None, seen, unsolved()), seen)}
    if given.before is not None:
        columns["before"] = figures(load(given.before), seen)
    columns["JOSH"] = figures(load(given.result), seen)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {given.result.name}\n")
    print(f"| figure | {' | '.join(columns)} |\n|{'---|' * (len(columns) + 1)}")
    for name, title in FIGURES.items():
        print(f"| {title} | {' | '.join(f'{column[name]:.3f}' for column in columns.values())} |")
    *others, last = columns.values()
    worse = [name for name in FIGURES if last[name] > others[-1][name] * 1.0005]
    print(f"\nworse than before: {', '.join(worse) or 'none'}")


if __name__ == "__main__":
    main()
