"""Maps at one scale, and the scene that they show together: nobody in it, holes filled, colours of the right pictures."""

import numpy as np
import pytest

from diorama.methods.share.background import merged, merged_as_published, published_factors, robust_factors
from diorama.methods.share.key_maps import SEVERAL, KeyMaps, borders, key_maps
from diorama.observations import Depth, MaskStack, Observations, ObservedCameras, Source, Track, Tracks

HEIGHT, WIDTH = 24, 36


def scenery():
    return 4.0 + 0.1 * np.arange(HEIGHT)[:, None] + 0.05 * np.arange(WIDTH)[None]


def maps_of(people, factors):
    """Exact scenery times a factor per keyframe; people (columns) stand 2 m in front of it."""
    count = len(factors)
    owner = np.zeros((count, HEIGHT, WIDTH), int)
    for key, columns in enumerate(people):
        for id, (first, last) in enumerate(columns, 1):
            owner[key, 6:20, first:last] = np.where(owner[key, 6:20, first:last], SEVERAL, id)
    depth = np.where(owner != 0, 2.0, scenery()) * np.asarray(factors)[:, None, None]
    K = np.tile([[30.0, 0, WIDTH / 2], [0, 30.0, HEIGHT / 2], [0, 0, 1]], (count, 1, 1))
    near = np.zeros(owner.shape, bool)
    return KeyMaps(np.arange(count), depth, np.ones(owner.shape, bool), owner, near, K, K, np.zeros((count, 1)))


def test_robust_factors_undo_the_maps_own_scales():
    scales = np.array([1.0, 0.9, 1.2, 1.05])
    found = robust_factors(maps_of([[(4, 10)], [(10, 16)], [(16, 22)], [(22, 28)]], scales))
    wanted = 1 / scales
    np.testing.assert_allclose(found, wanted / np.exp(np.log(wanted).mean()), rtol=1e-9)


def test_robust_factors_survive_a_third_of_wrong_pixels():
    maps = maps_of([[(4, 10)], [(10, 16)]], [1.0, 1.1])
    maps.depth[1, :8] *= 3.0
    found = robust_factors(maps)
    assert found[0] / found[1] == pytest.approx(1.1, rel=1e-6)
    assert abs(published_factors(maps)[1] - 1 / 1.1) > 0.2


def test_published_factors_are_ratios_of_means():
    maps = maps_of([[(4, 10)], [(10, 16)]], [1.0, 1.25])
    np.testing.assert_allclose(published_factors(maps), [1.0, 0.8])


def test_holes_are_filled_by_any_keyframe_and_people_are_gone():
    maps = maps_of([[(4, 12)], [(10, 20)], [(4, 12)]], [1.0, 1.0, 1.0])
    scene = merged(maps, None)
    seen = (maps.owner == 0).any(0)
    np.testing.assert_allclose(scene.depth[seen], scenery()[seen])
    assert not scene.depth[~seen].any() and (~seen).any(), "masks that always overlap leave a hole"
    np.testing.assert_allclose(scene.seen[seen], (maps.owner == 0).mean(0)[seen])


def test_the_published_merge_leaks_people_where_masks_overlap():
    maps = maps_of([[(4, 12)], [(10, 20)]], [1.0, 1.0])
    leaked = merged_as_published(maps, None).depth
    both = (maps.owner != 0).all(0)
    assert (leaked[both] == 2.0).all() and not merged(maps, None).depth[both].any()
    once = ~both & (maps.owner == 0).any(0)
    np.testing.assert_allclose(leaked[once], scenery()[once])


def test_colours_are_those_of_the_scenery():
    maps = maps_of([[(4, 12)], [(12, 20)], [(20, 28)]], [1.0, 1.0, 1.0])
    pictures = np.full((3, HEIGHT, WIDTH, 3), [10, 200, 90], np.uint8)
    pictures[maps.owner > 0] = [255, 0, 0]
    assert (merged(maps, pictures).colors == [10, 200, 90]).all()


def test_owners_borders_and_edges():
    """Two masks of which one pixel column is shared; a step in depth is an edge, its flat sides are not."""
    rows = np.array([0, 3])
    one, other = np.ones((10, 6), bool), np.ones((10, 5), bool)
    stacks = [
        MaskStack.encode([(window, mask)] * 2, WIDTH, HEIGHT)
        for window, mask in (((4, 4, 10, 14), one), ((9, 4, 14, 14), other))
    ]
    tracks = tuple(
        Track(id, rows, np.zeros((2, 4)), np.zeros((2, 33, 3)), "blazepose33", stack)
        for id, stack in enumerate(stacks, 1)
    )
    depth = np.full((2, HEIGHT, WIDTH), 5.0)
    depth[:, :, 25:] = 8.0
    depth[0, 0, 0] = np.nan
    K = np.tile([[30.0, 0, WIDTH / 2], [0, 30.0, HEIGHT / 2], [0, 0, 1]], (4, 1, 1))
    source = Source("test")
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    seen = Observations(
        WIDTH, HEIGHT, np.arange(4) / 30, np.arange(4), np.zeros(4, bool), tracks=Tracks(source, tracks),
        depth=Depth(source, rows, depth, np.ones_like(depth), K[:2], True, *nothing),
        cameras=ObservedCameras(
            source, "static", "given", K, np.zeros((4, 1)), np.tile(np.eye(4), (4, 1, 1)), np.ones(4, bool)
        ),
    )  # fmt: skip
    maps = key_maps(seen.depth, seen)
    assert maps.owner[0, 5, 5] == 1 and maps.owner[0, 5, 12] == 2 and maps.owner[0, 5, 9] == SEVERAL
    assert not maps.solid[0, 12, 24] and not maps.solid[0, 12, 25] and maps.solid[0, 12, 22] and maps.solid[0, 12, 27]
    assert not maps.solid[0, 0, 0] and maps.depth[0, 0, 0] == 0
    assert maps.near_people[0, 3, 5] and not maps.near_people[0, 5, 5] and not maps.background[0, 3, 5]
    edge = borders(maps.owner[0], 1)
    assert edge[4, 5] and edge[8, 4] and not edge[8, 6]
