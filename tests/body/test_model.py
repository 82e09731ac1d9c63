"""Laws of the staged body: kinematics, skinning, Jacobians, moving a body through a rotated world."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS, LANDMARK_NAMES
from diorama.body.model import move_body
from diorama.body.smpl import load_smpl
from diorama.geometry.rotations import exp_so3


@pytest.fixture(scope="module")
def body(smpl_arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("smpl") / "model.npz"
    np.savez(path, **smpl_arrays)
    return load_smpl(path)


def random_pose(frames: int, seed: int = 0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    pose = torch.randn(frames, 24, 3, generator=generator, dtype=torch.float64) * 0.5
    transl = torch.randn(frames, 3, generator=generator, dtype=torch.float64)
    return pose[:, 0].to(dtype), pose[:, 1:].to(dtype), transl.to(dtype)


def naive_kinematics(orient, pose, transl, joints_rest):
    """Joint by joint, frame by frame, with 4x4 matrices and scipy."""
    rotvecs = np.concatenate([orient[:, None], pose], axis=1)
    out = np.zeros((len(orient), 24, 4, 4))
    for frame in range(len(orient)):
        for joint, parent in enumerate(JOINT_PARENTS):
            local = np.eye(4)
            local[:3, :3] = Rotation.from_rotvec(rotvecs[frame, joint]).as_matrix()
            local[:3, 3] = joints_rest[joint] - (joints_rest[parent] if parent >= 0 else 0)
            out[frame, joint] = (out[frame, parent] if parent >= 0 else np.eye(4)) @ local
        out[frame, :, :3, 3] += transl[frame]
    return out


def test_kinematics_equal_a_naive_loop(body):
    shaped = body.shaped(torch.linspace(-1, 1, 10))
    orient, pose, transl = random_pose(3)
    posed = shaped.posed(orient, pose, transl)
    expected = naive_kinematics(orient.numpy(), pose.numpy(), transl.numpy(), shaped.joints_rest.numpy())
    assert np.allclose(posed.joints, expected[..., :3, 3], atol=1e-5)
    assert np.allclose(posed.joint_rotations, expected[..., :3, :3], atol=1e-5)


def test_skinning_equals_the_published_formula(body, smpl_arrays):
    betas = np.linspace(-1, 1, 10)
    orient, pose, transl = random_pose(2, seed=1)
    verts = body.shaped(torch.tensor(betas, dtype=torch.float32)).posed(orient, pose, transl).verts()
    shaped = smpl_arrays["v_template"] + smpl_arrays["shapedirs"][..., :10] @ betas
    joints = smpl_arrays["J_regressor"] @ shaped
    world = naive_kinematics(orient.numpy(), pose.numpy(), transl.numpy(), joints)
    for frame in range(2):
        feature = (Rotation.from_rotvec(pose[frame].numpy()).as_matrix() - np.eye(3)).ravel()
        corrected = shaped + smpl_arrays["posedirs"] @ feature
        moves = world[frame].copy()
        moves[:, :3, 3] -= np.einsum("jab,jb->ja", moves[:, :3, :3], joints)
        blended = np.einsum("vj,jab->vab", smpl_arrays["weights"], moves)
        expected = np.einsum("vab,vb->va", blended[:, :3, :3], corrected) + blended[:, :3, 3]
        assert np.allclose(verts[frame], expected, atol=1e-5)


def test_a_subset_of_vertices_is_a_part_of_all(body):
    posed = body.shaped().posed(*random_pose(2))
    chosen = body.subset[::7]
    assert torch.allclose(posed.verts(chosen), posed.verts()[:, chosen], atol=1e-6)


def test_zero_pose_is_the_rest_pose_moved(body):
    shaped = body.shaped()
    transl = torch.tensor([[1.0, 2.0, 3.0]])
    posed = shaped.posed(torch.zeros(1, 3), torch.zeros(1, 23, 3), transl)
    assert torch.allclose(posed.verts()[0], shaped.verts_rest + transl, atol=1e-5)
    assert torch.allclose(posed.joints[0, 0], shaped.joints_rest[0] + transl[0])
    assert torch.allclose(posed.landmarks()[0], shaped.landmarks.rest + transl, atol=1e-5)


def test_joints_and_points_need_no_vertices(body):
    shaped = body.shaped()
    shaped.posed(*random_pose(1)).landmarks(("nose", "left_heel"))
    assert "verts_rest" not in vars(shaped)


def test_points_have_all_names_and_can_be_chosen(body):
    posed = body.shaped().posed(*random_pose(2))
    assert posed.shaped.landmarks.names == LANDMARK_NAMES
    assert posed.shaped.contact_sites.names == CONTACT_SITE_NAMES
    knee = posed.landmarks(("right_knee",))[:, 0]
    assert torch.allclose(knee, posed.joints[:, JOINT_NAMES.index("right_knee")], atol=1e-6)


def test_point_jacobians_equal_autograd(body):
    shaped = body.to(dtype=torch.float64).shaped()
    orient, pose, transl = random_pose(2, seed=3, dtype=torch.float64)
    local = exp_so3(torch.cat([orient[:, None], pose], dim=1))
    points = shaped.landmarks.select(("nose", "left_index", "right_foot_index", "left_hip"))

    def moved(turns):
        return shaped.posed_by_matrices(local @ exp_so3(turns), transl).points(points)

    placed, jacobian = shaped.posed_by_matrices(local, transl).point_jacobians(points)
    automatic = torch.autograd.functional.jacobian(moved, torch.zeros(2, 24, 3, dtype=torch.float64))
    own = torch.stack([automatic[frame, :, :, frame] for frame in range(2)])
    assert torch.allclose(placed, moved(torch.zeros(2, 24, 3, dtype=torch.float64)))
    assert torch.allclose(jacobian, own, atol=1e-10)


def test_gradients_reach_shape_pose_and_translation(body):
    wide = body.to(dtype=torch.float64)
    inputs = [torch.zeros(10, dtype=torch.float64), *random_pose(1, seed=5, dtype=torch.float64)]
    inputs = [value.requires_grad_() for value in inputs]

    def heel(betas, orient, pose, transl):
        return wide.shaped(betas).posed(orient, pose, transl).contact_sites(("left_heel",))

    assert torch.autograd.gradcheck(heel, inputs)


def test_moving_the_world_moves_every_vertex(body):
    shaped = body.shaped(torch.linspace(-1, 1, 10))
    orient, pose, transl = random_pose(4, seed=2)
    rotation, translation = exp_so3(torch.tensor([0.4, -1.2, 2.0])), torch.tensor([3.0, -1.0, 0.5])
    moved = move_body(orient, transl, shaped.joints_rest[0], rotation, translation)
    before = shaped.posed(orient, pose, transl).verts()
    after = shaped.posed(moved[0], pose, moved[1]).verts()
    assert torch.allclose(after, before @ rotation.T + translation, atol=1e-4)
