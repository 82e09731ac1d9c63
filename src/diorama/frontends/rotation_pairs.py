"""Two pictures from one place: how well a turn and a zoom of the camera explain the motion of points between them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from diorama.geometry.rotations import matrix_of


class TurnFit(NamedTuple):
    """Rotation and zoom between two pictures, focal (px) of the first, radial k1, and what is left per point in px."""

    rotation: Float[np.ndarray, "3 3"]
    zoom: float
    focal: float
    k1: float
    residual: Float[np.ndarray, " n"]
    cost: float


def rays_of(
    xy: Float[np.ndarray, "*n 2"], focal: float, centre: Float[np.ndarray, 2], k1: float = 0.0
) -> Float[np.ndarray, "*n 3"]:
    """Unit directions of pixels for a camera with square pixels (distortion undone by three fixed-point steps)."""
    seen = (xy - centre) / focal
    plane = seen
    for _ in range(3 if k1 else 0):
        plane = seen / np.maximum(1 + k1 * (plane**2).sum(-1, keepdims=True), 0.2)
    rays = np.concatenate([plane, np.ones((*xy.shape[:-1], 1))], -1)
    return rays / np.linalg.norm(rays, axis=-1, keepdims=True)


def fit_turn(
    xy_i: Float[np.ndarray, "n 2"],
    xy_j: Float[np.ndarray, "n 2"],
    focal: float,
    centre: Float[np.ndarray, 2],
    *,
    scale_px: float = 1.5,
    iterations: int = 14,
    zooming: bool = True,
    lens: bool = False,
) -> TurnFit:
    """Robust fit (Geman-McClure, `scale_px`, begun wide) of x_j = project(rotation @ ray_i), perhaps with a zoom.

    `rotation` maps directions of camera i to camera j; `zoom` is the focal of j over that of i. With `lens`, focal and
    k1 are refined too, held by weak priors (a factor of two, 0.1) because a pair of pictures says little about them.
    """
    rotation = turn_between(rays_of(xy_i, focal, centre), rays_of(xy_j, focal, centre))
    state = np.array([0.0, np.log(focal), 0.0])  # logarithms of zoom and focal, k1
    prior = np.array([np.log(focal), 0.0])
    count = 6 if lens else 3 + zooming
    stiffness = np.diag([0, 0, 0, 0, 1 / 0.7**2, 1 / 0.1**2][:count]).astype(float)
    scale = 30.0 * scale_px
    for _ in range(iterations):
        residual = _residual(xy_i, xy_j, rotation, state, centre)
        jacobian = _jacobian(xy_i, xy_j, rotation, state, centre, residual, lens)[:, :, :count]
        weight = 1 / (1 + (residual**2).sum(1) / scale**2) ** 2
        normal = np.einsum("n,nri,nrj->ij", weight, jacobian, jacobian) + scale_px**2 * stiffness
        gradient = np.einsum("n,nri,nr->i", weight, jacobian, residual)
        if lens:
            gradient[4:] += scale_px**2 * np.diag(stiffness)[4:] * (state[1:] - prior)
        step = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(count), -gradient)
        rotation = matrix_of(step[:3]) @ rotation
        state[: count - 3] += np.clip(step[3:], -0.2, 0.2)
        scale = max(scale_px, scale / 2)
    squared = (_residual(xy_i, xy_j, rotation, state, centre) ** 2).sum(1)
    cost = float((squared / (squared + scale_px**2)).mean())
    return TurnFit(rotation, np.exp(state[0]), np.exp(state[1]), state[2], np.sqrt(squared), cost)


def _residual(
    xy_i: np.ndarray, xy_j: np.ndarray, rotation: np.ndarray, state: np.ndarray, centre: np.ndarray
) -> Float[np.ndarray, "n 2"]:
    focal = np.exp(state[1])
    turned = rays_of(xy_i, focal, centre, state[2]) @ rotation.T
    plane = turned[:, :2] / np.maximum(turned[:, 2:], 1e-2)
    plane = plane * (1 + state[2] * (plane**2).sum(1, keepdims=True))
    return np.exp(state[0]) * focal * plane + centre - xy_j


def _jacobian(
    xy_i: np.ndarray, xy_j: np.ndarray, rotation: np.ndarray, state: np.ndarray, centre: np.ndarray,
    residual: np.ndarray, lens: bool,
) -> Float[np.ndarray, "n 2 k"]:  # fmt: skip
    """Derivative by a left rotation step, the zoom and, by differences, the lens."""
    focal = np.exp(state[1])
    x, y, z = (rays_of(xy_i, focal, centre, state[2]) @ rotation.T).T
    z = np.maximum(z, 1e-2)
    u, v, scale = x / z, y / z, np.exp(state[0]) * focal
    columns = [
        scale * np.stack([np.stack([-u * v, 1 + u * u, -v], 1), np.stack([-1 - v * v, u * v, u], 1)], 1),
        (residual + xy_j - centre)[:, :, None],
    ]
    for index in (1, 2) if lens else ():
        moved = state.copy()
        moved[index] += 1e-5
        columns.append(((_residual(xy_i, xy_j, rotation, moved, centre) - residual) / 1e-5)[:, :, None])
    return np.concatenate(columns, 2)


def turn_between(source: Float[np.ndarray, "n 3"], target: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "3 3"]:
    """Rotation that takes directions to directions, re-weighted so that outliers count little."""
    weight = np.ones(len(source))
    rotation = np.eye(3)
    for _ in range(4):
        u, _, vt = np.linalg.svd((weight[:, None] * target).T @ source)
        rotation = u @ np.diag([1, 1, np.sign(np.linalg.det(u @ vt))]) @ vt
        miss = np.linalg.norm(source @ rotation.T - target, axis=1)
        weight = 1 / (1 + (miss / (np.median(miss) + 1e-6)) ** 2)
    return rotation
