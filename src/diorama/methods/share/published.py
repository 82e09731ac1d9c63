"""SHARE's optimisation of people as published (Eq. 4-9), solved exactly: it is a problem in six unknowns.

With e_i = r_i(T) - smoothed r_i, the relative loss (Eq. 9) of all frames between the keyframes is least where they are offset
by the mean of the keyframes' offsets. What is left is CD_1(e_1) + CD_2(e_2) + (N - 2) / (N - 1) |e_1 - e_2|^2 / 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import minimize

from diorama.errors import DioramaError
from diorama.methods.share.chamfer import Chamfer

_BETAS, _EPS = (0.9, 0.999), 1e-8  # Adam's own defaults


@dataclass(frozen=True)
class AnchorConfig:
    """Solver and the published numbers.

    Attributes:
        solver: "exact" (closed form and a few quasi-Newton steps on full point sets), or "adam", the published one.
        sigma, reach: Gaussian smoothing of the root's path, frames (release: 3, and 19 taps).
        steps, rate: of Adam ("600 optimization iterations ... a learning rate of 0.01").
        subset: vertices and points drawn anew in every step of Adam (release: 5000).
        seed: of these draws.
        coarse: vertices and points of the search before the exact one.
    """

    solver: Literal["exact", "adam"] = "exact"
    sigma: float = 3.0
    reach: int = 9
    steps: int = 600
    rate: float = 0.01
    subset: int = 5000
    seed: int = 0
    coarse: int = 400


@dataclass(frozen=True)
class Anchored:
    """Translations of all frames, metres, and the loss on full point sets with its two parts (Eq. 4, 5 and 9)."""

    transl: Float[np.ndarray, "frames 3"]
    loss: float
    body_loss: float
    relative_loss: float


def anchor_to_points(
    roots: Float[np.ndarray, "frames 3"],
    verts: Float[np.ndarray, "posed verts 3"],
    transl: Float[np.ndarray, "translations 3"],
    points_first: Float[np.ndarray, "points_first 3"],
    points_last: Float[np.ndarray, "points_last 3"],
    config: AnchorConfig = AnchorConfig(),
) -> Anchored:
    """SHARE's published optimisation; the keyframes are the first and the last frame.

    Args:
        roots: root joint at zero translation, metres, camera frame.
        verts: mesh at zero translation, of all frames or of the two keyframes only.
        transl: initial translations; `roots + transl` is the path that is smoothed.
        points_first, points_last: the person's points in the two keyframes' maps (the second one scaled), camera frame.
        config: see there.

    Raises:
        DioramaError: an empty point set, or numbers of frames that do not fit.
    """
    count = len(roots)
    if len(transl) != count or len(verts) not in (count, 2) or not count:
        raise DioramaError(
            f"{count} roots, {len(transl)} translations, {len(verts)} meshes",
            where="SHARE",
            fix="give as many of each, or the two keyframes' meshes",
        )
    if not (len(points_first) and len(points_last)):
        raise DioramaError("no points of the person at a keyframe", where="SHARE", fix="choose another keyframe")
    smooth = smoothed(roots + transl, config.sigma, config.reach)
    # The mesh at the smoothed place; what is looked for is the shift from there.
    terms = [
        Chamfer(verts[index] + smooth[index] - roots[index], points)
        for index, points in ((0, points_first), (-1, points_last))
    ]
    start = (roots + transl - smooth)[[0, -1]]
    if config.solver == "adam":
        offsets = _adam(terms, roots + transl - smooth, config)
    else:
        offsets = between(_exact(terms, start, count, config), count)
    return _anchored(terms, offsets, smooth - roots)


def smoothed(path: Float[np.ndarray, "frames 3"], sigma: float, reach: int) -> Float[np.ndarray, "frames 3"]:
    """Gaussian mean over 2 reach + 1 frames; the path is mirrored at its ends, which are not repeated (Eq. 6)."""
    return gaussian_filter1d(path, sigma, axis=0, mode="mirror", radius=reach)


def between(ends: Float[np.ndarray, "2 3"], count: int) -> Float[np.ndarray, "frames 3"]:
    """Offsets of all frames, given those of the keyframes: the minimiser of Eq. 9."""
    offsets = np.repeat(ends.mean(0, keepdims=True), count, 0)
    offsets[0], offsets[-1] = ends[0], ends[-1]
    return offsets


def relative_loss(offsets: Float[np.ndarray, "frames 3"]) -> float:
    """Eq. 9: means over all frames but the other keyframe, and over x, y, z."""
    if len(offsets) < 2:
        return 0.0
    to_first, to_last = offsets - offsets[0], offsets - offsets[-1]
    return float(np.mean(to_first[:-1] ** 2) + np.mean(to_last[1:] ** 2))


def _anchored(terms: list[Chamfer], offsets: Float[np.ndarray, "frames 3"], base: np.ndarray) -> Anchored:
    body = sum(term(offsets[index])[0] for term, index in zip(terms, (0, -1), strict=True))
    relative = relative_loss(offsets)
    return Anchored(base + offsets, body + relative, body, relative)


def _exact(
    terms: list[Chamfer], start: Float[np.ndarray, "2 3"], count: int, config: AnchorConfig
) -> Float[np.ndarray, "2 3"]:
    """The least of the minima that are reached from the initial place and from the points' middle."""
    middle = np.stack([np.median(term.points, 0) - np.median(term.verts, 0) for term in terms])
    thin = [term.thinned(config.coarse, config.seed + index) for index, term in enumerate(terms)]
    found = [_descended(thin, first, count, 1e-5) for first in (start, middle)]
    best = min(found, key=lambda offsets: _reduced(offsets.ravel(), terms, count)[0])
    return _descended(terms, best, count, 1e-7)


def _descended(
    terms: list[Chamfer], start: Float[np.ndarray, "2 3"], count: int, tolerance: float
) -> Float[np.ndarray, "2 3"]:
    options = {"maxiter": 200, "ftol": tolerance, "gtol": 1e-7, "maxls": 30}
    found = minimize(_reduced, start.ravel(), (terms, count), jac=True, method="L-BFGS-B", options=options)
    return found.x.reshape(2, 3)


def _reduced(flat: np.ndarray, terms: list[Chamfer], count: int) -> tuple[float, np.ndarray]:
    """The loss of the keyframes' offsets, all other frames at their best; one frame is both keyframes."""
    ends = flat.reshape(2, 3)
    if count == 1:
        value, slope = terms[0](ends.mean(0))
        return value, np.tile(slope / 2, 2)
    (first, by_first), (last, by_last) = terms[0](ends[0]), terms[1](ends[1])
    share, apart = (count - 2) / (count - 1) / 6, ends[0] - ends[1]
    slopes = np.concatenate([by_first + 2 * share * apart, by_last - 2 * share * apart])
    return first + last + share * float(apart @ apart), slopes


def _adam(
    terms: list[Chamfer], offsets: Float[np.ndarray, "frames 3"], config: AnchorConfig
) -> Float[np.ndarray, "frames 3"]:
    """All frames' translations by Adam, Chamfer terms on new random subsets in every step."""
    x, mean, square = offsets.copy(), np.zeros_like(offsets), np.zeros_like(offsets)
    for step in range(1, config.steps + 1):
        slope = _relative_slope(x)
        for index, term in zip((0, -1), terms, strict=True):
            slope[index] += term.thinned(config.subset, config.seed + 2 * step + index)(x[index])[1]
        mean = _BETAS[0] * mean + (1 - _BETAS[0]) * slope
        square = _BETAS[1] * square + (1 - _BETAS[1]) * slope**2
        unbiased = mean / (1 - _BETAS[0] ** step), square / (1 - _BETAS[1] ** step)
        x = x - config.rate * unbiased[0] / (np.sqrt(unbiased[1]) + _EPS)
    return x


def _relative_slope(offsets: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    """Gradient of Eq. 9."""
    count, slope = len(offsets), np.zeros_like(offsets)
    if count < 2:
        return slope
    for inside, keyframe in ((slice(None, -1), 0), (slice(1, None), -1)):
        apart = 2 * (offsets[inside] - offsets[keyframe]) / (3 * (count - 1))
        slope[inside] += apart
        slope[keyframe] -= apart.sum(0)
    return slope
