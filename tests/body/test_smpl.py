"""Reading SMPL-family files: npz and old pickles give the same body; nothing in a pickle is run."""

import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch
from scipy import sparse

from diorama.body import load_body
from diorama.body.joints import JOINT_INDEX
from diorama.body.smpl import load_smpl
from diorama.body.transfer import transfer_pose
from diorama.errors import DioramaError
from smpl_like import smpl_like_arrays


@pytest.fixture
def chumpy(monkeypatch):
    """A stand-in for the chumpy package, only while pickles are written."""
    package, module = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")
    kind = type("Ch", (), {"__module__": "chumpy.ch", "__init__": lambda self, x: setattr(self, "x", x)})
    module.Ch = kind
    monkeypatch.setitem(sys.modules, "chumpy", package)
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return kind


def write_npz(path, arrays):
    np.savez(path, **arrays)
    return load_smpl(path)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_an_old_pickle_equals_the_npz(tmp_path, smpl_arrays, chumpy, monkeypatch, protocol):
    content = dict(smpl_arrays, bs_type="lrotmin")
    for key in ("v_template", "shapedirs", "posedirs", "weights"):
        content[key] = chumpy(content[key])
    content["J_regressor"] = sparse.csc_matrix(content["J_regressor"])
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    for name in ("chumpy", "chumpy.ch"):
        monkeypatch.delitem(sys.modules, name)
    old, new = load_smpl(path), write_npz(tmp_path / "model.npz", smpl_arrays)
    assert old.name == new.name == "smpl"
    assert torch.equal(old.verts.directions, new.verts.directions)
    assert torch.equal(old.joints.template, new.joints.template)
    assert torch.equal(old.pose_directions, new.pose_directions)


@pytest.mark.parametrize(("count", "name"), [(52, "smplh"), (55, "smplx")])
def test_bodies_with_hands_are_seen_as_24_joints(tmp_path, count, name):
    arrays = smpl_like_arrays(count)
    body = write_npz(tmp_path / "model.npz", arrays)
    joints = body.shaped().joints_rest.numpy()
    full = arrays["J_regressor"] @ arrays["v_template"]
    first = {52: 22, 55: 25}[count]
    assert body.name == name
    assert np.allclose(joints[:22], full[:22], atol=1e-5)
    assert np.allclose(joints[22], full[[first, first + 3, first + 6, first + 9]].mean(0), atol=1e-5)
    assert torch.allclose(body.skin.weights.sum(1), torch.ones(len(arrays["weights"])))


def test_only_the_asked_number_of_betas(tmp_path, smpl_arrays):
    np.savez(tmp_path / "model.npz", **smpl_arrays)
    assert len(load_smpl(tmp_path / "model.npz", num_betas=4).betas_names) == 4


class Attack:
    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "attack",
    [
        lambda folder: Attack(os.mkdir, str(folder / "owned")),
        lambda folder: Attack(eval, "__import__('os').mkdir('owned')"),
        lambda folder: Attack(getattr, "text", "join"),
        lambda folder: Attack(np.load, str(folder / "x.npy")),
        lambda folder: Attack(sparse.csc_matrix, (2, 2)).__reduce__()[0],
    ],
)
def test_a_pickle_that_asks_for_more_is_refused(tmp_path, monkeypatch, smpl_arrays, attack):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(dict(smpl_arrays, J_regressor=attack(tmp_path))))
    with pytest.raises(DioramaError) as caught:
        load_smpl(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_cut_off_pickle_is_refused(tmp_path, smpl_arrays):
    whole = pickle.dumps(smpl_arrays)
    for length in (0, 1, 100, len(whole) // 2):
        path = tmp_path / f"{length}.pkl"
        path.write_bytes(whole[:length])
        with pytest.raises(DioramaError):
            load_smpl(path)


@pytest.mark.parametrize("change", [{"f": None}, {"posedirs": np.zeros((3, 3, 9))}, {"weights": np.zeros((624, 7))}])
def test_a_wrong_file_is_named(tmp_path, smpl_arrays, change):
    arrays = {key: value for key, value in (smpl_arrays | change).items() if value is not None}
    with pytest.raises(DioramaError, match=r"model\.npz"):
        write_npz(tmp_path / "model.npz", arrays)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(DioramaError, match="nowhere"):
        load_smpl(tmp_path / "nowhere.npz")


def test_smpl_parameters_show_the_same_limbs_on_the_free_body(tmp_path, smpl_arrays, free_body):
    smpl = write_npz(tmp_path / "model.npz", smpl_arrays).shaped()
    free = free_body.shaped()
    generator = torch.Generator().manual_seed(0)
    orient, pose = torch.randn(3, 3, generator=generator), torch.randn(3, 23, 3, generator=generator) * 0.5
    transl = torch.zeros(3, 3)
    before = smpl.posed(orient, pose, transl).joints
    after = free.posed(*transfer_pose(smpl, free, orient, pose, transl, exact=False)).joints
    for parent, child in (("left_hip", "left_knee"), ("right_knee", "right_ankle"), ("left_shoulder", "left_elbow")):
        bones = [joints[:, JOINT_INDEX[child]] - joints[:, JOINT_INDEX[parent]] for joints in (before, after)]
        assert (torch.cosine_similarity(*bones) > 0.9998).all()


def test_a_record_names_its_body(tmp_path, monkeypatch, smpl_arrays):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    load_body.cache_clear()
    with pytest.raises(DioramaError, match="bodies"):
        load_body("smpl")
    (tmp_path / "bodies").mkdir()
    np.savez(tmp_path / "bodies" / "smpl.npz", **smpl_arrays)
    assert load_body("smpl").name == "smpl"
    with pytest.raises(DioramaError, match="unknown body"):
        load_body("robot")
    load_body.cache_clear()
