"""A person's path before the camera: keyframes, keypoints, the body's own path and the floor, in one smooth curve.

The pelvis is (a, b, 1) z; log z and the direction (a, b) are found one after the other, each by sparse least squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from jaxtyping import Float, Int
from scipy.sparse.linalg import spsolve

_ROUNDS = 8


@dataclass(frozen=True)
class Witness:
    """What one source says of a curve at some rows: values and deviations.

    `bias` is the deviation of a constant by which all of them may be off (0: none); `robust` lets go of single rows.
    """

    at: Int[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    sigma: Float[np.ndarray, " n"]
    bias: float = 0.0
    robust: bool = False


def curve(
    times: Float[np.ndarray, " rows"],
    witnesses: Sequence[Witness],
    acceleration: Float[np.ndarray, " rows"] | float,
) -> Float[np.ndarray, " rows"]:
    """The most probable values at all rows.

    Args:
        times: of the rows, seconds, ascending.
        witnesses: at least one row in all.
        acceleration: deviation of the curve's second derivative, per second squared, for stretches of 0.2 s.
    """
    count, bent = len(times), _bending(times, acceleration)
    shifted = [index for index, each in enumerate(witnesses) if each.bias > 0 and len(each.at)]
    columns = {index: count + number for number, index in enumerate(shifted)}
    blocks, values, sigmas, loose = [], [], [], []
    for index, each in enumerate(witnesses):
        rows = np.arange(len(each.at))
        picked = sp.csr_matrix((np.ones(len(rows)), (rows, each.at)), (len(rows), count + len(shifted)))
        if index in columns:
            column = np.full(len(rows), columns[index])
            picked = picked + sp.csr_matrix((np.ones(len(rows)), (rows, column)), picked.shape)
        blocks.append(picked)
        values.append(each.value)
        sigmas.append(each.sigma)
        loose.append(np.full(len(rows), each.robust))
    A, value, sigma, lets_go = sp.vstack(blocks).tocsr(), *map(np.concatenate, (values, sigmas, loose))
    prior = np.zeros(count + len(shifted))
    prior[count:] = [witnesses[index].bias ** -2 for index in shifted]
    smooth = sp.block_diag([bent.T @ bent, sp.csr_matrix((len(shifted), len(shifted)))]) if shifted else bent.T @ bent
    # The tiny weight holds rows that nobody sees.
    stiff = smooth + sp.diags(prior + 1e-7 + 1e-14 * smooth.diagonal().max(initial=0.0))
    weight, x = sigma**-2, np.zeros(count + len(shifted))
    middle = float(np.median(value))
    for _ in range(_ROUNDS if lets_go.any() else 1):
        x = spsolve((A.T @ sp.diags(weight) @ A + stiff).tocsc(), A.T @ (weight * (value - middle)))
        away = np.abs(A @ x - (value - middle)) / sigma
        # Cauchy.
        weight = np.where(lets_go, 1 / (1 + (away / 2) ** 2), 1.0) / sigma**2
    return np.asarray(x)[:count] + middle


def per_second(times: Float[np.ndarray, " rows"], lag: float) -> float:
    """Rows whose errors are one error, since they last for `lag` seconds."""
    if len(times) < 2:
        return 1.0
    return max(lag / float(np.median(np.diff(times))), 1.0)


def _bending(times: Float[np.ndarray, " rows"], acceleration: Float[np.ndarray, " rows"] | float) -> sp.csr_matrix:
    """Second derivatives over their deviations; the sum of squares does not depend on the number of rows."""
    count = len(times)
    if count < 3:
        return sp.csr_matrix((0, count))
    before, after = np.diff(times)[:-1], np.diff(times)[1:]
    span = (before + after) / 2
    sigma = np.broadcast_to(np.asarray(acceleration, np.float64), (count,))[1:-1]
    scale = np.sqrt(span / 0.2) / sigma
    rows = np.arange(count - 2)
    parts = ((rows, 1 / before), (rows + 1, -1 / before - 1 / after), (rows + 2, 1 / after))
    entries = np.concatenate([scale / span * each for _, each in parts])
    places = (np.tile(rows, 3), np.concatenate([column for column, _ in parts]))
    return sp.csr_matrix((entries, places), (count - 2, count))
