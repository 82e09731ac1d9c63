"""Arrays from outside, of numpy or torch, as the float64 arrays that exact figures are computed with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def as_float64(values: ArrayLike) -> np.ndarray:
    """Numbers of any shape as float64; tensors may need a gradient, lie on a device or be of half precision."""
    return np.asarray(_detached(values, "double"), np.float64)


def as_flags(values: ArrayLike) -> np.ndarray:
    """Booleans, or numbers that are all 0 or 1, as bool.

    Raises:
        ValueError: anything between, such as probabilities (their threshold is the caller's).
    """
    array = np.asarray(_detached(values, "clone"))
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError("flags must be booleans or 0 and 1; apply a threshold to probabilities first")
    return array.astype(bool)


def _detached(values: Any, convert: str) -> Any:
    """A tensor as a numpy array, without importing torch; anything else as it is."""
    if not hasattr(values, "detach"):
        return values
    return getattr(values.detach().cpu(), convert)().numpy()
