"""Noise of a picture sensor: photons arrive one by one, and reading them out adds a little of its own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Sensor:
    """A pixel that collects `white_electrons` at linear value 1 and is read with a deviation of `read_electrons`.

    The defaults are a telephone's pixel of about 1.4 micrometres (full well some 6000 electrons) one stop above base
    sensitivity: 3000 electrons at white, read with 3. That is 1.8 % of noise at white and 8 % at a twentieth of it.
    The same `seed` gives the same noise: use (clip's seed, frame).
    """

    white_electrons: float = 3000.0
    read_electrons: float = 3.0
    seed: int | tuple[int, ...] = 0


def exposed(colour: Float[np.ndarray, "height width 3"], sensor: Sensor) -> Float[np.ndarray, "height width 3"]:
    """Linear colours (0-1, clipped at white first) as a sensor measures them; every pixel and channel for itself.

    The variance is linear in the signal, (value x white + read^2) / white^2 (EMVA standard 1288); photons are drawn
    from the normal distribution that the Poisson distribution approaches.
    """
    electrons = np.clip(colour, 0, 1) * np.float32(sensor.white_electrons)
    deviation = np.sqrt(electrons + np.float32(sensor.read_electrons**2))
    drawn = np.random.default_rng(sensor.seed).standard_normal(colour.shape, np.float32)
    return (electrons + deviation * drawn) / np.float32(sensor.white_electrons)
