"""From an exact truth to observations with the errors of real front ends: no picture is rendered, no network is run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from diorama.observations import (
    Bodies,
    ContactLabels,
    Depth,
    MaskStack,
    Observations,
    ObservedCameras,
    Source,
    Track,
    Tracks,
)
from diorama.reconstruction import Reconstruction
from diorama.synthetic.simulate.bodies import BodyConfig, observed_body, trace_body
from diorama.synthetic.simulate.contact_labels import ContactLabelConfig, observed_contacts
from diorama.synthetic.simulate.correspondences import MatchConfig, observed_matches
from diorama.synthetic.simulate.drifting_cameras import CameraConfig, observed_cameras, world_unit
from diorama.synthetic.simulate.exact_view import ExactView, Frames, grid_size, look
from diorama.synthetic.simulate.identities import Identity, IdentityConfig, plan_identities
from diorama.synthetic.simulate.keypoints import KeypointConfig, observed_keypoints, observed_keypoints_3d
from diorama.synthetic.simulate.point_maps import DepthConfig, keyframe_rows, observed_depth
from diorama.synthetic.simulate.seen_person import SeenPerson, see_person, touching_pairs
from diorama.synthetic.simulate.silhouettes import MaskConfig, observed_boxes, observed_masks


@dataclass(frozen=True)
class SimulationConfig:
    """All errors of all front ends; the defaults make none. A part that is None is not observed.

    Attributes:
        grid: pixels of the longer side of masks, depth maps, and of the lattice on which matches start.
        keyframe_seconds: distance of the keyframes of depth and matches, seconds (JOSH: 0.2).
        identities: who is seen when, under which id: for tracks, bodies and contacts alike.
        depth_prior: a second, metric depth (JOSH's monocular prior).
    """

    grid: int = 128
    keyframe_seconds: float = 0.2
    identities: IdentityConfig = field(default_factory=IdentityConfig)
    keypoints: KeypointConfig | None = field(default_factory=KeypointConfig)
    masks: MaskConfig | None = field(default_factory=MaskConfig)
    bodies: BodyConfig | None = field(default_factory=BodyConfig)
    depth: DepthConfig | None = field(default_factory=DepthConfig)
    depth_prior: DepthConfig | None = None
    matches: MatchConfig | None = field(default_factory=MatchConfig)
    contacts: ContactLabelConfig | None = field(default_factory=ContactLabelConfig)
    cameras: CameraConfig | None = field(default_factory=CameraConfig)


@dataclass(frozen=True)
class _Sight:
    """Everything exact that the parts are made from, and who carries which id."""

    truth: Reconstruction
    frames: Frames
    keyframes: Frames
    people: Mapping[int, SeenPerson]
    identities: tuple[Identity, ...]
    dropped: tuple[str, ...]
    touched: frozenset[tuple[int, int]]
    config: SimulationConfig
    seed: int

    @property
    def size(self) -> tuple[int, int]:
        return self.truth.cameras.width, self.truth.cameras.height


def simulate(truth: Reconstruction, view: ExactView, config: SimulationConfig, seed: int) -> Observations:
    """Observations of one shot with seeded errors: same arguments, same bits.

    Args:
        truth: exact cameras and people; its scene is not used.
        view: exact depth and ids of every frame.
        config: the errors; see `presets.PRESETS`.
        seed: not negative. Every kind of error has random numbers of its own.

    Raises:
        DioramaError: a person's body model needs files that are not here.
    """
    sight = _see(truth, view, config, seed)
    cameras = observed_cameras(truth.cameras, truth.times, sight.keyframes, config.cameras or CameraConfig(), seed)
    unit = world_unit(config.cameras or CameraConfig(), seed)
    return Observations(
        *sight.size,
        times=truth.times,
        frame_index=truth.frame_index,
        duplicate=truth.duplicate,
        tracks=_tracks(sight) if config.keypoints else None,
        bodies=_bodies(sight, config.bodies, cameras.K[:, 0, 0]) if config.bodies else None,
        depth=_depth(sight, config.depth, cameras, unit, "depth") if config.depth else None,
        depth_prior=_depth(sight, config.depth_prior, cameras, unit, "depth prior") if config.depth_prior else None,
        matches=observed_matches(sight.keyframes, truth.cameras, config.matches, seed) if config.matches else None,
        contacts=_contacts(sight, config.contacts) if config.contacts else None,
        cameras=cameras if config.cameras else None,
    )


def _see(truth: Reconstruction, view: ExactView, config: SimulationConfig, seed: int) -> _Sight:
    width, height = grid_size(truth.cameras.width, truth.cameras.height, config.grid)
    frames = look(view, np.arange(len(truth)), width, height)
    joint_set = config.keypoints.joint_set if config.keypoints else KeypointConfig.joint_set
    people = [see_person(person, truth, frames, joint_set) for person in truth.people]
    people = [person for person in people if len(person.rows)]
    touching = touching_pairs(frames)
    every = plan_identities(people, touching, config.identities, seed)
    kept = tuple(i for i in every if len(i.rows) >= config.identities.shortest)
    dropped = tuple(f"id {i.id}: only {len(i.rows)} frames" for i in every if i not in kept)
    keys = keyframe_rows(truth.times, config.keyframe_seconds, ~truth.duplicate)
    touched = frozenset((row, id) for row, pairs in touching.items() for pair in pairs for id in pair)
    return _Sight(truth, frames, frames.of(keys), {p.id: p for p in people}, kept, dropped, touched, config, seed)


def _rows_of(identity: Identity, people: Mapping[int, SeenPerson]) -> list[tuple[int, int]]:
    """(true id, index into that person's rows) of every row of an observed id."""
    return [
        (int(id), int(np.searchsorted(people[int(id)].rows, row)))
        for row, id in zip(identity.rows, identity.true_ids, strict=True)
    ]


def _gathered(identity: Identity, sight: _Sight, arrays: Mapping[int, np.ndarray]) -> np.ndarray:
    """The rows of an observed id, out of arrays per true person."""
    return np.stack([arrays[id][index] for id, index in _rows_of(identity, sight.people)])


def _tracks(sight: _Sight) -> Tracks:
    config, people, seed = sight.config, sight.people.values(), sight.seed
    assert config.keypoints is not None
    masking = config.masks or MaskConfig()
    keypoints = {p.id: observed_keypoints(p, config.keypoints, seed) for p in people}
    spatial = {p.id: observed_keypoints_3d(p, config.keypoints, seed) for p in people}
    boxes = {p.id: observed_boxes(p, masking, sight.size, seed) for p in people}
    masks = {p.id: observed_masks(p, sight.frames, masking, sight.size[0], seed) for p in people}
    tracks = []
    for identity in sight.identities:
        windows = [masks[id][index] for id, index in _rows_of(identity, sight.people)]
        touched = [
            (int(row), int(id)) in sight.touched for row, id in zip(identity.rows, identity.true_ids, strict=True)
        ]
        tracks.append(
            Track(
                identity.id,
                identity.rows,
                _gathered(identity, sight, boxes),
                _gathered(identity, sight, keypoints),
                config.keypoints.joint_set,
                MaskStack.encode(windows, *sight.frames.size) if config.masks else None,
                _gathered(identity, sight, spatial),
                np.array(touched, bool),
            )
        )
    return Tracks(Source("simulated", "tracks"), tuple(tracks), sight.dropped)


def _bodies(sight: _Sight, config: BodyConfig, camera_focal: Float[np.ndarray, " frames"]) -> Bodies:
    traces = {id: trace_body(p, sight.size, camera_focal, config, sight.seed) for id, p in sight.people.items()}
    joint_set = sight.config.keypoints.joint_set if sight.config.keypoints else KeypointConfig.joint_set
    found = tuple(observed_body(i, traces, sight.truth.cameras, joint_set) for i in sight.identities)
    return Bodies(Source("simulated", "bodies"), found)


def _depth(sight: _Sight, config: DepthConfig, cameras: ObservedCameras, unit: float, purpose: str) -> Depth:
    keys, truth = sight.keyframes, sight.truth.cameras
    scale = np.array([keys.size[0] / truth.width, keys.size[1] / truth.height, 1.0])
    K = truth.K[keys.rows] * scale[:, None]
    return observed_depth(keys, sight.truth.times[keys.rows], K, cameras, unit, config, sight.seed, purpose)


def _contacts(sight: _Sight, config: ContactLabelConfig) -> ContactLabels:
    found = {id: observed_contacts(p, config, sight.seed) for id, p in sight.people.items()}
    sites = next(iter(sight.people.values())).person.contact_sites if sight.people else ()
    return ContactLabels(
        Source("simulated", "contacts"), tuple(i.id for i in sight.identities),
        tuple(i.rows for i in sight.identities), sites,
        tuple(_gathered(i, sight, found) for i in sight.identities),
    )  # fmt: skip
