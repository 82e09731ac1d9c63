"""Who walks where before which camera: drawn at random until the picture is well composed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import intrinsics, project
from diorama.geometry.transforms import apply, invert
from diorama.synthetic.camera_moves import CameraMove, camera_path
from diorama.synthetic.clothing import Outfit, random_outfit
from diorama.synthetic.walk import Manner, WalkPath

DEMO_SEED = 7
_DEMO_STATURES = (1.58, 1.86)
_TRIES = 3000


@dataclass(frozen=True)
class Shot:
    """What the camera records: size in pixels, frames, and frames per second; `camera` is one of `MOVES`."""

    width: int = 960
    height: int = 540
    frames: int = 100
    fps: float = 30.0
    camera: str = "walk"

    @property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Seconds of all frames."""
        return np.arange(self.frames) / self.fps


DEMO_SHOT = Shot()


@dataclass(frozen=True)
class Role:
    """One person: size, shape, clothes, and the walk."""

    stature: float
    gender: float
    weight: float
    muscle: float
    outfit: Outfit
    path: WalkPath
    manner: Manner


@dataclass(frozen=True)
class Staging:
    """A whole plan; cameras are exact, people follow their roles."""

    seed: int
    shot: Shot
    roles: tuple[Role, ...]
    move: CameraMove
    K: Float[np.ndarray, "3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]


@dataclass(frozen=True)
class Composition:
    """A good picture: people's heights and margins as shares of its size, people apart in this share of the frames.

    `still_shortest` replaces `shortest` for a still camera, which must stand farther away. A person's angle (radians)
    is that between the direction of the walk and the line of sight: 0 is seen from behind."""

    shortest: float = 0.45
    still_shortest: float = 0.36
    tallest: float = 0.75
    margin: float = 0.015
    apart: float = 0.9
    camera_metres_per_second: float = 0.78
    widest_pan: float = 0.6
    from_behind: tuple[float, float] = (0.0, 0.9)
    from_the_side: tuple[float, float] = (0.9, 2.25)


def stage(seed: int, shot: Shot = Shot(), composition: Composition = Composition()) -> Staging:
    """Two people, the first seen from behind and the second from the side; the best of some thousand drawn plans."""
    rng = np.random.default_rng([seed, 1])
    statures = _DEMO_STATURES if seed == DEMO_SEED else tuple(rng.uniform(1.5, 1.95, 2))
    looks = [_look(rng, float(stature)) for stature in statures]
    best: tuple[float, Staging] | None = None
    for _ in range(_TRIES):
        plan = _draw(rng, seed, shot, looks)
        fault = _fault(plan, composition)
        if best is None or fault < best[0]:
            best = fault, plan
        if fault == 0:
            break
    assert best is not None
    return best[1]


def _look(rng: np.random.Generator, stature: float) -> Role:
    """A person without a place yet: tall people are more often men."""
    gender = float(np.clip((1.73 - stature) / 0.3 + 0.5 + rng.normal(0, 0.15), 0, 1))
    manner = Manner(
        phase=float(rng.uniform()), arm_swing=float(rng.uniform(0.28, 0.45)), elbow=float(rng.uniform(0.25, 0.5))
    )
    return Role(
        stature, gender, float(rng.uniform(0.35, 0.6)), float(rng.uniform(0.4, 0.65)), random_outfit(rng),
        WalkPath((0.0, 0.0), 0.0), manner,
    )  # fmt: skip


def _draw(rng: np.random.Generator, seed: int, shot: Shot, looks: list[Role]) -> Staging:
    """One random plan, laid out half-way through the shot, when the camera is above the origin and looks along +Y."""
    focal = float(rng.uniform(0.7, 1.1)) * shot.width
    side = float(rng.choice([-1, 1]))
    half = shot.times.mean()
    heights = (0.42, 0.6) if shot.camera == "static" else (0.5, 0.7)
    roles = []
    headings = (np.pi / 2 + rng.uniform(-0.45, 0.45), rng.choice([0, np.pi]) + rng.uniform(-0.35, 0.35))
    for look, heading, place in zip(looks, headings, (side, -side), strict=True):
        depth = look.stature * focal / (rng.uniform(*heights) * shot.height)
        across = place * rng.uniform(0.10, 0.28) * shot.width / focal * depth
        speed = float(rng.uniform(0.9, 1.4 if shot.camera == "walk" else 1.1))
        start = np.array([across, depth]) - speed * half * np.array([np.cos(heading), np.sin(heading)])
        path = WalkPath((float(start[0]), float(start[1])), float(heading), speed, float(rng.uniform(-0.03, 0.03)))
        roles.append(Role(look.stature, look.gender, look.weight, look.muscle, look.outfit, path, look.manner))
    speed, bearing = rng.uniform(0.8, 1.25), rng.uniform(0.35, 1.3) * rng.choice([-1, 1])
    velocity = (float(speed * np.sin(bearing)), float(speed * np.cos(bearing)))
    move = CameraMove(shot.camera, (0.0, 0.0, float(rng.uniform(1.35, 1.65))), velocity, int(rng.integers(1 << 30)))
    target = np.mean([_places(role, shot) for role in roles], 0) + np.array(
        [0, 0, 0.5 * np.mean([r.stature for r in roles])]
    )
    return Staging(
        seed, shot, tuple(roles), move, intrinsics(focal, shot.width, shot.height),
        camera_path(move, shot.times, target),
    )  # fmt: skip


def _places(role: Role, shot: Shot) -> Float[np.ndarray, "frames 3"]:
    """Ground points under the pelvis."""
    flat = role.path.point_at(role.path.speed * shot.times)
    return np.concatenate([flat, np.zeros((len(flat), 1))], 1)


def _fault(plan: Staging, wanted: Composition) -> float:
    """How far a plan is from well composed; 0 is good."""
    shot = plan.shot
    boxes = np.stack([_box(plan, role) for role in plan.roles])
    if not np.isfinite(boxes).all():
        return float("inf")
    tall = (boxes[..., 3] - boxes[..., 1]) / shot.height
    low = wanted.margin * np.array([shot.width, shot.height])
    high = np.array([shot.width, shot.height]) - low
    outside = np.maximum(low - boxes[..., :2], 0).sum() + np.maximum(boxes[..., 2:] - high, 0).sum()
    shortest = wanted.still_shortest if shot.camera == "static" else wanted.shortest
    size = np.maximum(shortest - tall, 0).sum() + np.maximum(tall - wanted.tallest, 0).sum()
    overlap = (np.minimum(boxes[0, :, 2], boxes[1, :, 2]) > np.maximum(boxes[0, :, 0], boxes[1, :, 0])).mean()
    moved = np.linalg.norm(plan.T_world_camera[-1, :3, 3] - plan.T_world_camera[0, :3, 3])
    short = wanted.camera_metres_per_second * shot.times[-1] - moved if plan.move.kind == "walk" else 0.0
    return float(
        outside / shot.width
        + 10 * size
        + 20 * max(overlap - (1 - wanted.apart), 0)
        + 10 * max(short, 0)
        + 10 * _nearest(plan)
        + _turned(plan, wanted)
    )


def _turned(plan: Staging, wanted: Composition) -> float:
    """By how much people are seen from other sides than wanted, and the camera pans too far; radians, worst frame."""
    excess = max(0.0, float(np.ptp(np.unwrap(_bearing(plan.T_world_camera[:, :3, 2])))) - wanted.widest_pan)
    for role, (low, high) in zip(plan.roles, (wanted.from_behind, wanted.from_the_side), strict=True):
        sight = _bearing(_places(role, plan.shot) - plan.T_world_camera[:, :3, 3])
        heading = role.path.heading_at(role.path.speed * plan.shot.times)
        angle = np.abs(np.angle(np.exp(1j * (heading - sight))))
        excess += max(0.0, low - float(angle.min())) + max(0.0, float(angle.max()) - high)
    return excess


def _bearing(direction: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, " n"]:
    return np.arctan2(direction[:, 1], direction[:, 0])


def _nearest(plan: Staging) -> float:
    """How much closer than 1.2 m anybody comes to anybody (people and camera), metres."""
    paths = [_places(role, plan.shot)[:, :2] for role in plan.roles] + [plan.T_world_camera[:, :2, 3]]
    gaps = [np.linalg.norm(a - b, axis=1).min() for i, a in enumerate(paths) for b in paths[:i]]
    return max(0.0, 1.2 - float(min(gaps)))


def _box(plan: Staging, role: Role) -> Float[np.ndarray, "frames 4"]:
    """Image box of a walking person of this stature (half a stride wide), pixels; NaN behind the camera."""
    ground = _places(role, plan.shot)
    reach = 0.27 * role.stature
    ends = [
        ground + np.array([dx, dy, z]) for dx in (-reach, reach) for dy in (-reach, reach) for z in (0.0, role.stature)
    ]
    pixels = project(apply(invert(plan.T_world_camera)[:, None], np.stack(ends, 1)), plan.K)
    middle = project(
        apply(invert(plan.T_world_camera)[:, None], np.stack([ground, ground + np.array([0, 0, role.stature])], 1)),
        plan.K,
    )
    return np.concatenate(
        [pixels[..., :1].min(1), middle[..., 1:].min(1), pixels[..., :1].max(1), middle[..., 1:].max(1)], 1
    )
