"""A second implementation of SMPL in plain numpy, written from its definition, to check the house's against."""

import numpy as np
from scipy.spatial.transform import Rotation

PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)


def rest_pelvis(arrays, betas):
    shaped = arrays["v_template"] + arrays["shapedirs"][..., : len(betas)] @ betas
    return (arrays["J_regressor"] @ shaped)[0]


def plain_smpl(arrays, betas, orient, pose, transl):
    """(joints (24, 3), verts) of one frame; rotation vectors (3,), (23, 3)."""
    shaped = arrays["v_template"] + arrays["shapedirs"][..., : len(betas)] @ betas
    rest = arrays["J_regressor"] @ shaped
    turns = Rotation.from_rotvec(np.vstack([orient, pose])).as_matrix()
    posed = shaped + arrays["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    chain = []
    for joint, parent in enumerate(PARENTS):
        step = np.eye(4)
        step[:3, :3] = turns[joint]
        step[:3, 3] = rest[joint] - (rest[parent] if parent >= 0 else 0)
        chain.append(step if parent < 0 else chain[parent] @ step)
    chain = np.array(chain)
    joints = chain[:, :3, 3].copy()
    # Each transform acts on points of the rest body.
    chain[:, :3, 3] -= (chain[:, :3, :3] @ rest[..., None])[..., 0]
    blended = np.einsum("vj,jab->vab", arrays["weights"], chain)
    verts = (blended[:, :3, :3] @ posed[..., None])[..., 0] + blended[:, :3, 3]
    return joints + transl, verts + transl
