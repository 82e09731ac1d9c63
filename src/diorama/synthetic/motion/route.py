"""A way along the ground: straight pieces and arcs, each with its speed, made from the actions that travel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.actions import Run, RunTo, Stairs, StepOver, Travel, Walk, WalkTo

# Sideways acceleration in a bend, m/s^2: people slow down or turn wider above about this.
_SIDEWAYS = 2.2
_SHARPEST_BEND = 0.6
# Room to stand before the first and after the last step of stairs, and on both sides of an obstacle, metres.
_BEYOND = 0.55
# A last step at least this deep is a landing to stop on, metres.
_LANDING = 0.8


@dataclass(frozen=True)
class Piece:
    """`length` metres with one curvature (1/m, left positive) at one speed (m/s)."""

    length: float
    curvature: float
    speed: float
    running: bool


@dataclass(frozen=True)
class Route:
    """Pieces one after the other from `start` (x, y; metres) along `heading` (radians from +X)."""

    start: tuple[float, float]
    heading: float
    pieces: tuple[Piece, ...] = ()

    @property
    def length(self) -> float:
        """Metres along the ground."""
        return sum(piece.length for piece in self.pieces)

    @property
    def end(self) -> tuple[tuple[float, float], float]:
        """Place and heading at the end."""
        if not self.pieces:
            return self.start, self.heading
        place, heading = self.at(np.array([self.length]))
        return (float(place[0, 0]), float(place[0, 1])), float(heading[0])

    def then(self, *pieces: Piece) -> Route:
        """Longer by some pieces; those without length are left out."""
        return Route(self.start, self.heading, (*self.pieces, *(piece for piece in pieces if piece.length > 1e-6)))

    def piece_at(self, distance: Float[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
        """Number of the piece at some distances from the start."""
        ends = np.cumsum([piece.length for piece in self.pieces])
        return np.minimum(np.searchsorted(ends, distance, side="right"), len(self.pieces) - 1)

    def at(self, distance: Float[np.ndarray, " n"]) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:
        """Places (metres) and headings (radians) after some distances."""
        place, heading = np.array(self.start, np.float64), self.heading
        points, headings = np.empty((len(distance), 2)), np.empty(len(distance))
        index, passed = self.piece_at(distance), 0.0
        for number, piece in enumerate(self.pieces):
            rows = index == number
            points[rows] = place + _chord(heading, piece.curvature, distance[rows] - passed)
            headings[rows] = heading + piece.curvature * (distance[rows] - passed)
            place = place + _chord(heading, piece.curvature, np.array([piece.length]))[0]
            heading += piece.curvature * piece.length
            passed += piece.length
        return points, headings


def _chord(heading: float, curvature: float, distance: np.ndarray) -> Float[np.ndarray, "n 2"]:
    half = curvature * distance / 2
    # np.sinc(x / pi) is sin(x) / x, safe at zero.
    return (distance * np.sinc(half / np.pi))[:, None] * np.stack([np.cos(heading + half), np.sin(heading + half)], 1)


def continued(route: Route, action: Walk | WalkTo | Run | RunTo) -> Route:
    """The route with one more action."""
    running = isinstance(action, Run | RunTo)
    if isinstance(action, Walk | Run):
        return route.then(Piece(action.distance, action.curvature, action.speed, running))
    return _towards(route, action.place, action.speed, running)


def straightened(place: tuple[float, float], action: Travel) -> list[tuple[Walk | WalkTo | Run | RunTo, bool]]:
    """An action of somebody at a place as plain ways, and whether each must begin straight: nobody turns on steps."""
    if not isinstance(action, Stairs | StepOver):
        return [(action, False)]
    places = waypoints(place, action)
    return [(WalkTo(p, action.speed), k == len(places) - 1) for k, p in enumerate(places)]


def waypoints(place: tuple[float, float], action: Stairs | StepOver) -> list[tuple[float, float]]:
    """Where an action leads somebody who stands at `place`: before what is crossed, and beyond it."""
    if isinstance(action, Stairs):
        return _over_steps(place, action.steps)
    return _across(place, action.obstacle)


def _over_steps(place: tuple[float, float], steps: Sequence[Slab]) -> list[tuple[float, float]]:
    first, last = np.array(steps[0].base[:2]), np.array(steps[-1].base[:2])
    along = last - first if len(steps) > 1 else first - np.array(place)
    along = along / np.linalg.norm(along)
    before = first - along * (_half_depth(steps[0], along) + _BEYOND)
    depth = _half_depth(steps[-1], along)
    after = last if 2 * depth > _LANDING else last + along * (depth + _BEYOND)
    # Who already stands on the first of them starts from there.
    way = [after] if steps[0].covers(np.array(place)[None])[0] else [before, after]
    return [(float(p[0]), float(p[1])) for p in way]


def _across(place: tuple[float, float], obstacle: Slab) -> list[tuple[float, float]]:
    middle, yaw = np.array(obstacle.base[:2]), obstacle.yaw + (np.pi / 2 if obstacle.size[1] < obstacle.size[0] else 0)
    along = np.array([np.cos(yaw), np.sin(yaw)])
    along *= np.sign(along @ (middle - np.array(place))) or 1.0
    reach = along * (_half_depth(obstacle, along) + 2 * _BEYOND)
    return [(float(p[0]), float(p[1])) for p in (middle - reach, middle + reach)]


def _half_depth(slab: Slab, along: np.ndarray) -> float:
    c, s = np.cos(slab.yaw), np.sin(slab.yaw)
    return float(0.5 * (slab.size[0] * abs(along @ [c, s]) + slab.size[1] * abs(along @ [-s, c])))


def _towards(route: Route, place: tuple[float, float], speed: float, running: bool) -> Route:
    """A bend that ends looking at the place, then straight to it."""
    (x, y), heading = route.end
    away = np.array(place) - np.array([x, y])
    if np.linalg.norm(away) < 1e-3:
        return route
    ahead, left = np.array([np.cos(heading), np.sin(heading)]), np.array([-np.sin(heading), np.cos(heading)])
    side = 1.0 if away @ left >= 0 else -1.0
    radius = max(_SHARPEST_BEND, speed**2 / _SIDEWAYS)
    forward, across = float(away @ ahead), float(abs(away @ left))
    # The tightest circle through a place beside the walker touches it: a tangent to a larger one does not exist.
    radius = min(radius, 0.98 * (forward**2 + across**2) / (2 * max(across, 1e-9)))
    turn = _tangent_turn(forward, across, radius)
    straight = np.sqrt(max(forward**2 + (radius - across) ** 2 - radius**2, 0.0))
    return route.then(Piece(radius * turn, side / radius, speed, running), Piece(float(straight), 0.0, speed, running))


def _tangent_turn(forward: float, across: float, radius: float) -> float:
    """Angle to turn on a circle (centre at (0, radius), start at the origin along x) before its tangent hits a point."""
    distance = np.hypot(forward, across - radius)
    bearing = np.arctan2(across - radius, forward)
    turn = float((bearing + np.arcsin(np.clip(radius / distance, -1, 1))) % (2 * np.pi))
    # Straight ahead may come out a rounding error below a whole turn.
    return turn if turn < 2 * np.pi - 1e-6 else 0.0


def angle_to(place: tuple[float, float], heading: float, target: Sequence[float]) -> float:
    """How far (radians, left positive) somebody must turn to look at a place."""
    bearing = np.arctan2(target[1] - place[1], target[0] - place[0])
    return float(np.angle(np.exp(1j * (bearing - heading))))
