"""Depth maps aligned with the people in them: one scale and shift against the bodies' own depth, which is metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body.model import ShapedBody
from diorama.methods.carried import bodies_of, cameras_of
from diorama.observations import Depth, Observations
from diorama.render.depth import depth_and_ids
from diorama.render.raycast import Mesh


@dataclass(frozen=True)
class AlignmentConfig:
    """What a person in a keyframe says about scale and shift counts as one residual, since its pixels err together.

    `sigma` (metres) of the Geman-McClure loss: maps and bodies are some 5 % off from keyframe to keyframe. A network's
    error is a factor rather than metres, so the shift is drawn to zero with the deviation `shift_sigma`: a person who
    stays at one distance says little about it. `hypotheses` pairs of pixels are tried as a start. `fewest` pixels of a
    person in a keyframe count at all; nothing of the result is nearer than `nearest` metres.
    """

    sigma: float = 0.3
    shift_sigma: float = 0.5
    hypotheses: int = 500
    fewest: int = 12
    nearest: float = 0.05


@dataclass(frozen=True)
class PeoplePixels:
    """Pixels that show people: depth of the map, of the body there (metres), and the weight (1 for a whole person)."""

    shown: Float[np.ndarray, " pixels"]
    body: Float[np.ndarray, " pixels"]
    weight: Float[np.ndarray, " pixels"]


def aligned_to_people(
    depth: Depth, observations: Observations, shaped: dict[int, ShapedBody], config: AlignmentConfig = AlignmentConfig()
) -> Depth | None:
    """Metric maps `scale * depth + shift`, one pair for the video; None if nobody is seen in them.

    The maps may be in any unit. The result has no points: those of `depth` are not aligned.
    """
    pixels = people_pixels(depth, observations, shaped, config)
    if not len(pixels.shown):
        return None
    scale, shift = scale_and_shift(
        pixels.shown, pixels.body, config.sigma, weights=pixels.weight, shift_sigma=config.shift_sigma,
        hypotheses=config.hypotheses,
    )  # fmt: skip
    known = np.isfinite(depth.depth) & (depth.depth > 0)
    maps = np.where(known, scale * np.where(known, depth.depth, 0) + shift, 0.0)
    maps = np.where(maps > config.nearest, maps, 0.0).astype(np.float32)
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    return replace(depth, depth=maps, metric=True, points=nothing[0], colors=nothing[1], points_confidence=nothing[2])


def people_pixels(
    depth: Depth, observations: Observations, shaped: dict[int, ShapedBody], config: AlignmentConfig
) -> PeoplePixels:
    """All pixels where the nearest body lies inside its own mask (anywhere, if there are no masks) and has a depth."""
    parts = [part for index in range(len(depth.frames)) for part in _of_keyframe(depth, index, observations, shaped)]
    parts = [part for part in parts if len(part[0]) >= config.fewest]
    shown, body = (np.concatenate([np.zeros(0), *(part[k] for part in parts)]) for k in range(2))
    weight = np.concatenate([np.zeros(0), *(np.full(len(part[0]), 1 / len(part[0])) for part in parts)])
    return PeoplePixels(shown, body, weight)


def _of_keyframe(
    depth: Depth, index: int, observations: Observations, shaped: dict[int, ShapedBody]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Per person: depth of the map and of the body."""
    row, picture = int(depth.frames[index]), depth.depth[index]
    size = (picture.shape[1], picture.shape[0])
    bodies = rendered_bodies(observations, shaped, row, size)
    if bodies is None:
        return
    z, ids = bodies
    known = np.isfinite(picture) & (picture > 0) & (z > 0)
    for id in np.unique(ids[ids > 0]):
        mine = known & (ids == id) & _mask(observations, int(id), row, size)
        yield picture[mine].astype(np.float64), z[mine].astype(np.float64)


def _mask(seen: Observations, id: int, row: int, size: tuple[int, int]) -> Bool[np.ndarray, "height width"]:
    """The person's own mask; everything where he has none."""
    for track in seen.tracks.people if seen.tracks else ():
        at = np.flatnonzero(track.frames == row)
        if track.id == id and track.masks is not None and len(at):
            return track.masks.full(int(at[0]), size)
    return np.ones((size[1], size[0]), bool)


def rendered_bodies(
    observations: Observations, shaped: dict[int, ShapedBody], row: int, size: tuple[int, int]
) -> tuple[Float[np.ndarray, "height width"], Int[np.ndarray, "height width"]] | None:
    """Depth (metres, 0: nobody) and ids of everybody's body in one frame, on a grid over the picture; None if nobody is.

    The focal length is that which the bodies assumed, so that they lie on their pixels.
    """
    meshes, focals = [], []
    for body in bodies_of(observations):
        at = np.flatnonzero(body.frames == row)
        arrays = [np.asarray(a[at], np.float32) for a in (body.global_orient, body.body_pose, body.transl)]
        if len(at) and all(np.isfinite(a).all() for a in arrays):
            posed = shaped[body.id].posed(*map(torch.from_numpy, arrays))
            meshes.append(Mesh(posed.verts()[0].numpy(), posed.shaped.model.faces.numpy(), body.id))
            focals.append(float(body.focal[at[0]]))
    if not meshes:
        return None
    cameras = cameras_of(observations)
    K = np.array(cameras.K[row], np.float64)
    focal = float(np.median(focals))
    if np.isfinite(focal) and focal > 1:
        K[[0, 1], [0, 1]] *= focal / K[0, 0]
    K *= np.array([[size[0] / observations.width], [size[1] / observations.height], [1.0]])
    return depth_and_ids(meshes, K, np.eye(4), *size, distortion=cameras.distortion[row])


def scale_and_shift(
    source: Float[np.ndarray, " n"],
    target: Float[np.ndarray, " n"],
    sigma: float,
    *,
    weights: Float[np.ndarray, " n"] | None = None,
    shift_sigma: float = np.inf,
    hypotheses: int = 500,
) -> tuple[float, float]:
    """(scale > 0, shift) of the least sum w GM((scale * source + shift - target) / sigma) + (shift / shift_sigma)^2.

    Geman-McClure ignores outliers, and so has many minima: the best of the lines through random pairs and of the pure
    median ratio is refined by iterated re-weighting. A scale that would not be positive is the median ratio without shift.
    """
    w = np.ones(len(source)) if weights is None else weights
    ratio = float(np.median(target / source))
    i, j = np.random.default_rng(0).integers(0, len(source), (2, hypotheses))
    run = source[j] - source[i]
    slope = np.where(np.abs(run) > 1e-9, target[j] - target[i], 0) / np.where(np.abs(run) > 1e-9, run, 1)
    lines = np.stack([np.append(slope, ratio), np.append(target[i] - slope * source[i], 0.0)], 1)
    lines = lines[lines[:, 0] > 0]
    costs = [_cost(line, source, target, w, sigma, shift_sigma) for line in lines]
    scale, shift = lines[int(np.argmin(costs))]
    for _ in range(100):
        before = scale, shift
        scale, shift = _reweighted(before, source, target, w, sigma, shift_sigma)
        if max(abs(scale - before[0]), abs(shift - before[1])) < 1e-10:
            break
    return (float(scale), float(shift)) if scale > 0 else (ratio, 0.0)


def _cost(line: np.ndarray, x: np.ndarray, y: np.ndarray, w: np.ndarray, sigma: float, shift_sigma: float) -> float:
    squared = ((line[0] * x + line[1] - y) / sigma) ** 2
    return float((w * squared / (1 + squared)).sum() + (line[1] / shift_sigma) ** 2)


def _reweighted(
    line: tuple[float, float], x: np.ndarray, y: np.ndarray, w: np.ndarray, sigma: float, shift_sigma: float
) -> tuple[float, float]:
    """One weighted least-squares step for (scale, shift)."""
    squared = ((line[0] * x + line[1] - y) / sigma) ** 2
    v = w / (1 + squared) ** 2 / sigma**2
    A = np.array([[(v * x * x).sum(), (v * x).sum()], [(v * x).sum(), v.sum() + shift_sigma**-2]])
    b = np.array([(v * x * y).sum(), (v * y).sum()])
    # The tiny multiple of the trace keeps a set without extent solvable.
    scale, shift = np.linalg.solve(A + 1e-12 * np.trace(A) * np.eye(2), b)
    return float(scale), float(shift)
