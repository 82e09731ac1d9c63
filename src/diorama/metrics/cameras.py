"""Camera trajectories against truth: `T_world_camera` (frames, 4, 4) in, metres and degrees out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from diorama.geometry.alignment import Similarity, has_extent, umeyama
from diorama.geometry.arrays import as_float64
from diorama.geometry.transforms import invert
from diorama.metrics.inputs import checked, checked_pair

Align = Literal["se3", "sim3", "none"]
Statistic = Literal["rmse", "mean", "median", "std", "min", "max", "sse"]

# evo's statistics of a list of errors.
_STATISTICS: dict[str, Callable[[np.ndarray], np.floating]] = {
    "rmse": lambda e: np.sqrt((e**2).mean()),
    "mean": np.mean,
    "median": np.median,
    "std": np.std,
    "min": np.min,
    "max": np.max,
    "sse": lambda e: (e**2).sum(),
}


class RelativeError(NamedTuple):
    """Relative pose error: translation in metres, rotation in degrees."""

    translation: float
    rotation: float


def ate(
    pred_T: ArrayLike,
    target_T: ArrayLike,
    *,
    align: Align = "se3",
    statistic: Statistic = "rmse",
    points: Literal["centres", "josh"] = "centres",
) -> float:
    """Absolute trajectory error, m: a statistic over the frames of |g_t - (s R p_t + t)|, p and g camera centres.

    `align`: "se3" fits R and t over the whole path, "sim3" the scale too, "none" nothing. `statistic` is one of evo's:
    rmse, mean, median, std (ddof 0), min, max, sse (m^2). The defaults: this project is about metric results, so the
    scale is not given away (as in JOSH's tables); RMSE is the statistic of JOSH's SLOPER4D table, MonST3R and evo's
    headline.

    | paper | align | statistic | points |
    |---|---|---|---|
    | JOSH, SLOPER4D (Tables 1, 2, 5, 7) | se3 | rmse | josh |
    | JOSH, EMDB (Table 5) | se3 | mean | josh |
    | TRAM ATE / ATE-S | sim3 / se3 | mean | centres |
    | MonST3R, Pi3 | sim3 | rmse | centres |

    Args:
        pred_T, target_T: `T_world_camera` (frames, 4, 4); or centres (frames, 3).
        points: "josh" takes the translation columns of the world-to-camera matrices relative to camera 0,
            T_camera_camera0, as JOSH's code does. It differs from the centres as soon as the camera rotates.

    Raises:
        ValueError: shapes differ, NaN, "josh" without rotations, or "sim3" against a camera that stands still (scale 0
            would fit it exactly).
    """
    p, t = checked_pair(_points(pred_T, points), _points(target_T, points), "frames 3")
    fit = _alignment(p, t, align)
    return _statistic(np.linalg.norm(fit.apply(p) - t, axis=1), statistic)


def rpe(
    pred_T: ArrayLike,
    target_T: ArrayLike,
    *,
    delta: int = 1,
    align: Align = "sim3",
    statistic: Statistic = "rmse",
    all_pairs: bool = True,
) -> RelativeError:
    """Relative pose error over `delta` frames: (translation m, rotation degrees), each a statistic over the pairs.

    E = (G_i^-1 G_j)^-1 (P_i^-1 P_j) for j = i + delta; |translation of E| and the angle of its rotation. After the
    alignment of the whole trajectory only the scale matters, so "se3" and "none" are the same.

    Source: evo. The defaults are MonST3R's and Pi3's (delta 1, all pairs, sim(3), RMSE). `all_pairs=False` is evo's other
    rule: i = 0, delta, 2 delta, ...

    Args:
        pred_T, target_T: `T_world_camera` (frames, 4, 4).

    Raises:
        ValueError: fewer than delta + 1 frames, and as `ate`.
    """
    p, t = checked_pair(pred_T, target_T, "frames 4 4")
    if not 1 <= delta < len(t):
        raise ValueError(f"delta {delta} gives no pair of {len(t)} frames")
    p = p.copy()
    p[:, :3, 3] *= _alignment(p[:, :3, 3], t[:, :3, 3], align).scale
    first = np.arange(0, len(t) - delta, 1 if all_pairs else delta)
    steps = [invert(Ts[first]) @ Ts[first + delta] for Ts in (p, t)]
    error = invert(steps[1]) @ steps[0]
    translation = np.linalg.norm(error[:, :3, 3], axis=1)
    return RelativeError(_statistic(translation, statistic), _statistic(_degrees(error[:, :3, :3]), statistic))


def rotation_error_degrees(pred_T: ArrayLike, target_T: ArrayLike) -> Float[np.ndarray, " frames"]:
    """Angle per frame between rotations relative to the first frame, degrees; `T_world_camera` (frames, 4, 4)."""
    p, t = (np.swapaxes(Ts[:1, :3, :3], 1, 2) @ Ts[:, :3, :3] for Ts in checked_pair(pred_T, target_T, "frames 4 4"))
    return _degrees(np.swapaxes(t, 1, 2) @ p)


def scale_error(pred: ArrayLike, target: ArrayLike) -> float:
    """Error of size, %: 100 |1/s - 1|, s the scale that `umeyama` applies to the prediction; 3 = 3 % too big or small.

    Args:
        pred, target: points of any shape (..., 3): a root path, joints over time, camera centres; or `T_world_camera`
            (frames, 4, 4), whose centres are compared.

    Raises:
        ValueError: one side has no extent, so that there is no size to compare.
    """
    p, t = (_points(x, "centres") for x in (pred, target))
    if p.shape != t.shape or p.ndim < 2 or p.shape[-1] != 3:
        raise ValueError(f"pred and target must be points (..., 3) of one shape: {p.shape} against {t.shape}")
    p, t = p.reshape(-1, 3), t.reshape(-1, 3)
    fit = umeyama(p, t)
    if not (has_extent(p) and has_extent(t) and fit.scale > 0):
        raise ValueError("a set of points without extent has no size to compare")
    return 100 * abs(1 / fit.scale - 1)


def _points(Ts: ArrayLike, kind: str) -> np.ndarray:
    """Camera centres, or JOSH's columns, of poses; centres stay as they are."""
    array = as_float64(Ts)
    if kind not in ("centres", "josh"):
        raise ValueError(f'points must be "centres" or "josh", not {kind!r}')
    if array.shape[-2:] != (4, 4):
        if kind == "josh":
            raise ValueError(f"JOSH's points need poses (frames, 4, 4), not {array.shape}")
        return array
    poses = checked(array, "poses", "frames 4 4")
    return poses[:, :3, 3] if kind == "centres" else (invert(poses) @ poses[0])[:, :3, 3]


def _alignment(p: Float[np.ndarray, "frames 3"], t: Float[np.ndarray, "frames 3"], align: str) -> Similarity:
    if align == "none":
        return Similarity(1.0, np.eye(3), np.zeros(3))
    if align not in ("se3", "sim3"):
        raise ValueError(f'align must be "se3", "sim3" or "none", not {align!r}')
    if align == "sim3" and not has_extent(t):
        raise ValueError('a true camera that stands still fits any path at scale 0; use align="se3"')
    return umeyama(p, t, with_scale=align == "sim3")


def _statistic(errors: Float[np.ndarray, " pairs"], name: str) -> float:
    if name not in _STATISTICS:
        raise ValueError(f"statistic must be one of {', '.join(_STATISTICS)}, not {name!r}")
    return float(_STATISTICS[name](errors))


def _degrees(rotation: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, " n"]:
    """Angle of rotations, exact near 0 and near 180 degrees, where arccos of the trace is not."""
    R = rotation
    axis = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], -1)
    return np.degrees(np.arctan2(np.linalg.norm(axis, axis=1), np.trace(R, axis1=1, axis2=2) - 1))
