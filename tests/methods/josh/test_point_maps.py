"""Depth between the pixels of point maps, their nodes and rays, and what counts as background."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.geometry.cameras import pixel_grid, project
from diorama.methods.josh.point_maps import PointMaps, point_maps
from diorama.observations import Depth, MaskStack, ObservedCameras, Source, Track
from plane_maps import GROUND, SIZE, plane_depth, plane_maps

WALL = (0.3, -0.1, 0.95, 4.0)
CELLS = (48, 32)
CELL = np.array(SIZE) / CELLS


def pixels_inside(count, seed=0):
    """Random source pixels between the centres of the outermost map pixels."""
    rng = np.random.default_rng(seed)
    return 0.5 * CELL + rng.random((count, 2)) * (np.array(SIZE) - CELL)


def centre_of(x, y):
    """Source pixel in the middle of a pixel of the map."""
    return np.array([[x + 0.5, y + 0.5]]) * CELL


def first(count):
    return np.zeros(count, int)


def test_planes_are_exact_between_pixels():
    maps = plane_maps([WALL, GROUND, WALL], cells=CELLS)
    pixels, keys = pixels_inside(300), np.arange(300) % 3
    found = maps.depth_at(pixels, keys)
    for key, plane in enumerate((WALL, GROUND, WALL)):
        mine = (keys == key) & (found > 0)
        assert mine.sum() > 50
        true = plane_depth(maps, np.array(plane), pixels[mine], key)
        np.testing.assert_allclose(found[mine], true, rtol=2e-6)
    assert (found[keys != 1] > 0).all()


def test_centres_of_pixels_are_at_half_integers():
    """There the map's own value comes back, whatever is beside it; a shift by one source pixel would show."""
    maps = plane_maps([WALL], cells=CELLS)
    for x, y in ((0, 0), (47, 31), (20, 11)):
        alone = np.zeros_like(maps.background)
        alone[0, y, x] = True
        found = replace(maps, background=alone).depth_at(centre_of(x, y), first(1))
        assert found[0] == pytest.approx(maps.depth[0, y, x], rel=1e-6)
    np.testing.assert_allclose(maps.cells(np.array([[5.0, 5.0], [480.0, 320.0]])), [[0.5, 0.5], [48, 32]])


def test_the_border_has_the_depth_of_the_outermost_pixels():
    maps = plane_maps([WALL], cells=CELLS)
    corners = np.array([[0.0, 0.0], [480.0, 0.0], [0.0, 320.0], [480.0, 320.0]])
    np.testing.assert_allclose(maps.depth_at(corners, first(4)), maps.depth[0][[0, 0, -1, -1], [0, -1, 0, -1]])


@pytest.mark.parametrize(
    "pixel", [(-0.1, 50.0), (480.1, 50.0), (50.0, -3.0), (50.0, 321.0), (np.nan, 50.0), (50.0, np.inf)]
)
def test_outside_the_picture_nothing_is_known(pixel):
    assert plane_maps([WALL]).depth_at(np.array([pixel]), first(1))[0] == 0


@pytest.mark.parametrize("hole", ["unknown", "person"])
def test_next_to_a_hole_nothing_is_known(hole):
    maps = plane_maps([WALL], cells=CELLS)
    if hole == "unknown":
        maps.depth[0, 11, 20] = 0
    maps.background[0, 11, 20] = False
    around = centre_of(20, 11) + CELL * np.array(
        [[0, 0], [0.9, 0.2], [-0.5, 0], [0.3, -0.8], [1.0, 0.0], [1.0, 1.0], [1.3, 0]]
    )
    np.testing.assert_array_equal(maps.depth_at(around, first(7)) > 0, [False] * 4 + [True] * 3)


def test_between_two_surfaces_is_neither():
    maps = plane_maps([(0.0, 0.0, 1.0, 4.0)], cells=CELLS)
    maps.depth[0, :, 24:] = 4.0 * 1.3
    steps = np.concatenate([centre_of(23 + share, 9) for share in (0.0, 0.3, 0.7, 1.0)])
    np.testing.assert_allclose(maps.depth_at(steps, first(4)), [4.0, 0, 0, 5.2], rtol=1e-6)


@pytest.mark.parametrize("grid", [(6, 4), (2, 2), (1, 1), (4, 1)])
def test_nodes_are_bilinear(grid):
    """Shares of one; a node alone at its place; and what is linear over the picture comes back."""
    maps = replace(plane_maps([WALL]), grid=grid)
    nodes = np.stack(np.meshgrid(*(np.linspace(0, s, g) for s, g in zip(SIZE, grid, strict=True))), -1).reshape(-1, 2)
    np.testing.assert_allclose(maps.weights(nodes), np.eye(maps.nodes), atol=1e-12)
    pixels = pixels_inside(50)
    weights = maps.weights(pixels)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1)
    found = weights @ nodes
    for axis in (0, 1):
        if grid[axis] > 1:
            np.testing.assert_allclose(found[:, axis], pixels[:, axis], atol=1e-9)


def test_straight_pixels_are_those_of_a_pinhole():
    maps = plane_maps([WALL] * 3, distortion=-0.12)
    rng = np.random.default_rng(1)
    points = rng.normal((0, 0, 5), (0.8, 0.6, 0.5), (60, 3))
    keys = rng.integers(0, 3, 60)
    K = np.array([[[f, 0, c[0]], [0, f, c[1]], [0, 0, 1]] for f, c in zip(maps.focal, maps.centre, strict=True)])
    pixels = project(points[:, None], K[keys], maps.distortion[keys])[:, 0]
    wanted = maps.focal[keys, None] * points[:, :2] / points[:, 2:]
    assert np.abs(pixels - maps.centre[keys] - wanted).max() > 1
    np.testing.assert_allclose(maps.straight(pixels, keys), wanted, atol=1e-6)


def test_some_keyframes_are_those_keyframes():
    maps = plane_maps([WALL, GROUND, WALL, GROUND], rows=[0, 4, 9, 12])
    maps = replace(maps, prior=2 * maps.depth)
    chosen = np.array([1, 3])
    part = maps.of(chosen)
    assert list(part.rows) == [4, 12] and part.size == maps.size and part.grid == maps.grid
    pixels = pixels_inside(20)
    for key, whole in enumerate(chosen):
        one, other = (m.depth_at(pixels, np.full(20, k)) for m, k in ((part, key), (maps, whole)))
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(
            part.straight(pixels, np.full(20, key)), maps.straight(pixels, np.full(20, whole))
        )
    np.testing.assert_array_equal(part.prior, maps.prior[chosen])


def depth_of(maps, frames, metric=True):
    maps = np.asarray(maps, np.float32)
    K = np.tile([[1.0, 0, 2], [0, 1, 2], [0, 0, 1]], (len(maps), 1, 1))
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    return Depth(Source("d"), np.asarray(frames), maps, np.ones_like(maps), K, metric, *nothing)


def cameras_of(count):
    K = np.tile([[500.0, 0, 30], [0, 500, 20], [0, 0, 1]], (count, 1, 1))
    K[:, 0, 0] += np.arange(count)
    T = np.tile(np.eye(4), (count, 1, 1))
    return ObservedCameras(Source("k"), "static", "given", K, np.zeros((count, 1)), T, np.ones(count, bool))


def track_of(frames, mask, window, size=(12, 8)):
    count = len(frames)
    masks = None if mask is None else MaskStack.encode([(window, mask)] * count, *size)
    boxes, keypoints = np.tile([15.0, 10, 35, 30], (count, 1)), np.zeros((count, 17, 3))
    return Track(1, np.asarray(frames), boxes, keypoints, "coco17", masks)


def maps_of(depth, prior=None, tracks=()):
    return point_maps(depth, prior, cameras_of(9), tracks, (60, 40), (2, 2))


def test_background_is_known_trusted_and_nobody():
    values = np.full((1, 8, 12), 3.0)
    for x, bad in enumerate((np.nan, np.inf, 0.0, -2.0)):
        values[0, 0, x] = bad
    depth = depth_of(values, [4])
    depth.confidence[0, 1, :2] = 0.0, np.nan
    maps = maps_of(depth, tracks=(track_of([3, 4], np.ones((2, 1), bool), (6, 4, 7, 6)),))
    expected = np.ones((8, 12), bool)
    expected[0, :4] = expected[1, :2] = False
    # The person's two pixels and one around.
    expected[3:7, 5:8] = False
    np.testing.assert_array_equal(maps.background[0], expected)
    assert np.isfinite(maps.depth).all() and (maps.depth[0, 0, :4] == 0).all() and (maps.depth[0, 1:] == 3).all()


def test_people_of_other_frames_hide_nothing_and_masks_may_be_finer():
    depth = depth_of(np.full((2, 8, 12), 3.0), [2, 5])
    maps = maps_of(depth, tracks=(track_of([5], np.ones((4, 4), bool), (12, 4, 16, 8), size=(24, 16)),))
    assert maps.background[0].all()
    hidden = np.zeros((8, 12), bool)
    hidden[1:5, 5:9] = True
    np.testing.assert_array_equal(~maps.background[1], hidden)


def test_somebody_without_a_mask_hides_nothing():
    assert maps_of(depth_of(np.full((1, 8, 12), 3.0), [2]), tracks=(track_of([2], None, None),)).background.all()


def test_rays_are_those_of_the_cameras():
    maps = maps_of(depth_of(np.ones((2, 8, 12)), [2, 7]))
    np.testing.assert_array_equal(maps.focal, [502, 507])
    np.testing.assert_array_equal(maps.centre, [[30, 20], [30, 20]])
    assert list(maps.rows) == [2, 7] and isinstance(maps, PointMaps)


def test_the_prior_is_put_on_the_same_keyframes_and_pixels():
    fine = pixel_grid(24, 16)
    values = np.stack([fine[..., 0] + 100 * np.floor(fine[..., 1]) + 1e4 * n for n in (1, 2, 3)])
    values[1, 0, 1] = np.nan
    values[1, 1, 1] = -1
    depth = depth_of(np.ones((3, 8, 12)), [2, 3, 5])
    prior = maps_of(depth, depth_of(values, [5, 2, 8])).prior
    assert (prior[1] == 0).all()
    for key, index in ((0, 1), (2, 0)):
        y, x = np.nonzero(prior[key])
        shown = prior[key, y, x] - 1e4 * (index + 1)
        # The nearest of its pixels: the middle of a map's pixel is half a pixel of the prior away, across and down.
        np.testing.assert_allclose(np.abs(shown % 100 - (2 * x + 1)), 0.5)
        np.testing.assert_allclose(np.abs(shown // 100 + 0.5 - (2 * y + 1)), 0.5)
    assert (prior >= 0).all() and (prior[2] > 0).all()
    assert maps_of(depth, depth_of(values, [5, 2, 8], metric=False)).prior is None
    assert maps_of(depth).prior is None
