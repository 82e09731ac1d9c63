"""What is kept of a window when the next one comes: numbers per frame, some points, maps of a few frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from diorama.methods.unish.branch import WindowPerson, WindowWorld
from diorama.methods.unish.pictures import Window


@dataclass(frozen=True)
class KeptConfig:
    """How much is kept of the whole video, however long it is.

    Attributes:
        points: of the static scene, about; `people_points`: on people.
        maps: depth maps, at the working size.
        confidence: points below it are left out.
        reach: people's points are nearer to their place than this, metres (masks' edges show what is behind).
    """

    points: int = 200_000
    people_points: int = 50_000
    maps: int = 40
    confidence: float = 0.1
    reach: float = 1.3


@dataclass(frozen=True)
class Points:
    """Points along the axes of the camera of each one's `sample`; `owner` is the id of the person whose they are, or 0."""

    camera: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    confidence: Float[np.ndarray, " points"]
    owner: Int[np.ndarray, " points"]
    sample: Int[np.ndarray, " points"]


@dataclass(frozen=True)
class KeptWindow:
    """A window in its own unit; `maps` are depth by sample."""

    span: tuple[int, int]
    K: Float[np.ndarray, "frames 3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    people: tuple[WindowPerson, ...]
    points: Points
    maps: dict[int, Float[np.ndarray, "height width"]]
    scale_witnesses: int


def kept(
    window: Window, world: WindowWorld, span: tuple[int, int], own: Int[np.ndarray, " n"], samples: int,
    config: KeptConfig,
) -> KeptWindow:  # fmt: skip
    """What stays of a window; points and maps only of its `own` samples, so that no sample counts twice.

    Args:
        span: its first sample and the end.
        own: samples that lie better here than in any other window.
        samples: of the whole video, on which the budgets are spread evenly.
    """
    chosen = set(np.unique(np.linspace(0, samples - 1, min(samples, config.maps)).astype(int)).tolist())
    parts = [_points(window, world, int(at) - span[0], int(at), samples, config) for at in own]
    names = ("camera", "colors", "confidence", "owner", "sample")
    points = Points(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
    maps = {int(at): world.depth[at - span[0]].copy() for at in own if int(at) in chosen}
    return KeptWindow(span, world.K, world.T_world_camera, world.people, points, maps, world.scale_witnesses)


def _points(window: Window, world: WindowWorld, at: int, sample: int, samples: int, config: KeptConfig) -> Points:
    """Random pixels of one frame."""
    rng = np.random.default_rng(sample)
    usable = (world.depth[at] > 0) & (world.confidence[at] > config.confidence)
    owners = window.owners[at]
    chosen = [
        _some(usable & mask, max(budget // samples, 1), rng)
        for mask, budget in ((owners == 0, config.points), (owners > 0, config.people_points))
    ]
    y, x = np.concatenate(chosen, 1)
    z = world.depth[at][y, x].astype(np.float64)
    K = world.K[at]
    rays = (np.stack([x, y], 1) + 0.5 - K[:2, 2]) / K[[0, 1], [0, 1]]
    camera = np.concatenate([rays * z[:, None], z[:, None]], 1)
    grey = np.full((len(z), 3), 128, np.uint8)
    colors = window.images[at][y, x] if window.images is not None else grey
    near = _near(camera, owners[y, x], world, at, config.reach)
    return Points(
        camera[near].astype(np.float32), colors[near], world.confidence[at][y, x][near].astype(np.float32),
        owners[y, x][near].astype(np.int64), np.full(int(near.sum()), sample),
    )  # fmt: skip


def _some(mask: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Rows and columns of at most so many pixels of a mask."""
    places = np.flatnonzero(mask)
    if len(places) > count:
        places = np.sort(rng.choice(places, count, replace=False))
    return np.stack(np.unravel_index(places, mask.shape))


def _near(camera: np.ndarray, owner: np.ndarray, world: WindowWorld, at: int, reach: float) -> np.ndarray:
    out = np.ones(len(owner), bool)
    for person in world.people:
        mine = owner == person.id
        out[mine] = np.linalg.norm(camera[mine] - person.transl[at], axis=1) < reach
    return out
