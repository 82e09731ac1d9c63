"""Scripts drawn at random: what a layout offers is used, between walks over its free ground."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from diorama.body.model import ShapedBody
from diorama.errors import DioramaError
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion.actions import (
    Action,
    Crouch,
    GetUp,
    GetUpFromLying,
    LeanHand,
    Lie,
    LieDown,
    RunTo,
    Script,
    Sit,
    SitDown,
    Stairs,
    Stand,
    StepOver,
    TurnRound,
    WalkTo,
)  # fmt: skip
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.performance import deepest
from diorama.synthetic.motion.route import waypoints
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.motion.strides import GRAVITY
from diorama.synthetic.motion.timeline import Timeline, planned
from diorama.synthetic.motion.ways import crosses, free_places, way_round
from diorama.synthetic.walk import PLAIN_MANNER, Manner

Area = tuple[float, float, float, float]
Rng = np.random.Generator
Offer = Callable[[], tuple[Action, ...]]

# Room around walkers, metres at 1.72 m; how far the area reaches beyond what stands in it.
_ROOM, _MARGIN = 0.45, 2.5
_TRIES = 40
# Scripts are checked so many times a second, and may bring the skin this deep into something, metres.
_CHECKS, _TOUCH = 12.0, 0.0045
# Walks end at least this far from where they start, metres; from this distance on somebody may run.
_NEAREST, _RUN_FROM = 1.2, 5.0
_RUN_SHARE = 0.2
# Somebody who is faster than this (m/s) is walking.
_ON_THE_WAY = 0.5
# Share of walks without another purpose.
_WANDERS = 0.3


def random_script(
    rng: Rng,
    layout: Layout,
    person: ShapedBody | Figure,
    seconds: float,
    *,
    area: Area | None = None,
    manner: Manner = PLAIN_MANNER,
    start: tuple[float, float] | None = None,
) -> Script:
    """A script of at least `seconds` that this person can perform on this layout.

    Seats, beds, tables, walls, obstacles and steps are used in a random order, each once before any is used again, with
    walks, pauses, turns and crouches between. About every second script begins in the middle of its first walk.

    Args:
        area: x and y where people may walk, as (least x, least y, greatest x, greatest y), metres; None takes what
            stands in the layout and 2.5 m around it.
        start: where to start, metres; None draws a free place.

    Raises:
        DioramaError: there is no free ground.
    """
    walker = Walker(person if isinstance(person, Figure) else Figure.of(person), layout, manner)
    area = _area_of(layout) if area is None else area
    begin = _free_place(rng, walker, area, None) if start is None else start
    if begin is None:
        raise DioramaError("no free ground to start from", where=layout.name, fix="give a start, or a larger area")
    script = Script(begin, float(rng.uniform(-np.pi, np.pi)), ())
    offers: list[Offer] = []
    for _ in range(_TRIES):
        if not offers:
            offers = _offers(rng, layout)
        line = Timeline.of(walker, script)
        if line.time >= seconds:
            break
        wanders = rng.uniform() < (_WANDERS if script.actions else 0.5)
        actions = _wander(rng, walker, area, line) if wanders else _reached(walker, line, offers.pop()())
        script = _with(walker, script, actions)
    return _in_the_middle(rng, walker, script, seconds)


def _with(walker: Walker, script: Script, actions: tuple[Action, ...]) -> Script:
    """The script with more actions, or as it was if this person cannot do them, or would touch something on the way."""
    longer = Script(script.start, script.heading, (*script.actions, *actions))
    try:
        begun = Timeline.of(walker, script).time
        plan = planned(walker, longer)
    except DioramaError:
        return script
    times = np.arange(max(begun - 1.0, 0.0), plan.seconds, 1 / _CHECKS)
    return longer if deepest(plan, times) < _TOUCH else script


def _reached(walker: Walker, line: Timeline, actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Actions with a walk before them, round everything, to where the first of them begins."""
    if not isinstance(actions[0], Stairs | StepOver):
        return actions
    goal = waypoints(line.place, actions[0])[0]
    way = way_round(walker.layout, line.place, goal, _ROOM * walker.figure.size)
    return actions if way is None else (*(WalkTo(place, actions[0].speed) for place in way), *actions)


def _in_the_middle(rng: Rng, walker: Walker, script: Script, seconds: float) -> Script:
    """Perhaps let time 0 be in the middle of the first walk."""
    line = Timeline.of(walker, script)
    times = np.array([key.time for key in line.keys])
    places = np.array([key.values[:2] for key in line.keys])
    moving = np.linalg.norm(np.diff(places, axis=0), axis=1) > _ON_THE_WAY * np.diff(times)
    begun = times[1:][moving & (times[1:] < line.time - seconds)]
    if rng.uniform() < 0.5 or not len(begun):
        return script
    return Script(script.start, script.heading, script.actions, float(rng.choice(begun[:4])))


def _offers(rng: Rng, layout: Layout) -> list[Offer]:
    """What can be done here, in random order, what the layout asks for rather last; a call makes the actions."""
    offers: list[Offer] = [
        lambda: (Stand(float(rng.uniform(0.5, 2.5))),),
        lambda: (TurnRound(float(rng.choice([-1, 1]) * rng.uniform(0.8, np.pi))),),
        lambda: (Crouch(float(rng.uniform(0.5, 2.0)), float(rng.uniform(0.5, 1.0))),),
    ]
    if not any(slab.kind in ("seat", "bed") for slab in layout.slabs) and layout.slope == (0.0, 0.0):
        offers.append(lambda: (SitDown(), Sit(float(rng.uniform(1, 3))), GetUp()))
        offers.append(lambda: (LieDown(), Lie(float(rng.uniform(1, 3))), GetUpFromLying()))
    anywhere = len(offers)
    for slab in layout.slabs:
        if slab.kind in _USES:
            offers.append(lambda slab=slab: _USES[slab.kind](rng, slab))
    steps = layout.of_kind("step")
    if steps:
        offers.append(lambda: _over_the_steps(rng, steps))
    liked = rng.uniform(size=len(offers)) + (np.arange(len(offers)) >= anywhere)
    return [offers[k] for k in np.argsort(liked)]


def _sit(rng: Rng, slab: Slab) -> tuple[Action, ...]:
    return SitDown(slab), Sit(float(rng.uniform(1, 4))), GetUp()


def _lie(rng: Rng, slab: Slab) -> tuple[Action, ...]:
    return LieDown(slab), Lie(float(rng.uniform(1, 4))), GetUpFromLying()


def _lean(rng: Rng, slab: Slab) -> tuple[Action, ...]:
    return (LeanHand(slab, str(rng.choice(["left", "right"])), float(rng.uniform(1, 3))),)


def _step_over(rng: Rng, slab: Slab) -> tuple[Action, ...]:
    return (StepOver(slab, float(rng.uniform(0.8, 1.2))),)


_USES: dict[str, Callable[[Rng, Slab], tuple[Action, ...]]] = {
    "seat": _sit, "bed": _lie, "table": _lean, "wall": _lean, "obstacle": _step_over,
}  # fmt: skip


def _over_the_steps(rng: Rng, steps: Sequence[Slab]) -> tuple[Action, ...]:
    """Along all steps from the lower end, and back if the way ends on top."""
    places = np.array([slab.base[:2] for slab in steps])
    spread = places - places.mean(0)
    along = np.linalg.svd(spread, full_matrices=False)[2][0]
    order = [steps[k] for k in np.argsort(spread @ along)]
    if order[0].top > order[-1].top:
        order = order[::-1]
    speed = float(rng.uniform(0.8, 1.2))
    there: tuple[Action, ...] = (Stairs(tuple(order), speed),)
    if order[-1].top <= order[0].top + 1e-6:
        return there
    back = (TurnRound(float(rng.choice([-1, 1]) * np.pi)), Stairs(tuple(order[::-1]), speed))
    return (*there, Stand(float(rng.uniform(0.5, 1.5))), *back)


def _wander(rng: Rng, walker: Walker, area: Area, line: Timeline) -> tuple[Action, ...]:
    """A walk (or run) round everything to a free place."""
    goal = _free_place(rng, walker, area, line.place)
    if goal is None:
        return (Stand(float(rng.uniform(0.5, 1.5))),)
    way = way_round(walker.layout, line.place, goal, _ROOM * walker.figure.size)
    if way is None:
        return (Stand(float(rng.uniform(0.5, 1.5))),)
    places = [line.place, *way]
    length = sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in itertools.pairwise(places))
    pace = float(np.sqrt(GRAVITY * walker.figure.leg))
    if len(way) == 1 and length > _RUN_FROM and rng.uniform() < _RUN_SHARE:
        return (RunTo(way[0], float(rng.uniform(0.75, 1.15) * pace)),)
    speed = float(rng.uniform(0.27, 0.48) * pace)
    return tuple(WalkTo(place, speed) for place in way)


def _free_place(rng: Rng, walker: Walker, area: Area, near: tuple[float, float] | None) -> tuple[float, float] | None:
    """A free ground point of the area, in straight sight of `near` if there is one; None if none was found."""
    points = rng.uniform(area[:2], area[2:], (200, 2))
    points = points[free_places(walker.layout, points, _ROOM * walker.figure.size)]
    if near is not None:
        points = points[np.linalg.norm(points - np.array(near), axis=1) > _NEAREST]
    if not len(points):
        return None
    seen = [p for p in points if near is not None and not _between(walker.layout, near, p)]
    chosen: Float[np.ndarray, 2] = seen[0] if seen and rng.uniform() < 0.7 else points[0]
    return float(chosen[0]), float(chosen[1])


def _between(layout: Layout, one: tuple[float, float], two: np.ndarray) -> bool:
    return any(crosses(slab, np.array([one]), two[None])[0] for slab in layout.slabs)


def _area_of(layout: Layout) -> Area:
    """What stands in a layout, with a margin; walls close it."""
    places = np.array([slab.base[:2] for slab in layout.slabs]) if layout.slabs else np.zeros((1, 2))
    margin = 0.0 if any(slab.kind == "wall" for slab in layout.slabs) else _MARGIN
    low, high = places.min(0) - margin, places.max(0) + margin
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
