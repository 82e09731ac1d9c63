"""How the worlds of two neighbouring windows lie to each other: a robust similarity from the frames that both saw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from diorama.geometry.alignment import Similarity, umeyama
from diorama.geometry.cameras import pixel_grid
from diorama.geometry.transforms import apply
from diorama.methods.unish.branch import WindowWorld
from diorama.methods.unish.windows import PATCH


@dataclass(frozen=True)
class OverlapConfig:
    """What counts how much.

    Attributes:
        points, cameras, bodies: shares in the joint alignment. Points are many, but their errors go with their camera's;
            cameras say rotation best; people move, which does not matter as both windows saw the same pictures.
        stride: every so many pixels across and down are points (7: two per patch and side).
        iterations: of re-weighting.
    """

    points: float = 1.0
    cameras: float = 1.0
    bodies: float = 0.5
    stride: int = PATCH // 2
    iterations: int = 20


@dataclass(frozen=True)
class Shown:
    """What one window says of some of its frames, along the cameras' axes: points of a pixel grid, with depth z (0:
    unknown) and confidence; people's root (as rotation) and place, by id, NaN where they are not seen."""

    T_world_camera: Float[np.ndarray, "frames 4 4"]
    points: Float[np.ndarray, "frames points 3"]
    confidence: Float[np.ndarray, "frames points"]
    roots: dict[int, Float[np.ndarray, "frames 4 4"]]


@dataclass(frozen=True)
class Join:
    """The world of the next window in the one before: `move` takes it there.

    Attributes:
        move: similarity; it takes the point `source` to the point `target`, the middle of what is in both.
        log_deviation: standard deviation of log scale, from the residuals; they count once per frame.
        residual_percent: weighted rms distance after it, in % of the distance from the camera.
    """

    move: Similarity
    source: Float[np.ndarray, 3]
    target: Float[np.ndarray, 3]
    log_deviation: float
    residual_percent: float


@dataclass(frozen=True)
class _Pairs:
    """Points of both worlds, what they weigh, how far they are from the camera, and which kind they are (0 points, 1
    cameras, 2 bodies)."""

    before: Float[np.ndarray, "pairs 3"]
    after: Float[np.ndarray, "pairs 3"]
    weight: Float[np.ndarray, " pairs"]
    distance: Float[np.ndarray, " pairs"]
    kind: Int[np.ndarray, " pairs"]


def shown(world: WindowWorld, frames: slice, config: OverlapConfig) -> Shown:
    """The part of a window that is kept until the next window comes."""
    height, width = world.depth.shape[1:]
    first, every = config.stride // 2, config.stride
    pixels = pixel_grid(width, height)[first::every, first::every].reshape(-1, 2)
    depth = world.depth[frames, first::every, first::every].reshape(-1, len(pixels)).astype(np.float64)
    confidence = world.confidence[frames, first::every, first::every].reshape(depth.shape)
    K = world.K[frames]
    rays = (pixels - K[:, None, :2, 2]) / K[:, None, [0, 1], [0, 1]]
    points = np.concatenate([rays * depth[..., None], depth[..., None]], -1)
    roots = {}
    for person in world.people:
        root = np.tile(np.eye(4), (len(K), 1, 1))
        root[:, :3, :3], root[:, :3, 3] = person.rotations[frames, 0], person.transl[frames]
        root[~person.seen[frames]] = np.nan
        roots[person.id] = root
    return Shown(world.T_world_camera[frames], points, confidence.astype(np.float64), roots)


def join(before: Shown, after: Shown, config: OverlapConfig) -> Join:
    """The robust similarity between two windows from what both say of the same frames.

    Weighted Umeyama, re-weighted by Geman-McClure on the residual relative to the distance from the camera, its width
    the median residual of each kind. The scale is the geometric mean of the one found this way and of the inverse of the
    one found the other way round: each alone is too small when points have errors, and hundreds of joins add up.
    """
    pairs = _pairs(before, after, config)
    weight = pairs.weight
    for _ in range(config.iterations):
        move = _symmetric(pairs.after, pairs.before, weight)
        away = np.linalg.norm(move.apply(pairs.after) - pairs.before, axis=1) / pairs.distance
        weight = pairs.weight * _robust(away, pairs.kind)
    share = weight / weight.sum()
    source, target = share @ pairs.after, share @ pairs.before
    rms = float(np.sqrt(share @ away**2))
    return Join(move, source, target, max(rms / np.sqrt(len(before.points)), 1e-7), 100 * rms)


def _symmetric(source: np.ndarray, target: np.ndarray, weight: np.ndarray) -> Similarity:
    forth, back = umeyama(source, target, weights=weight), umeyama(target, source, weights=weight)
    scale = float(np.sqrt(forth.scale / back.scale))
    share = weight / weight.sum()
    return Similarity(scale, forth.rotation, share @ target - scale * forth.rotation @ (share @ source))


def _robust(away: Float[np.ndarray, " pairs"], kind: Int[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
    out = np.zeros_like(away)
    for each in np.unique(kind):
        of = kind == each
        # A third of wrong points still lets go of this width; of three times the median it does not.
        width = max(float(np.median(away[of])), 1e-9)
        out[of] = 1 / (1 + (away[of] / width) ** 2) ** 2
    return out


def _pairs(before: Shown, after: Shown, config: OverlapConfig) -> _Pairs:
    both = (before.points[..., 2] > 0) & (after.points[..., 2] > 0)
    parts = [_point_pairs(before, after, both, config.points), _camera_pairs(before, after, both, config.cameras)]
    parts += [
        _body_pairs(before, after, before.roots[id], after.roots[id], config.bodies)
        for id in before.roots.keys() & after.roots.keys()
    ]
    kept = [part for part in parts if len(part.weight)]
    names = ("before", "after", "weight", "distance", "kind")
    return _Pairs(*(np.concatenate([getattr(part, name) for part in kept]) for name in names))


def _made(before: np.ndarray, after: np.ndarray, weight: np.ndarray, distance: np.ndarray, kind: int) -> _Pairs:
    return _Pairs(before, after, weight, distance, np.full(len(weight), kind))


def _point_pairs(before: Shown, after: Shown, both: np.ndarray, share: float) -> _Pairs:
    """The same pixels of the same pictures; errors grow with depth, so weights fall with its square."""
    distance = np.linalg.norm(before.points, axis=-1)[both]
    weight = (before.confidence * after.confidence)[both] / np.maximum(distance, 1e-9) ** 2
    total = weight.sum()
    weight = weight * (share / total) if total > 0 else weight
    world = [apply(each.T_world_camera, each.points)[both] for each in (before, after)]
    return _made(world[0], world[1], weight, distance, 0)


def _camera_pairs(before: Shown, after: Shown, both: np.ndarray, share: float) -> _Pairs:
    """Centres, and points on the cameras' axes as far as the scene is deep: they say how the cameras are turned."""
    reach = np.ones((2, len(both)))
    for frame in np.flatnonzero(both.any(1)):
        reach[:, frame] = [np.median(each.points[frame, both[frame], 2]) for each in (before, after)]
    ends = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    world = [
        apply(each.T_world_camera, ends * far[:, None, None]).reshape(-1, 3)
        for each, far in zip((before, after), reach, strict=True)
    ]
    distance = np.repeat(reach[0], 4)
    return _made(world[0], world[1], share * _shares(distance), distance, 1)


def _body_pairs(
    before: Shown, after: Shown, root: Float[np.ndarray, "frames 4 4"], again: Float[np.ndarray, "frames 4 4"], share: float
) -> _Pairs:  # fmt: skip
    """Where a person is, and points beside him along his own axes."""
    seen = np.isfinite(root).all((1, 2)) & np.isfinite(again).all((1, 2))
    world, distance = [], np.zeros(0)
    for each, roots in ((before, root), (after, again)):
        away = np.linalg.norm(roots[seen, :3, 3], axis=-1)
        ends = np.concatenate([np.zeros((1, 3)), 0.2 * np.eye(3)]) * away[:, None, None]
        world.append(apply(each.T_world_camera[seen], apply(roots[seen], ends)).reshape(-1, 3))
        distance = np.repeat(away, 4) if each is before else distance
    return _made(world[0], world[1], share * _shares(distance), distance, 2)


def _shares(distance: Float[np.ndarray, " pairs"]) -> Float[np.ndarray, " pairs"]:
    """Weights that fall with the square of the distance and sum to 1."""
    weight = 1 / np.maximum(distance, 1e-9) ** 2
    return weight / weight.sum() if len(weight) else weight
