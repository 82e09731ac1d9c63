"""The steps of the main job, one after the other; each is a named file that the next run reuses."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

import diorama
from diorama.errors import DioramaError
from diorama.export.overlay import write_overlay
from diorama.frontends.bodies import BodiesConfig, fit_bodies
from diorama.frontends.cameras import CamerasConfig, SeenCameras, estimate_cameras, given_focal, lens_only
from diorama.frontends.dense import DenseConfig, triangulate_scene
from diorama.frontends.given_depth import (
    GivenDepthConfig,
    SeenDepth,
    observe_given_depth,
    prepare_given_depth,
    seen_depth,
)
from diorama.frontends.mast3r_scene import (
    MASt3RSceneConfig,
    observe_mast3r_focal,
    observe_mast3r_scene,
    prepare_mast3r_scene,
)
from diorama.frontends.people import PeopleConfig, track_people
from diorama.frontends.scene_source import SceneSource
from diorama.methods.josh.chained import with_chained_cameras
from diorama.methods.josh.checked import checked
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.methods.josh3r.method import Josh3rConfig, reconstruct_josh3r
from diorama.methods.josh3r.sizes import SizesConfig
from diorama.methods.josh3r.weights import WeightsConfig as Josh3rWeights
from diorama.methods.placing import PlacingConfig
from diorama.methods.scale import ScaleConfig
from diorama.methods.share.config import ShareConfig
from diorama.methods.share.method import reconstruct_share
from diorama.methods.share.size_config import SizeConfig
from diorama.methods.unish.method import UnishConfig, reconstruct_unish
from diorama.methods.unish.weights import WeightsConfig
from diorama.models import MODELS
from diorama.networks.named_weights import stamp_of
from diorama.observations import Bodies, Depth, Matches, Observations, ObservedCameras, Source, Tracks
from diorama.quality import draw_card, quality_card
from diorama.reconstruct.options import Options
from diorama.reconstruct.plan import Plan, phases_of, with_given_depth
from diorama.reconstruct.preflight import set_threads, thread_count
from diorama.reconstruct.store import StepStore
from diorama.reconstruct.take import SCAN, scan_key
from diorama.reconstruction import ARRAYS, DEPTH, TREE, Reconstruction, load
from diorama.records import flatten, load_record, save_record
from diorama.video import Video

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
CARD, OVERLAY = "quality.png", "overlay.mp4"

# What is seen, in which order, before the method believes anything; networks of its own see for themselves.
_EMBEDDED = ("tracks", "cameras", "depth", "bodies")
_OBSERVED = {
    "unish": ("tracks",),
    "josh3r": ("tracks", "lens", "bodies"),
    "scene": ("tracks", "scene", "bodies"),
}
# Which of these steps each reads, where they are there; what is not named here cannot invalidate it.
_READS = {
    "tracks": ("scan",),
    "lens": ("scan", "tracks"),
    "cameras": ("scan", "tracks"),
    "depth": ("scan", "tracks", "cameras"),
    "scene": ("scan", "tracks"),
    "bodies": ("scan", "tracks", "lens", "cameras", "scene"),
}


def needs_of(route: str) -> dict[str, tuple[str, ...]]:
    """The steps of a job with this route (`Options.route`), and what each reads."""
    every = ("scan", *_OBSERVED.get(route, _EMBEDDED))
    needs = {step: tuple(need for need in _READS[step] if need in every) for step in every[1:]}
    return {**needs, "method": every, "result": (*every, "method"), "overlay": ("scan", "method")}


@dataclass(frozen=True)
class LensConfig:
    """The lens alone: what the user says of it, else what MASt3R sees."""

    cameras: CamerasConfig
    network: MASt3RSceneConfig


@dataclass(frozen=True)
class DepthConfig:
    """The scene of a travelling camera, and where metric depth is given from, if it is."""

    scene: DenseConfig = field(default_factory=DenseConfig)
    given: GivenDepthConfig | None = None


def configs_of(options: Options, given: GivenDepthConfig | None = None) -> dict[str, Any]:
    """The configuration of every step that the user's options ask for; `given` is the depth of `options.depth`."""
    cameras = CamerasConfig(focal=options.focal, fov=options.fov)
    own: dict[str, dict[str, Any]] = {}
    if options.chosen_method == "josh3r" and options.weights is not None:
        source = SceneSource(options.weights, "--weights ")
        own["josh3r"] = {"lens": LensConfig(cameras, MASt3RSceneConfig(source, stamp_of(options.weights)))}
    if options.scene is not None:
        own["scene"] = {"scene": prepare_mast3r_scene(options.scene)}
    return {
        "tracks": PeopleConfig(threads=thread_count()),
        **own.get(options.route, {}),
        "cameras": cameras,
        "depth": DepthConfig(given=given),
        "bodies": BodiesConfig(),
        "method": _method_config(options),
        "result": {},
        "overlay": {},
    }


@dataclass(frozen=True)
class AutoConfig:
    """Of both methods among which the camera decides."""

    josh: JoshConfig
    share: ShareConfig


def _method_config(options: Options) -> JoshConfig | UnishConfig | ShareConfig | Josh3rConfig | AutoConfig:
    stature = dict(options.stature)
    share = ShareConfig(sizes=SizeConfig(told=stature))
    if options.chosen_method == "josh3r":
        assert options.weights is not None
        weights = Josh3rWeights(options.weights, stamp=stamp_of(options.weights))
        return Josh3rConfig(weights, sizes=SizesConfig(stature))
    if options.chosen_method == "unish":
        assert options.weights is not None
        return UnishConfig(WeightsConfig(options.weights, stamp=stamp_of(options.weights)), stature=stature)
    josh = JoshConfig(placing=PlacingConfig(scale=ScaleConfig(stature=stature)))
    choices = {"josh": josh, "share": share, "auto": AutoConfig(josh, share)}
    return choices[options.chosen_method]


def _with_focal(configs: dict[str, Any], focal: float | None) -> dict[str, Any]:
    """Networks of scenes are told a known focal length themselves, since nobody estimates cameras before them."""
    method = configs["method"]
    if "scene" in configs:
        return {**configs, "scene": dataclasses.replace(configs["scene"], focal=focal)}
    if not isinstance(method, UnishConfig):
        return configs
    weights = dataclasses.replace(method.weights, focal=focal)
    return {**configs, "method": dataclasses.replace(method, weights=weights)}


@dataclass
class Job:
    """One run: the video, the configurations, the finished steps, and how long each took."""

    video: Video
    method: str
    route: str
    configs: dict[str, Any]
    store: StepStore
    plan: Plan
    seconds: dict[str, float] = field(default_factory=dict)

    def step(self, name: str, kind: type, compute: Callable[[], Result]) -> Result:
        """The result of a step: read if it is finished, else computed and kept."""
        if self.store.folder is None:
            return self._timed(name, compute)
        key = self.store.key(name, self.configs[name], needs_of(self.route)[name])
        if finished := self.store.find(name, key):
            self.seconds[name] = finished.seconds
            logger.info("%s", self.plan.reused_line(name))
            return load_record(kind, self.store.path(name))
        self.store.begin(name)
        result = self._timed(name, compute)
        save_record(result, self.store.path(name))
        self.store.record(name, key, self.seconds[name], (self.store.path(name),))
        # Read back, so that a first run and a resumed one go on from the same numbers.
        return load_record(kind, self.store.path(name))

    def files_step(self, name: str, compute: Callable[[], tuple[Path, ...]]) -> None:
        """A step whose result is files of the output folder; skipped if they are whole and of the same key."""
        key = self.store.key(name, self.configs[name], needs_of(self.route)[name])
        if finished := self.store.find(name, key):
            self.seconds[name] = finished.seconds
            logger.info("%s", self.plan.reused_line(name))
            return
        self.store.begin(name)
        files = self._timed(name, compute)
        self.store.record(name, key, self.seconds[name], files)

    def _timed(self, name: str, compute: Callable[[], Result]) -> Result:
        logger.info("%s", self.plan.begin_line(name))
        began = time.monotonic()
        result = compute()
        self.seconds[name] = round(time.monotonic() - began, 2)
        logger.info("%s", self.plan.end_line(name, self.seconds[name]))
        return result


def finished_steps(store: StepStore, configs: dict[str, Any], route: str) -> frozenset[str]:
    """The steps that a run with these configurations will reuse."""
    done: set[str] = {SCAN} if SCAN in store.contents else set()
    for name, needs in needs_of(route).items():
        if set(needs) <= done and store.find(name, store.key(name, configs[name], needs)):
            done.add(name)
    return frozenset(done)


def run(video: Video, options: Options, store: StepStore, *, progress: bool = True) -> Reconstruction:
    """All steps for a video that has been opened and an output folder that has been checked; see `reconstruct`."""
    given = None if options.depth is None else prepare_given_depth(options.depth)
    configs = configs_of(options, given)
    # An absurd focal length is refused now, not after the people have been tracked.
    configs = _with_focal(configs, given_focal(video, configs["cameras"]))
    route = options.route
    phases = tuple(p for p in phases_of(route) if p.name != "overlay" or (options.overlay and store.folder))
    phases = tuple(with_given_depth(p, given) if p.name == "depth" and given else p for p in phases)
    plan = Plan(video, MODELS, finished_steps(store, configs, route), phases)
    logger.info("%s", plan.text())
    if not plan.all_reused:
        prepare_models(plan)
        set_threads()
    if store.folder is not None:
        store.clear_temporaries()
        if SCAN not in store.contents:
            _keep_scan(video, options, store)
    job = Job(video, options.chosen_method, route, configs, store, plan)
    observations = observe(job, progress=progress)
    _warn_of_strangers(options, observations)
    believed = job.step(
        "method", Reconstruction, lambda: run_method(job.method, video, observations, configs["method"])
    )
    if store.folder is None:
        return with_card(believed, observations, job)
    folder = store.folder
    job.files_step("result", lambda: write_result(believed, observations, job, folder))
    result = load(folder)
    if options.overlay:
        job.files_step("overlay", lambda: (write_overlay(video, result, folder / OVERLAY, progress=progress),))
    return result


def _warn_of_strangers(options: Options, observations: Observations) -> None:
    ids = [track.id for track in observations.tracks.people] if observations.tracks else []
    for id in set(options.stature) - set(ids):
        logger.warning("the height of person %d is not used: the people found are %s", id, ids)


def prepare_models(plan: Plan) -> None:
    """Fetch the models that are not here and check the others, before anything is written into the output folder.

    Raises:
        DioramaError: no network, or a damaged file.
    """
    for model in plan.models:
        model.prepare(None)


def _keep_scan(video: Video, options: Options, store: StepStore) -> None:
    if store.exists(SCAN):
        logger.warning("%s holds the result of another video or shot, which is replaced", store.folder)
    store.begin(SCAN)
    # Without the folder, so that a moved video is still the same video.
    save_record(dataclasses.replace(video, path=Path(video.path.name)), store.path(SCAN))
    store.record(SCAN, scan_key(video.path, options.shot, store), 0.0, (store.path(SCAN),))


def observe(job: Job, *, progress: bool) -> Observations:
    """What is seen in the video: people, cameras with matches, scene, bodies in front of the cameras."""
    video = job.video
    tracks = job.step("tracks", Tracks, lambda: track_people(video, job.configs["tracks"], progress=progress))
    frame_index = np.arange(len(video)) + video.first_frame
    seen = Observations(video.width, video.height, video.times, frame_index, video.duplicate, tracks=tracks)
    steps = needs_of(job.route)
    if "bodies" not in steps:
        return seen
    if "lens" in steps:
        lens = job.step("lens", ObservedCameras, lambda: _lens(job, tracks))
        return _with_bodies(job, dataclasses.replace(seen, cameras=lens), progress=progress)
    if "scene" in steps:
        scene = job.step("scene", SeenScene, lambda: _scene(job, seen, progress=progress))
        logger.info("camera: %s, focal length %s", scene.cameras.kind, scene.cameras.focal_source)
        return _with_bodies(
            job, dataclasses.replace(seen, **{name: getattr(scene, name) for name in _OF_SCENE}), progress=progress
        )
    filmed = job.step(
        "cameras", SeenCameras, lambda: estimate_cameras(video, tracks, job.configs["cameras"], progress=progress)
    )
    logger.info("camera: %s, focal length %s", filmed.cameras.kind, filmed.cameras.focal_source)
    depth = job.step("depth", SeenDepth, lambda: _depth(job, tracks, filmed, progress=progress))
    seen = dataclasses.replace(
        seen, depth=depth.depth, matches=filmed.matches, cameras=filmed.cameras, depth_prior=depth.prior
    )
    return _with_bodies(job, seen, progress=progress)


def _with_bodies(job: Job, seen: Observations, *, progress: bool) -> Observations:
    bodies = job.step("bodies", Bodies, lambda: fit_bodies(seen, job.configs["bodies"], progress=progress))
    return dataclasses.replace(seen, bodies=bodies)


def _lens(job: Job, tracks: Tracks) -> ObservedCameras:
    config: LensConfig = job.configs["lens"]
    told = given_focal(job.video, config.cameras) is not None
    found = None if told else observe_mast3r_focal(job.video, tracks, config.network)
    return lens_only(job.video, config.cameras, found)


@dataclass(frozen=True)
class SeenScene:
    """What a network of scenes saw: depth and matches of keyframes, and the cameras chained from them."""

    depth: Depth
    matches: Matches | None
    cameras: ObservedCameras


_OF_SCENE = ("depth", "matches", "cameras")


def _scene(job: Job, seen: Observations, *, progress: bool) -> SeenScene:
    found = observe_mast3r_scene(job.video, seen.tracks, job.configs["scene"], progress=progress)
    try:
        chained = with_chained_cameras(checked(dataclasses.replace(seen, depth=found.depth, matches=found.matches)))
    except DioramaError as error:
        fix = "leave it out: the embedded front ends may find the cameras"
        raise DioramaError(
            "no two keyframes fit together", where=job.configs["scene"].source.option, fix=fix
        ) from error
    assert chained.cameras is not None
    cameras = dataclasses.replace(chained.cameras, focal_source=found.focal_source)
    return SeenScene(chained.depth or found.depth, chained.matches, cameras)


def _depth(job: Job, tracks: Tracks, filmed: SeenCameras, *, progress: bool) -> SeenDepth:
    """The dense scene, where the camera's motion shows it, and the depth that was asked for."""
    config, video, cameras = job.configs["depth"], job.video, filmed.cameras
    scene = None
    if cameras.kind == "translating":
        scene = triangulate_scene(video, tracks, cameras, config.scene, matches=filmed.matches, progress=progress)
    if config.given is None:
        return SeenDepth(scene)
    keys = scene.frames if scene is not None and len(scene.frames) else None
    return seen_depth(scene, observe_given_depth(video, tracks, cameras, config.given, keys=keys, progress=progress))


def run_method(method: str, video: Video | None, observations: Observations, config: Any) -> Reconstruction:
    """From observations to belief."""
    if method == "josh":
        return reconstruct_josh(video, observations, config)
    if method == "share":
        return reconstruct_share(video, observations, config)
    if method == "unish":
        return reconstruct_unish(video, observations, config)
    if method == "josh3r":
        return reconstruct_josh3r(video, observations, config)
    if method == "auto":
        return _by_camera(video, observations, config)
    raise ValueError(f"{method} is in METHODS but not here")


def _by_camera(video: Video | None, observations: Observations, config: AutoConfig) -> Reconstruction:
    """SHARE for a camera that stands still where there is metric depth, JOSH for all others; the card says why."""
    cameras, depth = observations.cameras, observations.depth
    metric = depth is not None and depth.metric and len(depth.frames) > 0
    if cameras is not None and cameras.kind == "static" and metric:
        found = reconstruct_share(video, observations, config.share)
        why = "SHARE: the camera stands still and there is metric depth"
    else:
        found = reconstruct_josh(video, observations, config.josh)
        kind = cameras.kind if cameras is not None else "unknown"
        why = f"JOSH: the camera is {kind}" if kind != "static" else "JOSH: there is no metric depth"
    logger.info("method: %s", why)
    return found.replace(quality={**found.quality, "method_choice": why})


def reconstruct_from_observations(
    observations: Observations, *, method: str = "auto", stature: Mapping[int, float] | None = None
) -> Reconstruction:
    """Only the last part of the job, for observations that are there already (read from `steps/`, or simulated).

    Raises:
        DioramaError: no such method, or an impossible stature.
    """
    options = Options(method=method, stature=dict(stature or {}))
    return run_method(options.chosen_method, None, observations, configs_of(options)["method"])


def with_card(believed: Reconstruction, observations: Observations, job: Job) -> Reconstruction:
    """The reconstruction with its quality card, and with where it came from."""
    video = job.video
    origin = {
        "diorama": diorama.__version__,
        "method": believed.provenance.get("method", job.method),
        "video": {
            "name": video.path.name,
            "path": str(video.path.absolute()),
            "sha256": video.digest,
            "shot": video.shot,
            "frames": len(video),
        },
        "models": [*(model.credit() for model in MODELS), *_credits(observations), *_weights_of(believed)],
        "config": flatten(job.configs, "config", {}),
    }
    card = {**believed.quality, **quality_card(believed, observations, job.seconds)}
    told = observations.cameras.warnings if observations.cameras else ()
    card["warnings"] = list(dict.fromkeys([*video.warnings, *told, *card.get("warnings", [])]))
    return believed.replace(quality=card, provenance={**believed.provenance, **origin})


def _weights_of(believed: Reconstruction) -> list[dict[str, Any]]:
    """What a method with networks of its own says of their weights."""
    weights = believed.provenance.get("weights") or []
    return [weights] if isinstance(weights, dict) else list(weights)


def _credits(observations: Observations) -> list[dict[str, Any]]:
    """Models that depth was made with outside the table of models."""
    sources: list[Source] = [
        d.source for d in (observations.depth, observations.depth_prior) if d is not None and d.metric
    ]
    return [{"name": s.frontend, "licence": s.licence, "source": s.model, "notes": list(s.notes)} for s in sources]


def write_result(believed: Reconstruction, observations: Observations, job: Job, folder: Path) -> tuple[Path, ...]:
    """Save the reconstruction and its quality card; what an earlier run with other options left is taken away first."""
    for stale in (TREE, CARD, OVERLAY):
        (folder / stale).unlink(missing_ok=True)
    result = with_card(believed, observations, job)
    draw_card(result, result.quality, folder / CARD, observations)
    result.save(folder)
    return tuple(folder / name for name in (ARRAYS, DEPTH, TREE, CARD))
