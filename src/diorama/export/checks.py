"""What keeps a result from being written: said in one line before anything is written."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool

from diorama.errors import DioramaError
from diorama.export.skin import shaped_person
from diorama.reconstruction import Person, Reconstruction


def check_result(reconstruction: Reconstruction) -> None:
    """Frames, cameras and people are there and finite.

    Raises:
        DioramaError: no frames, or a camera or a person that is not finite, with the frames concerned.
    """
    if not len(reconstruction):
        raise DioramaError("the result has no frames", where="export", fix="run reconstruct again")
    if not np.isfinite(reconstruction.times).all():
        raise DioramaError("times are not finite", where="export", fix="run reconstruct again")
    cameras = reconstruction.cameras
    rows = np.arange(len(reconstruction))
    _finite("cameras", rows, cameras.K, cameras.T_world_camera, cameras.distortion)
    for person in reconstruction.people:
        _check_person(person)


def _check_person(person: Person) -> None:
    name = f"person {person.id}"
    _finite(
        name, person.frames, person.global_orient, person.body_pose, person.transl, person.joints_world, person.contacts
    )
    if not np.isfinite(person.betas).all():
        raise DioramaError("the shape is not finite", where=name, fix="run reconstruct again")
    if (np.diff(person.frames) <= 0).any():
        raise DioramaError("frames are not in order", where=name, fix="run reconstruct again")


def _finite(name: str, frames: np.ndarray, *arrays: np.ndarray) -> None:
    """All rows of all arrays are finite."""
    bad = np.zeros(len(frames), bool)
    for array in arrays:
        bad |= ~np.isfinite(array).all(axis=tuple(range(1, array.ndim)))
    if bad.any():
        raise DioramaError(f"not finite in {_spans(frames[bad])}", where=name, fix="run reconstruct again")


def _spans(frames: np.ndarray) -> str:
    """ "frame 4", "frames 3-7, 12 and more"."""
    cuts = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    words = [f"{cut[0]}-{cut[-1]}" if len(cut) > 1 else str(cut[0]) for cut in cuts]
    more = " and more" if len(words) > 3 else ""
    return f"{'frames' if len(frames) > 1 else 'frame'} {', '.join(words[:3])}{more}"


def has_people(reconstruction: Reconstruction) -> bool:
    """Whether anybody is in the result."""
    return any(len(person.frames) for person in reconstruction.people)


def known_points(reconstruction: Reconstruction) -> Bool[np.ndarray, " points"]:
    """Which scene points are finite; the others mean "unknown" and are left out of every file."""
    return np.asarray(np.isfinite(reconstruction.scene.points_world).all(axis=1))


def missing_body(reconstruction: Reconstruction) -> DioramaError | None:
    """What is wrong with the body models of the people, None if all are here."""
    try:
        for person in reconstruction.people:
            shaped_person(person)
    except DioramaError as error:
        return error
    return None
