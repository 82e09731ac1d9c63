"""Cameras as a mapper gives them: a world of their own whose unit is unknown, with drift."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, invert, rigid
from diorama.observations import ObservedCameras, Source
from diorama.reconstruction import Cameras
from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.noise import stream


@dataclass(frozen=True)
class CameraConfig:
    """Errors of observed cameras; the first camera is the origin of their world. The defaults make none.

    A static camera does not drift, and a rotating one drifts in rotation only: their front ends know the kind.

    Attributes:
        focal: standard deviation of the logarithm of the focal length, once per sequence.
        focal_of: what that error is about: the true focal length, or the picture's diagonal, which JOSH, VIMO and HMR 2.0
            assume where nothing is known. Poses and points are those of the true one.
        focal_factor: a fixed factor on it.
        unit: units of the cameras' world per metre: 1 makes them metric; None: drawn evenly (in the logarithm) from
            `units`.
        units: lowest and highest unit.
        rotation_drift: random walk of the rotation, degrees per axis after one second (grows with the root of time).
        position_drift: random walk of the place, metres per axis after one metre (grows with the root of the path).
        scale_drift: random walk of the logarithm of the unit, after one second.
        rotation_jitter: degrees per axis, new in every frame.
        position_jitter: metres per axis, new in every frame.
        points: number of sparse points of the scene (for cameras that translate).
        point_noise: standard deviation of the logarithm of their depth from the frame that sees them.
    """

    focal: float = 0.0
    focal_of: Literal["true", "diagonal"] = "true"
    focal_factor: float = 1.0
    unit: float | None = 1.0
    units: tuple[float, float] = (0.2, 5.0)
    rotation_drift: float = 0.0
    position_drift: float = 0.0
    scale_drift: float = 0.0
    rotation_jitter: float = 0.0
    position_jitter: float = 0.0
    points: int = 2000
    point_noise: float = 0.0


def world_unit(config: CameraConfig, seed: int) -> float:
    """Units of the observed cameras' world per metre."""
    if config.unit is not None:
        return config.unit
    return float(np.exp(stream(seed, "unit").uniform(*np.log(config.units))))


def observed_cameras(
    truth: Cameras, times: Float[np.ndarray, " frames"], keyframes: Frames, config: CameraConfig, seed: int
) -> ObservedCameras:
    """All cameras of a shot; `keyframes` are exact pictures of some frames, on which the sparse points lie."""
    poses = _drifted(truth, times, config, seed)
    unit = world_unit(config, seed)
    poses[:, :3, 3] *= unit
    off = config.focal != 0 or config.focal_factor != 1
    K, source = truth.K.copy(), "recovered" if off else truth.focal_source
    if config.focal_of == "diagonal":
        K[:, [0, 1], [0, 1]] = np.hypot(truth.width, truth.height)
        source = "assumed"
    K[:, [0, 1], [0, 1]] *= config.focal_factor * np.exp(config.focal * stream(seed, "camera focal").normal())
    points = _sparse_points(truth, poses, unit, keyframes, config, stream(seed, "sparse points"))
    return ObservedCameras(
        Source("simulated", "cameras"), truth.kind, source, K, truth.distortion, poses, truth.registered,
        metric=unit == 1.0, points_world=points, colors=np.full((len(points), 3), 128, np.uint8),
    )  # fmt: skip


def _drifted(
    truth: Cameras, times: Float[np.ndarray, " frames"], config: CameraConfig, seed: int
) -> Float[np.ndarray, "frames 4 4"]:
    """Poses relative to the first one, in metres. Each step between frames gets its own error, and the path is their
    product."""
    Ts = invert(truth.T_world_camera[0]) @ truth.T_world_camera
    rng = stream(seed, "camera drift")
    turning, shaking, walking, trembling = (rng.normal(size=(len(times), 3)) for _ in range(4))
    stretching = rng.normal(size=len(times))
    turns, moves = truth.kind != "static", truth.kind == "translating"
    if not turns:
        return Ts
    root = np.sqrt(np.diff(times, prepend=times[:1]))[:, None]
    steps = invert(Ts[:-1]) @ Ts[1:]
    length = np.linalg.norm(steps[:, :3, 3], axis=1, keepdims=True)
    drift = matrix_of(np.radians(config.rotation_drift) * root * turning)
    stretch = np.exp(np.cumsum(config.scale_drift * root[:, 0] * stretching))
    out = [np.eye(4)]
    for n, step in enumerate(steps, 1):
        shift = step[:3, 3] * stretch[n] + config.position_drift * np.sqrt(length[n - 1]) * walking[n]
        wrong = rigid(step[:3, :3] @ drift[n], shift if moves else step[:3, 3])
        out.append(out[-1] @ wrong)
    jitter = matrix_of(np.radians(config.rotation_jitter) * shaking)
    tremble = config.position_jitter * trembling if moves else np.zeros_like(trembling)
    path = np.stack(out)
    return rigid(path[:, :3, :3] @ jitter, path[:, :3, 3] + tremble)


def _sparse_points(
    truth: Cameras, poses: Float[np.ndarray, "frames 4 4"], unit: float, keyframes: Frames, config: CameraConfig,
    rng: np.random.Generator,
) -> Float[np.ndarray, "points 3"]:  # fmt: skip
    """Scenery points of the keyframes, carried by the observed poses."""
    if truth.kind != "translating" or not len(keyframes.rows):
        return np.zeros((0, 3))
    pixels = pixel_grid(*keyframes.size) * np.array([truth.width, truth.height]) / keyframes.size
    found = [np.zeros((0, 3))]
    for n, row in enumerate(keyframes.rows):
        y, x = np.nonzero((keyframes.depth[n] > 0) & (keyframes.ids[n] == 0))
        chosen = rng.choice(len(y), min(len(y), config.points // len(keyframes.rows)), replace=False)
        y, x = y[chosen], x[chosen]
        depth = unit * keyframes.depth[n, y, x] * np.exp(config.point_noise * rng.normal(size=len(y)))
        found.append(apply(poses[row], unproject(pixels[y, x], depth, truth.K[row], truth.distortion[row])))
    return np.concatenate(found)
