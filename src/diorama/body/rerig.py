"""From the mpfb2 rig (163 bones, A-pose) to the 24 SMPL joints in a T-pose: what the compile step needs, in numpy.

The zero pose of the result follows SMPL's: the directions of the limb bones are those of an average SMPL body, so the
same `body_pose` means the same limb directions on both (`REST_JOINTS_CM`). Trunk, neck and head keep their upright
posture: there the two bodies differ in where joints lie, not in how the body faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from diorama.body.joints import JOINT_INDEX, JOINT_NAMES, JOINT_PARENTS

# Rest joints of an average SMPL adult in cm, left side and middle; right is mirrored in x.
REST_JOINTS_CM: dict[str, tuple[float, float, float]] = {
    "pelvis": (0, -22, 3),
    "left_hip": (7, -31, 2),
    "left_knee": (10, -69, 2),
    "left_ankle": (9, -109, -3),
    "left_foot": (11, -114, 9),
    "spine1": (0, -11, 0),
    "spine2": (0, 2, 0),
    "spine3": (0, 7, 3),
    "neck": (0, 29, -1),
    "left_collar": (8, 20, -1),
    "head": (0, 35, 4),
    "left_shoulder": (17, 23, -1),
    "left_elbow": (43, 21, -4),
    "left_wrist": (68, 22, -4),
    "left_hand": (77, 21, -6),
}

# Bones whose weights a joint owns; every other bone goes to its nearest ancestor in this table.
OWNED_BONES: dict[str, tuple[str, ...]] = {
    "pelvis": ("root",),
    "spine1": ("spine03",),
    "spine2": ("spine02",),
    "spine3": ("spine01",),
    "neck": ("neck01",),
    "head": ("head",),
    "left_hip": ("upperleg01.L",),
    "left_knee": ("lowerleg01.L",),
    "left_ankle": ("foot.L",),
    "left_foot": tuple(f"toe{toe}-1.L" for toe in range(1, 6)),
    "left_collar": ("clavicle.L",),
    "left_shoulder": ("upperarm01.L",),
    "left_elbow": ("lowerarm01.L",),
    "left_wrist": ("wrist.L",),
    "left_hand": tuple(f"finger{finger}-1.L" for finger in range(2, 6)),
}

# Bones whose heads average to the joint's position, where that differs from OWNED_BONES: measured from the hips, SMPL's
# pelvis lies 15 % up to the neck (mpfb2's root 2 %, spine04 15 %) and its collar well outside the breastbone.
HEAD_BONES: dict[str, tuple[str, ...]] = {
    "pelvis": ("root", "spine04", "spine04"),
    "left_collar": ("clavicle.L", "shoulder01.L"),
}

# mpfb2's hip joints lie 11 cm from the middle on an adult, where detectors see hips; the heads of real thigh bones
# lie about 9 cm out (SMPL's joints 7 cm), and the legs of SMPL's zero pose stand correspondingly close.
HIP_NARROWING = 0.82
# SMPL's pelvis lies in front of the line between the hips by a ninth of its height above it; mpfb2's lies behind.
PELVIS_FORWARD = 1 / 9

# Raising the arms from the A-pose to horizontal lifts the collar bone too; about a quarter of the arm's 48 degrees.
COLLAR_LIFT_DEGREES = 12.0


def bones_of_joints(table: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """A left-and-middle table completed with the right side."""
    full = {name: tuple(bones) for name, bones in table.items()}
    for name, bones in table.items():
        if name.startswith("left_"):
            full[name.replace("left_", "right_")] = tuple(bone.replace(".L", ".R") for bone in bones)
    return full


def rest_joints_cm() -> Float[np.ndarray, "24 3"]:
    """The table of SMPL's rest joints with both sides, (24, 3), cm."""
    mirror = np.array([-1.0, 1.0, 1.0])
    rows = [
        np.asarray(REST_JOINTS_CM[name.replace("right_", "left_")]) * (mirror if name.startswith("right_") else 1.0)
        for name in JOINT_NAMES
    ]
    return np.stack(rows)


def joint_of_bone(bone: str, parents: Mapping[str, str]) -> int:
    """Index of the joint that owns a bone: the first of its ancestors (itself included) in the table."""
    owner = {name: joint for joint, bones in bones_of_joints(OWNED_BONES).items() for name in bones}
    while bone not in owner:
        bone = parents[bone]
    return JOINT_INDEX[owner[bone]]


def merged_weights(
    weights: Mapping[str, Float[np.ndarray, " verts"]], parents: Mapping[str, str], influences: int = 4
) -> tuple[Int[np.ndarray, "verts influences"], Float[np.ndarray, "verts influences"]]:
    """Skinning on the 24 joints: the largest few joints per vertex and their weights, which sum to 1."""
    dense = np.zeros((len(next(iter(weights.values()))), len(JOINT_NAMES)))
    for bone, column in weights.items():
        dense[:, joint_of_bone(bone, parents)] += column
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :influences]
    kept = np.take_along_axis(dense, joints, axis=1)
    return joints, kept / kept.sum(axis=1, keepdims=True)


def joint_positions(
    verts: Float[np.ndarray, "bodies verts 3"], heads: Mapping[str, Int[np.ndarray, " n"]]
) -> Float[np.ndarray, "bodies 24 3"]:
    """The 24 joints in the A-pose from the base mesh (with helper cubes) of several bodies."""
    table = bones_of_joints(OWNED_BONES) | bones_of_joints(HEAD_BONES)
    joints = np.stack(
        [np.mean([verts[:, heads[bone]].mean(axis=1) for bone in table[name]], axis=0) for name in JOINT_NAMES], axis=1
    )
    hips = joints[:, [JOINT_INDEX["left_hip"], JOINT_INDEX["right_hip"]]]
    pelvis = joints[:, JOINT_INDEX["pelvis"]]
    height = pelvis[:, 1] - hips[..., 1].mean(axis=1)
    pelvis[:, 2] = hips[..., 2].mean(axis=1) + PELVIS_FORWARD * height
    joints[:, [JOINT_INDEX["left_hip"], JOINT_INDEX["right_hip"]], 0] *= HIP_NARROWING
    return joints


def t_pose_rotations(
    joints: Float[np.ndarray, "bodies 24 3"], palm_normals: Float[np.ndarray, "bodies 2 3"]
) -> Float[np.ndarray, "bodies 24 3 3"]:
    """World rotation of every joint that takes the A-pose to the T-pose.

    Args:
        joints: A-pose joints, metres.
        palm_normals: directions out of the left and the right palm in the A-pose.
    """
    target = rest_joints_cm()
    rotations = np.broadcast_to(np.eye(3), (len(joints), 24, 3, 3)).copy()

    def aim(name: str, child: str, start: Float[np.ndarray, "bodies 3 3"]) -> Float[np.ndarray, "bodies 3 3"]:
        parent_index, child_index = JOINT_INDEX[name], JOINT_INDEX[child]
        now = np.einsum("bij,bj->bi", start, joints[:, child_index] - joints[:, parent_index])
        return _rotation_between(now, target[child_index] - target[parent_index]) @ start

    for side, sign in (("left", 1.0), ("right", -1.0)):
        index = {part: JOINT_INDEX[f"{side}_{part}"] for part in _LIMB_PARTS}
        rotations[:, index["collar"]] = _rotation_about_z(np.radians(COLLAR_LIFT_DEGREES) * sign)
        for part, before, child in _AIMED:
            start = rotations[:, index[before]] if before else rotations[:, 0]
            rotations[:, index[part]] = aim(f"{side}_{part}", f"{side}_{child}", start)
        palm = palm_normals[:, 0 if sign > 0 else 1]
        rotations[:, index["wrist"]] = _palm_down(rotations[:, index["wrist"]], palm, target, side)
        rotations[:, index["hand"]] = rotations[:, index["wrist"]]
        rotations[:, index["ankle"]] = _yaw_only(joints, target, side)
        rotations[:, index["foot"]] = rotations[:, index["ankle"]]
    return rotations


_LIMB_PARTS = ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist", "hand")
# joint, the joint whose rotation it starts from, the joint it points at
_AIMED = (
    ("shoulder", "collar", "elbow"),
    ("elbow", "shoulder", "wrist"),
    ("wrist", "elbow", "hand"),
    ("hip", "", "knee"),
    ("knee", "hip", "ankle"),
)


def _palm_down(
    rotation: Float[np.ndarray, "bodies 3 3"], palm: Float[np.ndarray, "bodies 3"], target: np.ndarray, side: str
) -> Float[np.ndarray, "bodies 3 3"]:
    """Turn the hand about its own length until the palm faces the floor."""
    length = target[JOINT_INDEX[f"{side}_hand"]] - target[JOINT_INDEX[f"{side}_wrist"]]
    length = length / np.linalg.norm(length)

    def across(vectors: np.ndarray) -> np.ndarray:
        return vectors - (vectors @ length)[..., None] * length

    now = across(np.einsum("bij,bj->bi", rotation, palm))
    down = across(np.array([[0.0, -1.0, 0.0]]))
    return _rotation_between(now, down[0]) @ rotation


def _yaw_only(joints: Float[np.ndarray, "bodies 24 3"], target: np.ndarray, side: str) -> np.ndarray:
    """Feet keep their flat sole and only turn about the vertical to SMPL's foot direction."""
    ankle, foot = JOINT_INDEX[f"{side}_ankle"], JOINT_INDEX[f"{side}_foot"]
    flat = np.array([1.0, 0.0, 1.0])
    return _rotation_between((joints[:, foot] - joints[:, ankle]) * flat, (target[foot] - target[ankle]) * flat)


def _rotation_about_z(angle: float) -> Float[np.ndarray, "3 3"]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])


def _rotation_between(a: Float[np.ndarray, "bodies 3"], b: Float[np.ndarray, " 3"]) -> Float[np.ndarray, "bodies 3 3"]:
    """Smallest rotations that take each direction `a` to `b` (never opposite here)."""
    a, b = a / np.linalg.norm(a, axis=-1, keepdims=True), b / np.linalg.norm(b)
    axis = np.cross(a, b)
    cosine = (a @ b)[:, None, None]
    x, y, z = axis.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3, 3)
    return np.eye(3) + cross + cross @ cross / (1 + cosine)


def repose(
    verts: Float[np.ndarray, "verts 3"],
    joints: Float[np.ndarray, "24 3"],
    rotations: Float[np.ndarray, "24 3 3"],
    weight_joints: Int[np.ndarray, "verts influences"],
    weight_values: Float[np.ndarray, "verts influences"],
) -> tuple[Float[np.ndarray, "verts 3"], Float[np.ndarray, "24 3"]]:
    """Linear blend skinning of one body to given world rotations of its joints: new vertices and joints."""
    moved = joints.copy()
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            moved[joint] = moved[parent] + rotations[parent] @ (joints[joint] - joints[parent])
    shifts = moved - np.einsum("jab,jb->ja", rotations, joints)
    out = np.zeros_like(verts)
    for slot in range(weight_joints.shape[1]):
        index = weight_joints[:, slot]
        placed = np.einsum("vab,vb->va", rotations[index], verts) + shifts[index]
        out += weight_values[:, slot, None] * placed
    return out, moved
