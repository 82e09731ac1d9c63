"""Keyframes by the clock of the video, whatever its rate."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int


def keyframes(
    times: Float[np.ndarray, " frames"], duplicate: Bool[np.ndarray, " frames"], interval: float
) -> Int[np.ndarray, " keys"]:
    """Rows nearest to every `interval` seconds since the first, and the last; repeated pictures are passed over."""
    rows = np.flatnonzero(~duplicate)
    if len(rows) == 0:
        return np.zeros(min(len(times), 1), np.int64)
    own = times[rows]
    wanted = np.arange(own[0], own[-1], interval)
    after = np.clip(np.searchsorted(own, wanted), 1, max(len(own) - 1, 1))
    earlier = wanted - own[after - 1] <= own[np.minimum(after, len(own) - 1)] - wanted
    return rows[np.unique(np.append(after - earlier, len(own) - 1))]
