"""The camera gate on rendered clips whose kind of camera is known: confusion table, and the evidence behind it.

    python benchmarks/camera_gate.py --seeds 1 2 3 4 --work gate_out

One clip of 48 frames (480 x 270) for every way of filming and seed: people are masked by their exact masks, so that the
gate alone is judged. Seeds on which thresholds were set and those on which they are reported should differ.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch

from diorama.errors import DioramaError
from diorama.frontends.background_tracks import track_background
from diorama.frontends.camera_gate import judge_camera
from diorama.observations import MaskStack, Source, Track, Tracks
from diorama.synthetic.filming import CAMERAS
from diorama.synthetic.layouts import PRESETS
from diorama.synthetic.rendering import render_sequence
from diorama.synthetic.sequences import SequenceSpec
from diorama.video import open_video

KINDS = ("static", "rotating", "translating")
EVIDENCE = ("still_votes", "anchor_shift_px", "parallax_share", "travel_votes", "gate_gap_frames")


def specs(seeds: list[int]) -> list[SequenceSpec]:
    """Every way of filming with every seed; layouts and the number of people take turns."""
    presets = tuple(PRESETS)
    return [
        SequenceSpec(
            f"gate-{camera}-{seed}", presets[(k + seed) % len(presets)], camera, 1 + (k + seed) % 2, 1000 * seed + k, 48,
            30.0, 480, 270,
        )
        for seed in seeds
        for k, camera in enumerate(CAMERAS)
    ]  # fmt: skip


def judged(spec: SequenceSpec, work: Path) -> dict[str, object]:
    """The true kind of a clip, the gate's, and its evidence."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    try:
        clip = render_sequence(spec, work / spec.name, processes=1, progress=False)
    except DioramaError as error:
        return {"name": spec.name, "true": "none", "found": str(error)}
    video = open_video(clip.video)
    verdict = judge_camera(track_background(video, exact_tracks(work / spec.name, spec), progress=False))
    evidence = {key: verdict.evidence[key] for key in EVIDENCE if key in verdict.evidence}
    moved = float(np.ptp(clip.truth.cameras.T_world_camera[:, :3, 3], axis=0).max())
    return {"name": spec.name, "true": clip.truth.cameras.kind, "found": verdict.kind, "moved_m": moved, **evidence}


def exact_tracks(folder: Path, spec: SequenceSpec) -> Tracks:
    """Tracks that hold the exact masks of people and nothing else of use."""
    window = (0, 0, spec.width, spec.height)
    ids = []
    for row in range(spec.frames):
        with np.load(folder / "frames" / f"{row:06d}.npz") as file:
            ids.append(file["ids"])
    people = []
    for person in range(1, spec.people + 1):
        masks = MaskStack.encode([(window, frame == person) for frame in ids], spec.width, spec.height)
        rows = np.arange(spec.frames)
        people.append(
            Track(person, rows, np.zeros((len(rows), 4)), np.zeros((len(rows), 33, 3)), "blazepose33", masks=masks)
        )
    return Tracks(Source("exact"), tuple(people))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3, 4])
    parser.add_argument("--work", type=Path, default=Path("gate_out"))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    every = specs(given.seeds)
    with ProcessPoolExecutor(given.processes, get_context("spawn")) as pool:
        rows = list(pool.map(judged, every, [given.work] * len(every)))
    (given.work / "gate.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    counts = Counter((row["true"], row["found"]) for row in rows)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {len(rows)} clips, seeds {given.seeds}\n")
    print("| true \\ found | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS))
    for true in KINDS:
        print(f"| {true} | " + " | ".join(str(counts[true, found]) for found in KINDS) + " |")
    print()
    for row in sorted(rows, key=lambda row: (str(row["true"]), str(row["name"]))):
        wrong = "" if row["true"] == row["found"] else "  <-"
        figures = " ".join(f"{key} {row[key]:.2f}" for key in ("moved_m", *EVIDENCE) if key in row)
        print(f"{row['name']:20} {row['true']:12} {row['found']:12} {figures}{wrong}")


if __name__ == "__main__":
    main()
