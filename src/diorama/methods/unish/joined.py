"""All windows as one series of samples: cameras and people, blended where windows overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.geometry.alignment import Similarity
from diorama.geometry.rotations import nearest_rotation
from diorama.geometry.transforms import rigid
from diorama.methods.unish.kept import KeptWindow
from diorama.methods.unish.windows import ramp_of


@dataclass(frozen=True)
class JoinedPerson:
    """One person in front of the cameras of all samples; meaningless where not `seen`. `betas` are the mean over his
    samples in the whole video."""

    id: int
    seen: Bool[np.ndarray, " samples"]
    rotations: Float[np.ndarray, "samples 24 3 3"]
    betas: Float[np.ndarray, " betas"]
    transl: Float[np.ndarray, "samples 3"]


@dataclass(frozen=True)
class Joined:
    """Cameras (K in working pixels) and people of all samples in one world in metres; `scale` is metres per unit of the
    window in which a sample lies best."""

    K: Float[np.ndarray, "samples 3 3"]
    T_world_camera: Float[np.ndarray, "samples 4 4"]
    people: tuple[JoinedPerson, ...]
    scale: Float[np.ndarray, " samples"]


def joined(
    windows: Sequence[KeptWindow], placed: Sequence[Similarity], homes: np.ndarray, overlap: int
) -> Joined:  # fmt: skip
    """Blend the windows: weights fall towards their ends, so that the world slides from one window's opinion to the next's.

    People are blended in front of their cameras, which keeps them on their pixels.
    """
    count = len(homes)
    weight, K = np.zeros(count), np.zeros((count, 3, 3))
    centre, turn = np.zeros((count, 3)), np.zeros((count, 3, 3))
    for window, move in zip(windows, placed, strict=True):
        at, share = slice(*window.span), ramp_of(window.span, overlap)
        weight[at] += share
        K[at] += share[:, None, None] * window.K
        centre[at] += share[:, None] * move.apply(window.T_world_camera[:, :3, 3])
        turn[at] += share[:, None, None] * (move.rotation @ window.T_world_camera[:, :3, :3])
    ids = sorted({person.id for window in windows for person in window.people})
    return Joined(
        K / weight[:, None, None],
        rigid(_nearest(turn), centre / weight[:, None]),
        tuple(_person(id, windows, placed, count, overlap) for id in ids),
        np.array([move.scale for move in placed])[homes],
    )


def _person(
    id: int, windows: Sequence[KeptWindow], placed: Sequence[Similarity], count: int, overlap: int
) -> JoinedPerson:
    weight, transl = np.zeros(count), np.zeros((count, 3))
    rotations, betas = np.zeros((count, 24, 3, 3)), 0.0
    for window, move in zip(windows, placed, strict=True):
        for person in window.people:
            if person.id != id:
                continue
            at, share = slice(*window.span), ramp_of(window.span, overlap) * person.seen
            weight[at] += share
            transl[at] += share[:, None] * move.scale * person.transl
            rotations[at] += share[:, None, None, None] * person.rotations
            betas = betas + share @ person.betas
    seen = weight > 0
    rotations[~seen] = np.eye(3)
    transl[seen] /= weight[seen, None]
    return JoinedPerson(id, seen, _nearest(rotations), np.asarray(betas / weight.sum()), transl)


def _nearest(sums: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """Weighted chordal means from weighted sums of rotations."""
    return nearest_rotation(torch.from_numpy(sums)).numpy()
