"""JOSH: from observations to one metric world of cameras, scene and people.

First a metric world (where people stand), then the joint optimisation of keyframes in segments, then people in all frames.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from diorama.body.image_terms import CameraRows
from diorama.frontends.body_evidence import Evidence, EvidenceConfig, gather_evidence
from diorama.geometry.cameras import scale_focal
from diorama.methods.backdrop import BackdropConfig
from diorama.methods.carried import blind_to_size
from diorama.methods.depth_units import depth_in_camera_units
from diorama.methods.josh.all_frames import all_cameras, all_people
from diorama.methods.josh.assembled import World, assembled
from diorama.methods.josh.chained import with_chained_cameras
from diorama.methods.josh.checked import checked
from diorama.methods.josh.contacts import with_contacts
from diorama.methods.josh.every_frame import EveryFrameConfig, FrameScene, no_scene, refine_frames, scene_values
from diorama.methods.josh.first_world import key_problem, triangulated_scales
from diorama.methods.josh.floor import common_floor
from diorama.methods.josh.key_problem import KeyProblem, KeyWorld
from diorama.methods.josh.key_solve import KeyConfig, is_finite, scene_contacts, solve_keyframes
from diorama.methods.josh.person_terms import Observed, PriorConfig
from diorama.methods.josh.point_maps import PointMaps, point_maps
from diorama.methods.josh.segments import KeyResult, SegmentConfig, join, segments_of
from diorama.methods.josh.world_scale import well_scaled
from diorama.methods.placed_person import PlacedPerson
from diorama.methods.placing import Placing, PlacingConfig, place_by_feet
from diorama.methods.placing_trusted import label_contacts, place_as_seen
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.solver.threads import one_thread
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JoshConfig:
    """Settings of every step.

    Attributes:
        sizes: whether observed statures are believed ("observed") or people's sizes come from a prior on stature and
            from told heights ("prior"); "auto": only the embedded front end's are not believed.
        placed: human prior of the keyframes' solve for people whose sizes come from "prior": their bodies were fitted to
            all frames' keypoints, and statures and places are decided, so that only cameras and scene are left to move.
        grid: nodes of the point maps' correction, across and down.
        rounds: of contacts and people in all frames.
    """

    placing: PlacingConfig = field(default_factory=PlacingConfig)
    keys: KeyConfig = field(default_factory=KeyConfig)
    segments: SegmentConfig = field(default_factory=SegmentConfig)
    frames: EveryFrameConfig = field(default_factory=EveryFrameConfig)
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)
    backdrop: BackdropConfig = field(default_factory=BackdropConfig)
    sizes: Literal["auto", "prior", "observed"] = "auto"
    placed: PriorConfig = PriorConfig(depth=0.03, depth_bias=0.002, across=0.02, stature=0.003, phenotypes=0.002)  # noqa: RUF009
    grid: tuple[int, int] = (6, 4)
    rounds: int = 2


def reconstruct_josh(
    video: Video | None,
    observations: Observations,
    config: JoshConfig = JoshConfig(),
) -> Reconstruction:
    """A metric world from observations with `cameras`, and `tracks`, `bodies`, `depth`, `matches`, `contacts`, `depth_prior`
    where there are any. Where nobody observed cameras they are chained from `matches` and `depth` (`chained_cameras`).
    `video` is only used to colour the backdrop of cameras that do not translate.

    Raises:
        DioramaError: the observations hold nothing that can be used, or contradict themselves.
    """
    with one_thread():
        return _reconstructed(video, observations, config)


def _reconstructed(video: Video | None, observations: Observations, config: JoshConfig) -> Reconstruction:
    times = observations.times
    observations = checked(observations)
    if observations.cameras is None:
        observations = with_chained_cameras(observations)
    assert observations.cameras is not None
    believed = _sizes_are_observed(observations, config)
    maps = _maps(observations, config)
    people, T, placing = _first(observations, maps, believed, config)
    labels = {p.id: label_contacts(p, observations) for p in people}
    evidence = people_evidence(people, T, observations, config)
    floor = None if believed else np.zeros(3)
    people = [_first_touching(p, labels[p.id], T, observations, floor, config) for p in people]
    keyed = None
    if maps is not None and _worthwhile(people, observations):
        keyed = _keyframes(observations, maps, people, T, evidence, believed, config)
    observed = {p.id: observed_pose(p, T) for p in people} if believed else {}
    cameras = observations.cameras
    if keyed is not None:
        people, T = _carried_over(people, T, observations, keyed if believed else replace(keyed, people={}))
        zoom = np.interp(observations.times, observations.times[keyed.rows], np.exp(keyed.log_focal))
        cameras = replace(cameras, K=scale_focal(cameras.K, zoom))
        observations = replace(observations, cameras=cameras)
        evidence = people_evidence(people, T, observations, config)
        observed = {
            p.id: replace(observed[p.id], pelvis=observed_pose(p, T).pelvis) for p in people if p.id in observed
        }
    floor = common_floor(people) if believed else np.zeros(3)
    people, floor = refined_people(
        people, labels, T, observations, evidence, observed, maps, keyed, placing.ground is not None, floor, config
    )
    world = World(observations, T, people, placing, floor, keyed, maps)
    return assembled(video, world, config.backdrop).replace(times=times)


def _sizes_are_observed(observations: Observations, config: JoshConfig) -> bool:
    if config.sizes != "auto":
        return config.sizes == "observed"
    return observations.bodies is not None and not blind_to_size(observations)


def _maps(observations: Observations, config: JoshConfig) -> PointMaps | None:
    """The keyframes with a map and a camera."""
    depth, cameras = observations.depth, observations.cameras
    if depth is None or not len(depth.frames):
        return None
    assert cameras is not None
    tracks = observations.tracks.people if observations.tracks else ()
    size = (observations.width, observations.height)
    maps = point_maps(depth, observations.depth_prior, cameras, tracks, size, config.grid)
    usable = np.flatnonzero(maps.background.any((1, 2)))
    return maps.of(usable) if len(usable) else None


def _first(
    observations: Observations, maps: PointMaps | None, believed: bool, config: JoshConfig
) -> tuple[list[PlacedPerson], Float[np.ndarray, "frames 4 4"], Placing]:
    """The first metric world."""
    cameras = observations.cameras
    assert cameras is not None
    size = (observations.width, observations.height)
    in_units = depth_in_camera_units(observations.depth, cameras, size)
    if not believed:
        return place_by_feet(replace(observations, depth=in_units), config.placing)
    unit = None
    if maps is not None and in_units is not None and observations.depth is not None:
        unit = _ratio(in_units.depth, observations.depth.depth)
    elif maps is not None and cameras.kind == "translating":
        logs = triangulated_scales(observations.matches, maps, cameras.T_world_camera[maps.rows])
        unit = float(np.exp(np.nanmedian(logs))) if np.isfinite(logs).any() else None
    scaled = replace(maps, depth=maps.depth * np.float32(unit)) if maps is not None and unit is not None else None
    claimed = None
    if not config.keys.contact_scene:
        claimed = 1 / unit if unit and observations.depth is not None and observations.depth.metric else 1.0
    return place_as_seen(replace(observations, depth=in_units), scaled, config.keys.contact, claimed)


def _ratio(scaled: np.ndarray, depth: np.ndarray) -> float:
    known = np.isfinite(depth) & (depth > 0)
    return float(np.median(scaled[known] / depth[known])) if known.any() else 1.0


def people_evidence(
    people: list[PlacedPerson], T_world_camera: np.ndarray, observations: Observations, config: JoshConfig
) -> dict[int, Evidence]:
    """What the pictures say about everybody with a track, at the rows of his body, in the metric world."""
    tracks = {t.id: t for t in observations.tracks.people} if observations.tracks else {}
    assert observations.cameras is not None
    cameras = replace(observations.cameras, T_world_camera=T_world_camera)
    out = {}
    for person in people:
        track = tracks.get(person.id)
        if track is None or not np.isin(person.frames, track.frames).all():
            continue
        seen = gather_evidence(
            track, (), cameras, observations.times, observations.width, observations.height, config.evidence,
            silhouette=False,
        )  # fmt: skip
        seen = seen.rows(torch.from_numpy(np.searchsorted(track.frames, person.frames)))
        centre = torch.from_numpy(T_world_camera[person.frames, :3, 3].copy())
        out[person.id] = replace(seen, cameras=CameraRows(seen.cameras.R_camera_world, centre, seen.cameras.focal))
    return out


def _touching(
    person: PlacedPerson, labels: np.ndarray | None, T: np.ndarray, observations: Observations,
    floor: np.ndarray | None, config: JoshConfig,
) -> PlacedPerson:  # fmt: skip
    centres, times = T[person.frames, :3, 3], observations.times[person.frames]
    return with_contacts(person, labels, centres, times, floor, config.placing.contacts)


def _first_touching(
    person: PlacedPerson, labels: np.ndarray | None, T: np.ndarray, observations: Observations,
    floor: np.ndarray | None, config: JoshConfig,
) -> PlacedPerson:  # fmt: skip
    """The labels as they are: bodies that shake as they were observed say nothing about rest. Motion where nobody looked."""
    if labels is not None:
        return replace(person, contacts=labels)
    return _touching(person, None, T, observations, floor, config)


def _worthwhile(people: list[PlacedPerson], observations: Observations) -> bool:
    """Is there anything that the joint optimisation can tie together: people, or matches between keyframes?"""
    return bool(people) or (observations.matches is not None and len(observations.matches.frames_i) > 0)


def _keyframes(
    observations: Observations, maps: PointMaps, people: list[PlacedPerson], T: np.ndarray,
    evidence: Mapping[int, Evidence], believed: bool, config: JoshConfig,
) -> KeyResult | None:  # fmt: skip
    """The joint optimisation, segment by segment."""
    keys = _key_config(believed, config)
    pieces = segments_of(maps.rows, config.segments)
    worlds: list[KeyWorld] = []
    for start, stop in pieces:
        problem = key_problem(observations, maps.of(np.arange(start, stop)), T, people, evidence, keys)
        first = well_scaled(problem, problem.first, keys) if believed and keys.solver == "lm" else problem.first
        world, _ = solve_keyframes(problem, first, keys)
        worlds.append(world if is_finite(world) else problem.first)
    return join(maps.rows, pieces, worlds, config.segments)


def _key_config(believed: bool, config: JoshConfig) -> KeyConfig:
    # The mapping that made the embedded cameras has refined their focal length on all of its points.
    return config.keys if believed else replace(config.keys, prior=config.placed, focal=False)


def keyframe_problems(observations: Observations, config: JoshConfig = JoshConfig()) -> list[KeyProblem]:
    """The problems that the joint optimisation gets, segment by segment, to study it alone; none without point maps.

    Raises:
        DioramaError: as `reconstruct_josh`.
    """
    observations = checked(observations)
    believed = _sizes_are_observed(observations, config)
    maps = _maps(observations, config)
    if maps is None:
        return []
    people, T, _ = _first(observations, maps, believed, config)
    evidence = people_evidence(people, T, observations, config)
    floor, labels = None if believed else np.zeros(3), {p.id: label_contacts(p, observations) for p in people}
    people = [_first_touching(p, labels[p.id], T, observations, floor, config) for p in people]
    return [
        key_problem(observations, maps.of(np.arange(*piece)), T, people, evidence, _key_config(believed, config))
        for piece in segments_of(maps.rows, config.segments)
    ]


def observed_pose(person: PlacedPerson, T_world_camera: np.ndarray) -> Observed:
    """The body before its camera in all its frames."""
    R = torch.from_numpy(T_world_camera[person.frames, :3, :3].copy())
    centre = torch.from_numpy(T_world_camera[person.frames, :3, 3].copy())
    pelvis = ((person.transl + person.pelvis_rest - centre)[:, None] @ R)[:, 0]
    trust = torch.from_numpy(np.clip(np.nan_to_num(person.confidence), 0.05, 1.0))
    return Observed(pelvis, R.mT @ person.rotations[:, 0], person.rotations[:, 1:], trust)


def _carried_over(
    people: list[PlacedPerson], T: np.ndarray, observations: Observations, keyed: KeyResult
) -> tuple[list[PlacedPerson], np.ndarray]:
    after = all_cameras(T, observations.times, keyed)
    return all_people(people, T, after, observations.times, keyed), after


def refined_people(
    people: list[PlacedPerson], labels: Mapping[int, np.ndarray | None], T: np.ndarray, observations: Observations,
    evidence: Mapping[int, Evidence], observed: Mapping[int, Observed], maps: PointMaps | None,
    keyed: KeyResult | None, measured: bool, floor: np.ndarray | None, config: JoshConfig,
) -> tuple[list[PlacedPerson], np.ndarray | None]:  # fmt: skip
    """Rounds of contacts and refinement in all frames, and the floor; None where people stand on none in common.

    Args:
        labels: observed contacts at everybody's rows; None of who was not looked at.
        measured: whether a scene shows the floor.
    """
    if not people:
        return people, floor
    for number in range(config.rounds):
        touching = _touching if number else _first_touching
        people = [touching(p, labels[p.id], T, observations, floor, config) for p in people]
        scene = _scene(people, T, maps, keyed, measured, floor, config)
        start = np.zeros(3) if floor is None else floor
        people, moved = refine_frames(
            people, observed, evidence, start, scene, observations.times, config.keys.prior, config.frames
        )
        floor = None if floor is None else moved
    return [_touching(p, labels[p.id], T, observations, floor, config) for p in people], floor


def _scene(
    people: list[PlacedPerson], T: np.ndarray, maps: PointMaps | None, keyed: KeyResult | None, measured: bool,
    floor: np.ndarray | None, config: JoshConfig,
) -> FrameScene:  # fmt: skip
    """Contacts with the point maps at keyframes, where those were solved; `maps` keeps its first focal length."""
    if maps is None or keyed is None or not config.keys.contact_scene:
        return replace(no_scene(floor=floor is not None), measured=measured)
    zoom = np.exp(keyed.log_focal)
    zoomed = replace(maps, focal=maps.focal * zoom)
    world = KeyWorld(
        torch.from_numpy(T[maps.rows, :3, :3].copy()), torch.from_numpy(T[maps.rows, :3, 3].copy()),
        torch.from_numpy(keyed.log_depth), 0.0, (),
    )  # fmt: skip
    contacts = {}
    for person in people:
        found = scene_contacts(person, zoomed, world, config.keys)
        if found is not None:
            contacts[person.id] = found
    values = scene_values(T[maps.rows], keyed.log_depth)
    return FrameScene(
        floor is not None, measured, contacts, torch.from_numpy(zoomed.focal.copy()), values,
        config.keys.contact,
    )  # fmt: skip


def without(*, scene: bool = False, static: bool = False, people: bool = False, focal: bool = False) -> JoshConfig:
    """The method with parts switched off, as in the paper's Table 2: the contact scene loss, the contact static loss, the
    optimisation of people, that of the focal length."""
    config = JoshConfig()
    keys, frames = config.keys, config.frames
    if scene:
        keys, frames = replace(keys, contact_scene=0.0), replace(frames, contact_scene=0.0)
    if static:
        keys, frames = replace(keys, contact_static=0.0), replace(frames, contact_static=0.0)
    keys = replace(keys, people=not people, focal=not focal)
    return replace(config, keys=keys, frames=frames, rounds=0 if people else config.rounds)


ABLATIONS: dict[str, tuple[str, JoshConfig]] = {
    "josh": ("JOSH on the observed bodies", JoshConfig()),
    "josh-no-contact-scene": ("JOSH without the contact scene loss (Table 2, row 1)", without(scene=True)),
    "josh-fixed-people": ("JOSH without optimising people (Table 2, row 2)", without(people=True)),
    "josh-no-contact-static": ("JOSH without the contact static loss (Table 2, row 3)", without(static=True)),
    "josh-fixed-intrinsics": ("JOSH with the observed focal length (Table 2, row 5)", without(focal=True)),
}
