"""What a hand adds to a camera: the sway of the body that stands, the tremor of muscles, the beat of steps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# The body of somebody who stands sways at 0.1-2 Hz like a damped random walk, whose amplitude falls with frequency as
# 1/f (Collins and De Luca 1993), by some 5 mm (Prieto et al. 1996); outstretched arms about double it.
_SWAY_HZ = (0.1, 2.0)
# Physiological tremor of the hand: a flat band at 8-12 Hz (Elble and Koller 1990).
_TREMOR_HZ = (8.0, 12.0)
_WAVES = 16
# Steps per second, and bob (m) and sway (m) of a hand that is carried at 1.2 m/s.
_STEP_HZ, _BOB, _SIDEWAYS, _USUAL_SPEED = 1.8, 0.012, 0.010, 1.2


@dataclass(frozen=True)
class Hand:
    """Deviations (root mean square per axis): metres and radians of the sway, and of the tremor."""

    sway: float = 0.008
    turn: float = float(np.radians(0.5))
    tremor: float = 0.00015
    tremor_turn: float = float(np.radians(0.03))

    def hold(
        self, rng: np.random.Generator, times: Float[np.ndarray, " frames"]
    ) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 3"]]:
        """Displacement (m, world axes) and turn (rotation vectors in the camera's axes, radians) at `times`."""
        return (
            _band(rng, times, _SWAY_HZ, self.sway, 1.0) + _band(rng, times, _TREMOR_HZ, self.tremor, 0.0),
            _band(rng, times, _SWAY_HZ, self.turn, 1.0) + _band(rng, times, _TREMOR_HZ, self.tremor_turn, 0.0),
        )


# A telephone in the hand; the same on a gimbal; a tripod; a tripod that is panned; a multicopter, which drifts by
# centimetres in the wind and has a gimbal.
FREE_HAND = Hand()
GIMBAL = Hand(0.003, float(np.radians(0.08)), 0.0, 0.0)
TRIPOD = Hand(0.0, 0.0, 0.0, 0.0)
PANNED = Hand(0.0, float(np.radians(0.08)), 0.0, float(np.radians(0.005)))
COPTER = Hand(0.02, float(np.radians(0.1)), 0.0, 0.0)


def _band(
    rng: np.random.Generator,
    times: Float[np.ndarray, " frames"],
    hertz: tuple[float, float],
    deviation: float,
    fall: float,
) -> Float[np.ndarray, "frames 3"]:
    """Sines of random phase between two frequencies whose amplitude falls as frequency^-fall, on three axes."""
    frequency = np.linspace(*hertz, _WAVES) * (1 + 0.3 * rng.uniform(-1, 1, (3, _WAVES)) / _WAVES)
    phase = rng.uniform(0, 2 * np.pi, (3, _WAVES))
    amplitude = frequency**-fall
    waves = amplitude * np.sin(2 * np.pi * frequency * times[:, None, None] + phase)
    return deviation * waves.sum(-1) / np.sqrt((0.5 * amplitude**2).sum(-1))


def footsteps(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], velocity: Float[np.ndarray, "frames 2"]
) -> Float[np.ndarray, "frames 3"]:
    """Bob and sway (m) of a camera carried at `velocity` (m/s, horizontal): two bobs and one sway per stride."""
    speed = np.linalg.norm(velocity, axis=1, keepdims=True)
    side = np.stack([-velocity[:, 1], velocity[:, 0]], 1) / np.maximum(speed, 0.1)
    share = np.minimum(speed / _USUAL_SPEED, 1.5)
    turn = np.pi * _STEP_HZ * times[:, None] + rng.uniform(0, 2 * np.pi)
    return np.concatenate([_SIDEWAYS * share * np.sin(turn) * side, _BOB * share * np.cos(2 * turn)], 1)
