"""Somebody who stands with both palms on a table and shifts a little: six contacts that never move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from diorama.synthetic.layout import Slab
from diorama.synthetic.motion.leaning import LEAN_CHANNELS, Lean, lean_on_top
from diorama.synthetic.motion.plan import Glide, Plan
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.motion.timeline import Timeline

# Arms are bent to this share of their length, so that the trunk may move while the palms stay.
_BENT = 0.80
# How far body and head wander from the rest: metres, and radians (bend, twist and tilt of each of three spine joints).
_WANDER = {
    "x": 0.035, "y": 0.035, "z": 0.012, "yaw": 0.05, "bend": 0.03, "twist": 0.03, "tilt": 0.02, "nod": 0.12, "look": 0.30,
}  # fmt: skip
# The pelvis is so much lower than stretched legs ask for, metres, and there is a new aim so often, seconds.
_LOWER, _SECONDS = 0.035, 0.7


def bent_lean(walker: Walker, number: int, top: float) -> Lean:
    """How somebody leans on a table of height `top` (metres) with bent arms; `number` is the hand in the order of `SIDES`.

    Raises:
        DioramaError: too low for this person.
    """
    return lean_on_top(walker, number, top, _BENT)


def table_before(
    ahead: float, place: tuple[float, float], heading: float, size: tuple[float, float, float], aside: float = 0.0
) -> Slab:
    """The table (size along, deep, high; metres) that begins `ahead` metres before somebody who stands at `place` and
    looks along `heading` (radians from +X), its middle `aside` metres to the person's left."""
    far = ahead + size[1] / 2
    c, s = float(np.cos(heading)), float(np.sin(heading))
    middle = (place[0] + far * c - aside * s, place[1] + far * s + aside * c, 0.0)
    return Slab("table", middle, size, heading - np.pi / 2)


def planted(
    walker: Walker,
    place: tuple[float, float],
    heading: float,
    top: float,
    seconds: float,
    aims: Float[np.ndarray, "n 9"],
) -> Plan:
    """Both feet on level ground, both palms on a table of height `top` (metres) before them, from 0 to `seconds`.

    The palm sites lie on the table itself, the palms' skin some millimetres in it. Between the first and the last frame
    the body wanders through `aims`, each number -1 to 1 times the reach of its channel; whoever wanders too far for his
    arms or legs loses his footing, which the caller finds by looking at the sites.

    Raises:
        DioramaError: too low for this person, or no room to stand.
    """
    line = Timeline.at(walker, place, heading)
    leans = [bent_lean(walker, number, top) for number in range(2)]
    deeper = max(leans, key=lambda lean: lean.amount)
    line.glides.append(Glide(-2.0, -1.0, LEAN_CHANNELS, (deeper.turned(heading),)))
    points = aims * np.array(list(_WANDER.values()))
    line.glides.append(Glide(-2.0, -1.0, ("z",), ((-_LOWER,),)))
    line.glides.append(Glide(0.0, seconds, tuple(_WANDER), tuple(tuple(float(v) for v in row) for row in points)))
    for number, lean in enumerate(leans):
        hold = lean.palm_hold((*place, 0.0), heading, number, -1.0, seconds + 1.0)
        line.palms.append(replace(hold, point=(hold.point[0], hold.point[1], top)))
    line.time = seconds
    return line.plan()


def random_aims(rng: np.random.Generator, seconds: float) -> Float[np.ndarray, "n 9"]:
    """Aims for `planted`: a new one every 0.7 s."""
    return rng.uniform(-1, 1, (max(3, round(seconds / _SECONDS)), len(_WANDER)))
