"""A made-up body with SMPL's keys and shapes: a small cloud of vertices around every joint of the rest skeleton."""

import numpy as np

from diorama.body.joints import JOINT_PARENTS
from diorama.body.rerig import rest_joints_cm

CLOUD = 26
FINGERS = 5


def _extended_joints(count: int) -> tuple[np.ndarray, list[int]]:
    """Rest joints (metres) and parents of a model with 24, 52 or 55 joints, fingers on a row from the hand."""
    joints, parents = rest_joints_cm() / 100, list(JOINT_PARENTS)
    if count == 24:
        return joints, parents
    hands = joints[22:24]
    joints, parents = joints[:22], parents[:22]
    extra = [(np.array([0.0, 0.36, 0.08]), 15)] * 3 if count == 55 else []
    for side in (0, 1):
        for finger in range(FINGERS):
            for bone in range(3):
                step = np.array([(1 - 2 * side) * 0.02 * bone, 0.0, 0.02 * (finger - 1.5)])
                extra.append((hands[side] + step, 20 + side))
    return np.vstack([joints, [place for place, _ in extra]]), parents + [parent for _, parent in extra]


def smpl_like_arrays(count: int = 24, seed: int = 0) -> dict[str, np.ndarray]:
    """All arrays that a file of the SMPL family has, for `count` joints; joints are the clouds' means."""
    rng = np.random.default_rng(seed)
    joints, parents = _extended_joints(count)
    half = rng.normal(size=(CLOUD // 2, 3)) * 0.03
    cloud = np.vstack([half, -half])
    template = (joints[:, None] + cloud).reshape(-1, 3)
    verts = len(template)
    weights = np.full((verts, count), 0.0)
    regressor = np.zeros((count, verts))
    for joint, parent in enumerate(parents):
        rows = slice(joint * CLOUD, (joint + 1) * CLOUD)
        weights[rows, joint] = 0.8
        weights[rows, max(parent, 0)] += 0.2
        regressor[joint, rows] = 1 / CLOUD
    faces = np.arange(verts - verts % 3).reshape(-1, 3)
    return {
        "v_template": template,
        "shapedirs": rng.normal(size=(verts, 3, 12)) * 0.01,
        "posedirs": rng.normal(size=(verts, 3, 9 * (count - 1))) * 0.001,
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[p % 2**32 for p in parents], range(count)], dtype=np.int64),
        "f": faces.astype(np.uint32),
    }
