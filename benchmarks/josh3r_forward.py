"""Cost of MASt3R and JOSH3R: FLOPs and seconds of encoder, decoders and heads, pairs per second. Random weights.

    OMP_NUM_THREADS=2 python benchmarks/josh3r_forward.py --size small --batches 1 8     (a CPU, float32)
    python benchmarks/josh3r_forward.py --device cuda --dtype bfloat16                   (full size, 512x288, 3 people)
    python benchmarks/josh3r_forward.py --device none                                    (FLOPs only, no memory needed)

Parts are timed per pair: the encoder for one frame, both decoders, JOSH3R for all people of a pair, one dense head without
and with descriptors. Then a clip of n keyframes, three ways: "pairs" (every pair by itself: two frames encoded, both dense
heads run), "reused" (frames encoded once, dense heads for every tenth pair; batch 1), and "batched" (the same in batches), so
that the gain of reuse and that of batching are seen apart. FLOPs are those of products, convolutions and attention, 2 per
multiplication, counted without numbers (meta device). Seconds are medians: between events on a GPU after a warm-up, of the
wall clock on a CPU, or of the process's own time with `--clock cpu` (one thread, for machines that are not quiet).
"""

from __future__ import annotations

import argparse
import itertools
import platform
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from diorama.methods.josh3r.predicted import PairPlan, predicted_pairs
from diorama.networks.josh3r import JOSH3R, JOSH3RConfig
from diorama.networks.mast3r import MASt3R, MASt3RConfig

KEPT = 10  # points are kept of every tenth pair, as in the release
SIZES = {name: (getattr(MASt3RConfig, name), getattr(JOSH3RConfig, name)) for name in ("full", "small", "tiny")}


@dataclass(frozen=True)
class Setting:
    """What is measured."""

    size: str
    device: str
    dtype: str
    height: int
    width: int
    people: int
    frames: int
    repeats: int
    clock: str

    def images(self, count: int, device: str | None = None) -> torch.Tensor:
        return 2 * torch.rand(count, 3, self.height, self.width, device=device or self.device) - 1

    def boxes(self, count: int, device: str | None = None) -> torch.Tensor:
        box = [0.3 * self.width, 0.2 * self.height, 0.5 * self.width, 0.9 * self.height]
        return torch.tensor(box, device=device or self.device).expand(count, 4)


def random_networks(size: str, device: str) -> tuple[MASt3R, JOSH3R]:
    """Networks with random weights at a tenth of the time that their own start takes."""
    with torch.device("meta"):
        networks = MASt3R(SIZES[size][0]()), JOSH3R(SIZES[size][1]())
    for network in networks:
        network.to_empty(device=device).eval()
        for name, value in network.state_dict().items():
            ones = name.endswith("running_var") or (value.ndim == 1 and name.endswith("weight"))
            value.fill_(1) if ones else value.zero_() if value.ndim < 2 else value.normal_(std=0.02)
    return networks


def parts(mast3r: MASt3R, josh3r: JOSH3R, setting: Setting, batch: int, device: str) -> dict[str, Callable[[], object]]:
    """Calls for `batch` frames or pairs."""
    images, boxes = setting.images(batch, device), setting.boxes(batch * setting.people, device)
    pair = torch.arange(batch, device=device).repeat_interleave(setting.people)
    encoded = mast3r.encode(images)
    side1, side2 = mast3r.decode(encoded, encoded)
    size = (setting.height, setting.width)
    return {
        "encoder": lambda: mast3r.encode(images),
        "decoders": lambda: mast3r.decode(encoded, encoded),
        "JOSH3R": lambda: josh3r(side1.last, side2.last, boxes, boxes, size, pair),
        "points head": lambda: mast3r.maps(side1, 1, descriptors=False),
        "with descriptors": lambda: mast3r.maps(side1, 1),
    }


@torch.no_grad()
def flops(setting: Setting) -> dict[str, float]:
    """FLOPs of every part for one frame or pair."""
    with torch.device("meta"):
        networks = MASt3R(SIZES[setting.size][0]()).eval(), JOSH3R(SIZES[setting.size][1]()).eval()
    found = {}
    for name, call in parts(*networks, setting, 1, "meta").items():
        counter = FlopCounterMode(display=False)
        with counter:
            call()
        found[name] = float(counter.get_total_flops())
    return found


def seconds(call: Callable[[], object], setting: Setting, repeats: int) -> float:
    """Median seconds of a call."""
    call()
    if setting.device == "cpu":
        clock, taken = time.process_time if setting.clock == "cpu" else time.perf_counter, []
        for _ in range(repeats):
            start = clock()
            call()
            taken.append(clock() - start)
        return statistics.median(taken)
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for start, end in events:
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) / 1000 for start, end in events)


@torch.no_grad()
def independent_pairs(mast3r: MASt3R, josh3r: JOSH3R, images: torch.Tensor, setting: Setting) -> None:
    """Every pair by itself, as the release runs them."""
    boxes, pair = setting.boxes(setting.people), torch.zeros(setting.people, dtype=torch.int64, device=setting.device)
    for first, second in itertools.pairwise(images):
        side1, side2 = mast3r.decode(mast3r.encode(first[None]), mast3r.encode(second[None]))
        josh3r(side1.last, side2.last, boxes, boxes, (setting.height, setting.width), pair)
        mast3r.maps(side1, 1)
        mast3r.maps(side2, 2)


def chain_plan(setting: Setting) -> PairPlan:
    """Neighbouring keyframes, everybody in all of them."""
    first = np.arange(setting.frames - 1)
    people = np.repeat(first, setting.people)
    boxes = setting.boxes(len(people), "cpu").numpy()
    return PairPlan(np.stack([first, first + 1], -1), people, boxes, boxes, first % KEPT == 0)


def print_parts(
    setting: Setting, networks: tuple[MASt3R, JOSH3R], batches: list[int], counts: dict[str, float]
) -> None:
    """Milliseconds per frame or pair of every part and batch, and the speed of the last."""
    print("\nms per pair       " + "".join(f"{f'batch {batch}':>12}" for batch in batches) + "     TFLOP/s")
    calls = [parts(*networks, setting, batch, setting.device) for batch in batches]
    for name in counts:
        times = [
            seconds(call[name], setting, setting.repeats) / batch for call, batch in zip(calls, batches, strict=True)
        ]
        speed = counts[name] / times[-1] / 1e12
        print(f"{name:18}" + "".join(f"{1000 * t:12.2f}" for t in times) + f"{speed:12.2f}", flush=True)


def print_clips(setting: Setting, networks: tuple[MASt3R, JOSH3R], batches: list[int]) -> None:
    """Pairs per second of a whole clip."""
    images, plan, pairs = setting.images(setting.frames), chain_plan(setting), setting.frames - 1
    ways: dict[str, Callable[[], object]] = {"pairs": lambda: independent_pairs(*networks, images, setting)}
    for batch in batches:
        name = "reused, batch 1" if batch == 1 else f"batched, {batch}"
        ways[name] = lambda batch=batch: list(predicted_pairs(*networks, images, plan, batch=batch))
    print(f"\n{setting.frames} keyframes, {setting.people} people   seconds   pairs/s      gain")
    base = None
    for name, call in ways.items():
        found = seconds(call, setting, max(1, setting.repeats // 2))
        base = base or found
        print(f"{name:26}{found:9.3f} {pairs / found:9.2f} {base / found:9.2f}", flush=True)


def memory(device: str) -> float:
    """Peak gigabytes of the GPU or of the process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", choices=("cpu", "cuda", "none"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of autocast")
    parser.add_argument("--height", type=int, default=288)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--frames", type=int, default=33)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    options = vars(parser.parse_args())
    batches = sorted({1, *options.pop("batches")})
    setting = Setting(**options)
    card = torch.cuda.get_device_name() if setting.device == "cuda" else f"{platform.machine()} {setting.device}"
    print(
        f"{setting.size}, {setting.width}x{setting.height}, {setting.people} people, {setting.dtype} on {card}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    counts = flops(setting)
    print("GFLOP per pair (encoder: per frame): " + ", ".join(f"{name} {n / 1e9:.2f}" for name, n in counts.items()))
    if setting.device == "none":
        return
    networks = random_networks(setting.size, setting.device)
    with torch.no_grad(), torch.autocast(setting.device, torch.bfloat16, enabled=setting.dtype == "bfloat16"):
        print_parts(setting, networks, batches, counts)
        print_clips(setting, networks, batches)
    print(f"\npeak {memory(setting.device):.2f} GB")


if __name__ == "__main__":
    main()
