"""Repairs in time after tracking: broken tracks joined, left and right kept apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.observations import MaskStack

# BlazePose-33: the joints that a network confuses together, left ones and right ones in the same order.
ARMS = ((11, 13, 15, 17, 19, 21), (12, 14, 16, 18, 20, 22))
LEGS = ((23, 25, 27, 29, 31), (24, 26, 28, 30, 32))


@dataclass(frozen=True)
class Fragment:
    """A piece of somebody's track, px of the source picture; `sizes` are those of his crops, `colours` histograms.

    The detector saw him in `confirmed` of the `chances` that it had.
    """

    frames: Int[np.ndarray, " frames"]
    keypoints: Float[np.ndarray, "frames 33 3"]
    keypoints_3d: Float[np.ndarray, "frames 33 3"]
    boxes: Float[np.ndarray, "frames 4"]
    masks: tuple[MaskStack, ...]
    overlap: Bool[np.ndarray, " frames"]
    sizes: Float[np.ndarray, " frames"]
    colours: Float[np.ndarray, "3 512"]
    ended: str = ""
    confirmed: int = 0
    chances: int = 0


@dataclass(frozen=True)
class LinkingConfig:
    """Two pieces are one person if the later one starts within `max_gap` frames of the earlier one's end, not further
    from where it would be by then than `max_distance` + `drift` per frame (of the crop's size), of a similar size
    (`max_growth`) and similar colours (Hellinger distance up to `max_colour_distance`)."""

    max_gap: int = 30
    max_distance: float = 0.3
    drift: float = 0.02
    max_growth: float = 1.4
    max_colour_distance: float = 0.5


def join_fragments(fragments: list[Fragment], config: LinkingConfig) -> list[Fragment]:
    """Join the best fitting pieces until no two fit."""
    pieces = list(fragments)
    while True:
        fits = [
            (cost, a, b)
            for a, first in enumerate(pieces)
            for b, second in enumerate(pieces)
            if (cost := link_cost(first, second, config)) is not None
        ]
        if not fits:
            return pieces
        _, a, b = min(fits)
        joined = _joined(pieces[a], pieces[b])
        pieces = [p for k, p in enumerate(pieces) if k not in (a, b)] + [joined]


def link_cost(first: Fragment, second: Fragment, config: LinkingConfig) -> float | None:
    """How badly `second` continues `first` (0 is perfect), or None if it cannot."""
    gap = int(second.frames[0] - first.frames[-1])
    if not 1 <= gap <= config.max_gap:
        return None
    size = max(float(first.sizes[-1]), float(second.sizes[0]))
    growth = size / max(min(float(first.sizes[-1]), float(second.sizes[0])), 1e-6)
    end, velocity = _motion(first, last=True)
    start, back = _motion(second, last=False)
    apart = float(np.linalg.norm(end + 0.5 * gap * (velocity + back) - start)) / size
    colours = np.sqrt(np.clip(1 - np.sqrt(first.colours * second.colours).sum(1), 0, 1)).mean()
    if growth > config.max_growth or apart > config.max_distance + config.drift * gap:
        return None
    # Of two that fit, the sooner one: the other may follow on that.
    return apart + float(colours) + gap / config.max_gap if colours <= config.max_colour_distance else None


def _motion(fragment: Fragment, *, last: bool) -> tuple[np.ndarray, np.ndarray]:
    """Middle of the torso at an end of the fragment, and its velocity there, px per frame."""
    middle = fragment.keypoints[:, [11, 12, 23, 24], :2].mean(1).astype(np.float64)
    rows = slice(-6, None) if last else slice(0, 6)
    piece, frames = middle[rows], fragment.frames[rows]
    elapsed = max(int(frames[-1] - frames[0]), 1)
    return (piece[-1] if last else piece[0]), (piece[-1] - piece[0]) / elapsed


def _joined(a: Fragment, b: Fragment) -> Fragment:
    names = ("frames", "keypoints", "keypoints_3d", "boxes", "overlap", "sizes")
    arrays = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in names}
    share = len(a.frames) / (len(a.frames) + len(b.frames))
    colours = share * a.colours + (1 - share) * b.colours
    confirmed, chances = a.confirmed + b.confirmed, a.chances + b.chances
    return Fragment(
        **arrays, masks=a.masks + b.masks, colours=colours, ended=b.ended, confirmed=confirmed, chances=chances
    )


def repair_swaps(
    keypoints: Float[np.ndarray, "frames 33 3"],
    keypoints_3d: Float[np.ndarray, "frames 33 3"],
    frames: Int[np.ndarray, " frames"],
    reluctance: float = 0.1,
) -> tuple[Float[np.ndarray, "frames 33 3"], Float[np.ndarray, "frames 33 3"]]:
    """Undo short exchanges of left and right, arms and legs apart.

    Per frame a limb pair is kept or exchanged so that its 3D joints move least over time; each exchanged frame costs
    `reluctance` metres per joint, so that the network is believed unless it contradicts its own neighbours clearly.
    """
    keypoints, keypoints_3d = keypoints.copy(), keypoints_3d.copy()
    for left, right in (ARMS, LEGS):
        swap = _swapped_frames(keypoints_3d[:, left], keypoints_3d[:, right], frames, reluctance)
        for values in (keypoints, keypoints_3d):
            rows = values[swap]
            rows[:, [*left, *right]] = rows[:, [*right, *left]]
            values[swap] = rows
    return keypoints, keypoints_3d


def _swapped_frames(
    left: Float[np.ndarray, "frames k 3"],
    right: Float[np.ndarray, "frames k 3"],
    frames: Int[np.ndarray, " frames"],
    reluctance: float,
) -> Bool[np.ndarray, " frames"]:
    """Least-motion path (Viterbi) through the two states kept and exchanged."""
    count = len(frames)
    both = np.stack([np.concatenate([left, right], 1), np.concatenate([right, left], 1)])  # (2, frames, 2k, 3)
    cost = np.array([0.0, reluctance])
    came_from = np.zeros((count, 2), int)
    for row in range(1, count):
        gap = int(frames[row] - frames[row - 1])
        moved = np.linalg.norm(both[:, None, row - 1] - both[None, :, row], axis=-1).mean(-1) / gap
        total = cost[:, None] + moved
        came_from[row] = total.argmin(0)
        cost = total.min(0) + np.array([0.0, reluctance])
    state = int(cost.argmin())
    swapped = np.zeros(count, bool)
    for row in range(count - 1, -1, -1):
        swapped[row] = state == 1
        state = came_from[row, state]
    return swapped
