"""Find people of all sizes in one picture: the detector on overlapping square tiles, and one candidate per person."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.frontends.blazepose import BlazePose, Candidates, Picture


@dataclass(frozen=True)
class DetectionConfig:
    """Tiles are squares of the longer side, the shorter side, and `fractions` of the shorter side.

    Neighbouring tiles share `overlap` of their side. Tiles under `min_tile` px would only magnify. A candidate needs
    `min_score`, and joins another one if their hips and shoulders are closer than `same_person` of their crop's size.
    """

    fractions: tuple[float, ...] = (0.6, 0.36)
    overlap: float = 0.35
    min_tile: float = 180.0
    min_score: float = 0.5
    same_person: float = 0.12


def tiles(width: int, height: int, config: DetectionConfig) -> list[tuple[float, float, float]]:
    """Squares (x0, y0, size) in px: the whole picture (letter-boxed) and smaller ones that cover it."""
    long, short = max(width, height), min(width, height)
    found = [((width - long) / 2, (height - long) / 2, float(long))]
    sizes = [short * f for f in (1.0, *config.fractions) if short * f >= config.min_tile]
    for size in sizes:
        if size < 0.98 * long:
            columns, rows = _starts(width, size, config.overlap), _starts(height, size, config.overlap)
            found += [(x, y, float(size)) for y in rows for x in columns]
    return found


def _starts(length: float, size: float, overlap: float) -> list[float]:
    """Where tiles of `size` start so that they cover 0..length evenly and overlap at least by `overlap`."""
    if size >= length:
        return [(length - size) / 2]
    count = int(np.ceil((length - size) / (size * (1 - overlap)))) + 1
    return [float(v) for v in np.linspace(0, length - size, count)]


def detect_people(networks: BlazePose, picture: Picture, config: DetectionConfig) -> Candidates:
    """One candidate per seen person (sometimes several, sometimes one for two people), best first, in picture px."""
    squares = tiles(picture.width, picture.height, config)
    found = Candidates.join([networks.detect(picture, tile, config.min_score) for tile in squares])
    return merge_candidates(found, config.same_person)


def merge_candidates(found: Candidates, same_person: float) -> Candidates:
    """Average, weighted by score, what lies on the same person; best score first.

    Distances between hips and between shoulders decide, not boxes: the boxes of two people side by side overlap.
    """
    order = np.argsort(-found.scores, kind="stable")
    left, merged = list(order), []
    while left:
        best = left[0]
        same = candidate_distance(found.points[best], found.points[left]) < same_person
        rows = np.array(left)[same]
        weights = found.scores[rows] / found.scores[rows].sum()
        boxes = np.tensordot(weights, found.boxes[rows], 1)
        points = np.tensordot(weights, found.points[rows], 1)
        merged.append(Candidates(found.scores[[best]], boxes[None], points[None]))
        left = [row for row, taken in zip(left, same, strict=True) if not taken]
    return Candidates.join(merged)


def candidate_distance(
    one: Float[np.ndarray, "4 2"], others: Float[np.ndarray, "people 4 2"]
) -> Float[np.ndarray, " people"]:
    """Larger of the distances of hips and of shoulders, and of the body circles' radii, relative to the crop's size."""
    size = 2.5 * np.linalg.norm(one[1] - one[0])
    sizes = 2.5 * np.linalg.norm(others[:, 1] - others[:, 0], axis=-1)
    apart = np.linalg.norm(others[:, [0, 2]] - one[[0, 2]], axis=-1).max(axis=1)
    return np.maximum(apart, np.abs(sizes - size) / 2) / np.maximum(size, 1e-6)
