"""A plan of a whole motion: footholds, keys and glides in time, from which any frame can be computed."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from diorama.synthetic.curves import glide
from diorama.synthetic.feet import Foothold, Swing
from diorama.synthetic.motion.schedule import BodyKey, Flight
from diorama.synthetic.motion.steps import Walker

# Everything of the body but feet and planted palms, over time. Pelvis in the world (metres; yaw from +X, pitch forward
# and roll to the left, radians); bend, twist and tilt of each of the three spine joints; nod and look of neck and head;
# per arm: swing forward, spread from the side, elbow.
CHANNELS = (
    "x", "y", "z", "yaw", "pitch", "roll", "bend", "twist", "tilt", "nod", "look",
    "left_swing", "right_swing", "left_spread", "right_spread", "left_elbow", "right_elbow",
)  # fmt: skip
CHANNEL = {name: index for index, name in enumerate(CHANNELS)}


@dataclass(frozen=True)
class Glide:
    """Something added to channels: from nothing at `start` through `points` to the last of them at `end` (seconds),
    which stays. Every point has one number per name."""

    start: float
    end: float
    names: tuple[str, ...]
    points: tuple[tuple[float, ...], ...]

    def added(self, times: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n c"]:
        """What is added at some times, one column per name."""
        u = (times - self.start) / (self.end - self.start)
        return glide(u, np.array([[0.0] * len(self.names), *self.points]))


@dataclass(frozen=True)
class Span:
    """From `start` to `end`, seconds."""

    start: float
    end: float

    def covers(self, times: Float[np.ndarray, " n"]) -> np.ndarray:
        """Which times lie in it."""
        return (times >= self.start) & (times <= self.end)


@dataclass(frozen=True)
class SeatHold(Span):
    """The seat site stays at `point` (metres) from `start` to `end`, whatever the trunk does."""

    point: tuple[float, float, float]


@dataclass(frozen=True)
class PalmHold:
    """A palm on a surface: it arrives at `on`, is planted, leaves at `off`, and takes `reach` seconds to come and to go.

    Attributes:
        point: where the palm site stays, metres.
        normal: of the surface, unit.
        fingers: direction in which the fingers lie, unit, across the normal.
        elbow: direction to which the elbow points.
    """

    side: int
    on: float
    off: float
    point: tuple[float, float, float]
    normal: tuple[float, float, float]
    fingers: tuple[float, float, float]
    elbow: tuple[float, float, float]
    reach: float = 0.9


@dataclass(frozen=True)
class Plan:
    """Everything that a person does, in script time.

    Attributes:
        holds, swings: per side, footholds and what leads from each to the next.
        keys, flights: of the body while it goes on foot.
        glides: what sitting, crouching, leaning and lying add.
        palms: planted hands; `seats`: the planted seat site.
        carried: when the legs do not carry the body, so that they do not limit its height.
        seconds: duration.
    """

    walker: Walker
    holds: tuple[tuple[Foothold, ...], tuple[Foothold, ...]]
    swings: tuple[tuple[Swing, ...], tuple[Swing, ...]]
    keys: tuple[BodyKey, ...]
    flights: tuple[Flight, ...] = ()
    glides: tuple[Glide, ...] = ()
    palms: tuple[PalmHold, ...] = ()
    seats: tuple[SeatHold, ...] = ()
    carried: tuple[Span, ...] = ()
    seconds: float = field(default=0.0)
