"""Which observed bodies can be people: the rest (bags, poles, shadows, pieces of others) are dropped with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.observations import ObservedBody


@dataclass(frozen=True)
class PlausibilityConfig:
    """A body whose landmarks miss by more than `max_residual` of its height (median over frames) fits nobody. A person
    who would have to be smaller or larger than `min_stature`, `max_stature` metres does not stand where he seems to, nor
    does one whose size would vary from frame to frame by more than `max_spread` (relative, robust)."""

    max_residual: float = 0.03
    min_stature: float = 0.6
    max_stature: float = 2.4
    max_spread: float = 0.25


def badly_fitted(body: ObservedBody, stature: float, config: PlausibilityConfig) -> str:
    """Why a body's fit is not believed, or nothing."""
    height_px = body.focal * stature / np.maximum(body.transl[:, 2], 0.1)
    share = float(np.median(body.residual_px / height_px))
    if share > config.max_residual:
        return f"person {body.id}: landmarks miss the body by {100 * share:.1f} % of its height"
    return ""


def badly_placed(
    per_frame: Mapping[int, Float[np.ndarray, " frames"]],
    fitted: Mapping[int, float],
    metres_per_unit: float,
    config: PlausibilityConfig,
) -> dict[int, str]:
    """People whose feet on the ground would give them an impossible size, with the reason."""
    reasons = {}
    for person, scales in per_frame.items():
        usable = scales[np.isfinite(scales) & (scales > 0)]
        if not len(usable):
            reasons[person] = f"person {person}: never stands on the ground"
            continue
        centre = float(np.median(usable))
        spread = 1.4826 * float(np.median(np.abs(usable - centre))) / centre
        if spread > config.max_spread:
            reasons[person] = f"person {person}: size would vary by {100 * spread:.0f} % from frame to frame"
            continue
        stature = fitted[person] * metres_per_unit / centre
        if not config.min_stature <= stature <= config.max_stature:
            reasons[person] = f"person {person}: would be {stature:.2f} m tall where he seems to stand"
    return reasons
