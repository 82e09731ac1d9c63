"""How far chained motions drift on the standard suite: one person, votes of all, and a pose graph of several baselines.

    python benchmarks/josh3r_chaining.py            (14 sequences, 5 draws of noise, both presets; a few minutes on one core)

True motions between keyframes 0.2 s apart get noise (`NOISE`, fixed before the first run), per person and pair; T_camera_body
is exact. Figures are RMS distances of keyframes' cameras from the truth in centimetres, the first camera being shared, means
over sequences and draws.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch

from diorama.body import load_body
from diorama.frontends.clock_keyframes import keyframes
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import invert, rigid
from diorama.methods.josh3r.chaining import VoteConfig, body_placement, camera_motion, chain, vote
from diorama.methods.josh3r.pairs import pairs_of
from diorama.methods.josh3r.pose_graph import refined_path
from diorama.synthetic.sequences import build_sequence
from diorama.synthetic.suites import suite

BASELINES = (1, 2, 3)


@dataclass(frozen=True)
class Noise:
    """Deviations per axis, metres and radians: `pair` anew for every pair, `step` per keyframe step that a pair spans,
    following an AR(1) process with `memory` along the clip (what a network gets wrong for a while)."""

    pair: tuple[float, float]
    step: tuple[float, float] = (0.0, 0.0)
    memory: float = 0.9


NOISE = {
    "independent": Noise((0.03, 0.015)),
    "correlated": Noise((0.015, 0.0075), (0.02, 0.01)),
}


def noise_of(noise: Noise, pairs: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One person's errors as motions, one per pair."""
    slow = np.zeros((int(pairs.max()) + 1, 6))
    slow[0] = rng.normal(size=6)
    for step in range(1, len(slow)):
        slow[step] = noise.memory * slow[step - 1] + np.sqrt(1 - noise.memory**2) * rng.normal(size=6)
    spanned = np.array([slow[first:second].sum(0) for first, second in pairs])
    metres = noise.pair[0] * rng.normal(size=(len(pairs), 3)) + noise.step[0] * spanned[:, :3]
    radians = noise.pair[1] * rng.normal(size=(len(pairs), 3)) + noise.step[1] * spanned[:, 3:]
    return rigid(matrix_of(radians), metres)


@dataclass(frozen=True)
class Clip:
    """Cameras of keyframes, and everybody's placements and true motions for all pairs."""

    cameras: np.ndarray
    pairs: np.ndarray
    seen: list[np.ndarray]
    motions: list[np.ndarray]


def clip_of(spec) -> Clip:
    sequence = build_sequence(spec)
    keys = keyframes(spec.times, np.zeros(spec.frames, bool), 0.2)
    cameras, pairs = sequence.T_world_camera[keys], pairs_of(len(keys), BASELINES)
    seen, motions = [], []
    for person in (actor.person() for actor in sequence.actors):
        rest = (
            load_body(person.body, person.gender)
            .shaped(torch.from_numpy(np.asarray(person.betas, np.float32)))
            .joints_rest[0]
            .double()
            .numpy()
        )
        bodies = body_placement(person.global_orient, person.transl, rest)[keys]
        seen.append(invert(cameras) @ bodies)
        motions.append(invert(bodies[pairs[:, 0]]) @ bodies[pairs[:, 1]])
    return Clip(invert(cameras[0]) @ cameras, pairs, seen, motions)


def errors(clip: Clip, noise: Noise, rng: np.random.Generator) -> dict[str, float]:
    """Centimetres of every way, from the same draw."""
    first, second = clip.pairs.T
    told = [
        camera_motion(seen[first], motions @ noise_of(noise, clip.pairs, rng), seen[second])
        for seen, motions in zip(clip.seen, clip.motions, strict=True)
    ]
    steps, number = len(clip.cameras) - 1, np.tile(np.arange(len(clip.pairs)), len(told))
    voted = vote(np.concatenate(told), number, np.ones(len(number)), len(clip.pairs), VoteConfig())
    one = chain(np.eye(4), told[0][:steps])
    all_of_them = chain(np.eye(4), voted.motions[:steps])
    everyone = np.ones(len(clip.pairs), bool)
    paths = {
        "one person": one,
        "one person, graph": refined_path(one, clip.pairs, told[0], everyone),
        "votes": all_of_them,
        "votes, graph": refined_path(all_of_them, clip.pairs, voted.motions, voted.seen),
    }
    away = {name: np.linalg.norm((path - clip.cameras)[:, :3, 3], axis=-1) for name, path in paths.items()}
    return {name: 100 * float(np.sqrt((distance**2).mean())) for name, distance in away.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=5)
    options = parser.parse_args()
    found: dict[tuple[str, str], list[float]] = {}
    for number, spec in enumerate(suite("standard")):
        clip = clip_of(spec)
        for preset, noise in NOISE.items():
            for draw in range(options.draws):
                for way, value in errors(clip, noise, np.random.default_rng([number, draw])).items():
                    found.setdefault((preset, way), []).append(value)
    print(f"camera, RMS cm      {'mean':>8} {'worst':>8}")
    for (preset, way), values in found.items():
        print(f"{preset:12} {way:18} {np.mean(values):8.1f} {np.max(values):8.1f}")


if __name__ == "__main__":
    main()
