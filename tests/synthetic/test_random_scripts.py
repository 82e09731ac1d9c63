"""Scripts drawn at random can be performed, use what is there, obey the laws, and are the same for the same seed."""

import itertools

import numpy as np
import pytest
from motion_laws import FLAT, ROOM, accelerations, least_flexion, person, planted_mm, posed, skin_mm

from diorama.errors import DioramaError
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion import Figure, Walk, WalkTo, duration, perform, random_script
from diorama.synthetic.motion.ways import crosses, free_places, way_round

AREA = (-3.0, -2.2, 3.0, 2.8)


@pytest.mark.parametrize(("seed", "stature"), [(1, 1.1), (2, 1.9)])
def test_random_scripts_obey_the_laws(seed, stature, free_body):
    shaped = person(free_body, stature)
    script = random_script(np.random.default_rng(seed), ROOM, Figure.of(shaped), 7.0, area=AREA)
    assert duration(shaped, script, ROOM) >= 7.0
    motion = perform(shaped, script, ROOM, np.arange(0, 7, 1 / 20))
    body = posed(shaped, motion)
    assert planted_mm(body, motion) < 0.1
    assert skin_mm(body, ROOM, 29) < 5
    assert accelerations(body, 20)[:, 0].max() < 20
    assert least_flexion(body) > 0.1


def test_the_same_seed_gives_the_same_script_and_all_that_a_room_offers_is_used(free_body):
    figure = Figure.of(person(free_body, 1.7))
    seats = Layout("seats", (Slab("seat", (1.0, 0.0, 0.0), (0.45, 0.5, 0.45), 0.4),))
    scripts = [random_script(np.random.default_rng(5), seats, figure, 6.0) for _ in range(2)]
    assert scripts[0] == scripts[1]
    used = {
        type(a).__name__
        for seed in range(2)
        for a in random_script(np.random.default_rng(seed), seats, figure, 7.0).actions
    }
    assert {"SitDown", "Sit", "GetUp", "WalkTo"} <= used


def test_open_ground_is_enough_and_a_full_area_is_an_error(free_body):
    figure = Figure.of(person(free_body, 1.7))
    script = random_script(np.random.default_rng(3), FLAT, figure, 3.0, area=(-4.0, -4.0, 4.0, 4.0))
    assert script.actions
    full = Layout("full", (Slab("clutter", (0.0, 0.0, 0.0), (3.0, 3.0, 1.0)),))
    with pytest.raises(DioramaError, match="no free ground"):
        random_script(np.random.default_rng(0), full, figure, 3.0, area=(-1.0, -1.0, 1.0, 1.0))


@pytest.mark.parametrize("seed", range(6))
def test_ways_keep_clear_and_are_the_shortest_round_one_box(seed):
    rng = np.random.default_rng(seed)
    box = Slab("clutter", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    layout, room = Layout("box", (box,)), 0.3
    start, goal = (-2.0, float(rng.uniform(-0.6, 0.6))), (2.0, float(rng.uniform(-0.6, 0.6)))
    way = way_round(layout, start, goal, room)
    places = np.array([start, *way])
    share = np.linspace(0, 1, 200)[:, None]
    points = np.concatenate([a + share * (b - a) for a, b in itertools.pairwise(places)])
    assert free_places(layout, points, room).all()
    length = np.linalg.norm(np.diff(places, axis=0), axis=1).sum()
    corner = 0.5 + room + 0.02
    by_hand = min(
        sum(
            np.hypot(b[0] - a[0], b[1] - a[1])
            for a, b in ((start, (-corner, y)), ((-corner, y), (corner, y)), ((corner, y), goal))
        )
        for y in (-corner, corner)
    )
    assert length == pytest.approx(by_hand, rel=1e-9)
    assert crosses(box, np.array([start]), np.array([goal]))[0]


def test_a_closed_ring_has_no_way_in():
    ring = tuple(Slab("wall", (x, y, 0.0), size) for x, y, size in (
        (0.0, 1.0, (2.2, 0.2, 2.0)), (0.0, -1.0, (2.2, 0.2, 2.0)), (1.0, 0.0, (0.2, 2.2, 2.0)), (-1.0, 0.0, (0.2, 2.2, 2.0)),
    ))  # fmt: skip
    assert way_round(Layout("ring", ring), (0.0, 0.0), (3.0, 0.0), 0.3) is None
    assert way_round(Layout("open", ring[:3]), (0.0, 0.0), (3.0, 0.0), 0.3) is not None


def test_a_walk_can_be_half_over_when_the_clip_begins(free_body):
    figure = Figure.of(person(free_body, 1.7))
    for seed in range(12):
        script = random_script(np.random.default_rng(seed), FLAT, figure, 2.0, area=(-6.0, -6.0, 6.0, 6.0))
        if script.begin > 0 and isinstance(script.actions[0], Walk | WalkTo):
            motion = perform(figure, script, FLAT, np.array([0.0, 0.1]))
            speed = np.linalg.norm(np.diff(motion.transl[:, :2], axis=0)) / 0.1
            assert speed > 0.2
            return
    pytest.fail("no script began in the middle of a walk")
