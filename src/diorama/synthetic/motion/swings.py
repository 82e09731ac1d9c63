"""How a foot is carried over what lies on its way: the gentlest of some ways that keep the whole sole clear."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.synthetic.feet import Foothold, Swing, bump, detour, lift_over, sole_points, swing
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.terrain import near, surface_height

CLEARANCE = 0.018
_PLAIN = Swing()
# Near its ends a swing may be this much (metres) deeper in the ground than the standing soles are; the clearance is
# reached where the bump has this inverse share of its height.
_SUNK, _ONSET = 0.001, 1.5
# Kept around the sole, metres: samples of a quick foot lie some centimetres apart.
_ROOM = 0.010
_SAMPLES = np.linspace(0, 1, 42)
_HIGHEST = 0.65
# Tried ways: shares of the distance by which the foot stays behind early on the way up and is ahead late on the way
# down, and when it is highest. A lift as low as the last number needs no better way.
_SHARES = (0.0, 0.1, 0.2, 0.3)
_LOW = 0.06
# What a metre of lift is worth in the ankle's second differences (metres per sample squared).
_LIFT_COST = 0.015
# On its last way a foot is this share of the distance later than the smoothest swing: it does not outrun the hip.
_TARDY, _TARDY_RUN = 0.05, 0.08
# What is this much higher than a foothold is a step or an obstacle, metres.
_STANDS_OUT = 0.04
_PEAKS = (0.5, 0.36, 0.64)


def carried(layout: Layout, figure: Figure, side: int, leave: Foothold, land: Foothold, base: Swing = _PLAIN) -> Swing:
    """The swing between two footholds that accelerates the ankle least; lift and flick of `base` come on top.

    Raises:
        DioramaError: something too high stands between the footholds.
    """
    layout = near(layout, np.array([leave.ground[:2], land.ground[:2]]), figure.toe_front + 0.3)
    shape = figure.skeleton.feet[side]
    ankle, foot, toes = swing(_SAMPLES, leave, land, shape, base)
    points = sole_points(ankle, foot, toes, shape, figure.outlines[side])
    wide, deepest = _around_the_ends(layout, points[[0, -1]])
    best, gentlest = None, np.inf
    for tried in _ways(layout, leave, land, base):
        shift = detour(_SAMPLES, leave, land, replace(tried, lift=0.0))
        hill = bump(_SAMPLES, tried.peak)
        wanted = (CLEARANCE + _SUNK) * np.minimum(1, hill * _ONSET) - _SUNK - deepest
        lift = lift_over(_clearance(wide, points + shift[:, None]), wanted, hill)
        way = ankle + shift + np.array([0, 0, 1.0]) * (lift * hill)[:, None]
        effort = float(np.linalg.norm(np.diff(way, n=2, axis=0), axis=1).max()) + _LIFT_COST * lift
        if lift <= _HIGHEST and effort < gentlest:
            best, gentlest = replace(tried, lift=base.lift + lift), effort
        if lift < _LOW:
            break
    if best is None:
        raise DioramaError("something too high is in a foot's way", where="script", fix="go round it")
    return best


def _around_the_ends(layout: Layout, ends: Float[np.ndarray, "2 points 3"]) -> tuple[Layout, float]:
    """What to keep off: the layout with some room around everything, unless a foothold is that near to something
    itself; and how deep the soles of both are in it, metres."""
    for tried in (_grown(layout), layout):
        deepest = float((surface_height(tried, ends[..., :2]) - ends[..., 2]).max())
        if deepest < _STANDS_OUT:
            return tried, max(deepest, 0.0)
    raise DioramaError("a foot is to stand in something", where="script", fix="go elsewhere, or make room")


def _ways(layout: Layout, leave: Foothold, land: Foothold, base: Swing) -> Iterator[Swing]:
    """Ways to try, the plainest first."""
    way = float(np.hypot(land.ground[0] - leave.ground[0], land.ground[1] - leave.ground[1]))
    tardy = _TARDY_RUN if base.flick else _TARDY
    up, down = barrier(layout, leave, land)
    for late, early in itertools.product(_SHARES if up else (0.0,), _SHARES if down else (0.0,)):
        for peak in _PEAKS:
            yield replace(base, peak=peak, delay=late * way, hurry=(early - tardy) * way)


def _clearance(wide: Layout, points: Float[np.ndarray, "n points 3"]) -> Float[np.ndarray, " n"]:
    """Height of the lowest point over what is under it, or under it one sample before or after: an edge may lie between
    two samples."""
    below = surface_height(wide, points[..., :2])
    around = below.copy()
    around[1:] = np.maximum(around[1:], below[:-1])
    around[:-1] = np.maximum(around[:-1], below[1:])
    return (points[..., 2] - around).min(1)


def barrier(layout: Layout, leave: Foothold, land: Foothold) -> tuple[bool, bool]:
    """Whether something on the way is higher than the foothold that is left, and higher than the one that is reached."""
    share = np.linspace(0, 1, 15)[:, None]
    ends = np.array([leave.ground, land.ground])
    line = ends[0] + share * (ends[1] - ends[0])
    height = surface_height(layout, line[:, :2])
    if min(leave.normal[2], land.normal[2]) < 1 - 1e-9:
        # On a slope nothing stands out of the line from foothold to foothold.
        out = bool((height - line[:, 2]).max() > _STANDS_OUT)
        return out, out
    return bool(height.max() > ends[0, 2] + _STANDS_OUT), bool(height.max() > ends[1, 2] + _STANDS_OUT)


def _grown(layout: Layout) -> Layout:
    """The layout with some room around everything that stands on it."""
    slabs = [replace(s, size=(s.size[0] + 2 * _ROOM, s.size[1] + 2 * _ROOM, s.size[2])) for s in layout.slabs]
    return replace(layout, slabs=tuple(slabs))
