"""Depth maps and pixel correspondences of another tool."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.errors import DioramaError
from diorama.frontends.background_mask import people_mask
from diorama.frontends.precomputed.about import About, pixel_shift, pixels_of, scale_to_source
from diorama.frontends.precomputed.cameras import colours_of, matrices_of
from diorama.frontends.precomputed.checked_files import FIX, Arrays, files_of, number_of, read_arrays
from diorama.frontends.precomputed.map_files import KEYFRAME, MAP_SUFFIXES, read_map
from diorama.frontends.precomputed.timeline import Timeline
from diorama.geometry.cameras import focal_of_fov, intrinsics, pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.observations import Depth, Matches, ObservedCameras, Tracks

KEYFRAMES = ("frames", *KEYFRAME)
SCENE_POINTS = ("points", "colors", "confidence")
MATCHES = ("frames_i", "frames_j", "xy_i", "xy_j", "confidence")
# Points taken out of the maps where the tool gives none.
_POINTS = 100_000
# People grown by this share of the longer side give no points: depth there lies between them and the scene.
_MARGIN = 0.012


Pick = Callable[[Int[np.ndarray, " maps"]], Bool[np.ndarray, " maps"]]


def _every(numbers: np.ndarray) -> np.ndarray:
    return np.ones(len(numbers), bool)


def read_depth(
    folder: Path, timeline: Timeline, about: About, cameras: ObservedCameras | None, tracks: Tracks | None,
    pick: Pick = _every,
) -> Depth:  # fmt: skip
    """Depth maps of keyframes, and the scene's points.

    Without `points.npz` the points are taken out of the maps (off the people of `tracks`) if maps and cameras have one
    unit. Without K the maps have that of their frame's camera. `pick` chooses among the frame numbers of the files, in
    ascending order; only the maps that it chooses are read.

    Raises:
        DioramaError: a file is missing or damaged, or contradicts another one.
    """
    single = folder / "depth.npz"
    several = files_of(folder, MAP_SUFFIXES, ("about.json", "depth.npz", "points.npz"))
    if single.exists() and several:
        raise DioramaError(f"both depth.npz and {several[0].name}", where=folder, fix="keep one form")
    if single.exists():
        maps = _one_file(single, timeline, about, pick)
    else:
        maps = _many_files(several, timeline, about, pick)
    frames, depth, confidence, K = maps
    metric = about.flag("metric")
    if about.part == "depth_prior" and not metric:
        raise about.wrong("metric", "is false, but the prior is there for its metres", "give metres, or use depth")
    K = _stated(about, depth) if K is None else K
    K = _of_cameras(folder, frames, depth, timeline, cameras) if K is None else K
    points = _points(folder / "points.npz", about)
    if points is None and cameras is not None and metric == cameras.metric and about.part == "depth":
        size = timeline.width, timeline.height
        points = points_of_maps(frames, depth, confidence, K, cameras, tracks, size)
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    return Depth(about.source(), frames, depth, confidence, K, metric, *(points or nothing))


_Maps = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]


def _one_file(path: Path, timeline: Timeline, about: About, pick: Pick) -> _Maps:
    arrays = read_arrays(path, KEYFRAMES)
    numbers = arrays.integers("frames", None)
    kept = pick(numbers)
    shape, count = arrays.array("depth").shape[1:], len(numbers)
    depth, confidence = _maps(arrays, (count, *(shape if len(shape) == 2 else (None, None))), about)
    _whole_picture(depth, timeline, path)
    K = _shifted(arrays, about) if "K" in arrays else None
    if K is not None and len(K) not in (1, count):
        raise arrays.wrong("K", f"has {len(K)} matrices for {count} maps")
    lenses = None if K is None else np.array(np.broadcast_to(K, (count, 3, 3))[kept])
    return timeline.increasing_rows(numbers[kept], path), depth[kept], confidence[kept], lenses


def _many_files(paths: list[Path], timeline: Timeline, about: About, pick: Pick) -> _Maps:
    numbers = {number_of(path, path.name): path for path in paths}
    if len(numbers) < len(paths):
        raise DioramaError("two maps of one frame", where=paths[0].parent, fix="keep one of them")
    ordered = np.array(sorted(numbers), np.int64)
    ordered = ordered[pick(ordered)]
    depth, confidence, K = [], [], []
    for number in ordered:
        path = numbers[int(number)]
        arrays = read_map(path, about)
        found = _maps(arrays, depth[0].shape if depth else (None, None), about)
        _whole_picture(found[0][None], timeline, path)
        depth.append(found[0])
        confidence.append(found[1])
        K += [_shifted(arrays, about)] if "K" in arrays else []
        if K and len(K) < len(depth):
            raise arrays.wrong("K", "is missing, but other maps have it")
    shape = (len(depth), *(depth[0].shape if depth else (0, 0)))
    rows = timeline.rows(ordered, paths[0] if paths else Path())
    maps = [np.array(stack, np.float32).reshape(shape) for stack in (depth, confidence)]
    lenses = np.concatenate(K) if K else (None if depth else np.zeros((0, 3, 3)))
    return rows, maps[0], maps[1], lenses


def _maps(arrays: Arrays, shape: tuple[int | None, ...], about: About) -> tuple[np.ndarray, np.ndarray]:
    """Depth and its confidence; 1 where depth is known if the tool tells none."""
    depth = arrays.numbers("depth", *shape)
    if not (depth >= 0).all():
        raise arrays.wrong("depth", "is negative", "give depth along the optical axis, 0 where it is not known")
    if "confidence" not in arrays:
        return depth.astype(np.float32), (depth > 0).astype(np.float32)
    confidence = about.confidence(arrays.numbers("confidence", *depth.shape), arrays.path)
    return depth.astype(np.float32), confidence.astype(np.float32)


def _whole_picture(depth: np.ndarray, timeline: Timeline, path: Path) -> None:
    if depth.size:
        scale_to_source((depth.shape[2], depth.shape[1]), timeline, path)


def _shifted(arrays: Arrays, about: About) -> Float[np.ndarray, "n 3 3"]:
    K = matrices_of(arrays).copy()
    K[:, :2, 2] += pixel_shift(about)
    return K


def _stated(about: About, depth: np.ndarray) -> Float[np.ndarray, "n 3 3"] | None:
    """K of all maps out of the field of view that `about.json` states, with a centred principal point."""
    if about.value("fov") is None:
        return None
    fov = about.number("fov")
    if not fov < 180:
        raise about.wrong("fov", f"is {fov:g}", "give horizontal degrees, such as 60")
    count, height, width = depth.shape
    return np.tile(intrinsics(float(focal_of_fov(fov, width)), width, height), (count, 1, 1))


def _of_cameras(
    folder: Path, frames: np.ndarray, depth: np.ndarray, timeline: Timeline, cameras: ObservedCameras | None
) -> Float[np.ndarray, "n 3 3"]:
    if cameras is None:
        raise DioramaError("neither K in the maps nor cameras", where=folder, fix="give K in pixels of the maps")
    scale = np.array([depth.shape[2] / timeline.width, depth.shape[1] / timeline.height, 1.0])
    return scale[:, None] * cameras.K[frames]


_Points = tuple[Float[np.ndarray, "points 3"], UInt8[np.ndarray, "points 3"], Float[np.ndarray, " points"]]


def _points(path: Path, about: About) -> _Points | None:
    if not path.exists():
        return None
    arrays = read_arrays(path, SCENE_POINTS)
    points = arrays.numbers("points", None, 3)
    count = len(points)
    if "confidence" not in arrays:
        return points, colours_of(arrays, count), np.ones(count)
    return points, colours_of(arrays, count), about.confidence(arrays.numbers("confidence", count), path)


def points_of_maps(
    frames: Int[np.ndarray, " maps"],
    depth: Float[np.ndarray, "maps height width"],
    confidence: Float[np.ndarray, "maps height width"],
    K: Float[np.ndarray, "maps 3 3"],
    cameras: ObservedCameras,
    tracks: Tracks | None,
    size: tuple[int, int],
    pictures: UInt8[np.ndarray, "maps height width 3"] | None = None,
) -> _Points:
    """About 100,000 points out of maps: every so-many-th pixel with depth and confidence, off people, in the cameras' world.

    `size` is that of the source picture; colours are those of `pictures`, else grey.
    """
    height, width = depth.shape[1:]
    step = max(1, depth.size // _POINTS)
    points, trust, colours = [np.zeros((0, 3))], [np.zeros(0)], [np.zeros((0, 3), np.uint8)]
    for n, row in enumerate(frames):
        people = people_mask(tracks, int(row), (width, height), size, _MARGIN)
        y, x = np.nonzero((depth[n] > 0) & (confidence[n] > 0) & ~people)
        y, x = y[n % step :: step], x[n % step :: step]
        z = depth[n, y, x].astype(np.float64)
        seen = unproject(pixel_grid(width, height)[y, x], z, K[n], cameras.distortion[row])
        points.append(apply(cameras.T_world_camera[row], seen))
        trust.append(confidence[n, y, x].astype(np.float64))
        colours.append(np.full((len(z), 3), 128, np.uint8) if pictures is None else pictures[n, y, x])
    return np.concatenate(points), np.concatenate(colours), np.concatenate(trust)


def read_matches(folder: Path, timeline: Timeline, about: About) -> Matches:
    """Correspondences in pixels of the source picture.

    Raises:
        DioramaError: the file is missing or damaged, or names frames that the video does not have.
    """
    path = folder / "matches.npz"
    files_of(folder, "", ("about.json", path.name))
    arrays = read_arrays(path, MATCHES)
    first = arrays.integers("frames_i", None)
    count = len(first)
    second = arrays.integers("frames_j", count)
    if (first == second).any():
        raise DioramaError("matches of a frame with itself", where=path, fix=FIX)
    pixels = pixels_of(about, timeline)
    xy_i, xy_j = (pixels.points(arrays.numbers(name, count, 2)) for name in ("xy_i", "xy_j"))
    trust = np.ones(count)
    if "confidence" in arrays:
        trust = about.confidence(arrays.numbers("confidence", count), path)
    return Matches(about.source(), timeline.rows(first, path), timeline.rows(second, path), xy_i, xy_j, trust)
