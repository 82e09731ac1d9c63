"""Cameras of a shot: first judged still, turning or travelling, then solved by the method fit for that.

What is claimed falls back, never forward: if mapping a travelling shot gives no believable model, its cameras are
solved as turning ones, with a warning. Mapping is seeded; run-to-run spread with several threads is in docs/results.md.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

import numpy as np

from diorama.errors import DioramaError
from diorama.frontends.background_tracks import BackgroundTracks, TrackingConfig, track_background
from diorama.frontends.camera_gate import GateConfig, Verdict, judge_camera
from diorama.frontends.mapping import Lens
from diorama.frontends.rotation_cameras import RotationConfig, TurningPath, solve_rotations
from diorama.frontends.travelling_cameras import TravelConfig, TravelledPath, follow_path
from diorama.geometry.cameras import focal_of_fov, intrinsics
from diorama.geometry.transforms import interpolate_rigid, rigid
from diorama.observations import Matches, ObservedCameras, Source, Tracks
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CamerasConfig:
    """`focal` (px of the source video) or `fov` (horizontal, degrees) is the user's word and is not changed."""

    focal: float | None = None
    fov: float | None = None
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    gate: GateConfig = field(default_factory=GateConfig)
    travel: TravelConfig = field(default_factory=TravelConfig)
    rotation: RotationConfig = field(default_factory=RotationConfig)


@dataclass(frozen=True)
class SeenCameras:
    """The cameras of a shot and, where they travel, the matches between the keyframes that were mapped."""

    cameras: ObservedCameras
    matches: Matches | None = None


def estimate_cameras(
    video: Video, tracks: Tracks | None, config: CamerasConfig = CamerasConfig(), *, progress: bool = True
) -> SeenCameras:
    """Kind, lens and pose of the camera in every row, with the evidence, and the matches behind a map.

    `reprojection_px` is in pixels of the working picture (its longer side is in the evidence): the mapper's mean over
    keyframes if travelling, the median misfit if turning.

    Raises:
        DioramaError: both or absurd `focal` and `fov`.
    """
    given = given_focal(video, config)
    background = track_background(video, tracks, config.tracking, progress=progress)
    verdict = judge_camera(background, config.gate)
    logger.debug("camera: %s %s", verdict.kind, verdict.evidence)
    if verdict.kind == "static":
        return SeenCameras(_static(video, verdict, given, config))
    warnings: tuple[str, ...] = ()
    if verdict.kind == "translating":
        lens = None if given is None else Lens(given / max(video.width, video.height), 0.0, fixed=True)
        path = follow_path(video, tracks, background, config.travel, lens)
        if path is not None:
            return SeenCameras(_travelling(video, verdict, path, given), path.matches)
        warnings = ("the camera travels but mapping failed; it is treated as turning on the spot",)
    unit = max(background.size) / max(video.width, video.height)
    turning = solve_rotations(background, config.rotation, None if given is None else given * unit)
    turning = replace(turning, warnings=warnings + turning.warnings)
    return SeenCameras(_turning(video, verdict, turning, unit, background))


def lens_only(video: Video, config: CamerasConfig, found: float | None = None) -> ObservedCameras:
    """Only the lens, for methods that find the motion of the camera themselves: it stands at the origin.

    The focal length is given by the user, else `found` (pixels of the source), else assumed.

    Raises:
        DioramaError: both or absurd `focal` and `fov`.
    """
    given = given_focal(video, config)
    told = () if given or found else ("nothing tells the focal length; it is assumed",)
    still = _static(video, Verdict("static", {"anchor_shift_px": float("nan")}), given or found, config)
    source = "given" if given else "recovered" if found else "assumed"
    lens = Source("lens", notes=("identity",))
    return replace(still, source=lens, focal_source=source, evidence={}, warnings=told)


def given_focal(video: Video, config: CamerasConfig) -> float | None:
    """The focal length in px that the user gave, if any.

    Raises:
        DioramaError: both or absurd `focal` and `fov`.
    """
    if config.focal is not None and config.fov is not None:
        raise DioramaError("both --focal and --fov are given", where="cameras", fix="give one of them")
    if config.fov is not None and not 5 <= config.fov <= 160:
        raise DioramaError(f"a field of view of {config.fov} degrees", where="--fov", fix="give 5 to 160")
    focal = config.focal if config.fov is None else float(focal_of_fov(config.fov, video.width))
    if focal is not None and not 0.1 <= focal / max(video.width, video.height) <= 20:
        raise DioramaError(f"a focal of {focal:.0f} px for {video.width} px", where="--focal", fix="give it in pixels")
    return focal


def _source(notes: tuple[str, ...]) -> Source:
    return Source("camera gate", "pycolmap SIFT mapping" if "mapping" in notes else "", "BSD-3-Clause", notes)


def _static(video: Video, verdict: Verdict, given: float | None, config: CamerasConfig) -> ObservedCameras:
    frames = len(video)
    focal = given or config.rotation.assumed_focal * max(video.width, video.height)
    return ObservedCameras(
        source=_source(("identity",)),
        kind="static",
        focal_source="assumed" if given is None else "given",
        K=np.repeat(intrinsics(focal, video.width, video.height)[None], frames, 0),
        distortion=np.zeros((frames, 1)),
        T_world_camera=np.repeat(np.eye(4)[None], frames, 0),
        registered=np.ones(frames, bool),
        reprojection_px=verdict.evidence["anchor_shift_px"],
        evidence=verdict.evidence,
        warnings=() if given else ("a camera that stands still does not tell its focal; it is assumed",),
    )


def _travelling(video: Video, verdict: Verdict, path: TravelledPath, given: float | None) -> ObservedCameras:
    frames = len(video)
    return ObservedCameras(
        source=_source(("mapping",)),
        kind="translating",
        focal_source="recovered" if given is None else "given",
        K=np.repeat(intrinsics(path.focal, video.width, video.height)[None], frames, 0),
        distortion=np.full((frames, 1), path.k1),
        T_world_camera=path.T_world_camera,
        registered=path.registered,
        points_world=path.points,
        colors=path.colors,
        reprojection_px=path.reprojection_px,
        evidence=verdict.evidence | path.evidence,
        warnings=path.warnings,
    )


def _turning(
    video: Video, verdict: Verdict, path: TurningPath, unit: float, background: BackgroundTracks
) -> ObservedCameras:
    """Rows that were not looked at (duplicates) take the pose of the row before; misfits get interpolated poses."""
    frames = np.arange(len(video))
    before = np.clip(np.searchsorted(path.rows, frames, side="right") - 1, 0, None)
    good = path.registered
    Ts = rigid(path.rotation, np.zeros((len(path.rows), 3)))
    focal = path.focal
    if good.any() and not good.all():
        at = path.rows.astype(float)
        Ts = interpolate_rigid(at, at[good], Ts[good])
        focal = np.interp(at, at[good], focal[good])
    return ObservedCameras(
        source=_source(("rotations",)),
        kind="rotating",
        focal_source=path.focal_source,
        K=np.array([intrinsics(f, video.width, video.height) for f in focal[before] / unit]),
        distortion=np.zeros((len(video), 1)),
        T_world_camera=Ts[before],
        registered=good[before],
        reprojection_px=float(np.nanmedian(path.residual_px)) if good.any() else float("nan"),
        evidence=verdict.evidence | path.evidence | {"reprojection_picture_px": float(max(background.size))},
        warnings=path.warnings,
    )
