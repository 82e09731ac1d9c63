"""Observations that can be worked with: what is missing or not finite is said or left out before anything is solved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.errors import DioramaError
from diorama.observations import (
    Bodies,
    ContactLabels,
    Depth,
    MaskStack,
    Matches,
    Observations,
    ObservedBody,
    ObservedCameras,
    Track,
    Tracks,
)  # fmt: skip

# Frames nearer than this, seconds, count as shown at one time: speeds between them mean nothing.
_AT_ONCE = 1e-3
# No unit makes scenes farther away than this, or as near as one over this.
_FARTHEST = 1e9
# Bodies farther away (metres) or more turned (radians) are nonsense, as are shapes and lenses with such coefficients.
_FAR_BODY, _TURNED, _SHAPED, _BENT = 1e4, 1e3, 1e2, 1e2


def checked(observations: Observations) -> Observations:
    """The same without rows that are not finite or of no frame of the video, and without parts that are empty.

    Rows of bodies, tracks and depth maps are in the order of their frames, each frame once. Cameras may be missing. Times
    grow from frame to frame (`_apart`).

    Raises:
        DioramaError: no frames, times or cameras that are not finite, times that go back, or two bodies with one id.
    """
    count = len(observations.times)
    if not count or not np.isfinite(observations.times).all() or (np.diff(observations.times) < 0).any():
        raise DioramaError(
            "no frames, or times that are not finite or go back", where="observations.times",
            fix="give one time per frame, in order",
        )  # fmt: skip
    cameras = None if observations.cameras is None else _cameras(observations.cameras, count)
    size = (observations.width, observations.height)
    return replace(
        observations,
        times=_apart(observations.times),
        cameras=cameras,
        tracks=_tracks(observations.tracks, count),
        bodies=_bodies(observations.bodies, count),
        matches=_matches(observations.matches, count, max(size)),
        contacts=_contacts(observations.contacts),
        depth=_depth(observations.depth, count, size, cameras),
        depth_prior=_depth(observations.depth_prior, count, size, cameras),
    )


def _apart(times: Float[np.ndarray, " frames"]) -> Float[np.ndarray, " frames"]:
    """Times at which frames of one time are a tenth of the usual step apart."""
    steps = np.diff(times)
    at_once = steps < _AT_ONCE
    if not at_once.any():
        return times
    usual = float(np.median(steps[~at_once])) if (~at_once).any() else 1 / 30
    return times[0] + np.concatenate([[0.0], np.cumsum(np.where(at_once, 0.1 * usual, steps))])


def _cameras(cameras: ObservedCameras, count: int) -> ObservedCameras:
    if len(cameras.T_world_camera) != count:
        raise DioramaError(
            f"{len(cameras.T_world_camera)} cameras for {count} frames", where="observations.cameras",
            fix="give one camera per frame",
        )  # fmt: skip
    good = _are_poses(cameras.T_world_camera) & _are_lenses(cameras.K)
    if not good.any():
        raise DioramaError(
            "no camera is finite and a pose", where="observations.cameras", fix="run the camera front end again"
        )
    if not good.all():
        nearest = np.array([np.flatnonzero(good)[np.abs(np.flatnonzero(good) - n).argmin()] for n in range(len(good))])
        cameras = replace(
            cameras, T_world_camera=cameras.T_world_camera[nearest], K=cameras.K[nearest],
            registered=cameras.registered & good,
        )  # fmt: skip
    if cameras.kind != "translating":
        cameras = replace(cameras, T_world_camera=_in_one_place(cameras.T_world_camera))
    shown = (np.abs(cameras.points_world) < _FARTHEST).all(1)
    mild = np.abs(cameras.distortion) < _BENT
    return replace(
        cameras, distortion=np.where(mild, cameras.distortion, 0.0), points_world=cameras.points_world[shown],
        colors=cameras.colors[shown],
    )  # fmt: skip


def _are_poses(T: Float[np.ndarray, "frames 4 4"]) -> Bool[np.ndarray, " frames"]:
    """Which of them turn and shift, and do nothing else (to a thousandth)."""
    good = np.asarray((np.abs(T) < _FARTHEST).all((1, 2)))
    R = np.where(good[:, None, None], T, 0.0)[:, :3, :3]
    return good & (np.abs(R @ R.mT - np.eye(3)) < 1e-3).all((1, 2)) & (np.linalg.det(R) > 0)


def _are_lenses(K: Float[np.ndarray, "frames 3 3"]) -> Bool[np.ndarray, " frames"]:
    focal = K[:, [0, 1], [0, 1]]
    return np.asarray((np.abs(K) < _FARTHEST).all((1, 2)) & (focal > 1).all(1))


def _in_one_place(T_world_camera: Float[np.ndarray, "frames 4 4"]) -> Float[np.ndarray, "frames 4 4"]:
    """Cameras that only turn, all in the mean place: what is left of their motion has no known unit, and taken for a
    baseline it would tell any depth."""
    out = np.array(T_world_camera, np.float64)
    out[:, :3, 3] = out[:, :3, 3].mean(0)
    return out


def _rows(frames: Int[np.ndarray, " n"], count: int) -> Int[np.ndarray, " kept"]:
    """Rows of the frames of a video, ascending, the first of each frame."""
    _, first = np.unique(frames, return_index=True)
    return first[(frames[first] >= 0) & (frames[first] < count)]


def _all(rows: Int[np.ndarray, " kept"], count: int) -> bool:
    return len(rows) == count and bool((rows == np.arange(count)).all())


def _tracks(tracks: Tracks | None, count: int) -> Tracks | None:
    if tracks is None:
        return None
    people = [_track(track, count) for track in tracks.people]
    return replace(tracks, people=tuple(track for track in people if len(track.frames)))


def _track(track: Track, count: int) -> Track:
    rows = _rows(track.frames, count)
    if _all(rows, len(track.frames)):
        return track
    masks = track.masks
    if masks is not None:
        windows = [(_corners(masks.windows[n]), masks.window(int(n))) for n in rows]
        masks = MaskStack.encode(windows, masks.width, masks.height)
    return replace(
        track, frames=track.frames[rows], boxes=track.boxes[rows], keypoints=track.keypoints[rows], masks=masks,
        keypoints_3d=None if track.keypoints_3d is None else track.keypoints_3d[rows],
        overlap=None if track.overlap is None else track.overlap[rows],
    )  # fmt: skip


def _corners(window: Int[np.ndarray, " 4"]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(x) for x in window)
    return x0, y0, x1, y1


def _depth(depth: Depth | None, count: int, size: tuple[int, int], cameras: ObservedCameras | None) -> Depth | None:
    """Maps in the order of their frames, 0 where depth is no length; a K that is not finite is that of the frame's camera,
    or the others' median."""
    if depth is None:
        return None
    rows = _rows(depth.frames, count)
    if not len(rows) or not depth.depth.size:
        return None
    if not _all(rows, len(depth.frames)):
        names = ("frames", "depth", "confidence", "K")
        depth = replace(depth, **{name: getattr(depth, name)[rows] for name in names})
    shown = (np.abs(depth.points) < _FARTHEST).all(1)
    K = np.asarray(depth.K, np.float64)
    good = _are_lenses(K)
    if not good.all():
        lines, columns = depth.depth.shape[1:]
        scale = np.array([[columns / size[0]], [lines / size[1]], [1.0]])
        other = _diagonal(size) if cameras is None else cameras.K[depth.frames]
        instead = np.median(K[good], 0) if good.any() and cameras is None else scale * other
        K = np.where(good[:, None, None], K, instead)
    known = (depth.depth > 1 / _FARTHEST) & (depth.depth < _FARTHEST)
    maps = depth.depth if known.all() else np.where(known, depth.depth, 0).astype(depth.depth.dtype)
    return replace(
        depth, depth=maps, K=K, points=depth.points[shown], colors=depth.colors[shown],
        points_confidence=np.nan_to_num(depth.points_confidence[shown]),
    )  # fmt: skip


def _diagonal(size: tuple[int, int]) -> Float[np.ndarray, "3 3"]:
    """K of a picture whose focal length nobody knows: the diagonal's length (JOSH, section 3.3)."""
    focal = float(np.hypot(*size))
    return np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1.0]])


def _bodies(bodies: Bodies | None, count: int) -> Bodies | None:
    if bodies is None:
        return None
    ids = [body.id for body in bodies.people]
    if len(set(ids)) != len(ids):
        raise DioramaError(
            f"two bodies with one id: {sorted(ids)}", where="observations.bodies", fix="number people apart"
        )
    people = [finite_rows(_of_rows(body, _rows(body.frames, count))) for body in bodies.people]
    return replace(bodies, people=tuple(body for body in people if len(body.frames)))


def _of_rows(body: ObservedBody, rows: Int[np.ndarray, " n"] | Bool[np.ndarray, " frames"]) -> ObservedBody:
    names = ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return replace(body, **{name: getattr(body, name)[rows] for name in names})


def finite_rows(body: ObservedBody) -> ObservedBody:
    """The rows in which every number of a body is sensible and he is before the camera; a confidence that is no number
    is none."""
    good = np.asarray((np.abs(body.body_pose) < _TURNED).all((1, 2)))
    good &= (np.abs(body.global_orient) < _TURNED).all(1)
    good &= (body.transl[:, 2] > 0.1) & (np.abs(body.transl) < _FAR_BODY).all(1)
    good &= bool((np.abs(body.betas) < _SHAPED).all())
    body = body if good.all() else _of_rows(body, good)
    confidence, residual = (np.where(np.isfinite(a), a, 0.0) for a in (body.confidence, body.residual_px))
    return replace(body, confidence=confidence, residual_px=residual)


def _contacts(labels: ContactLabels | None) -> ContactLabels | None:
    """Probabilities from 0 to 1; what is no number touches nothing."""
    if labels is None or not labels.ids:
        return None
    return replace(labels, probability=tuple(np.clip(np.nan_to_num(p, posinf=0.0), 0, 1) for p in labels.probability))


def _matches(matches: Matches | None, count: int, side: int) -> Matches | None:
    """Matches between two different frames that somebody believes, within ten sides of the picture."""
    if matches is None:
        return None
    frames = (matches.frames_i, matches.frames_j)
    good = frames[0] != frames[1]
    for f, xy in zip(frames, (matches.xy_i, matches.xy_j), strict=True):
        good &= (f >= 0) & (f < count) & (np.abs(xy) < 10 * side).all(1)
    good &= (matches.confidence > 0) & np.isfinite(matches.confidence)
    if not good.any():
        return None
    if good.all():
        return matches
    names = ("frames_i", "frames_j", "xy_i", "xy_j", "confidence")
    return replace(matches, **{name: getattr(matches, name)[good] for name in names})
