"""The default method: people put on the ground of one metric world by their feet, then refined together.

Steps: up from bodies, ground from the scene around feet, scale from feet on the ground with a pooled stature prior,
contacts from motion, one joint refinement, floor at z = 0.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.image_terms import CameraRows
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import BodyModel
from diorama.frontends.bodies import segments
from diorama.frontends.body_evidence import Evidence, EvidenceConfig, gather_evidence
from diorama.geometry.ground import rotation_to_z_up
from diorama.geometry.rotations import exp_so3, log_so3
from diorama.geometry.transforms import move_cameras, similarity
from diorama.methods.backdrop import BackdropConfig, backdrop_scene, measured_scene
from diorama.methods.contact_detection import ContactConfig, contact_probability
from diorama.methods.depth_units import depth_in_camera_units
from diorama.methods.ground_plane import Ground, fit_ground, ground_near_feet, upright_direction
from diorama.methods.people_surface import with_people_points
from diorama.methods.placed_person import PlacedPerson, place
from diorama.methods.plausibility import PlausibilityConfig, badly_fitted, badly_placed
from diorama.methods.refinement import RefinementConfig, World, refine
from diorama.methods.scale import ScaleConfig, ScaleResult, pool_scale, scale_per_frame
from diorama.observations import Observations, ObservedBody, ObservedCameras
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene
from diorama.video import Video

logger = logging.getLogger(__name__)
# Frames with a flat foot from which on only those decide how high somebody stands.
_FEWEST_FLAT = 10


@dataclass(frozen=True)
class GroundedConfig:
    """Settings of every step; `rounds` of contact detection and refinement; stretches bound the memory."""

    scale: ScaleConfig = field(default_factory=ScaleConfig)
    contacts: ContactConfig = field(default_factory=ContactConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    backdrop: BackdropConfig = field(default_factory=BackdropConfig)
    plausibility: PlausibilityConfig = field(default_factory=PlausibilityConfig)
    rounds: int = 2
    stretch: int = 300
    overlap: int = 30


@dataclass(frozen=True)
class _Placing:
    """The cameras' world and how it becomes metric: x_metric = scale * rotation @ (x - origin), floor at z = 0."""

    rotation: Float[np.ndarray, "3 3"]
    origin: Float[np.ndarray, 3]
    scale: ScaleResult
    ground: Ground | None
    up_spread_degrees: float
    dropped: tuple[str, ...] = ()


def reconstruct_grounded(
    video: Video | None,
    observations: Observations,
    config: GroundedConfig = GroundedConfig(),
) -> Reconstruction:
    """A metric world from observations with `cameras`, and `tracks`, `bodies`, `depth` where there are any.

    `video` is only used to colour the backdrop of cameras that do not translate.
    """
    if observations.cameras is None:
        raise ValueError("the grounded method needs cameras")
    size = (observations.width, observations.height)
    observations = replace(observations, depth=depth_in_camera_units(observations.depth, observations.cameras, size))
    assert observations.cameras is not None
    bodies = observations.bodies.people if observations.bodies else ()
    models = {body.body: load_body(body.body) for body in bodies}
    placing = _place_world(observations, bodies, models, {}, config)
    people, cameras = _placed_people(observations, bodies, models, placing)
    # Now that feet have a speed and a height: again, with those that rest flat on the ground.
    placing = _place_world(observations, bodies, models, _flat_feet(people, cameras, observations, config), config)
    people, cameras = _placed_people(observations, bodies, models, placing)
    people, world = _refine_all(people, cameras, observations, placing, config)
    return _assemble(video, observations, people, world, placing, config)


def _placed_people(
    observations: Observations, bodies: tuple[ObservedBody, ...], models: dict[str, BodyModel], placing: _Placing
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"]]:
    """Everybody believed, at his stature in the metric world, and its cameras."""
    assert observations.cameras is not None
    cameras, statures = _metric_cameras(observations.cameras, placing), placing.scale.statures
    joint_sets = {t.id: t.joint_set for t in observations.tracks.people} if observations.tracks else {}
    seen = {b.id: as_detected(models[b.body], joint_sets.get(b.id, "")) for b in bodies}
    return [
        place(b, seen[b.id], statures[b.id], cameras, len(CONTACT_SITE_NAMES)) for b in bodies if b.id in statures
    ], cameras


def _flat_feet(
    people: list[PlacedPerson], T_world_camera: np.ndarray, observations: Observations, config: GroundedConfig
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
    flat: Mapping[int, Bool[np.ndarray, "n 2"]], config: GroundedConfig,
) -> _Placing:  # fmt: skip
    """Up, ground and scale of the cameras' world; only people with a stature in the answer are believed."""
    cameras = observations.cameras
    assert cameras is not None
    centres = cameras.T_world_camera[:, :3, 3]
    fitted = {b.id: float(models[b.body].stature(torch.from_numpy(np.asarray(b.betas, np.float32)))) for b in bodies}
    doubts = {b.id: badly_fitted(b, fitted[b.id], config.plausibility) for b in bodies}
    dropped = tuple(reason for reason in doubts.values() if reason)
    bodies = tuple(b for b in bodies if not doubts[b.id])
    if not bodies:
        return _empty_world(cameras, dropped)
    posed = {b.id: _camera_points(b, models[b.body]) for b in bodies}
    up, spread = _body_up(bodies, posed, cameras)
    ground = _scene_ground(observations, bodies, posed, up, centres) if cameras.kind == "translating" else None
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
    origin = _foot_of(centres[0], normal, offset)
    return _Placing(rotation_to_z_up(normal), origin, scale, ground, spread, dropped)


def _empty_world(cameras: ObservedCameras, dropped: tuple[str, ...]) -> _Placing:
    """Nobody to measure by: the cameras' own up and unit, the floor one unit below them."""
    centres = cameras.T_world_camera[:, :3, 3]
    up = _camera_up(cameras)
    scale = ScaleResult(1.0, {}, float("nan"), "none: nobody is in the video; cameras 1 unit above the floor")
    origin = _foot_of(centres[0], up, float(centres.mean(0) @ up) - 1.0)
    return _Placing(rotation_to_z_up(up), origin, scale, None, float("nan"), dropped)


def _foot_of(point: np.ndarray, normal: np.ndarray, offset: float) -> np.ndarray:
    """The point of the plane below `point`."""
    return point - (point @ normal - offset) * normal


def _camera_up(cameras: ObservedCameras) -> np.ndarray:
    """Up if nobody is there: the mean of the cameras' own up, since people hold cameras upright."""
    up = -cameras.T_world_camera[:, :3, 1].mean(0)
    return up / np.linalg.norm(up)


def _camera_points(body: ObservedBody, model: BodyModel) -> tuple[np.ndarray, float]:
    """Camera-frame joints (n, 24, 3) and the height of the ankles above the soles in the rest pose."""
    arrays = (torch.from_numpy(np.asarray(a, np.float32)) for a in (body.global_orient, body.body_pose, body.transl))
    shaped = model.shaped(torch.from_numpy(np.asarray(body.betas, np.float32)))
    ankle = shaped.joints_rest[[JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]], 1].mean()
    sole = shaped.contact_sites.select(FOOT_SITE_NAMES).rest[:, 1].mean()
    return shaped.posed(*arrays).joints.double().numpy(), float(ankle - sole)


def _body_up(
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


def _scene_ground(
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


def _metric_cameras(cameras: ObservedCameras, placing: _Placing) -> Float[np.ndarray, "frames 4 4"]:
    """T_world_camera in the metric world."""
    scale, R = placing.scale.metres_per_unit, placing.rotation
    if cameras.metric:
        scale = 1.0
    return move_cameras(cameras.T_world_camera, scale, R, -scale * R @ placing.origin)


def _refine_all(
    people: list[PlacedPerson], T_world_camera: np.ndarray, observations: Observations, placing: _Placing,
    config: GroundedConfig,
) -> tuple[list[PlacedPerson], World]:  # fmt: skip
    """Rounds of contact detection and refinement over stretches of the video."""
    world = World(np.zeros(3))
    if not people or observations.tracks is None:
        return people, world
    evidence = {p.id: _world_evidence(p, T_world_camera, observations, config) for p in people}
    count = len(observations.times)
    for _ in range(config.rounds):
        people = [_with_contacts(p, evidence[p.id], observations.times, world, config) for p in people]
        pieces = segments(count, config.stretch, config.overlap)
        for number, (start, stop) in enumerate(pieces):
            people, world = _refine_stretch(
                people, evidence, world, (start, stop), config, scene=placing.ground is not None, first=number == 0
            )
    return [_with_contacts(p, evidence[p.id], observations.times, world, config) for p in people], world


def _world_evidence(
    person: PlacedPerson, T_world_camera: np.ndarray, observations: Observations, config: GroundedConfig
) -> Evidence:
    assert observations.tracks is not None and observations.cameras is not None
    track = next(t for t in observations.tracks.people if t.id == person.id)
    cameras = replace(observations.cameras, T_world_camera=T_world_camera)
    seen = gather_evidence(
        track, (), cameras, observations.times, observations.width, observations.height, config.evidence,
        silhouette=False,
    )  # fmt: skip
    centre = torch.from_numpy(T_world_camera[track.frames, :3, 3].copy())
    return replace(seen, cameras=CameraRows(seen.cameras.R_camera_world, centre, seen.cameras.focal))


def _with_contacts(
    person: PlacedPerson, seen: Evidence, times: np.ndarray, world: World, config: GroundedConfig
) -> PlacedPerson:
    """Contact probabilities of all sites from their speed and height above the present floor."""
    sites = person.sites_world()
    centres = seen.cameras.centre.numpy().copy()
    for points in (sites, centres):
        points[..., 2] -= points[..., :2] @ world.floor[:2] + world.floor[2]
    return replace(person, contacts=contact_probability(sites, centres, times[person.frames], config.contacts))


def _refine_stretch(
    people: list[PlacedPerson], evidence: dict[int, Evidence], world: World, stretch: tuple[int, int],
    config: GroundedConfig, *, scene: bool, first: bool,
) -> tuple[list[PlacedPerson], World]:  # fmt: skip
    """Refine the rows inside one stretch and put them back, cross-fading into the rows of the stretch before."""
    inside = {p.id: np.flatnonzero((p.frames >= stretch[0]) & (p.frames < stretch[1])) for p in people}
    present = [p for p in people if len(inside[p.id])]
    if not present:
        return people, world
    cut = [_rows(p, inside[p.id]) for p in present]
    seen = [evidence[p.id].rows(slice(int(inside[p.id][0]), int(inside[p.id][-1]) + 1)) for p in present]
    refined, new_world = refine(cut, seen, world, config.refinement, scene=scene, shared_is_free=first)
    fade = 0 if first else config.overlap
    merged = {
        p.id: _put_back(p, part, inside[p.id], stretch[0], fade) for p, part in zip(present, refined, strict=True)
    }
    return [merged.get(p.id, p) for p in people], new_world


def _rows(person: PlacedPerson, rows: np.ndarray) -> PlacedPerson:
    return replace(
        person, frames=person.frames[rows], transl=person.transl[rows], rotations=person.rotations[rows],
        confidence=person.confidence[rows], contacts=person.contacts[rows],
    )  # fmt: skip


def _put_back(person: PlacedPerson, part: PlacedPerson, rows: np.ndarray, start: int, fade: int) -> PlacedPerson:
    u = np.ones(len(rows)) if not fade else np.clip((person.frames[rows] - start + 1) / (fade + 1), 0, 1)
    weight = torch.from_numpy(u)
    transl, rotations = person.transl.clone(), person.rotations.clone()
    transl[rows] = (1 - weight[:, None]) * transl[rows] + weight[:, None] * part.transl
    step = log_so3(rotations[rows].mT @ part.rotations)
    rotations[rows] = rotations[rows] @ exp_so3(weight[:, None, None] * step)
    return replace(person, transl=transl, rotations=rotations)


def _assemble(
    video: Video | None, observations: Observations, people: list[PlacedPerson], world: World, placing: _Placing,
    config: GroundedConfig,
) -> Reconstruction:  # fmt: skip
    """Level the floor to z = 0 and write everything down."""
    seen = observations.cameras
    assert seen is not None
    scale = placing.scale.metres_per_unit
    a, b, d = world.floor
    level = rotation_to_z_up(np.array([-a, -b, 1.0]))
    lift = np.array([0, 0, -d / np.sqrt(1 + a * a + b * b)])
    rotation = level @ placing.rotation
    shift = -scale * rotation @ placing.origin + lift
    cameras = Cameras(
        K=seen.K, T_world_camera=move_cameras(seen.T_world_camera, scale, rotation, shift), distortion=seen.distortion,
        registered=seen.registered, width=observations.width, height=observations.height,
        focal_source=seen.focal_source, kind=seen.kind,
    )  # fmt: skip
    depth = observations.depth
    if depth is not None and seen.kind == "translating":
        moved = similarity(scale, rotation, shift)
        scene = measured_scene(depth.points, depth.colors, depth.points_confidence, moved)
        scene = replace(
            scene, depth=(scale * depth.depth).astype(np.float32), depth_K=depth.K, depth_frames=depth.frames
        )
    else:
        scene = _scene_without_depth(video, observations, cameras, scale, rotation, shift, config)
    believed = tuple(_person(p.moved(level, lift)) for p in people)
    return Reconstruction(
        times=observations.times, frame_index=observations.frame_index, duplicate=observations.duplicate,
        cameras=cameras, people=believed, scene=with_people_points(scene, believed, cameras),
        up=_up_source(placing, bool(people)), quality=_figures(placing, world, scale, people),
        provenance={"method": "grounded", "scale_source": placing.scale.source},
    )  # fmt: skip


def _scene_without_depth(
    video: Video | None, observations: Observations, cameras: Cameras, scale: float, rotation: np.ndarray,
    shift: np.ndarray, config: GroundedConfig,
) -> Scene:  # fmt: skip
    seen = observations.cameras
    assert seen is not None
    if seen.kind == "translating":
        count = len(seen.points_world)
        moved = similarity(scale, rotation, shift)
        return measured_scene(seen.points_world, seen.colors, np.ones(count, np.float32), moved)
    return backdrop_scene(video, cameras, observations.tracks, config.backdrop)


def _up_source(placing: _Placing, people: bool) -> str:
    if not people:
        return "assumed: the mean of the cameras' own up"
    return "estimated: ground around feet" if placing.ground else "estimated: upright bodies and feet on the floor"


def _figures(placing: _Placing, world: World, scale: float, people: list[PlacedPerson]) -> dict[str, object]:
    tilt = float(np.degrees(np.arctan(np.hypot(world.floor[0], world.floor[1]))))
    return {
        "scale_source": placing.scale.source,
        "scale_spread_percent": placing.scale.spread_percent,
        "metres_per_unit": scale,
        "statures_m": {str(p.id): float(p.model.stature(p.betas[0].float())) for p in people},
        "up_spread_deg": placing.up_spread_degrees,
        "floor_correction_deg": tilt,
        "ground_points": placing.ground.points if placing.ground else 0,
        "dropped": list(placing.dropped),
    }


def _person(person: PlacedPerson) -> Person:
    orient, pose = person.vectors()
    return Person(
        id=person.id, frames=person.frames, body=person.model.name, gender="neutral", betas=person.betas[0].numpy(),
        global_orient=orient, body_pose=pose, transl=person.transl.numpy(), joints_world=person.joints_world(),
        contacts=person.contacts, contact_sites=CONTACT_SITE_NAMES, observed=np.ones(len(person.frames), bool),
        confidence=person.confidence,
    )  # fmt: skip
