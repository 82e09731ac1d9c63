"""Painted tiles for streets, with corners of all sizes for feature trackers: paving, facades, posters, leaves."""

from __future__ import annotations

import string

import cv2
import numpy as np
from jaxtyping import Float

from diorama.render.textures import noise

Picture = Float[np.ndarray, "side side 3"]


def grey_noise(rng: np.random.Generator, side: int, cells: int, octaves: int, contrast: float) -> Picture:
    """Mid-grey tile with smooth noise, to multiply other textures with."""
    return np.repeat(0.5 + 0.5 * contrast * noise(rng, side, cells, octaves)[..., None], 3, 2)


def paving(rng: np.random.Generator, side: int, slabs: tuple[int, int] = (12, 20)) -> Picture:
    """Stone slabs in a running bond, each of its own shade, with joints, stains, grit and gum spots."""
    rows, columns = slabs
    y, x = (v.astype(np.float32) for v in np.mgrid[0:side, 0:side])
    row = (y * rows / side).astype(int)
    across = (x * columns / side + 0.5 * (row % 2)) % columns
    shade = rng.normal(0, 0.08, (rows, columns, 1)) + rng.normal(0, 0.012, (rows, columns, 3))
    joint = np.minimum(_to_edge(y * rows / side) * side / rows, _to_edge(across) * side / columns)
    grit = 0.05 * noise(rng, side, side // 8, 3) + 0.045 * noise(rng, side, 8, 5)
    out = (0.46 + grit)[..., None] + shade.astype(np.float32)[row, across.astype(int)]
    out *= np.where(joint < side / 900, 0.55, 1.0)[..., None] * np.array([1.0, 0.97, 0.92], np.float32)
    return spots(rng, out.astype(np.float32), 400)


def _to_edge(value: np.ndarray) -> np.ndarray:
    return np.minimum(value % 1, 1 - value % 1)


def spots(rng: np.random.Generator, picture: Picture, count: int) -> Picture:
    """Dark and light specks of a few texels: corners that trackers hold on to."""
    reach = 12
    for x, y in rng.integers(reach, len(picture) - reach, (count, 2)):
        size = rng.uniform(1.5, reach - 3)
        axes = (round(size), max(1, round(size * rng.uniform(0.4, 1))))
        stamp = np.zeros((2 * reach, 2 * reach), np.uint8)
        cv2.ellipse(stamp, (reach, reach), axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
        picture[y - reach : y + reach, x - reach : x + reach][stamp > 0] *= rng.choice([0.55, 0.7, 1.25, 1.4])
    return picture


def facade(rng: np.random.Generator, side: int = 1024) -> Picture:
    """A house front of 16 m x 16 m (row 0 at the top): plaster, four floors of windows that all differ, shops below."""
    base = rng.uniform(0.35, 0.7) * (1 + rng.normal(0, 0.12, 3))
    out = (
        base.astype(np.float32) * (1 + 0.06 * noise(rng, side, 4, 6) + 0.04 * noise(rng, side, side // 8, 2))[..., None]
    )
    out = np.ascontiguousarray(out, np.float32)
    if rng.random() < 0.5:
        _bricks(rng, out)
    columns = int(rng.integers(4, 7))
    for floor in range(3):
        top = int(side * (0.04 + 0.235 * floor))
        cv2.rectangle(out, (0, top - side // 100), (side, top), tuple(map(float, base * 0.7)), -1)
        for column in range(columns):
            left = int(side * (column + 0.22 + rng.uniform(-0.03, 0.03)) / columns)
            _window(rng, out, left, top + int(side * 0.045), int(side * 0.5 / columns), int(side * 0.145))
    for shop in range(3):
        _shop(rng, out, int(side * (shop + 0.05) / 3), int(side * 0.76), int(side * 0.9 / 3), int(side * 0.235))
    return out


def _bricks(rng: np.random.Generator, picture: Picture) -> None:
    side = len(picture)
    rows, columns = side // 8, side // 16
    shade = 1 + rng.normal(0, 0.07, (rows, columns)).astype(np.float32)
    picture *= cv2.resize(shade, (side, side), interpolation=cv2.INTER_NEAREST)[..., None]
    picture[::8] *= 0.85


def _window(rng: np.random.Generator, picture: Picture, left: int, top: int, width: int, height: int) -> None:
    """Frame, panes with something behind them, cross bar, sill."""
    frame = rng.choice([0.85, 0.25, 0.6]) * (1 + rng.normal(0, 0.04, 3))
    cv2.rectangle(picture, (left - 4, top - 4), (left + width + 4, top + height + 4), tuple(map(float, frame)), -1)
    glass = picture[top : top + height, left : left + width]
    glass[:] = np.linspace(rng.uniform(0.25, 0.5), rng.uniform(0.08, 0.2), height, dtype=np.float32)[:, None, None]
    glass *= np.array([0.85, 0.95, 1.1], np.float32)
    for _ in range(rng.integers(2, 6)):
        corner, size = rng.integers(0, (width, height)), rng.integers(4, (max(width // 2, 6), max(height // 2, 6)))
        glass[corner[1] : corner[1] + size[1], corner[0] : corner[0] + size[0]] = rng.uniform(0.05, 0.7, 3)
    bar = tuple(map(float, frame))
    cv2.line(picture, (left + width // 2, top), (left + width // 2, top + height), bar, 3)
    cv2.line(picture, (left, top + height // 3), (left + width, top + height // 3), bar, 3)
    cv2.rectangle(picture, (left - 7, top + height + 4), (left + width + 7, top + height + 9), (0.7, 0.69, 0.66), -1)


def _shop(rng: np.random.Generator, picture: Picture, left: int, top: int, width: int, height: int) -> None:
    """A sign with letters over a display window."""
    sign = tuple(map(float, rng.uniform(0.1, 0.8, 3)))
    cv2.rectangle(picture, (left, top), (left + width, top + height // 5), sign, -1)
    _letters(rng, picture, (left + 8, top + height // 6), height / 190)
    _window(rng, picture, left + 8, top + height // 4, int(width * 0.6), int(height * 0.6))
    door = (left + int(width * 0.7), top + height // 4)
    cv2.rectangle(picture, door, (left + width - 6, top + height), tuple(map(float, rng.uniform(0.08, 0.4, 3))), -1)


def _letters(rng: np.random.Generator, picture: Picture, at: tuple[int, int], scale: float) -> None:
    text = "".join(rng.choice(list(string.ascii_uppercase), int(rng.integers(4, 9))))
    ink = (0.92, 0.9, 0.85) if rng.random() < 0.7 else (0.06, 0.06, 0.08)
    font = int(rng.choice([cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SIMPLEX]))
    # OpenCV 5 writes only on 8-bit pictures.
    stamp = np.zeros(picture.shape[:2], np.uint8)
    cv2.putText(stamp, text, at, font, scale, 255, max(1, round(2 * scale)), cv2.LINE_AA)
    cover = (stamp / np.float32(255))[..., None]
    picture += cover * (np.array(ink, np.float32) - picture)


def poster(rng: np.random.Generator, side: int = 512) -> Picture:
    """Layers of bills pasted over each other: blocks, discs and words."""
    out = np.full((side, side, 3), 0.5, np.float32) * rng.uniform(0.5, 1.2, 3).astype(np.float32)
    for _ in range(26):
        x, y = (int(v) for v in rng.integers(-side // 8, side, 2))
        w, h = (int(v) for v in rng.integers(side // 16, side // 3, 2))
        colour = tuple(map(float, rng.uniform(0.05, 0.85, 3)))
        if rng.random() < 0.6:
            cv2.rectangle(out, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.ellipse(out, (x, y), (w // 2, h // 2), float(rng.uniform(0, 180)), 0, 360, colour, -1)
        if rng.random() < 0.5:
            _letters(rng, out, (x, y + h // 2), rng.uniform(0.5, 1.6))
    return np.clip(out * (1 + 0.05 * noise(rng, side, side // 8, 2))[..., None], 0, 1)


def leaves(rng: np.random.Generator, side: int = 512) -> Picture:
    """Foliage: clumps of light and shade."""
    light = 0.5 + 0.16 * noise(rng, side, 24, 4)
    return np.clip(light[..., None] * np.array([0.45, 0.75, 0.3], np.float32), 0.02, 0.9)
