"""The laws of exact motions, measured: python benchmarks/motion_laws.py [repetitions]

Every action, for people from a child of 1.05 m to 2.00 m, each with its own manner, furniture and frame rate (20 to 60):
how far planted sites move, how deep the skin is in the layout (every 5th vertex and half of the soles), the largest
accelerations, and the seconds that 300 frames take.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from diorama.body.anny import load_free_body
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import PosedBody
from diorama.body.stature import betas_for_stature
from diorama.errors import DioramaError
from diorama.metrics import foot_slide_by_contacts
from diorama.synthetic import motion as m
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.people import random_manner

STATURES = (1.05, 1.2, 1.35, 1.5, 1.65, 1.8, 1.95, 2.0)
FEET = ("left_ankle", "right_ankle", "left_foot", "right_foot")
NAMES = {
    "pelvis": ("pelvis",),
    "feet": FEET,
    "knees": ("left_knee", "right_knee"),
    "hands": ("left_wrist", "right_wrist"),
}


def jobs(rng: np.random.Generator, leg: float) -> dict[str, tuple[Layout, tuple[m.Action, ...]]]:
    """One of every action, with furniture of random sizes."""
    pace, turn = float(np.sqrt(9.81 * leg)), float(rng.uniform(-3, 3))
    seat = Slab("seat", (1.6, 0.4, 0), (rng.uniform(0.42, 0.7), rng.uniform(0.45, 1.8), rng.uniform(0.38, 0.5)), turn)
    bed = Slab("bed", (1.8, 0.9, 0), (2.05, rng.uniform(0.9, 1.4), rng.uniform(0.4, 0.5)), turn)
    table = Slab("table", (1.6, -0.8, 0), (0.8, 1.5, rng.uniform(0.7, 0.78)), turn)
    wall = Slab("wall", (2.2, 0, 0), (0.2, 4.0, 2.5), rng.uniform(-0.5, 0.5))
    bar = Slab(
        "obstacle", (1.8, 0, 0), (rng.uniform(0.1, 0.3), 1.2, rng.uniform(0.1, 0.22 * leg)), rng.uniform(-0.3, 0.3)
    )
    rise, going = rng.uniform(0.15, 0.18), rng.uniform(0.27, 0.32)
    sizes = [going] * 4 + [1.8]
    steps = tuple(
        Slab("step", (1.5 + k * going + size / 2, 0, 0), (size, 1.6, rise * (k + 1))) for k, size in enumerate(sizes)
    )
    tilt = (float(rng.uniform(-0.17, 0.17)), float(rng.uniform(-0.17, 0.17)))
    flat = Layout("flat")
    return {
        "walk, turn round": (flat, (m.Walk(3.0, rng.uniform(0.15, 0.5) * pace, rng.uniform(-0.4, 0.4)), m.TurnRound(turn))),
        "run": (flat, (m.Walk(2.0, 0.4 * pace), m.Run(6.0, rng.uniform(0.75, 1.05) * pace), m.Walk(2.0, 0.35 * pace))),
        "slope": (Layout("slope", (), tilt), (m.Walk(3.0, 0.4 * pace), m.TurnRound(2.8), m.Walk(3.0, 0.4 * pace))),
        "stairs up and down": (Layout("stairs", steps), (m.Stairs(steps), m.TurnRound(3.1), m.Stairs(steps[::-1]))),
        "step over": (Layout("bar", (bar,)), (m.StepOver(bar),)),
        "sit, get up": (Layout("seat", (seat,)), (m.SitDown(seat), m.Sit(0.5), m.GetUp())),
        "lie on a bed": (Layout("bed", (bed,)), (m.LieDown(bed), m.Lie(0.5), m.GetUpFromLying())),
        "sit, lie on the ground": (flat, (m.SitDown(), m.Sit(0.5), m.LieDown(), m.Lie(0.5), m.GetUpFromLying())),
        "hand on a table": (Layout("table", (table,)), (m.LeanHand(table, "left", 0.7),)),
        "hand on a wall": (Layout("wall", (wall,)), (m.LeanHand(wall, "right", 0.7),)),
        "crouch": (flat, (m.Crouch(0.5, 1.0), m.Crouch(0.3, 0.5))),
    }  # fmt: skip


def measured(shaped, layout: Layout, motion: m.Motion, fps: int) -> dict[str, float]:
    """The laws of one motion; millimetres and m/s^2."""
    body = shaped.posed(*(torch.from_numpy(a) for a in (motion.global_orient, motion.body_pose, motion.transl)))
    owner = shaped.model.skin.joints[:, 0].numpy()
    soles = np.flatnonzero(np.isin(owner, [JOINT_INDEX[name] for name in FEET]))[::2]
    chosen = np.unique(np.concatenate([np.arange(0, len(owner), 5), soles])).tolist()
    deepest = 0.0
    for start in range(0, len(body.joints), 40):
        rows = slice(start, start + 40)
        part = PosedBody(shaped, body.local_rotations[rows], body.joints[rows], body.joint_rotations[rows])
        deepest = max(deepest, float(layout.penetration(part.verts(chosen).numpy()).max()))
    acceleration = np.linalg.norm(np.diff(body.joints.numpy(), n=2, axis=0), axis=-1) * fps**2
    sites = body.contact_sites(motion.sites).numpy()
    found = {"slide": foot_slide_by_contacts(sites, motion.contacts).max(initial=0.0), "skin": 1000 * deepest}
    return found | {k: acceleration[:, [JOINT_INDEX[n] for n in names]].max() for k, names in NAMES.items()}


def main(repetitions: int = 2) -> None:
    rng, model = np.random.default_rng(1), load_free_body()
    worst: dict[str, dict[str, float]] = {}
    refused = []
    for stature in STATURES * repetitions:
        betas = betas_for_stature(model, stature, age=None if stature < 1.45 else 2 / 3)
        shaped = model.to(dtype=torch.float64).shaped(betas.double())
        figure, manner, fps = m.Figure.of(shaped), random_manner(rng), int(rng.choice([20, 24, 30, 60]))
        for name, (layout, actions) in jobs(rng, figure.leg).items():
            script = m.Script((-0.5, -0.6), float(rng.uniform(-3, 3)), actions)
            try:
                times = np.arange(0, m.duration(figure, script, layout, manner), 1 / fps)
                begun = time.perf_counter()
                motion = m.perform(figure, script, layout, times, manner)
            except DioramaError as error:
                refused.append(f"{name}, {stature:.2f} m: {error}")
                continue
            seconds = (time.perf_counter() - begun) * 300 / max(len(times), 300)
            row = measured(shaped, layout, motion, fps) | {"seconds": seconds}
            worst[name] = {key: max(value, worst.get(name, {}).get(key, 0.0)) for key, value in row.items()}
    print("| | planted sites, mm/frame | skin, mm | pelvis, m/s^2 | feet | knees | wrists | s per 300 frames |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in worst.items():
        print(f"| {name} | {row['slide']:.0e} | " + " | ".join(f"{row[k]:.1f}" for k in ("skin", *NAMES)), end="")
        print(f" | {row['seconds']:.2f} |")
    print(*(f"refused: {line}" for line in refused), sep="\n")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
