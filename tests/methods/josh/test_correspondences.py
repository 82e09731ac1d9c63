"""Matches between keyframes as padded tensors, against a plain loop over the matches."""

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.methods.josh.correspondences import between_keyframes, carried_points
from diorama.methods.josh.point_maps import PointMaps
from diorama.observations import Matches, Source
from plane_maps import GROUND, SIZE, plane_maps

ROWS = np.array([2, 5, 6, 11])
WALL = (0.2, 0.0, 0.95, 5.0)
COUNT, EFFECTIVE = 240, 12.0


def four_maps() -> PointMaps:
    """Keyframes of a wall and of the ground, with holes."""
    maps = plane_maps([WALL, GROUND, WALL, GROUND], rows=ROWS, distortion=-0.05)
    holes = np.random.default_rng(3).random(maps.background.shape) < 0.02
    return replace(maps, background=maps.background & ~holes)


def random_matches(count=COUNT, seed=0, frames=(2, 3, 5, 6, 9, 11)) -> Matches:
    """Between any two of some frames, also a frame and itself; a few pixels are no numbers, a few lie outside."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.choice(frames, (count, 2)), axis=1)
    xy = rng.random((2, count, 2)) * np.array(SIZE) * 1.05
    xy[0, 3::40], xy[1, 8::40] = np.nan, np.inf
    return Matches(Source("m"), ends[:, 0], ends[:, 1], xy[0], xy[1], rng.random(count))


def plain(matches, maps, effective):
    """{(from, to): rows of a side, one per match in their order}, by a loop over matches."""
    place = {int(row): key for key, row in enumerate(maps.rows)}
    usable, confidences = [], []
    for m in range(len(matches.frames_i)):
        ends = [place.get(int(f[m]), -1) for f in (matches.frames_i, matches.frames_j)]
        xy = [pixels[m : m + 1] for pixels in (matches.xy_i, matches.xy_j)]
        if min(ends) < 0 or ends[0] == ends[1] or not all(np.isfinite(pixel).all() for pixel in xy):
            continue
        shown = []
        for key, pixel in zip(ends, xy, strict=True):
            at = np.array([key])
            parts = maps.straight(pixel, at)[0], maps.depth_at(pixel, at)[0], maps.weights(pixel)[0]
            shown.append(np.concatenate([parts[0], [parts[1]], parts[2]]))
        usable.append((*ends, *shown))
        confidences.append(matches.confidence[m])
    middle = np.median(confidences)
    count = defaultdict(int)
    for a, b, *_ in usable:
        count[a, b] += 1
    sides = defaultdict(list)
    for (a, b, one, other), confidence in zip(usable, confidences, strict=True):
        weight = min(confidence / middle, 2.0) * min(1.0, effective / count[a, b])
        for key, end, first, second in ((a, b, one, other), (b, a, other, one)):
            known, there = first[2] > 0, first[2] > 0 and second[2] > 0
            sides[key, end].append(np.concatenate([first, second, [weight * known, weight * there]]))
    return {ends: np.array(rows) for ends, rows in sides.items()}


def as_rows(carried):
    """The same of the tensors: without padding, unknown depths 0 as in the maps."""
    out = {}
    for n, ends in enumerate(zip(carried.source.tolist(), carried.target.tolist(), strict=True)):
        names = ("pixel", "depth", "nodes", "seen", "seen_depth", "seen_nodes", "weight", "depth_weight")
        parts = [getattr(carried, name)[n].double().numpy() for name in names]
        rows = np.concatenate([p.reshape(len(p), -1) for p in parts], 1)
        real = np.abs(rows[:, 3 : 3 + carried.nodes.shape[2]]).sum(1) > 0
        assert (rows[~real, -2:] == 0).all()
        assert ends not in out
        out[ends] = rows[real]
    return out


def assert_the_same(carried, expected, nodes):
    found = as_rows(carried)
    assert found.keys() == expected.keys()
    for ends, rows in expected.items():
        mine, theirs = found[ends].copy(), rows.copy()
        for depth in (2, 5 + nodes):
            # What has no depth may say anything: it has no weight.
            mine[theirs[:, depth] == 0, depth] = 0
        assert mine.shape == theirs.shape, ends
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-4, err_msg=str(ends))


@pytest.mark.parametrize("effective", [1e9, EFFECTIVE, 1.0])
@pytest.mark.parametrize("chosen", [[0, 1, 2, 3], [1, 3], [0, 1, 3]])
def test_both_directions_of_all_matches_between_keyframes(effective, chosen):
    maps, matches = four_maps().of(np.array(chosen)), random_matches()
    expected = plain(matches, maps, effective)
    assert len(expected) == len(chosen) * (len(chosen) - 1)
    carried = carried_points(matches, maps, effective)
    assert carried.pairs == len(expected) // 2
    assert_the_same(carried, expected, maps.nodes)
    # Something of everything is in it: matches without depth at either end.
    rows = np.concatenate(list(expected.values()))
    assert (rows[:, -2] == 0).any() and ((rows[:, -2] > 0) & (rows[:, -1] == 0)).any()


def test_sides_come_in_pairs():
    carried = carried_points(random_matches(), four_maps(), EFFECTIVE)
    assert (carried.source[0::2] == carried.target[1::2]).all() and (carried.source[1::2] == carried.target[0::2]).all()


def test_a_pair_with_many_matches_counts_as_so_many():
    """Few matches count as they are, many as the effective number; with holes, less."""
    maps = plane_maps([WALL, WALL, WALL], rows=[0, 1, 2])
    few = replace(random_matches(10, 1, frames=(0, 1)), frames_i=np.zeros(10, int), frames_j=np.ones(10, int))
    many = replace(random_matches(90, 2, frames=(0, 2)), frames_i=np.zeros(90, int), frames_j=np.full(90, 2))
    both = Matches(few.source, *(np.concatenate([getattr(m, n) for m in (few, many)]) for n in
                   ("frames_i", "frames_j", "xy_i", "xy_j")), np.full(100, 0.3))  # fmt: skip
    both = replace(both, xy_i=np.full((100, 2), 50.0), xy_j=np.full((100, 2), 70.0))
    carried = carried_points(both, maps, EFFECTIVE)
    total = {int(b): float(w.sum()) for b, w in zip(carried.target, carried.weight, strict=True) if b}
    assert total == pytest.approx({1: 10.0, 2: 12.0}, rel=1e-6)


def test_confidences_are_relative_and_no_number_is_none():
    matches = random_matches()
    one = carried_points(matches, four_maps(), EFFECTIVE)
    other = carried_points(replace(matches, confidence=0.01 * matches.confidence), four_maps(), EFFECTIVE)
    torch.testing.assert_close(one.weight, other.weight)
    broken = matches.confidence.copy()
    broken[::7] = np.nan
    broken[1::7] = -1.0
    zero = np.where(np.isfinite(broken) & (broken > 0), broken, 0.0)
    same = [carried_points(replace(matches, confidence=c), four_maps(), EFFECTIVE) for c in (broken, zero)]
    torch.testing.assert_close(same[0].weight, same[1].weight)
    assert (same[0].weight >= 0).all() and torch.isfinite(same[0].weight).all()


def test_the_order_of_matches_of_different_pairs_does_not_matter():
    matches = random_matches()
    order = np.argsort(np.random.default_rng(1).random(COUNT))
    mixed = Matches(matches.source, *(getattr(matches, n)[order] for n in list(matches.__dataclass_fields__)[1:]))
    found = [as_rows(carried_points(m, four_maps(), EFFECTIVE)) for m in (matches, mixed)]
    assert found[0].keys() == found[1].keys()
    for ends, rows in found[0].items():
        sets = [r[np.lexsort(np.round(r.T, 3))] for r in (rows, found[1][ends])]
        np.testing.assert_allclose(*sets, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("frames", [None, (3, 9), (5, 9)])
def test_without_a_match_between_keyframes_there_is_no_pair(frames):
    matches = None if frames is None else random_matches(50, frames=frames)
    carried = carried_points(matches, four_maps(), EFFECTIVE)
    assert carried.pairs == 0 and carried.weight.shape == (0, 0) and carried.nodes.shape == (0, 0, 6)


def test_the_matches_between_keyframes_are_told_with_their_ends():
    matches, maps = random_matches(), four_maps()
    key_i, key_j, chosen = between_keyframes(matches, maps)
    np.testing.assert_array_equal(ROWS[key_i], matches.frames_i[chosen])
    np.testing.assert_array_equal(ROWS[key_j], matches.frames_j[chosen])
    inside = np.isin(matches.frames_i, ROWS) & np.isin(matches.frames_j, ROWS) & (matches.frames_i < matches.frames_j)
    assert inside[3::40].any() and inside[8::40].any()
    inside[3::40] = inside[8::40] = False
    np.testing.assert_array_equal(chosen, np.flatnonzero(inside))
