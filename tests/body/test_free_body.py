"""Facts about the free body: its rest pose, its symmetry, its sites, its sizes, its likeness to SMPL's zero pose."""

import numpy as np
import pytest
import torch

from diorama.body.anny import free_body_asset_path, read_free_body
from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS, JOINT_SWAP, LANDMARK_SWAP
from diorama.body.phenotypes import ANCHORS, PHENOTYPES, corner_weights
from diorama.body.rerig import rest_joints_cm
from diorama.body.stature import betas_for_stature
from diorama.body.transfer import transfer_pose
from diorama.errors import DioramaError

MIRROR = torch.tensor([-1.0, 1.0, 1.0])


def shapes(count: int = 12) -> torch.Tensor:
    return torch.rand(count, 6, generator=torch.Generator().manual_seed(0))


def angle_degrees(a, b) -> float:
    cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def test_asset_is_small_and_its_arrays_fit(free_body):
    verts, codes = len(free_body.verts.template), free_body.corner_codes.shape[1]
    assert free_body_asset_path().stat().st_size < 15e6
    assert free_body.verts.directions.shape == (codes, verts, 3)
    assert torch.allclose(free_body.skin.weights.sum(1), torch.ones(verts), atol=1e-5)
    assert free_body.faces.min() == 0 and free_body.faces.max() == verts - 1
    assert len(free_body.subset) == 504


def test_corner_weights_sum_to_one_and_pick_corners():
    for betas in shapes():
        assert torch.isclose(corner_weights(betas).sum(), torch.tensor(1.0))
    corner = torch.tensor([ANCHORS[name][-1] for name in PHENOTYPES])
    assert torch.allclose(corner_weights(corner)[-1], torch.tensor(1.0))


@pytest.mark.parametrize("index", range(4))
def test_rest_pose_is_a_t_pose(free_body, index):
    shaped = free_body.shaped(shapes()[index])
    joints, verts = shaped.joints_rest.numpy(), shaped.verts_rest.numpy()
    at = {name: joints[number] for name, number in JOINT_INDEX.items()}
    assert at["left_hand"][0] > at["left_elbow"][0] > at["left_shoulder"][0] > 0
    assert angle_degrees(at["left_wrist"] - at["left_shoulder"], [1, 0, 0]) < 8
    assert angle_degrees(at["right_ankle"] - at["right_hip"], [0, -1, 0]) < 6
    assert angle_degrees((at["left_foot"] - at["left_ankle"]) * [1, 0, 1], [0, 0, 1]) < 12
    nose = shaped.landmarks.select(("nose",)).rest[0]
    assert nose[2] > at["head"][2] + 0.03
    lowest = shaped.contact_sites.select(FOOT_SITE_NAMES).rest[:, 1].numpy()
    assert np.abs(lowest - verts[:, 1].min()).max() < 0.006


def test_limb_directions_are_smpls(free_body):
    table = rest_joints_cm()
    limbs = ("knee", "ankle", "elbow", "wrist", "hand")
    for betas in shapes(6):
        joints = free_body.shaped(betas).joints_rest.numpy()
        for name in (f"{side}_{part}" for side in ("left", "right") for part in limbs):
            child, parent = JOINT_INDEX[name], JOINT_PARENTS[JOINT_INDEX[name]]
            assert angle_degrees(joints[child] - joints[parent], table[child] - table[parent]) < 0.5, name


@pytest.mark.parametrize("index", range(3))
def test_left_and_right_are_mirror_images(free_body, index):
    shaped = free_body.shaped(shapes()[index])
    assert (shaped.joints_rest[list(JOINT_SWAP)] * MIRROR - shaped.joints_rest).norm(dim=1).max() < 0.005
    marks = shaped.landmarks.rest
    assert (marks[list(LANDMARK_SWAP)] * MIRROR - marks).norm(dim=1).max() < 0.01
    verts = shaped.verts_rest
    chosen = verts[free_body.subset]
    assert torch.cdist(chosen * MIRROR, verts).min(dim=1).values.max() < 0.01


def test_stature_is_the_height_of_the_mesh(free_body):
    for betas in shapes():
        verts = free_body.shaped(betas).verts_rest
        extent = verts[:, 1].max() - verts[:, 1].min()
        assert abs(float(free_body.stature(betas) - extent)) < 0.008


def test_stature_grows_with_height_and_with_age_until_adult(free_body):
    for index, end in ((PHENOTYPES.index("height"), 1.0), (PHENOTYPES.index("age"), 2 / 3)):
        betas = free_body.default_betas.repeat(9, 1)
        betas[:, index] = torch.linspace(0, end, 9)
        statures = torch.stack([free_body.stature(row) for row in betas])
        assert (statures.diff() > 0.01).all()


@pytest.mark.parametrize("gender", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("wanted", [0.75, 1.0, 1.2, 1.44, 1.46, 1.6, 1.75, 1.9, 2.1])
def test_a_body_of_every_stature(free_body, wanted, gender):
    betas = betas_for_stature(free_body, wanted, gender=gender)
    verts = free_body.shaped(betas).verts_rest
    assert abs(float(free_body.stature(betas)) - wanted) < 0.001
    assert abs(float(verts[:, 1].max() - verts[:, 1].min()) - wanted) < 0.003
    assert ((betas >= 0) & (betas <= 1)).all()


def test_an_impossible_stature_says_what_is_possible(free_body):
    with pytest.raises(DioramaError, match=r"possible: .* m"):
        betas_for_stature(free_body, 2.6)


def test_stature_is_differentiable(free_body):
    betas = free_body.default_betas.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(free_body.stature(betas), betas)
    assert gradient[PHENOTYPES.index("height")] > 0.5


def test_default_body_is_an_adult(free_body):
    assert abs(float(free_body.stature(free_body.default_betas)) - 1.70) < 0.005


def test_transferred_pose_keeps_limb_directions_and_pelvis(free_body):
    child, adult = (free_body.shaped(betas_for_stature(free_body, metres)) for metres in (1.0, 1.85))
    generator = torch.Generator().manual_seed(1)
    orient, pose = torch.randn(2, 3, generator=generator), torch.randn(2, 23, 3, generator=generator) * 0.4
    transl = torch.randn(2, 3, generator=generator)
    before = adult.posed(orient, pose, transl).joints
    after = child.posed(*transfer_pose(adult, child, orient, pose, transl)).joints
    assert torch.allclose(before[:, 0], after[:, 0], atol=1e-5)
    for name in ("left_knee", "right_ankle", "left_elbow", "right_wrist"):
        joint, parent = JOINT_INDEX[name], JOINT_PARENTS[JOINT_INDEX[name]]
        for frame in range(2):
            turned = [(joints[frame, joint] - joints[frame, parent]).numpy() for joints in (before, after)]
            assert angle_degrees(*turned) < 0.1


def test_a_damaged_asset_is_refused(tmp_path):
    path = tmp_path / "free.npz"
    path.write_bytes(b"PK\x03\x04 not an archive")
    with pytest.raises(DioramaError, match="free body"):
        read_free_body(path)
