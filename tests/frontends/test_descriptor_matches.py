"""Matches are mutual nearest neighbours, found once, whatever the batch; masks keep people out; known shifts are found."""

import pytest
import torch

from diorama.frontends import descriptor_matches
from diorama.frontends.descriptor_matches import MatchingConfig, masked, nearest, reciprocal_matches


def descriptors(*shape, seed=0):
    drawn = torch.randn(*shape, 8, generator=torch.Generator().manual_seed(seed))
    return drawn / drawn.norm(dim=-1, keepdim=True)


def smooth(pairs, height, width):
    """Descriptors that change slowly, so that walks arrive from afar."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    waves = torch.stack([(0.11 * (k + 1) * rows + 0.07 * (4 - k) * columns).sin() for k in range(4)], -1)
    waves = torch.cat([waves, torch.ones_like(waves[..., :1])], -1)
    return (waves / waves.norm(dim=-1, keepdim=True)).expand(pairs, -1, -1, -1)


def ones(desc):
    return torch.ones(desc.shape[:3])


def flat(xy, width):
    return (xy[:, 1] - 0.5).long() * width + (xy[:, 0] - 0.5).long()


def test_all_matches_are_mutual_and_none_is_twice():
    first, second = descriptors(3, 24, 40), descriptors(3, 32, 16, seed=1)
    found = reciprocal_matches(first, second, ones(first), ones(second))
    a, b = flat(found.xy_1, 40), flat(found.xy_2, 16)
    scores = first.flatten(1, 2) @ second.flatten(1, 2).transpose(1, 2)
    assert torch.equal(scores.argmax(2)[found.pair, a], b)
    assert torch.equal(scores.argmax(1)[found.pair, b], a)
    rows = torch.stack([found.pair, a, b], 1)
    assert len(rows) == len(rows.unique(dim=0)) > 20
    assert (found.pair.diff() >= 0).all()


def test_seeds_everywhere_find_all_mutual_pairs():
    first, second = descriptors(1, 12, 20), descriptors(1, 12, 20, seed=1)
    found = reciprocal_matches(first, second, ones(first), ones(second), MatchingConfig(stride=1))
    scores = first[0].flatten(0, 1) @ second[0].flatten(0, 1).T
    across, back = scores.argmax(1), scores.argmax(0)
    mutual = (back[across] == torch.arange(240)).nonzero()[:, 0]
    assert torch.equal(flat(found.xy_1, 20).sort().values, mutual)


def test_a_pair_is_matched_as_if_alone():
    first, second = descriptors(3, 24, 40), descriptors(3, 24, 40, seed=1)
    second[1] = first[1]  # arrives at once, the others walk
    together = reciprocal_matches(first, second, ones(first), ones(second))
    for pair in range(3):
        alone = reciprocal_matches(first[pair : pair + 1], second[pair : pair + 1], ones(first[:1]), ones(second[:1]))
        assert torch.equal(together.xy_1[together.pair == pair], alone.xy_1)
        assert torch.equal(together.xy_2[together.pair == pair], alone.xy_2)


def test_a_shift_is_found():
    wide = smooth(1, 48, 96)
    first, second = wide[:, :, :80], wide[:, :, 16:]
    found = reciprocal_matches(first, second, ones(first), ones(second))
    inside = found.xy_1[:, 0] > 18
    assert inside.sum() > 40
    shift = (found.xy_1 - found.xy_2)[inside]
    assert torch.equal(shift, torch.tensor([16.0, 0]).expand_as(shift))


def test_people_are_not_matched_and_confidences_are_geometric_means():
    first = descriptors(2, 24, 40)
    people = torch.zeros(2, 24, 40, dtype=torch.bool)
    people[:, :, :20] = True
    conf, kept = masked(3 * ones(first), 4 * ones(first), people)
    assert conf[people].unique() == 1 and conf[~people].unique() == 3
    found = reciprocal_matches(first, first, kept, 9 * ones(first))
    assert found.xy_1[:, 0].min() > 20 and torch.equal(found.xy_1, found.xy_2)
    assert found.confidence.unique().item() == pytest.approx(6)
    assert torch.equal(found.xy_1 % 1, torch.full_like(found.xy_1, 0.5))


def test_blocks_change_nothing(monkeypatch):
    asked, known = descriptors(2, 1, 30)[:, 0], descriptors(2, 1, 50, seed=1)[:, 0]
    whole = nearest(asked, known)
    monkeypatch.setattr(descriptor_matches, "_BLOCK", 128)
    assert torch.equal(nearest(asked, known), whole)


def test_nothing_to_match():
    empty, small = descriptors(0, 16, 16), descriptors(1, 3, 3)  # no pair; no seed fits
    assert len(reciprocal_matches(empty, empty, ones(empty), ones(empty)).pair) == 0
    assert len(reciprocal_matches(small, small, ones(small), ones(small)).pair) == 0
