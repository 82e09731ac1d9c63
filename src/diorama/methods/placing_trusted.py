"""The first metric world of observations whose bodies know their size: bodies where they were seen, scale from contacts.

For mesh recovery that was learnt on people of measured stature, for simulated bodies, and for other tools' results.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.model import BodyModel
from diorama.geometry.ground import rotation_to_z_up
from diorama.methods.josh.checked import finite_rows
from diorama.methods.josh.point_maps import PointMaps
from diorama.methods.josh.scene_contact import ContactConfig, find_scene_contacts
from diorama.methods.placed_person import PlacedPerson, place
from diorama.methods.placing import (
    Placing,
    body_up,
    camera_points,
    empty_world,
    foot_of,
    metric_cameras,
    scene_ground,
)  # fmt: skip
from diorama.methods.scale import ScaleResult, scale_per_frame
from diorama.observations import Observations, ObservedBody, ObservedCameras

# A scene ground more tilted than this against people's own up is a slope, not a sign of gravity (degrees).
_LEVEL = 3.0
# The scale is a median over many contacts, which may each be worse than those that hold people.
_LEVERAGE = 0.4
# Shares of a body's depth within which scenery is looked at for the scale, one search after the other.
_NARROWER = (np.inf, 0.4, 0.25)


def place_as_seen(
    observations: Observations, maps: PointMaps | None, config: ContactConfig, claimed: float | None = None
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"], Placing]:
    """People in the metric world, its cameras, and how it was made.

    Metres per unit of cameras that are not metric: median over all contacts of (depth of the site by the body) / (depth
    of the scene there); without a scene, feet on one plane; or what is `claimed`, if contacts are not to be used.
    """
    cameras = observations.cameras
    assert cameras is not None
    bodies = tuple(b for b in map(finite_rows, refocused(observations)) if len(b.frames))
    if not bodies:
        return [], *_nobody(cameras)
    models = {(b.body, b.gender): load_body(b.body, b.gender) for b in bodies}
    posed = {b.id: camera_points(b, models[b.body, b.gender]) for b in bodies}
    statures = {b.id: _stature(b, models[b.body, b.gender]) for b in bodies}
    up, spread = body_up(bodies, posed, cameras)
    centres = cameras.T_world_camera[:, :3, 3]
    ground = scene_ground(observations, bodies, posed, up, centres) if cameras.kind == "translating" else None
    normal = up
    if ground is not None and np.degrees(np.arccos(np.clip(ground.normal @ up, -1, 1))) < _LEVEL:
        normal = ground.normal
    seen = {t.id: t.joint_set for t in observations.tracks.people} if observations.tracks else {}
    known = {b.id: as_detected(models[b.body, b.gender], seen.get(b.id, "")) for b in bodies}
    before = np.broadcast_to(np.eye(4), cameras.T_world_camera.shape).copy()
    before[:, :3, :3] = cameras.T_world_camera[:, :3, :3]
    around = [place(b, known[b.id], statures[b.id], before, len(CONTACT_SITE_NAMES)) for b in bodies]
    around = [with_first_contacts(p, observations, normal) for p in around]
    scale, source = (claimed, "what the depth maps claim") if claimed else _scale(around, cameras, maps, config)
    scale, source = (1.0, "the cameras are metric") if cameras.metric else (scale, source)
    if not np.isfinite(scale):
        flat = ground.offset if ground is not None else float(np.median(centres @ up)) - 1.0
        ratios = [_by_plane(p, cameras, normal, flat) for p in around]
        usable = np.concatenate(ratios)
        usable = usable[np.isfinite(usable) & (usable > 0)]
        scale, source = (float(np.median(usable)), "feet on one plane") if len(usable) else (1.0, "none: nobody stands")
    figures = ScaleResult(scale, statures, _spread_percent(around, cameras, maps, config, scale), source)
    origin = foot_of(centres[0], normal, float(centres[0] @ normal))
    placing = Placing(rotation_to_z_up(normal), origin, figures, ground, spread)
    T = metric_cameras(cameras, placing)
    people = [place(b, known[b.id], statures[b.id], T, len(CONTACT_SITE_NAMES)) for b in bodies]
    people = [replace(p, contacts=a.contacts) for p, a in zip(people, around, strict=True)]
    floor = _floor(people)
    placing = replace(placing, origin=placing.origin + floor / scale * normal)
    T = metric_cameras(cameras, placing)
    down = torch.tensor([0.0, 0.0, floor], dtype=torch.float64)
    return [replace(p, transl=p.transl - down) for p in people], T, placing


def _nobody(cameras: ObservedCameras) -> tuple[Float[np.ndarray, "frames 4 4"], Placing]:
    placing = empty_world(cameras, ())
    return metric_cameras(cameras, placing), placing


def _stature(body: ObservedBody, model: BodyModel) -> float:
    return float(model.stature(torch.from_numpy(np.asarray(body.betas, np.float32))))


def refocused(observations: Observations) -> tuple[ObservedBody, ...]:
    """Bodies at the cameras' focal length: the pelvis keeps its pixel and z is multiplied by f / assumed f (JOSH)."""
    bodies, cameras = observations.bodies.people if observations.bodies else (), observations.cameras
    assert cameras is not None
    out = []
    for body in bodies:
        rest = load_body(body.body, body.gender).shaped(torch.from_numpy(np.asarray(body.betas, np.float32)))
        pelvis = rest.joints_rest[0].double().numpy()
        factor = cameras.K[body.frames, 0, 0] / np.where(body.focal > 0, body.focal, np.nan)
        transl = np.array(body.transl, np.float64)
        transl[:, 2] = (transl[:, 2] + pelvis[2]) * factor - pelvis[2]
        out.append(replace(body, transl=transl))
    return tuple(out)


def with_first_contacts(person: PlacedPerson, observations: Observations, up: Float[np.ndarray, 3]) -> PlacedPerson:
    """With the contacts that were observed; where nobody looked, the lower foot of every frame is taken to stand."""
    labels = label_contacts(person, observations)
    if labels is None:
        feet = person.sites_world()[:, : len(FOOT_SITE_NAMES)] @ up
        left = feet[:, [0, 2]].mean(1) < feet[:, [1, 3]].mean(1)
        labels = np.zeros((len(person.frames), len(CONTACT_SITE_NAMES)))
        labels[:, : len(FOOT_SITE_NAMES)] = 0.6 * np.stack([left, ~left, left, ~left], 1)
    return replace(person, contacts=labels)


def label_contacts(person: PlacedPerson, observations: Observations) -> Float[np.ndarray, "n sites"] | None:
    """Observed probabilities of all sites at a person's rows, 0 where there is none; None if nobody looked for them."""
    labels = observations.contacts
    if labels is None or person.id not in labels.ids:
        return None
    contacts = np.zeros((len(person.frames), len(CONTACT_SITE_NAMES)))
    at = labels.ids.index(person.id)
    _, mine, theirs = np.intersect1d(person.frames, labels.frames[at], return_indices=True)
    for column, name in enumerate(CONTACT_SITE_NAMES):
        if name in labels.sites:
            found = np.nan_to_num(labels.probability[at][theirs, labels.sites.index(name)])
            contacts[mine, column] = np.clip(found, 0, 1)
    return contacts


def _ratios(
    people: list[PlacedPerson], cameras: ObservedCameras, maps: PointMaps | None, config: ContactConfig,
    scale: float, share: float,
) -> list[np.ndarray]:  # fmt: skip
    """Per person, (depth of a site) / (depth of the scene there, in the maps' unit) over all contacts with scenery within
    a share of the site's depth, if the maps' unit is `scale` metres."""
    if maps is None or not len(maps.rows):
        return [np.zeros(0) for _ in people]
    loose = replace(config, kind="surface", depth_share=share, leverage=_LEVERAGE)
    correction = np.zeros((len(maps.rows), 1 + maps.nodes))
    correction[:, 0] = np.log(scale)
    out = []
    for person in people:
        rows = np.flatnonzero(np.isin(person.frames, maps.rows))
        keys = np.searchsorted(maps.rows, person.frames[rows])
        # The world of these people has its origin in every camera.
        sites = person.sites_world()[rows] @ cameras.T_world_camera[person.frames[rows], :3, :3]
        joints = person.joints_world()[rows] @ cameras.T_world_camera[person.frames[rows], :3, :3]
        stature = float(person.model.stature(person.betas[0].float()))
        height = stature * maps.focal[keys] / np.maximum(joints[:, 0, 2], 0.3)
        found = find_scene_contacts(sites, person.contacts[rows], keys, height, maps, correction, 0.0, loose)
        out.append(sites[found.row.numpy(), found.site.numpy(), 2] / found.depth.numpy())
    return out


def _scale(
    people: list[PlacedPerson], cameras: ObservedCameras, maps: PointMaps | None, config: ContactConfig
) -> tuple[float, str]:
    """The median ratio, first with all scenery, then without what lies far before or behind the bodies that it gives."""
    scale = float("nan")
    for share in _NARROWER:
        every = _ratios(people, cameras, maps, config, scale if np.isfinite(scale) else 1.0, share)
        logs = np.log(np.concatenate([np.zeros(0), *every]))
        if len(logs) < 3:
            break
        scale = float(np.exp(np.median(logs)))
    return scale, "contacts of bodies of observed size with the scene"


def _spread_percent(
    people: list[PlacedPerson], cameras: ObservedCameras, maps: PointMaps | None, config: ContactConfig, scale: float
) -> float:
    """Median over people of the robust deviation of their scales, percent."""
    logs = [np.log(r) for r in _ratios(people, cameras, maps, config, scale, _NARROWER[-1]) if len(r) > 2]
    return float(np.median([148.26 * np.median(np.abs(x - np.median(x))) for x in logs])) if logs else float("nan")


def _by_plane(
    person: PlacedPerson, cameras: ObservedCameras, normal: np.ndarray, offset: float
) -> Float[np.ndarray, " rows"]:
    feet = person.sites_world()[:, : len(FOOT_SITE_NAMES)]
    lowest = feet[np.arange(len(feet)), (feet @ normal).argmin(1)]
    R, centre = cameras.T_world_camera[person.frames, :3, :3], cameras.T_world_camera[person.frames, :3, 3]
    return scale_per_frame((np.swapaxes(R, 1, 2) @ lowest[..., None])[..., 0], R, centre, normal, offset)


def _floor(people: list[PlacedPerson]) -> float:
    """Median height of everybody's lowest foot point."""
    lowest = [p.sites_world()[:, : len(FOOT_SITE_NAMES), 2].min(1) for p in people]
    return float(np.median(np.concatenate(lowest)))
