"""AMASS-style motion files in the SMPL-X form: what the Blender add-on and the robot retargeters read.

One `.npz` per person, Z-up world, metres, rotation vectors, no pickled objects. Three things are changed on the way,
and nothing else:

- SMPL has 23 body joints, SMPL-X 21: the rotations of the two hand joints (`left_hand`, `right_hand`) are dropped, and
  fingers, jaw and eyes are zero.
- The motion is resampled to a whole number of frames per second (geodesic rotations, linear translations). Short gaps
  in a track are bridged the same way; at long ones the motion goes on in another file (`_part2`, ...).
- A body that is not of the SMPL family has no SMPL betas. Its `betas` are zeros, `surface_model_type` says in which
  convention the pose is written, `body_model` says whose motion it is, and its shape is kept under its own names. Since
  a reader will put the pose on the average SMPL-X body, `trans` is chosen so that the pelvis of that body is where the
  person's is; `transl` and `J0` keep the person's own translation and rest pelvis: pelvis = transl + J0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama import __version__
from diorama.assets import atomic_path
from diorama.body.phenotypes import PHENOTYPES
from diorama.body.smpl import SMPL_FAMILY
from diorama.errors import DioramaError
from diorama.geometry.rotations import resample_rotations
from diorama.reconstruction import Person, Reconstruction

BODY_JOINTS = 21
NUM_BETAS = 16
# Rest pelvis of the average SMPL-X body, metres, to a centimetre.
SMPLX_REST_PELVIS = np.array([0.0, -0.35, 0.01])


@dataclass(frozen=True)
class AmassConfig:
    """`fps`: whole frames per second; None takes the video's, but at least `least_fps`, because the Blender add-on
    refuses a rate below its own target of 30. Gaps up to `bridge_seconds` are interpolated."""

    fps: int | None = None
    least_fps: int = 30
    bridge_seconds: float = 0.5


def write_amass(reconstruction: Reconstruction, folder: str | Path, config: AmassConfig = AmassConfig()) -> list[Path]:
    """Write `person_001.npz` (and `person_001_part2.npz` after a long gap) per person into a folder.

    Raises:
        DioramaError: a motion is not finite or has too few joints, the rate is not positive, or the folder is not
            writable.
    """
    fps = config.fps if config.fps is not None else max(config.least_fps, round(_rate(reconstruction.times)))
    if fps < 1:
        raise DioramaError(f"{fps} frames per second", where="amass", fix="give a whole number of at least 1")
    paths = []
    for person in reconstruction.people:
        for part, rows in enumerate(_runs(person, reconstruction.times, config.bridge_seconds)):
            name = f"person_{person.id:03d}" + (f"_part{part + 1}" if part else "")
            paths.append(Path(folder) / f"{name}.npz")
            _save(paths[-1], _motion(person, rows, reconstruction.times[person.frames[rows]], fps))
    return paths


def _rate(times: np.ndarray) -> float:
    return float(1 / np.median(np.diff(times))) if len(times) > 1 else 30.0


def _runs(person: Person, times: np.ndarray, bridge_seconds: float) -> Iterator[np.ndarray]:
    """Rows of the person's arrays, cut where frames of the track are missing for too long."""
    if not len(person.frames):
        return
    missing = np.diff(person.frames) > 1
    cuts = np.flatnonzero(missing & (np.diff(times[person.frames]) > bridge_seconds)) + 1
    yield from np.split(np.arange(len(person.frames)), cuts)


def _motion(person: Person, rows: np.ndarray, times: np.ndarray, fps: int) -> dict[str, np.ndarray]:
    """The arrays of one file."""
    pose = np.concatenate([person.global_orient[rows, None], person.body_pose[rows, :BODY_JOINTS]], 1)
    if pose.shape[1] != 1 + BODY_JOINTS or not np.isfinite(pose).all() or not np.isfinite(person.transl[rows]).all():
        raise DioramaError(
            "the motion is not finite or not of 24 joints", where=f"person {person.id}", fix="run reconstruct again"
        )
    at = times[0] + np.arange(int((times[-1] - times[0]) * fps + 1e-6) + 1) / fps
    pose = resample_rotations(pose, times, at)
    transl = resample(person.transl[rows], times, at)
    count = len(at)
    zeros = {name: np.zeros((count, size)) for name, size in {"pose_hand": 90, "pose_jaw": 3, "pose_eye": 6}.items()}
    body = pose[:, 1:].reshape(count, 3 * BODY_JOINTS)
    return {
        "poses": np.concatenate([pose[:, 0], body, zeros["pose_jaw"], zeros["pose_eye"], zeros["pose_hand"]], 1),
        "root_orient": pose[:, 0],
        "pose_body": body,
        **zeros,
        "mocap_frame_rate": np.array(float(fps)),
        "mocap_framerate": np.array(float(fps)),
        "mocap_time_length": np.array(count / fps),
        "start_seconds": np.array(times[0]),
        "gender": np.array(person.gender if person.gender in ("female", "male") else "neutral"),
        "surface_model_type": np.array("smplx"),
        "num_betas": np.array(NUM_BETAS),
        "person_id": np.array(person.id),
        "source": np.array(f"diorama {__version__}; Z-up world, metres, seconds"),
        **_shape(person, transl),
    }


def _shape(person: Person, transl: np.ndarray) -> dict[str, np.ndarray]:
    """Shape and translation as an SMPL-X reader will use them, beside what they were made from."""
    betas = np.zeros(NUM_BETAS)
    pelvis = np.median(person.joints_world[:, 0] - person.transl, 0)
    out = {"body_model": np.array(person.body), "J0": pelvis, "transl": transl}
    if person.body in SMPL_FAMILY:
        kept = person.betas[:NUM_BETAS]
        betas[: len(kept)] = kept
        return {**out, "betas": betas, "trans": transl}
    names = PHENOTYPES if person.body == "anny" else tuple(f"beta_{n}" for n in range(len(person.betas)))
    shape = {"free_body_betas": person.betas.astype(np.float64), "free_body_names": np.array(names)}
    return {**out, **shape, "betas": betas, "trans": transl + pelvis - SMPLX_REST_PELVIS}


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def resample(
    values: Float[np.ndarray, "frames 3"], times: Float[np.ndarray, " frames"], at: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m 3"]:
    """Values at the times `at`, linear in between."""
    return np.stack([np.interp(at, times, column) for column in values.T], -1)


@dataclass(frozen=True)
class AmassMotion:
    """What a reader of the SMPL-X form gets: rotation vectors, metres, Z-up; the pelvis is `trans` + its rest place."""

    root_orient: Float[np.ndarray, "frames 3"]
    pose_body: Float[np.ndarray, "frames 63"]
    trans: Float[np.ndarray, "frames 3"]
    betas: Float[np.ndarray, " betas"]
    gender: str
    fps: float
    start_seconds: float


def read_amass(path: str | Path) -> AmassMotion:
    """Read a motion file in the SMPL-X form.

    Raises:
        DioramaError: missing or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            rate = next(name for name in ("mocap_frame_rate", "mocap_framerate", "fps") if name in file.files)
            start = float(file["start_seconds"]) if "start_seconds" in file.files else 0.0
            arrays = {name: file[name] for name in ("root_orient", "pose_body", "trans", "betas")}
            return AmassMotion(**arrays, gender=str(file["gender"]), fps=float(file[rate]), start_seconds=start)
    except (OSError, ValueError, KeyError, StopIteration) as error:
        raise DioramaError(f"not an AMASS file ({error})", where=path, fix="give an .npz with poses") from error
