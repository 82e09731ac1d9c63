"""Seconds and peak memory of every export, for a long result of the free body, as a Markdown table.

    OMP_NUM_THREADS=2 python benchmarks/export_speed.py --frames 1000 --people 3 --points 500000

Every format is written by a process of its own, which first loads the result from disk. Memory is the most that the
process ever held (Python, torch and the result included). MP4 is 960 x 540; its figure is frames per second.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from diorama.body.anny import load_free_body
from diorama.export import FORMATS, export
from diorama.geometry.cameras import intrinsics
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import rigid
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene, load

FPS = 24000 / 1001
SITES = ("left_heel", "right_heel", "left_toe", "right_toe")


def world(frames: int, people: int, points: int) -> Reconstruction:
    """People who walk side by side along +X before a camera that goes with them; noise in every joint, points around."""
    rng = np.random.default_rng(0)
    share = np.linspace(0, 1, frames)
    looking_along_y = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    pan = matrix_of(np.stack([0 * share, 0.1 * np.sin(9 * share), 0 * share], -1))
    K = np.tile(intrinsics(1500.0, 1920, 1080), (frames, 1, 1))
    K[:, [0, 1], [0, 1]] *= (1 + 0.02 * share)[:, None]
    centres = np.stack([0.03 * np.arange(frames) % 8, -7 + 0 * share, 1.6 + 0 * share], -1)
    cameras = Cameras(K, rigid(looking_along_y @ pan, centres), np.full((frames, 2), 0.01), np.ones(frames, bool),
                      1920, 1080, "recovered")  # fmt: skip
    places = rng.uniform([-6, -3, 0], [14, 6, 3], (points, 3))
    places[: points // 2, 2] = 0
    colors = rng.integers(60, 220, (points, 3)).astype(np.uint8)
    return Reconstruction(
        np.arange(frames) / FPS, np.arange(frames), np.zeros(frames, bool), cameras,
        tuple(_walker(id, frames, rng) for id in range(1, people + 1)),
        Scene(places.astype(np.float32), colors, np.ones(points, np.float32)), "estimated",
    )  # fmt: skip


def _walker(id: int, frames: int, rng: np.random.Generator) -> Person:
    body = load_free_body()
    time = np.arange(frames) / FPS
    pose = 0.3 * np.sin(6 * time[:, None, None] + rng.uniform(0, 6, (1, 23, 3)))
    orient = np.tile([np.pi / 2 * 0.77, 0.77 * np.pi / 2, 0.77 * np.pi / 2], (frames, 1))
    transl = np.stack([0.03 * np.arange(frames) % 8, id - 2.0 + 0 * time, 0.9 + 0 * time], -1)
    posed = body.shaped().posed(*(torch.from_numpy(array).float() for array in (orient, pose, transl)))
    contacts = (rng.random((frames, len(SITES))) > 0.5).astype(float)
    return Person(id, np.arange(frames), body.name, "neutral", body.default_betas.double().numpy(), orient, pose, transl,
                  posed.joints.double().numpy(), contacts, SITES, np.ones(frames, bool), np.ones(frames))  # fmt: skip


def measured(folder: Path, name: str) -> dict[str, float]:
    """One format, in a process of its own."""
    command = [sys.executable, __file__, "--write", name, "--folder", str(folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def write(folder: Path, name: str) -> dict[str, float]:
    """What the process of a format does."""
    result = load(folder)
    began = time.perf_counter()
    paths = export(result, folder / "export", [name])
    seconds = time.perf_counter() - began
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak": peak, "megabytes": megabytes, "frames": len(result)}


def table(options: argparse.Namespace) -> str:
    lines = ["| format | s | peak memory, MB | file, MB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        world(options.frames, options.people, options.points).save(folder)
        for name in options.formats or FORMATS:
            told = measured(Path(folder), name)
            rate = f" ({told['frames'] / told['seconds']:.1f} frames/s)" if name == "mp4" else ""
            lines.append(f"| {name} | {told['seconds']:.1f}{rate} | {told['peak']:.0f} | {told['megabytes']:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--points", type=int, default=500_000)
    parser.add_argument("--formats", nargs="*", help="only these")
    parser.add_argument("--write", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        print(json.dumps(write(options.folder, options.write)))
    else:
        print(table(options))


if __name__ == "__main__":
    main()
