"""MASt3R and JOSH3R over a clip's keyframes: every frame is encoded once, pairs are decoded in batches, everybody in a pair
shares its tokens, and dense heads run only for the pairs whose points are kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.errors import DioramaError
from diorama.networks.josh3r import JOSH3R, HumanOutput
from diorama.networks.mast3r import FrameTokens, MASt3R
from diorama.networks.mast3r_head import DenseMaps


@dataclass(frozen=True)
class PairPlan:
    """Which keyframes make pairs, and who is in both.

    Attributes:
        pairs: rows of the keyframes, first and second.
        pair: of every person's row: the row in `pairs`.
        boxes_1, boxes_2: x1, y1, x2, y2 in pixels of the pictures that the networks see.
        dense: pairs whose points (of the first picture) are kept.
    """

    pairs: Int[np.ndarray, "pairs 2"]
    pair: Int[np.ndarray, " people"]
    boxes_1: Float[np.ndarray, "people 4"]
    boxes_2: Float[np.ndarray, "people 4"]
    dense: Bool[np.ndarray, " pairs"]


@dataclass(frozen=True)
class PairBatch:
    """What the networks say of some pairs.

    Attributes:
        people: rows of the plan's people, in the order of `human`.
        human: see `HumanOutput`.
        dense: rows of the plan's pairs, in the order of `maps`.
        maps: of the first picture, without descriptors; None where `dense` is empty.
    """

    people: Int[np.ndarray, " people"]
    human: HumanOutput
    dense: Int[np.ndarray, " dense"]
    maps: DenseMaps | None


def predicted_pairs(
    mast3r: MASt3R,
    josh3r: JOSH3R,
    frames: Iterable[Float[Tensor, "3 height width"]],
    plan: PairPlan,
    *,
    batch: int = 8,
) -> Iterator[PairBatch]:
    """The plan's pairs, in the order of their later keyframe; tokens are let go after their frame's last pair.

    Args:
        mast3r, josh3r: the networks, on one device. `torch.autocast` around the loop holds.
        frames: keyframes in order, all of one size: RGB in [-1, 1], sides multiples of 16 px.
        plan: see `PairPlan`.
        batch: frames, and pairs, at a time.

    Raises:
        DioramaError: the plan names keyframes that do not come, or their sides are no multiples of 16.
    """
    device = mast3r.enc_norm.weight.device
    later = plan.pairs.max(1) if len(plan.pairs) else np.zeros(0, np.int64)
    held: dict[int, Tensor] = {}
    count, size = 0, (0, 0)
    for group in _groups(frames, batch):
        images = torch.stack(group).to(device)
        size = (images.shape[-2], images.shape[-1])
        with torch.no_grad():  # not around the yield, where it would hold for the caller
            encoded = mast3r.encode(images)
        held |= {count + row: tokens for row, tokens in enumerate(encoded.tokens)}
        ready = np.flatnonzero((later >= count) & (later < count + len(group)))
        count += len(group)
        for start in range(0, len(ready), batch):
            rows = ready[start : start + batch]
            sides = [
                FrameTokens(torch.stack([held[int(frame)] for frame in plan.pairs[rows, side]]), encoded.grid)
                for side in (0, 1)
            ]
            yield _predicted(mast3r, josh3r, sides, plan, rows, size)
        held = {frame: held[frame] for frame in _still_needed(held, plan.pairs, count)}
    if (missing := int((later >= count).sum())) > 0:
        raise DioramaError(
            f"{missing} pairs name keyframes beyond the {count} that came", where="pair plan", fix="give all keyframes"
        )


@torch.no_grad()
def _predicted(
    mast3r: MASt3R,
    josh3r: JOSH3R,
    sides: list[FrameTokens],
    plan: PairPlan,
    rows: Int[np.ndarray, " batch"],
    size: tuple[int, int],
) -> PairBatch:
    """One batch: decoded, read for everybody in it, and dense maps where they are kept."""
    first, second = mast3r.decode(sides[0], sides[1])
    people = np.flatnonzero(np.isin(plan.pair, rows))
    device = first.last.device
    place = torch.from_numpy(np.searchsorted(rows, plan.pair[people])).to(device)
    boxes = [torch.from_numpy(boxes[people].astype(np.float32)).to(device) for boxes in (plan.boxes_1, plan.boxes_2)]
    human = josh3r(first.last, second.last, boxes[0], boxes[1], size, place)
    dense = plan.dense[rows]
    maps = None
    if dense.any():
        maps = mast3r.maps(first.rows(torch.from_numpy(np.flatnonzero(dense)).to(device)), 1, descriptors=False)
    return PairBatch(people, human, rows[dense], maps)


def _groups(frames: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    group = []
    for frame in frames:
        group.append(frame)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _still_needed(held: Iterable[int], pairs: Int[np.ndarray, "pairs 2"], count: int) -> list[int]:
    """The held keyframes that have a pair with a keyframe from `count` on."""
    waiting = pairs[(pairs >= count).any(1)]
    return [frame for frame in held if (waiting == frame).any()]
