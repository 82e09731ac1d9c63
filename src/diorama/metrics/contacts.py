"""Contact labels against truth, with a tolerance in time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from diorama.geometry.arrays import as_flags
from diorama.metrics.inputs import checked


class ContactScores(NamedTuple):
    """Precision and recall per site, and pooled over all (frame, site) pairs; NaN where there is nothing to count."""

    precision: float
    recall: float
    site_precision: Float[np.ndarray, " sites"]
    site_recall: Float[np.ndarray, " sites"]

    @property
    def f1(self) -> float:
        """Harmonic mean of the pooled figures; 0 where either counts nothing."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def contact_scores(pred: ArrayLike, target: ArrayLike, *, tolerance: int = 0) -> ContactScores:
    """A predicted contact counts if the truth has one at the same site within `tolerance` frames; a true contact is
    found if the prediction has one within `tolerance` frames. Fractions.

    Source: this project. JOSH's repository scores `still_points` of both sides, tolerance 0, by `f1`.

    Args:
        pred, target: flags (frames, sites) of consecutive frames.

    Raises:
        ValueError: shapes differ or are not (frames, sites), a negative tolerance, probabilities instead of flags.
    """
    p, t = as_flags(pred), as_flags(target)
    if p.ndim != 2 or p.shape != t.shape or tolerance < 0:
        raise ValueError(f"need flags (frames, sites) of one shape, tolerance >= 0: {p.shape}, {t.shape}, {tolerance}")
    right, found = p & _dilated(t, tolerance), t & _dilated(p, tolerance)
    return ContactScores(
        float(_share(right.sum(keepdims=True), p.sum(keepdims=True))[0, 0]),
        float(_share(found.sum(keepdims=True), t.sum(keepdims=True))[0, 0]),
        _share(right.sum(0), p.sum(0)),
        _share(found.sum(0), t.sum(0)),
    )


def still_points(points: ArrayLike, threshold: float = 0.01) -> Bool[np.ndarray, "steps points"]:
    """Where points (frames, points, 3) move by less than `threshold` metres to the next frame: (frames - 1, points).

    The field's contact label of feet: 3D displacement, no height test. 0.01 m is 0.30 m/s at 30 fps, 0.20 m/s at 20 fps.
    """
    steps = np.diff(checked(points, "points", "frames points 3"), axis=0)
    return np.linalg.norm(steps, axis=-1) < threshold


def _dilated(flags: Bool[np.ndarray, "frames sites"], reach: int) -> Bool[np.ndarray, "frames sites"]:
    out = flags.copy()
    for step in range(1, min(reach, len(flags) - 1) + 1):
        out[step:] |= flags[:-step]
        out[:-step] |= flags[step:]
    return out


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
