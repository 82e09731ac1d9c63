"""The solved world as a `Reconstruction`: floor at z = 0, corrected depth maps, scene points, figures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from diorama.geometry.cameras import project, scale_focal
from diorama.geometry.transforms import apply, invert, move_cameras
from diorama.methods.backdrop import BackdropConfig, backdrop_scene, measured_scene
from diorama.methods.josh.floor import levelling
from diorama.methods.josh.point_maps import PointMaps
from diorama.methods.josh.segments import KeyResult
from diorama.methods.people_surface import with_people_points
from diorama.methods.placed_person import PlacedPerson
from diorama.methods.placing import Placing
from diorama.observations import Depth, Observations
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.video import Video


@dataclass(frozen=True)
class World:
    """Everything that was solved; `floor` is (a, b, d) of z = a x + b y + d, or None; `observations` have the found K."""

    observations: Observations
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    people: list[PlacedPerson]
    placing: Placing
    floor: Float[np.ndarray, 3] | None
    keyed: KeyResult | None
    maps: PointMaps | None


def assembled(video: Video | None, world: World, backdrop: BackdropConfig) -> Reconstruction:
    """Level the floor to z = 0 and write everything down."""
    seen = world.observations.cameras
    assert seen is not None
    level, lift = (np.eye(3), np.zeros(3)) if world.floor is None else levelling(world.floor, world.people)
    T = move_cameras(world.T_world_camera, 1.0, level, lift)
    cameras = Cameras(
        K=seen.K, T_world_camera=T, distortion=seen.distortion, registered=seen.registered,
        width=world.observations.width, height=world.observations.height, focal_source=seen.focal_source, kind=seen.kind,
    )  # fmt: skip
    believed = tuple(p.moved(level, lift).believed(np.ones(len(p.frames), bool)) for p in world.people)
    scene = _scene(video, world, cameras, backdrop)
    return Reconstruction(
        times=world.observations.times, frame_index=world.observations.frame_index,
        duplicate=world.observations.duplicate, cameras=cameras, people=believed,
        scene=with_people_points(scene, believed, cameras), up=_up_source(world), quality=_figures(world),
        provenance={"method": "josh", "scale_source": world.placing.scale.source},
    )  # fmt: skip


def _scene(video: Video | None, world: World, cameras: Cameras, backdrop: BackdropConfig) -> Scene:
    observations, seen = world.observations, world.observations.cameras
    assert seen is not None
    depth = observations.depth
    if depth is not None and world.keyed is not None and world.maps is not None:
        return _corrected(depth, world, cameras)
    scale = world.placing.scale.metres_per_unit
    moved = np.eye(4)
    # The first cameras' world to the metric one, by the cameras themselves.
    turn = cameras.T_world_camera[0, :3, :3] @ seen.T_world_camera[0, :3, :3].T
    moved[:3, :3] = scale * turn
    moved[:3, 3] = cameras.T_world_camera[0, :3, 3] - scale * turn @ seen.T_world_camera[0, :3, 3]
    if depth is not None and seen.kind == "translating":
        scene = measured_scene(depth.points, depth.colors, depth.points_confidence, moved)
        factor = 1.0 if depth.metric else scale
        maps = (factor * depth.depth).astype(np.float32)
        return replace(scene, depth=maps, depth_K=depth.K, depth_frames=depth.frames)
    if seen.kind == "translating":
        count = len(seen.points_world)
        return measured_scene(seen.points_world, seen.colors, np.ones(count, np.float32), moved)
    return backdrop_scene(video, cameras, observations.tracks, backdrop)


def _corrected(depth: Depth, world: World, cameras: Cameras) -> Scene:
    """Depth maps times their corrections, with the found intrinsics, and the loose points moved with them."""
    keyed, maps = world.keyed, world.maps
    assert keyed is not None and maps is not None
    at = np.searchsorted(depth.frames, maps.rows)
    lines, columns = depth.depth.shape[1:]
    pixels = np.stack(np.meshgrid(np.arange(columns) + 0.5, np.arange(lines) + 0.5), -1).reshape(-1, 2)
    weights = maps.weights(pixels * np.array([maps.size[0] / columns, maps.size[1] / lines]))
    factor = np.exp(keyed.log_depth[:, :1] + keyed.log_depth[:, 1:] @ weights.T).reshape(len(at), lines, columns)
    found = np.where(np.isfinite(depth.depth[at]), depth.depth[at], 0) * factor
    K = cameras.K[maps.rows] * np.array([columns / maps.size[0], lines / maps.size[1], 1.0])[:, None]
    points = _moved_points(depth, world, cameras)
    return Scene(
        points.astype(np.float32), depth.colors, np.asarray(depth.points_confidence, np.float32),
        depth=found.astype(np.float32), depth_K=K, depth_frames=maps.rows,
    )  # fmt: skip


def _moved_points(depth: Depth, world: World, cameras: Cameras) -> Float[np.ndarray, "points 3"]:
    """Loose points of the first cameras' world: each goes with the keyframe in whose map it lies best."""
    keyed, maps, seen = world.keyed, world.maps, world.observations.cameras
    assert keyed is not None and maps is not None and seen is not None
    points = np.asarray(depth.points, np.float64)
    best, out = np.full(len(points), np.inf), np.zeros_like(points)
    first_K = scale_focal(seen.K[maps.rows], np.exp(-keyed.log_focal))
    unit = _unit(depth, world, first_K)
    for key, row in enumerate(maps.rows):
        camera = apply(invert(seen.T_world_camera[row]), points)
        pixel = project(camera, first_K[key], seen.distortion[row])
        shown = maps.depth_at(np.nan_to_num(pixel, nan=-1e6), np.full(len(points), key)) * unit
        away = np.where(shown > 0, np.abs(np.log(np.maximum(camera[:, 2], 1e-9) / np.maximum(shown, 1e-9))), 10.0)
        away = np.where(np.isfinite(pixel).all(1), away, 20.0)
        closer = away < best
        weights = maps.weights(np.nan_to_num(pixel[closer]))
        factor = np.exp(keyed.log_depth[key, 0] + weights @ keyed.log_depth[key, 1:]) / unit
        moved = camera[closer] * factor[:, None]
        moved[:, :2] *= np.exp(-keyed.log_focal[key])
        out[closer] = apply(cameras.T_world_camera[row], moved)
        best[closer] = away[closer]
    return out


def _unit(depth: Depth, world: World, K: Float[np.ndarray, "keys 3 3"]) -> float:
    """Units of the first cameras' world per unit of the maps, from the loose points themselves."""
    maps, seen = world.maps, world.observations.cameras
    assert maps is not None and seen is not None
    points = np.asarray(depth.points, np.float64)
    ratios = [np.zeros(0)]
    for key in np.unique(np.linspace(0, len(maps.rows) - 1, 5).astype(int)):
        camera = apply(invert(seen.T_world_camera[maps.rows[key]]), points)
        pixel = project(camera, K[key], seen.distortion[maps.rows[key]])
        shown = maps.depth_at(np.nan_to_num(pixel, nan=-1e6), np.full(len(points), key))
        ratios.append(camera[shown > 0, 2] / shown[shown > 0])
    every = np.concatenate(ratios)
    return float(np.median(every)) if len(every) else 1.0


def _up_source(world: World) -> str:
    if not world.people:
        return "assumed: the mean of the cameras' own up"
    return (
        "estimated: ground around feet" if world.placing.ground else "estimated: upright bodies and feet on the floor"
    )


def _figures(world: World) -> dict[str, object]:
    scale, floor = world.placing.scale, world.floor
    tilt = float("nan") if floor is None else float(np.degrees(np.arctan(np.hypot(floor[0], floor[1]))))
    return {
        "scale_source": scale.source,
        "scale_spread_percent": scale.spread_percent,
        "metres_per_unit": _metres_per_unit(world),
        "statures_m": {str(p.id): float(p.model.stature(p.betas[0].float())) for p in world.people},
        "up_spread_deg": world.placing.up_spread_degrees,
        "floor_correction_deg": tilt,
        "ground_points": world.placing.ground.points if world.placing.ground else 0,
        "keyframes": 0 if world.keyed is None else len(world.keyed.rows),
        "dropped": list(world.placing.dropped),
    }


def _metres_per_unit(world: World) -> float:
    """Of the observed cameras, by how far the solved ones are from their middle; the first world's where nothing travels."""
    seen, first = world.observations.cameras, world.placing.scale.metres_per_unit
    if seen is None or seen.kind != "translating" or world.keyed is None:
        return first
    far = [
        np.linalg.norm(T[:, :3, 3] - T[:, :3, 3].mean(0), axis=1).mean()
        for T in (seen.T_world_camera, world.T_world_camera)
    ]
    return float(far[1] / far[0]) if far[0] > 0 else first
