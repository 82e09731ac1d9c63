"""Random layouts keep to the measures of real places, nothing stands in anything, and there is room to walk."""

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.synthetic.free_space import arena_of, clearance, footprint, is_free, sees, stage_of
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.layouts import PRESETS, random_layout

SEEDS = range(6)
EVERY = [(preset, seed) for preset in PRESETS for seed in SEEDS]


def layout_of(preset, seed):
    return random_layout(preset, np.random.default_rng([seed, 3]))


def points_in(slab, count=9):
    """A grid over the footprint, a little inside its border."""
    share = np.linspace(0.01, 0.99, count)
    a, b, _, d = footprint(slab)
    u, v = np.meshgrid(share, share)
    return a + u.reshape(-1, 1) * (b - a) + v.reshape(-1, 1) * (d - a)


@pytest.mark.parametrize(("preset", "seed"), EVERY)
def test_the_seed_decides_and_nothing_stands_in_anything(preset, seed):
    layout = layout_of(preset, seed)
    assert layout == layout_of(preset, seed) != layout_of(preset, seed + 1)
    assert layout.name == preset
    for index, slab in enumerate(layout.slabs):
        assert slab.base[2] == pytest.approx(layout.floor_height(np.array([slab.base[:2]]))[0], abs=1e-9)
        inside = points_in(slab)
        for other in layout.slabs[:index]:
            if not (slab.kind == other.kind == "wall"):  # houses stand in a corner of each other
                assert not other.covers(inside).any()


@pytest.mark.parametrize(("preset", "seed"), EVERY)
def test_there_is_room_for_people_and_cameras(preset, seed):
    layout, rng = layout_of(preset, seed), np.random.default_rng(seed)
    stage, arena = stage_of(layout), arena_of(layout)
    ground = stage.draw(rng, 0.4, 400)
    assert is_free(layout, ground, 0.35).mean() > 0.45
    assert arena.contains(ground).all()
    # a straight way of 2.5 m for a person of 0.7 m: not between every two points, but between many
    angle = rng.uniform(0, 2 * np.pi, 400)
    ends = ground + 2.5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    line = np.linspace(ground, ends, 13)
    assert is_free(layout, line, 0.35).all(0).mean() > 0.03
    assert (is_free(layout, ground, 0.35) <= is_free(layout, ground, 0.2)).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_stairs_are_those_of_people(seed):
    steps = layout_of("stairs", seed).of_kind("step")
    levels = [0.0, *(step.top for step in steps)]
    rises = np.diff(levels)
    assert (np.abs(rises) >= 0.15).all() and (np.abs(rises) <= 0.18).all()
    assert np.ptp(np.abs(rises)) < 1e-9
    deep = np.array([step.size[1] for step in steps])
    landings = deep > 1
    assert landings.any() and (deep[landings] >= 1.5).all()
    assert (deep[~landings] >= 0.27).all() and (deep[~landings] <= 0.32).all()
    assert steps[np.argmax([step.top for step in steps])].size[1] > 1
    near = np.array([step.base[1] - step.size[1] / 2 for step in steps])
    assert near[0] == pytest.approx(0) and near[1:] == pytest.approx((near + deep)[:-1])
    if steps[-1].top < max(levels):
        assert steps[-1].top == pytest.approx(abs(rises[0]))  # the flight down ends on the ground


@pytest.mark.parametrize("seed", SEEDS)
def test_slopes_and_obstacles(seed):
    slope = np.degrees(np.arctan(np.hypot(*layout_of("slope", seed).slope)))
    assert 4 <= slope <= 10
    layout = layout_of("clutter", seed)
    bars = layout.of_kind("obstacle")
    assert len(bars) >= 3
    for bar in bars:
        assert 0.1 <= bar.size[2] <= 0.3 and bar.size[1] <= 0.35
        across = np.array([-np.sin(bar.yaw), np.cos(bar.yaw)])
        for side in (-1, 1):
            before = np.array([bar.base[:2]]) + side * (bar.size[1] / 2 + 0.5) * across
            assert is_free(layout, before, 0.3).all()
            assert not any(other.covers(before).any() for other in bars)


@pytest.mark.parametrize("seed", SEEDS)
def test_rooms_are_closed_and_their_furniture_can_be_used(seed):
    layout = layout_of("room", seed)
    zone = stage_of(layout)
    assert {"bed", "table", "seat", "wall"} <= {slab.kind for slab in layout.slabs}
    assert 2.2 < zone.ceiling < 2.9
    heights = {"seat": (0.40, 0.48), "table": (0.70, 0.78), "bed": (0.40, 0.60)}
    for slab in layout.slabs:
        if slab.kind == "wall":
            continue
        assert zone.contains(footprint(slab)).all()
        if slab.kind in heights:
            assert heights[slab.kind][0] <= slab.top <= heights[slab.kind][1]
            front = np.array([-np.sin(slab.yaw), np.cos(slab.yaw)])
            assert is_free(layout, np.array([slab.base[:2]]) + (slab.size[1] / 2 + 0.45) * front, 0.3).all()
    around = np.stack([np.cos(a := np.linspace(0, 2 * np.pi, 40)), np.sin(a)], 1)
    inside, outside = np.tile([0, 0, 2.3], (40, 1)), np.c_[around * 20, np.full(40, 2.3)]
    assert not sees(layout, inside, outside).any()


def test_an_unknown_preset_is_named():
    with pytest.raises(DioramaError, match="street"):
        random_layout("moon", np.random.default_rng(0))


BLOCKS = Layout(
    "blocks", (Slab("clutter", (1.0, 0.5, 0.0), (1.2, 0.6, 1.0), 0.4), Slab("wall", (-1.0, 0, 0), (0.2, 4.0, 2.0))),
    (0.1, 0.0),
)  # fmt: skip


def test_clearance_is_the_distance_to_the_nearest_point_of_the_solids():
    rng = np.random.default_rng(0)
    points = rng.uniform((-3, -3, 0.5), (3, 3, 3), (200, 3))
    solid = []
    for slab in BLOCKS.slabs:
        ground = points_in(slab, 41)
        solid += [np.c_[ground, np.full(len(ground), z)] for z in np.linspace(-1, slab.top, 61)]
    solid = np.concatenate(solid)
    floor = (points[:, 2] - 0.1 * points[:, 0]) / np.hypot(1, 0.1)
    nearest = np.array([np.linalg.norm(solid - point, axis=1).min() for point in points])
    assert clearance(BLOCKS, points) == pytest.approx(np.minimum(nearest, np.maximum(floor, 0)), abs=0.05)
    assert ((clearance(BLOCKS, points) == 0) >= (BLOCKS.penetration(points) > 0)).all()


def test_sight_ends_where_a_box_begins():
    rng = np.random.default_rng(1)
    start, end = rng.uniform((-3, -3, 0.4), (3, 3, 2.5), (2, 500, 3))
    line = np.linspace(start, end, 400)
    deepest = np.max([slab.depth_inside(line) for slab in BLOCKS.slabs], 0).max(0)
    seen = sees(BLOCKS, start, end)
    assert not seen[deepest > 0].any() and seen[deepest == 0].mean() > 0.97
    assert np.array_equal(seen, sees(BLOCKS, end, start))
    assert 0.2 < seen.mean() < 0.9
