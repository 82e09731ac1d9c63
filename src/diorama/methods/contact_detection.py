"""When a foot touches the ground: from its speed and height in the world, smoothed in time by a two-state chain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from diorama.geometry.filters import gaussian_smooth


@dataclass(frozen=True)
class ContactConfig:
    """Emissions of the two states and the chain that joins them.

    Speeds in m/s along the ground, heights in metres above it, `smoothing` in seconds (Gaussian, against landmark
    noise), `min_stay` the mean stay in a state in seconds. The speeds are first guesses: they follow each foot's own
    distribution within `contact_range` and `swing_range`, since landmarks are less steady on some people than on others.
    `airborne` is the prior odds that neither foot is on the ground: people who walk or stand always have one there, so
    a foot that is hidden rests while the other one swings. It holds for people whose feet seem to be in the air together
    in less than `walker_airborne` of the frames without it. Set on rendered walkers with exact contacts.

    Whether heel or toe carries a resting foot is hardly seen from behind, so it has a prior from gait analysis (Perry and
    Burnfield 2010: flat from 10 %, heel off from 31 %, toe off at 62 % of the cycle): the toe is down from `toe_down` of a
    stance on and the heel up from `heel_up` on, with the odds exp(`roll_odds`) against the contrary, over `roll_width` of
    the stance; stances longer than `longest_step` seconds count as so long before they end. The evidence of the pose
    about heel against toe is believed up to `roll_evidence` (log odds).
    """

    contact_speed: float = 0.09
    swing_speed: float = 0.5
    contact_range: tuple[float, float] = (0.04, 0.2)
    swing_range: tuple[float, float] = (0.3, 1.2)
    contact_height: float = 0.015
    swing_height: float = 0.12
    smoothing: float = 0.035
    min_stay: float = 0.1
    airborne: float = 1e-6
    walker_airborne: float = 0.6
    toe_down: float = 0.16
    heel_up: float = 0.5
    roll_width: float = 0.08
    roll_odds: float = 4.0
    roll_evidence: float = 3.0
    longest_step: float = 0.8


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
        speeds = np.full(sites_world.shape[1], config.contact_speed), np.full(sites_world.shape[1], config.swing_speed)
        return 1 / (1 + np.exp(-_log_ratio(np.zeros_like(sites_world[..., 0]), sites_world[..., 2], config, *speeds)))
    step = float(np.median(np.diff(times)))
    speed = seen_ground_speed(sites_world, centres, times, config.smoothing / step)
    height = gaussian_smooth(sites_world[..., 2], config.smoothing / step)
    stay = 0.5 * (1 + np.exp(-np.diff(times, prepend=times[0] - step) / config.min_stay))
    ratio = _adapted_log_ratio(speed, height, stay, config)
    out = _forward_backward(ratio, stay)
    if ratio.shape[1] >= 4:
        out[:, :4] = _feet(ratio[:, :4], stay, times, config)
    return out


def _adapted_log_ratio(
    speed: Float[np.ndarray, "frames sites"], height: Float[np.ndarray, "frames sites"], stay: Float[np.ndarray, " frames"],
    config: ContactConfig,
) -> Float[np.ndarray, "frames sites"]:  # fmt: skip
    """Log ratio with Rayleigh scales re-estimated per site from the frames that look like contact and like swing."""
    resting = np.full(speed.shape[1], config.contact_speed)
    moving = np.full(speed.shape[1], config.swing_speed)
    for _ in range(4):
        contact = _forward_backward(_log_ratio(speed, height, config, resting, moving), stay)
        resting = np.clip(_rayleigh_scale(speed, contact, resting), *config.contact_range)
        moving = np.clip(_rayleigh_scale(speed, 1 - contact, moving), *config.swing_range)
    return _log_ratio(speed, height, config, resting, moving)


def _rayleigh_scale(speed: np.ndarray, weight: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Maximum-likelihood scale, drawn to the guess `before` with the weight of ten frames."""
    return np.sqrt(((weight * speed**2).sum(0) + 10 * 2 * before**2) / (2 * (weight.sum(0) + 10)))


def _feet(
    ratio: Float[np.ndarray, "frames 4"], stay: Float[np.ndarray, " frames"], times: Float[np.ndarray, " frames"],
    config: ContactConfig,
) -> Float[np.ndarray, "frames 4"]:  # fmt: skip
    """Heels and toes of both feet together: a chain over (left, right) resting or not, then heel and toe of each foot.

    Columns are left heel, right heel, left toe, right toe. A foot rests if its better site does.
    """
    foot = np.maximum(ratio[:, :2], ratio[:, 2:])
    resting = _resting_feet(foot, stay, 1.0)
    # Who skates, rides or jumps has both feet in the air (or gliding) for long: nothing is known of them beforehand.
    if (resting.max(1) < 0.5).mean() < config.walker_airborne:
        resting = _resting_feet(foot, stay, config.airborne)
    roll = np.stack([_rolling(resting[:, side] > 0.5, times, config) for side in range(2)], 1)
    lag = np.clip(ratio - np.tile(foot, 2), -config.roll_evidence, 0)
    site = 1 / (1 + np.exp(-(lag + 2.0 + np.concatenate([roll[..., 0], roll[..., 1]], 1))))
    # A resting foot rests on something.
    some = 1 - (1 - site[:, :2]) * (1 - site[:, 2:])
    return np.tile(resting / some, 2) * site


def _resting_feet(
    foot: Float[np.ndarray, "frames 2"], stay: Float[np.ndarray, " frames"], airborne: float
) -> Float[np.ndarray, "frames 2"]:
    """Probability that the left and the right foot rest, given the prior odds that neither does."""
    left, right = np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1])
    prior = np.where((left == 0) & (right == 0), np.log(airborne), 0.0)
    logs = foot[:, :1] * left + foot[:, 1:] * right + prior
    emission = np.exp(logs - logs.max(1, keepdims=True))
    return _joint_chain(emission, stay, left, right)


def _rolling(
    resting: Bool[np.ndarray, " frames"], times: Float[np.ndarray, " frames"], config: ContactConfig
) -> Float[np.ndarray, "frames 2"]:
    """Log odds of heel and toe of one foot by the phase of its stances; 0 where a stance's end is not in the video."""
    out = np.zeros((len(resting), 2))
    edges = np.flatnonzero(np.diff(resting.astype(int), prepend=0, append=0))
    step = float(np.median(np.diff(times)))
    for first, last in edges.reshape(-1, 2):
        inside = times[first:last]
        whole = min(inside[-1] - inside[0] + step, config.longest_step)
        width = config.roll_width * whole
        if first > 0:
            down = (inside - inside[0] - config.toe_down * whole) / width
            out[first:last, 1] = config.roll_odds * np.clip(down, -1, 0)
        if last < len(resting):
            before_lift = (inside[-1] + step - inside - (1 - config.heel_up) * whole) / width
            out[first:last, 0] = config.roll_odds * np.clip(before_lift, -1, 0)
    return out


def _joint_chain(emission: np.ndarray, stay: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Posterior that the left and the right foot rest, in a chain of four states; each foot changes on its own."""
    same = (left[:, None] == left[None]).astype(int) + (right[:, None] == right[None])
    ahead, behind = np.empty_like(emission), np.empty_like(emission)
    state = np.full(4, 0.25)
    for t in range(len(emission)):
        step = stay[t] ** same * (1 - stay[t]) ** (2 - same)
        state = (step.T @ state) * emission[t] if t else state * emission[t]
        state = state / state.sum()
        ahead[t] = state
    message = np.ones(4)
    for t in range(len(emission) - 1, -1, -1):
        behind[t] = message
        step = stay[t] ** same * (1 - stay[t]) ** (2 - same)
        message = step @ (message * emission[t])
        message = message / message.sum()
    both = ahead * behind
    both = both / both.sum(1, keepdims=True)
    return np.stack([both @ left, both @ right], 1)


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


def _log_ratio(
    speed: np.ndarray, height: np.ndarray, config: ContactConfig, resting: np.ndarray, moving: np.ndarray
) -> np.ndarray:
    """log p(speed, height | contact) - log p(... | swing): Rayleigh speeds, normal heights."""

    def rayleigh(v: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(v, 0.3 * resting) / sigma**2) - 0.5 * (v / sigma) ** 2

    def normal(h: np.ndarray, sigma: float) -> np.ndarray:
        return -np.log(sigma) - 0.5 * (h / sigma) ** 2

    by_speed = rayleigh(speed, resting) - rayleigh(speed, moving)
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
