"""Depth maps of any tool for frames of a video, out of one folder; docs/depth.md has its layout."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int

from diorama.errors import DioramaError
from diorama.frontends.depth_keyframes import even_keyframes
from diorama.frontends.precomputed.about import About, read_about
from diorama.frontends.precomputed.presets import LAYOUT
from diorama.frontends.precomputed.scene import read_depth
from diorama.frontends.precomputed.timeline import Timeline
from diorama.observations import Depth, ObservedCameras, Source, Tracks
from diorama.video import Video

logger = logging.getLogger(__name__)
# A focal length that differs by more than this share from the cameras' is told.
_OTHER_LENS = 0.05


@dataclass(frozen=True)
class DepthFolderConfig:
    """At most `keyframes` maps are read, thinned out (not blurred) to `map_size` px on their longer side."""

    keyframes: int = 12
    map_size: int = 960


def read_depth_folder(
    folder: Path, video: Video, tracks: Tracks | None, cameras: ObservedCameras,
    config: DepthFolderConfig = DepthFolderConfig(), *, keys: Int[np.ndarray, " keys"] | None = None,
) -> Depth:  # fmt: skip
    """Metric depth of some of the frames that have a map in a folder.

    Args:
        folder: in the layout of docs/depth.md.
        video: the shot. Maps of the file's other shots are passed over.
        tracks: people of the shot.
        cameras: whose lens maps without K have.
        config: how many maps are read, how large they become.
        keys: frames in which a map is wanted most: if one or more of them have a map, only those are read.

    Raises:
        DioramaError: a file is damaged or of another picture, maps are not in metres, none is of this shot, or a number
            is beyond the video.
    """
    about = read_about(folder, LAYOUT, "given_depth")
    if not about.flag("metric"):
        raise about.wrong("metric", "is false, but cameras and people are measured in metres", "give depth in metres")
    first = about.value("first_number")
    if isinstance(first, bool) or not isinstance(first, int):
        raise about.wrong("first_number", f"is {first!r}, not a whole number", "use 0, or 1 for pictures from 000001")
    index = np.arange(len(video)) + video.first_frame + first
    timeline = Timeline(video.width, video.height, video.times, index, video.duplicate, True)
    chosen = _chooser(folder, video, first, config.keyframes, keys)
    depth = _thinned(read_depth(folder, timeline, about, cameras, tracks, chosen), config.map_size)
    return replace(depth, source=_told(about, depth, video, cameras))


def _chooser(
    folder: Path, video: Video, first: int, most: int, keys: Int[np.ndarray, " keys"] | None
) -> Callable[[np.ndarray], np.ndarray]:
    """Which of the numbers in the folder are read."""
    total = video.shots[-1][1] if video.shots else video.first_frame + len(video)

    def choose(numbers: Int[np.ndarray, " maps"]) -> np.ndarray:
        frames = numbers - first
        beyond = numbers[(frames < 0) | (frames >= total)]
        if len(beyond):
            what = f"a map of frame {beyond[0]}; the video has {first} to {total - 1 + first}"
            fix = 'number maps as the frames; state "first_number" in about.json (1 for pictures from 000001)'
            raise DioramaError(what, where=folder, fix=fix)
        rows = frames - video.first_frame
        inside = rows[(rows >= 0) & (rows < len(video))]
        if not len(inside):
            raise DioramaError("no depth maps of this shot", where=folder, fix="see docs/depth.md for the layout")
        wanted = inside if keys is None else np.intersect1d(inside, keys)
        return np.isin(rows, even_keyframes(video, wanted if len(wanted) else inside, most))

    return choose


def _thinned(depth: Depth, longest: int) -> Depth:
    """Every so-manyth pixel: the one nearest to the coarser pixel's centre."""
    height, width = depth.depth.shape[1:]
    factor = longest / max(height, width, 1)
    if factor >= 1:
        return depth
    h, w = max(1, round(height * factor)), max(1, round(width * factor))
    y = ((np.arange(h) + 0.5) * height / h).astype(int)[:, None]
    x = ((np.arange(w) + 0.5) * width / w).astype(int)
    K = np.array([w / width, h / height, 1.0])[:, None] * depth.K
    return replace(depth, depth=depth.depth[:, y, x], confidence=depth.confidence[:, y, x], K=K)


def _told(about: About, depth: Depth, video: Video, cameras: ObservedCameras) -> Source:
    """Who made the maps; a lens that is not that of the cameras is told."""
    source = depth.source
    if "source" not in about:
        source = replace(source, frontend="depth folder", model=about.path.parent.name)
    own = depth.K[:, 0, 0] * video.width / depth.depth.shape[2]
    ratio = float(np.median(own / cameras.K[depth.frames, 0, 0]))
    if abs(ratio - 1) < _OTHER_LENS:
        return source
    note = f"the maps' focal length is {ratio:.2f} times the cameras' ({cameras.focal_source})"
    fov = float(np.degrees(2 * np.arctan(video.width / 2 / np.median(own))))
    logger.warning("%s: %s; if the maps are right, give --fov %.1f", about.path.parent, note, fov)
    return replace(source, notes=(*source.notes, note))
