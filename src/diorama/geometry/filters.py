"""Smoothing and filling of time series whose times need not be uniform."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def gaussian_smooth(values: Float[np.ndarray, frames * rest], sigma: float) -> Float[np.ndarray, frames * rest]:
    """Gaussian smoothing along time with `sigma` in frames; the window is re-normalised at the ends."""
    if sigma <= 0 or len(values) < 2:
        return np.array(values, np.float64)
    reach = int(np.ceil(3 * sigma))
    offsets = np.arange(len(values))[:, None] - np.arange(len(values))[None] if len(values) <= 2 * reach else None
    flat = np.asarray(values, np.float64).reshape(len(values), -1)
    if offsets is not None:
        kernel = np.exp(-0.5 * (offsets / sigma) ** 2)
        return (kernel / kernel.sum(1, keepdims=True) @ flat).reshape(values.shape)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    norm = np.convolve(np.ones(len(values)), taps, mode="same")
    out = np.stack([np.convolve(column, taps, mode="same") for column in flat.T], 1) / norm[:, None]
    return out.reshape(values.shape)
