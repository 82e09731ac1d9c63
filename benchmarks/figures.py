"""The figures of the default method: real clips (no truth) and rendered seeds (exact truth), as two Markdown tables.

    python benchmarks/figures.py --clips ../shared/clips --seeds 7 1 2 3 4 5 --work figures_out

Each video is reconstructed by the command line in a process of its own, so that wall time and peak memory are those
that a user sees. Finished work in --work is reused; times of reused runs are not shown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import torch

from diorama.body import load_body
from diorama.reconstruction import load
from diorama.synthetic.compare import compare_with_truth, match_people
from diorama.synthetic.demo_clip import make_demo_clip

CLIPS = ("josh_demo2", "juggle", "skating")
CARD = (
    "registered_frames", "frames", "reprojection_px", "camera_type", "focal_source", "focal_widths", "people_count",
    "keypoint_residual_percent_of_height", "scale_spread_percent", "foot_slide_mm", "contact_height_mm",
    "frames_in_contact_percent", "jitter_10m_s3",
)  # fmt: skip
TRUTH = (
    "ate_cm", "pa_mpjpe_mm", "root_error_percent", "scale_error_percent", "contact_precision", "contact_recall",
    "stature_error_percent", "people_matched", "people_found",
)  # fmt: skip


def run(video: Path, out: Path, options: tuple[str, ...] = ()) -> dict[str, float]:
    """Reconstruct by the command line; wall seconds and peak memory in GB, if anything was computed."""
    fresh = not (out / "reconstruction.json").exists()
    command = [sys.executable, "-m", "diorama", "reconstruct", str(video), "-o", str(out), *options]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    _, errors = process.communicate()
    if process.returncode:
        raise SystemExit(f"{video}: {errors.strip().splitlines()[-1]}")
    return {"wall_seconds": time.monotonic() - began, "peak_gb": peak[0]} if fresh else {}


def _watch(process: subprocess.Popen, peak: list[float]) -> None:
    """Highest resident memory of the process (Linux: read from /proc; elsewhere 0)."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None and status.exists():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        peak[0] = max(peak[0], float(lines[0].split()[1]) / 1e6 if lines else 0.0)
        time.sleep(0.5)


def table(rows: dict[str, dict], names: tuple[str, ...]) -> str:
    """Figures as lines, videos as columns."""
    lines = ["| | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for name in names:
        if any(row.get(name) is not None for row in rows.values()):
            lines.append(f"| {name} | " + " | ".join(_shown(row.get(name)) for row in rows.values()) + " |")
    return "\n".join(lines)


def _shown(value: object) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def real_clips(folder: Path, work: Path) -> str:
    """The quality cards of the real clips."""
    rows = {}
    for name in CLIPS:
        if not (folder / f"{name}.mp4").is_file():
            continue
        cost = run(folder / f"{name}.mp4", work / name)
        card = json.loads((work / name / "reconstruction.json").read_text(encoding="utf-8"))["quality"]
        each = [f"{i}: {_person_line(person)}" for i, person in card["people"].items()]
        rows[name] = {**card, **cost, "each person": "<br>".join(each)}
    return table(rows, (*CARD, "each person", "wall_seconds", "peak_gb")) if rows else ""


def _person_line(person: dict) -> str:
    contacts = f"{person['left_contact_percent']:.0f}/{person['right_contact_percent']:.0f}"
    return f"{person['frames']} frames, {person['speed_m_s'] or 0:.2f} m/s, contact {contacts} %"


def rendered_seeds(seeds: list[int], work: Path) -> str:
    """Errors on the rendered clips, without and with one told stature."""
    rows = {}
    for seed in seeds:
        clip = make_demo_clip(work / f"clip_{seed}", seed, progress=False)
        cost = run(clip.video, work / f"seed_{seed}", ("--no-overlay",))
        found = load(work / f"seed_{seed}")
        rows[f"seed {seed}"] = {
            **compare_with_truth(found, clip.truth),
            **cost,
            "told_scale_error_percent": _told(found, clip, work, seed),
        }
    numbers = {
        n: [r[n] for r in rows.values() if np.isfinite(r.get(n, np.nan))] for n in (*TRUTH, "told_scale_error_percent")
    }
    rows["mean"] = {name: float(np.mean(values)) for name, values in numbers.items() if values}
    return table(rows, (*TRUTH, "told_scale_error_percent", "wall_seconds", "peak_gb"))


def _told(found, clip, work: Path, seed: int) -> float:
    """Scale error in % when the stature of the most prominent person is given."""
    person, true = min(match_people(found, clip.truth), key=lambda pair: pair[0].id)
    stature = _stature(true)
    out = work / f"seed_{seed}"
    run(clip.video, out, ("--no-overlay", "--stature", f"{person.id}={stature:.4f}"))
    told = compare_with_truth(load(out), clip.truth)["scale_error_percent"]
    run(clip.video, out, ("--no-overlay",))
    return told


def _stature(person) -> float:
    return float(load_body(person.body).stature(torch.from_numpy(np.asarray(person.betas, np.float32))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=Path, default=Path("../shared/clips"))
    parser.add_argument("--seeds", type=int, nargs="*", default=[7, 1, 2, 3, 4, 5])
    parser.add_argument("--work", type=Path, default=Path("figures_out"))
    given = parser.parse_args()
    print(
        f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n"
    )
    print(real_clips(given.clips, given.work) + "\n")
    print(rendered_seeds(given.seeds, given.work))


if __name__ == "__main__":
    main()
