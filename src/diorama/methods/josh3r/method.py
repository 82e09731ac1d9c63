"""JOSH3R (JOSH, section 3.4): people's motion between keyframes from pairs of pictures, chained; cameras from people.

Nothing is optimised. Bodies stay in front of their cameras as they were seen; the camera path is the robust mean of what
everybody's motion says of it (`chaining`), interpolated to all frames, and carries people and points into the world.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.errors import DioramaError
from diorama.frontends.background_mask import people_mask
from diorama.geometry.cameras import intrinsics, pixel_grid
from diorama.geometry.transforms import apply, interpolate_rigid, invert
from diorama.methods.carried import bodies_of, shaped_bodies
from diorama.methods.josh3r.chaining import VoteConfig, Votes, camera_motion, chain, motion, vote
from diorama.methods.josh3r.pairs import PairPeople, keyframes, pairs_of, people_in_pairs
from diorama.methods.josh3r.pictures import Window, as_input, shown_frames, window_of
from diorama.methods.josh3r.pose_graph import PoseGraphConfig, refined_path
from diorama.methods.josh3r.predicted import PairBatch, PairPlan, predicted_pairs
from diorama.methods.people_surface import with_people_points
from diorama.methods.placed_person import place, resized_body
from diorama.methods.upright import upright
from diorama.methods.weights_named import source_and_revision
from diorama.networks.josh3r import JOSH3R, JOSH3R_LICENCE
from diorama.networks.mast3r import MASt3R
from diorama.observations import Observations, ObservedCameras, Source
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.video import Video

logger = logging.getLogger(__name__)
Predictor = Callable[[Iterable[Float[Tensor, "3 height width"]], PairPlan], Iterator[PairBatch]]
# Points nearer to people than this share of the longer side are not scene.
_MARGIN = 0.01
_SOURCE = Source("josh3r", "JOSH3R, MASt3R", JOSH3R_LICENCE)


@dataclass(frozen=True)
class Josh3rConfig:
    """Settings.

    Attributes:
        weights: file, folder or hub repository (`OWNER/NAME@REVISION`) of JOSH3R's weights.
        stamp: size and date of local files, so that other files are another configuration.
        stature: told heights by id, metres, of bodies that do not know theirs.
        mast3r: of MASt3R's; without it they are in the same file, as in the release.
        device, batch: where the networks run ("auto" takes a CUDA GPU if there is one), and pairs at a time.
        interval: between keyframes, seconds.
        crop: share of the picture that is shown: 1 as the paper, 0.5 as the release.
        longest: longer side of the shown picture, pixels.
        baselines: keyframes between the two pictures of a pair; with others than 1 the path is that of a pose graph.
            (The network was trained on pictures 1 to 10 frames apart.)
        votes, graph: how several people decide one motion, and several motions the path.
        kept: points of every so many pairs become scene points, `stride` pixels apart and of `confidence` at least.
    """

    weights: str = ""
    stamp: str = ""
    mast3r: str = ""
    stature: Mapping[int, float] = field(default_factory=dict)
    device: str = "auto"
    batch: int = 8
    interval: float = 0.2
    crop: float = 1.0
    longest: int = 512
    baselines: tuple[int, ...] = (1,)
    votes: VoteConfig = field(default_factory=VoteConfig)
    graph: PoseGraphConfig = field(default_factory=PoseGraphConfig)
    kept: int = 10
    stride: int = 4
    confidence: float = 1.1


@dataclass(frozen=True)
class ScenePoints:
    """Points of some keyframes in their cameras, metres; `key` is the keyframe of each, `pixels` where it was seen
    in the source picture."""

    key: Int[np.ndarray, " points"]
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    confidence: Float[np.ndarray, " points"]
    pixels: Float[np.ndarray, "points 2"]


def reconstruct_josh3r(
    video: Video | None,
    observations: Observations,
    config: Josh3rConfig = Josh3rConfig(),
    predictor: Predictor | None = None,
) -> Reconstruction:
    """A metric world from observations with `bodies`; `tracks` give the boxes, `cameras` only the intrinsics.

    Where nobody is in both keyframes of a step the camera stands still, unless farther pairs say how it moved. Those frames'
    cameras are not `registered`, and `quality` counts the steps.

    Args:
        video: the pictures.
        observations: bodies in front of the camera, in SMPL terms.
        config: see `Josh3rConfig`.
        predictor: the networks as a function; without it they are loaded from `config.weights`.

    Raises:
        DioramaError: no video, no weights, or weights that do not fit.
    """
    if video is None:
        raise DioramaError("there are no pictures", where="josh3r", fix="give the video, or take a method without one")
    observations = at_told_heights(observations, config.stature)
    shaped = shaped_bodies(observations)
    keys = keyframes(observations.times, observations.duplicate, config.interval)
    pairs, K = pairs_of(len(keys), config.baselines), intrinsics_of(observations)
    people = people_in_pairs(observations, shaped, keys, pairs, K)
    window = window_of(observations.width, observations.height, crop=config.crop, longest=config.longest)
    said = _Said.nothing(len(people.pair))
    if len(people.pair):
        pictures = shown_frames(video, keys, window)
        said = _predicted(predictor or loaded(config), pictures, pairs, people, window, config)
        said = replace(said, points=_without_people(said.points, observations, keys))
    voted = camera_votes(people, said.rel_rot6d, said.rel_trans, len(pairs), config.votes)
    steps = max(len(keys) - 1, 0)
    path = chain(np.eye(4), voted.motions[:steps])
    if len(pairs) > steps:
        path = refined_path(path, pairs, voted.motions, voted.seen, config.graph)
    cameras = cameras_of_path(observations, K, keys, path, voted.seen[:steps])
    world = _upright(replace(observations, cameras=cameras), said.points, keys)
    alone = int((~voted.seen[:steps]).sum())
    if alone:
        logger.warning("nobody is in both pictures of %d of %d steps between keyframes", alone, steps)
    figures = {"keyframes": len(keys), "votes": len(people.pair), "steps_without_people": alone}
    weights = {"name": "JOSH3R", "licence": JOSH3R_LICENCE, "source": config.weights}
    credits = {"licence": JOSH3R_LICENCE, "interval_s": config.interval, "crop": config.crop, "weights": weights}
    return world.replace(quality=world.quality | figures, provenance=world.provenance | credits)


def _upright(observations: Observations, points: ScenePoints, keys: Int[np.ndarray, " keys"]) -> Reconstruction:
    """People as they were seen, carried by the metric cameras; gravity, floor and contacts as everywhere."""
    cameras = observations.cameras
    assert cameras is not None
    T = cameras.T_world_camera
    models = {body.id: load_body(body.body, body.gender) for body in bodies_of(observations)}
    statures = {
        body.id: float(models[body.id].stature(torch.from_numpy(np.asarray(body.betas, np.float32))))
        for body in bodies_of(observations)
    }
    people = [
        place(body, models[body.id], statures[body.id], T, len(CONTACT_SITE_NAMES))
        for body in bodies_of(observations)
        if len(body.frames)
    ]
    placed = apply(T[keys[points.key]], points.points)
    world = upright(T, people, placed, observations)
    moved = world.T_world_camera[0] @ invert(T[0])
    believed = Cameras(
        cameras.K, world.T_world_camera, cameras.distortion, cameras.registered, observations.width, observations.height,
        cameras.focal_source, cameras.kind,
    )  # fmt: skip
    scene = Scene(apply(moved, placed).astype(np.float32), points.colors, points.confidence.astype(np.float32))
    persons = tuple(person.believed() for person in world.people)
    figures = {name: value for name, value in world.figures.items() if np.isfinite(value)}
    source = "the motions of people are metric"
    return Reconstruction(
        observations.times, observations.frame_index, observations.duplicate, believed, persons,
        with_people_points(scene, persons, believed), world.source,
        {**figures, "statures_m": {str(id): tall for id, tall in statures.items()}, "scale_source": source},
        {"method": "josh3r", "scale_source": source},
    )  # fmt: skip


def at_told_heights(observations: Observations, stature: Mapping[int, float]) -> Observations:
    """Bodies of told heights, as much farther away, so that they cover the same pixels; SMPL's stay as they are."""
    if not stature or observations.bodies is None:
        return observations
    people = tuple(
        resized_body(body, stature[body.id]) if body.id in stature else body for body in observations.bodies.people
    )
    return replace(observations, bodies=replace(observations.bodies, people=people))


def loaded(config: Josh3rConfig) -> Predictor:
    """The networks of the configuration as a function.

    Raises:
        DioramaError: no weights are named, or they do not fit.
    """
    if not config.weights:
        raise DioramaError(
            "JOSH3R needs weights, which the package does not have",
            where="josh3r",
            fix="set `weights` to the published file (its licence forbids commercial use)",
        )
    device = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
    source, revision = source_and_revision(config.weights)
    base, base_revision = source_and_revision(config.mast3r or config.weights)
    josh3r = JOSH3R.from_pretrained(source, revision=revision, device=device)
    mast3r = MASt3R.from_pretrained(base, revision=base_revision, device=device)
    return partial(predicted_pairs, mast3r, josh3r, batch=config.batch)


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


def cameras_of_path(
    observations: Observations,
    K: Float[np.ndarray, "frames 3 3"],
    keys: Int[np.ndarray, " keys"],
    path: Float[np.ndarray, "keys 4 4"],
    seen: Bool[np.ndarray, " steps"],
) -> ObservedCameras:
    """The keyframes' cameras in all frames: linear centres, geodesic rotations; frames of unseen steps are no evidence."""
    times, before = observations.times, observations.cameras
    step = np.clip(np.searchsorted(keys, np.arange(len(times)), side="right") - 1, 0, max(len(seen) - 1, 0))
    return ObservedCameras(
        source=_SOURCE,
        kind="translating",
        focal_source="assumed" if before is None else before.focal_source,
        K=K,
        distortion=np.zeros((len(times), 0)) if before is None else before.distortion,
        T_world_camera=interpolate_rigid(times, times[keys], path),
        registered=seen[step] if len(seen) else np.ones(len(times), bool),
        metric=True,
    )


@dataclass(frozen=True)
class _Said:
    """What the networks said of everybody, and the points that are kept."""

    rel_rot6d: Float[np.ndarray, "n 6"]
    rel_trans: Float[np.ndarray, "n 3"]
    points: ScenePoints

    @classmethod
    def nothing(cls, people: int) -> _Said:
        return cls(np.tile([1.0, 0, 0, 0, 1, 0], (people, 1)), np.zeros((people, 3)), _joined([]))


def _predicted(
    predictor: Predictor,
    pictures: Iterator[UInt8[np.ndarray, "height width 3"]],
    pairs: Int[np.ndarray, "pairs 2"],
    people: PairPeople,
    window: Window,
    config: Josh3rConfig,
) -> _Said:
    """Only pairs with people in them are looked at."""
    used = np.unique(people.pair)
    dense = (np.arange(len(used)) % config.kept == 0) & (np.diff(pairs[used])[:, 0] == 1)
    boxes = window.boxes(people.boxes_1), window.boxes(people.boxes_2)
    plan = PairPlan(pairs[used], np.searchsorted(used, people.pair), *boxes, dense)
    said, points = _Said.nothing(len(people.pair)), []
    colours: dict[int, np.ndarray] = {}
    for batch in predictor(_remembered(pictures, set(plan.pairs[dense, 0].tolist()), colours), plan):
        said.rel_rot6d[batch.people] = batch.human["rel_rot6d"].double().cpu().numpy()
        said.rel_trans[batch.people] = batch.human["rel_trans"].double().cpu().numpy()
        scales = batch.human["scale_1"][:, 0].double().cpu().numpy()
        for at, pair in enumerate(batch.dense):
            key = int(plan.pairs[pair, 0])
            scale = float(np.median(scales[plan.pair[batch.people] == pair]))
            points.append(_points(batch, at, key, scale, colours.pop(key), window, config))
    return replace(said, points=_joined(points))


def _remembered(
    pictures: Iterable[UInt8[np.ndarray, "height width 3"]], wanted: set[int], kept: dict[int, np.ndarray]
) -> Iterator[Float[Tensor, "3 height width"]]:
    """Pictures for the networks; those of `wanted` keyframes stay in `kept` for their colours."""
    for key, picture in enumerate(pictures):
        if key in wanted:
            kept[key] = picture
        yield as_input(picture)


def _points(
    batch: PairBatch, at: int, key: int, scale: float, picture: np.ndarray, window: Window, config: Josh3rConfig
) -> ScenePoints:
    """Every so many pixels of a map, scaled, with the colours of the picture that the networks saw."""
    assert batch.maps is not None
    every = slice(config.stride // 2, None, config.stride)
    conf = batch.maps.conf[at, every, every].double().cpu().numpy()
    kept = conf >= config.confidence
    points = scale * batch.maps.points[at, every, every].double().cpu().numpy()[kept]
    pixels = pixel_grid(window.width, window.height)[every, every][kept]
    return ScenePoints(
        np.full(len(points), key), points, picture[every, every][kept], conf[kept], window.to_source(pixels)
    )


def _joined(parts: list[ScenePoints]) -> ScenePoints:
    none = np.zeros((0, 3))
    nobody = ScenePoints(np.zeros(0, np.int64), none, none.astype(np.uint8), np.zeros(0), np.zeros((0, 2)))
    names = [part.name for part in fields(ScenePoints)]
    return ScenePoints(*(np.concatenate([getattr(part, name) for part in (nobody, *parts)]) for name in names))


def _without_people(points: ScenePoints, observations: Observations, keys: Int[np.ndarray, " keys"]) -> ScenePoints:
    """Points off people, by their masks or boxes."""
    size = (observations.width, observations.height)
    off = np.ones(len(points.key), bool)
    for key in np.unique(points.key):
        mask = people_mask(observations.tracks, int(keys[key]), size, size, _MARGIN)
        own = points.key == key
        column, line = np.clip(points.pixels[own].astype(int), 0, np.array(size) - 1).T
        off[own] = ~mask[line, column]
    return ScenePoints(*(getattr(points, part.name)[off] for part in fields(ScenePoints)))
