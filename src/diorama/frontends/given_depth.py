"""Metric depth that the user asked for: `--depth`, by a network on keyframes or out of a folder, whatever the camera does."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from diorama.assets import sha256_of
from diorama.errors import DioramaError
from diorama.frontends.depth_folder import DepthFolderConfig, read_depth_folder
from diorama.frontends.depth_source import DepthSource, parse_depth_source
from diorama.frontends.moge_depth import MoGeDepthConfig, predict_depth
from diorama.frontends.precomputed.scene import points_of_maps
from diorama.networks.moge_files import how_to_get_moge
from diorama.networks.pretrained import LoadOptions, located
from diorama.observations import Depth, ObservedCameras, Tracks
from diorama.progress import progress_bar
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeenDepth:
    """Depth of a shot: the scene, and a second, metric depth of keyframes where the first one comes from the cameras."""

    depth: Depth | None = None
    prior: Depth | None = None


@dataclass(frozen=True)
class GivenDepthConfig:
    """Where depth comes from and how it is read; `file` is the source on this machine, `digest` that of its content."""

    source: DepthSource
    file: str
    digest: str
    folder: DepthFolderConfig = field(default_factory=DepthFolderConfig)
    moge: MoGeDepthConfig = field(default_factory=MoGeDepthConfig)


def prepare_given_depth(word: str) -> GivenDepthConfig:
    """Find what `--depth` names, fetch it if it is on the hub, and take the hash of its content.

    Raises:
        DioramaError: no such folder; no such weights, with how to get them, their size and licence.
    """
    source = parse_depth_source(word)
    if source.kind == "folder":
        return GivenDepthConfig(source, source.place, _digest_of_folder(Path(source.place)))
    try:
        weights, _ = located(source.place, LoadOptions())
    except DioramaError as error:
        raise DioramaError(error.what, where=source.option, fix=how_to_get_moge()) from error
    if not weights.is_file():
        raise DioramaError("no such weights", where=source.option, fix=how_to_get_moge())
    return GivenDepthConfig(source, str(weights), sha256_of(weights))


def _digest_of_folder(folder: Path) -> str:
    """One digest of all files directly in a folder."""
    every = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        every.update(f"{path.name} {sha256_of(path)}\n".encode())
    return every.hexdigest()


def observe_given_depth(
    video: Video, tracks: Tracks | None, cameras: ObservedCameras, config: GivenDepthConfig, *,
    keys: Int[np.ndarray, " keys"] | None = None, progress: bool = True,
) -> Depth:  # fmt: skip
    """Metric depth at keyframes; with points of the scene (in metres) where the camera does not travel.

    Args:
        video: the shot.
        tracks: people, who give no points of the scene.
        cameras: their focal lengths are given to the network; maps of a folder without K have that of their camera.
        config: where depth comes from.
        keys: frames in which depth is wanted, such as those of a triangulated scene; without them frames are chosen
            evenly over the shot, its first and last among them.
        progress: show a progress bar.

    Raises:
        DioramaError: weights or maps cannot be used.
    """
    if config.source.kind == "folder":
        depth = read_depth_folder(Path(config.file), video, tracks, cameras, config.folder, keys=keys)
    else:
        depth = predict_depth(video, cameras, Path(config.file), config.moge, keys=keys, progress=progress)
    if cameras.kind == "translating" or not len(depth.frames):
        # Cameras that travel are not in metres, so that the maps' points would not meet.
        return depth
    pictures = pictures_of_maps(video, depth, progress=progress)
    size = (video.width, video.height)
    points, colors, trust = points_of_maps(
        depth.frames, depth.depth, depth.confidence, depth.K, cameras, tracks, size, pictures
    )
    return replace(depth, points=points, colors=colors, points_confidence=trust)


def pictures_of_maps(video: Video, depth: Depth, *, progress: bool = True) -> UInt8[np.ndarray, "maps height width 3"]:
    """The pictures of the frames that have maps, in the maps' size."""
    size = depth.depth.shape[2], depth.depth.shape[1]
    first, last = int(depth.frames[0]), int(depth.frames[-1])
    frames = video.frames(first, last + 1, max_size=2 * max(size))
    wanted, found = set(depth.frames.tolist()), []
    for row, picture in progress_bar(frames, desc="colours", total=last + 1 - first, show=progress):
        if row in wanted:
            found.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return np.stack(found)


def seen_depth(triangulated: Depth | None, given: Depth) -> SeenDepth:
    """A triangulated scene stays the depth, and the given one checks it; else the given one is the depth."""
    if triangulated is not None and len(triangulated.frames):
        return SeenDepth(triangulated, given)
    return SeenDepth(given)
