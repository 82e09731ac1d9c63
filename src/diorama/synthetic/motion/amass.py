"""Recorded motions that a user has: AMASS files drive bodies of any size.

Unlike planned motions these are not exact. The recording belongs to another body, so feet may slide and sink by some
centimetres here, and contacts are labelled from height and speed, with the usual doubt of such labels.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body.contact_sites import CONTACT_SITE_NAMES, FOOT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.body.model import BodyModel, ShapedBody
from diorama.body.rerig import rest_joints_cm
from diorama.body.transfer import transfer_pose
from diorama.errors import DioramaError
from diorama.geometry.rotations import matrix_of, resample_rotations, rotvec_of
from diorama.synthetic.walk import Motion

_BODY_JOINTS = 22
_RATES = ("mocap_framerate", "mocap_frame_rate", "fps")
# Height of an average SMPL ankle above the sole, metres.
_SMPL_ANKLE = 0.07
# A site touches the floor below this height and speed (metres, m/s); palms, knees and seat are thicker than soles.
_LOW, _LOW_OTHERS, _SLOW = 0.03, 0.06, 0.20
# The floor is where the lowest site is in the lowest of these frames (a quantile, since single frames may dip).
_FLOOR_QUANTILE = 0.02


@dataclass(frozen=True)
class Recording:
    """What an AMASS file says: rotation vectors (radians), translation (metres), Z-up world unless told otherwise."""

    root_orient: Float[np.ndarray, "frames 3"]
    body_pose: Float[np.ndarray, "frames 21 3"]
    trans: Float[np.ndarray, "frames 3"]
    betas: Float[np.ndarray, " betas"]
    fps: float

    @property
    def times(self) -> Float[np.ndarray, " frames"]:
        """Seconds from the first frame."""
        return np.arange(len(self.trans)) / self.fps


def read_recording(path: str | Path) -> Recording:
    """Read `poses`, `trans`, the frame rate (either spelling) and `betas` from an AMASS `.npz` (SMPL, SMPL-H or SMPL-X).

    Arrays of pickled objects are refused. Fingers, face and soft tissue are left out.

    Raises:
        DioramaError: missing, damaged, or not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            rate = next(name for name in _RATES if name in file.files)
            poses, trans = (np.asarray(file[name], np.float64) for name in ("poses", "trans"))
            betas = np.asarray(file["betas"], np.float64) if "betas" in file.files else np.zeros(10)
            fps = float(file[rate])
    except (OSError, ValueError, KeyError, StopIteration, EOFError, zipfile.BadZipFile, zlib.error) as error:
        fix = "give an .npz with poses, trans and mocap_framerate"
        raise DioramaError(f"not an AMASS file ({error or 'no frame rate'})", where=path, fix=fix) from error
    if poses.ndim != 2 or poses.shape[1] < 3 * _BODY_JOINTS or trans.shape != (len(poses), 3) or not len(poses):
        raise DioramaError(f"poses {poses.shape} and trans {trans.shape}", where=path, fix="give an AMASS motion file")
    if not (np.isfinite(poses).all() and np.isfinite(trans).all() and fps > 0):
        raise DioramaError("poses, trans or frame rate are not finite", where=path, fix="give a whole file")
    pose = poses[:, : 3 * _BODY_JOINTS].reshape(len(poses), _BODY_JOINTS, 3)
    return Recording(pose[:, 0], pose[:, 1:], trans, betas, fps)


def motion_from_amass(
    path: str | Path,
    person: ShapedBody,
    times: Float[np.ndarray, " frames"] | None = None,
    *,
    source: BodyModel | None = None,
    up: str = "z",
) -> Motion:
    """A recorded motion on another body, standing on z = 0.

    Bones point as in the recording (exactly with `source`, else within the few degrees that SMPL's own shapes differ).
    The way of the pelvis is scaled by the ratio of the legs, so that strides fit; then the lowest foot site is put on
    the floor. Contacts of all nine sites are labelled where a site is low and slow: not exact, see the module.

    Args:
        path: an AMASS `.npz`.
        person: the body to move.
        times: seconds after the recording's start, in order (at the end the body stays); None takes the recording's own.
        source: SMPL, SMPL-H or SMPL-X, if the user has it: the shape of the recorded person is then known.
        up: the vertical axis of the file. AMASS is "z"; some data sets written in its form (AIST++, and exports of
            SMPL-X demos) are "y" and are turned by a quarter about X.

    Raises:
        DioramaError: not such a file, or another axis.
    """
    if up not in ("y", "z"):
        raise DioramaError(f"no axis {up!r}", where="up", fix='say "z" (AMASS) or "y"')
    recording = read_recording(path)
    times = recording.times if times is None else times
    at = np.clip(times, 0, recording.times[-1])
    joints = np.concatenate([recording.root_orient[:, None], recording.body_pose], 1)
    pose = np.zeros((len(at), 24, 3))
    pose[:, :_BODY_JOINTS] = resample_rotations(joints, recording.times, at)
    trans = np.stack([np.interp(at, recording.times, column) for column in recording.trans.T], 1)
    recorded = _recorded_body(source, recording)
    pelvis, leg = (rest_joints_cm()[0] / 100, _average_leg()) if recorded is None else _rest(recorded)
    pose[:, 0], place = _upright(pose[:, 0], trans + pelvis, up)
    orient, body = (pose[:, 0], pose[:, 1:]) if recorded is None else _transferred(recorded, person, pose)
    scaled = place * (_leg_of(person.joints_rest.detach().double().numpy(), _sole(person)) / leg)
    transl = scaled - person.joints_rest[0].detach().double().numpy()
    return _on_the_floor(person, orient, body, transl, times)


def _recorded_body(source: BodyModel | None, recording: Recording) -> ShapedBody | None:
    """The body of the recorded person, with as many shape numbers as its model and the file have."""
    if source is None:
        return None
    betas = torch.zeros_like(source.default_betas)
    count = min(len(betas), len(recording.betas))
    betas[:count] = torch.from_numpy(recording.betas[:count]).to(betas)
    return source.shaped(betas)


def _rest(body: ShapedBody) -> tuple[Float[np.ndarray, 3], float]:
    """Rest pelvis and length of the leg."""
    joints = body.joints_rest.detach().double().numpy()
    return joints[0], _leg_of(joints, _sole(body))


def _sole(body: ShapedBody) -> float:
    """Height of the ankle above the heel site in the rest pose, metres."""
    heel = body.contact_sites.select(("left_heel",)).rest[0, 1]
    return float(body.joints_rest[JOINT_INDEX["left_ankle"], 1] - heel)


def _average_leg() -> float:
    return _leg_of(rest_joints_cm() / 100, _SMPL_ANKLE)


def _leg_of(joints: np.ndarray, sole: float) -> float:
    hip, knee, ankle = (joints[JOINT_INDEX[f"left_{name}"]] for name in ("hip", "knee", "ankle"))
    return float(np.linalg.norm(knee - hip) + np.linalg.norm(ankle - knee)) + sole


def _upright(
    orient: Float[np.ndarray, "frames 3"], pelvis: Float[np.ndarray, "frames 3"], up: str
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 3"]]:
    """Orientation and pelvis in a Z-up world."""
    if up == "z":
        return orient, pelvis
    turn = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])
    return rotvec_of(turn @ matrix_of(orient)), pelvis @ turn.T


def _transferred(
    source: ShapedBody, person: ShapedBody, pose: Float[np.ndarray, "frames 24 3"]
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 23 3"]]:
    """The pose with the source's limb directions."""
    rows = torch.from_numpy(pose).to(person.joints_rest)
    orient, body, _ = transfer_pose(source, person, rows[:, 0], rows[:, 1:], torch.zeros_like(rows[:, 0]))
    return orient.double().numpy(), body.double().numpy()


def _on_the_floor(
    person: ShapedBody, orient: np.ndarray, body: np.ndarray, transl: np.ndarray, times: np.ndarray
) -> Motion:
    """Lower or raise everything so that the feet stand on z = 0, and label what touches it."""
    posed = person.posed(*(torch.from_numpy(a).to(person.joints_rest) for a in (orient, body, transl)))
    sites = posed.contact_sites(CONTACT_SITE_NAMES).detach().double().numpy()
    feet = [CONTACT_SITE_NAMES.index(name) for name in FOOT_SITE_NAMES]
    floor = float(np.quantile(sites[:, feet, 2].min(1), _FLOOR_QUANTILE))
    sites[..., 2] -= floor
    return Motion(orient, body, transl - [0, 0, floor], _low_and_slow(sites, times), CONTACT_SITE_NAMES)


def _low_and_slow(
    sites: Float[np.ndarray, "frames 9 3"], times: Float[np.ndarray, " frames"]
) -> Bool[np.ndarray, "frames 9"]:
    limit = np.array([_LOW if name in FOOT_SITE_NAMES else _LOW_OTHERS for name in CONTACT_SITE_NAMES])
    if len(times) < 2:
        return sites[..., 2] < limit
    if (np.diff(times) <= 0).any():
        raise DioramaError("times do not rise", where="times", fix="ask for frames in order")
    speed = np.linalg.norm(np.gradient(sites, times, axis=0), axis=-1)
    return (sites[..., 2] < limit) & (speed < _SLOW)
