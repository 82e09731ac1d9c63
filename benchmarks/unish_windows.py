"""Time and memory of UniSH's method around its network, over the length of the video: joins, bodies, world.

    python benchmarks/unish_windows.py --samples 60 600

A stand-in for the network shows a wall and two people in windows of random gauge (turn, scale, shift) at the full working
size, so that what is measured is everything but the network. Memory is the peak that numpy's and Python's allocations
reach (tracemalloc), error the greatest distance of a camera from the truth after one similarity.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Sequence

import numpy as np

from diorama.geometry.alignment import umeyama
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import move_cameras, rigid
from diorama.methods.unish.branch import WindowPerson, WindowWorld
from diorama.methods.unish.method import UnishConfig, reconstruct_unish
from diorama.methods.unish.pictures import Window
from diorama.observations import Observations, Source, Track, Tracks

SIZE, FOCAL, FPS = (1920, 1080), 1500.0, 30.0
WALL = 6.0


def cameras(times: np.ndarray) -> np.ndarray:
    """A camera that goes along the wall, up and down a little."""
    centres = np.stack([0.8 * times, 0.1 * np.sin(2 * times), 0.2 * np.sin(times)], 1)
    return rigid(np.tile(np.eye(3), (len(times), 1, 1)), centres)


class Wall:
    """The stand-in; `noise` is the relative error of depth and of places in metres."""

    needs_pictures = False
    together = 1
    credit = {"name": "a wall", "licence": "none", "source": "benchmarks"}  # noqa: RUF012

    def __init__(self, times: np.ndarray, noise: float) -> None:
        self.times, self.noise, self.rng = times, noise, np.random.default_rng(0)

    def __call__(self, windows: Sequence[Window]) -> list[WindowWorld]:
        return [self.world(window) for window in windows]

    def world(self, window: Window) -> WindowWorld:
        T = cameras(self.times[window.rows])
        count, (width, height), rng = len(T), window.layout.working, self.rng
        depth = np.broadcast_to((WALL - T[:, 2, 3])[:, None, None], (count, height, width)).astype(np.float32)
        depth *= 1 + self.noise * rng.standard_normal(depth.shape, np.float32)
        T[:, :3, 3] += self.noise * rng.normal(size=(count, 3))
        scale, turn, shift = np.exp(0.1 * rng.normal()), matrix_of(rng.normal(size=3)), rng.normal(size=3)
        K = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1]])
        K = np.diag([*1 / window.layout.source_per_working, 1.0]) @ K
        rotations = np.tile(np.eye(3), (count, 24, 1, 1))
        rotations[:, 0] = matrix_of(np.array([np.pi, 0, 0]))
        people = tuple(
            WindowPerson(
                p.id, p.seen, rotations, np.zeros((count, 10)), scale * np.tile([p.id - 1.5, 0.5, 4.0], (count, 1))
            )
            for p in window.people
        )
        T = move_cameras(T, scale, turn, shift)
        return WindowWorld(np.tile(K, (count, 1, 1)), T, scale * depth, np.ones_like(depth), people, count)


def observations(samples: int) -> Observations:
    """So many samples at 6 of 30 pictures per second."""
    frames = round((samples - 1) * FPS / 6) + 1
    rows, points = np.arange(frames), np.zeros((frames, 33, 3))
    box = np.tile([860.0, 300.0, 1060.0, 900.0], (frames, 1))
    tracks = Tracks(Source("wall"), tuple(Track(id, rows, box, points, "blazepose33") for id in (1, 2)))
    return Observations(*SIZE, rows / FPS, rows, np.zeros(frames, bool), tracks=tracks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--noise", type=float, default=0.01)
    options = parser.parse_args()
    print(
        f"{'samples':>8} {'frames':>7} {'windows':>8} {'seconds':>8} {'peak MB':>8} {'error mm':>9} {'residual %':>11}"
    )
    for samples in options.samples:
        seen = observations(samples)
        tracemalloc.start()
        began = time.perf_counter()
        world = reconstruct_unish(None, seen, UnishConfig(), branch=Wall(seen.times, options.noise))
        seconds, peak = time.perf_counter() - began, tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        truth, found = cameras(seen.times)[:, :3, 3], world.cameras.T_world_camera[:, :3, 3]
        error = 1000 * np.linalg.norm(umeyama(found, truth).apply(found) - truth, axis=1).max()
        windows, residual = world.quality["windows"], world.quality.get("join_residual_percent", float("nan"))
        print(
            f"{samples:8d} {len(world):7d} {windows:8d} {seconds:8.1f} {peak:8.0f} {error:9.2f} {residual:11.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
