"""Random processes of front ends' errors: correlated in time at real times, in bursts, with heavy tails, with confidence.

Every process has unit variance or a given share; who uses it multiplies. A correlation time is always the lag in seconds
at which the correlation has fallen to 1/e.
"""

from __future__ import annotations

import zlib

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, ndtri

# (1 + a) exp(-a) = 1/e: where the correlation of a Matern-3/2 process has fallen to 1/e.
_MATERN_AT_ONE_OVER_E = 2.146193220620583
# Normal scores are cut here, so that a perfect value has a finite score.
_SMALLEST_TAIL = 1e-6


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """Random numbers of one purpose. A purpose's numbers do not depend on what is drawn for any other one, so that one
    knob never changes another one's errors."""
    return np.random.default_rng([seed, *(zlib.crc32(str(word).encode()) for word in purpose)])


def correlated(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], seconds: float, channels: int
) -> Float[np.ndarray, "frames channels"]:
    """Gaussian processes of unit variance with a Matern-3/2 correlation (once differentiable: no frame-to-frame jitter).

    The exact discretisation of the process at `times` (seconds, ascending, need not be uniform); the cost is linear in
    their number. `seconds` is the correlation time: 0 is white noise, infinity one constant per channel.
    """
    if seconds <= 0:
        return rng.normal(size=(len(times), channels))
    start = rng.normal(size=(2, channels))
    steps = rng.normal(size=(len(times), 2, channels))
    if np.isinf(seconds):
        return np.repeat(start[:1], len(times), 0)
    out = np.empty((len(times), channels))
    state = start  # value and slope, the slope in units of the decay rate
    for row, (move, spread) in enumerate(_matern_steps(times, _MATERN_AT_ONE_OVER_E / seconds)):
        state = move @ state + spread @ steps[row] if row else state
        out[row] = state[0]
    return out


def _matern_steps(times: np.ndarray, rate: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per frame, what the state becomes in the mean, and the root of the covariance that is added."""
    steps = []
    for lag in rate * np.diff(times, prepend=times[:1]):
        move = np.exp(-lag) * np.array([[1 + lag, lag], [-lag, 1 - lag]])
        a, b, c = (np.eye(2) - move @ move.T)[[0, 0, 1], [0, 1, 1]]
        root = np.sqrt(max(a, 0.0))
        slope = b / root if root > 0 else 0.0
        steps.append((move, np.array([[root, 0.0], [slope, np.sqrt(max(c - slope**2, 0.0))]])))
    return steps


def mixed(
    rng: np.random.Generator,
    times: Float[np.ndarray, " frames"],
    seconds: float,
    white: float,
    channels: int,
    tail: float = np.inf,
) -> Float[np.ndarray, "frames channels"]:
    """Unit variance: a share `white` of it new in every frame (Student-t with `tail` degrees of freedom), the rest slow."""
    slow = correlated(rng, times, seconds, channels)
    fast = heavy_tailed(rng, tail, (len(times), channels))
    return np.sqrt(1 - white) * slow + np.sqrt(white) * fast


def heavy_tailed(rng: np.random.Generator, tail: float, shape: tuple[int, ...]) -> Float[np.ndarray, "*shape"]:
    """Student-t numbers with `tail` degrees of freedom (more than 2; infinity: normal), scaled to unit variance."""
    normal = rng.normal(size=shape)
    if np.isinf(tail):
        return normal
    if tail <= 2:
        raise ValueError(f"tail = {tail}: a Student-t distribution has a variance only above 2 degrees of freedom")
    return normal * np.sqrt((tail - 2) / rng.chisquare(tail, shape))


def bursts(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], share: float, seconds: float, channels: int
) -> Bool[np.ndarray, "frames channels"]:
    """States of two-state Markov chains that are on in a `share` 0-1 of the time, for `seconds` on average at a time.

    `seconds` = 0 (or shorter than a frame's distance) is independent from frame to frame.
    """
    chance = rng.random((len(times), channels))
    out = np.empty((len(times), channels), bool)
    rate = 1 / (seconds * (1 - share)) if seconds > 0 and share < 1 else np.inf
    steps = np.diff(times, prepend=times[:1])
    for row in range(len(times)):
        kept = np.exp(-rate * steps[row]) if row and np.isfinite(rate) else 0.0
        out[row] = chance[row] < share * (1 - kept) + (kept * out[row - 1] if row else 0.0)
    return out


def graded(
    rng: np.random.Generator,
    tail: Float[np.ndarray, "*shape"],
    follows: float,
    span: tuple[float, float],
) -> Float[np.ndarray, "*shape"]:
    """Confidences spread evenly over `span` whose normal scores correlate by `follows` (0-1) with those of `tail`.

    `tail` is the probability of an error at least as large as the one made: 1 for none, 0 for an enormous one. With
    `follows` = 0 the confidence knows nothing of the error, with 1 it is a function of it.
    """
    score = ndtri(np.clip(tail, _SMALLEST_TAIL, 1 - _SMALLEST_TAIL))
    level = ndtr(follows * score + np.sqrt(1 - follows**2) * rng.normal(size=tail.shape))
    return span[0] + (span[1] - span[0]) * level


def ranked_tail(error: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """`tail` for `graded` of errors whose distribution is not known: their own ranks."""
    return 1 - (np.argsort(np.argsort(error, kind="stable"), kind="stable") + 0.5) / max(len(error), 1)
