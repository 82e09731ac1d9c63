"""Which frames are worth mapping: enough motion since the last one, and segments of bounded length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from diorama.frontends.background_tracks import BackgroundTracks


@dataclass(frozen=True)
class KeyframeConfig:
    """A keyframe comes after `gap` frames if points moved by `motion` (fraction of the longer side, median) since the
    last one, at once if they moved by `fast_motion`, at the latest after `max_gap` frames. A shot yields at least
    `min_count` keyframes if it has as many frames. Segments hold `segment` frames and share `overlap` frames.
    """

    gap: int = 3
    motion: float = 0.008
    fast_motion: float = 0.05
    max_gap: int = 10
    min_count: int = 24
    segment: int = 300
    overlap: int = 40


def choose_keyframes(tracks: BackgroundTracks, config: KeyframeConfig) -> Int[np.ndarray, " keys"]:
    """Rows of the keyframes, the first and the last row among them."""
    rows = tracks.rows
    gap = max(1, min(config.gap, len(rows) // config.min_count))
    latest = max(gap, min(config.max_gap, len(rows) // config.min_count))
    keys = [0]
    for index in range(1, len(rows)):
        since = index - keys[-1]
        one, two = tracks.between(int(rows[keys[-1]]), int(rows[index]))
        moved = np.median(np.linalg.norm(two - one, axis=1)) / max(tracks.size) if len(one) >= 20 else np.inf
        if since >= latest or moved >= config.fast_motion or (since >= gap and moved >= config.motion):
            keys.append(index)
    if keys[-1] != len(rows) - 1:
        keys.append(len(rows) - 1)
    return rows[keys]


def split_segments(keys: Int[np.ndarray, " keys"], config: KeyframeConfig) -> list[Int[np.ndarray, " k"]]:
    """Keyframes of each segment; neighbours share those in `overlap` frames (at least two)."""
    segments, start = [], 0
    while True:
        stop = int(np.searchsorted(keys, keys[start] + config.segment, side="right"))
        rest = keys[-1] - keys[stop - 1]
        if rest <= config.overlap:  # a short tail joins this segment instead of standing alone
            segments.append(keys[start:])
            return segments
        segments.append(keys[start:stop])
        following = int(np.searchsorted(keys, keys[stop - 1] - config.overlap))
        start = min(max(following, start + 1), stop - 2)
