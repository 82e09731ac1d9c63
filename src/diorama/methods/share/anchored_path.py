"""The path of one person from what keyframes, keypoints, his own path and the floor say of it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.methods.ground_plane import Ground
from diorama.methods.share.config import PathConfig, ShareConfig
from diorama.methods.share.path import Witness, curve, per_second
from diorama.methods.share.people import InFront, disagreement
from diorama.methods.share.placed_keys import KeyPlaces
from diorama.methods.share.published import between, smoothed


def anchored_path(
    person: InFront,
    keys: KeyPlaces,
    times: Float[np.ndarray, " n"],
    floor: tuple[Ground, Float[np.ndarray, "n sites 3"], Float[np.ndarray, "n sites"]] | None,
    config: ShareConfig,
) -> Float[np.ndarray, "n 3"]:
    """The pelvis in all rows of a person, camera frame, metres.

    Args:
        keys: places by the maps; may be empty.
        times: of the person's rows, seconds.
        floor: the plane in the camera frame, places of feet relative to the pelvis along the camera's axes, and the
            probability that each touches; None: no floor.
    """
    if not config.path.smooth:
        return _constant(person, keys, config)
    direction = _direction(person, keys, times, config)
    depth = _depth(person, keys, times, config)
    if floor is not None and config.path.floor is not None:
        depth = _depth(person, keys, times, config, *_on_floor(direction, depth, times, floor, config.path))
    return np.concatenate([direction, np.ones((len(depth), 1))], 1) * depth[:, None]


def _constant(person: InFront, keys: KeyPlaces, config: ShareConfig) -> Float[np.ndarray, "n 3"]:
    """Eq. 6-9 with any number of keyframes: the smoothed path, offset by the keyframes' mean, keyframes by their own."""
    smooth = smoothed(person.pelvis, config.anchor.sigma, config.anchor.reach)
    if not len(keys.at):
        return smooth
    offsets = keys.pelvis - smooth[keys.at]
    path = smooth + between(np.repeat(offsets.mean(0, keepdims=True), 2, 0), len(smooth))
    path[keys.at] = keys.pelvis
    return path


def _direction(
    person: InFront, keys: KeyPlaces, times: Float[np.ndarray, " n"], config: ShareConfig
) -> Float[np.ndarray, "n 2"]:
    """(x / z, y / z): by keypoints where there are enough, else as the body came, corrected at keyframes."""
    path, count = config.path, len(times)
    share = path.direction * 1.7 / person.pelvis[:, 2]
    bent = path.acceleration / person.pelvis[:, 2]
    lag = np.sqrt(per_second(times, path.lag))
    known = np.flatnonzero(person.seen.known) if config.align.keypoints is not None else np.zeros(0, int)
    own, told = (flat[:, :2] / flat[:, 2:] for flat in (person.pelvis, person.seen.pelvis))
    placed = keys.pelvis[:, :2] / keys.pelvis[:, 2:]
    out = np.zeros((count, 2))
    for axis in range(2):
        witnesses = [
            Witness(np.arange(count), own[:, axis], share * lag * (4.0 if len(known) else 1.0), 0.2, robust=False)
        ]
        if len(known):
            witnesses.append(Witness(known, told[known, axis], share[known] * lag, robust=True))
        if len(keys.at):
            witnesses.append(Witness(keys.at, placed[:, axis], share[keys.at], robust=True))
        if not len(known) and not len(keys.at):
            witnesses = [Witness(np.arange(count), own[:, axis], share)]
        out[:, axis] = curve(times, witnesses, bent)
    return out


def _depth(
    person: InFront, keys: KeyPlaces, times: Float[np.ndarray, " n"], config: ShareConfig, *further: Witness
) -> Float[np.ndarray, " n"]:
    path, count = config.path, len(times)
    lag = np.sqrt(per_second(times, path.lag))
    witnesses = [
        Witness(
            np.arange(count), np.log(person.pelvis[:, 2]), np.full(count, path.own * lag), path.own_bias, robust=True
        ),
        *further,
    ]
    known = np.flatnonzero(person.seen.known) if config.align.keypoints is not None else np.zeros(0, int)
    if len(known):
        value, sigma = np.log(person.seen.pelvis[known, 2]), np.full(len(known), path.keypoints * lag)
        apart = disagreement(person, keys)
        bias = path.own_bias if abs(apart) > path.doubt else path.keypoints_bias
        witnesses.append(Witness(known, value, sigma, bias, robust=True))
    if len(keys.at):
        sigma = np.full(len(keys.at), path.keyframe * np.sqrt(per_second(times[keys.at], path.keyframe_lag)))
        witnesses.append(Witness(keys.at, np.log(keys.pelvis[:, 2]), sigma, robust=True))
    if not (len(known) or len(keys.at) or further):
        witnesses = [Witness(np.arange(count), np.log(person.pelvis[:, 2]), np.full(count, path.own * lag))]
    return np.exp(curve(times, witnesses, path.acceleration / person.pelvis[:, 2]))


def _on_floor(
    direction: Float[np.ndarray, "n 2"], depth: Float[np.ndarray, " n"], times: Float[np.ndarray, " n"],
    floor: tuple[Ground, np.ndarray, np.ndarray], config: PathConfig,
) -> list[Witness]:  # fmt: skip
    """Depths at which touching feet are on the floor: n . (z (a, b, 1) + foot) = d, one per row (its surest feet)."""
    ground, feet, touching = floor
    assert config.floor is not None
    rays = np.concatenate([direction, np.ones((len(direction), 1))], 1)
    down = rays @ ground.normal
    height = (rays * depth[:, None]) @ ground.normal - ground.offset
    apart = height[:, None] + feet @ ground.normal
    good = (touching > 0.5) & (np.abs(apart) < config.gate)
    weight = touching * good
    rows = np.flatnonzero(good.any(1) & (np.abs(down) > 1e-3))
    if not len(rows):
        return []
    step = (feet[rows] @ ground.normal * weight[rows]).sum(1) / weight[rows].sum(1)
    found = (ground.offset - step) / down[rows]
    usable = found > 0.3
    rows, found = rows[usable], found[usable]
    if not len(rows):
        return []
    steep = np.abs(down[rows]) * found
    sigma = config.floor / steep * np.sqrt(per_second(times[rows], config.lag))
    return [Witness(rows, np.log(found), sigma, config.floor_bias / float(np.median(steep)), robust=True)]
