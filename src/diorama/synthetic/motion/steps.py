"""Where the feet go: even steps on open ground; one foot per tread, and none on an obstacle, where something stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from diorama.errors import DioramaError
from diorama.synthetic.feet import Foothold
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.route import Route
from diorama.synthetic.motion.strides import Stride, stride
from diorama.synthetic.motion.terrain import foot_fits, foothold, near, surface_height
from diorama.synthetic.walk import Manner

# Longest comfortable step that leads up or down, in legs.
_STEEP_STEP = 0.55
# Distance between places that are tried for a foot, metres.
_GRID = 0.015
# The highest step: this share of the leg, and never two treads at once.
_HIGHEST, _HIGHEST_METRES = 0.45, 0.26
# Feet keep this far from risers and obstacles where they can, metres.
_ROOM = 0.04
# Nobody starts at full length: the first step is this share of the later ones or of a leg, and they grow per metre.
_FIRST_STEP, _FIRST_STEP_LEGS, _GROWTH = 0.62, 0.52, 0.34
# The highest obstacle to step over, in legs, and how much lower a thick one must be (per leg of thickness): measured, so
# that neither shins nor thighs touch it.
_OVER, _OVER_THICK, _THICK = 0.32, 0.37, 0.4
# Price of stepping over the highest thing, where a step of half or one and a half lengths costs 0.25.
_OVER_COST = 3.0
# A foot that must go as high and as far as a whole leg would take so much longer.
_SLOWER = 1.5
# Steps of somebody who does not walk but shifts, in legs.
_SHUFFLE = 0.3
# A person turns on the spot by at most this angle per step.
_TURN_STEP = 0.7
TURN_STRIDE = Stride(False, 0.0, 0.55, 0.12, 0.28, 0.40, 0.0, 0.0, 0.35, 0.15)


@dataclass(frozen=True)
class Step:
    """One foot put down: where, and where the body is while it stands there (place x, y; heading in radians)."""

    side: int
    hold: Foothold
    centre: tuple[float, float]
    heading: float
    stride: Stride


@dataclass(frozen=True)
class Walker:
    """Who walks where, and how."""

    figure: Figure
    layout: Layout
    manner: Manner

    @property
    def half_track(self) -> float:
        """Sideways distance of each foot from the middle, metres."""
        return self.manner.track_width * self.figure.size

    def stand(self, side: int, centre: Float[np.ndarray, 2], heading: float, narrow: float = 1.0) -> Foothold:
        """The foot of somebody above `centre`."""
        xy, yaw = self.beside(side, centre[None], np.array([heading]), narrow)
        return foothold(self.layout, self.figure, side, xy[0], float(yaw[0]))

    def beside(
        self, side: int, centres: Float[np.ndarray, "n 2"], headings: Float[np.ndarray, " n"], narrow: float = 1.0
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
        """Ankle places and yaws of one side."""
        outward = 1 if side == 0 else -1
        left = np.stack([-np.sin(headings), np.cos(headings)], 1)
        return centres + outward * narrow * self.half_track * left, headings + outward * self.manner.toe_out


def turning_steps(walker: Walker, centre: tuple[float, float], heading: float, angle: float, first: int) -> list[Step]:
    """Steps on the spot; the last one brings the feet together."""
    count = max(1, int(np.ceil(abs(angle) / _TURN_STEP)))
    headings = heading + angle * np.arange(1, count + 1) / count
    steps = []
    for k, now in enumerate((*headings, headings[-1])):
        side = (first + k) % 2
        steps.append(Step(side, walker.stand(side, np.array(centre), float(now)), centre, float(now), TURN_STRIDE))
    return steps


def shuffled_steps(
    walker: Walker, centre: tuple[float, float], goal: tuple[float, float], heading: float, first: int
) -> list[Step]:
    """Small steps in any direction without turning; the last one brings the feet together."""
    way = np.array(goal) - np.array(centre)
    count = max(1, int(np.ceil(float(np.linalg.norm(way)) / (_SHUFFLE * walker.figure.leg))))
    places = np.array(centre) + np.arange(1, count + 1)[:, None] / count * way
    steps = []
    for k, now in enumerate((*places, places[-1])):
        side = (first + k) % 2
        middle = (float(now[0]), float(now[1]))
        steps.append(Step(side, walker.stand(side, now, heading), middle, heading, TURN_STRIDE))
    return steps


def travel_steps(walker: Walker, route: Route, first: int) -> list[Step]:
    """Steps along a route, starting with foot `first`, from standing to standing.

    Raises:
        DioramaError: there is no way to put the feet.
    """
    strides = [stride(walker.figure, walker.manner, piece.speed, piece.running) for piece in route.pieces]
    grid = np.linspace(0, route.length, max(2, int(np.ceil(route.length / _GRID)) + 1))
    walker = replace(walker, layout=near(walker.layout, route.at(grid)[0], 1.0))
    length = _step_lengths(route, strides, grid, walker.figure.leg)
    free, cost, height = _standing_places(walker, route, grid)
    if free.all() and np.ptp(cost) == 0 and _even(walker, route, grid):
        places = _even_places(grid, length)
    else:
        places = grid[_cheapest(walker, grid, length, free, cost, height, first)]
    return _steps(walker, route, strides, places, first)


def _step_lengths(route: Route, strides: list[Stride], grid: np.ndarray, leg: float) -> Float[np.ndarray, " n"]:
    """Wanted length of a step at places of the route: changes of speed, start and end are gradual."""
    wanted = np.array([s.length for s in strides])[route.piece_at(grid)]
    ends = np.minimum(grid, grid[-1] - grid)
    slowest = min(s.length for s in strides)
    wanted = np.minimum(wanted, np.minimum(_FIRST_STEP * wanted, _FIRST_STEP_LEGS * leg) + _GROWTH * ends)
    spread = max(1, int(min(0.7 * slowest, 0.6 * leg) / max(grid[1] - grid[0], 1e-9)))
    padded = np.pad(wanted, spread, mode="edge")
    return np.convolve(padded, np.full(2 * spread + 1, 1 / (2 * spread + 1)), mode="valid")


def _standing_places(
    walker: Walker, route: Route, grid: np.ndarray
) -> tuple[Bool[np.ndarray, "n 2"], Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2"]]:
    """Per place and side: whether the foot can stand, what is bad about it, and how high it is."""
    centres, headings = route.at(grid)
    free, cost, height = np.empty((len(grid), 2), bool), np.empty((len(grid), 2)), np.empty((len(grid), 2))
    for side in range(2):
        xy, yaw = walker.beside(side, centres, headings)
        free[:, side], held = foot_fits(walker.layout, walker.figure, side, xy, yaw)
        roomy, _ = foot_fits(walker.layout, walker.figure, side, xy, yaw, _ROOM)
        cost[:, side] = 0.4 * ~held[:, 0] + 1.0 * ~held[:, 1] + 0.4 * ~roomy
        height[:, side] = walker.layout.ground_height(xy)
    return free, cost, height


def _even(walker: Walker, route: Route, grid: np.ndarray) -> bool:
    """Whether the way leads over nothing but the floor."""
    centres, _ = route.at(grid)
    return bool(np.allclose(walker.layout.ground_height(centres), walker.layout.floor_height(centres)))


def _even_places(grid: np.ndarray, length: np.ndarray) -> Float[np.ndarray, " steps"]:
    """Places of a whole number of steps, each of about the wanted length."""
    passed = np.concatenate([[0.0], np.cumsum(np.diff(grid) * (1 / length[1:] + 1 / length[:-1]) / 2)])
    count = max(1, round(passed[-1]))
    return np.interp(np.arange(1, count + 1) * passed[-1] / count, passed, grid)


def _cheapest(
    walker: Walker, grid: np.ndarray, length: np.ndarray, free: np.ndarray, cost: np.ndarray, height: np.ndarray,
    first: int,
) -> list[int]:  # fmt: skip
    """Dynamic programming over places and sides: steps as near as possible to the wanted length."""
    highest = min(_HIGHEST * walker.figure.leg, _HIGHEST_METRES)
    farthest = 1.05 * walker.figure.leg
    best = np.full((len(grid), 2), np.inf)
    before = np.full((len(grid), 2), -1)
    best[0, 1 - first] = 0.0
    for i in range(1, len(grid)):
        start = np.searchsorted(grid, grid[i] - max(farthest, 1.4 * length[i]))
        step = grid[i] - grid[start:i]
        # What is stepped onto is not stepped over: the highest ground on the way from each place to this one.
        between = np.maximum.accumulate(height[start : i + 1].max(1)[::-1])[:0:-1]
        for side in np.flatnonzero(free[i]):
            rise = np.abs(height[i, side] - height[start:i, 1 - side])
            total = best[start:i, 1 - side] + (step / length[i] - 1) ** 2 + 0.5 * (rise / highest) ** 2
            # Up or down, nobody strides out.
            over = between - np.maximum(height[i, side], height[start:i, 1 - side])
            total += _OVER_COST * (over / (_OVER * walker.figure.leg)) ** 2
            total += (rise > 0.05) * (np.maximum(step / (_STEEP_STEP * walker.figure.leg) - 1, 0) / 0.2) ** 2
            total[(rise > highest) | (step < 0.2 * length[i])] = np.inf
            choice = int(np.argmin(total))
            best[i, side], before[i, side] = total[choice] + cost[i, side], start + choice
    side = int(np.argmin(best[-1]))
    if not np.isfinite(best[-1, side]) or not free[-1].all():
        raise DioramaError("there is no way to put the feet", where="script", fix="go round, or end on free ground")
    path, i = [], len(grid) - 1
    while i > 0:
        path.append(i)
        i, side = int(before[i, side]), 1 - side
    return path[::-1]


def _steps(
    walker: Walker, route: Route, strides: list[Stride], places: Float[np.ndarray, " steps"], first: int
) -> list[Step]:
    """Steps at places of the route, and one more that brings the feet together at the end."""
    lengths = np.diff(places, prepend=0.0, append=places[-1])
    places = np.append(places, places[-1])
    centres, headings = route.at(places)
    start = walker.layout.ground_height(route.at(np.zeros(1))[0])[0]
    steps: list[Step] = []
    for k, (centre, heading) in enumerate(zip(centres, headings, strict=True)):
        plan = strides[int(route.piece_at(np.array([places[k] - lengths[k] / 2]))[0])]
        plan = _shortened(walker, plan, float(lengths[k]), last=k >= len(places) - 2, opening=k < 2)
        side = (first + k) % 2
        hold = walker.stand(side, centre, float(heading), narrow=0.55 if plan.running else 1.0)
        before = steps[-2].hold.ground if k > 1 else (float(centres[0, 0]), float(centres[0, 1]), float(start))
        rise = hold.ground[2] - (steps[-1].hold.ground[2] if steps else float(start))
        leg, way = walker.figure.leg, float(np.hypot(hold.ground[0] - before[0], hold.ground[1] - before[1]))
        plan = _climbing(
            plan,
            rise,
            _hindrance(walker, before, hold, steps[-1].hold.ground[2] if steps else before[2]) / leg,
            way / leg,
        )
        steps.append(Step(side, hold, (float(centre[0]), float(centre[1])), float(heading), plan))
    return [_between(*three) for three in zip((None, *steps), steps, (*steps[1:], None), strict=False)]


def _between(before: Step | None, step: Step, after: Step | None) -> Step:
    """The step between two others of another gait: the body is over the foot neither early nor late, and before the
    first flight the rear foot leaves as the front foot lands, since it needs the time to swing so far."""
    sides = [other.stride.middle if other else step.stride.middle for other in (before, after)]
    stride = replace(step.stride, middle=(sum(sides) + 2 * step.stride.middle) / 4)
    if before is not None and before.stride.running and not stride.running:
        stride = replace(stride, seconds=(stride.seconds + before.stride.seconds) / 2)
    if after is not None and after.stride.running and not stride.running:
        stride = replace(stride, overlap=min(stride.overlap, 0.01))
    return replace(step, stride=stride)


def _hindrance(walker: Walker, before: tuple[float, float, float], hold: Foothold, other: float) -> float:
    """How high (metres) a foot must go above the lower of its places; `other` is the height of the foot that stands."""
    ends = np.array([before, hold.ground])
    line = ends[0] + np.linspace(0, 1, 60)[:, None] * (ends[1] - ends[0])
    # On a slope heights count from the line between the places.
    sloped = hold.normal[2] < 1 - 1e-9
    base = line[:, 2] if sloped else np.zeros(len(line))
    height = surface_height(walker.layout, line[:, :2]) - base
    low, high = (ends[:, 2] - base[[0, -1]]).min(), (ends[:, 2] - base[[0, -1]]).max()
    top, leg = float(height.max()), walker.figure.leg
    over = top - float(high if sloped else max(high, other))
    thick = float((height > top - over / 2).mean() * np.hypot(*(ends[1] - ends[0])[:2])) if over > 1e-6 else 0.0
    highest = min(_OVER, _OVER_THICK - _THICK * thick / leg) * leg
    if over > max(highest, 0.05):
        raise DioramaError(
            f"what is {over:.2f} m high and {thick:.2f} m thick cannot be stepped over with legs of {leg:.2f} m",
            where="script", fix=f"go round what is so thick and higher than {highest:.2f} m",
        )  # fmt: skip
    return float(top - low)


def _shortened(walker: Walker, plan: Stride, length: float, *, last: bool, opening: bool) -> Stride:
    """A step of another length than the stride's: a much shorter running step has no flight, and the ends have none."""
    share = length / plan.length
    if plan.running and (last or opening or share < 0.6):
        speed = float(np.clip(length / plan.seconds, 0.5, 1.6 * walker.figure.size**0.5))
        walked = stride(walker.figure, walker.manner, speed, False)
        seconds, middle = 1.15 * plan.seconds, (plan.middle + walked.middle * plan.seconds / walked.seconds) / 2
        plan = replace(walked, seconds=seconds, middle=middle, swing=plan.swing, elbow=plan.elbow, lean=plan.lean)
        share = 1.0
    return replace(
        plan, seconds=plan.seconds * float(np.clip(share, 0.4, 1.3)) ** 0.25,
        amount=plan.amount * min(share, 1.0), swing=plan.swing * min(share, 1.0),
    )  # fmt: skip


def _climbing(plan: Stride, rise: float, effort: float, way: float) -> Stride:
    """Steps up, down and over take longer, by how high and how far (in legs) the foot must go; up, the trunk leans."""
    longer = 1 + _SLOWER * min(effort, 0.8) * float(np.clip(way, 0.6, 1.8))
    lean = (0.20 if rise > 0.02 else 0.03) * min(effort / 0.3, 1.0)
    return replace(
        plan, seconds=plan.seconds * longer, overlap=plan.overlap * longer, middle=plan.middle * longer,
        carried=plan.carried * longer, lean=plan.lean + lean,
    )  # fmt: skip
