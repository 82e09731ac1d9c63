"""What the view says is what the renderer draws, and the cache changes nothing."""

import numpy as np
import pytest

from diorama.render.raycast import render
from diorama.synthetic.simulate import CachedView
from diorama.synthetic.simulate.exact_view import grid_size, look
from simulated_world import simulated_world


def test_the_same_as_the_renderer(free_body):
    """The renderer gives everything to embree, face for face."""
    truth, view = simulated_world("walk", 12)
    world, cameras = view.world, truth.cameras
    for row in (0, 11):
        depth, ids = view.depth_and_ids(row, 96, 54)
        K = cameras.K[row] * np.array([0.1, 0.1, 1.0])[:, None]
        meshes = (*world.scenery, *(actor.mesh(row) for actor in world.actors))
        picture = render(meshes, K, cameras.T_world_camera[row], 96, 54, samples=1)
        assert np.array_equal(ids, picture.ids)
        assert set(np.unique(ids)) == {0, 1, 2}
        assert depth == pytest.approx(picture.depth, abs=1e-4)


class Counting:
    def __init__(self, view):
        self.view, self.asked = view, []

    def depth_and_ids(self, row, width, height):
        self.asked.append(row)
        return self.view.depth_and_ids(row, width, height)


def test_every_picture_is_cast_once(tmp_path, free_body):
    counting = Counting(simulated_world("walk", 12)[1])
    plain = look(counting.view, np.arange(6), 32, 18)
    for rows in (np.arange(0, 6, 2), np.arange(6), np.array([3])):
        cached = look(CachedView(counting, tmp_path, "walk"), rows, 32, 18)
        assert np.array_equal(cached.depth, plain.depth[rows]) and np.array_equal(cached.ids, plain.ids[rows])
    assert sorted(counting.asked) == [0, 1, 2, 3, 4, 5]
    look(CachedView(counting, tmp_path, "walk"), np.arange(2), 16, 9)
    look(CachedView(counting, tmp_path, "another"), np.arange(2), 32, 18)
    assert len(counting.asked) == 10
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "another-32x18.npz", "walk-16x9.npz", "walk-32x18.npz"
    ]  # fmt: skip
    depth, ids = CachedView(counting, tmp_path, "walk").depth_and_ids(4, 32, 18)
    assert np.array_equal(depth, plain.depth[4]) and np.array_equal(ids, plain.ids[4])


def test_a_damaged_file_is_made_again(tmp_path, free_body):
    counting = Counting(simulated_world("walk", 12)[1])
    view = CachedView(counting, tmp_path, "walk")
    before = look(view, np.arange(2), 32, 18)
    whole = view.path(32, 18).read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"no archive"):
        view.path(32, 18).write_bytes(damaged)
        assert np.array_equal(look(view, np.arange(2), 32, 18).depth, before.depth)
    assert len(counting.asked) == 8 and view.path(32, 18).read_bytes() == whole


def test_grids_keep_the_picture_s_shape():
    assert grid_size(960, 540, 128) == (128, 72)
    assert grid_size(1440, 1920, 128) == (96, 128)
    assert grid_size(4000, 10, 100) == (100, 1)
