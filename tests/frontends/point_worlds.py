"""Exact point worlds seen by exact cameras, as the background tracks that a perfect or a noisy tracker would give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diorama.frontends.background_tracks import BackgroundTracks
from diorama.frontends.mapping import SegmentMap
from diorama.frontends.mapping_segments import MappedSegment
from diorama.frontends.registration import RegisteredSegment
from diorama.frontends.resection import project_points
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import rigid

SIZE = (960, 540)
FOCAL, K1 = 700.0, -0.08
CENTRE = np.array(SIZE) / 2


def street(rng: np.random.Generator, count: int = 4000) -> np.ndarray:
    """Points (N,3) of a street in camera axes of the start (Y down): ground 1.5 m below, fronts left and right, far end."""
    kind = rng.choice(3, count, p=[0.4, 0.35, 0.25])
    ground = np.stack([rng.uniform(-8, 8, count), np.full(count, 1.5), rng.uniform(1.5, 40, count)], 1)
    side = np.stack([rng.choice([-9.0, 7.0], count), rng.uniform(-5, 1.5, count), rng.uniform(3, 60, count)], 1)
    far = np.stack([rng.uniform(-120, 120, count), rng.uniform(-30, 1.5, count), rng.uniform(80, 300, count)], 1)
    return np.select([(kind == k)[:, None] for k in range(3)], [ground, side, far])


def sphere(rng: np.random.Generator, count: int = 6000, radius: float = 20.0) -> np.ndarray:
    """Points (N,3) all around."""
    points = rng.normal(size=(count, 3))
    return radius * points / np.linalg.norm(points, axis=1, keepdims=True)


@dataclass(frozen=True)
class Seen:
    """Tracks with the truth behind them."""

    tracks: BackgroundTracks
    T_world_camera: np.ndarray
    focal: np.ndarray
    points: np.ndarray


def walking(rng: np.random.Generator, frames: int, metres: float, sway: float = 0.01) -> np.ndarray:
    """Forward path of `metres` with a slow turn and the sway of a hand."""
    u = np.linspace(0, 1, frames)
    centres = np.stack([0.15 * metres * u**2, 0.02 * np.sin(12 * u), metres * u], 1)
    turn = np.stack([0.01 * np.sin(9 * u), 0.15 * np.sin(3 * u), 0.01 * np.cos(7 * u)], 1)
    return rigid(matrix_of(turn + sway * _smooth_noise(rng, frames)), centres)


def panning(rng: np.random.Generator, frames: int, degrees: float, sway: float = 0.002) -> np.ndarray:
    """Turning on the spot about the vertical by `degrees`, with some nodding."""
    u = np.linspace(0, 1, frames)
    angle = np.radians(degrees)
    turn = np.stack([0.15 * angle * np.sin(4 * u), angle * u, 0.02 * angle * np.sin(5 * u)], 1)
    return rigid(matrix_of(turn + sway * _smooth_noise(rng, frames)), np.zeros((frames, 3)))


def _smooth_noise(rng: np.random.Generator, frames: int) -> np.ndarray:
    noise = rng.normal(size=(frames + 8, 3))
    return np.stack([np.convolve(noise[:, k], np.ones(9) / 3, mode="valid") for k in range(3)], 1)


def see(
    rng: np.random.Generator,
    points: np.ndarray,
    T_world_camera: np.ndarray,
    focal: np.ndarray | float,
    *,
    k1: float = 0.0,
    noise_px: float = 0.15,
    drift_px: float = 0.03,
    outliers: float = 0.03,
    life: float = 40.0,
    limit: int = 600,
) -> Seen:
    """Tracks of `points`: white noise and a random walk per frame, outliers that wander off, random ends of tracks."""
    frames = len(T_world_camera)
    focal = np.broadcast_to(np.asarray(focal, np.float64), frames)
    live = np.full(len(points), -1)
    drift = np.zeros((len(points), 2))
    wander = np.zeros((len(points), 2))
    next_id, rows, ids, pixels = 0, [], [], []
    for row in range(frames):
        camera = (points - T_world_camera[row, :3, 3]) @ T_world_camera[row, :3, :3]
        uv = camera[:, :2] / np.maximum(camera[:, 2:], 1e-6)
        xy = focal[row] * uv * (1 + k1 * (uv**2).sum(1, keepdims=True)) + np.array(SIZE) / 2
        inside = (camera[:, 2] > 0.3) & (xy > 5).all(1) & (xy < np.array(SIZE) - 5).all(1)
        live[~inside | (rng.random(len(points)) < 1 / life)] = -1
        new = np.flatnonzero(inside & (live < 0))
        new = rng.permutation(new)[: max(limit - int((live >= 0).sum()), 0)]
        live[new] = next_id + np.arange(len(new))
        next_id += len(new)
        drift[new] = 0
        wander[new] = rng.normal(size=(len(new), 2)) * 2 * (rng.random(len(new)) < outliers)[:, None]
        seen = np.flatnonzero(live >= 0)
        drift[seen] += rng.normal(size=(len(seen), 2)) * drift_px + wander[seen]
        rows.append(np.full(len(seen), row))
        ids.append(live[seen].copy())
        pixels.append(xy[seen] + drift[seen] + rng.normal(size=(len(seen), 2)) * noise_px)
    return Seen(_table(rows, ids, pixels, frames), T_world_camera, focal, points)


def _table(rows: list, ids: list, pixels: list, frames: int) -> BackgroundTracks:
    order = [np.argsort(i) for i in ids]
    table = BackgroundTracks(
        size=SIZE,
        rows=np.arange(frames, dtype=np.int32),
        track=np.concatenate([i[o] for i, o in zip(ids, order, strict=True)]).astype(np.int32),
        row=np.concatenate(rows).astype(np.int32),
        xy=np.concatenate([p[o] for p, o in zip(pixels, order, strict=True)]).astype(np.float32),
        anchor_rows=np.zeros(0, np.int32),
        anchor_shift=np.zeros(0),
        anchor_share=np.zeros(0),
    )
    return table


def segment(rng, points, Ts, rows, keys, noise_px=0.0) -> MappedSegment:
    """The perfect map of `points` seen by the cameras `Ts` of `rows`, keyframes `keys`; feature noise is per pixel."""
    seen_key, seen_point, seen_xy = [], [], []
    for index, key in enumerate(keys):
        xy, depth = project_points(points, Ts[key], FOCAL, K1, CENTRE)
        inside = np.flatnonzero((depth > 0.5) & (xy > 0).all(1) & (xy < SIZE).all(1))[:300]
        seen_key.append(np.full(len(inside), index))
        seen_point.append(inside)
        seen_xy.append(np.round(64 * (xy[inside] + noise_px * rng.normal(size=(len(inside), 2)))) / 64)
    names, seen = np.unique(np.concatenate(seen_point), return_inverse=True)
    found = SegmentMap(
        SIZE, np.asarray(keys), len(keys), Ts[keys], FOCAL, K1, points[names],
        np.concatenate(seen_key), seen, np.concatenate(seen_xy), noise_px,
    )  # fmt: skip
    count = len(rows)
    poses = RegisteredSegment(
        rows, Ts[rows], np.ones(count, bool), np.zeros(count), np.full(count, 300),
        np.zeros((len(names), 3), np.uint8),
    )  # fmt: skip
    return MappedSegment(found, poses)
