"""Cost of UniSH: FLOPs per part, seconds per branch over the length of the clip, peak memory. Random weights.

    OMP_NUM_THREADS=2 python benchmarks/unish_forward.py --frames 1 4              (a CPU, float32)
    python benchmarks/unish_forward.py --device cuda --dtype bfloat16              (1, 4, 30, 60, 120 frames)
    python benchmarks/unish_forward.py --device none                               (FLOPs only, no memory needed)

FLOPs are those of products, convolutions and attention, 2 per multiplication, counted without numbers (meta device). On a
GPU seconds are medians between events after a warm-up; on a CPU medians of the wall clock, and of the process's CPU
seconds with the work done in each of them. Branches: scene (Pi3), human (ViT and decoder), AlignNet, and what `infer`
adds (focal length and shift twice, scale, points): its total less the three.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from diorama.networks.unish import UniSH, UniSHConfig

LENGTHS_GPU = (1, 4, 30, 60, 120)
LENGTHS_CPU = (1, 4)
SIZES = {name: getattr(UniSHConfig, name) for name in ("full", "base", "small", "tiny")}
PARTS = {
    "encoder": ("pi3.encoder",),
    "decoders": ("pi3.point_decoder", "pi3.conf_decoder", "pi3.camera_decoder"),
    "heads": ("pi3.point_head", "pi3.conf_head", "pi3.camera_head"),
    "human ViT": ("backbone",),
    "human decoder": ("human_head",),
    "AlignNet": ("alignnet",),
}
BRANCHES = {
    "scene": ("encoder", "frame blocks", "global blocks", "decoders", "heads"),
    "human": ("human ViT", "human decoder"),
    "AlignNet": ("AlignNet",),
}


def clip(frames: int, height: int, width: int, device: str) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures, crops and boxes of one clip; the boxes are in pixels."""
    images = torch.rand(1, frames, 3, height, width, device=device)
    crops = torch.rand(1, frames, 3, 256, 256, device=device)
    boxes = torch.tensor([10.0, -5.0, 200.0], device=device).expand(1, frames, 3)
    return images, crops, boxes


def flops(size: str, frames: int, height: int, width: int) -> dict[str, float]:
    """FLOPs per part of one clip."""
    with torch.device("meta"):
        network = UniSH(SIZES[size]()).eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(*clip(frames, height, width, "meta"))
    counts = {name.removeprefix("UniSH."): sum(ops.values()) for name, ops in counter.get_flop_counts().items()}
    found = {part: float(sum(counts[name] for name in names)) for part, names in PARTS.items()}
    blocks = [counts[f"pi3.decoder.{index}"] for index in range(len(network.pi3.decoder))]
    return {**found, "frame blocks": float(sum(blocks[::2])), "global blocks": float(sum(blocks[1::2]))}


def random_network(size: str, device: str) -> UniSH:
    """A network with random weights at a tenth of the time that its own start takes."""
    with torch.device("meta"):
        network = UniSH(SIZES[size]())
    network.to_empty(device=device)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            norm = "norm" in name or name.endswith(("adapter.0.weight", "adapter.0.bias"))
            if name.endswith("image_std") or (norm and name.endswith("weight")):
                value.fill_(1.0)
            elif name.endswith(("bias", "image_mean")):
                value.zero_()
            else:
                value.normal_(std=0.02)
    return network.eval()


def seconds(call: Callable[[], object], device: str, repeats: int) -> tuple[float, float]:
    """Median seconds of a call, and CPU seconds of the process (0 on a GPU)."""
    call()
    if device == "cpu":
        walls, used = [], []
        for _ in range(repeats):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            walls.append(time.perf_counter() - wall)
            used.append(time.process_time() - cpu)
        return statistics.median(walls), statistics.median(used)
    events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(repeats)]
    for start, end in events:
        start.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return statistics.median(start.elapsed_time(end) / 1000 for start, end in events), 0.0


def memory(device: str) -> float:
    """Peak gigabytes: of the GPU since its counter was reset, or of the process."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return torch.cuda.max_memory_allocated() / 1e9


@torch.no_grad()
def timed(network: UniSH, frames: int, options: argparse.Namespace) -> dict[str, tuple[float, float]]:
    """Seconds of each branch for one clip."""
    images, crops, boxes = clip(frames, options.height, options.width, options.device)
    scene = network.scene(images)
    token = network.person(crops, boxes / 500).token[None]
    calls = {
        "scene": lambda: network.scene(images),
        "human": lambda: network.person(crops, boxes / 500),
        "AlignNet": lambda: network.alignnet(scene["hidden"], token),
        "infer": lambda: network.infer(images, crops, boxes),
    }
    return {name: seconds(call, options.device, options.repeats) for name, call in calls.items()}


def print_flops(options: argparse.Namespace, lengths: list[int]) -> dict[int, dict[str, float]]:
    """TFLOP per frame of every part; returns FLOP per clip of every branch and of `infer`, which is nearly their sum."""
    tables = {frames: flops(options.size, frames, options.height, options.width) for frames in lengths}
    totals = {frames: sum(table.values()) for frames, table in tables.items()}
    print(f"{'TFLOP per frame':16}" + "".join(f"{f'{frames} frames':>12}" for frames in lengths))
    for part in next(iter(tables.values())):
        print(f"{part:16}" + "".join(f"{tables[frames][part] / frames / 1e12:12.4f}" for frames in lengths))
    print(f"{'all':16}" + "".join(f"{totals[frames] / frames / 1e12:12.4f}" for frames in lengths))
    return {
        frames: {name: sum(table[part] for part in parts) for name, parts in BRANCHES.items()}
        | {"infer": totals[frames]}
        for frames, table in tables.items()
    }


def print_times(options: argparse.Namespace, lengths: list[int], work: dict[int, dict[str, float]]) -> None:
    """Seconds per branch, speed and memory for every length."""
    network = random_network(options.size, options.device)
    print("\nframes   scene   human AlignNet  around   infer  CPU s  frames/s  TFLOP/s  peak GB")
    for frames in lengths:
        if options.device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        with torch.autocast(options.device, torch.bfloat16, enabled=options.dtype == "bfloat16"):
            found = timed(network, frames, options)
        scene, human, align, whole = (found[name][0] for name in ("scene", "human", "AlignNet", "infer"))
        print(
            f"{frames:6} {scene:7.3f} {human:7.3f} {align:8.4f} {whole - scene - human - align:7.3f} {whole:7.3f} "
            f"{found['infer'][1]:6.1f} {frames / whole:9.2f} {work[frames]['infer'] / whole / 1e12:8.2f} "
            f"{memory(options.device):8.2f}",
            flush=True,
        )
        if options.device == "cpu":
            for name, (_, used) in found.items():
                speed = work[frames][name] / used / 1e9
                print(f"       {name:9} {used:8.2f} CPU s {speed:6.1f} GFLOP/s per core", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", choices=("cpu", "cuda", "none"), default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--frames", type=int, nargs="+")
    parser.add_argument("--height", type=int, default=294)
    parser.add_argument("--width", type=int, default=518)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    lengths = options.frames or list(LENGTHS_CPU if options.device == "cpu" else LENGTHS_GPU)
    card = torch.cuda.get_device_name() if options.device == "cuda" else f"{platform.machine()} {options.device}"
    print(
        f"{options.size}, {options.width}x{options.height}, {options.dtype} on {card}, "
        f"{torch.get_num_threads()} threads, torch {torch.__version__}, {platform.system()}\n"
    )
    work = print_flops(options, lengths)
    if options.device != "none":
        print_times(options, lengths, work)


if __name__ == "__main__":
    main()
