"""SHARE on simulated observations of standing cameras: published form, improvements, and every improvement switched off.

    python benchmarks/share_accuracy.py                                  (suite `static`, errors `static`)
    python benchmarks/share_accuracy.py --scales 0.85 1.15 --methods observations share share-no-check

MRPE and V2V are before the camera, without any alignment, in metres (SHARE's Table 1); "less" is by how much the mean error
of the observations is divided. "better" counts the sequences on which a method's MRPE is below that of `share-published`.
"jump" is the greatest step of the error from frame to frame beside a frame with a depth map, and "else" elsewhere.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import gettempdir

import numpy as np

from diorama.data import exact_truth
from diorama.evaluate.score import score
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.method import reconstruct_josh
from diorama.methods.observed import reconstruct_observed
from diorama.methods.share.config import ABLATIONS, ShareConfig
from diorama.methods.share.method import reconstruct_share
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.synthetic.sequences import simulated
from diorama.synthetic.suites import suite

COLUMNS = ("MRPE", "V2V", "WA-MPJPE", "PA-MPJPE", "FS")
Method = Callable[[Observations], Reconstruction]


def methods() -> dict[str, Method]:
    """By name: raw observations, JOSH, SHARE and its ablations."""

    def share(config: ShareConfig) -> Method:
        return lambda seen: reconstruct_share(None, seen, config)

    return {
        "observations": lambda seen: reconstruct_observed(None, seen),
        "josh": lambda seen: reconstruct_josh(None, seen),
        **{name: share(config) for name, (_, config) in ABLATIONS.items()},
    }


def scaled(seen: Observations, factor: float) -> Observations:
    """Metric depth that is wrong by a factor."""
    assert seen.depth is not None
    depth = replace(seen.depth, depth=seen.depth.depth * np.float32(factor), points=seen.depth.points * factor)
    return replace(seen, depth=depth)


def steps(found: Reconstruction, truth: Reconstruction, keys: np.ndarray) -> tuple[float, float]:
    """Greatest step of the pelvis's error beside frames with a depth map, and elsewhere, metres."""
    beside, other = [0.0], [0.0]
    for person in found.people:
        if person.id not in {p.id for p in truth.people}:
            continue
        true = truth.person(person.id)
        _, mine, theirs = np.intersect1d(person.frames, true.frames, return_indices=True)
        before = [
            apply(invert(world.cameras.T_world_camera[0]), p.joints_world[rows, 0])
            for world, p, rows in ((found, person, mine), (truth, true, theirs))
        ]
        step = np.linalg.norm(np.diff(before[0] - before[1], axis=0), axis=1)
        rows = person.frames[mine]
        near = np.isin(rows[1:], keys) | np.isin(rows[:-1], keys)
        beside += step[near].tolist()
        other += step[~near].tolist()
    return max(beside), max(other)


def keys_of(name: str, seen: Observations) -> np.ndarray:
    """Frames at which a method may jump."""
    assert seen.depth is not None
    return seen.depth.frames[[0, -1]] if name == "share-published" else seen.depth.frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="static")
    parser.add_argument("--errors", default="static")
    parser.add_argument("--scales", type=float, nargs="+", default=[1.0])
    parser.add_argument("--methods", nargs="+", default=list(methods()))
    parser.add_argument("--cache", type=Path, default=Path(gettempdir()) / "diorama-suites")
    options = parser.parse_args()
    chosen = {name: methods()[name] for name in options.methods}
    for factor in options.scales:
        print(f"\ndepth times {factor:g}\n")
        print("| method | " + " | ".join(COLUMNS) + " | MRPE less | V2V less | better | jump m | else m | CPU s |")
        print("|---" * (len(COLUMNS) + 7) + "|")
        results: dict[str, list[tuple[float, ...]]] = {name: [] for name in chosen}
        for spec in suite(options.suite):
            if spec.camera != "static":
                continue
            truth, seen = simulated(spec, options.cache, errors=options.errors)
            seen = scaled(seen, factor)
            for name, method in chosen.items():
                began = time.process_time()
                found = method(seen)
                seconds = time.process_time() - began
                figures = score(found, exact_truth(truth), spec.fps)
                jumps = steps(found, truth, keys_of(name, seen))
                results[name].append((*(figures.figure(column) for column in COLUMNS), *jumps, seconds))
        report(results)


def report(results: dict[str, list[tuple[float, ...]]]) -> None:
    """One row per method."""
    tables = {name: np.array(rows) for name, rows in results.items()}
    raw, published = tables.get("observations"), tables.get("share-published")
    for name, table in tables.items():
        mean = table.mean(0)
        less = raw.mean(0)[:2] / mean[:2] if raw is not None else np.full(2, np.nan)
        better = f"{(table[:, 0] < published[:, 0]).sum()}/{len(table)}" if published is not None else "-"
        cells = [f"{mean[0]:.3f}", f"{mean[1]:.3f}", *(f"{value:.1f}" for value in mean[2:5])]
        cells += [f"{less[0]:.1f}x", f"{less[1]:.1f}x", better, f"{table[:, 5].max():.3f}", f"{table[:, 6].max():.3f}"]
        print(f"| {name} | " + " | ".join(cells) + f" | {mean[7]:.1f} |", flush=True)


if __name__ == "__main__":
    main()
