"""Which frames get a depth map from a network or a folder."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from diorama.video import Video


def even_keyframes(video: Video, among: Int[np.ndarray, " rows"] | None, most: int) -> Int[np.ndarray, " keys"]:
    """At most `most` rows of `among` (of the shot if not given) that repeat no picture, evenly spaced, both ends included.

    Where every row of `among` is a duplicate they count all the same.
    """
    rows = np.arange(len(video)) if among is None else np.unique(among)
    fresh = rows[~video.duplicate[rows]]
    rows = fresh if len(fresh) else rows
    if len(rows) <= most:
        return rows
    if most < 2:
        return rows[len(rows) // 2 :][:most]
    return rows[np.unique(np.round(np.linspace(0, len(rows) - 1, most)).astype(int))]
