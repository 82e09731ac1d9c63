"""Frames per second of the renderer at 518 x 294 with two people, for one and two processes, and of depth alone.

    OMP_NUM_THREADS=1 python benchmarks/render_speed.py --frames 24

Wall time is that between the first and the last frame (building the world is not counted); where the machine is busy,
the processor time per frame is the figure that can be compared. The street is the demo's (two people who walk in it);
the presets' scenery is rendered with the same two people from one place.
"""

from __future__ import annotations

import argparse
import os
import platform
import time

import cv2
import numpy as np
import torch

from diorama.geometry.cameras import intrinsics
from diorama.geometry.transforms import rigid
from diorama.render.depth import depth_and_ids
from diorama.render.raycast import render
from diorama.render.sensor import Sensor
from diorama.synthetic.camera_moves import look_at
from diorama.synthetic.layouts import PRESETS, random_layout
from diorama.synthetic.scenery import build_scenery, daylight
from diorama.synthetic.staging import DEMO_SEED, Shot, stage
from diorama.synthetic.world import World, build_world, render_frames

SIZE, SMALL = (518, 294), (128, 72)


def street(shot: Shot, processes: int) -> float:
    """Frames per second (wall) of the demo's street."""
    frames = render_frames(stage(DEMO_SEED, shot), range(shot.frames), processes=processes)
    seen = [time.perf_counter() for _ in frames]
    return (len(seen) - 1) / (seen[-1] - seen[0])


def cost(work, repeats: int = 5) -> tuple[float, float]:
    """Wall and processor milliseconds of one call."""
    work(0)
    wall, cpu = time.perf_counter(), time.process_time()
    for row in range(repeats):
        work(row)
    return (time.perf_counter() - wall) / repeats * 1e3, (time.process_time() - cpu) / repeats * 1e3


def preset_costs(world: World) -> None:
    """One line per preset: a noisy frame with normals, and depth alone at a small size (bodies posed anew each time)."""
    for preset in PRESETS:
        rng = np.random.default_rng([1, 1])
        layout = random_layout(preset, rng)
        scenery, light = build_scenery(layout, rng), daylight(layout, rng)
        middle = np.mean([actor.posed.joints[0, 0].numpy() for actor in world.actors], 0)
        centre = np.array([[*(middle[:2] - [0, 4]), 1.6]])
        T = rigid(look_at(centre, middle[None]), centre)[0]

        def meshes(row: int, scenery=scenery):
            return (*scenery, *(actor.mesh(row) for actor in world.actors))

        def picture(row: int, T=T, light=light, meshes=meshes) -> None:
            K = intrinsics(0.8 * SIZE[0], *SIZE)
            render(meshes(row), K, T, *SIZE, light=light, normals="camera", sensor=Sensor(seed=row))

        def depth(row: int, T=T, meshes=meshes) -> None:
            depth_and_ids(meshes(row), intrinsics(0.8 * SMALL[0], *SMALL), T, *SMALL)

        full, small = cost(picture), cost(depth, 20)
        print(f"| {preset} | {full[0]:.0f} | {full[1]:.0f} | {small[0]:.1f} | {small[1]:.1f} | {1e3 / small[1]:.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=24)
    shot = Shot(*SIZE, frames=parser.parse_args().frames)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    one, two = street(shot, 1), street(shot, 2)
    world = build_world(stage(DEMO_SEED, shot))
    wall, cpu = cost(world.picture)
    print(f"street, frames/s (wall): 1 process {one:.2f}, 2 processes {two:.2f}, ratio {two / one:.2f}")
    print(f"street, one frame: {wall:.0f} ms wall, {cpu:.0f} ms processor = {1e3 / cpu:.2f} frames/s and core\n")
    print(
        "| preset | frame ms wall | frame ms processor | depth ms wall | depth ms processor | depth frames/s and core |"
    )
    print("|---|---|---|---|---|---|")
    preset_costs(world)


if __name__ == "__main__":
    main()
