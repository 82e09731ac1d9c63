"""Mutual nearest neighbours of dense descriptors (MASt3R, Leroy et al. 2024, section 3.3), many pairs of pictures at once.

From seeds on a grid the walk goes to the nearest descriptor of the other picture, and back, until it stays: what it has
found then are each other's nearest. Walks start in both pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_BLOCK = 1 << 25  # scores at a time: 128 MB in float32


@dataclass(frozen=True)
class MatchingConfig:
    """The release's numbers.

    Attributes:
        stride: of the seeds in pixels; the first is at half of it.
        rounds: there and back, at most.
        least: confidence that a match has to exceed.
    """

    stride: int = 8
    rounds: int = 10
    least: float = 1e-3


@dataclass(frozen=True)
class DescriptorMatches:
    """Matches of several pairs of pictures, sorted by pair.

    Attributes:
        pair: row of the pair.
        xy_1, xy_2: pixels; centres at half integers.
        confidence: geometric mean of the two descriptors' confidences.
    """

    pair: Int[Tensor, " matches"]
    xy_1: Float[Tensor, "matches 2"]
    xy_2: Float[Tensor, "matches 2"]
    confidence: Float[Tensor, " matches"]


def masked(
    conf: Float[Tensor, "pairs height width"],
    desc_conf: Float[Tensor, "pairs height width"],
    people: Bool[Tensor, "pairs height width"],
) -> tuple[Float[Tensor, "pairs height width"], Float[Tensor, "pairs height width"]]:
    """Confidences with people's pixels at the least: 1 for points, 0 for descriptors (so that none is matched)."""
    return conf.masked_fill(people, 1.0), desc_conf.masked_fill(people, 0.0)


def reciprocal_matches(
    desc_1: Float[Tensor, "pairs height1 width1 channels"],
    desc_2: Float[Tensor, "pairs height2 width2 channels"],
    conf_1: Float[Tensor, "pairs height1 width1"],
    conf_2: Float[Tensor, "pairs height2 width2"],
    config: MatchingConfig | None = None,
) -> DescriptorMatches:
    """Matches whose descriptors are each other's nearest by scalar product; each is found once.

    Args:
        desc_1, desc_2: descriptors of length one.
        conf_1, conf_2: their confidences, from 0.
        config: see `MatchingConfig`.
    """
    config = config or MatchingConfig()
    flat_1, flat_2 = desc_1.flatten(1, 2), desc_2.flatten(1, 2)
    seeds_1, seeds_2 = (_seeds(desc.shape[1:3], config.stride, desc.device) for desc in (desc_1, desc_2))
    forward = _walked(flat_1, flat_2, seeds_1, config.rounds)
    pair, second, first = _walked(flat_2, flat_1, seeds_2, config.rounds)
    rows = torch.cat([torch.stack(forward), torch.stack([pair, first, second])], 1)
    pair, first, second = torch.unique(rows, dim=1)
    confidence = (conf_1.flatten(1)[pair, first] * conf_2.flatten(1)[pair, second]).sqrt()
    kept = confidence > config.least
    places = (_centres(first[kept], desc_1.shape[2]), _centres(second[kept], desc_2.shape[2]))
    return DescriptorMatches(pair[kept], *places, confidence[kept])


def _seeds(size: tuple[int, ...], stride: int, device: torch.device) -> Int[Tensor, " seeds"]:
    rows, columns = (torch.arange(side, device=device)[stride // 2 :: stride] for side in size)
    return (rows[:, None] * size[1] + columns).flatten()


def _centres(index: Int[Tensor, " n"], width: int) -> Float[Tensor, "n 2"]:
    return torch.stack([index % width, index // width], -1) + 0.5


def _walked(
    here: Float[Tensor, "pairs pixels channels"],
    there: Float[Tensor, "pairs other channels"],
    seeds: Int[Tensor, " seeds"],
    rounds: int,
) -> tuple[Int[Tensor, " found"], Int[Tensor, " found"], Int[Tensor, " found"]]:
    """Pair, pixel here and pixel there of the walks that have come to rest."""
    place = seeds.expand(len(here), -1).clone()
    other = torch.zeros_like(place)
    walking = torch.ones_like(place, dtype=torch.bool)
    for _ in range(rounds):
        # Of every pair as many walks as the busiest has: those that still go first.
        count = int(walking.sum(1).max()) if walking.numel() else 0
        if count == 0:
            break
        active = walking.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :count]
        start = place.gather(1, active)
        across = nearest(_picked(here, start), there)
        back = nearest(_picked(there, across), here)
        place.scatter_(1, active, back)
        other.scatter_(1, active, across)
        walking.scatter_(1, active, back != start)
    pair, walk = (~walking).nonzero(as_tuple=True)
    return pair, place[pair, walk], other[pair, walk]


def _picked(descriptors: Tensor, index: Tensor) -> Tensor:
    return descriptors.gather(1, index[..., None].expand(-1, -1, descriptors.shape[-1]))


def nearest(
    asked: Float[Tensor, "pairs asked channels"], known: Float[Tensor, "pairs known channels"]
) -> Int[Tensor, "pairs asked"]:
    """Index of the known descriptor with the largest scalar product, in blocks that fit into memory."""
    step = max(1, _BLOCK // (len(asked) * known.shape[1])) if len(asked) else 1
    turned = known.transpose(1, 2)
    blocks = [(part @ turned).argmax(-1) for part in asked.split(step, 1)]
    return torch.cat(blocks, 1)
