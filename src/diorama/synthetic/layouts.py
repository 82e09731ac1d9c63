"""Random layouts of the five presets: street, room, stairs, slope, clutter; all stand around the origin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from diorama.errors import DioramaError
from diorama.synthetic.free_space import Zone, arena_of, ground_distance, stage_of
from diorama.synthetic.layout import Layout, Slab

Sizes = tuple[tuple[float, float, float], tuple[float, float, float]]

# Least and greatest size (along, deep, high; metres) of furniture against a wall, in the order of placing. Seats are
# 0.40-0.48 m high, tables 0.70-0.78 m, beds 0.40-0.60 m (common furniture; EN 1335 and EN 527 name 0.40-0.51, 0.74).
_FURNITURE: tuple[tuple[str, Sizes], ...] = (
    ("bed", ((1.95, 0.90, 0.40), (2.10, 1.40, 0.60))),
    ("table", ((1.20, 0.60, 0.70), (1.80, 0.80, 0.78))),
    ("seat", ((1.40, 0.55, 0.40), (2.00, 0.75, 0.45))),
    ("seat", ((0.42, 0.42, 0.42), (0.55, 0.50, 0.48))),
    ("clutter", ((0.60, 0.30, 1.50), (1.20, 0.40, 2.10))),
    ("seat", ((0.42, 0.42, 0.42), (0.55, 0.50, 0.48))),
    ("clutter", ((0.30, 0.30, 0.25), (0.60, 0.50, 0.70))),
    ("clutter", ((0.30, 0.30, 0.25), (0.60, 0.50, 0.70))),
)
_NEEDED = {"bed", "table", "seat"}
# Free floor before a piece of furniture, and between neighbours, metres.
_BEFORE, _BETWEEN = 0.9, 0.15
_WALL = 0.15
_BOXES: Sizes = ((0.35, 0.35, 0.3), (1.3, 1.1, 1.7))
_BENCH: Sizes = ((1.3, 0.4, 0.42), (1.8, 0.5, 0.48))


def random_layout(preset: str, rng: np.random.Generator) -> Layout:
    """A layout of one of `PRESETS`, named after it.

    - street: runs along Y between house fronts; boxes, posts and benches stand at the sides.
    - room: four walls; bed, table, seats, shelf and boxes against them with their fronts (+y of their own axes)
      towards the middle, which is free.
    - stairs: one flight up along +Y from the origin, rise 0.15-0.18 m, going 0.27-0.32 m, a landing on top, and then
      often another flight down or up; a wall runs along one side.
    - slope: ground that rises 4-10 degrees in any direction.
    - clutter: bars of 0.1-0.3 m to step over, boxes to walk around.

    Raises:
        DioramaError: there is no such preset.
    """
    if preset not in PRESETS:
        raise DioramaError("there is no such preset", where=preset, fix=f"choose one of {', '.join(PRESETS)}")
    return PRESETS[preset](rng)


def _street(rng: np.random.Generator) -> Layout:
    empty = Layout("street")
    arena = arena_of(empty)
    slabs = [*_fronts(rng, arena)]
    sides = [
        Zone((arena.low[0], arena.low[1]), (-4.0, arena.high[1])),
        Zone((4.0, arena.low[1]), (arena.high[0], arena.high[1])),
    ]
    for index in range(int(rng.integers(14, 20))):
        kind, sizes = [("clutter", _BOXES), ("clutter", ((0.1, 0.1, 2.5), (0.2, 0.2, 4.5))), ("seat", _BENCH)][
            int(rng.choice(3, p=[0.6, 0.28, 0.12]))
        ]
        slabs += _scattered(rng, empty, kind, sizes, sides[index % 2], slabs, keep=stage_of(empty))
    return replace(empty, slabs=tuple(slabs))


def _fronts(rng: np.random.Generator, arena: Zone) -> list[Slab]:
    """Houses of 8-12 m along both sides and one end, each standing forward or back a little."""
    out = []
    (x0, y0), (x1, y1) = arena.low, arena.high
    for x, outwards in ((x0, -1), (x1, 1)):
        at = y0 - 10
        while at < y1 + 8:
            width, depth = rng.uniform(8, 12), rng.uniform(5, 7)
            middle = x + outwards * (depth / 2 + rng.uniform(0.2, 1.5))
            out.append(_slab("wall", (middle, at + width / 2, 0), (depth, width, rng.uniform(8, 15))))
            at += width
    at = x0 - 2
    while at < x1 + 2:
        width = rng.uniform(7, 11)
        out.append(_slab("wall", (at + width / 2, y1 + 11 + rng.uniform(0, 1.5), 0), (width, 5, rng.uniform(9, 16))))
        at += width
    return out


def _room(rng: np.random.Generator) -> Layout:
    while True:
        layout = _furnished(rng)
        if {slab.kind for slab in layout.slabs} >= _NEEDED:
            return layout


def _furnished(rng: np.random.Generator) -> Layout:
    width, depth, height = rng.uniform(5.0, 7.5), rng.uniform(4.6, 7.0), rng.uniform(2.5, 2.9)
    walls = [
        _slab("wall", (0, side * (depth + _WALL) / 2, 0), (width + 2 * _WALL, _WALL, height)) for side in (-1, 1)
    ] + [_slab("wall", (side * (width + _WALL) / 2, 0, 0), (_WALL, depth, height)) for side in (-1, 1)]
    placed: list[Slab] = []
    for kind, sizes in _FURNITURE:
        for _ in range(40):
            piece = _against_a_wall(rng, kind, rng.uniform(*sizes), width, depth)
            if not _crowded(piece, placed):
                placed.append(piece)
                break
    return Layout("room", (*walls, *placed))


def _against_a_wall(rng: np.random.Generator, kind: str, size: np.ndarray, width: float, depth: float) -> Slab:
    """Its back 2 cm from a wall drawn at random."""
    side = int(rng.integers(4))
    along, away = (width, depth) if side % 2 == 0 else (depth, width)
    place = rng.uniform(-1, 1) * (along / 2 - size[0] / 2 - 0.05), -(away / 2 - size[1] / 2 - 0.02)
    yaw = side * np.pi / 2
    c, s = np.cos(yaw), np.sin(yaw)
    return _slab(kind, (c * place[0] - s * place[1], s * place[0] + c * place[1], 0), size, yaw)


def _crowded(piece: Slab, placed: list[Slab]) -> bool:
    """Whether two pieces, each with the floor before it, get in each other's way."""
    return any(_overlap(_with_front(piece), other) or _overlap(piece, _with_front(other)) for other in placed)


def _with_front(slab: Slab) -> Slab:
    """A piece grown by the floor that its use needs."""
    shift = np.array([-np.sin(slab.yaw), np.cos(slab.yaw), 0]) * _BEFORE / 2
    return _slab(
        slab.kind,
        np.array(slab.base) + shift,
        (slab.size[0] + 2 * _BETWEEN, slab.size[1] + _BEFORE, slab.size[2]),
        slab.yaw,
    )


def _overlap(a: Slab, b: Slab) -> bool:
    """Whether two boxes of quarter turns share ground."""
    reach = [np.array(s.size[:2] if round(s.yaw / (np.pi / 2)) % 2 == 0 else s.size[1::-1]) / 2 for s in (a, b)]
    return bool((np.abs(np.array(a.base[:2]) - np.array(b.base[:2])) < reach[0] + reach[1]).all())


def _stairs(rng: np.random.Generator) -> Layout:
    rise, going, width = rng.uniform(0.15, 0.18), rng.uniform(0.27, 0.32), rng.uniform(1.6, 3.0)
    count = int(rng.integers(5, 12))
    levels = list(range(1, count + 1))
    landing = rng.uniform(1.8, 3.0)
    steps = [_step(y, going, width, rise * level) for y, level in enumerate(levels[:-1])]
    start = (count - 1) * going
    steps.append(_slab("step", (0, start + landing / 2, 0), (width, landing, rise * count)))
    after, start = str(rng.choice(["end", "down", "up"])), start + landing
    if after == "down":
        steps += [_step(i, going, width, rise * (count - 1 - i), start) for i in range(count - 1)]
    elif after == "up":
        more = int(rng.integers(3, 7))
        steps += [_step(i, going, width, rise * (count + 1 + i), start) for i in range(more)]
        steps.append(
            _slab("step", (0, start + more * going + landing / 2, 0), (width, landing, rise * (count + more + 1)))
        )
    end = max(step.base[1] + step.size[1] / 2 for step in steps)
    top, side = max(step.top for step in steps), float(rng.choice([-1, 1]))
    wall = _slab("wall", (side * (width / 2 + 0.13), end / 2, 0), (0.2, end, top + rng.uniform(0.9, 1.3)))
    return Layout("stairs", (*steps, wall))


def _step(index: int, going: float, width: float, top: float, start: float = 0.0) -> Slab:
    return _slab("step", (0, start + (index + 0.5) * going, 0), (width, going, top))


def _slope(rng: np.random.Generator) -> Layout:
    rise, direction = np.tan(np.radians(rng.uniform(4, 10))), rng.uniform(0, 2 * np.pi)
    layout = Layout("slope", slope=(float(rise * np.cos(direction)), float(rise * np.sin(direction))))
    return replace(layout, slabs=tuple(_around(rng, layout, int(rng.integers(8, 14)))))


def _clutter(rng: np.random.Generator) -> Layout:
    layout = Layout("clutter")
    stage, slabs = stage_of(layout), []
    inner = Zone((stage.low[0] + 1.0, stage.low[1] + 1.0), (stage.high[0] - 1.0, stage.high[1] - 1.0))
    for _ in range(int(rng.integers(5, 9))):
        slabs += _scattered(rng, layout, "obstacle", ((0.9, 0.10, 0.10), (2.0, 0.35, 0.30)), inner, slabs, gap=1.3)
    for _ in range(int(rng.integers(2, 5))):
        slabs += _scattered(rng, layout, "clutter", _BOXES, stage, slabs, gap=1.0)
    slabs += _around(rng, layout, int(rng.integers(8, 13)), slabs)
    return replace(layout, slabs=tuple(slabs))


def _around(rng: np.random.Generator, layout: Layout, count: int, taken: list[Slab] | None = None) -> list[Slab]:
    """Boxes and a bench between the stage and the arena's border."""
    out: list[Slab] = []
    for index in range(count):
        kind, sizes = ("seat", _BENCH) if index == 0 else ("clutter", _BOXES)
        out += _scattered(rng, layout, kind, sizes, arena_of(layout), [*(taken or []), *out], keep=stage_of(layout))
    return out


def _scattered(
    rng: np.random.Generator,
    layout: Layout,
    kind: str,
    sizes: Sizes,
    zone: Zone,
    taken: list[Slab],
    *,
    keep: Zone | None = None,
    gap: float = 0.4,
) -> list[Slab]:
    """One box in `zone`, `gap` metres away from all others and outside of the zone `keep`; none if 60 tries fail."""
    for _ in range(60):
        size, yaw = rng.uniform(*sizes), float(rng.uniform(0, np.pi))
        reach = float(np.hypot(size[0], size[1])) / 2
        xy = zone.draw(rng, reach)
        if keep is not None and keep.contains(xy, -reach - 0.1).any():
            continue
        if all(ground_distance(other, xy)[0] > reach + gap for other in taken):
            return [_slab(kind, (*xy[0], layout.floor_height(xy)[0]), size, yaw)]
    return []


def _slab(kind: str, base, size, yaw: float = 0.0) -> Slab:
    (x, y, z), (a, b, c) = (tuple(float(v) for v in values) for values in (base, size))
    return Slab(kind, (x, y, z), (a, b, c), float(yaw))


PRESETS: dict[str, Callable[[np.random.Generator], Layout]] = {
    "street": _street, "room": _room, "stairs": _stairs, "slope": _slope, "clutter": _clutter,
}  # fmt: skip
