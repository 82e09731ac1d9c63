"""People drawn at random fit the body model; recordings of a known body come back as they were."""

import numpy as np
import pytest
import torch
from motion_laws import person, posed

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.errors import DioramaError
from diorama.synthetic.layout import Layout
from diorama.synthetic.motion import Script, Walk, motion_from_amass, perform
from diorama.synthetic.people import random_manner, random_person

UPRIGHT_FROM_Y_UP = np.array([[1.0, 0, 0], [0, 0, -1.0], [0, 1.0, 0]])


def test_people_of_all_ages_have_valid_shapes(free_body):
    rng = np.random.default_rng(0)
    everybody = [random_person(rng, free_body) for _ in range(60)]
    statures = np.array([float(free_body.stature(betas)) for betas in everybody])
    assert all(((betas >= 0) & (betas <= 1)).all() for betas in everybody)
    assert statures.min() < 1.4 and statures.max() > 1.85 and 1.5 < np.median(statures) < 1.8
    children = [float(free_body.stature(random_person(rng, free_body, ages=(5.0, 6.0)))) for _ in range(10)]
    assert min(children) >= 1.0 and max(children) < 1.32 and 1.05 < np.mean(children) < 1.2
    assert len({random_manner(rng) for _ in range(5)}) == 5


@pytest.fixture(scope="module")
def recorded(free_body):
    """A walk of a body, and the arrays that an AMASS file of it would have."""
    shaped = person(free_body, 1.7)
    motion = perform(shaped, Script((1.0, 2.0), 0.4, (Walk(1.5, 1.1),)), Layout("flat"), np.arange(0, 2, 1 / 60))
    pose = np.concatenate([motion.global_orient[:, None], motion.body_pose], 1)
    poses = np.zeros((len(pose), 156))
    poses[:, :66] = pose[:, :22].reshape(len(pose), 66)
    arrays = {"poses": poses, "trans": motion.transl, "mocap_framerate": np.array(60.0), "gender": np.array("neutral"),
              "betas": shaped.betas.numpy(), "dmpls": np.zeros((len(pose), 8))}  # fmt: skip
    return shaped, motion, arrays


def written(path, arrays):
    np.savez(path, **arrays)
    return path


def test_the_recorded_body_moves_as_recorded(recorded, tmp_path, free_body):
    shaped, motion, arrays = recorded
    found = motion_from_amass(written(tmp_path / "a.npz", arrays), shaped, source=free_body.to(dtype=torch.float64))
    np.testing.assert_allclose(found.transl, motion.transl, atol=2e-3)
    ours, theirs = (posed(shaped, m).joints.numpy()[:, :22] for m in (found, motion))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    assert found.sites == CONTACT_SITE_NAMES
    agree = found.contacts[:, :4] == motion.contacts[:, :4]
    assert agree.mean() > 0.85


def test_other_bodies_point_their_limbs_the_same_way_and_stand_on_the_floor(recorded, tmp_path, free_body):
    shaped, motion, arrays = recorded
    child = person(free_body, 1.2)
    found = motion_from_amass(written(tmp_path / "a.npz", arrays), child, source=free_body.to(dtype=torch.float64))
    bodies = posed(shaped, motion), posed(child, found)
    for a, b in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist")):
        bones = [body.joints[:, JOINT_INDEX[f"left_{b}"]] - body.joints[:, JOINT_INDEX[f"left_{a}"]] for body in bodies]
        first, second = (bone / bone.norm(dim=1, keepdim=True) for bone in bones)
        assert (first * second).sum(1).min() > 1 - 1e-6
    lowest = bodies[1].contact_sites(CONTACT_SITE_NAMES[:4]).numpy()[..., 2].min(1)
    assert abs(np.median(lowest)) < 0.02
    ways = [np.linalg.norm(m.transl[-1, :2] - m.transl[0, :2]) for m in (motion, found)]
    assert 0.6 < ways[1] / ways[0] < 0.75


def test_times_between_frames_other_rates_and_axes(recorded, tmp_path):
    shaped, _, arrays = recorded
    path = written(tmp_path / "a.npz", arrays)
    every = motion_from_amass(path, shaped)
    times = np.array([0.0, 0.5 / 60, 1 / 60])
    between = motion_from_amass(path, shaped, np.append(times, 9.0))
    middle = (between.transl[0] + between.transl[2]) / 2
    np.testing.assert_allclose(np.diff(between.transl[:3], axis=0).sum(0), every.transl[1] - every.transl[0], atol=1e-9)
    np.testing.assert_allclose(between.transl[1], middle, atol=1e-9)
    np.testing.assert_allclose(between.global_orient[[0, 2]], every.global_orient[:2], atol=1e-9)
    np.testing.assert_allclose(between.global_orient[3], every.global_orient[-1], atol=1e-9)
    spelled = {("mocap_frame_rate" if name == "mocap_framerate" else name): value for name, value in arrays.items()}
    other = motion_from_amass(written(tmp_path / "b.npz", spelled), shaped)
    np.testing.assert_array_equal(other.transl, every.transl)


def test_files_with_y_up_are_turned(recorded, tmp_path):
    """The pelvis's place is trans + J0, so a world turned by R has trans' = R (trans + J0) - J0."""
    from diorama.body.rerig import rest_joints_cm
    from diorama.geometry.rotations import matrix_of, rotvec_of

    shaped, _, arrays = recorded
    rest, back = rest_joints_cm()[0] / 100, UPRIGHT_FROM_Y_UP.T
    poses = arrays["poses"].copy()
    poses[:, :3] = rotvec_of(back @ matrix_of(poses[:, :3]))
    turned = {**arrays, "poses": poses, "trans": (arrays["trans"] + rest) @ back.T - rest}
    one = motion_from_amass(written(tmp_path / "z.npz", arrays), shaped)
    two = motion_from_amass(written(tmp_path / "y.npz", turned), shaped, up="y")
    np.testing.assert_allclose(two.transl, one.transl, atol=1e-9)
    np.testing.assert_allclose(matrix_of(two.global_orient), matrix_of(one.global_orient), atol=1e-9)


@pytest.mark.parametrize("change", ["no trans", "no rate", "short poses", "pickled", "not finite", "text"])
def test_other_files_are_refused(change, recorded, tmp_path):
    shaped, _, arrays = recorded
    arrays = dict(arrays)
    if change in ("no trans", "no rate"):
        del arrays["trans" if change == "no trans" else "mocap_framerate"]
    if change == "short poses":
        arrays["poses"] = arrays["poses"][:, :60]
    if change == "pickled":
        arrays["poses"] = np.array([{"a": 1}], dtype=object)
    if change == "not finite":
        arrays["trans"] = arrays["trans"] * np.nan
    path = written(tmp_path / "bad.npz", arrays)
    if change == "text":
        path.write_text("no motion")
    with pytest.raises(DioramaError):
        motion_from_amass(path, shaped)
    with pytest.raises(DioramaError, match="axis"):
        motion_from_amass(path, shaped, up="x")
