"""What is kept of one result against its truth: the values behind every column, and the series that plots draw."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.evaluate.columns import COLUMN


@dataclass(frozen=True)
class Series:
    """The values of one column in one sequence: per frame, pair, keyframe or person; in the unit of the metric.

    `weights` (the same length) where values do not count alike; a mean is sum(w v) / sum(w).
    """

    column: str
    values: Float[np.ndarray, " n"]
    weights: Float[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class Trace:
    """One person ("person 3") or the camera over time, for plots.

    Attributes:
        times: seconds.
        found, true: paths from above (x, y), metres; all of a sequence after one common rigid alignment.
        world_mm: joint error (camera: error of the centre) after one rigid alignment of the whole path.
        local_mm: PA-MPJPE; for the camera empty.
    """

    name: str
    times: Float[np.ndarray, " n"]
    found: Float[np.ndarray, "n 2"]
    true: Float[np.ndarray, "n 2"]
    world_mm: Float[np.ndarray, " n"]
    local_mm: Float[np.ndarray, " _"]


@dataclass(frozen=True)
class Scores:
    """All series of one result; a column that is missing could not be scored and is "-" in the table."""

    series: tuple[Series, ...]
    traces: tuple[Trace, ...] = ()

    def figure(self, column: str) -> float:
        """The sequence's own value of a column in the table's unit; NaN if it could not be scored."""
        return pooled(column, [self])


def pooled(column: str, scores: Iterable[Scores]) -> float:
    """The mean of a column over results of several sequences, as the papers take it; NaN where nothing was scored."""
    rule = COLUMN[column]
    sums = [_sums(column, one) for one in scores]
    sums = [(total, weight) for total, weight in sums if weight > 0]
    if not sums:
        return float("nan")
    totals, weights = np.array(sums).T
    mean = totals.sum() / weights.sum() if rule.mean == "frames" else (totals / weights).mean()
    return rule.factor * float(mean)


def _sums(column: str, scores: Scores) -> tuple[float, float]:
    """sum(w v) and sum(w) over all series of the column."""
    total = weight = 0.0
    for series in scores.series:
        if series.column == column:
            w = np.ones(len(series.values)) if series.weights is None else series.weights
            # What counts nothing may be undefined (precision without a prediction).
            total += float((w * np.where(w > 0, series.values, 0.0)).sum())
            weight += float(w.sum())
    return total, weight
