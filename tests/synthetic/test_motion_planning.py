"""Parts of a plan: curves that never overshoot, routes that arrive, feet on free ground, falls that are free."""

import numpy as np
import pytest
from motion_laws import BAR, BED, FLAT, SEAT, STEPS, TABLE, person

from diorama.errors import DioramaError
from diorama.synthetic.curves import eased, glide, keyed, smooth_above
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion import (
    Crouch,
    Figure,
    GetUp,
    LeanHand,
    LieDown,
    Manner,
    Run,
    RunTo,
    Script,
    Sit,
    SitDown,
    Stairs,
    StepOver,
    TurnRound,
    Walk,
    WalkTo,
    duration,
    perform,
)  # fmt: skip
from diorama.synthetic.motion.plan import Glide
from diorama.synthetic.motion.route import Route, continued
from diorama.synthetic.motion.schedule import Flight, bounce
from diorama.synthetic.motion.sitting import reversed_points
from diorama.synthetic.motion.steps import Walker, travel_steps
from diorama.synthetic.motion.strides import stride
from diorama.synthetic.motion.terrain import foot_fits, surface_height

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def figure(free_body):
    return Figure.of(person(free_body, 1.72))


def derivatives(values, step):
    return np.gradient(values, step, axis=0), np.gradient(np.gradient(values, step, axis=0), step, axis=0)


def test_a_glide_rests_at_its_ends_and_stays_inside_its_points():
    points = RNG.normal(0, 1, (5, 2))
    u = np.linspace(-0.2, 1.2, 2801)
    value = glide(u, points)
    assert value[u <= 0] == pytest.approx(np.tile(points[0], ((u <= 0).sum(), 1)))
    assert value[u >= 1] == pytest.approx(np.tile(points[-1], ((u >= 1).sum(), 1)))
    for direction in RNG.normal(0, 1, (20, 2)):
        assert (value @ direction).max() <= (points @ direction).max() + 1e-12
    speed, acceleration = derivatives(value, u[1] - u[0])
    assert np.abs(np.diff(speed, axis=0)).max() < 0.1
    assert np.abs(np.diff(acceleration, axis=0)).max() < 3


def test_a_glide_and_its_reverse_cancel():
    there = Glide(0.0, 1.0, ("x", "z"), ((0.2, 1.0), (0.7, 1.5), (1.0, 0.5)))
    back = Glide(2.0, 3.0, ("x", "z"), reversed_points(there.points))
    times = np.linspace(0, 1, 11)
    forth = there.added(times)
    undone = there.added(times + 2) + back.added(times + 2)
    assert undone == pytest.approx(forth[::-1])


def test_keys_make_lines_constants_and_never_overshoot():
    times, at = np.arange(12.0) / 2, np.linspace(1.0, 4.4, 50)
    keys = np.stack([3 * times + 1, np.full(12, 2.0), np.where(times > 2.6, 1.0, 0.0)], 1)
    value = keyed(at, times, keys)
    assert value[:, 0] == pytest.approx(3 * at + 1)
    assert value[:, 1] == pytest.approx(2)
    assert value[:, 2].min() >= -1e-12 and value[:, 2].max() <= 1 + 1e-12
    assert value[at < 1.9, 2] == pytest.approx(0)


def test_smooth_above_is_above_and_smooth():
    values = RNG.normal(0, 1, 400)
    smooth = smooth_above(values, 30)
    assert (smooth >= values - 1e-12).all()
    assert np.abs(np.diff(smooth, n=2)).max() < 0.2 * np.abs(np.diff(values, n=2)).max()
    assert smooth_above(np.full(50, 0.3), 20) == pytest.approx(0.3)


def test_eased_has_the_least_jerk_ends():
    u = np.linspace(-0.5, 1.5, 2001)
    value = eased(u)
    assert value[[0, 500, 1000, 1500, 2000]] == pytest.approx([0, 0, 0.5, 1, 1])
    _, acceleration = derivatives(value, u[1] - u[0])
    assert np.abs(acceleration[[499, 500, 501, 1499, 1500, 1501]]).max() < 0.1


@pytest.mark.parametrize("seed", range(8))
def test_routes_arrive_look_along_their_way_and_have_their_length(seed):
    rng = np.random.default_rng(seed)
    route = Route((1.0, -2.0), float(rng.uniform(-3, 3)))
    for action in (
        WalkTo(tuple(rng.uniform(-4, 4, 2)), 1.2),
        Walk(1.5, 1.0, 0.3),
        RunTo(tuple(rng.uniform(-9, 9, 2)), 2.5),
    ):
        route = continued(route, action)
        if not isinstance(action, Walk):
            assert np.hypot(*np.subtract(route.end[0], action.place)) < 1e-6
    distance = np.linspace(0, route.length, 20001)
    points, headings = route.at(distance)
    steps = np.diff(points, axis=0)
    assert np.linalg.norm(steps, axis=1).sum() == pytest.approx(route.length, rel=1e-5)
    angle = np.arctan2(steps[:, 1], steps[:, 0]) - (headings[1:] + headings[:-1]) / 2
    assert np.abs(np.angle(np.exp(1j * angle))).max() < 0.01


def test_flights_are_free_falls_and_pushes_are_smooth():
    flights = tuple(Flight(0.4 * k, 0.4 * k + 0.1 + 0.01 * k) for k in range(5))
    times = np.arange(-0.6, 2.6, 1e-4)
    height = bounce(times, flights)
    speed, acceleration = derivatives(height, 1e-4)
    for flight in flights:
        inside = (times > flight.start + 2e-3) & (times < flight.end - 2e-3)
        assert acceleration[inside] == pytest.approx(np.full(inside.sum(), -9.81), abs=0.05)
    assert np.abs(np.diff(speed)).max() < 3e-3
    assert np.abs(np.diff(acceleration)).max() < 0.5
    assert height.max() < 1e-6


def test_steps_are_even_on_open_ground_and_alternate(figure):
    walker = Walker(figure, FLAT, Manner())
    plan = travel_steps(walker, continued(Route((0.0, 0.0), 0.0), Walk(6.0, 1.2)), 1)
    assert [step.side for step in plan] == [(1 + k) % 2 for k in range(len(plan))]
    lengths = np.diff([0.0, *(step.centre[0] for step in plan)])
    assert lengths[-1] == 0 and plan[-1].centre[0] == pytest.approx(6.0)
    wanted = stride(figure, walker.manner, 1.2, False).length
    assert lengths[2:-3] == pytest.approx(np.full(len(lengths) - 5, wanted), rel=0.15)


def test_one_foot_per_tread_and_none_on_an_obstacle(figure):
    layout = Layout("stairs", STEPS)
    walker = Walker(figure, layout, Manner())
    plan = travel_steps(walker, continued(Route((0.0, 0.0), 0.0), WalkTo((2.7, 0.0), 1.0)), 0)
    heights = np.array([step.hold.ground[2] for step in plan])
    rises = np.diff(heights[heights > 0])
    assert (np.isclose(rises, 0.16) | np.isclose(rises, 0)).all() and heights[-1] == pytest.approx(0.64)
    over = Layout("bar", (BAR,))
    for step in travel_steps(Walker(figure, over, Manner()), continued(Route((0.0, 0.0), 0.0), WalkTo((3.5, 0.0))), 0):
        place = np.array([step.hold.ground[:2]])
        assert foot_fits(over, figure, step.side, place, np.array([step.hold.yaw]))[0][0]
        assert surface_height(over, place)[0] == 0


def test_a_foot_that_hangs_over_an_edge_says_what_stands(figure):
    layout = Layout("step", (Slab("step", (0.0, 0.0, 0.0), (1.0, 1.0, 0.2)),))
    edge = 0.5 - figure.toe_front
    x = np.array([0.0, edge + 0.1, edge - 0.02, 0.6, 0.5])
    fits, held = foot_fits(layout, figure, 0, np.stack([x, 0 * x], 1), 0 * x)
    assert held[:3].tolist() == [[True, True], [True, False], [True, True]]
    assert fits[[0, 1, 2]].all() and not fits[4]


@pytest.mark.parametrize(("speed", "running"), [(0.5, False), (1.3, False), (2.0, True), (3.5, True)])
def test_strides_have_the_speed_that_they_are_for(figure, speed, running):
    plan = stride(figure, Manner(), speed, running)
    assert plan.length / plan.seconds == pytest.approx(speed)
    assert (plan.overlap < 0) == running
    assert 0 < plan.middle < plan.seconds


HIGH = Slab("seat", (1.0, 0.0, 0.0), (0.5, 0.5, 0.95))
HEDGE = Slab("obstacle", (1.5, 0.0, 0.0), (0.2, 2.0, 0.6))
FENCE = Slab("wall", (1.5, 0.0, 0.0), (0.2, 9.0, 2.0))
LOW = Slab("table", (1.5, 0.0, 0.0), (1.0, 1.0, 0.2))
BOX = Slab("clutter", (0.0, 0.0, 0.0), (1.0, 1.0, 0.5))


@pytest.mark.parametrize(
    ("layout", "actions", "words"),
    [
        (FLAT, (Walk(3.0, 4.0),), "or run"),
        (FLAT, (GetUp(),), "while standing"),
        (FLAT, (SitDown(), Walk(1.0)), "while sitting"),
        (FLAT, (SitDown(), Sit(1.0), Crouch()), "while sitting"),
        (Layout("high", (HIGH,)), (SitDown(HIGH),), "fits no legs"),
        (Layout("hedge", (HEDGE,)), (StepOver(HEDGE),), "stepped over"),
        (Layout("fence", (FENCE,)), (WalkTo((3.0, 0.0)),), "stepped over"),
        (Layout("fence", (FENCE,)), (WalkTo((1.5, 0.0)),), "no way to put"),
        (Layout("slope", (), (0.1, 0.0)), (LieDown(),), "slope"),
        (Layout("seat", (SEAT,)), (SitDown(SEAT), LieDown(SEAT)), "bed"),
        (Layout("low", (LOW,)), (LeanHand(LOW),), "too low"),
        (Layout("box", (BOX,)), (), "no room to stand"),
    ],
)
def test_what_cannot_be_done_is_said(layout, actions, words, figure):
    with pytest.raises(DioramaError, match=words):
        perform(figure, Script((0.0, 0.0), 0.0, actions), layout, np.zeros(1))


def test_beds_and_tables_are_found_from_behind(figure):
    """Whoever stands behind a thing goes round it; the walk takes longer than from before it."""
    for slab, action in ((BED, LieDown(BED)), (TABLE, LeanHand(TABLE))):
        layout = Layout("one", (slab,))
        for start in ((-1.0, -1.0), (3.5, 3.0)):
            assert duration(figure, Script(start, 0.0, (action,)), layout) > 3


def test_turns_add_up_and_runs_stop(figure):
    script = Script((0.0, 0.0), 0.3, (TurnRound(2.0), TurnRound(-3.5), Run(5.0, 2.5), Stairs(STEPS[:1])))
    end = duration(figure, script, FLAT)
    motion = perform(figure, script, FLAT, np.array([0.0, end, end + 1.0]))
    np.testing.assert_allclose(motion.transl[1], motion.transl[2], atol=1e-9)
