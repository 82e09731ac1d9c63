"""AMASS-style motion files in the SMPL-X form: what the Blender add-on and the robot retargeters read.

One `.npz` per person, Z-up world, metres, rotation vectors, no pickled objects. Three things are changed on the way,
and nothing else:

- SMPL has 23 body joints, SMPL-X 21: the rotations of the two hand joints (`left_hand`, `right_hand`) are dropped, and
  fingers, jaw and eyes are zero.
- The motion is resampled to a whole number of frames per second (geodesic rotations, linear translations). Short gaps
  in a track are bridged the same way; at long ones the motion goes on in another file (`_part2`, ...).
- A body that is not SMPL-X has no SMPL-X betas. `surface_model_type` says in which convention the pose is written,
  `body_model` and `transfer` say whose motion it is. The free body's `betas` are zeros and its shape is kept under its
  own names; SMPL's betas are copied, though SMPL-X's mean something a little different. Since a reader will put the pose
  on its SMPL-X body, `trans` is chosen so that the pelvis of an average one is where the person's is; `transl` and
  `J0` keep the person's own translation and rest pelvis: pelvis = transl + J0.

A body that is not of the SMPL family also gets two files at the video's own times (see `free_body.py`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama import __version__
from diorama.assets import atomic_path
from diorama.body.phenotypes import PHENOTYPES
from diorama.body.smpl import SMPL_FAMILY
from diorama.errors import DioramaError
from diorama.export.free_body import write_free_body
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.parts import BRIDGE_SECONDS, Part, part_path, parts
from diorama.export.resampling import even_times, frame_rate
from diorama.export.skeleton import local_rotations
from diorama.reconstruction import Person, Reconstruction

logger = logging.getLogger(__name__)

BODY_JOINTS = 21
NUM_BETAS = 16
# Rest pelvis of the average SMPL-X body, metres, to a centimetre.
SMPLX_REST_PELVIS = np.array([0.0, -0.35, 0.01])


@dataclass(frozen=True)
class AmassConfig:
    """Without a rate of the user's: the video's, but at least `least_fps`, because the Blender add-on refuses a rate
    below its own target of 30. Gaps up to `bridge_seconds` are interpolated."""

    least_fps: int = 30
    bridge_seconds: float = BRIDGE_SECONDS


def write_amass(
    reconstruction: Reconstruction,
    path: str | Path,
    options: ExportOptions = DEFAULTS,
    config: AmassConfig = AmassConfig(),
) -> list[Path]:
    """Write `person_001.npz` (and `person_001_part2.npz` after a long gap) per person into a folder.

    Raises:
        DioramaError: a motion is not finite or has too few joints, the rate is not whole, or the folder is not
            writable.
    """
    if options.up == "y" or options.unit == "cm":
        logger.warning("amass stays +Z up and in metres, as its readers expect")
    fps = options.whole_fps or max(config.least_fps, round(frame_rate(reconstruction.times)))
    found = parts(reconstruction, config.bridge_seconds)
    paths = []
    for part in found:
        paths.append(part_path(Path(path), part.name, ".npz", alone=len(found) == 1))
        _save(paths[-1], _motion(part, fps))
    for person in reconstruction.people:
        if person.body not in SMPL_FAMILY and len(person.frames):
            first = next(n for n, part in enumerate(found) if part.person is person)
            paths += write_free_body(person, reconstruction.times, paths[first])
    return paths


def _motion(part: Part, fps: int) -> dict[str, np.ndarray]:
    """The arrays of one file."""
    local_rotations(part.person)  # finite, and no more joints than there are
    if part.person.body_pose.shape[1] < BODY_JOINTS:
        raise DioramaError("too few joints", where=part.name, fix="run reconstruct again")
    person = part.at(even_times(part.times[0], part.times[-1], fps))
    count = len(person.frames)
    zeros = {name: np.zeros((count, size)) for name, size in {"pose_hand": 90, "pose_jaw": 3, "pose_eye": 6}.items()}
    body = person.body_pose[:, :BODY_JOINTS].reshape(count, 3 * BODY_JOINTS)
    root = person.global_orient
    return {
        "poses": np.concatenate([root, body, zeros["pose_jaw"], zeros["pose_eye"], zeros["pose_hand"]], 1),
        "root_orient": root,
        "pose_body": body,
        **zeros,
        "mocap_frame_rate": np.array(float(fps)),
        "mocap_framerate": np.array(float(fps)),
        "mocap_time_length": np.array(count / fps),
        "start_seconds": np.array(part.times[0]),
        "gender": np.array(person.gender if person.gender in ("female", "male") else "neutral"),
        "surface_model_type": np.array("smplx"),
        "num_betas": np.array(NUM_BETAS),
        "person_id": np.array(person.id),
        "source": np.array(f"diorama {__version__}; Z-up world, metres, seconds"),
        **_shape(person),
    }


def _shape(person: Person) -> dict[str, np.ndarray]:
    """Shape and translation as an SMPL-X reader will use them, beside what they were made from."""
    betas = np.zeros(NUM_BETAS)
    pelvis = np.median(person.joints_world[:, 0] - person.transl, 0)
    out = {"body_model": np.array(person.body), "J0": pelvis, "transl": person.transl}
    if person.body in SMPL_FAMILY:
        kept = person.betas[:NUM_BETAS]
        betas[: len(kept)] = kept
    if person.body == "smplx":
        return {**out, "betas": betas, "trans": person.transl, "transfer": np.array("none: SMPL-X parameters")}
    out |= {"trans": person.transl + pelvis - SMPLX_REST_PELVIS, "betas": betas}
    if person.body in SMPL_FAMILY:
        return {**out, "transfer": np.array(f"{person.body} parameters copied to SMPL-X, pelvis kept")}
    names = PHENOTYPES if person.body == "anny" else tuple(f"beta_{n}" for n in range(len(person.betas)))
    label = f"joint rotations of the body model {person.body}, copied to SMPL-X's joints; no SMPL-X shape was fitted"
    shape = {"free_body_betas": person.betas.astype(np.float64), "free_body_names": np.array(names)}
    return {**out, **shape, "transfer": np.array(label)}


def _save(path: Path, arrays: dict[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


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
