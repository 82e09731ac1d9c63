"""How JOSH's time and memory grow with the length of the video, and whether anything jumps where segments join.

    OMP_NUM_THREADS=1 python benchmarks/josh_growth.py --frames 300 3000

Two people walk in a ring before a camera that swings to and fro, 30 frames per second, five keyframes per second, matches
between keyframes up to one second apart. Every length runs in a process of its own, which only reads the observations and
solves; peak memory is that process's resident set at its highest, beside what it held when the observations were read.
Jumps: steps from frame to frame of the error of a pelvis in the world (metres; 0 for a perfect result) in the frames in
which two segments overlap, and in all others.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.methods.josh.segments import segments_of
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.records import load_record, save_record
from diorama.synthetic.josh_problem import JoshProblem, josh_problem

_BETWEEN, _KEY_SECONDS = 5, 0.2


def problem_of(frames: int, matches: int) -> JoshProblem:
    """About so many frames, 30 per second."""
    keyframes = round((frames - 1) / (1 + _BETWEEN)) + 1
    return JoshProblem(
        keyframes=keyframes, keyframe_seconds=_KEY_SECONDS, frames_between=_BETWEEN, action="walking", people=2,
        window=5, matches=matches, cameras="unit",
    )  # fmt: skip


def mebibytes() -> float:
    """Largest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def solve(folder: Path) -> None:
    """Read, solve, and say what it took."""
    torch.set_num_threads(1)
    observations = load_record(Observations, folder / "observations.npz")
    read, began = mebibytes(), time.process_time()
    found = reconstruct_josh(None, observations)
    seconds, peak = time.process_time() - began, mebibytes()
    truth = load_record(Reconstruction, folder / "truth.npz")
    assert observations.depth is not None
    edges, inside = jumps(found, truth, observations.depth.frames)
    print(json.dumps({"seconds": seconds, "read": read, "peak": peak, "edges": edges, "inside": inside}))


def jumps(found: Reconstruction, truth: Reconstruction, keys: np.ndarray) -> tuple[float, float]:
    """Largest step of the error of anybody's pelvis in overlaps, and elsewhere."""
    move = truth.cameras.T_world_camera[0] @ invert(found.cameras.T_world_camera[0])
    pieces = segments_of(keys, JoshConfig().segments)
    overlap = np.zeros(len(found.times), bool)
    for (_, stop), (start, _) in itertools.pairwise(pieces):
        overlap[keys[start] : keys[stop - 1] + 1] = True
    largest = [0.0, 0.0]
    for person in found.people:
        error = apply(move, person.joints_world[:, 0]) - truth.person(person.id).joints_world[person.frames, 0]
        step = np.linalg.norm(np.diff(error, axis=0), axis=1)
        there = overlap[person.frames[1:]]
        for n, chosen in enumerate((there, ~there)):
            largest[n] = max(largest[n], float(step[chosen].max(initial=0)))
    return largest[0], largest[1]


def measured(frames: int, matches: int) -> dict[str, float]:
    """One length, in a fresh process."""
    with tempfile.TemporaryDirectory() as name:
        truth, observations = josh_problem(problem_of(frames, matches))
        save_record(truth, Path(name) / "truth.npz")
        save_record(observations, Path(name) / "observations.npz")
        command = [sys.executable, __file__, "--solve", name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return {"frames": len(truth.times), **json.loads(done.stdout.splitlines()[-1])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, nargs="+", default=[300, 3000])
    parser.add_argument("--matches", type=int, default=300)
    parser.add_argument("--solve", type=Path, default=None, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.solve is not None:
        return solve(given.solve)
    rows = [measured(frames, given.matches) for frames in given.frames]
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {given.matches} matches per pair\n")
    print("| frames | CPU s | ms per frame | observations read, MiB | peak MiB | jump in overlaps m | elsewhere m |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        each = 1000 * row["seconds"] / row["frames"]
        print(
            f"| {row['frames']:.0f} | {row['seconds']:.1f} | {each:.1f} | {row['read']:.0f} | {row['peak']:.0f} |"
            f" {row['edges']:.4f} | {row['inside']:.4f} |"
        )
    peak, seconds, count = (rows[-1][name] / rows[0][name] for name in ("peak", "seconds", "frames"))
    print(f"\n{count:.1f} x the frames: time {seconds:.1f} x, peak memory {peak:.2f} x (goal <= 1.5 x)")


if __name__ == "__main__":
    main()
