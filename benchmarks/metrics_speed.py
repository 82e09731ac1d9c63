"""Speed of the joint metrics against straightforward loops, as a Markdown table.

    python benchmarks/metrics_speed.py --frames 10000

The loops are tests/metrics/plain_metrics.py: one frame at a time, scipy's rotation fit. They are timed on the first
--loop-frames frames and scaled up, because all are linear in frames. Best of three for the package, once for the loops.
"""

from __future__ import annotations

import argparse
import runpy
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from diorama import metrics

FPS = 30.0
LOOPS = runpy.run_path(str(Path(__file__).parents[1] / "tests" / "metrics" / "plain_metrics.py"))
# Name, which arrays it takes, and arguments after them.
JOINT_METRICS: tuple[tuple[str, str, tuple[float, ...]], ...] = (
    ("w_mpjpe", "joints", ()),
    ("wa_mpjpe", "joints", ()),
    ("pa_mpjpe", "joints", ()),
    ("mpjpe", "joints", ()),
    ("rte", "root", ()),
    ("accel_error", "joints", (FPS,)),
    ("jitter", "alone", (FPS,)),
    ("foot_slide", "feet", ()),
)


def world(frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A noisy prediction and a walk whose feet (the last four of 24 joints) stand still now and then."""
    rng = np.random.default_rng(0)
    steps = rng.normal(0, 0.02, (frames, 1, 3)) + np.array([0.03, 0, 0])
    truth = np.cumsum(steps, 0) + rng.normal(0, 0.3, (1, 24, 3)) + rng.normal(0, 0.01, (frames, 24, 3))
    truth[:, 20:] = truth[:, 20:][np.arange(frames) // 10 * 10]
    return 1.1 * truth + rng.normal(0, 0.03, truth.shape) + np.array([1.0, 2, 3]), truth


def views(pred: np.ndarray, truth: np.ndarray) -> dict[str, tuple[np.ndarray, ...]]:
    """The arrays that each kind of metric takes."""
    return {
        "joints": (pred, truth),
        "root": (pred[:, 0], truth[:, 0]),
        "feet": (pred[:, 20:], truth[:, 20:]),
        "alone": (pred,),
    }


def seconds(function: Callable, arguments: tuple, repeats: int) -> float:
    best = np.inf
    for _ in range(repeats):
        began = time.perf_counter()
        function(*arguments)
        best = min(best, time.perf_counter() - began)
    return best


def table(frames: int, loop_frames: int) -> str:
    pred, truth = world(frames)
    loop_frames = min(loop_frames, frames)
    whole, part = views(pred, truth), views(pred[:loop_frames], truth[:loop_frames])
    lines = [f"| {frames} frames x 24 joints | diorama, ms | loops, ms | ratio |", "|---|---|---|---|"]
    totals = np.zeros(2)
    for name, kind, more in JOINT_METRICS:
        ours = seconds(getattr(metrics, name), (*whole[kind], *more), 3)
        loops = seconds(LOOPS[name], (*part[kind], *more), 1) * frames / loop_frames
        totals += ours, loops
        lines.append(f"| {name} | {1000 * ours:.1f} | {1000 * loops:.0f} | {loops / ours:.0f} |")
    lines.append(f"| all | {1000 * totals[0]:.1f} | {1000 * totals[1]:.0f} | {totals[1] / totals[0]:.0f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--loop-frames", type=int, default=1000)
    options = parser.parse_args()
    print(table(options.frames, options.loop_frames))


if __name__ == "__main__":
    main()
