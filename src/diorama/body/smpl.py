"""SMPL, SMPL-H and SMPL-X bodies from the files a user has; all are seen as the same 24 joints.

The hands of SMPL-H and SMPL-X stay flat: their fingers follow the joints `left_hand` and `right_hand` (at the mean of
the four knuckles), thumbs the wrists, and jaw and eyes the head. Pose correctives of the body joints are kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body.contact_sites import contact_site_recipes
from diorama.body.joints import JOINT_NAMES
from diorama.body.landmarks import landmark_recipes
from diorama.body.model import BodyModel, LinearPoints, Skin
from diorama.body.points import RestGeometry, named_points
from diorama.body.sampling import spread_subset
from diorama.body.smpl_files import read_smpl_arrays
from diorama.errors import DioramaError

_KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "f")
_NAMES = {24: "smpl", 52: "smplh", 55: "smplx"}
SMPL_FAMILY: tuple[str, ...] = tuple(_NAMES.values())
_SUBSET_SIZE = 504
# SMPL's hip joints lie 7 cm from the middle, the places detectors call hips about 11 of 17 cm.
_HIP_SHARE = 0.4
# First finger joint of the left hand by number of joints, and of the right; index, middle, pinky, ring, thumb follow.
_HANDS = {52: (22, 37), 55: (25, 40)}
_JOINTS_PER_FINGER = 3


def load_smpl(path: Path | str, *, num_betas: int = 10) -> BodyModel:
    """A body model from an SMPL, SMPL-H or SMPL-X file (`.npz` or `.pkl`), float32 on the CPU.

    Args:
        path: the user's file; pickles are read without running anything in them.
        num_betas: how many shape numbers to keep.

    Raises:
        DioramaError: not such a file.
    """
    path = Path(path)
    arrays = read_smpl_arrays(path, _KEYS)
    count = arrays["weights"].shape[-1]
    if count not in _NAMES:
        raise DioramaError(f"a body of {count} joints", where=path, fix="give a file of SMPL, SMPL-H or SMPL-X")
    _check_shapes(arrays, path)
    to_body = _joints_as_24(count)
    template, shape_directions = arrays["v_template"], arrays["shapedirs"][..., :num_betas].transpose(2, 0, 1)
    regressor = to_body["positions"] @ arrays["J_regressor"]
    verts = _linear(template, shape_directions)
    joints = _linear(regressor @ template, np.einsum("jv,kvc->kjc", regressor, shape_directions))
    weights = arrays["weights"] @ to_body["weights"]
    average = RestGeometry(template, regressor @ template, weights.argmax(axis=1))
    betas = shape_directions.shape[0]
    return BodyModel(
        name=_NAMES[count],
        betas_names=tuple(f"beta_{index}" for index in range(betas)),
        default_betas=torch.zeros(betas),
        faces=torch.from_numpy(arrays["f"].astype(np.int64)),
        verts=verts,
        joints=joints,
        skin=_skin(weights),
        landmarks=named_points(landmark_recipes(average, hip_share=_HIP_SHARE), verts, joints),
        contact_sites=named_points(contact_site_recipes(average), verts, joints),
        subset=torch.from_numpy(spread_subset(template, np.arange(len(template)), _SUBSET_SIZE)),
        pose_directions=_pose_directions(arrays["posedirs"], count),
    )


def _check_shapes(arrays: dict[str, np.ndarray], path: Path) -> None:
    verts, joints = arrays["weights"].shape
    expected = {
        "v_template": (verts, 3),
        "J_regressor": (joints, verts),
        "posedirs": (verts, 3, 9 * (joints - 1)),
        "shapedirs": (verts, 3, arrays["shapedirs"].shape[-1]),
        "f": (len(arrays["f"]), 3),
    }
    for key, shape in expected.items():
        if arrays[key].shape != shape:
            raise DioramaError(f"{key} has shape {arrays[key].shape}, not {shape}", where=path, fix="check the file")


def _joints_as_24(count: int) -> dict[str, np.ndarray]:
    """How a model's joints become the 24: `positions` (24, count) averages them, `weights` (count, 24) merges skin."""
    positions, weights = np.zeros((24, count)), np.zeros((count, 24))
    kept = 24 if count == 24 else 22
    positions[range(kept), range(kept)] = weights[range(kept), range(kept)] = 1.0
    if count > 24:
        head = JOINT_NAMES.index("head")
        weights[22:25, head] = 1.0 if count == 55 else 0.0
        for side, first in zip(("left", "right"), _HANDS[count], strict=True):
            hand, wrist = JOINT_NAMES.index(f"{side}_hand"), JOINT_NAMES.index(f"{side}_wrist")
            thumb = first + 4 * _JOINTS_PER_FINGER
            positions[hand, first:thumb:_JOINTS_PER_FINGER] = 0.25
            weights[first:thumb, hand] = 1.0
            weights[thumb : thumb + _JOINTS_PER_FINGER, wrist] = 1.0
    return {"positions": positions, "weights": weights}


def _linear(template: Float[np.ndarray, "points 3"], directions: Float[np.ndarray, "codes points 3"]) -> LinearPoints:
    return LinearPoints(
        torch.tensor(np.ascontiguousarray(template), dtype=torch.float32),
        torch.tensor(np.ascontiguousarray(directions), dtype=torch.float32),
    )


def _skin(weights: Float[np.ndarray, "verts 24"], influences: int = 4) -> Skin:
    joints: Int[np.ndarray, "verts influences"] = np.argsort(-weights, axis=1, kind="stable")[:, :influences]
    kept = np.take_along_axis(weights, joints, axis=1)
    kept = kept / kept.sum(axis=1, keepdims=True)
    return Skin(torch.from_numpy(np.ascontiguousarray(joints)), torch.tensor(kept, dtype=torch.float32))


def _pose_directions(posedirs: Float[np.ndarray, "verts 3 features"], count: int) -> torch.Tensor:
    """Rows for joints 1..23 of the 24; the fingers of SMPL-H and SMPL-X stay flat, so their rows are zero."""
    rows = np.zeros((207, *posedirs.shape[:2]), dtype=np.float32)
    kept = 207 if count == 24 else 9 * 21
    rows[:kept] = posedirs[..., :kept].transpose(2, 0, 1)
    return torch.from_numpy(rows)
