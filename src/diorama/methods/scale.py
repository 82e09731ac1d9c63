"""Metres per unit of the cameras' world, and everybody's stature, from feet on the ground and a stature prior.

A body detector does not see how tall somebody is, and neither does a moving camera. What can be measured is each
person's height in units of the scene (feet stand where the ground is); metres enter through an assumed or given stature.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

# Deviations beyond which a person counts less: two adults of 1.58 and 1.86 m are both ordinary, a child is not.
HUBER = 2.0


@dataclass(frozen=True)
class ScaleConfig:
    """`stature` gives the metres of people whose height is known. Others are drawn to `adult_stature` with the relative
    deviation `adult_sigma` (world-wide mean of men and women about 1.65 m, people filmed are rather taller; the spread of
    one population is 4-5 %, between populations and sexes more). `measured_sigma` is the relative error of a person's
    measured height, larger where no scene shows the ground."""

    stature: Mapping[int, float] = field(default_factory=dict)
    adult_stature: float = 1.70
    adult_sigma: float = 0.06
    measured_sigma: float = 0.02
    measured_sigma_without_scene: float = 0.08
    given_sigma: float = 0.003


@dataclass(frozen=True)
class ScaleResult:
    """Metres per unit, stature in metres per person, spread in % (median over people of the variation of the per-frame
    scale, before pooling), and the source in words."""

    metres_per_unit: float
    statures: dict[int, float]
    spread_percent: float
    source: str


def scale_per_frame(
    foot_camera: Float[np.ndarray, "frames 3"], R_world_camera: Float[np.ndarray, "frames 3 3"],
    centre: Float[np.ndarray, "frames 3"], normal: Float[np.ndarray, 3], offset: float,
) -> Float[np.ndarray, " frames"]:  # fmt: skip
    """Metres per unit for which the ray through the lowest foot point meets the plane at the body's own distance.

    `foot_camera` is in metres from the camera, `centre` and the plane normal . x = offset in units of the world.
    """
    below = np.einsum("fij,fj->fi", R_world_camera, foot_camera) @ normal
    return below / (offset - centre @ normal)


def pool_scale(
    per_frame: Mapping[int, Float[np.ndarray, " frames"]], fitted_stature: Mapping[int, float], *, scene: bool,
    config: ScaleConfig,
) -> ScaleResult:  # fmt: skip
    """One scale for the world from everybody's per-frame scales, which assumed the statures `fitted_stature`.

    The log of the scale is the robust (Huber) mean over people of log(prior stature / height in units), so that one
    child does not shrink a world of adults; people whose stature was told decide alone. Then each stature is its measured
    height in the common scale, drawn to the prior by the two variances.
    """
    usable = {i: s[np.isfinite(s) & (s > 0)] for i, s in per_frame.items()}
    usable = {i: s for i, s in usable.items() if len(s)}
    if not usable:
        statures = {i: config.stature.get(i, config.adult_stature) for i in fitted_stature}
        return ScaleResult(1.0, statures, float("nan"), "none: nobody stands on the ground")
    units = {i: fitted_stature[i] / float(np.median(s)) for i, s in usable.items()}
    spread = {i: 100 * _spread(s) for i, s in usable.items()}
    measured = config.measured_sigma if scene else config.measured_sigma_without_scene
    # People whose scale wanders from frame to frame (far away, half hidden) are measured less well.
    sigmas = {i: float(np.hypot(measured, spread[i] / 100)) for i in units}
    told = {i: height for i, height in units.items() if i in config.stature}
    log_scale = _pooled_log_scale(told or units, {i: len(s) for i, s in usable.items()}, sigmas, config)
    scale = float(np.exp(log_scale))
    statures = {i: _stature(i, units.get(i), scale, sigmas.get(i, 1.0), config) for i in fitted_stature}
    known = [i for i in units if i in config.stature]
    source = (
        f"given stature of person {', '.join(map(str, known))}"
        if known
        else f"stature prior {config.adult_stature:.2f} m, pooled over {len(units)} people"
    )
    return ScaleResult(scale, statures, float(np.median(list(spread.values()))), source)


def _spread(values: np.ndarray) -> float:
    """Coefficient of variation with the robust deviation (1.4826 median absolute deviations)."""
    centre = np.median(values)
    return float(1.4826 * np.median(np.abs(values - centre)) / centre)


def _pooled_log_scale(
    units: Mapping[int, float], frames: Mapping[int, int], measured: Mapping[int, float], config: ScaleConfig
) -> float:
    logs, sigmas = [], []
    for person, height in units.items():
        given = person in config.stature
        logs.append(np.log(config.stature.get(person, config.adult_stature) / height))
        spread = config.given_sigma if given else config.adult_sigma
        # Short tracks are often distant or partly hidden people.
        trust = min(1.0, frames[person] / 30)
        sigmas.append(np.hypot(spread, measured[person]) / trust)
    log, sigma = np.array(logs), np.array(sigmas)
    pooled = float(np.median(log))
    for _ in range(50):
        residual = np.abs(log - pooled) / sigma
        weight = np.minimum(1, HUBER / np.maximum(residual, 1e-9)) / sigma**2
        pooled = float((weight * log).sum() / weight.sum())
    return pooled


def _stature(person: int, units: float | None, scale: float, measured: float, config: ScaleConfig) -> float:
    if person in config.stature:
        return config.stature[person]
    if units is None:
        return config.adult_stature
    prior, seen = 1 / config.adult_sigma**2, 1 / measured**2
    log = (seen * np.log(scale * units) + prior * np.log(config.adult_stature)) / (prior + seen)
    return float(np.clip(np.exp(log), 0.75, 2.1))
