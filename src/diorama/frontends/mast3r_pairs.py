"""MASt3R over the pairs of a clip's keyframes: one point map per keyframe, the mean over its pairs, and matches.

Every keyframe is encoded once; both orders of a pair are decoded in one batch. A keyframe's tokens and sums are let go
after its last pair, so that what is held depends on how far apart pairs are, not on the length of the video.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.frontends.descriptor_matches import DescriptorMatches, MatchingConfig, masked, reciprocal_matches
from diorama.networks.mast3r import FrameTokens, MASt3R, SideTokens
from diorama.networks.mast3r_head import DenseMaps

# Confidences begin at 1; so much less makes the least one count a little (the release's).
_LEAST = 0.999


@dataclass(frozen=True)
class Shown:
    """A keyframe as the network sees it: RGB in [-1, 1], and where people are."""

    picture: Float[Tensor, "3 height width"]
    people: Bool[Tensor, "height width"]


@dataclass(frozen=True)
class KeyframeMap:
    """Points of keyframe `key` in its camera: the mean over its pairs weighed by confidence, whose mean (weighed by
    itself) is `confidence`, from 0.001 up, and 0.001 on people."""

    key: int
    points: Float[np.ndarray, "height width 3"]
    confidence: Float[np.ndarray, "height width"]


@dataclass(frozen=True)
class PairMatches:
    """Matches of pairs (`first` < `second`, keyframes) in pixels of the shown pictures, off people; confidence from 0."""

    first: Int[np.ndarray, " matches"]
    second: Int[np.ndarray, " matches"]
    xy_1: Float[np.ndarray, "matches 2"]
    xy_2: Float[np.ndarray, "matches 2"]
    confidence: Float[np.ndarray, " matches"]


@dataclass(frozen=True)
class PairsConfig:
    """How pairs are looked at.

    Attributes:
        batch: keyframes, and pairs, at a time.
        matching: None: no matches are asked for, only maps.
    """

    batch: int = 4
    matching: MatchingConfig | None = field(default_factory=MatchingConfig)


def seen_pairs(
    network: MASt3R, frames: Iterable[Shown], pairs: Int[np.ndarray, "pairs 2"], config: PairsConfig = PairsConfig()
) -> Iterator[KeyframeMap | PairMatches]:
    """The map of every keyframe that has a pair, as soon as its last pair is seen, and the matches of every pair.

    Args:
        network: on one device. `torch.autocast` around the loop holds.
        frames: keyframes in order, all of one size, sides multiples of 16 px.
        pairs: numbers of keyframes, ascending in each row; a keyframe with itself stands for a single picture.
        config: see `PairsConfig`.
    """
    held: dict[int, Tensor] = {}
    people: dict[int, Tensor] = {}
    sums: dict[int, _Sum] = {}
    count, stream = 0, iter(frames)
    device = network.enc_norm.weight.device
    while group := list(islice(stream, config.batch)):
        with torch.no_grad():  # not around the yield, where it would hold for the caller
            encoded = network.encode(torch.stack([frame.picture for frame in group]).to(device))
        held |= {count + row: tokens for row, tokens in enumerate(encoded.tokens)}
        people |= {count + row: frame.people.to(device) for row, frame in enumerate(group)}
        ready = pairs[(pairs[:, 1] >= count) & (pairs[:, 1] < count + len(group))]
        count += len(group)
        for start in range(0, len(ready), config.batch):
            some = ready[start : start + config.batch]
            found = _both_ways(network, held, people, encoded.grid, some, config)
            for key, points, confidence in found.maps:
                sums.setdefault(key, _Sum()).add(points, confidence)
            if found.matches is not None:
                yield found.matches
        waiting = set(pairs[pairs[:, 1] >= count].ravel().tolist())
        for key in sorted(set(held) - waiting):
            del held[key], people[key]
            if key in sums:
                yield sums.pop(key).mean(key)


class _Sum:
    """Sums over a keyframe's pairs."""

    def __init__(self) -> None:
        self.points: Tensor | float = 0.0
        self.weight: Tensor | float = 0.0
        self.square: Tensor | float = 0.0

    def add(self, points: Float[Tensor, "height width 3"], confidence: Float[Tensor, "height width"]) -> None:
        weight = confidence - _LEAST
        self.points = self.points + weight[..., None] * points
        self.weight = self.weight + weight
        self.square = self.square + weight**2

    def mean(self, key: int) -> KeyframeMap:
        assert isinstance(self.points, Tensor) and isinstance(self.weight, Tensor) and isinstance(self.square, Tensor)
        points, confidence = self.points / self.weight[..., None], self.square / self.weight
        return KeyframeMap(key, points.float().cpu().numpy(), confidence.float().cpu().numpy())


@dataclass(frozen=True)
class _Seen:
    """First pictures of both orders of some pairs: keyframe, points, confidence; and the pairs' matches."""

    maps: list[tuple[int, Tensor, Tensor]]
    matches: PairMatches | None


@torch.no_grad()
def _both_ways(
    network: MASt3R, held: dict[int, Tensor], people: dict[int, Tensor], grid: tuple[int, int],
    pairs: Int[np.ndarray, "pairs 2"], config: PairsConfig,
) -> _Seen:  # fmt: skip
    ordered = np.concatenate([pairs, pairs[:, ::-1]])
    sides = [FrameTokens(torch.stack([held[int(key)] for key in column]), grid) for column in ordered.T]
    covered = [torch.stack([people[int(key)] for key in column]) for column in ordered.T]
    first, second = network.decode(sides[0], sides[1])
    maps = network.maps(first, 1, descriptors=config.matching is not None)
    conf, desc_conf = masked(maps.conf, maps.conf if maps.desc_conf is None else maps.desc_conf, covered[0])
    # A keyframe with itself is one picture in one order.
    once = len(pairs) + np.flatnonzero(pairs[:, 0] != pairs[:, 1])
    rows = [*range(len(pairs)), *once.tolist()]
    seen = [(int(ordered[row, 0]), maps.points[row], conf[row]) for row in rows]
    if config.matching is None:
        return _Seen(seen, None)
    return _Seen(seen, _matches(network, maps, desc_conf, second, covered[1], pairs, config.matching))


def _matches(
    network: MASt3R, maps: DenseMaps, conf_1: Tensor, second: SideTokens, covered: Tensor, pairs: np.ndarray,
    config: MatchingConfig,
) -> PairMatches:  # fmt: skip
    assert maps.desc is not None
    desc_2, conf_2 = network.descriptors(second, 2)
    _, conf_2 = masked(conf_2, conf_2, covered)
    found = reciprocal_matches(maps.desc, desc_2, conf_1, conf_2, config)
    return joined_orders(found, pairs)


def joined_orders(found: DescriptorMatches, pairs: Int[np.ndarray, "pairs 2"]) -> PairMatches:
    """Matches of both orders of pairs (the second half of `found` is the other order), each once, with its greater
    confidence; none of a keyframe with itself."""
    count = len(pairs)
    pair, confidence = found.pair.cpu().numpy(), found.confidence.double().cpu().numpy()
    ends = found.xy_1.double().cpu().numpy(), found.xy_2.double().cpu().numpy()
    turned = (pair >= count)[:, None]
    xy_1, xy_2 = np.where(turned, ends[1], ends[0]), np.where(turned, ends[0], ends[1])
    rows = np.concatenate([(pair % count)[:, None], xy_1, xy_2], 1)
    kept = pairs[pair % count, 0] != pairs[pair % count, 1]
    unique, inverse = np.unique(rows[kept], axis=0, return_inverse=True)
    most = np.zeros(len(unique))
    np.maximum.at(most, inverse.reshape(-1), confidence[kept])
    of = pairs[unique[:, 0].astype(int)]
    return PairMatches(of[:, 0], of[:, 1], unique[:, 1:3], unique[:, 3:5], most)
