"""People as linear-blend skins over time: what an animated mesh format or a viewer needs to know about them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from scipy.spatial.transform import Rotation

from diorama.body import load_body
from diorama.body.joints import JOINT_NAMES
from diorama.body.model import ShapedBody, Skin
from diorama.export.skeleton import local_rotations, placed_joints
from diorama.geometry.transforms import rigid
from diorama.reconstruction import Person

# Told apart at a glance, also by most colour-blind readers (Okabe and Ito's palette without black and yellow).
PALETTE = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (204, 121, 167), (213, 94, 0), (0, 114, 178))


def shaped_person(person: Person) -> ShapedBody:
    """The body of a person in its rest pose.

    Raises:
        DioramaError: the body model is not available.
    """
    return load_body(person.body).shaped(torch.from_numpy(np.asarray(person.betas, np.float32)))


def joint_transforms(shaped: ShapedBody, person: Person) -> Float[np.ndarray, "frames 24 4 4"]:
    """Pose of every joint in the world (double precision, so that people far from the origin do not jitter)."""
    positions, rotations = placed_joints(local_rotations(person), shaped.joints_rest.numpy(), person.transl)
    return rigid(rotations, positions)


def dense_weights(skin: Skin) -> Float[np.ndarray, "verts 24"]:
    """Weight of every joint on every vertex."""
    joints, weights = skin.joints.numpy(), skin.weights.double().numpy()
    dense = np.zeros((len(joints), len(JOINT_NAMES)))
    for influence in range(joints.shape[1]):
        dense[np.arange(len(joints)), joints[:, influence]] += weights[:, influence]
    return dense


def four_influences(skin: Skin) -> tuple[UInt8[np.ndarray, "verts 4"], Float[np.ndarray, "verts 4"]]:
    """The four strongest joints of each vertex and their weights (float32, summing to one); unused slots are (0, 0)."""
    dense = dense_weights(skin)
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :4]
    weights = np.take_along_axis(dense, joints, 1)
    kept = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    kept[:, 0] = 1 - kept[:, 1:].sum(1)
    return np.where(kept > 0, joints, 0).astype(np.uint8), kept


def vertex_normals(
    vertices: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "verts 3"]:
    """Unit normals, the area-weighted mean of the faces around a vertex (+Z where there are none)."""
    corners = vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.stack([np.bincount(faces.ravel(), np.repeat(a, 3), len(vertices)) for a in across.T], -1)
    length = np.linalg.norm(total, axis=1, keepdims=True)
    return np.where(length > 1e-12, total / np.maximum(length, 1e-12), [0.0, 0.0, 1.0])


def quaternions_xyzw(matrices: Float[np.ndarray, "frames 3 3"]) -> Float[np.ndarray, "frames 4"]:
    """Unit quaternions in (x, y, z, w) order whose sign never jumps from one frame to the next."""
    out = Rotation.from_matrix(matrices).as_quat()
    same = (out[1:] * out[:-1]).sum(1) >= 0
    return out * np.cumprod(np.r_[1, np.where(same, 1, -1)])[:, None]


def person_color(id: int) -> tuple[int, int, int]:
    """sRGB colour of a person, the same in every picture and file."""
    return PALETTE[id % len(PALETTE)]


def srgb_to_linear(value: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    """Linear light of sRGB values, both 0-1 (IEC 61966-2-1)."""
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
