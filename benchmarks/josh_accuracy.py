"""Accuracy of JOSH on its benchmark problem, seed by seed: cameras, scale and people at the same time.

    OMP_NUM_THREADS=1 python benchmarks/josh_accuracy.py --seeds 0 1 2 3 4 5 6 7 8 9

21 keyframes, people of exact shape, 10 % noise of every body's distance, 5 % of every depth map's scale, depth off scale by
0.7, exact matches; keypoints with 2 px noise, or none. People's errors are distances of pelvises in the world, which only
the first camera's pose places: no alignment. Before: the observed bodies, carried by the true cameras.
"""

from __future__ import annotations

import argparse
import platform
import time
from dataclasses import dataclass

import numpy as np
import torch

from diorama.body import load_body
from diorama.geometry.alignment import umeyama
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.method import reconstruct_josh
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.synthetic.josh_problem import JoshProblem, josh_problem, position_floor


@dataclass(frozen=True)
class Errors:
    """Of one seed: cameras after a similarity (m), scale (share), people in the world (m), and the floor of people's."""

    ate: float
    scale: float
    before: float
    after: float
    floor: float
    seconds: float

    @property
    def good(self) -> bool:
        """All goals at the same time: 5 mm, 2 %, three times."""
        return self.ate <= 0.005 and abs(self.scale) <= 0.02 and self.before >= 3 * self.after


def errors(problem: JoshProblem) -> Errors:
    """Reconstruct one seed and compare."""
    truth, seen = josh_problem(problem)
    began = time.process_time()
    found = reconstruct_josh(None, seen)
    seconds = time.process_time() - began
    mine, true = found.cameras.T_world_camera[:, :3, 3], truth.cameras.T_world_camera[:, :3, 3]
    fit = umeyama(mine, true)
    ate = float(np.sqrt(((fit.apply(mine) - true) ** 2).sum(1).mean()))
    to_truth = truth.cameras.T_world_camera[0] @ invert(found.cameras.T_world_camera[0])
    after = np.concatenate([_distance(apply(to_truth, p.joints_world[:, 0]), p, truth) for p in found.people])
    floor = position_floor(problem, truth).after_m
    return Errors(ate, 1 / fit.scale - 1, _before(seen, truth), float(after.mean()), floor, seconds)


def _distance(pelvis: np.ndarray, person, truth: Reconstruction) -> np.ndarray:
    other = truth.person(person.id)
    _, mine, theirs = np.intersect1d(person.frames, other.frames, return_indices=True)
    return np.linalg.norm(pelvis[mine] - other.joints_world[theirs, 0], axis=1)


def _before(seen: Observations, truth: Reconstruction) -> float:
    assert seen.bodies is not None
    out = []
    for body in seen.bodies.people:
        rest = load_body(body.body, body.gender).shaped(torch.from_numpy(body.betas)).joints_rest[0].double().numpy()
        pelvis = apply(truth.cameras.T_world_camera[body.frames], body.transl + rest)
        out.append(_distance(pelvis, body, truth))
    return float(np.concatenate(out).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=list(range(10)))
    parser.add_argument("--cameras", default="unit", choices=("none", "unit", "exact"))
    parser.add_argument("--people", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {given.people} people, cameras: {given.cameras}\n")
    print("| case | seed | ATE mm | scale % | people before m | after m | ratio | floor m | CPU s | goals |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for action in ("planted", "walking"):
        for keypoints in (2.0, None):
            rows = []
            for seed in given.seeds:
                problem = JoshProblem(
                    seed=seed, people=given.people, action=action, keypoint_px=keypoints, cameras=given.cameras
                )
                rows.append(errors(problem))
                _print(f"{action}, {'2 px' if keypoints else 'no keypoints'}", str(seed), rows[-1:])
            _print(f"{action}, {'2 px' if keypoints else 'no keypoints'}", "**mean**", rows)


def _print(case: str, seed: str, rows: list[Errors]) -> None:
    mean = {name: float(np.mean([abs(getattr(r, name)) for r in rows])) for name in Errors.__dataclass_fields__}
    print(
        f"| {case} | {seed} | {1000 * mean['ate']:.1f} | {100 * mean['scale']:.1f} | {mean['before']:.3f} |"
        f" {mean['after']:.3f} | {mean['before'] / mean['after']:.1f} | {mean['floor']:.3f} | {mean['seconds']:.1f} |"
        f" {sum(r.good for r in rows)} of {len(rows)} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
