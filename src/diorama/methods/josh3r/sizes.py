"""How tall people are whose bodies do not know it: a prior on stature, and the distance that the network sees them at.

The embedded bodies cover the right pixels at an assumed stature, so that a person twice as tall is twice as far away. The
motions between keyframes are in metres, and so is the distance that the network tells: it has to be the body's too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from diorama.body import load_body
from diorama.methods.carried import blind_to_size, bodies_of
from diorama.methods.josh3r.pairs import PairPeople
from diorama.observations import Observations

# Statures that the free body can have with average phenotypes, metres.
_SMALLEST, _TALLEST = 0.8, 2.1


@dataclass(frozen=True)
class SizesConfig:
    """Settings.

    Attributes:
        stature: told heights by id, metres.
        believed: whether observed statures are believed ("observed") or found here ("found"); "auto": only those of
            the embedded front end are found.
        adult: metres, with the relative deviation `adult_sigma` (as in `methods.scale.ScaleConfig`).
        distance_sigma: relative deviation of the distance that the network tells, the same in all frames of a person.
            Assumed: nobody has measured it.
    """

    stature: Mapping[int, float] = field(default_factory=dict)
    believed: Literal["auto", "observed", "found"] = "auto"
    adult: float = 1.70
    adult_sigma: float = 0.06
    distance_sigma: float = 0.10


@dataclass(frozen=True)
class Size:
    """Metres, how much that is of the observed body's stature, and in words where it comes from."""

    stature: float
    ratio: float
    source: str


def sizes_of(
    observations: Observations,
    people: PairPeople,
    trans_1: Float[np.ndarray, "n 3"],
    trans_2: Float[np.ndarray, "n 3"],
    config: SizesConfig,
) -> dict[int, Size]:
    """The size of everybody with a body, by id.

    Args:
        observations: with `bodies`.
        people: in pairs, their bodies as observed.
        trans_1, trans_2: the roots in the cameras that the network tells for these rows, metres.
        config: see `SizesConfig`.
    """
    found = config.believed == "found" or (config.believed == "auto" and blind_to_size(observations))
    away = _nearness(people.placed_1[:, :3, 3], trans_1), _nearness(people.placed_2[:, :3, 3], trans_2)
    out = {}
    for body in bodies_of(observations):
        model = load_body(body.body, body.gender)
        observed = float(model.stature(torch.from_numpy(np.asarray(body.betas, np.float32))))
        if body.id in config.stature:
            stature, source = config.stature[body.id], "told"
        elif found:
            own = people.id == body.id
            stature, source = _found(observed, np.concatenate([side[own] for side in away]), config)
        else:
            stature, source = observed, "as observed"
        out[body.id] = Size(stature, stature / observed, source)
    return out


def _nearness(pelvis: Float[np.ndarray, "n 3"], told: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    """Told distance over that of the body, along the body's ray; NaN where the body is nowhere."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return (told * pelvis).sum(1) / (pelvis * pelvis).sum(1)


def _found(observed: float, ratios: Float[np.ndarray, " n"], config: SizesConfig) -> tuple[float, str]:
    """Precision-weighted mean of the logarithms of both witnesses."""
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(ratios):
        return config.adult, "assumed: an adult's mean"
    seen = observed * float(np.median(ratios))
    prior, network = config.adult_sigma**-2, config.distance_sigma**-2
    log = (prior * np.log(config.adult) + network * np.log(seen)) / (prior + network)
    return float(
        np.clip(np.exp(log), _SMALLEST, _TALLEST)
    ), f"an adult's mean and {seen:.2f} m by the network's distance"
