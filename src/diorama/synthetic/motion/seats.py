"""Where and how somebody sits or lies, found on the person's own skin: nothing cuts in, and the seat site touches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.synthetic.feet import Foothold, pitched, upright
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.plan import CHANNEL, CHANNELS
from diorama.synthetic.motion.posing import skin_of, standing_feet
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.motion.terrain import surface_height

# Seated: the pelvis rolls back onto the seat bones and the three spine joints bend the trunk upright again, radians.
SEATED_PITCH, SEATED_BEND = -0.32, 0.12
# Knees of somebody who sits on a seat, and on the ground, radians.
_KNEE, _KNEE_ON_GROUND = 1.5, 2.1
# Legs that hang: thighs below level, shins behind plumb, toes below level, radians; a seat that high (in legs) is climbed.
_THIGH_DOWN, _SHIN_BACK, _TOES_DOWN = 0.06, 0.10, 0.3
_HIGHEST_SEAT = 0.97
# Skin may be pressed in by this much, metres.
PRESSED = 0.002
# Free air between the calves or heels and the front of a seat, metres.
_BEFORE = 0.025
# Upright calves before the edge need this (ankle to edge, metres, at 1.72 m).
_CALF = 0.10
# Nearest to the edge that the seat site may be, metres.
_EDGE = 0.035
_BELOW = ("pelvis", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle", "right_ankle")


@dataclass(frozen=True)
class Side:
    """A side of a seat: middle of its front edge (x, y; metres), the direction a sitter faces, and the seat's size.

    Flat ground is a seat without a front: its depth is infinite."""

    edge: tuple[float, float]
    facing: float
    depth: float
    width: float
    top: float

    @property
    def is_ground(self) -> bool:
        """Whether this is the floor."""
        return bool(np.isinf(self.depth))

    def at(self, ahead: float, aside: float = 0.0) -> Float[np.ndarray, 2]:
        """Ground point so far before the edge and to the sitter's left of its middle."""
        c, s = np.cos(self.facing), np.sin(self.facing)
        return np.array(self.edge) + ahead * np.array([c, s]) + aside * np.array([-s, c])


@dataclass(frozen=True)
class SeatedPose:
    """How somebody sits: place of the seat site (metres), where to stand before, and the feet if they hang."""

    side: Side
    point: tuple[float, float, float]
    stand: tuple[float, float]
    hanging: tuple[Foothold, Foothold] | None


def sides_of(seat: Slab) -> list[Side]:
    """The four sides of a seat, the long ones of a bed."""
    half = np.array(seat.size[:2]) / 2
    sides = []
    for turn in range(4):
        along, across = half[turn % 2], half[1 - turn % 2]
        if seat.kind == "bed" and across < along:
            continue
        facing = seat.yaw + turn * np.pi / 2
        edge = np.array(seat.base[:2]) + along * np.array([np.cos(facing), np.sin(facing)])
        sides.append(
            Side((float(edge[0]), float(edge[1])), float(facing), float(2 * along), float(2 * across), seat.top)
        )
    return sides


def chosen_side(walker: Walker, seat: Slab, place: tuple[float, float], facing: float | None) -> Side:
    """The side to sit on: the one asked for, or the nearest with free ground before it.

    Raises:
        DioramaError: no side is free.
    """

    def badness(side: Side) -> float:
        if facing is not None:
            return abs(float(np.angle(np.exp(1j * (side.facing - facing)))))
        return float(np.hypot(*(side.at(0.5) - np.array(place))))

    free = [side for side in sides_of(seat) if facing is not None or _is_free(walker.layout, side, seat)]
    if not free:
        raise DioramaError("no side of the seat is free", where="script", fix="move what stands before it")
    return min(free, key=badness)


def _is_free(layout: Layout, side: Side, seat: Slab) -> bool:
    """Whether there is floor to stand on before a side, and nothing on the edge of the seat."""
    ahead = [side.at(x, y) for x in (0.12, 0.3, 0.5, 0.7) for y in (-0.2, 0.0, 0.2)]
    points = np.array(ahead)
    others = replace(layout, slabs=tuple(s for s in layout.slabs if s != seat))
    inside = np.array([side.at(x, y) for x in (-0.1, -0.2) for y in (-0.15, 0.0, 0.15)])
    level = np.abs(surface_height(layout, points) - layout.floor_height(points)).max() < 1e-6
    return bool(level and (surface_height(others, inside) < side.top + 1e-6).all())


def seated_pose(walker: Walker, side: Side, aside: float = 0.0) -> SeatedPose:
    """The deepest place on a seat where neither thighs nor calves cut in: feet on the ground, or hanging if too high.

    Raises:
        DioramaError: the seat is too high to get onto.
    """
    figure = walker.figure
    deepest = 0.0 if side.is_ground else min(0.85 * side.depth, 0.9 * figure.length("left_hip", "left_knee"))
    depths = [0.0] if side.is_ground else np.linspace(_EDGE, deepest, 14)
    for hanging in (False,) if side.is_ground else (False, True):
        way = _dangling if hanging else _sitting
        poses = [way(walker, side, float(depth), aside) for depth in depths]
        fit = [k for k, pose in enumerate(poses) if pose is not None and _depth_in(walker, pose) <= PRESSED]
        if fit:
            found = poses[fit[-1]]
            assert found is not None
            return found
    raise DioramaError(
        f"a seat of {side.top:.2f} m fits no legs of {figure.leg:.2f} m", where="script", fix="take another seat"
    )


def ground_side(walker: Walker, place: tuple[float, float], heading: float) -> Side:
    """The ground behind somebody who stands at a place and will sit down there.

    Raises:
        DioramaError: the ground is not level.
    """
    if walker.layout.slope != (0.0, 0.0):
        raise DioramaError("nobody sits on a slope here", where="script", fix="sit on a seat, or on level ground")
    top = float(walker.layout.ground_height(np.array(place)[None])[0])
    at_origin = _sitting(walker, Side((0.0, 0.0), 0.0, np.inf, np.inf, top), 0.0, 0.0)
    assert at_origin is not None
    back = at_origin.stand[0] * np.array([np.cos(heading), np.sin(heading)])
    return Side((place[0] - float(back[0]), place[1] - float(back[1])), heading, np.inf, np.inf, top)


@dataclass(frozen=True)
class _Legs:
    """What a seated pose needs of a person; lengths in metres, heights in the world.

    `ahead` is how far the hips are before the seat site, `down` how far the ankles are below the hips."""

    thigh: float
    shin: float
    ahead: float
    hips: float
    floor: float
    ankle: float


def _legs(walker: Walker, side: Side, aside: float) -> _Legs:
    figure = walker.figure
    _, up, ahead = pitched(np.array(SEATED_PITCH)) @ (figure.bone("pelvis", "left_hip") - figure.site("seat"))
    floor = float(walker.layout.ground_height(side.at(0.0 if side.is_ground else 0.3, aside)[None])[0])
    return _Legs(
        figure.length("left_hip", "left_knee"), figure.length("left_knee", "left_ankle"), float(ahead),
        side.top + float(up), floor, floor + figure.skeleton.feet[0].ankle_height,
    )  # fmt: skip


def _sitting(walker: Walker, side: Side, depth: float, aside: float) -> SeatedPose | None:
    """Somebody whose seat site is `depth` behind the edge with the feet on the ground; None if they do not reach it."""
    legs = _legs(walker, side, aside)
    down = legs.hips - legs.ankle
    bent = np.cos(_KNEE_ON_GROUND if side.is_ground else _KNEE)
    wanted = np.sqrt(legs.thigh**2 + legs.shin**2 + 2 * legs.thigh * legs.shin * bent)
    stand = legs.ahead - depth + float(np.sqrt(max(wanted**2 - down**2, (0.12 * legs.thigh) ** 2)))
    if not side.is_ground:
        stand = max(stand, walker.figure.heel_back + _BEFORE, _CALF * walker.figure.size)
    if np.hypot(stand - legs.ahead + depth, down) > 0.97 * (legs.thigh + legs.shin):
        return None
    return SeatedPose(side, _on_seat(side, depth, aside), _pair(side.at(stand, aside)), None)


def _dangling(walker: Walker, side: Side, depth: float, aside: float) -> SeatedPose | None:
    """The same on a seat too high for the feet: thighs level, shins a little back, toes down; None if it is too low."""
    figure, legs = walker.figure, _legs(walker, side, aside)
    knee = legs.ahead - depth + legs.thigh * np.cos(_THIGH_DOWN)
    low = legs.hips - legs.thigh * np.sin(_THIGH_DOWN) - legs.shin * np.cos(_SHIN_BACK)
    if low < legs.ankle or side.top - legs.floor > _HIGHEST_SEAT * figure.leg:
        return None
    c, s = np.cos(side.facing) * np.sin(_TOES_DOWN), np.sin(side.facing) * np.sin(_TOES_DOWN)
    tilt = (float(c), float(s), float(np.cos(_TOES_DOWN)))
    ahead = max(float(knee - legs.shin * np.sin(_SHIN_BACK)), figure.heel_back + 2 * _BEFORE)
    feet = []
    for outward in (1, -1):
        place = side.at(ahead, aside + outward * walker.half_track)
        ground = np.array([*place, low]) - figure.skeleton.feet[0].ankle_height * np.array(tilt)
        feet.append(Foothold(
            (float(ground[0]), float(ground[1]), float(ground[2])), side.facing + outward * walker.manner.toe_out,
            normal=tilt, heel=False, toe=False,
        ))  # fmt: skip
    near = side.at(figure.heel_back + 2 * _BEFORE, aside)
    return SeatedPose(side, _on_seat(side, depth, aside), _pair(near), (feet[0], feet[1]))


def _on_seat(side: Side, depth: float, aside: float) -> tuple[float, float, float]:
    return (*_pair(side.at(-depth, aside)), side.top)


def _pair(point: np.ndarray) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def seated_feet(walker: Walker, pose: SeatedPose) -> tuple[Foothold, Foothold]:
    """The footholds of somebody who sits."""
    if pose.hanging is not None:
        return pose.hanging
    left, right = (walker.stand(side, np.array(pose.stand), pose.side.facing) for side in range(2))
    return left, right


def seated_columns(figure: Figure, pose: SeatedPose) -> Float[np.ndarray, "1 channels"]:
    """The body's channels when seated."""
    turn = upright(np.array(pose.side.facing)) @ pitched(np.array(SEATED_PITCH))
    pelvis = np.array(pose.point) - turn @ figure.site("seat")
    columns = np.zeros((1, len(CHANNELS)))
    names = ("x", "y", "z", "yaw", "pitch", "bend")
    columns[0, [CHANNEL[name] for name in names]] = (*pelvis, pose.side.facing, SEATED_PITCH, SEATED_BEND)
    return columns


def _depth_in(walker: Walker, pose: SeatedPose) -> float:
    """How deep the skin of hips and legs is in the layout, metres."""
    feet = [standing_feet(walker.figure, k, [hold]) for k, hold in enumerate(seated_feet(walker, pose))]
    columns = seated_columns(walker.figure, pose)
    verts = skin_of(walker.figure, columns, feet, walker.manner.arm_down, *_BELOW)
    return float(walker.layout.penetration(verts).max())
