"""From observations and a first, metric world to the problem of a segment of keyframes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.frontends.body_evidence import Evidence
from diorama.methods.josh.correspondences import carried_points
from diorama.methods.josh.key_problem import KeyPerson, KeyProblem, KeyWorld
from diorama.methods.josh.key_solve import KeyConfig
from diorama.methods.josh.person_terms import Observed
from diorama.methods.josh.point_maps import PointMaps
from diorama.methods.josh.scene_contact import find_scene_contacts
from diorama.methods.placed_person import PlacedPerson
from diorama.observations import Matches, Observations

# A pair's depth is triangulated where its rays differ by this angle at least (radians).
_PARALLAX = 0.02
# A keyframe's scale is believed with so many points.
_FEWEST = 30
# Longest pause between rows over which a contact can last, seconds.
_PAUSE = 0.45


def key_problem(
    observations: Observations,
    maps: PointMaps,
    T_world_camera: Float[np.ndarray, "frames 4 4"],
    people: Sequence[PlacedPerson],
    evidence: Mapping[int, Evidence],
    config: KeyConfig,
) -> KeyProblem:
    """The problem of the keyframes of `maps`, with the given metric world as the first estimate.

    `people` have all their frames; those without any of these keyframes are not part of it. `evidence` follows their
    rows.
    """
    cameras = observations.cameras
    assert cameras is not None
    times = observations.times[maps.rows]
    T = T_world_camera[maps.rows]
    present = [p for p in people if np.isin(p.frames, maps.rows).any()]
    keyed = tuple(_key_person(p, maps, T_world_camera, observations.times, evidence.get(p.id)) for p in present)
    at_keys = tuple(person_at(p, np.flatnonzero(np.isin(p.frames, maps.rows))) for p in present)
    log_depth = torch.zeros(len(maps.rows), 1 + maps.nodes, dtype=torch.float64)
    first = KeyWorld(
        torch.from_numpy(T[:, :3, :3].copy()), torch.from_numpy(T[:, :3, 3].copy()), log_depth, 0.0, at_keys
    )
    matches = observations.matches
    moved = matches if cameras.kind == "translating" else None
    scales, found = first_scales(moved, maps, T, keyed, first, config, metric=_metric(observations))
    log_depth[:, 0] = torch.from_numpy(scales)
    claims = _claims(observations, maps) if found else np.zeros(0)
    carried = carried_points(matches, maps, config.matches.effective)
    return KeyProblem(maps, times, carried, keyed, claims, cameras.kind, first)


def _metric(observations: Observations) -> bool:
    return observations.depth is not None and observations.depth.metric


def person_at(person: PlacedPerson, rows: Int[np.ndarray, " n"]) -> PlacedPerson:
    """Some rows of a person."""
    return replace(
        person, frames=person.frames[rows], transl=person.transl[rows], rotations=person.rotations[rows],
        confidence=person.confidence[rows], contacts=person.contacts[rows],
    )  # fmt: skip


def _key_person(
    person: PlacedPerson, maps: PointMaps, T_world_camera: np.ndarray, times: np.ndarray, evidence: Evidence | None
) -> KeyPerson:
    rows = np.flatnonzero(np.isin(person.frames, maps.rows))
    keys = np.searchsorted(maps.rows, person.frames[rows])
    R = torch.from_numpy(T_world_camera[person.frames[rows], :3, :3].copy())
    centre = torch.from_numpy(T_world_camera[person.frames[rows], :3, 3].copy())
    pelvis = ((person.transl[rows] + person.pelvis_rest - centre)[:, None] @ R)[:, 0]
    trust = torch.from_numpy(np.clip(np.nan_to_num(person.confidence[rows]), 0.05, 1.0))
    observed = Observed(pelvis, R.mT @ person.rotations[rows, 0], person.rotations[rows, 1:], trust)
    cut = None if evidence is None else evidence.rows(torch.from_numpy(rows))
    height = _height(person, rows, pelvis, maps, keys) if cut is None else cut.height_px.numpy()
    return KeyPerson(
        person.id, person.model, keys, observed, cut, person.contacts[rows], lasting(person, rows, times), height,
        person.betas,
    )  # fmt: skip


def _height(
    person: PlacedPerson, rows: np.ndarray, pelvis: torch.Tensor, maps: PointMaps, keys: np.ndarray
) -> np.ndarray:
    """Of a standing person in pixels."""
    return float(person.model.stature(person.betas[0].float())) * maps.focal[keys] / pelvis[:, 2].clamp_min(0.3).numpy()


def lasting(
    person: PlacedPerson, rows: Int[np.ndarray, " rows"], times: Float[np.ndarray, " frames"]
) -> Float[np.ndarray, "steps sites"]:
    """Probability that a contact lasts from each of these rows to the next: the least of all frames between; 0 where it is
    less likely than not, because a robust loss counts a hundred improbable contacts as so many outliers."""
    out = np.zeros((max(len(rows) - 1, 0), person.contacts.shape[1]))
    for n, (start, stop) in enumerate(itertools.pairwise(rows)):
        seconds = times[person.frames[start : stop + 1]]
        if np.diff(seconds).max() < _PAUSE:
            out[n] = person.contacts[start : stop + 1].min(0)
    return np.where(out > 0.5, out, 0.0)


def first_scales(
    matches: Matches | None, maps: PointMaps, T_world_camera: Float[np.ndarray, "keys 4 4"],
    people: Sequence[KeyPerson], world: KeyWorld, config: KeyConfig, *, metric: bool,
) -> tuple[Float[np.ndarray, " keys"], bool]:  # fmt: skip
    """Logarithm of metres per unit of every keyframe's map, and whether anything but the map itself says so.

    By triangulated matches where the cameras move, else by people's contacts with the scene, else by the map's own claim.
    """
    logs = triangulated_scales(matches, maps, T_world_camera)
    if not np.isfinite(logs).any():
        logs = contact_scales(people, maps, world, config)
    known = np.isfinite(logs)
    if not known.any():
        middle = np.median(maps.depth[maps.background]) if maps.background.any() else 1.0
        return np.full(len(logs), 0.0 if metric else -np.log(max(float(middle), 1e-6) / 8.0)), False
    return np.where(known, logs, np.median(logs[known])), True


def triangulated_scales(
    matches: Matches | None, maps: PointMaps, T_world_camera: Float[np.ndarray, "keys 4 4"]
) -> Float[np.ndarray, " keys"]:
    """Median over the matches of a keyframe of log(triangulated depth / depth of the map); NaN where too few tell it."""
    out = np.full(len(maps.rows), np.nan)
    if matches is None or not len(matches.frames_i):
        return out
    inside = np.isin(matches.frames_i, maps.rows) & np.isin(matches.frames_j, maps.rows)
    inside &= (
        (matches.frames_i != matches.frames_j) & np.isfinite(matches.xy_i).all(1) & np.isfinite(matches.xy_j).all(1)
    )
    ends = [np.searchsorted(maps.rows, f[inside]) for f in (matches.frames_i, matches.frames_j)]
    pixels = [np.asarray(xy, np.float64)[inside] for xy in (matches.xy_i, matches.xy_j)]
    rays = []
    for key, xy in zip(ends, pixels, strict=True):
        flat = maps.straight(xy, key) / maps.focal[key, None]
        ray = np.concatenate([flat, np.ones((len(flat), 1))], 1)
        rays.append(np.einsum("nij,nj->ni", T_world_camera[key, :3, :3], ray))
    length = [np.linalg.norm(ray, axis=1) for ray in rays]
    normals = np.cross(rays[0], rays[1])
    size = (normals**2).sum(1)
    angle = np.sqrt(size) / (length[0] * length[1])
    ratios, of_key = [], []
    for a, b, normal in ((0, 1, normals), (1, 0, -normals)):
        between = T_world_camera[ends[b], :3, 3] - T_world_camera[ends[a], :3, 3]
        depth = (np.cross(between, rays[b]) * normal).sum(1) / np.maximum(size, 1e-18)
        seen = maps.depth_at(pixels[a], ends[a])
        good = (angle > _PARALLAX) & (depth > 0) & (seen > 0)
        ratios.append(np.log(depth[good] / seen[good]))
        of_key.append(ends[a][good])
    every, keys = np.concatenate(ratios), np.concatenate(of_key)
    for key in range(len(out)):
        mine = every[keys == key]
        if len(mine) >= _FEWEST:
            out[key] = np.median(mine)
    return out


def contact_scales(
    people: Sequence[KeyPerson], maps: PointMaps, world: KeyWorld, config: KeyConfig
) -> Float[np.ndarray, " keys"]:
    """Median over all contacts of log(depth of the site / depth of the scene), for every keyframe alike, since single
    contacts are noisy; NaN without contacts."""
    logs: list[np.ndarray] = [np.zeros(0)]
    loose = replace(config.contact, kind="surface", depth_share=np.inf)
    for seen, placed in zip(people, world.people, strict=True):
        rotation, centre = world.R_world_camera[seen.keys].numpy(), world.centres[seen.keys].numpy()
        sites = (placed.sites_world() - centre[:, None]) @ rotation
        found = find_scene_contacts(
            sites, seen.contact, seen.keys, seen.height, maps, world.log_depth.numpy(), world.log_focal, loose
        )
        depth = sites[found.row.numpy(), found.site.numpy(), 2]
        logs.append(np.log(depth / found.depth.numpy()))
    every = np.concatenate(logs)
    return np.full(len(maps.rows), float(np.median(every)) if len(every) else np.nan)


def _claims(observations: Observations, maps: PointMaps) -> Float[np.ndarray, " claims"]:
    """Mean scales (logarithms) at which the maps would be metric: 0 if they say so, and what a metric prior says."""
    out = [0.0] if _metric(observations) else []
    if maps.prior is not None:
        both = maps.background & (maps.prior > 0)
        per_key = [
            np.median(np.log(maps.prior[k][b] / maps.depth[k][b])) for k, b in enumerate(both) if b.sum() > _FEWEST
        ]
        out += [float(np.mean(per_key))] if per_key else []
    return np.array(out)
