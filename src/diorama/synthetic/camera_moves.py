"""Camera trajectories: a walking hand-held camera, a pan on a tripod, a still camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from diorama.geometry.transforms import rigid

MOVES = ("walk", "pan", "static")


@dataclass(frozen=True)
class CameraMove:
    """`kind` is one of `MOVES`; `middle` is the camera's place (x, y, z; metres) half-way through, `velocity` its
    horizontal velocity (m/s; walk only), `seed` that of the hand's tremor."""

    kind: str
    middle: tuple[float, float, float]
    velocity: tuple[float, float] = (0.0, 0.0)
    seed: int = 0


def camera_path(
    move: CameraMove, times: Float[np.ndarray, " frames"], target: Float[np.ndarray, "frames 3"]
) -> Float[np.ndarray, "frames 4 4"]:
    """`T_world_camera` of a camera that keeps `target` (metres, world) near the picture's middle."""
    rng = np.random.default_rng(move.seed)
    middle = times.mean()
    centre = np.tile(move.middle, (len(times), 1))
    aim = np.tile(target.mean(0), (len(times), 1)) if move.kind == "static" else _straightened(times, target)
    tremor = np.zeros((len(times), 3))
    if move.kind == "walk":
        centre[:, :2] += (times - middle)[:, None] * np.array(move.velocity)
        centre += _steps(rng, times, move.velocity) + tremble(rng, times, 0.004)
        tremor = tremble(rng, times, np.radians(0.35))
    elif move.kind == "pan":
        tremor = tremble(rng, times, np.radians(0.08))
    return rigid(look_at(centre, aim) @ Rotation.from_rotvec(tremor).as_matrix(), centre)


def look_at(centre: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    """Rotations of level cameras (OpenCV axes, world +Z up) at `centre` that look at `target`."""
    forward = (target - centre) / np.linalg.norm(target - centre, axis=1, keepdims=True)
    right = np.cross(forward, np.array([0.0, 0.0, 1.0]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], 2)


def tremble(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], deviation: float
) -> Float[np.ndarray, "frames 3"]:
    """Smooth random motion of a hand on three axes: 14 sines from 0.3 to 4 Hz whose amplitude falls with frequency."""
    frequency = np.geomspace(0.3, 4.0, 14)
    phase = rng.uniform(0, 2 * np.pi, (3, 14))
    waves = np.sin(2 * np.pi * frequency * times[:, None, None] + phase) / frequency
    return deviation * waves.sum(-1) / np.sqrt((0.5 / frequency**2).sum())


def _steps(
    rng: np.random.Generator, times: Float[np.ndarray, " frames"], velocity: tuple[float, float]
) -> Float[np.ndarray, "frames 3"]:
    """Bob and sway of somebody who films while walking, 1.8 steps per second."""
    speed = float(np.hypot(*velocity))
    side = np.array([-velocity[1], velocity[0], 0.0]) / max(speed, 1e-9)
    turn = 2 * np.pi * 0.9 * times + rng.uniform(0, 2 * np.pi)
    return 0.010 * np.sin(turn)[:, None] * side + 0.012 * np.cos(2 * turn)[:, None] * np.array([0.0, 0.0, 1.0])


def _straightened(times: np.ndarray, target: Float[np.ndarray, "frames 3"]) -> Float[np.ndarray, "frames 3"]:
    """The straight line in time closest to the target: nobody's hand follows every step."""
    basis = np.stack([np.ones_like(times), times], 1)
    return basis @ np.linalg.lstsq(basis, target, rcond=None)[0]
