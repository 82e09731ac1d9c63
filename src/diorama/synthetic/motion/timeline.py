"""From actions to a plan: every action is appended where the last one ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from diorama.errors import DioramaError
from diorama.synthetic.feet import Foothold, Roll, Swing
from diorama.synthetic.motion.actions import (
    Action,
    Crouch,
    GetUp,
    GetUpFromLying,
    LeanHand,
    Lie,
    LieDown,
    Run,
    RunTo,
    Script,
    Sit,
    SitDown,
    Stairs,
    Stand,
    StepOver,
    TurnRound,
    Walk,
    WalkTo,
)  # fmt: skip
from diorama.synthetic.motion.leaning import lean_hand
from diorama.synthetic.motion.lying import Lying, get_up_from_lying, lie_down, open_seats
from diorama.synthetic.motion.plan import Glide, PalmHold, Plan, SeatHold, Span
from diorama.synthetic.motion.route import Route, angle_to, continued, straightened
from diorama.synthetic.motion.schedule import BodyKey, Flight, scheduled
from diorama.synthetic.motion.sitting import Seated, get_up, sit_down
from diorama.synthetic.motion.steps import Step, Walker, shuffled_steps, travel_steps, turning_steps
from diorama.synthetic.motion.swings import carried
from diorama.synthetic.motion.terrain import foot_fits, near
from diorama.synthetic.motion.ways import way_round

_TRAVEL = (Walk, WalkTo, Run, RunTo, Stairs, StepOver)
# Somebody who stands turns on the spot before walking if the way leads more than this aside; who walks, stops for it;
# and before steps and obstacles for less.
_TURN_FIRST, _STOP_FOR, _STRAIGHT = 0.7, 1.9, 0.08
# Who is this near (metres) to a seat need not walk there; m/s of those who do.
_NEAR, _APPROACH_SPEED = 0.35, 1.0
# Who walks round something keeps this far from it (metres, at 1.72 m).
_ELBOW_ROOM = 0.42
# How high (in legs) and how far over (radians) a runner's foot is pulled in the swing.
_HEEL_UP, _FLICK = 0.20, 0.5


def planned(walker: Walker, script: Script) -> Plan:
    """The plan of a script.

    Raises:
        DioramaError: an action that cannot be done here or from here.
    """
    return Timeline.of(walker, script).plan()


@dataclass
class Timeline:
    """A plan in the making: `time` is now (seconds), `place` and `heading` are those of the body at rest."""

    walker: Walker
    place: tuple[float, float]
    heading: float
    holds: tuple[list[Foothold], list[Foothold]]
    keys: list[BodyKey]
    time: float = 0.0
    first: int = 0
    posture: str = "standing"
    flights: list[Flight] = field(default_factory=list)
    glides: list[Glide] = field(default_factory=list)
    palms: list[PalmHold] = field(default_factory=list)
    seats: list[SeatHold] = field(default_factory=list)
    seated: Seated | None = None
    lying: Lying | None = None
    carried: list[Span] = field(default_factory=list)
    ways: dict[tuple[int, int], Swing] = field(default_factory=dict)
    bases: dict[tuple[int, int], Swing] = field(default_factory=dict)

    @classmethod
    def at(cls, walker: Walker, place: tuple[float, float], heading: float) -> Timeline:
        """Somebody standing."""
        centre = np.array(place, np.float64)
        feet = [walker.stand(side, centre, heading) for side in range(2)]
        for side, foot in enumerate(feet):
            _need_room(walker, side, foot)
        ground = max(foot.ground[2] for foot in feet)
        values = (*place, ground, heading, walker.manner.phase, 0.0, 0.0, walker.manner.elbow, 0.0)
        first = 0 if walker.manner.phase % 1 < 0.5 else 1
        return cls(walker, place, heading, ([feet[0]], [feet[1]]), [BodyKey(0.0, values)], first=first)

    @classmethod
    def of(cls, walker: Walker, script: Script) -> Timeline:
        """Somebody who has done a script."""
        line = cls.at(walker, script.start, script.heading)
        actions = list(script.actions)
        while actions:
            if isinstance(actions[0], _TRAVEL):
                actions = line.travel(actions)
            else:
                line.do(actions.pop(0))
        return line

    def do(self, action: Action) -> None:
        """Append an action that does not travel."""
        match action:
            case Stand(seconds):
                self.wait(seconds, "standing")
            case Sit(seconds):
                self.wait(seconds, "sitting")
            case Lie(seconds):
                self.wait(seconds, "lying")
            case SitDown(seat, facing):
                sit_down(self, seat, facing)
            case GetUp():
                get_up(self)
            case LieDown(bed):
                lie_down(self, bed)
            case GetUpFromLying():
                get_up_from_lying(self)
            case LeanHand():
                lean_hand(self, action)
            case TurnRound(angle):
                self.turn(angle)
            case Crouch(seconds, depth):
                self.crouch(seconds, depth)
            case _:
                raise DioramaError(f"{type(action).__name__} is no action", where="script", fix="see motion.actions")

    def travel(self, actions: Sequence[Action]) -> list[Action]:
        """Append the first actions, as many as travel; returns the others."""
        rest = list(actions)
        while rest and isinstance(rest[0], _TRAVEL):
            route = self._route(rest)
            if route.pieces:
                self.step(travel_steps(self.walker, route, self.first))
        return rest

    def _route(self, rest: list[Action]) -> Route:
        """The way of the first actions, which are taken away, as far as nobody must stop to turn; who stands turns now."""
        route = Route(self.place, self.heading)
        while rest and isinstance(action := rest[0], _TRAVEL):
            del rest[0]
            ways = straightened(route.end[0], action)
            for k, (way, straight) in enumerate(ways):
                angle = _angle_to(route, way)
                if route.pieces and abs(angle) > (_STRAIGHT if straight else _STOP_FOR):
                    rest[:0] = [way for way, _ in ways[k:]]
                    return route
                if not route.pieces and abs(angle) > (_STRAIGHT if straight else _TURN_FIRST):
                    self.turn(angle)
                    route = Route(self.place, self.heading)
                route = continued(route, way)
        return route

    def turn(self, angle: float) -> None:
        """Turn on the spot."""
        if abs(angle) > 1e-6:
            # The foot on the inner side goes first: it need not cross the other.
            first = 0 if angle > 0 else 1
            self.step(turning_steps(self.walker, self.place, self.heading, angle, first))

    def step(self, steps: list[Step]) -> None:
        """Append steps from standing to standing."""
        self.need("standing")
        for step in steps:
            _need_room(self.walker, step.side, step.hold)
        bout = scheduled(self.walker, self.time, (self.holds[0][-1], self.holds[1][-1]), self.keys[-1], steps)
        for side in range(2):
            begun = len(self.holds[side]) - 1
            self.holds[side][-1:] = bout.holds[side]
            mine = [step for step in steps if step.side == side]
            self.bases |= {(side, begun + k): _base(step, self.walker.figure.leg) for k, step in enumerate(mine)}
        self.keys.extend(key for key in bout.keys if key.time > self.keys[-1].time + 1e-6)
        self.flights.extend(bout.flights)
        self.time, self.place, self.heading = bout.end, steps[-1].centre, steps[-1].heading
        self.first = 1 - steps[-1].side

    def wait(self, seconds: float, posture: str) -> None:
        """Stay as one is."""
        self.need(posture)
        self.time += seconds

    def approach(self, goal: tuple[float, float], heading: float, far: tuple[float, float]) -> None:
        """Walk round everything to `far`, turn to a heading there, and shift to `goal`."""
        if min(np.hypot(end[0] - self.place[0], end[1] - self.place[1]) for end in (goal, far)) > _NEAR:
            way = way_round(self.walker.layout, self.place, far, _ELBOW_ROOM * self.walker.figure.size)
            if way is None:
                raise DioramaError("there is no way to walk there", where="script", fix="make room")
            self.travel([WalkTo(place, speed=_APPROACH_SPEED) for place in way])
        self.turn(float(np.angle(np.exp(1j * (heading - self.heading)))))
        if np.hypot(goal[0] - self.place[0], goal[1] - self.place[1]) > 1e-6:
            self.step(shuffled_steps(self.walker, self.place, goal, self.heading, self.first))

    def lift(self, side: int, off: float, land: Foothold, leave: Roll, way: Swing | None = None) -> None:
        """Take one foot away and put it elsewhere."""
        self.holds[side][-1] = replace(self.holds[side][-1], off=off, leave=leave)
        if way is not None:
            self.ways[side, len(self.holds[side]) - 1] = way
        self.holds[side].append(land)

    def crouch(self, seconds: float, depth: float) -> None:
        """Down and up again."""
        self.need("standing")
        leg, size = self.walker.figure.leg, self.walker.figure.size
        back = -0.10 * leg * depth
        down = -0.46 * leg * depth
        names = ("x", "y", "z", "pitch", "bend", "nod", "left_swing", "right_swing", "left_elbow", "right_elbow")
        ahead = np.cos(self.heading), np.sin(self.heading)
        low = (back * ahead[0], back * ahead[1], down, 0.45, 0.12, -0.25, 0.7, 0.7, 0.5, 0.5)
        low = (*low[:3], *(depth * value for value in low[3:]))
        takes = 0.9 * float(np.sqrt(size)) * (0.5 + 0.5 * depth)
        self.glide(takes, names, [low])
        self.time += seconds
        self.glide(takes, names, [tuple(-value for value in low)])

    def glide(self, seconds: float, names: tuple[str, ...], points: Sequence[Sequence[float]]) -> None:
        """Append something that is added to channels, and wait for its end."""
        rows = tuple(tuple(float(v) for v in row) for row in points)
        self.glides.append(Glide(self.time, self.time + seconds, names, rows))
        self.time += seconds

    def need(self, posture: str) -> None:
        """Refuse what can only be done from another posture."""
        if self.posture != posture:
            raise DioramaError(
                f"cannot do this while {self.posture}", where="script", fix=f"an action before that ends {posture}"
            )

    def plan(self) -> Plan:
        """Everything so far, with the feet carried over what lies between the footholds."""
        layout, figure = self.walker.layout, self.walker.figure
        swings = []
        for side in range(2):
            pairs = zip(self.holds[side], self.holds[side][1:], strict=False)
            swings.append(tuple(
                self.ways.get((side, k)) or carried(layout, figure, side, leave, land, self.bases.get((side, k), Swing()))
                for k, (leave, land) in enumerate(pairs)
            ))  # fmt: skip
        last = self.keys[-1]
        if self.time > last.time:
            self.keys.append(replace(last, time=self.time + 1.0))
        return Plan(
            self.walker, (tuple(self.holds[0]), tuple(self.holds[1])), (swings[0], swings[1]), tuple(self.keys),
            tuple(self.flights), tuple(self.glides), tuple(self.palms), (*self.seats, *open_seats(self)),
            tuple(self.carried),
            max(self.time, 1e-3),
        )  # fmt: skip


def _need_room(walker: Walker, side: int, hold: Foothold) -> None:
    """Refuse a foothold into which something sticks."""
    place = np.array([hold.ground[:2]])
    fits, _ = foot_fits(near(walker.layout, place, 1.0), walker.figure, side, place, np.array([hold.yaw]))
    if not fits[0]:
        x, y, _ = hold.ground
        raise DioramaError(f"no room to stand at ({x:.2f}, {y:.2f})", where="script", fix="go elsewhere, or make room")


def _base(step: Step, leg: float) -> Swing:
    """Runners pull the heel up behind."""
    return Swing(lift=_HEEL_UP * leg, flick=_FLICK) if step.stride.running else Swing()


def _angle_to(route: Route, way: Walk | WalkTo | Run | RunTo) -> float:
    """How far somebody at the end of a route must turn to look where a way leads."""
    place, heading = route.end
    if isinstance(way, Walk | Run) or np.hypot(way.place[0] - place[0], way.place[1] - place[1]) < 1e-3:
        return 0.0
    return angle_to(place, heading, way.place)
