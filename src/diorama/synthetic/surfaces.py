"""Painted tiles for rooms, stairs and open ground: boards, papered walls, wood, cloth, grass, concrete, stone."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float

from diorama.render.textures import noise
from diorama.synthetic.pictures import Picture, poster, spots


def boards(rng: np.random.Generator, side: int = 1024, rows: int = 24) -> Picture:
    """A wooden floor: boards of three to five lengths per tile, each with its own shade and grain, with knots."""
    grain = _grain(rng, side)
    tone = rng.uniform(0.25, 0.55) * np.array([1.0, rng.uniform(0.7, 0.82), rng.uniform(0.45, 0.62)])
    out = np.empty((side, side, 3), np.float32)
    edges = np.linspace(0, side, rows + 1).astype(int)
    for top, bottom in pairwise(edges):
        cuts = np.sort(rng.integers(0, side, int(rng.integers(3, 6))))
        shade = 1 + rng.normal(0, 0.13, len(cuts) + 1)
        shade[-1] = shade[0]  # the last piece goes on over the tile's border
        row = shade[np.searchsorted(cuts, np.arange(side), side="right")]
        shifted = np.roll(grain[top:bottom], int(rng.integers(side)), 1)
        out[top:bottom] = (row * (1 + 0.12 * shifted))[..., None] * tone
        out[top:bottom, cuts] *= 0.45
        out[top] *= 0.45
    return spots(rng, out, 160)


def _grain(rng: np.random.Generator, side: int) -> Float[np.ndarray, "side side"]:
    """Noise drawn out along x."""
    fine = noise(rng, side, 32, 4)
    drawn = cv2.blur(np.pad(fine, ((0, 0), (side // 8, side // 8)), mode="wrap"), (side // 16, 1))
    long = drawn[:, side // 8 : -side // 8]
    return (long / long.std() + 0.35 * noise(rng, side, side // 8, 2)).astype(np.float32)


def papered(rng: np.random.Generator, side: int = 1024) -> Picture:
    """An inner wall of 4 m x 4 m (row 0 at the top): plaster or striped paper, framed pictures, a skirting board."""
    tone = rng.uniform(0.45, 0.8) * (1 + rng.normal(0, 0.08, 3))
    mottle = 0.05 * noise(rng, side, 6, 5) + 0.05 * noise(rng, side, side // 6, 2)
    out = (tone * (1 + mottle[..., None])).astype(np.float32)
    if rng.random() < 0.5:
        bands = rng.normal(0, 0.06, int(rng.integers(12, 28)))
        out *= 1 + cv2.resize(bands[None].astype(np.float32), (side, 1), interpolation=cv2.INTER_NEAREST)[..., None]
    for left in np.linspace(0.02, 0.86, int(rng.integers(4, 7))) * side:
        size = rng.uniform(0.07, 0.13, 2) * side
        corner = left + rng.uniform(0, 0.03) * side, side - rng.uniform(0.38, 0.52) * side
        _framed(rng, out, (int(corner[0]), int(corner[1])), (int(size[0]), int(size[1])))
    skirting = int(0.025 * side)
    out[-skirting:] = rng.uniform(0.15, 0.75)
    out[-skirting] = 0.1
    return spots(rng, out, 30)


def _framed(rng: np.random.Generator, picture: Picture, corner: tuple[int, int], size: tuple[int, int]) -> None:
    """A picture of random bills in a frame, and its thin shade on the wall."""
    (x, y), (w, h) = corner, size
    wood = rng.uniform(0.05, 0.6) * np.array([1.0, 0.8, 0.6])
    picture[y + 3 : y + h + 5, x + 3 : x + w + 5] *= 0.8
    picture[y : y + h, x : x + w] = wood
    inside = picture[y + 5 : y + h - 5, x + 5 : x + w - 5]
    inside[:] = cv2.resize(poster(rng, 128), inside.shape[1::-1], interpolation=cv2.INTER_AREA)


def joinery(rng: np.random.Generator, side: int = 512) -> Picture:
    """Wooden furniture, 1.6 m a tile: grain, doors and drawers with knobs and scratches."""
    tone = rng.uniform(0.2, 0.6) * np.array([1.0, rng.uniform(0.68, 0.85), rng.uniform(0.4, 0.7)])
    out = (tone * (1 + 0.14 * _grain(rng, side))[..., None]).astype(np.float32)
    columns, rows = int(rng.integers(3, 6)), int(rng.integers(4, 8))
    for x in np.linspace(0, side, columns + 1).astype(int)[:-1]:
        for y in np.linspace(0, side, rows + 1).astype(int)[:-1]:
            w, h = side // columns - 6, side // rows - 6
            out[y + 3 : y + h, x + 3 : x + w] *= rng.uniform(0.85, 1.15)
            cv2.rectangle(out, (int(x) + 3, int(y) + 3), (int(x) + w, int(y) + h), tuple(map(float, tone * 0.4)), 2)
            knob = int(x + w * rng.uniform(0.3, 0.7)), int(y + h * rng.uniform(0.3, 0.7))
            cv2.circle(out, knob, int(rng.integers(3, 7)), tuple(map(float, rng.uniform(0.1, 0.9, 3))), -1)
    return spots(rng, out, 70)


def cloth(rng: np.random.Generator, side: int = 512) -> Picture:
    """Bedding and upholstery, 1.2 m a tile: patches of a few colours with bands, and a weave."""
    colours = rng.uniform(0.08, 0.8, (int(rng.integers(3, 6)), 3))
    count = int(rng.integers(5, 10))
    patch = colours[rng.integers(0, len(colours), (count, count))] * (1 + rng.normal(0, 0.1, (count, count, 1)))
    out = cv2.resize(patch.astype(np.float32), (side, side), interpolation=cv2.INTER_NEAREST)
    for _ in range(int(rng.integers(4, 10))):
        at, thick = int(rng.integers(0, side - 16)), int(rng.integers(3, 14))
        out[:, at : at + thick] = 0.5 * (out[:, at : at + thick] + rng.uniform(0.05, 0.9, 3))
    weave = 1 + 0.10 * noise(rng, side, side // 4, 2) + 0.06 * noise(rng, side, 6, 4)
    return spots(rng, np.ascontiguousarray(out * weave[..., None], np.float32), 40)


def meadow(rng: np.random.Generator, side: int = 1024) -> Picture:
    """Grass, 6 m a tile: clumps, bare earth, blades, and small flowers."""
    earth = np.clip(0.5 + 0.8 * noise(rng, side, 5, 5), 0, 1)[..., None]
    light = 1 + 0.22 * noise(rng, side, 40, 5) + 0.12 * noise(rng, side, side // 4, 2)
    grass = np.array([0.24, 0.36, 0.11], np.float32)
    out = light[..., None] * (grass + (np.array([0.36, 0.28, 0.18]) - grass) * 0.6 * earth**2)
    out = np.ascontiguousarray(out, np.float32)
    for x, y in rng.integers(4, side - 4, (700, 2)):
        tip = int(x + rng.integers(-9, 10)), int(y - rng.integers(4, 16))
        shade = rng.choice([0.6, 0.75, 1.3, 1.5])
        cv2.line(out, (int(x), int(y)), tip, tuple(map(float, grass * shade)), 2)
    for x, y in rng.integers(4, side - 4, (120, 2)):
        flower = [(0.8, 0.78, 0.7), (0.8, 0.65, 0.1), (0.55, 0.3, 0.6)][int(rng.integers(3))]
        cv2.circle(out, (int(x), int(y)), int(rng.integers(2, 5)), flower, -1)
    return spots(rng, out, 200)


def concrete(rng: np.random.Generator, side: int = 1024) -> Picture:
    """Poured ground, 5 m a tile: stains, joints between fields, cracks, chips."""
    out = 0.42 * (1 + 0.10 * noise(rng, side, 5, 6) + 0.10 * noise(rng, side, side // 8, 3))
    field = 1 + rng.normal(0, 0.06, (2, 2)).astype(np.float32)
    out = (out * cv2.resize(field, (side, side), interpolation=cv2.INTER_NEAREST))[..., None]
    out = np.ascontiguousarray(out * np.array([1.0, 0.98, 0.94]), np.float32)
    out[:: side // 2] *= 0.5
    out[:, :: side // 2] *= 0.5
    _cracks(rng, out, 24)
    return spots(rng, out, 500)


def stone(rng: np.random.Generator, side: int = 512) -> Picture:
    """Rough stone for steps and blocks, 1.5 m a tile: speckles and cracks."""
    tone = rng.uniform(0.3, 0.55) * np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.78, 0.98)])
    rough = 0.10 * noise(rng, side, 6, 5) + 0.16 * noise(rng, side, side // 6, 3)
    out = np.ascontiguousarray(tone * (1 + rough[..., None]), np.float32)
    _cracks(rng, out, 14)
    return spots(rng, out, 160)


def _cracks(rng: np.random.Generator, picture: Picture, count: int) -> None:
    """Dark crooked lines."""
    side = len(picture)
    for _ in range(count):
        steps = rng.normal(0, side / 40, (12, 2)) + rng.normal(0, side / 60, 2)
        line = (rng.uniform(0, side, 2) + np.cumsum(steps, 0)).astype(np.int32)
        shade = float(rng.uniform(0.08, 0.22))
        cv2.polylines(picture, [line[:, None]], False, (shade, shade, shade), int(rng.integers(1, 3)))
