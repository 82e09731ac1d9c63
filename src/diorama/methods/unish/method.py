"""UniSH on a video of any length: windows through the network, joined, made upright, filled in between samples."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from jaxtyping import Float, Int

from diorama.body.anny import FREE_BODY_NAME
from diorama.geometry.transforms import apply
from diorama.methods.unish.branch import SceneBranch, WindowWorld
from diorama.methods.unish.chain import placed_windows
from diorama.methods.unish.filled import filled_cameras, filled_intrinsics, filled_person
from diorama.methods.unish.joined import Joined, joined
from diorama.methods.unish.kept import KeptConfig, KeptWindow, kept
from diorama.methods.unish.overlap import Join, OverlapConfig, Shown, join, shown
from diorama.methods.unish.people import ShownPeople, shown_people
from diorama.methods.unish.pictures import Window, read_windows
from diorama.methods.unish.weights import WeightsConfig, load_branch
from diorama.methods.unish.windows import Layout, WindowConfig, homes_of, layout_of, sample_rows, spans_of
from diorama.methods.upright import UprightWorld, upright
from diorama.observations import Observations
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class UnishConfig:
    """Settings of every step; `stature` are told heights by id, metres, for the free body."""

    weights: WeightsConfig = field(default_factory=WeightsConfig)
    windows: WindowConfig = field(default_factory=WindowConfig)
    overlap: OverlapConfig = field(default_factory=OverlapConfig)
    kept: KeptConfig = field(default_factory=KeptConfig)
    stature: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Sampling:
    """Rows of the samples, their windows, the window of which each is, and seconds between samples."""

    rows: Int[np.ndarray, " samples"]
    spans: list[tuple[int, int]]
    homes: Int[np.ndarray, " samples"]
    step: float
    layout: Layout


def reconstruct_unish(
    video: Video | None,
    observations: Observations,
    config: UnishConfig = UnishConfig(),
    *,
    branch: SceneBranch | None = None,
) -> Reconstruction:
    """A metric world from a video and the `tracks` of its people; other observations are not needed.

    Rows between samples are filled in: `registered` of cameras and `observed` of people are false there. Without people
    the result is the scene and its cameras. Time and memory: docs/unish.md.

    Args:
        video: needed by the network; only the pictures of one window are in memory.
        observations: with `tracks` (masks, boxes, keypoints).
        config: with the place of the weights, unless there is a `branch`.
        branch: what sees the windows, instead of UniSH's network.

    Raises:
        DioramaError: no weights or no video; weights that cannot be read.
    """
    branch = branch or load_branch(config.weights)
    sampling = _sampling(observations, config.windows)
    windows, joins = _seen(video, observations, sampling, branch, config)
    placed = placed_windows(joins, [window.scale_witnesses for window in windows])
    world = joined(windows, placed, sampling.homes, config.windows.overlap)
    per = np.diag([*sampling.layout.source_per_working, 1.0])
    everybody = shown_people(world, sampling.rows, per @ world.K, observations, config.stature)
    believed = _upright(observations, sampling, windows, world, everybody)
    return Reconstruction(
        times=observations.times,
        frame_index=observations.frame_index,
        duplicate=observations.duplicate,
        cameras=_cameras(observations, sampling, believed, per @ world.K, config),
        people=tuple(p.believed(np.isin(p.frames, sampling.rows)) for p in believed.people),
        scene=_scene(windows, world, sampling, believed.T_world_camera),
        up=believed.source,
        quality={
            **_figures(windows, sampling, world, believed), **_join_figures(joins), "dropped": _dropped(observations, world)
        },
        provenance={
            "method": "unish", "scale_source": _scale_source(windows), "weights": dict(branch.credit),
            "bodies": everybody.about,
        },
    )  # fmt: skip


def _sampling(seen: Observations, config: WindowConfig) -> _Sampling:
    rows = sample_rows(seen.times, config.fps)
    spans = spans_of(len(rows), config)
    # The last sample may come sooner than the others.
    ticks = seen.times[rows[:-1]] if len(rows) > 2 else seen.times[rows]
    step = float(ticks[-1] - ticks[0]) / (len(ticks) - 1) if len(ticks) > 1 else 1 / config.fps
    return _Sampling(rows, spans, homes_of(spans, len(rows)), step, layout_of(seen.width, seen.height, config.longest))


def _seen(
    video: Video | None, seen: Observations, sampling: _Sampling, branch: SceneBranch, config: UnishConfig
) -> tuple[list[KeptWindow], list[Join]]:
    """All windows through the branch; of each only little is kept, and of the last one what the next one shares."""
    windows: list[KeptWindow] = []
    joins: list[Join] = []
    before: Shown | None = None
    source = video if branch.needs_pictures else None
    stream = read_windows(source, seen, sampling.rows, sampling.spans, sampling.layout, 1 / sampling.step)
    for number, (window, world) in enumerate(_worlds(stream, branch)):
        span = sampling.spans[number]
        if before is not None:
            joins.append(join(before, shown(world, slice(0, len(before.points)), config.overlap), config.overlap))
        own = np.flatnonzero(sampling.homes == number)
        windows.append(kept(window, world, span, own, len(sampling.rows), config.kept))
        if number + 1 < len(sampling.spans):
            shared = slice(sampling.spans[number + 1][0] - span[0], span[1] - span[0])
            before = shown(world, shared, config.overlap)
        logger.info("window %d of %d", number + 1, len(sampling.spans))
    return windows, joins


def _worlds(stream: Iterator[Window], branch: SceneBranch) -> Iterator[tuple[Window, WindowWorld]]:
    """Every window with its world; as many together as the branch wants."""
    while windows := list(islice(stream, branch.together)):
        yield from zip(windows, branch(windows), strict=True)


def _upright(
    seen: Observations, sampling: _Sampling, windows: list[KeptWindow], world: Joined, everybody: ShownPeople
) -> UprightWorld:
    T = filled_cameras(seen.times, sampling.rows, world.T_world_camera)
    tracked = {track.id: track.frames for track in seen.tracks.people} if seen.tracks else {}
    people = [
        filled_person(person, seen.times, np.asarray(tracked[person.id]), sampling.step) for person in everybody.people
    ]
    parts = [_world_points(window, world, world.T_world_camera)[window.points.owner == 0] for window in windows]
    return upright(T, people, np.concatenate(parts), seen)


def _world_points(
    window: KeptWindow, world: Joined, T: Float[np.ndarray, "samples 4 4"]
) -> Float[np.ndarray, "points 3"]:
    """Kept points with the cameras `T` of all samples."""
    at = window.points.sample
    metric = window.points.camera.astype(np.float64) * world.scale[at][:, None]
    return apply(T[at], metric)


def _cameras(
    seen: Observations,
    sampling: _Sampling,
    world: UprightWorld,
    K: Float[np.ndarray, "samples 3 3"],
    config: UnishConfig,
) -> Cameras:
    count = len(seen.times)
    return Cameras(
        K=filled_intrinsics(seen.times, sampling.rows, K),
        T_world_camera=world.T_world_camera,
        distortion=np.zeros((count, 1)),
        registered=np.isin(np.arange(count), sampling.rows),
        width=seen.width,
        height=seen.height,
        focal_source="recovered" if config.weights.focal is None else "given",
        kind=seen.cameras.kind if seen.cameras else "translating",
    )


def _scene(
    windows: list[KeptWindow], world: Joined, sampling: _Sampling, T_world_camera: Float[np.ndarray, "frames 4 4"]
) -> Scene:
    """Static points, people's points, depth maps, all in metres."""
    points = np.concatenate(
        [_world_points(window, world, T_world_camera[sampling.rows]).astype(np.float32) for window in windows]
    )
    names = ("colors", "confidence", "owner", "sample")
    colors, confidence, owner, sample = (
        np.concatenate([getattr(window.points, name) for window in windows]) for name in names
    )
    maps = {at: found * world.scale[at] for window in windows for at, found in window.maps.items()}
    at, still = np.array(sorted(maps)), owner == 0
    return Scene(
        points_world=points[still], colors=colors[still], confidence=confidence[still],
        depth=np.stack([maps[index] for index in sorted(maps)]).astype(np.float32), depth_K=world.K[at],
        depth_frames=sampling.rows[at], people_points=points[~still], people_points_id=owner[~still],
        people_points_frame=sampling.rows[sample[~still]],
    )  # fmt: skip


def _scale_source(windows: list[KeptWindow]) -> str:
    if any(window.scale_witnesses for window in windows):
        return "UniSH's scale of all windows with people"
    return "UniSH's scale without people, for which it was not trained: a guess"


def _dropped(seen: Observations, world: Joined) -> list[str]:
    shown_ids = {person.id for person in world.people}
    ids = [track.id for track in seen.tracks.people] if seen.tracks else []
    return [f"person {id}: seen only between samples" for id in ids if id not in shown_ids]


def _figures(
    windows: list[KeptWindow], sampling: _Sampling, world: Joined, believed: UprightWorld
) -> dict[str, object]:
    warnings = [] if any(w.scale_witnesses for w in windows) else ["nobody tells the scale: sizes are a guess"]
    if any(person.model.name == FREE_BODY_NAME for person in believed.people):
        warnings.append("without an SMPL file people are shown on the free body; its size is fitted to what is seen")
    return {
        **{name: value for name, value in believed.figures.items() if np.isfinite(value)},
        "scale_source": _scale_source(windows),
        "scale_spread_percent": 100 * float(np.std(np.log(world.scale))),
        "statures_m": {str(p.id): float(p.model.stature(p.betas[0].float())) for p in believed.people},
        "windows": len(windows),
        "sampled_frames": len(sampling.rows),
        "working_picture": list(sampling.layout.working),
        "warnings": warnings,
    }


def _join_figures(joins: list[Join]) -> dict[str, float]:
    """How well neighbouring windows agree: distances after the join, in % of the distance from the camera, and how much
    their own scales differ."""
    if not joins:
        return {}
    residual = np.array([step.residual_percent for step in joins])
    ratio = np.array([abs(np.log(step.move.scale)) for step in joins])
    return {
        "join_residual_percent": float(np.median(residual)),
        "join_residual_worst_percent": float(residual.max()),
        "join_scale_worst_percent": 100 * float(ratio.max()),
    }
