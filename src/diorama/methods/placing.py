"""The first metric world of the embedded front ends: up, ground and scale from people's feet, then everybody's place.

The embedded bodies do not know how tall people are: metres come from a prior on stature, or from heights that were told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import BodyModel
from diorama.geometry.ground import rotation_to_z_up
from diorama.geometry.transforms import move_cameras
from diorama.methods.contact_detection import ContactConfig, contact_probability
from diorama.methods.ground_plane import Ground, fit_ground, ground_near_feet, upright_direction
from diorama.methods.placed_person import PlacedPerson, place
from diorama.methods.plausibility import PlausibilityConfig, badly_fitted, badly_placed
from diorama.methods.scale import ScaleConfig, ScaleResult, pool_scale, scale_per_frame
from diorama.observations import Observations, ObservedBody, ObservedCameras

# Frames with a flat foot from which on only those decide how high somebody stands.
_FEWEST_FLAT = 10


@dataclass(frozen=True)
class PlacingConfig:
    """Settings of scale, contacts (of the feet that rest flat) and of who is believed."""

    scale: ScaleConfig = field(default_factory=ScaleConfig)
    contacts: ContactConfig = field(default_factory=ContactConfig)
    plausibility: PlausibilityConfig = field(default_factory=PlausibilityConfig)


@dataclass(frozen=True)
class Placing:
    """The cameras' world and how it becomes metric: x_metric = scale * rotation @ (x - origin), floor at z = 0."""

    rotation: Float[np.ndarray, "3 3"]
    origin: Float[np.ndarray, 3]
    scale: ScaleResult
    ground: Ground | None
    up_spread_degrees: float
    dropped: tuple[str, ...] = ()


def place_by_feet(
    observations: Observations, config: PlacingConfig
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"], Placing]:
    """People in the metric world, its cameras, and how it was made; depth must be in the cameras' unit."""
    bodies = observations.bodies.people if observations.bodies else ()
    models = {body.body: load_body(body.body) for body in bodies}
    placing = _place_world(observations, bodies, models, {}, config)
    people, cameras = _placed_people(observations, bodies, models, placing)
    # Now that feet have a speed and a height: again, with those that rest flat on the ground.
    placing = _place_world(observations, bodies, models, _flat_feet(people, cameras, observations, config), config)
    return *_placed_people(observations, bodies, models, placing), placing


def _placed_people(
    observations: Observations, bodies: tuple[ObservedBody, ...], models: dict[str, BodyModel], placing: Placing
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"]]:
    """Everybody believed, at his stature in the metric world, and its cameras."""
    assert observations.cameras is not None
    cameras, statures = metric_cameras(observations.cameras, placing), placing.scale.statures
    joint_sets = {t.id: t.joint_set for t in observations.tracks.people} if observations.tracks else {}
    seen = {b.id: as_detected(models[b.body], joint_sets.get(b.id, "")) for b in bodies}
    return [
        place(b, seen[b.id], statures[b.id], cameras, len(CONTACT_SITE_NAMES)) for b in bodies if b.id in statures
    ], cameras


def _flat_feet(
    people: list[PlacedPerson], T_world_camera: np.ndarray, observations: Observations, config: PlacingConfig
) -> dict[int, Bool[np.ndarray, "n 2"]]:
    """Rows in which the left and the right foot of each person rest on heel and toe."""
    out = {}
    for person in people:
        centres = T_world_camera[person.frames, :3, 3]
        feet = contact_probability(person.sites_world(), centres, observations.times[person.frames], config.contacts)
        heels, toes = (
            feet[:, [CONTACT_SITE_NAMES.index(f"{s}_{end}") for s in ("left", "right")]] for end in ("heel", "toe")
        )
        out[person.id] = np.minimum(heels, toes) > 0.5
    return out


def _place_world(
    observations: Observations, bodies: tuple[ObservedBody, ...], models: dict[str, BodyModel],
    flat: Mapping[int, Bool[np.ndarray, "n 2"]], config: PlacingConfig,
) -> Placing:  # fmt: skip
    """Up, ground and scale of the cameras' world; only people with a stature in the answer are believed."""
    cameras = observations.cameras
    assert cameras is not None
    centres = cameras.T_world_camera[:, :3, 3]
    fitted = {b.id: float(models[b.body].stature(torch.from_numpy(np.asarray(b.betas, np.float32)))) for b in bodies}
    doubts = {b.id: badly_fitted(b, fitted[b.id], config.plausibility) for b in bodies}
    dropped = tuple(reason for reason in doubts.values() if reason)
    bodies = tuple(b for b in bodies if not doubts[b.id])
    if not bodies:
        return empty_world(cameras, dropped)
    posed = {b.id: camera_points(b, models[b.body]) for b in bodies}
    up, spread = body_up(bodies, posed, cameras)
    ground = scene_ground(observations, bodies, posed, up, centres) if cameras.kind == "translating" else None
    normal = ground.normal if ground else up
    offset = ground.offset if ground else float(np.median(centres @ up)) - 1.0
    R_world_camera = cameras.T_world_camera[:, :3, :3]
    soles = {b.id: _sole_under_ankle(*posed[b.id], R_world_camera[b.frames], normal, flat.get(b.id)) for b in bodies}
    per_frame = {
        b.id: scale_per_frame(soles[b.id], R_world_camera[b.frames], centres[b.frames], normal, offset) for b in bodies
    }
    fitted = {b.id: fitted[b.id] for b in bodies}
    scale = pool_scale(per_frame, fitted, scene=ground is not None, config=config.scale)
    misplaced = badly_placed(per_frame, fitted, scale.metres_per_unit, config.plausibility)
    if misplaced and len(misplaced) < len(fitted):
        fitted = {i: s for i, s in fitted.items() if i not in misplaced}
        per_frame = {i: per_frame[i] for i in fitted}
        scale = pool_scale(per_frame, fitted, scene=ground is not None, config=config.scale)
        dropped += tuple(misplaced.values())
    origin = foot_of(centres[0], normal, offset)
    return Placing(rotation_to_z_up(normal), origin, scale, ground, spread, dropped)


def empty_world(cameras: ObservedCameras, dropped: tuple[str, ...]) -> Placing:
    """Nobody to measure by: the cameras' own up and unit, the floor one unit below them."""
    centres = cameras.T_world_camera[:, :3, 3]
    up = camera_up(cameras)
    scale = ScaleResult(1.0, {}, float("nan"), "none: nobody is in the video; cameras 1 unit above the floor")
    origin = foot_of(centres[0], up, float(centres.mean(0) @ up) - 1.0)
    return Placing(rotation_to_z_up(up), origin, scale, None, float("nan"), dropped)


def foot_of(point: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The point of the plane below `point`."""
    return point - (point @ normal - offset) * normal


def camera_up(cameras: ObservedCameras) -> np.ndarray:
    """Up if nobody is there: the mean of the cameras' own up, since people hold cameras upright."""
    up = -cameras.T_world_camera[:, :3, 1].mean(0)
    return up / np.linalg.norm(up)


def camera_points(body: ObservedBody, model: BodyModel) -> tuple[np.ndarray, float]:
    """Camera-frame joints (n, 24, 3) and the height of the ankles above the soles in the rest pose."""
    arrays = (torch.from_numpy(np.asarray(a, np.float32)) for a in (body.global_orient, body.body_pose, body.transl))
    shaped = model.shaped(torch.from_numpy(np.asarray(body.betas, np.float32)))
    ankle = shaped.joints_rest[[JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]], 1].mean()
    sole = shaped.contact_sites.select(FOOT_SITE_NAMES).rest[:, 1].mean()
    return shaped.posed(*arrays).joints.double().numpy(), float(ankle - sole)


def body_up(
    bodies: tuple[ObservedBody, ...], posed: dict[int, tuple[np.ndarray, float]], cameras: ObservedCameras
) -> tuple[np.ndarray, float]:
    """Mean of the directions from between the ankles to the neck."""
    ups, weights = [], []
    for body in bodies:
        joints = posed[body.id][0]
        ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(1)
        axis = joints[:, JOINT_INDEX["neck"]] - ankles
        axis = axis / np.linalg.norm(axis, axis=1, keepdims=True)
        ups.append((cameras.T_world_camera[body.frames, :3, :3] @ axis[..., None])[..., 0])
        weights.append(np.maximum(body.confidence, 1e-3))
    return upright_direction(np.concatenate(ups), np.concatenate(weights))


def _sole_under_ankle(
    joints: np.ndarray, ankle_height: float, R: Float[np.ndarray, "n 3 3"], normal: np.ndarray,
    flat: Bool[np.ndarray, "n 2"] | None,
) -> Float[np.ndarray, "n 3"]:  # fmt: skip
    """Where the sole of a flat foot is, under its ankle, camera frame; NaN where no foot is flat.

    Where too little is known about flat feet: under the lower ankle, as if it were flat (a trailing leg seen from behind
    is often put too low). The sites of the sole itself are no good here: seen from behind, the pitch of a foot is a
    guess, and the lowest of four guesses lies some centimetres too low.
    """
    ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]]
    height = np.einsum("fij,fsj,i->fs", R, ankles, normal)
    if flat is not None and flat.any(1).sum() >= _FEWEST_FLAT:
        height = np.where(flat, height, np.inf)
    lower = ankles[np.arange(len(ankles)), height.argmin(1)]
    lower[~np.isfinite(height).any(1)] = np.nan
    return lower - ankle_height * np.einsum("fij,i->fj", R, normal)


def scene_ground(
    observations: Observations, bodies: tuple[ObservedBody, ...], posed: dict[int, tuple[np.ndarray, float]],
    up: np.ndarray, centres: np.ndarray,
) -> Ground | None:  # fmt: skip
    """The plane around feet in the depth maps; without it, the main level plane of the sparse points."""
    depth, cameras = observations.depth, observations.cameras
    assert cameras is not None
    if depth is None or not len(depth.frames):
        return fit_ground(cameras.points_world, up, centres)
    pixels: dict[int, list[np.ndarray]] = {}
    heights: dict[int, list[float]] = {}
    for body in bodies:
        joints, _ = posed[body.id]
        feet = joints[:, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]]
        for row, frame in enumerate(body.frames):
            K = cameras.K[frame]
            foot, neck = feet[row].mean(0), joints[row, JOINT_INDEX["neck"]]
            pixel = K[:2, :2] @ (foot[:2] / max(foot[2], 0.1)) + K[:2, 2]
            top = K[:2, :2] @ (neck[:2] / max(neck[2], 0.1)) + K[:2, 2]
            pixels.setdefault(int(frame), []).append(pixel)
            heights.setdefault(int(frame), []).append(1.2 * float(np.linalg.norm(pixel - top)))
    near = ground_near_feet(
        depth, cameras, {f: np.array(p) for f, p in pixels.items()}, {f: np.array(h) for f, h in heights.items()},
        observations.width,
    )  # fmt: skip
    return fit_ground(near, up, centres) or fit_ground(cameras.points_world, up, centres)


def metric_cameras(cameras: ObservedCameras, placing: Placing) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_camera in the metric world."""
    scale, R = placing.scale.metres_per_unit, placing.rotation
    if cameras.metric:
        scale = 1.0
    return move_cameras(cameras.T_world_camera, scale, R, -scale * R @ placing.origin)
