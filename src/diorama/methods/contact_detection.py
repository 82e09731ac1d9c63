"""When a foot touches the ground: from its speed and height in the world, smoothed in time by a two-state chain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.geometry.filters import gaussian_smooth


@dataclass(frozen=True)
class ContactConfig:
    """Emissions of the two states and the chain that joins them.

    Speeds in m/s along the ground, heights in metres above it, `smoothing` in seconds (Gaussian, against landmark
    noise), `min_stay` the mean stay in a state in seconds. Set on rendered walkers with exact contacts.
    """

    contact_speed: float = 0.09
    swing_speed: float = 0.5
    contact_height: float = 0.015
    swing_height: float = 0.12
    smoothing: float = 0.04
    min_stay: float = 0.1


def contact_probability(
    sites_world: Float[np.ndarray, "frames sites 3"],
    centres: Float[np.ndarray, "frames 3"],
    times: Float[np.ndarray, " frames"],
    config: ContactConfig,
) -> Float[np.ndarray, "frames sites"]:
    """Probability that each site rests on the ground (z = 0), metres and seconds; one frame: by height alone.

    `centres` are the camera centres of the same rows.
    """
    if len(times) == 1:
        return 1 / (1 + np.exp(-_log_ratio(np.zeros_like(sites_world[..., 0]), sites_world[..., 2], config)))
    step = float(np.median(np.diff(times)))
    speed = seen_ground_speed(sites_world, centres, times, config.smoothing / step)
    height = gaussian_smooth(sites_world[..., 2], config.smoothing / step)
    stay = np.exp(-np.diff(times, prepend=times[0] - step) / config.min_stay)
    return _forward_backward(_log_ratio(speed, height, config), 0.5 * (1 + stay))


def seen_ground_speed(
    sites_world: Float[np.ndarray, "frames sites 3"],
    centres: Float[np.ndarray, "frames 3"],
    times: Float[np.ndarray, " frames"],
    sigma_frames: float,
) -> Float[np.ndarray, "frames sites"]:
    """Speed in m/s of the ground point behind each site as the camera sees it, in units of what it can see.

    A body's distance from the camera is noisy, its place in the picture is not: so the site is moved along its viewing
    ray onto the ground, where a resting foot stands still. Motion along the ray is shortened by the slant under which
    the ground is seen, which makes the noise of both directions alike (on rendered walkers seen from behind this speed
    is 0.1 m/s in contact, that of the 3D site 0.5).
    """
    height = np.maximum(centres[:, None, 2], 0.3)
    # A site half way up to the camera is no foot on the ground, wherever its ray meets it.
    stretch = height / np.maximum(height - sites_world[..., 2], 0.5 * height)
    seen = centres[:, None, :2] + (sites_world[..., :2] - centres[:, None, :2]) * stretch[..., None]
    seen = gaussian_smooth(seen, sigma_frames)
    velocity = np.gradient(seen, times, axis=0)
    ray = seen - centres[:, None, :2]
    distance = np.maximum(np.linalg.norm(ray, axis=-1), 1e-6)
    along = (velocity * ray).sum(-1) / distance
    across = np.linalg.norm(velocity - (along / distance)[..., None] * ray, axis=-1)
    return np.hypot(across, along * np.minimum(1, height / distance))


def _log_ratio(speed: np.ndarray, height: np.ndarray, config: ContactConfig) -> np.ndarray:
    """log p(speed, height | contact) - log p(... | swing): Rayleigh speeds, normal heights."""

    def rayleigh(v: np.ndarray, sigma: float) -> np.ndarray:
        return np.log(np.maximum(v, 0.3 * config.contact_speed) / sigma**2) - 0.5 * (v / sigma) ** 2

    def normal(h: np.ndarray, sigma: float) -> np.ndarray:
        return -np.log(sigma) - 0.5 * (h / sigma) ** 2

    by_speed = rayleigh(speed, config.contact_speed) - rayleigh(speed, config.swing_speed)
    # A foot that sinks because the body is still placed badly is no evidence for the air.
    raised = np.maximum(height, 0)
    by_height = normal(raised, config.contact_height) - normal(raised, config.swing_height)
    return np.clip(by_speed, -12, 12) + np.clip(by_height, -6, 3)


def _forward_backward(log_ratio: np.ndarray, stay: np.ndarray) -> np.ndarray:
    """Posterior of state 1 in a symmetric two-state chain; `stay[t]` is the probability to keep the state into row t."""
    emission = 1 / (1 + np.exp(-log_ratio))
    ahead, behind = np.empty_like(emission), np.ones_like(emission)
    state = np.full(emission.shape[1], 0.5)
    for t in range(len(emission)):
        predicted = state * stay[t] + (1 - state) * (1 - stay[t])
        one, zero = predicted * emission[t], (1 - predicted) * (1 - emission[t])
        state = one / np.maximum(one + zero, 1e-300)
        ahead[t] = state
    message = np.full((2, emission.shape[1]), 0.5)
    for t in range(len(emission) - 1, -1, -1):
        behind[t] = message[1]
        weighted = message * np.stack([1 - emission[t], emission[t]])
        keep, leave = stay[t], 1 - stay[t]
        message = np.stack([keep * weighted[0] + leave * weighted[1], leave * weighted[0] + keep * weighted[1]])
        message = message / np.maximum(message.sum(0), 1e-300)
    both = ahead * behind
    return both / np.maximum(both + (1 - ahead) * (1 - behind), 1e-300)
