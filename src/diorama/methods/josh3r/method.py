"""JOSH3R (JOSH, section 3.4): people's motion between keyframes from pairs of pictures, chained; cameras from people.

Nothing is optimised. Bodies stay in front of their cameras as they were seen; the camera path is the robust mean of what
everybody's motion says of it (`chaining`), interpolated to all frames, and carries people and points into the world.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.errors import DioramaError
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.patch_windows import Window, as_input, shown_frames, window_of
from diorama.geometry.cameras import intrinsics
from diorama.geometry.transforms import apply, interpolate_rigid
from diorama.methods.backdrop import backdrop_scene
from diorama.methods.carried import bodies_of, shaped_bodies
from diorama.methods.josh.checked import checked
from diorama.methods.josh3r.chaining import VoteConfig, Votes, camera_motion, chain, motion, vote
from diorama.methods.josh3r.pairs import PairPeople, pairs_of, people_in_pairs
from diorama.methods.josh3r.pose_graph import PoseGraphConfig, refined_path
from diorama.methods.josh3r.predicted import PairPlan
from diorama.methods.josh3r.scene_points import (
    ScenePoints,
    ScenePointsConfig,
    joined_points,
    map_points,
    without_people,
)
from diorama.methods.josh3r.sizes import Size, SizesConfig, sizes_of
from diorama.methods.josh3r.weights import Predictor, WeightsConfig, credits_of, loaded
from diorama.methods.people_surface import with_people_points
from diorama.methods.placed_person import PlacedPerson, place
from diorama.methods.upright import UprightWorld, upright
from diorama.networks.josh3r import JOSH3R_LICENCE
from diorama.observations import Observations
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Josh3rConfig:
    """Settings.

    Attributes:
        weights: of the two networks, and how they are run.
        interval: between keyframes, seconds.
        crop: share of the picture that is shown: 1 as the paper, 0.5 as the release.
        longest: longer side of the shown picture, pixels.
        baselines: keyframes between the two pictures of a pair; with others than 1 the path is that of a pose graph.
            (The network was trained on pictures 1 to 10 frames apart.)
        votes, graph: how several people decide one motion, and several motions the path.
        points: of the scene.
        sizes: how tall people are.
    """

    weights: WeightsConfig = field(default_factory=WeightsConfig)
    interval: float = 0.2
    crop: float = 1.0
    longest: int = 512
    baselines: tuple[int, ...] = (1,)
    votes: VoteConfig = field(default_factory=VoteConfig)
    graph: PoseGraphConfig = field(default_factory=PoseGraphConfig)
    points: ScenePointsConfig = field(default_factory=ScenePointsConfig)
    sizes: SizesConfig = field(default_factory=SizesConfig)


@dataclass(frozen=True)
class _Clip:
    """Keyframes (rows), their pairs (places in them), who is in both pictures, and K of all frames."""

    keys: Int[np.ndarray, " keys"]
    pairs: Int[np.ndarray, "pairs 2"]
    people: PairPeople
    K: Float[np.ndarray, "frames 3 3"]

    @property
    def steps(self) -> int:
        """Pairs of neighbours, which come first."""
        return max(len(self.keys) - 1, 0)


def reconstruct_josh3r(
    video: Video | None,
    observations: Observations,
    config: Josh3rConfig = Josh3rConfig(),
    predictor: Predictor | None = None,
) -> Reconstruction:
    """A metric world from observations with `bodies`; `tracks` give the boxes, `cameras` only the intrinsics.

    Where nobody is in both keyframes of a step the camera stands still, unless farther pairs say how it moved. Those frames'
    cameras are not `registered`, and `quality` counts the steps. Without any pair no network is asked.

    Args:
        video: the pictures.
        observations: bodies in front of the camera, in SMPL terms.
        config: see `Josh3rConfig`.
        predictor: the networks as a function; without it they are loaded as `config.weights` says.

    Raises:
        DioramaError: no video, no weights, or weights that do not fit.
    """
    if video is None:
        raise DioramaError("there are no pictures", where="josh3r", fix="give the video, or take a method without one")
    times, observations = observations.times, checked(observations)
    clip = _clip(observations, config)
    window = window_of(observations.width, observations.height, crop=config.crop, longest=config.longest)
    said = _Said.nothing(len(clip.people.pair))
    if len(clip.people.pair):
        with _autocast(config.weights, predictor):
            pictures = shown_frames(video, clip.keys, window)
            said = _predicted(predictor or loaded(config.weights), pictures, clip, window, config)
        said = replace(said, points=without_people(said.points, observations, clip.keys))
    sizes = sizes_of(observations, clip.people, said.trans_1, said.trans_2, config.sizes)
    resized = clip.people.resized({id: size.ratio for id, size in sizes.items()})
    voted = camera_votes(resized, said.rel_rot6d, said.rel_trans, len(clip.pairs), config.votes)
    path = _path(clip, voted, config)
    seen = voted.seen[: clip.steps]
    T = interpolate_rigid(observations.times, observations.times[clip.keys], path)
    keyed = apply(path[said.points.key], said.points.points)
    believed = upright(T, _placed(observations, sizes, T), keyed, observations)
    cameras = _cameras(observations, clip, seen, believed)
    people = tuple(person.believed() for person in believed.people)
    asked = predictor is None and len(clip.people.pair) > 0
    credits = credits_of(config.weights) if asked else []
    return Reconstruction(
        times=times,
        frame_index=observations.frame_index,
        duplicate=observations.duplicate,
        cameras=cameras,
        people=people,
        scene=_scene(video, observations, said.points, clip.keys, cameras, people),
        up=believed.source,
        quality=_figures(clip, seen, believed, sizes),
        provenance={
            "method": "josh3r",
            "scale_source": _SCALE if len(clip.people.pair) else "none: nobody is in two keyframes",
            "licence": "; ".join(credit["licence"] for credit in credits) or JOSH3R_LICENCE,
            "weights": credits,
            "interval_s": config.interval,
            "crop": config.crop,
        },
    )


_SCALE = "the motions that JOSH3R tells are in metres"


def _clip(observations: Observations, config: Josh3rConfig) -> _Clip:
    keys = keyframes(observations.times, observations.duplicate, config.interval)
    pairs, K = pairs_of(len(keys), config.baselines), intrinsics_of(observations)
    return _Clip(keys, pairs, people_in_pairs(observations, shaped_bodies(observations), keys, pairs, K), K)


def _autocast(weights: WeightsConfig, predictor: Predictor | None) -> torch.autocast:
    device = torch.device("cpu" if predictor else weights.chosen_device).type
    return torch.autocast(device, torch.bfloat16, enabled=predictor is None and weights.half)


def _path(clip: _Clip, voted: Votes, config: Josh3rConfig) -> Float[np.ndarray, "keys 4 4"]:
    """Cameras of the keyframes in the first one: chained, and with farther pairs a pose graph."""
    path = chain(np.eye(4), voted.motions[: clip.steps])
    if len(clip.pairs) == clip.steps:
        return path
    return refined_path(path, clip.pairs, voted.motions, voted.seen, config.graph)


def camera_votes(
    people: PairPeople,
    rel_rot6d: Float[np.ndarray, "n 6"],
    rel_trans: Float[np.ndarray, "n 3"],
    steps: int,
    config: VoteConfig,
) -> Votes:
    """The camera's motion of every step by all who are in both of its pictures."""
    motions = camera_motion(people.placed_1, motion(rel_rot6d, rel_trans), people.placed_2)
    # Somebody without any confidence is still better than nobody.
    return vote(motions, people.pair, np.maximum(people.weight, 1e-6), steps, config)


def intrinsics_of(observations: Observations) -> Float[np.ndarray, "frames 3 3"]:
    """Of the observed cameras; else the focal length that the bodies assumed (median); else the picture's diagonal."""
    if observations.cameras is not None:
        return observations.cameras.K
    focals = np.concatenate([np.zeros(0), *(body.focal for body in bodies_of(observations))])
    focal = np.median(focals) if len(focals) else np.hypot(observations.width, observations.height)
    return np.tile(intrinsics(float(focal), observations.width, observations.height), (len(observations.times), 1, 1))


def _placed(
    observations: Observations, sizes: dict[int, Size], T: Float[np.ndarray, "frames 4 4"]
) -> list[PlacedPerson]:
    """Everybody at his size, carried by the cameras."""
    joint_sets = {t.id: t.joint_set for t in observations.tracks.people} if observations.tracks else {}
    people = []
    for body in bodies_of(observations):
        if len(body.frames):
            model = as_detected(load_body(body.body, body.gender), joint_sets.get(body.id, ""))
            people.append(place(body, model, sizes[body.id].stature, T, len(CONTACT_SITE_NAMES)))
    return people


def _cameras(observations: Observations, clip: _Clip, seen: Bool[np.ndarray, " steps"], world: UprightWorld) -> Cameras:
    """Frames of steps without people are no evidence."""
    count, before = len(observations.times), observations.cameras
    step = np.clip(np.searchsorted(clip.keys, np.arange(count), side="right") - 1, 0, max(len(seen) - 1, 0))
    return Cameras(
        K=clip.K,
        T_world_camera=world.T_world_camera,
        distortion=np.zeros((count, 0)) if before is None else before.distortion,
        registered=seen[step] if len(seen) else np.ones(count, bool),
        width=observations.width,
        height=observations.height,
        focal_source="assumed" if before is None else before.focal_source,
        kind="translating" if seen.any() else "static",
    )


def _figures(
    clip: _Clip, seen: Bool[np.ndarray, " steps"], world: UprightWorld, sizes: dict[int, Size]
) -> dict[str, Any]:
    alone, warnings = int((~seen).sum()), []
    if len(seen) and not seen.any():
        warnings.append("nobody is in two keyframes: the camera is taken to stand still, and sizes are a guess")
    elif alone:
        warnings.append(f"nobody is in both pictures of {alone} of {len(seen)} steps: the camera stands still there")
    for text in warnings:
        logger.warning("%s", text)
    return {
        **{name: value for name, value in world.figures.items() if np.isfinite(value)},
        "scale_source": _SCALE if seen.any() else "none: nobody is in two keyframes",
        "statures_m": {str(id): size.stature for id, size in sizes.items()},
        "stature_sources": {str(id): size.source for id, size in sizes.items()},
        "keyframes": len(clip.keys),
        "votes": len(clip.people.pair),
        "steps_without_people": alone,
        "warnings": warnings,
    }


@dataclass(frozen=True)
class _Said:
    """What the networks said of everybody, and the points that are kept."""

    rel_rot6d: Float[np.ndarray, "n 6"]
    rel_trans: Float[np.ndarray, "n 3"]
    trans_1: Float[np.ndarray, "n 3"]
    trans_2: Float[np.ndarray, "n 3"]
    points: ScenePoints

    @classmethod
    def nothing(cls, people: int) -> _Said:
        shifts = [np.zeros((people, 3)) for _ in range(3)]
        turns = np.tile([1.0, 0, 0, 0, 1, 0], (people, 1))
        return cls(turns, shifts[0], shifts[1], shifts[2], joined_points([]))


def _predicted(
    predictor: Predictor,
    pictures: Iterator[UInt8[np.ndarray, "height width 3"]],
    clip: _Clip,
    window: Window,
    config: Josh3rConfig,
) -> _Said:
    """Only pairs with people in them are looked at."""
    people, used = clip.people, np.unique(clip.people.pair)
    dense = (np.arange(len(used)) % config.points.every == 0) & (np.diff(clip.pairs[used])[:, 0] == 1)
    boxes = window.boxes(people.boxes_1), window.boxes(people.boxes_2)
    plan = PairPlan(clip.pairs[used], np.searchsorted(used, people.pair), *boxes, dense)
    said, points = _Said.nothing(len(people.pair)), []
    colours: dict[int, np.ndarray] = {}
    most = max(config.points.most // max(int(dense.sum()), 1), 1)
    for batch in predictor(_remembered(pictures, set(plan.pairs[dense, 0].tolist()), colours), plan):
        for name in ("rel_rot6d", "rel_trans", "trans_1", "trans_2"):
            getattr(said, name)[batch.people] = batch.human[name].double().cpu().numpy()
        scales = batch.human["scale_1"][:, 0].double().cpu().numpy()
        for at, pair in enumerate(batch.dense):
            assert batch.maps is not None
            key = int(plan.pairs[pair, 0])
            scale = float(np.median(scales[plan.pair[batch.people] == pair]))
            points.append(map_points(batch.maps, at, scale, key, colours.pop(key), window, config.points, most))
    return replace(said, points=joined_points(points))


def _remembered(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]], wanted: set[int], kept: dict[int, np.ndarray]
) -> Iterator[Float[Tensor, "3 height width"]]:
    """Pictures for the networks; those of `wanted` keyframes stay in `kept` for their colours."""
    for key, picture in enumerate(pictures):
        if key in wanted:
            kept[key] = picture
        yield as_input(picture)


def _scene(
    video: Video, observations: Observations, points: ScenePoints, keys: Int[np.ndarray, " keys"], cameras: Cameras,
    people: tuple[Person, ...],
) -> Scene:  # fmt: skip
    """The kept points with their cameras; without any a backdrop. There are no depth maps: pictures may be shown cut."""
    if len(points.key):
        placed = apply(cameras.T_world_camera[keys[points.key]], points.points)
        scene = Scene(placed.astype(np.float32), points.colors, points.confidence.astype(np.float32))
    else:
        scene = backdrop_scene(video, cameras, observations.tracks)
    return with_people_points(scene, people, cameras)
