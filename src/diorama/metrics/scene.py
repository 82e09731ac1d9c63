"""Depth and point clouds against truth: metres in, plain fractions or metres out. `target` is the truth."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from diorama.geometry.arrays import as_flags, as_float64
from diorama.metrics.inputs import checked

DepthAlignment = Literal["none", "median", "scale", "lstsq", "lad", "lad2"]
Values = Float[np.ndarray, " n"]


def abs_rel(pred: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> float:
    """AbsRel: mean of |d - g| / g over the valid pixels, a fraction.

    Source: MonST3R and Pi3 (one video, all frames stacked, after `align_depth`; sequences weighted by valid pixels);
    JOSH Tables 1, 2, 5, 7 (per frame, unaligned metric depth, mean over frames); UniSH Table 4.

    Args:
        pred, target: depth of one shape, m.
        valid: bool of that shape. Pixels whose target is 0, negative, infinite or NaN never count. None: where also the
            prediction is finite and > 0 (JOSH's rule). Where it is given, predictions <= 0 count as they are.

    Raises:
        ValueError: shapes differ, no valid pixel, or NaN in a valid prediction.
    """
    d, g = _valid(pred, target, valid)
    return float((np.abs(d - g) / g).mean())


def rel(pred: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None) -> float:
    """MoGe's relative error: mean of |d - g| / (g + 1e-6) over the valid pixels, a fraction. Otherwise as `abs_rel`."""
    d, g = _valid(pred, target, valid)
    return float((np.abs(d - g) / (g + 1e-6)).mean())


def delta(pred: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None, threshold: float = 1.25) -> float:
    """Share of the valid pixels with max(d / g, g / d) < threshold (strict); predictions <= 0 are never inliers.

    Source and arguments: as `abs_rel`.
    """
    d, g = _valid(pred, target, valid)
    ratio = np.full(len(d), np.inf)
    seen = d > 0
    ratio[seen] = np.maximum(d[seen] / g[seen], g[seen] / d[seen])
    return float((ratio < threshold).mean())


def align_depth(
    pred: ArrayLike, target: ArrayLike, valid: ArrayLike | None = None, mode: DepthAlignment = "median"
) -> np.ndarray:
    """`pred` after a scale (and shift) fitted over all valid pixels together, float64 in the same shape.

    | mode | what | used by |
    |---|---|---|
    | none | nothing: metric depth | JOSH, UniSH on SLOPER4D, Pi3's `metric` |
    | median | scale = median(g) / median(d), the lower of two middle values as in torch | MonST3R's default |
    | scale | scale of least sum |s d - g|: 10 re-weighted steps from mean(g) / mean(d) | Pi3 and UniSH on Bonn |
    | lstsq | scale and shift of least squares | MonST3R's option |
    | lad | scale and shift of least sum |s d + t - g|, the exact optimum | |
    | lad2 | the same sum by 1000 steps of Adam (lr 1e-4) from the median scale and shift 0 | MonST3R on Bonn, Sintel |

    "lad2" moves each number by at most about 0.1 and so stops short of a larger shift, as the published numbers do.
    Per-video alignment is all frames stacked in one call. Invalid pixels are scaled too; MonST3R clips to 70 m on Sintel
    afterwards (np.clip).

    Args:
        pred, target, valid: as `abs_rel`.

    Raises:
        ValueError: as `abs_rel`; another mode; predictions whose median or mean is not above 0 ("median", "scale",
            "lad2").
    """
    if mode not in _FITS:
        raise ValueError(f"mode must be one of {', '.join(_FITS)}, not {mode!r}")
    scale, shift = _FITS[mode](*_valid(pred, target, valid))
    return scale * as_float64(pred) + shift


def _valid(pred: ArrayLike, target: ArrayLike, valid: ArrayLike | None) -> tuple[Values, Values]:
    """The valid predictions and targets as two flat arrays."""
    d, g = as_float64(pred), as_float64(target)
    if d.shape != g.shape:
        raise ValueError(f"pred and target must have one shape: {d.shape} against {g.shape}")
    counts = np.isfinite(d) & (d > 0) if valid is None else as_flags(valid)
    if counts.shape != g.shape:
        raise ValueError(f"valid has shape {counts.shape}, the depth {g.shape}")
    counts = counts & np.isfinite(g) & (g > 0)
    if not counts.any():
        raise ValueError("no valid pixel: the error is not defined; leave this frame out")
    if not np.isfinite(d[counts]).all():
        raise ValueError("pred is NaN or infinite at valid pixels; take them out of valid")
    return d[counts], g[counts]


def _lower_median(values: Values) -> float:
    middle = (len(values) - 1) // 2
    return float(np.partition(values, middle)[middle])


def _median_scale(d: Values, g: Values) -> tuple[float, float]:
    median = _lower_median(d)
    if median <= 0:
        raise ValueError("the median of the predicted depth is not above 0: there is no scale")
    return _lower_median(g) / median, 0.0


def _least_absolute_scale(d: Values, g: Values) -> tuple[float, float]:
    if d.mean() <= 0:
        raise ValueError("the mean of the predicted depth is not above 0: there is no scale")
    scale = g.mean() / d.mean()
    for _ in range(10):
        weight = 1 / (np.abs(scale * d - g) + 1e-8)
        scale = (weight * d * g).sum() / (weight * d * d).sum()
    return float(scale), 0.0


def _least_squares(d: Values, g: Values) -> tuple[float, float]:
    scale, shift = np.linalg.lstsq(np.stack([d, np.ones_like(d)], 1), g, rcond=None)[0]
    return float(scale), float(shift)


def _least_absolute(d: Values, g: Values) -> tuple[float, float]:
    """For a given scale the best shift is the median residual, and the sum is convex in the scale: bisection."""
    if np.ptp(d) == 0:
        return 1.0, float(np.median(g - d))
    scale, _ = _least_squares(d, g)
    reach = max(abs(scale), 1e-3)
    low, high = scale - reach, scale + reach
    while _slope(low, d, g) > 0:
        low, reach = low - reach, 2 * reach
    while _slope(high, d, g) < 0:
        high, reach = high + reach, 2 * reach
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(middle, d, g) < 0 else (low, middle)
    return high, float(np.median(g - high * d))


def _slope(scale: float, d: Values, g: Values) -> float:
    """A subgradient in the scale of min over t of sum |s d + t - g|."""
    residual = scale * d - g
    sign = np.sign(residual - np.median(residual))
    # Pixels exactly on the line take the sign that balances the others, so that the shift is at its optimum.
    on_line = sign == 0
    balance = -sign.sum() / max(int(on_line.sum()), 1)
    return float(d @ np.where(on_line, balance, sign))


def _adam(d: Values, g: Values) -> tuple[float, float]:
    """Kingma and Ba 2015 with the usual betas and epsilon, on sum |s d + t - g|."""
    fit = np.array(_median_scale(d, g))
    first, second = np.zeros(2), np.zeros(2)
    for step in range(1, 1001):
        sign = np.sign(fit[0] * d + fit[1] - g)
        gradient = np.array([sign @ d, sign.sum()])
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        fit -= 1e-4 * (first / (1 - 0.9**step)) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
    return float(fit[0]), float(fit[1])


_FITS = {
    "none": lambda d, g: (1.0, 0.0),
    "median": _median_scale,
    "scale": _least_absolute_scale,
    "lstsq": _least_squares,
    "lad": _least_absolute,
    "lad2": _adam,
}


class ChamferDistance(NamedTuple):
    """Distances in metres: of the prediction from the truth, of the truth from the prediction, and both together."""

    accuracy: float
    completeness: float
    chamfer: float


def chamfer(
    a: ArrayLike, b: ArrayLike, *, voxel: float | None = None, mode: Literal["mean", "sum"] = "mean"
) -> ChamferDistance:
    """Chamfer distance, m: accuracy = mean_a min_b |a - b|, completeness = mean_b min_a |a - b|, unsquared, no cap.

    `mode`: "mean" halves their sum (JOSH Tables 1, 5, 7, with `voxel=0.3`; VideoMimic 0.02); "sum" does not (SHARE's
    training loss, on random subsets of 5000 points).

    Args:
        a, b: prediction (n, 3) and truth (m, 3) in one world.
        voxel: both clouds are first thinned by `voxel_means` of this size, m; None: not.

    Raises:
        ValueError: an empty cloud, NaN, a voxel that is not above 0.
    """
    if mode not in ("mean", "sum"):
        raise ValueError(f'mode must be "mean" or "sum", not {mode!r}')
    pred, target = checked(a, "a", "points 3"), checked(b, "b", "points 3")
    if voxel is not None:
        pred, target = voxel_means(pred, voxel), voxel_means(target, voxel)
    accuracy = float(KDTree(target).query(pred)[0].mean())
    completeness = float(KDTree(pred).query(target)[0].mean())
    total = accuracy + completeness
    return ChamferDistance(accuracy, completeness, total / 2 if mode == "mean" else total)


def voxel_means(points: ArrayLike, voxel: float) -> Float[np.ndarray, "voxels 3"]:
    """The mean of the points (n, 3) in each occupied voxel; the grid starts at the lowest corner minus voxel / 2.

    Source: open3d's `voxel_down_sample`, which JOSH uses.
    """
    p = checked(points, "points", "points 3")
    if not voxel > 0:
        raise ValueError(f"voxel must be above 0 m, not {voxel}")
    cells = np.floor((p - (p.min(0) - voxel / 2)) / voxel).astype(np.int64)
    keys = np.ravel_multi_index(tuple(cells.T), tuple(cells.max(0) + 1))
    _, rows, counts = np.unique(keys, return_inverse=True, return_counts=True)
    sums = np.stack([np.bincount(rows, weights=column) for column in p.T], 1)
    return sums / counts[:, None]
