"""SHARE: from the observations of a standing camera to one metric world of the merged scene and people anchored in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.errors import DioramaError
from diorama.frontends.given_depth import pictures_of_maps
from diorama.geometry.transforms import apply
from diorama.methods.carried import blind_to_size
from diorama.methods.ground_plane import Ground
from diorama.methods.josh.checked import checked
from diorama.methods.placing_trusted import with_first_contacts
from diorama.methods.share.anchored_path import anchored_path
from diorama.methods.share.background import (
    MergedScene,
    merged,
    merged_as_published,
    published_factors,
    robust_factors,
)
from diorama.methods.share.config import ShareConfig
from diorama.methods.share.key_maps import KeyMaps, key_maps
from diorama.methods.share.people import InFront, disagreement, key_places, people_in_front
from diorama.methods.share.placed_keys import KeyPlaces
from diorama.methods.share.plane_depth import plane_depth
from diorama.methods.share.published_people import published_places
from diorama.methods.share.scale_check import depth_factor
from diorama.methods.share.sizes import measured_size, told_size
from diorama.methods.share.steady import steadied
from diorama.methods.upright import UprightWorld, ground_below, up_of_people, upright
from diorama.observations import Depth, Observations
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.solver.threads import one_thread
from diorama.video import Video

logger = logging.getLogger(__name__)
# People's surface points of the result, about.
_PEOPLE_POINTS = 50_000


@dataclass(frozen=True)
class _Placed:
    """One person's path before the camera, by which keyframes, and how his size and the maps disagree (logarithm)."""

    person: InFront
    keys: KeyPlaces
    pelvis: Float[np.ndarray, "n 3"]
    disagreement: float


def reconstruct_share(
    video: Video | None, observations: Observations, config: ShareConfig | None = None
) -> Reconstruction:
    """A metric world from `cameras` that stand still, `bodies`, and metric `depth` at keyframes; better with masks and
    keypoints in `tracks`, and `contacts`.

    Without depth the ground plane of the embedded static path takes its place, and the result says so. `video` colours the
    scene.

    Raises:
        DioramaError: the camera moves, the depth is not metric, or the observations contradict themselves.
    """
    with one_thread():
        observations = checked(observations)
        _check(observations)
        depth, source = _depth_of(video, observations)
        return _reconstructed(video, replace(observations, depth=depth), source, config or ShareConfig())


def _check(observations: Observations) -> None:
    cameras = observations.cameras
    if cameras is None:
        raise DioramaError("nobody observed cameras", where="observations", fix="give cameras, or the video")
    if cameras.kind != "static":
        raise DioramaError(
            f"SHARE is for a camera that stands still; this one is {cameras.kind}", where="--method share",
            fix="use --method josh",
        )  # fmt: skip
    if observations.depth is not None and len(observations.depth.frames) and not observations.depth.metric:
        raise DioramaError(
            "SHARE needs depth in metres", where="depth", fix="give metric depth (docs/depth.md), or leave it out"
        )


def _depth_of(video: Video | None, observations: Observations) -> tuple[Depth | None, str]:
    depth = observations.depth
    if depth is not None and len(depth.frames) and (np.nan_to_num(depth.depth) > 0).any():
        return depth, f"metric depth by {depth.source.frontend}"
    logger.warning("no metric depth: people stand on the ground plane of the embedded static path (docs/share.md)")
    return plane_depth(video, observations), "the ground plane of the embedded static path: no metric depth"


def _reconstructed(video: Video | None, observations: Observations, source: str, config: ShareConfig) -> Reconstruction:
    people = [told_size(person, config.sizes) for person in people_in_front(observations, config)]
    maps, factors = _scaled_maps(observations, config)
    factor, placed = 1.0, []
    if maps is not None and config.published:
        placed = [_Placed(p, *published_places(p, maps, config), disagreement=float("nan")) for p in people]
    else:
        scene = merged(maps, None).depth if maps is not None and config.robust_scale else None
        keys = [_no_keys() if maps is None else key_places(person, maps, scene, config) for person in people]
        told = [disagreement(person, each) for person, each in zip(people, keys, strict=True)]
        if config.check is not None:
            factor = depth_factor(told, [person.id in config.sizes.told for person in people], config.check)
        maps = maps.scaled(np.full(len(maps.rows), factor)) if maps is not None else None
        if config.sizes.measure:
            blind = blind_to_size(observations)
            sized = [
                measured_size(p, d - np.log(factor), blind, config.sizes) for p, d in zip(people, told, strict=True)
            ]
            people = sized
            scene = None if scene is None else scene * factor
            keys = [_no_keys() if maps is None else key_places(person, maps, scene, config) for person in people]
        else:
            keys = [replace(each, pelvis=each.pelvis * factor) for each in keys]
        scene_points = _scenery(maps)
        placed = [
            _Placed(person, each, _path(person, each, people, scene_points, observations, config), apart)
            for person, each, apart in zip(people, keys, told, strict=True)
        ]
    return _world(video, observations, maps, factors * factor, placed, source, config)


def _no_keys() -> KeyPlaces:
    return KeyPlaces(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0, np.int64))


def _scaled_maps(observations: Observations, config: ShareConfig) -> tuple[KeyMaps | None, Float[np.ndarray, " keys"]]:
    """The maps at their common scale, and the factors on them."""
    if observations.depth is None or not len(observations.depth.frames):
        return None, np.zeros(0)
    maps = key_maps(observations.depth, observations)
    robust = config.robust_scale and not config.published
    factors = robust_factors(maps) if robust else published_factors(maps)
    return maps.scaled(factors), factors


def _scenery(maps: KeyMaps | None) -> Float[np.ndarray, "points 3"]:
    """Points of the merged scene before the camera."""
    if maps is None:
        return np.zeros((0, 3))
    return merged(maps, None).points(maps.K[0], maps.distortion[0])[0]


def _path(
    person: InFront, keys: KeyPlaces, people: list[InFront], scenery: Float[np.ndarray, "points 3"],
    observations: Observations, config: ShareConfig,
) -> Float[np.ndarray, "n 3"]:  # fmt: skip
    times = observations.times[person.rows]
    path = anchored_path(person, keys, times, None, config)
    if config.path.floor is None or not config.path.smooth or not len(scenery):
        return path
    before = person.at(path, observations)
    eye = np.eye(4)[None]
    up, _ = up_of_people([p.at(p.pelvis, observations) for p in people], eye)
    ground = ground_below([before], scenery, up, np.zeros((1, 3)))
    if ground is None:
        return path
    touching = with_first_contacts(before, observations, ground.normal).contacts[:, : len(FOOT_SITE_NAMES)]
    feet = before.sites_world()[:, : len(FOOT_SITE_NAMES)] - path[:, None]
    floor: tuple[Ground, Any, Any] = ground, feet, touching
    return anchored_path(person, keys, times, floor, config)


def _world(
    video: Video | None, observations: Observations, maps: KeyMaps | None, factors: Float[np.ndarray, " keys"],
    placed: list[_Placed], source: str, config: ShareConfig,
) -> Reconstruction:  # fmt: skip
    """Upright, with the merged scene."""
    pictures = _pictures(video, observations)
    scene = None if maps is None else (merged_as_published if config.published else merged)(maps, pictures)
    points, colours, seen = _scene_points(scene, maps)
    people = [each.person.at(each.pelvis, observations) for each in placed]
    cameras = observations.cameras
    assert cameras is not None
    eye = np.tile(np.eye(4), (len(observations.times), 1, 1))
    world = upright(eye, people, points, observations)
    if config.steady is not None and not config.published:
        steady, T = steadied(world.people, world.T_world_camera, observations, config.steady)
        world = replace(world, people=steady, T_world_camera=T)
    T = world.T_world_camera
    shown = _people_points(maps, pictures, placed, T)
    depth = observations.depth
    found = Scene(
        apply(T[0], points).astype(np.float32), colours, seen.astype(np.float32),
        depth=None if maps is None else maps.depth.astype(np.float32),
        depth_K=None if maps is None else (maps.own_K if config.published else maps.K),
        depth_frames=None if depth is None or maps is None else maps.rows,
        people_points=shown[0], people_points_id=shown[1], people_points_frame=shown[2],
    )  # fmt: skip
    believed = Cameras(
        cameras.K, T, cameras.distortion, cameras.registered, observations.width, observations.height,
        cameras.focal_source, cameras.kind,
    )  # fmt: skip
    return Reconstruction(
        observations.times, observations.frame_index, observations.duplicate, believed,
        tuple(person.believed() for person in world.people), found, world.source,
        _figures(placed, factors, scene, world, source), {"method": "share", "scale_source": source},
    )  # fmt: skip


def _pictures(video: Video | None, observations: Observations) -> UInt8[np.ndarray, "keys height width 3"] | None:
    depth = observations.depth
    if video is None or depth is None or not len(depth.frames):
        return None
    return pictures_of_maps(video, depth, progress=False)


def _scene_points(
    scene: MergedScene | None, maps: KeyMaps | None
) -> tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
    if scene is None or maps is None:
        return np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    return scene.points(maps.K[0], maps.distortion[0])


def _people_points(
    maps: KeyMaps | None, pictures: np.ndarray | None, placed: list[_Placed], T: Float[np.ndarray, "frames 4 4"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everybody's points in the maps, as they were measured; without keyframes none."""
    parts, ids, rows = [np.zeros((0, 3), np.float32)], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    keys = range(0 if maps is None else len(maps.rows))
    budget = max(_PEOPLE_POINTS // max(len(keys) * len(placed), 1), 1)
    for key in keys:
        assert maps is not None
        for each in placed:
            mine = (maps.owner[key] == each.person.id) & maps.solid[key]
            points = maps.points(key, mine, own_K=False)
            points = points[:: max(-(-len(points) // budget), 1)]
            parts.append(apply(T[0], points).astype(np.float32))
            ids.append(np.full(len(points), each.person.id))
            rows.append(np.full(len(points), maps.rows[key]))
    return np.concatenate(parts), np.concatenate(ids), np.concatenate(rows)


def _figures(
    placed: list[_Placed], factors: Float[np.ndarray, " keys"], scene: MergedScene | None, world: UprightWorld,
    source: str,
) -> dict[str, Any]:  # fmt: skip
    lost = [
        f"person {each.person.id}: in no depth map, placed by keypoints and floor"
        for each in placed
        if not len(each.keys.at)
    ]
    warnings = (
        []
        if "no metric depth" not in source
        else ["no metric depth: the scene is a plane, distances are those of feet on it"]
    )
    return {
        **{name: value for name, value in world.figures.items() if np.isfinite(value)},
        "scale_source": source,
        "depth_keyframes": len(factors),
        "depth_scale_percent": 100 * float(np.median(factors) - 1) if len(factors) else 0.0,
        "depth_scale_spread_percent": 100 * float(np.std(np.log(factors))) if len(factors) else 0.0,
        "size_against_depth_percent": {
            str(each.person.id): 100 * float(np.expm1(each.disagreement))
            for each in placed
            if np.isfinite(each.disagreement)
        },
        "statures_m": {str(p.id): float(p.model.stature(p.betas[0].float())) for p in world.people},
        "keyframes_of_people": {str(each.person.id): len(each.keys.at) for each in placed},
        "scene_seen_percent": 100 * float((scene.depth > 0).mean()) if scene is not None else 0.0,
        "warnings": [*warnings, *lost],
    }
