"""Contact labels against truth, with a tolerance in time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class ContactScores(NamedTuple):
    """Precision and recall per site, and pooled over all (frame, site) pairs; NaN where there is nothing to count."""

    precision: float
    recall: float
    site_precision: Float[np.ndarray, " sites"]
    site_recall: Float[np.ndarray, " sites"]

    @property
    def f1(self) -> float:
        """Harmonic mean of the pooled figures."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total > 0 else 0.0


def precision_recall(
    predicted: Bool[np.ndarray, "frames sites"], truth: Bool[np.ndarray, "frames sites"], *, tolerance: int = 0
) -> ContactScores:
    """A predicted contact counts if the truth has one at the same site within `tolerance` frames; a true contact is
    found if the prediction has one within `tolerance` frames. Rows are consecutive frames."""
    right = predicted & _dilated(truth, tolerance)
    found = truth & _dilated(predicted, tolerance)
    return ContactScores(
        float(_share(right.sum(keepdims=True), predicted.sum(keepdims=True))[0, 0]),
        float(_share(found.sum(keepdims=True), truth.sum(keepdims=True))[0, 0]),
        _share(right.sum(0), predicted.sum(0)),
        _share(found.sum(0), truth.sum(0)),
    )


def _dilated(flags: Bool[np.ndarray, "frames sites"], reach: int) -> Bool[np.ndarray, "frames sites"]:
    out = flags.copy()
    for step in range(1, min(reach, len(flags) - 1) + 1):
        out[step:] |= flags[:-step]
        out[:-step] |= flags[step:]
    return out


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), np.nan)
