"""Bodies that are not of the SMPL family, at the video's own times: their own parameters, and a transfer to SMPL's names.

`person_001_free_body.npz` loses nothing: times, shape numbers with their names, pose, joints, contacts. Beside it,
`person_001_smpl24.npz` has SMPL's keys (`poses` of 72 numbers, `trans`, 10 `betas`) for tools that know no other. It is
a transfer of rotations, and says so: the bones of the limbs point where they did to within a few degrees, lengths are
those of whatever body it is put on, `betas` are zeros, and `joints` are the person's own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float

from diorama import __version__
from diorama.assets import atomic_path
from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.phenotypes import PHENOTYPES
from diorama.export.resampling import frame_rate
from diorama.export.skeleton import rest_joints
from diorama.reconstruction import Person

# Rest pelvis of the average SMPL body, metres, to a centimetre.
SMPL_REST_PELVIS = np.array([0.0, -0.24, 0.03])
NUM_BETAS = 10


def write_free_body(person: Person, times: Float[np.ndarray, " frames"], beside: Path) -> list[Path]:
    """Write both files under the name of `beside` (`person_001.npz`) with `_free_body` and `_smpl24` behind it."""
    written = []
    for ending, arrays in {"free_body": _own(person, times), "smpl24": _transfer(person, times)}.items():
        written.append(beside.with_name(f"{beside.stem}_{ending}.npz"))
        with atomic_path(written[-1]) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
    return written


def _common(person: Person, times: np.ndarray) -> dict[str, np.ndarray]:
    """What both files say: when, who, and where the joints are."""
    return {
        "times": times[person.frames],
        "frames": person.frames,
        "person_id": np.array(person.id),
        "joints": np.asarray(person.joints_world, np.float64),
        "joint_names": np.array(JOINT_NAMES),
        "source": np.array(f"diorama {__version__}; Z-up world, metres, seconds, radians"),
    }


def _own(person: Person, times: np.ndarray) -> dict[str, np.ndarray]:
    names = PHENOTYPES if person.body == "anny" else tuple(f"beta_{n}" for n in range(len(person.betas)))
    return {
        **_common(person, times),
        "body_model": np.array(person.body),
        "betas": np.asarray(person.betas, np.float64),
        "betas_names": np.array(names),
        "gender": np.array(person.gender),
        "global_orient": np.asarray(person.global_orient, np.float64),
        "body_pose": np.asarray(person.body_pose, np.float64),
        "transl": np.asarray(person.transl, np.float64),
        "joint_parents": np.array(JOINT_PARENTS),
        "joints_rest": rest_joints(person),
        "contacts": person.contacts,
        "contact_sites": np.array(person.contact_sites),
        "observed": person.observed,
        "confidence": person.confidence,
    }


def _transfer(person: Person, times: np.ndarray) -> dict[str, np.ndarray]:
    pelvis = np.asarray(person.joints_world[:, 0], np.float64)
    pose = np.zeros((len(person.frames), 24, 3))
    pose[:, 0], pose[:, 1 : 1 + person.body_pose.shape[1]] = person.global_orient, person.body_pose
    label = f"joint rotations of the body model {person.body} under SMPL's 24 names; no SMPL shape was fitted"
    return {
        **_common(person, times),
        "poses": pose.reshape(len(pose), 72),
        "trans": pelvis - SMPL_REST_PELVIS,
        "betas": np.zeros(NUM_BETAS),
        "gender": np.array("neutral"),
        "surface_model_type": np.array("smpl"),
        "mocap_framerate": np.array(frame_rate(times)),
        "transfer": np.array(label),
    }
