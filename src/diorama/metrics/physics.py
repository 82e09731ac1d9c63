"""Does a body obey the ground? Sliding while in contact, floating off the scene, sinking; metres in, world +Z up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike
from scipy.spatial import KDTree

from diorama.geometry.arrays import as_flags, as_float64
from diorama.metrics.contacts import still_points
from diorama.metrics.inputs import checked, checked_pair


def foot_slide(
    pred_feet: ArrayLike, target_feet: ArrayLike, threshold: float = 0.01
) -> Float[np.ndarray, " contact_pairs"]:
    """FS, mm per (step, point) at which the *true* point moves by less than `threshold` m: |p_{t+1} - p_t|.

    Pairs are in the order of the mask (steps, points), time first; there are none if the truth never stands still. No
    smoothing, height test or alignment. The papers average over all pairs of all sequences together.

    Source: WHAM, GVHMR, JOSH (Tables 1, 2, 6, 7), one function. TRAM's code has none.

    Args:
        pred_feet, target_feet: (frames, points, 3): SMPL vertices 3216, 3387 (left), 6617, 6787 (right); for other bodies
            the heel and toe contact sites.
    """
    p, t = checked_pair(pred_feet, target_feet, "frames points 3")
    return 1000 * np.linalg.norm(np.diff(p, axis=0), axis=-1)[still_points(t, threshold)]


def foot_slide_by_contacts(feet: ArrayLike, contacts: ArrayLike) -> Float[np.ndarray, " contact_pairs"]:
    """Foot slide by labels, mm: displacement of every site from one frame to the next where it is in contact in both.

    Source: this project; the quality card's foot slide is the median of these.

    Args:
        feet: (frames, sites, 3); rows are consecutive frames.
        contacts: flags (frames, sites).
    """
    points, held = checked(feet, "feet", "frames sites 3"), as_flags(contacts)
    if held.shape != points.shape[:2]:
        raise ValueError(f"contacts have shape {held.shape}, the feet {points.shape[:2]}")
    return 1000 * np.linalg.norm(np.diff(points, axis=0), axis=-1)[held[1:] & held[:-1]]


def foot_floating(
    feet: ArrayLike,
    frames: ArrayLike,
    scene_points: ArrayLike | Sequence[ArrayLike],
    scene_frames: ArrayLike | None = None,
    *,
    threshold: float = 0.20,
    window: int | None = 100,
    score_last: bool = False,
) -> Bool[np.ndarray, " scored"]:
    """FFR: does the body float in a frame, i.e. is the scene farther than `threshold` m from all foot points?

    floating_t = min over foot points and scene points |f - x| > threshold. The distance has no sign: a foot deep in the
    ground floats too, and so does a jump. FFR is 100 times the mean, per sequence, then over sequences.

    Source: JOSH Tables 1, 2, 7: the scene of a frame are the points (conf > 0.1, depth > 0) of the keyframes in the same
    window [0, 100), [100, 200), ... of the video; the last window ends before the person's last frame, which is not
    scored. A frame whose window has no scene point floats.

    Args:
        feet: (frames, points, 3), as `foot_slide`.
        frames: (frames,) increasing indices in the video.
        scene_points: one cloud (P, 3) for all frames; or, with `scene_frames`, one (P_k, 3) per keyframe, empty ones too.
        scene_frames: (keyframes,) indices in the video.
        threshold: metres.
        window: frames; None: every frame sees the points of all keyframes.
        score_last: the last frame counts too.

    Returns:
        One flag per scored frame: all but the last (none for a person of one frame), or all.
    """
    points = checked(feet, "feet", "frames points 3")
    index = _indices(frames, "frames", len(points))
    if (np.diff(index) <= 0).any():
        raise ValueError("frames must increase")
    stop = int(index[-1]) + int(score_last)
    distance = np.full(len(points), np.inf)
    for start, end, cloud in _windows(index, stop, window, *_clouds(scene_points, scene_frames)):
        rows = (index >= start) & (index < end)
        if len(cloud):
            distance[rows] = KDTree(cloud).query(points[rows])[0].min(1)
    return distance[index < stop] > threshold


def _clouds(scene_points: Any, scene_frames: ArrayLike | None) -> tuple:
    """One cloud per keyframe, and the keyframes' indices; None for a single cloud that every frame sees."""
    if scene_frames is None:
        return [checked(scene_points, "scene_points", "points 3")], None
    clouds = [as_float64(cloud) for cloud in scene_points]
    if any(c.ndim != 2 or c.shape[1] != 3 or not np.isfinite(c).all() for c in clouds):
        raise ValueError("scene_points must be one finite array (P, 3) per keyframe")
    if not sum(map(len, clouds)):
        raise ValueError("the scene has no points, so that nothing can be said about floating")
    return clouds, _indices(scene_frames, "scene_frames", len(clouds))


def _windows(
    index: Int[np.ndarray, " frames"],
    stop: int,
    window: int | None,
    clouds: list[Float[np.ndarray, "_ 3"]],
    keyframes: Int[np.ndarray, " keyframes"] | None,
) -> Iterator[tuple[int, int, Float[np.ndarray, "_ 3"]]]:
    """(first frame, end, scene points) of every window with people in it."""
    if keyframes is None or window is None:
        yield int(index[0]), stop, np.concatenate(clouds)
        return
    if window < 1:
        raise ValueError(f"window must be at least 1 frame, not {window}")
    for start in sorted({int(frame) // window * window for frame in index if frame < stop}):
        end = min(start + window, stop)
        inside = [cloud for at, cloud in zip(keyframes, clouds, strict=True) if start <= at < end]
        yield start, end, np.concatenate([np.zeros((0, 3)), *inside])


def _indices(values: ArrayLike, name: str, count: int) -> Int[np.ndarray, " n"]:
    """`count` whole numbers."""
    numbers = as_float64(values)
    if numbers.shape != (count,) or not (np.isfinite(numbers) & (numbers == np.round(numbers))).all():
        raise ValueError(f"{name} must be {count} whole numbers, one per row")
    return numbers.astype(np.int64)


def penetration(points: ArrayLike, floor: ArrayLike = 0.0) -> Float[np.ndarray, " frames"]:
    """Depth in mm of each frame's lowest point below the floor; 0 where nothing sinks.

    Source: this project. Args: points (frames, points, 3); the floor's height in m, one or one per frame.
    """
    return 1000 * np.maximum(-_clearance(points, floor), 0)


def floating(points: ArrayLike, floor: ArrayLike = 0.0) -> Float[np.ndarray, " frames"]:
    """Height in mm of each frame's lowest point above the floor; 0 where something touches it. As `penetration`."""
    return 1000 * np.maximum(_clearance(points, floor), 0)


def _clearance(points: ArrayLike, floor: ArrayLike) -> Float[np.ndarray, " frames"]:
    lowest, height = checked(points, "points", "frames points 3")[..., 2].min(1), as_float64(floor)
    if height.shape not in ((), lowest.shape) or not np.isfinite(height).all():
        raise ValueError(f"floor must be one finite height or one per frame, not of shape {height.shape}")
    return lowest - height
