"""Dense depth of a drawn world whose depth is known exactly: a ground with texture, a wall behind, a post before it."""

from dataclasses import replace

import numpy as np
import pytest
from drawn_world import HEIGHT, K1, WIDTH, K, film

from diorama.frontends.dense import DenseConfig, pick_keyframes, pick_neighbours, triangulate_scene
from diorama.frontends.depth_fusion import FusionConfig, clean_edges
from diorama.frontends.ray_depth import RayDepth
from diorama.geometry.transforms import rigid
from diorama.observations import ObservedCameras, Source

FRAMES = 17


@pytest.fixture(scope="module")
def world():
    u = np.linspace(0, 1, FRAMES)
    Ts = rigid(np.repeat(np.eye(3)[None], FRAMES, 0), np.stack([0.8 * u, 0 * u, 0.5 * u], 1))
    video, depths = film(Ts)
    points = np.stack([*np.random.default_rng(0).uniform(-2, 2, (2, 200)), np.full(200, 12.0)], 1)
    cameras = ObservedCameras(
        Source("truth"), "translating", "given", np.repeat(K[None], FRAMES, 0), np.full((FRAMES, 1), K1), Ts,
        np.ones(FRAMES, bool), points_world=points, colors=np.zeros((200, 3), np.uint8),
    )  # fmt: skip
    return video, cameras, depths


CONFIG = DenseConfig(per_hundred=30, baselines=(0.01, 0.02, 0.04), reach=16)


@pytest.fixture(scope="module")
def result(world):
    video, cameras, _ = world
    return triangulate_scene(video, None, cameras, CONFIG, progress=False)


def test_depth_agrees_with_the_truth(world, result):
    truth = np.array([world[2][row][1::2, 1::2][: HEIGHT // 2, : WIDTH // 2] for row in result.frames])
    known = (result.depth > 0) & (truth > 0)
    error = np.abs(result.depth[known] / truth[known] - 1)
    assert np.median(error) < 0.01
    assert (error > 0.1).mean() < 0.01
    # of what is not sky, over all keyframes (those at the ends see less in common with others)
    assert known.sum() / (truth > 0).sum() > 0.5


def test_sky_gets_no_depth(world, result):
    truth = np.array([world[2][row][1::2, 1::2][: HEIGHT // 2, : WIDTH // 2] for row in result.frames])
    assert (result.depth[truth == 0] > 0).mean() < 0.01


def test_fused_points_lie_on_the_surfaces(result):
    x, y, z = result.points.astype(float).T
    ground, wall = np.abs(y - 1.5), np.abs(z - 12)
    post = np.where((x > 0.4) & (x < 1.0), np.abs(z - 6), np.inf)
    miss = np.minimum(np.minimum(ground, wall), post)
    assert len(result.points) > 3000
    assert np.median(miss) < 0.05
    assert (miss > 0.5).mean() < 0.02
    assert len(result.points) == len(result.colors) == len(result.points_confidence)
    assert result.points_confidence.min() >= 0 and result.points_confidence.max() <= 1
    assert np.isfinite(result.points).all()


def test_neighbours_come_with_growing_baselines(world):
    video, cameras, _ = world
    neighbours = pick_neighbours(video, cameras, 8, CONFIG)
    apart = [abs(row - 8) for row in neighbours]
    assert apart == sorted(apart) and len(set(neighbours)) == len(neighbours) and 8 not in neighbours


def test_keyframes_lie_on_matched_frames_where_those_are_near(world):
    video, cameras, _ = world
    even = pick_keyframes(video, cameras, CONFIG)
    assert len(even) == 5
    matched = np.arange(0, FRAMES, 2)
    moved = pick_keyframes(video, cameras, CONFIG, matched)
    assert np.isin(moved, matched).all() and len(moved) == len(even)
    assert np.abs(moved - even).max() <= 2
    np.testing.assert_array_equal(pick_keyframes(video, cameras, CONFIG, np.array([0, 1])), [1, *even[1:]])
    np.testing.assert_array_equal(pick_keyframes(video, cameras, CONFIG, even[:0]), even)


@pytest.mark.parametrize("matched", [[2], [4], [4, 5], [0, 16], range(FRAMES)])
def test_as_many_keyframes_whatever_is_matched(world, matched):
    video, cameras, _ = world
    even = pick_keyframes(video, cameras, CONFIG)
    moved = pick_keyframes(video, cameras, CONFIG, np.array(matched))
    assert len(np.unique(moved)) == len(even) and (np.diff(moved) > 0).all()
    assert np.isin(np.intersect1d(even, matched), moved).all(), "one that is matched stays"


def test_a_camera_that_does_not_travel_has_no_scene(world):
    video, cameras, _ = world
    empty = triangulate_scene(video, None, replace(cameras, kind="rotating"), CONFIG, progress=False)
    assert len(empty.frames) == 0 and len(empty.points) == 0


def test_edges_go_and_slanted_planes_stay():
    inverse = np.linspace(0.1, 1.0, 60)[:, None] * np.ones((1, 80))
    inverse[20:40, 30:50] = 2.0
    slanted = RayDepth((1 / inverse).astype(np.float32), np.full(inverse.shape, 0.01, np.float32))
    kept = clean_edges(slanted, FusionConfig()).depth > 0
    assert not kept[30, 29] and not kept[30, 30]
    assert kept[5:15].mean() > 0.99 and kept[25:35, 33:47].all()
