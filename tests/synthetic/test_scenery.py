"""Scenery is the layout, exactly: rays down meet its ground, rays across its boxes; and it is full of features."""

import cv2
import numpy as np
import pytest

from diorama.geometry.cameras import intrinsics
from diorama.geometry.transforms import rigid
from diorama.render.raycast import render
from diorama.render.rays import RayScene
from diorama.synthetic.camera_moves import look_at
from diorama.synthetic.free_space import arena_of, clearance
from diorama.synthetic.layouts import PRESETS, random_layout
from diorama.synthetic.scenery import build_scenery, daylight


@pytest.fixture(scope="module", params=list(PRESETS))
def place(request):
    rng = np.random.default_rng([1, list(PRESETS).index(request.param)])
    layout = random_layout(request.param, rng)
    return layout, build_scenery(layout, rng), daylight(layout, rng)


def test_rays_down_meet_the_ground_and_the_tops_of_boxes(place):
    layout, scenery, _ = place
    rng, arena = np.random.default_rng(0), arena_of(layout)
    xy = arena.draw(rng, 0.0, 4000)
    height = layout.ground_height(xy)
    for slab in layout.slabs:
        height = np.where(slab.covers(xy), np.maximum(height, slab.top), height)
    # Embree's rays are float32: start near, where 0.1 mm is far above its rounding.
    start = min(arena.ceiling, 6.0)
    scene = RayScene([(mesh.vertices, mesh.faces) for mesh in scenery])
    hits = scene.first_hits(np.c_[xy, np.full(len(xy), start)], np.tile([0.0, 0, -1], (len(xy), 1)))
    assert (hits.mesh >= 0).all()
    borders = np.min([np.abs(np.abs(slab.local(np.c_[xy, 0 * height])[:, :2]) - np.array(slab.size[:2]) / 2).min(1)
                      for slab in layout.slabs], 0)  # fmt: skip
    found = start - hits.distance.astype(float)
    assert found[borders > 1e-4] == pytest.approx(height[borders > 1e-4], abs=1e-4)


def test_all_that_is_seen_inside_the_arena_belongs_to_the_layout(place):
    layout, scenery, _ = place
    rng, arena = np.random.default_rng(1), arena_of(layout)
    xy = arena.draw(rng, 0.1, 4000)
    start = np.c_[xy, layout.ground_height(xy) + rng.uniform(0.05, 2.0, len(xy))]
    start = start[(clearance(layout, start) > 0.02) & (start[:, 2] < arena.ceiling)]
    directions = rng.normal(size=start.shape)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = RayScene([(mesh.vertices, mesh.faces) for mesh in scenery]).first_hits(start, directions)
    points = start + hits.distance[:, None].astype(float) * directions
    inside = (hits.mesh >= 0) & arena.contains(points, 0.05)
    assert inside.sum() > 1000
    assert clearance(layout, points)[inside].max() < 1e-4


def test_every_part_of_a_picture_has_features(place):
    layout, scenery, light = place
    arena = arena_of(layout)
    for corner in (arena.low, arena.high):
        centre = np.array([*(0.8 * np.array(corner)), 0.0])
        centre[2] = layout.ground_height(centre[None, :2])[0] + 2.3
        if clearance(layout, centre[None])[0] < 0.3:
            centre[:2] *= 0.8
        T = rigid(look_at(centre[None], np.array([[0.0, 0, 0.7]]))[0], centre)
        picture = render(scenery, intrinsics(360.0, 480, 272), T, 480, 272, light=light)
        grey = cv2.cvtColor(picture.rgb, cv2.COLOR_RGB2GRAY)
        corners = cv2.goodFeaturesToTrack(grey, 4000, 0.01, 4).reshape(-1, 2).astype(int)
        for y in range(0, 272, 68):
            for x in range(0, 480, 80):
                sky = (picture.depth[y : y + 68, x : x + 80] == 0).mean()
                count = ((corners // [80, 68]) == [x // 80, y // 68]).all(1).sum()
                assert sky > 0.5 or count >= 5, (x, y)


def test_the_seed_decides():
    for preset in ("room", "slope"):
        layout = random_layout(preset, np.random.default_rng(2))
        one, same = (build_scenery(layout, np.random.default_rng(5)) for _ in range(2))
        assert len(one) == len(same)
        for a, b in zip(one, same, strict=True):
            assert np.array_equal(a.vertices, b.vertices) and np.array_equal(a.uv, b.uv)
            assert all(np.array_equal(s.atlas, t.atlas) for s, t in zip(a.textures, b.textures, strict=True))
