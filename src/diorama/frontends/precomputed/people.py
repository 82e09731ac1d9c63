"""Camera-frame bodies of another tool: one npz per person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import About
from diorama.frontends.precomputed.checked_files import Arrays, ids_of_files, nearest_rotations, read_arrays
from diorama.frontends.precomputed.presets import FOCALS
from diorama.frontends.precomputed.timeline import Timeline
from diorama.geometry.rotations import rotvec_of
from diorama.observations import Bodies, ObservedBody, ObservedCameras

BODY = (
    "frames", "body", "gender", "betas", "global_orient", "body_pose", "transl", "focal", "confidence", "residual_px",
)  # fmt: skip
MODELS = ("smpl", "smplh", "smplx", "anny")
GENDERS = ("neutral", "female", "male")
# SMPL-H and SMPL-X have no joints of the hands among those of the body: they stay straight.
_JOINTS = {"smpl": (23,), "smplh": (21, 23), "smplx": (21, 23), "anny": (23,)}
# Matrices that are further from rotations than this, per entry, are none.
_ROTATION_TOLERANCE = 0.02


def read_bodies(folder: Path, timeline: Timeline, about: About, cameras: ObservedCameras | None) -> Bodies:
    """The bodies of all `<id>.npz`.

    Raises:
        DioramaError: a file is damaged or contradicts itself.
    """
    files = ids_of_files(folder)
    return Bodies(about.source(), tuple(_body(id, path, timeline, about, cameras) for id, path in files.items()))


def _body(id: int, path: Path, timeline: Timeline, about: About, cameras: ObservedCameras | None) -> ObservedBody:
    arrays = read_arrays(path, BODY)
    frames = timeline.increasing_rows(arrays.integers("frames", None), path)
    count = len(frames)
    model, gender = word(arrays, about, "body", MODELS), word(arrays, about, "gender", GENDERS)
    unknown = np.full(count, np.nan)
    return ObservedBody(
        id=id,
        frames=frames,
        body=model,
        gender=gender,
        betas=_betas(arrays, count),
        global_orient=_rotations(arrays, "global_orient", count, (1,))[:, 0],
        body_pose=_with_hands(_rotations(arrays, "body_pose", count, _JOINTS[model])),
        transl=arrays.numbers("transl", count, 3),
        focal=_focal(arrays, count, about, frames, timeline, cameras),
        residual_px=arrays.numbers("residual_px", count, may_be_nan=True) if "residual_px" in arrays else unknown,
        confidence=arrays.shares("confidence", count) if "confidence" in arrays else np.ones(count),
    )


def word(arrays: Arrays, about: About, name: str, among: tuple[str, ...]) -> str:
    """A word of the file itself, or of the part's `about.json`.

    Raises:
        DioramaError: it is not among those known, or nobody says it.
    """
    if name not in arrays:
        return about.choice(name, among)
    found = arrays.text(name)
    if found not in among:
        raise arrays.wrong(name, f"is {found!r}", f"use one of {', '.join(among)}")
    return found


def _betas(arrays: Arrays, count: int) -> Float[np.ndarray, " betas"]:
    """The shape; the mean over frames where the tool gives one per frame, as JOSH takes it."""
    if arrays.array("betas").ndim == 1:
        return arrays.numbers("betas", None)
    found = arrays.numbers("betas", count, None)
    if not count:
        raise arrays.wrong("betas", "has no frame", "leave out people without frames")
    return found.mean(0)


def _rotations(arrays: Arrays, name: str, count: int, joints: tuple[int, ...]) -> Float[np.ndarray, "n joints 3"]:
    """Rotation vectors from vectors (n, 3 j) or (n, j, 3) or matrices (n, j, 3, 3); (n, 3, 3) is one joint's matrix."""
    found = arrays.array(name)
    per_frame = found.shape[1:]
    for j in joints:
        # One joint's matrix and three joints' vectors look alike; three joints do not occur.
        if per_frame in ((j, 3, 3), *(((3, 3),) if j == 1 else ())):
            return _from_matrices(arrays, name, arrays.numbers(name, count, *per_frame).reshape(count, j, 3, 3))
        if per_frame in ((j, 3), (3 * j,)):
            return arrays.numbers(name, count, *per_frame).reshape(count, j, 3)
    expected = " or ".join(f"(n, {j}, 3)" for j in joints)
    what = f"has shape {found.shape} where {expected} of rotation vectors, or as many 3x3 matrices, were expected"
    raise arrays.wrong(name, what)


def _from_matrices(
    arrays: Arrays, name: str, matrices: Float[np.ndarray, "n joints 3 3"]
) -> Float[np.ndarray, "n joints 3"]:
    rotations, good = nearest_rotations(matrices, _ROTATION_TOLERANCE)
    if not good.all():
        at = [int(index) for index in np.argwhere(~good)[0]]
        raise arrays.wrong(name, f"holds a matrix that is no rotation (first at {at})", "make them orthonormal")
    return rotvec_of(rotations)


def _with_hands(pose: Float[np.ndarray, "n joints 3"]) -> Float[np.ndarray, "n 23 3"]:
    return np.concatenate([pose, np.zeros((len(pose), 23 - pose.shape[1], 3))], 1)


def _focal(
    arrays: Arrays, count: int, about: About, frames: np.ndarray, timeline: Timeline, cameras: ObservedCameras | None
) -> Float[np.ndarray, " n"]:
    """Pixels of the source picture that the distance assumes."""
    if "focal" in arrays:
        shape = () if arrays.array("focal").ndim == 0 else (count,)
        return np.array(np.broadcast_to(arrays.positive("focal", *shape), (count,)))
    stated = about.value("focal")
    if not isinstance(stated, str):
        return np.full(count, about.number("focal"))
    rule = about.choice("focal", FOCALS)
    if rule == "cameras":
        if cameras is None:
            raise DioramaError('"focal" is "cameras" but there are none', where=about.path, fix="state it in pixels")
        return cameras.K[frames, 0, 0]
    return np.full(count, assumed_focal(rule, timeline.width, timeline.height))


def assumed_focal(rule: str, width: int, height: int) -> float:
    """The focal length in px that a tool assumes for a picture of `width` x `height`.

    "diagonal": the picture's diagonal (VIMO). "hmr2": HMR 2.0 was trained at 5000 px on crops of 256 px and takes
    5000 / 256 times the longer side for the whole picture.
    """
    return float(np.hypot(width, height)) if rule == "diagonal" else 5000 / 256 * max(width, height)
