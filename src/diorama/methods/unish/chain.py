"""One world of all windows: a metric scale for the whole video, then every window on the one before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.linalg import solveh_banded

from diorama.geometry.alignment import Similarity
from diorama.methods.unish.overlap import Join

# What a window's own metric scale may at best be worth (relative deviation).
_BEST_CLAIM = 0.01
# What a window without people counts, in frames with people.
_NOBODY = 0.1
_ROUNDS = 10


def placed_windows(joins: Sequence[Join], witnesses: Sequence[int]) -> list[Similarity]:
    """From every window's world to the common one, which has the axes and the origin of the first window's.

    Args:
        joins: of each window after the first to the one before.
        witnesses: frames with people that told a window's metric scale.
    """
    scales = np.exp(log_scales(joins, witnesses))
    placed = [Similarity(float(scales[0]), np.eye(3), np.zeros(3))]
    for step, scale in zip(joins, scales[1:], strict=True):
        before = placed[-1]
        rotation = before.rotation @ step.move.rotation
        # The scale is not exactly the join's, so what is in both windows stays in place in its middle.
        translation = before.apply(step.target) - scale * rotation @ step.source
        placed.append(Similarity(float(scale), rotation, translation))
    return placed


def log_scales(joins: Sequence[Join], witnesses: Sequence[int]) -> Float[np.ndarray, " windows"]:
    """Log factor of every window's unit to metres.

    Least squares of two kinds of witnesses: neighbours' relative scales (`log_deviation` of the join), and every
    window's own claim to be metric, whose deviation is read off how much neighbours contradict each other. So a chain of
    hundreds of joins does not drift away from metres, and where joins are exact, claims only say one common scale. Claims
    are robust (Cauchy).
    """
    if not joins:
        return np.zeros(1)
    count = len(joins) + 1
    ratio = np.log([step.move.scale for step in joins])
    precise = np.array([step.log_deviation for step in joins]) ** -2
    claim = max(float(np.sqrt(np.mean(ratio**2) / 2)), _BEST_CLAIM)
    trust = np.maximum(np.asarray(witnesses, np.float64), _NOBODY)
    trust = trust / trust.max() / claim**2
    found, weight = np.zeros(count), trust
    for _ in range(_ROUNDS):
        bands = np.zeros((2, count))
        bands[1] = weight
        bands[1, 1:] += precise
        bands[1, :-1] += precise
        bands[0, 1:] = -precise
        right = np.zeros(count)
        right[1:] += precise * ratio
        right[:-1] -= precise * ratio
        found = solveh_banded(bands, right)
        weight = trust / (1 + (found / (2 * claim)) ** 2)
    return found
