"""Cameras of a travelling shot: keyframes, maps of its segments, registration of the rest, one joined world."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.frontends.background_tracks import BackgroundTracks
from diorama.frontends.keyframes import KeyframeConfig, choose_keyframes, split_segments
from diorama.frontends.lens_certainty import focal_certainty
from diorama.frontends.map_matches import MapMatchConfig, map_matches
from diorama.frontends.mapping import Lens, MappingConfig, map_segment
from diorama.frontends.mapping_segments import JoinedMap, MappedSegment, disagreement, join_segments
from diorama.frontends.registration import RegistrationConfig, register_between
from diorama.geometry.transforms import interpolate_rigid
from diorama.observations import Matches, Tracks
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TravelConfig:
    """Keyframes, mapping, matches and registration of a travelling shot.

    Segments are joined if their shared cameras are at most `max_disagreement` apart (of the depth seen, or radians).
    A recovered focal whose standard deviation is above `max_focal_sigma` (relative) is reported in a warning.
    """

    keyframes: KeyframeConfig = field(default_factory=KeyframeConfig)
    mapping: MappingConfig = field(default_factory=MappingConfig)
    registration: RegistrationConfig = field(default_factory=RegistrationConfig)
    matches: MapMatchConfig = field(default_factory=MapMatchConfig)
    max_focal_sigma: float = 0.03
    max_disagreement: float = 0.02


@dataclass(frozen=True)
class TravelledPath:
    """Poses of all F rows in a world of its own; focal and matches in px of the source picture; residuals in working px."""

    T_world_camera: Float[np.ndarray, "frames 4 4"]
    registered: Bool[np.ndarray, " frames"]
    focal: float
    k1: float
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    matches: Matches
    reprojection_px: float
    evidence: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def follow_path(
    video: Video, tracks: Tracks | None, background: BackgroundTracks, config: TravelConfig, lens: Lens | None = None
) -> TravelledPath | None:
    """Map the shot; None if that gave no believable model (then the caller must make a weaker claim)."""
    keys = choose_keyframes(background, config.keyframes)
    mapped: dict[int, MappedSegment] = {}
    segments = split_segments(keys, config.keyframes)
    for round_ in range(2):  # the second round tries again what failed before another segment had told the lens
        missing = [number for number in range(len(segments)) if number not in mapped]
        for number in missing if round_ == 0 or mapped else ():
            found = map_segment(video, tracks, segments[number], config.mapping, lens)
            if found is not None:
                mapped[number] = MappedSegment(found, register_between(video, found, config.registration))
                lens = Lens(found.focal / max(found.size), found.k1, fixed=True, fixed_k1=True)
    runs = _joinable([mapped[number] for number in sorted(mapped)], config.max_disagreement)
    best = max(runs, key=lambda run: sum(len(segment.poses.rows) for segment in run), default=[])
    return _assemble(video, best, join_segments(best), len(keys), config) if best else None


def _joinable(segments: list[MappedSegment], most: float) -> list[list[MappedSegment]]:
    """Segments grouped so that neighbours in a group share frames and agree about the cameras there."""
    runs: list[list[MappedSegment]] = []
    for segment in segments:
        before = runs[-1][-1] if runs else None
        overlapping = before is not None and segment.found.rows[0] <= before.found.rows[-1]
        if before is not None and overlapping and disagreement(before, segment) <= most:
            runs[-1].append(segment)
        else:
            runs.append([segment])
    return runs


def _assemble(
    video: Video, segments: list[MappedSegment], joined: JoinedMap, keys: int, config: TravelConfig
) -> TravelledPath:
    """All rows of the shot; rows outside the map, or not registered, get interpolated (at the ends: held) poses."""
    registered = np.zeros(len(video), bool)
    registered[joined.rows] = joined.registered
    good = joined.registered
    Ts = interpolate_rigid(
        np.arange(len(video), dtype=float), joined.rows[good].astype(float), joined.T_world_camera[good]
    )
    first = segments[0].found
    sigma = focal_certainty(first)
    weights = [len(segment.found.seen_xy) for segment in segments]
    keyframe_px = float(np.average([segment.found.reprojection_px for segment in segments], weights=weights))
    mapped = np.concatenate([segment.found.rows for segment in segments])
    between = np.setdiff1d(joined.rows[good], mapped)
    between_px = float(np.nanmedian(joined.residual_px[between - joined.rows[0]])) if len(between) else float("nan")
    evidence = {
        "keyframes": float(keys),
        "keyframes_mapped": float(len(np.unique(mapped))),
        "segments": float(len(segments)),
        "registered_share": float(registered.mean()),
        "focal_widths": first.focal / max(first.size),
        "focal_sigma_share": sigma,
        "sparse_points": float(len(joined.points)),
        "keyframe_reprojection_px": keyframe_px,
        "between_residual_px": between_px,
        "reprojection_picture_px": float(max(first.size)),
    }
    matches = map_matches([segment.found for segment in segments], (video.width, video.height), config.matches)
    warnings = []
    if sigma > config.max_focal_sigma:
        warnings.append(f"focal is weakly determined by this motion: +-{100 * sigma:.0f} %")
    if not registered.all():
        warnings.append(f"{int((~registered).sum())} of {len(video)} frames could not be registered; interpolated")
    return TravelledPath(
        Ts, registered, first.focal * max(video.width, video.height) / max(first.size), first.k1, joined.points,
        joined.colors, matches, keyframe_px, evidence, tuple(warnings),
    )  # fmt: skip
