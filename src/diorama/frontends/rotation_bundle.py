"""Bundle adjustment of a camera that only turns (and may zoom): rotations, focal and the directions of its tracks.

Levenberg-Marquardt on pixels with Geman-McClure weights; directions are eliminated (Schur complement).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from diorama.frontends.rotation_pairs import rays_of, turn_between
from diorama.geometry.rotations import matrix_of


@dataclass(frozen=True)
class TurnTracks:
    """Observations of T tracks in K keyframes: `key` and `track` index them, `xy` are px from the picture's centre."""

    key: Int[np.ndarray, " n"]
    track: Int[np.ndarray, " n"]
    xy: Float[np.ndarray, "n 2"]
    keys: int
    count: int


@dataclass(frozen=True)
class TurnState:
    """`rotation` maps world directions to camera k; focal of keyframe k is `focal` * exp(`zoom[k]`), in px."""

    rotation: Float[np.ndarray, "keys 3 3"]
    zoom: Float[np.ndarray, " keys"]
    focal: float
    rays: Float[np.ndarray, "tracks 3"]


@dataclass(frozen=True)
class Freedom:
    """What may change, and how stiff: `zoom_bend` is the expected second difference of the log focal per keyframe.

    The mean of the zooms is held at zero, or with `first_zoom` that of the first keyframe.
    """

    focal: bool = False
    zoom: bool = False
    zoom_bend: float = 0.003
    first_zoom: bool = False


def start_state(tracks: TurnTracks, focal: float) -> TurnState:
    """Rotations chained from keyframe to keyframe at a given focal, and the mean direction of every track."""
    rotation = [np.eye(3)]
    for key in range(1, tracks.keys):
        one, two = np.flatnonzero(tracks.key == key - 1), np.flatnonzero(tracks.key == key)
        _, i, j = np.intersect1d(tracks.track[one], tracks.track[two], return_indices=True)
        rays = [rays_of(tracks.xy[index], focal, np.zeros(2)) for index in (one[i], two[j])]
        rotation.append((turn_between(*rays) if len(i) >= 3 else np.eye(3)) @ rotation[-1])
    return with_mean_rays(tracks, TurnState(np.array(rotation), np.zeros(tracks.keys), focal, np.zeros((0, 3))))


def with_mean_rays(tracks: TurnTracks, state: TurnState) -> TurnState:
    """The same cameras with every track's direction set to the mean of its observations."""
    focal = state.focal * np.exp(state.zoom[tracks.key])[:, None]
    rays = rays_of(tracks.xy / focal, 1.0, np.zeros(2))
    world = np.einsum("nji,nj->ni", state.rotation[tracks.key], rays)
    total = np.zeros((tracks.count, 3))
    np.add.at(total, tracks.track, world)
    return replace(state, rays=total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12))


def residuals(tracks: TurnTracks, state: TurnState) -> Float[np.ndarray, "n 2"]:
    """Projection minus observation, px."""
    turned = (state.rotation[tracks.key] @ state.rays[tracks.track][:, :, None])[:, :, 0]
    focal = state.focal * np.exp(state.zoom[tracks.key])[:, None]
    return focal * turned[:, :2] / np.maximum(turned[:, 2:], 1e-2) - tracks.xy


def robust_cost(residual: Float[np.ndarray, "n 2"], scale: float) -> float:
    """Mean Geman-McClure cost, between 0 and 1."""
    squared = (residual**2).sum(1)
    return float((squared / (squared + scale**2)).mean())


def solve_turns(
    tracks: TurnTracks, state: TurnState, freedom: Freedom, *, scale: float, iterations: int
) -> tuple[TurnState, float]:
    """Refine until the cost (Geman-McClure, `scale` px) stands still; the scale begins wide and is annealed."""
    wide = max(scale, 3 * float(np.median(np.linalg.norm(residuals(tracks, state), axis=1))))
    damping = 1e-4
    cost = _total(tracks, state, freedom, wide)
    for _ in range(iterations):
        step = _step(tracks, state, freedom, wide, damping)
        trial = _moved(tracks, state, *step)
        trial_cost = _total(tracks, trial, freedom, wide)
        if trial_cost < cost:
            gain = (cost - trial_cost) / cost
            state, cost, damping = trial, trial_cost, max(damping / 5, 1e-8)
            if gain < 1e-4 and wide == scale:
                break
        else:
            damping *= 10
            if damping > 1e3:
                break
        if wide > scale:
            wide = max(scale, wide * 0.6)
            cost = _total(tracks, state, freedom, wide)
    return state, robust_cost(residuals(tracks, state), scale)


def _total(tracks: TurnTracks, state: TurnState, freedom: Freedom, scale: float) -> float:
    bend = np.diff(state.zoom, 2) / freedom.zoom_bend if freedom.zoom else np.zeros(1)
    return robust_cost(residuals(tracks, state), scale) + float((bend**2).sum()) / len(tracks.key)


def _step(
    tracks: TurnTracks, state: TurnState, freedom: Freedom, scale: float, damping: float
) -> tuple[Float[np.ndarray, "keys 3"], Float[np.ndarray, " keys"], float, Float[np.ndarray, "tracks 2"]]:
    """Steps of rotations, zooms, log focal and directions (in their tangent planes)."""
    camera, own, residual = _jacobians(tracks, state)
    weight = 1 / (1 + (residual**2).sum(1) / scale**2) ** 2
    blocks, right_own = np.zeros((tracks.count, 2, 2)), np.zeros((tracks.count, 2))
    np.add.at(blocks, tracks.track, np.einsum("n,nri,nrj->nij", weight, own, own))
    np.add.at(right_own, tracks.track, np.einsum("n,nri,nr->ni", weight, own, residual))
    blocks += 1e-3 * np.eye(2)
    width = 4 * tracks.keys + 1
    columns = np.concatenate([4 * tracks.key[:, None] + np.arange(4), np.full((len(tracks.key), 1), width - 1)], 1)
    normal, right = np.zeros((width, width)), np.zeros(width)
    products = np.einsum("n,nri,nrj->nij", weight, camera, camera)
    np.add.at(normal, (columns[:, :, None], columns[:, None, :]), products)
    np.add.at(right, columns, np.einsum("n,nri,nr->ni", weight, camera, residual))
    cross = np.zeros((tracks.count, width, 2))
    crossed = np.einsum("n,nri,nrj->nij", weight, camera, own)
    np.add.at(cross, (tracks.track[:, None], columns), crossed)
    half = np.linalg.cholesky(np.linalg.inv(blocks))
    scaled = (cross @ half).transpose(0, 2, 1).reshape(-1, width)
    reduced = normal - scaled.T @ scaled
    inverse_right = (half @ (np.swapaxes(half, 1, 2) @ right_own[:, :, None]))[:, :, 0]
    right = right - np.einsum("twi,ti->w", cross, inverse_right)
    solved = _solve(reduced, right, state, freedom, scale, damping)
    directions = -inverse_right - np.einsum("tij,twj,w->ti", half @ np.swapaxes(half, 1, 2), cross, solved)
    per_key = solved[:-1].reshape(-1, 4)
    return per_key[:, :3], per_key[:, 3], float(solved[-1]), directions


def _solve(
    reduced: np.ndarray, right: np.ndarray, state: TurnState, freedom: Freedom, scale: float, damping: float
) -> Float[np.ndarray, " width"]:
    """The damped reduced system, with what is not free held still.

    No rotation is fixed as a gauge (damping is enough): a fixed keyframe would be left behind as an outlier when all
    others have to turn together.
    """
    width, keys = len(right), len(state.zoom)
    free = np.ones(width, bool)
    free[3::4] &= freedom.zoom
    free[-1] = freedom.focal
    if freedom.zoom:
        bend = np.diff(np.eye(keys), 2, axis=0) * scale / freedom.zoom_bend
        zoom = np.arange(keys) * 4 + 3
        held = np.eye(keys)[0] if freedom.first_zoom else np.ones(keys) / keys
        stiff = bend.T @ bend + np.trace(reduced) * np.outer(held, held)
        reduced[np.ix_(zoom, zoom)] += stiff
        right[zoom] += stiff @ state.zoom
    reduced = reduced + np.diag(damping * np.diag(reduced) + 1e-6)
    solved = np.zeros(width)
    solved[free] = -np.linalg.solve(reduced[np.ix_(free, free)], right[free])
    return solved


def _jacobians(
    tracks: TurnTracks, state: TurnState
) -> tuple[Float[np.ndarray, "n 2 5"], Float[np.ndarray, "n 2 2"], Float[np.ndarray, "n 2"]]:
    """Derivatives by (left rotation step, log zoom, log focal) and by the direction's tangent step, and residuals."""
    turn = state.rotation[tracks.key]
    x, y, z = (turn @ state.rays[tracks.track][:, :, None])[:, :, 0].T
    z = np.maximum(z, 1e-2)
    u, v = x / z, y / z
    focal = state.focal * np.exp(state.zoom[tracks.key])
    pixel = focal[:, None] * np.stack([u, v], 1)
    camera = np.empty((len(u), 2, 5))
    camera[:, 0, :3] = focal[:, None] * np.stack([-u * v, 1 + u * u, -v], 1)
    camera[:, 1, :3] = focal[:, None] * np.stack([-1 - v * v, u * v, u], 1)
    camera[:, :, 3] = camera[:, :, 4] = pixel
    zero = np.zeros_like(u)
    by_point = np.stack([np.stack([1 / z, zero, -u / z], 1), np.stack([zero, 1 / z, -v / z], 1)], 1)
    basis = tangent_basis(state.rays)[tracks.track]
    return camera, focal[:, None, None] * (by_point @ turn @ basis), pixel - tracks.xy


def tangent_basis(rays: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 2"]:
    """Two unit vectors orthogonal to each direction."""
    other = np.eye(3)[np.abs(rays).argmin(1)]
    first = np.cross(rays, other)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack([first, np.cross(rays, first)], 2)


def _moved(
    tracks: TurnTracks, state: TurnState, turn: np.ndarray, zoom: np.ndarray, focal: float, directions: np.ndarray
) -> TurnState:
    rays = state.rays + (tangent_basis(state.rays) @ directions[:, :, None])[:, :, 0]
    return TurnState(
        matrix_of(turn) @ state.rotation,
        state.zoom + np.clip(zoom, -0.3, 0.3),
        float(state.focal * np.exp(np.clip(focal, -0.3, 0.3))),
        rays / np.linalg.norm(rays, axis=1, keepdims=True),
    )
