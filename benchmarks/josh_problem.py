"""What JOSH's benchmark problem holds, seed by seed, and the floor of people's places without keypoints.

python benchmarks/josh_problem.py --people 2 --action planted --seeds 0 1 2
"""

from __future__ import annotations

import argparse
import platform
import time

import numpy as np
import torch

from diorama.body.anny import load_free_body
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.synthetic.josh_problem import JoshProblem, josh_problem, position_floor

COLUMNS = (
    "seed", "CPU s", "statures m", "focal px", "path m", "people away m", "pairs", "matches", "fewest", "contacts",
    "in sight", "on own mask", "before m", "after m", "scale %",
)  # fmt: skip


def row(problem: JoshProblem) -> list[str]:
    """One seed in words."""
    begun = time.process_time()
    truth, seen = josh_problem(problem)
    took = time.process_time() - begun
    floor = position_floor(problem, truth)
    keys, matches = problem.world.keys, seen.matches
    assert matches is not None
    _, counts = np.unique(np.stack([matches.frames_i, matches.frames_j], 1), axis=0, return_counts=True)
    away = [
        np.linalg.norm(person.joints_world[keys, 0] - truth.cameras.T_world_camera[keys, :3, 3], axis=1)
        for person in truth.people
    ]
    contacts = [person.contacts[keys].sum(1).mean() for person in truth.people]
    return [
        str(problem.seed), f"{took:.2f}", " ".join(f"{v:.2f}" for v in truth.quality["statures_m"].values()),
        f"{truth.cameras.K[0, 0, 0]:.0f}", f"{truth.quality['camera_path_m']:.2f}", f"{np.mean(away):.1f}",
        str(len(counts)), str(counts.sum()), str(counts.min()), f"{np.mean(contacts):.1f}",
        f"{truth.quality['contacts_in_sight']:.2f}", f"{on_own_mask(truth, seen):.2f}", f"{floor.before_m:.3f}",
        f"{floor.after_m:.3f}", f"{100 * floor.scale:.2f}",
    ]  # fmt: skip


def on_own_mask(truth: Reconstruction, seen: Observations) -> float:
    """Share of the contacts whose pixel is one of the person's own: those that JOSH uses."""
    found = []
    assert seen.tracks is not None
    for person, track in zip(truth.people, seen.tracks.people, strict=True):
        shaped = load_free_body().shaped(torch.from_numpy(person.betas))
        arrays = (person.global_orient, person.body_pose, person.transl)
        posed = shaped.posed(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))
        sites = apply(invert(truth.cameras.T_world_camera), posed.contact_sites().double().numpy())
        pixels = project(sites, truth.cameras.K)
        assert track.masks is not None
        for n in range(len(track.frames)):
            mask = track.masks.full(n)
            cells = (pixels[n] * np.array(mask.shape[::-1]) / (seen.width, seen.height)).astype(int)
            x, y = np.clip(cells, 0, np.array(mask.shape[::-1]) - 1).T
            found.append(mask[y, x][person.contacts[n] > 0.5])
    return float(np.concatenate(found).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=list(range(10)))
    parser.add_argument("--people", type=int, default=2, choices=(1, 2, 3))
    parser.add_argument("--action", default="planted", choices=("planted", "walking"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    josh_problem(JoshProblem(seed=1000, keyframes=1))
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {given.people} people, {given.action}\n")
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for seed in given.seeds:
        print("| " + " | ".join(row(JoshProblem(seed=seed, people=given.people, action=given.action))) + " |")


if __name__ == "__main__":
    main()
