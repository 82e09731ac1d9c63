"""Where a camera stands or goes so that it is in nobody's way and sees everybody, and through which lens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.geometry.cameras import distort, intrinsics
from diorama.geometry.transforms import apply, invert
from diorama.synthetic.camera_moves import MOVES_OF, Subject
from diorama.synthetic.free_space import arena_of, clearance, sees
from diorama.synthetic.layout import Layout

CAMERAS = tuple(MOVES_OF)
_TRIES = 400
_ENOUGH = 0.02


@dataclass(frozen=True)
class Filming:
    """Limits of a good shot: focal lengths in picture widths, empty border as a share of the picture's size.

    `clear` is the distance that a camera keeps from solids and `apart` that from people's axes, metres; `smallest` the
    share of the picture's height that people should fill; nobody's head and pelvis may both be hidden in more than
    `hidden` of the frames. `zoom` changes the focal length once, by a factor of 1.3-2.2. `distortion` are the radial
    coefficients of the lens.
    """

    focal: tuple[float, float] = (0.6, 2.5)
    border: float = 0.03
    clear: float = 0.25
    apart: float = 0.8
    fastest: float = 4.0
    smallest: float = 0.3
    hidden: float = 0.15
    zoom: bool = False
    distortion: tuple[float, ...] = ()


def film(
    camera: str,
    targets: Float[np.ndarray, "frames people 3"],
    layout: Layout,
    times: Float[np.ndarray, " frames"],
    size: tuple[int, int],
    rng: np.random.Generator,
    wanted: Filming = Filming(),
    *,
    others: Float[np.ndarray, "frames others 3"] | None = None,
) -> tuple[Float[np.ndarray, "frames 3 3"], Float[np.ndarray, "frames 4 4"], str]:
    """`K` (pixels of a picture of `size` = width, height), `T_world_camera`, and the kind of motion in the terms of
    `ObservedCameras`, for a way of filming (one of `CAMERAS`) people whose pelvises are at `targets` (world, metres).

    The best of some hundred drawn trajectories: never inside or under anything, never near anybody, every pelvis in
    every picture, and if it can be everybody whole, unhidden and large enough. `others` are people whom the camera
    avoids but need not show.

    Raises:
        DioramaError: there is no such camera, or no place from which it sees everybody.
    """
    if camera not in MOVES_OF:
        raise DioramaError("there is no such camera", where=camera, fix=f"choose one of {', '.join(CAMERAS)}")
    kind, hand, move = MOVES_OF[camera]
    subject = Subject(targets, times, layout)
    everybody = targets if others is None else np.concatenate([targets, others], 1)
    sway, shake = hand.hold(rng, times)
    best: tuple[float, np.ndarray, np.ndarray] | None = None
    for _ in range(_TRIES):
        trajectory = move(subject, rng)
        if not _possible(trajectory.centres + sway, subject, kind, wanted):
            continue
        if _from_people(trajectory.centres + sway, everybody).min() < wanted.apart:
            continue
        T_world_camera = trajectory.shaken(subject, sway, shake)
        K, fault = _lens(T_world_camera, subject, size, rng, wanted)
        if best is None or fault < best[0]:
            fault += _hiding(T_world_camera[:, :3, 3], subject, wanted)
        if best is None or fault < best[0]:
            best = fault, K, T_world_camera
        if fault < _ENOUGH:
            break
    if best is None or not np.isfinite(best[0]):
        raise DioramaError(
            f"no place for a camera of the kind '{camera}'",
            where=f"layout {layout.name}",
            fix="draw again, choose another camera, or let it show fewer people (others=)",
        )
    return best[1], best[2], kind


def random_distortion(rng: np.random.Generator) -> tuple[float, float]:
    """Small radial coefficients k1, k2 of an ordinary lens: mostly a barrel, a few per cent at the corners."""
    return float(rng.uniform(-0.06, 0.02)), float(rng.uniform(-0.004, 0.004))


def _possible(centres: Float[np.ndarray, "frames 3"], subject: Subject, kind: str, wanted: Filming) -> bool:
    """Whether the camera is in the arena's air, and moves as its kind says at a human speed."""
    layout = subject.layout
    if not arena_of(layout).contains(centres).all():
        return False
    above = centres[:, 2] - layout.ground_height(centres[:, :2])
    if above.min() < 2 * wanted.clear or clearance(layout, centres).min() < wanted.clear:
        return False
    if kind != "translating":
        return True
    moved = np.linalg.norm(centres - centres[:1], axis=1).max()
    speed = np.linalg.norm(subject.velocity(centres), axis=1).max()
    return bool(speed < wanted.fastest and moved > min(0.4, 0.15 * float(np.ptp(subject.times))))


def _from_people(
    centres: Float[np.ndarray, "frames 3"], targets: Float[np.ndarray, "frames people 3"]
) -> Float[np.ndarray, "frames people"]:
    """Distance to the upright axis of each body, from 1.1 m below to 0.95 m above the pelvis."""
    offset = centres[:, None] - targets
    vertical = offset[..., 2] - np.clip(offset[..., 2], -1.1, 0.95)
    return np.hypot(np.linalg.norm(offset[..., :2], axis=-1), vertical)


def _lens(
    T_world_camera: np.ndarray, subject: Subject, size: tuple[int, int], rng: np.random.Generator, wanted: Filming
) -> tuple[Float[np.ndarray, "frames 3 3"], float]:
    """The focal length per frame that shows everybody as large as it can, or a little less; and what it lacks."""
    width, height = size
    bodies = _normalised(T_world_camera, subject.bodies, wanted)
    pelvises = _normalised(T_world_camera, subject.targets, wanted)
    half = np.array([width, height]) * (0.5 - wanted.border)
    with np.errstate(divide="ignore"):
        longest = np.min(half / np.abs(bodies), axis=(1, 2))
        needed = np.min(half / np.abs(pelvises), axis=(1, 2))
    focal = _focal(longest / width, subject.times, rng, wanted) * width
    if not np.isfinite(bodies).all() or (focal > needed).any():
        return np.zeros((len(focal), 3, 3)), np.inf
    tall = np.ptp(bodies.reshape(len(focal), 8, -1, 2)[..., 1], axis=1) * focal[:, None] / height
    fault = np.maximum(focal / longest - 1, 0).mean() + 2 * np.maximum(wanted.smallest - tall, 0).mean()
    return np.stack([intrinsics(float(f), width, height) for f in focal]), float(fault)


def _normalised(T_world_camera: np.ndarray, points_world: np.ndarray, wanted: Filming) -> np.ndarray:
    """Distorted x/z, y/z; NaN for what is not in front of the camera."""
    points = apply(invert(T_world_camera), points_world)
    z = points[..., 2:]
    xy = points[..., :2] / np.where(z > 0.2, z, np.nan)
    return distort(xy, np.array(wanted.distortion)) if wanted.distortion else xy


def _focal(
    longest: Float[np.ndarray, " frames"], times: np.ndarray, rng: np.random.Generator, wanted: Filming
) -> Float[np.ndarray, " frames"]:
    """Focal length in widths: one for all frames, or a smooth monotone change between two."""
    ratio = float(rng.uniform(1.3, 2.2)) ** int(rng.choice([-1, 1])) if wanted.zoom else 1.0
    share = (times - times[0]) / max(float(np.ptp(times)), 1e-9)
    begin, lasting = rng.uniform(0, 0.4), rng.uniform(0.4, 0.6)
    eased = np.clip((share - begin) / lasting, 0, 1)
    course = ratio ** (eased**2 * (3 - 2 * eased))
    fitting = float(np.min(longest / course)) * rng.uniform(0.78, 1.0)
    low, high = wanted.focal[0] / min(1.0, ratio), wanted.focal[1] / max(1.0, ratio)
    return np.clip(fitting, low, high) * course


def _hiding(centres: Float[np.ndarray, "frames 3"], subject: Subject, wanted: Filming) -> float:
    """Share of people and (every third) frames behind boxes; infinite if it is more than may be for anybody."""
    targets = subject.targets[::3]
    start = np.broadcast_to(centres[::3, None], targets.shape)
    seen = [sees(subject.layout, start, targets + np.array([0, 0, up])) for up in (-0.5, 0.0, 0.6)]
    if (~(seen[1] | seen[2])).mean(0).max() > wanted.hidden:
        return np.inf
    return float(1 - np.mean(seen))
