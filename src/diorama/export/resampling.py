"""Another frame rate: camera and people between frames by interpolation on SE(3) and SO(3); nothing is just dropped.

The new frames start at the first frame's time and are evenly spaced; a last part of a step that no new frame falls into
is cut. A person is there where it was there before: gaps of a track stay gaps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from diorama.export.options import ExportOptions
from diorama.export.skeleton import local_rotations, placed_joints, rest_joints
from diorama.geometry.rotations import resample_rotations
from diorama.geometry.transforms import interpolate_rigid
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene

# Frame times closer than this to an even spacing are evenly spaced, seconds.
EVEN = 1e-6
# Containers round times to milliseconds or finer: a share of a step by which frames may be off their place.
_ROUNDING = 0.1


def at_rate(reconstruction: Reconstruction, options: ExportOptions) -> Reconstruction:
    """The result at the rate that the user asks for; as it is if none is."""
    return reconstruction if options.fps is None else resample(reconstruction, options.fps)


def evenly(reconstruction: Reconstruction, options: ExportOptions) -> tuple[Reconstruction, float]:
    """The result with evenly spaced frames, for formats that know only a rate, and that rate.

    A video with even times keeps its frames; others are resampled at their own median rate.
    """
    fps = options.fps or frame_rate(reconstruction.times)
    if options.fps is None and is_even(reconstruction.times):
        return reconstruction, fps
    return resample(reconstruction, fps), fps


def frame_rate(times: Float[np.ndarray, " frames"]) -> float:
    """Frames per second: by the mean step if times only differ by a clock's rounding, else by the median step; 30 for a
    single frame."""
    if len(times) < 2:
        return 30.0
    mean = float((times[-1] - times[0]) / (len(times) - 1))
    if _unevenness(times) < _ROUNDING * mean:
        return 1 / mean
    return float(1 / np.median(np.diff(times)))


def is_even(times: Float[np.ndarray, " frames"]) -> bool:
    """Whether the frames are evenly spaced."""
    return _unevenness(times) < EVEN


def _unevenness(times: np.ndarray) -> float:
    return float(np.abs(times - np.linspace(times[0], times[-1], len(times))).max())


def even_times(start: float, end: float, fps: float) -> Float[np.ndarray, " frames"]:
    """Evenly spaced times from `start` to `end` at most."""
    return start + np.arange(int((end - start) * fps + 1e-6) + 1) / fps


def resample(reconstruction: Reconstruction, fps: float) -> Reconstruction:
    """The whole result at `fps` frames per second."""
    times = reconstruction.times
    at = even_times(times[0], times[-1], fps)
    nearest = _nearest(times, at)
    people = (resample_person(person, times, at) for person in reconstruction.people)
    return reconstruction.replace(
        times=at,
        frame_index=reconstruction.frame_index[nearest],
        duplicate=reconstruction.duplicate[nearest],
        cameras=_cameras(reconstruction.cameras, times, at),
        people=tuple(people),
        scene=_scene(reconstruction.scene, times, at),
    )


def _cameras(cameras: Cameras, times: np.ndarray, at: np.ndarray) -> Cameras:
    left, right, _ = _neighbours(times, at)
    return dataclasses.replace(
        cameras,
        K=linear(cameras.K, times, at),
        T_world_camera=interpolate_rigid(at, times, cameras.T_world_camera),
        distortion=linear(cameras.distortion, times, at),
        registered=cameras.registered[left] & cameras.registered[right],
    )


def _scene(scene: Scene, times: np.ndarray, at: np.ndarray) -> Scene:
    """Rows that keyframes refer to become the nearest new ones."""
    names = [name for name in ("depth_frames", "people_points_frame") if getattr(scene, name) is not None]
    return dataclasses.replace(scene, **{name: _nearest(at, times[getattr(scene, name)]) for name in names})


def resample_person(person: Person, times: Float[np.ndarray, " frames"], at: Float[np.ndarray, " m"]) -> Person:
    """A person at the times `at`, which become the rows of its `frames`.

    A run of the track that no new frame falls into is shown in the nearest one.
    """
    rows, frames = [np.zeros(0)], [np.zeros(0, int)]
    for run in runs(person, times):
        inside = np.flatnonzero(
            (at > times[person.frames[run[0]]] - EVEN) & (at < times[person.frames[run[-1]]] + EVEN)
        )
        if not len(inside):
            inside = _nearest(at, times[person.frames[run[:1]]])
        # A place in the run, 3.25 = a quarter of the way from its fourth frame to its fifth.
        frames.append(inside)
        rows.append(np.interp(at[inside], times[person.frames[run]], run))
    kept, first = np.unique(np.concatenate(frames), return_index=True)
    return person_at(person, np.concatenate(rows)[first], kept)


def person_at(person: Person, rows: Float[np.ndarray, " m"], frames: Int[np.ndarray, " m"]) -> Person:
    """A person at fractional rows of its arrays; joints follow from the interpolated pose."""
    if not len(person.frames):
        return person
    own = np.arange(len(person.frames), dtype=float)
    pose = np.concatenate([person.global_orient[:, None], person.body_pose], 1).astype(np.float64)
    pose = resample_rotations(pose, own, rows)
    moved = dataclasses.replace(
        person,
        frames=frames,
        global_orient=pose[:, 0],
        body_pose=pose[:, 1:],
        transl=linear(person.transl, own, rows),
        joints_world=linear(person.joints_world, own, rows),
        contacts=linear(person.contacts, own, rows),
        observed=person.observed[np.round(rows).astype(int)],
        confidence=linear(person.confidence, own, rows),
    )
    joints, _ = placed_joints(local_rotations(moved), rest_joints(person), moved.transl)
    return dataclasses.replace(moved, joints_world=joints)


def runs(
    person: Person, times: Float[np.ndarray, " frames"], bridge_seconds: float = 0.0
) -> Iterator[Int[np.ndarray, " rows"]]:
    """Rows of the person's arrays, cut where frames of the track are missing for longer than `bridge_seconds`."""
    if not len(person.frames):
        return
    missing = np.diff(person.frames) > 1
    cuts = np.flatnonzero(missing & (np.diff(times[person.frames]) > bridge_seconds)) + 1
    yield from np.split(np.arange(len(person.frames)), cuts)


def linear(
    values: Float[np.ndarray, "frames ..."], times: Float[np.ndarray, " frames"], at: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m ..."]:
    """Values at the times `at`, linear in between."""
    left, right, share = _neighbours(times, at)
    share = share.reshape(-1, *(1,) * (values.ndim - 1))
    return (1 - share) * values[left] + share * values[right]


def _neighbours(times: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frames before and after each time, and how far it is between them, 0-1; at a frame both are that frame."""
    right = np.clip(np.searchsorted(times, at - EVEN), 0, len(times) - 1)
    left = np.where(times[right] > at + EVEN, np.maximum(right - 1, 0), right)
    span = times[right] - times[left]
    share = np.where(span > 0, (at - times[left]) / np.where(span > 0, span, 1), 0.0)
    return left, right, np.clip(share, 0, 1)


def _nearest(times: np.ndarray, at: np.ndarray) -> np.ndarray:
    left, right, share = _neighbours(times, at)
    return np.where(share < 0.5, left, right)
