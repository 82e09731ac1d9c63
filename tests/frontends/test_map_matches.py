"""Matches of maps: where two keyframes see the same place of a drawn world, and how many are kept of exact maps."""

from dataclasses import replace

import numpy as np
import point_worlds as worlds
import pytest
from drawn_world import HEIGHT, K1, WIDTH, K, film

from diorama.frontends.map_matches import MapMatchConfig, map_matches
from diorama.frontends.mapping import Lens, MappingConfig, map_segment
from diorama.geometry.cameras import project, unproject
from diorama.geometry.transforms import apply, invert, rigid
from diorama.observations import MaskStack, Source, Track, Tracks

FRAMES = 17


def pairs_of(matches):
    return np.unique(np.stack([matches.frames_i, matches.frames_j], 1), axis=0)


def person() -> Tracks:
    """Somebody who crosses the picture, with a mask of an ellipse of 60 x 160 px."""
    y, x = np.mgrid[:160, :60]
    ellipse = ((x - 29.5) / 30) ** 2 + ((y - 79.5) / 80) ** 2 < 1
    boxes = [(40 + 20 * row, 90, 100 + 20 * row, 250) for row in range(FRAMES)]
    masks = MaskStack.encode([(box, ellipse) for box in boxes], WIDTH, HEIGHT)
    track = Track(1, np.arange(FRAMES), np.array(boxes, float), np.zeros((FRAMES, 33, 3)), "blazepose33", masks)
    return Tracks(Source("drawn"), (track,))


@pytest.fixture(scope="module")
def drawn():
    u = np.linspace(0, 1, FRAMES)
    Ts = rigid(np.repeat(np.eye(3)[None], FRAMES, 0), np.stack([2 * u - 1, 0 * u, 0.8 * u], 1))
    video, depths = film(Ts)
    config = MappingConfig(threads=1, max_features=800)
    lens = Lens(K[0, 0] / WIDTH, K1, fixed=True, fixed_k1=True)
    found = map_segment(video, person(), np.arange(0, FRAMES, 2), config, lens)
    assert found is not None
    return Ts, depths, map_matches([found], (WIDTH, HEIGHT))


def test_matches_show_the_same_place(drawn):
    """The true depth of a pixel, seen by the true cameras, distorted as the picture is."""
    Ts, depths, matches = drawn
    assert len(matches.xy_i) > 3000 and np.ptp(matches.frames) >= 12
    misses = []
    for i, j in pairs_of(matches):
        mine = (matches.frames_i == i) & (matches.frames_j == j)
        one, two = matches.xy_i[mine].astype(float), matches.xy_j[mine]
        x, y = one.astype(int).T
        depth = depths[i][y, x]
        there = project(apply(invert(Ts[j]), apply(Ts[i], unproject(one, depth, K, np.array([K1])))), K, np.array([K1]))
        misses.append(np.linalg.norm(there - two, axis=1)[depth > 0])
    miss = np.concatenate(misses)
    assert np.median(miss) < 0.2
    # Beside an edge the depth of the nearest pixel is that of another surface.
    assert np.quantile(miss, 0.98) < 2


def test_no_match_lies_on_a_person(drawn):
    _, _, matches = drawn
    masks = person().people[0].masks
    assert masks is not None
    around = 0
    for row in matches.frames:
        xy = np.concatenate([matches.xy_i[matches.frames_i == row], matches.xy_j[matches.frames_j == row]])
        x, y = xy.astype(int).T
        assert not masks.full(int(row))[y, x].any()
        x0, y0, x1, y1 = masks.windows[row]
        around += ((x >= x0) & (x < x1) & (y >= y0) & (y < y1)).sum()
    assert around > 20, "the scene shows in the corners of his box"


def exact_maps(noise_px=0.0):
    rng = np.random.default_rng(0)
    Ts, points = worlds.walking(rng, 152, 8.0), worlds.street(rng, 3000)
    parts = [(np.arange(0, 72), 4), (np.arange(48, 112), 4), (np.arange(88, 152), 4)]
    return [worlds.segment(rng, points, Ts, rows, rows[::step], noise_px).found for rows, step in parts]


def plainly(found, window):
    """All matches of a map, point by point: {(row i, row j, point): (xy i, xy j)}."""
    out = {}
    for point in range(len(found.points)):
        sightings = np.flatnonzero(found.seen_point == point)
        for a in sightings:
            for b in sightings:
                i, j = found.seen_key[a], found.seen_key[b]
                if 0 < j - i <= window:
                    out[int(found.rows[i]), int(found.rows[j]), point] = (found.seen_xy[a], found.seen_xy[b])
    return out


def test_every_pair_in_the_window_is_matched_at_every_common_point():
    found = exact_maps()[1]
    matches = map_matches([found], (1920, 1080), MapMatchConfig(window=3, per_pair=10**6))
    plain = plainly(found, 3)
    wanted = sorted((i, j, *(2 * one), *(2 * two)) for (i, j, _), (one, two) in plain.items())
    got = np.column_stack([matches.frames_i, matches.frames_j, matches.xy_i, matches.xy_j]).tolist()
    np.testing.assert_allclose(sorted(map(tuple, got)), wanted, atol=1e-3)
    np.testing.assert_array_equal(matches.frames, found.rows)
    assert matches.confidence.min() > 0.999


def test_overlapping_maps_give_a_pair_once():
    maps = exact_maps()
    config = MapMatchConfig(window=4, per_pair=50)
    matches = map_matches(maps, worlds.SIZE, config)
    pairs, counts = np.unique(np.stack([matches.frames_i, matches.frames_j], 1), axis=0, return_counts=True)
    apart = np.diff(pairs, axis=1)
    assert apart.min() == 4 and apart.max() == 16 and counts.max() == 50
    each = [pairs_of(map_matches([found], worlds.SIZE, config)) for found in maps]
    np.testing.assert_array_equal(np.unique(np.concatenate(each), axis=0), pairs)
    assert sum(map(len, each)) > len(pairs)
    again = map_matches(maps, worlds.SIZE, config)
    np.testing.assert_array_equal(matches.xy_i, again.xy_i)


def test_the_confident_and_the_spread_are_kept():
    found = exact_maps(noise_px=0.5)[0]
    every = map_matches([found], worlds.SIZE, MapMatchConfig(window=1, per_pair=10**6))
    some = map_matches([found], worlds.SIZE, MapMatchConfig(window=1, per_pair=120))
    for i in np.unique(some.frames_i):
        all_, kept = (matches.frames_i == i for matches in (every, some))
        assert kept.sum() == 120 < all_.sum()
        assert some.confidence[kept].mean() > every.confidence[all_].mean()
        cells = [set(map(tuple, m.xy_i[rows] // 60)) for m, rows in ((every, all_), (some, kept))]
        assert cells[0] == cells[1], "every cell keeps one"


def test_confidence_falls_with_the_miss_and_outliers_are_left_out():
    found = exact_maps()[0]
    xy = found.seen_xy.copy()
    first = np.flatnonzero(found.seen_key == 0)
    xy[first[0::3], 0] += 1
    xy[first[1::3], 0] += 2.5
    every = MapMatchConfig(window=1, per_pair=10**6)
    before = map_matches([found], worlds.SIZE, every)
    after = map_matches([replace(found, seen_xy=xy)], worlds.SIZE, every)
    lost = (before.frames_i == 0).sum() - (after.frames_i == 0).sum()
    assert lost == pytest.approx((before.frames_i == 0).sum() / 3, rel=0.2)
    confidence = np.sort(after.confidence[after.frames_i == 0])
    # A miss of 1 px at one of the two ends; pixels are rounded to 1/64 px.
    half = np.searchsorted(confidence, 0.8)
    np.testing.assert_allclose(confidence[:half], 2 / 3, atol=0.01)
    np.testing.assert_allclose(confidence[half:], 1, atol=0.01)
    assert 0.4 < half / len(confidence) < 0.6


def test_nothing_mapped_gives_no_matches():
    none = map_matches([], (640, 480))
    assert none.xy_i.shape == (0, 2) and len(none.frames) == 0
