"""3DPW: pickles of Python 2 with chumpy betas, two people of two genders, frames that count."""

import pickle
import sys
import types

import numpy as np
import pytest
from worlds import check_person, check_projection, check_up, tiny_cameras, tiny_motion, write_picture

from diorama.data import open_dataset
from diorama.errors import DioramaError
from diorama.geometry.transforms import invert

FRAMES = 4
K = np.array([[1961.8, 0, 540.0], [0, 1969.2, 960.0], [0, 0, 1]])
NAME = "downtown_walking_00"


@pytest.fixture
def chumpy(monkeypatch):
    """A stand-in for the chumpy package, only while pickles are written."""
    module = types.ModuleType("chumpy.ch")
    module.Ch = type("Ch", (), {"__module__": "chumpy.ch", "__init__": lambda self, x: setattr(self, "x", x)})
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)
    return module.Ch


def motions():
    return [tiny_motion(FRAMES, seed=n, place=(n, 0, 0)) for n in range(2)]


def pw_content(cameras, **changes):
    poses2d = np.ones((2, FRAMES, 3, 18)) * 7
    poses2d[1, 2] = 0
    content = {
        "sequence": NAME,
        "poses": [np.concatenate([m["orient"][:, None], m["pose"]], 1).reshape(FRAMES, 72) for m in motions()],
        "trans": [m["transl"] for m in motions()], "betas": [np.append(m["betas"], [0.1, 0.2]) for m in motions()],
        "genders": ["m", "f"], "cam_poses": cameras, "cam_intrinsics": K, "poses2d": list(poses2d),
        "campose_valid": [np.array([1, 1, 1, 0]), np.array([1, 1, 1, 1])], "img_frame_ids": np.arange(FRAMES) * 2,
        "jointPositions": [np.zeros((FRAMES, 72))] * 2,
    }  # fmt: skip
    return content | changes


def write_sequence(root, content, split="test", name=NAME):
    path = root / "sequenceFiles" / split / f"{name}.pkl"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = pickle.dumps(content, protocol=2)
    path.write_bytes(written.replace(b"numpy._core", b"numpy.core"))
    return path


@pytest.mark.parametrize("up", [(0, 1, 0), (0, 0, 1), (0, -1, 0)])
def test_truth_is_upright_and_seen_at_the_same_places(tmp_path, bodies, up):
    """Which axis of the world is up follows from the cameras, that are held almost level."""
    cameras = tiny_cameras(FRAMES, up)
    write_sequence(tmp_path, pw_content(cameras))
    truth = open_dataset("3dpw", tmp_path)[0].truth()
    T = truth.extras.T_world_dataset
    check_up(T, np.array(up, float))
    check_projection(truth.reconstruction.cameras, T, cameras, K, np.random.default_rng(0).normal(size=(20, 3)))
    for person, motion, gender in zip(truth.reconstruction.people, motions(), ("male", "female"), strict=True):
        assert person.gender == gender and len(person.betas) == 10
        check_person(person, motion, bodies[gender], T)


def test_frames_count_where_the_camera_is_known_and_somebody_was_seen(tmp_path):
    write_sequence(tmp_path, pw_content(tiny_cameras(FRAMES, (0, 1, 0))))
    first, second = open_dataset("3dpw", tmp_path)[0].parameters().people
    assert first.labels.valid.tolist() == [True, True, True, False]
    assert second.labels.valid.tolist() == [True, True, False, True]
    assert first.labels.keypoints.shape == (FRAMES, 18, 3) and first.labels.keypoints[0, 0].tolist() == [7.5, 7.5, 7]


def test_one_list_of_valid_cameras_for_all(tmp_path):
    write_sequence(tmp_path, pw_content(tiny_cameras(FRAMES, (0, 1, 0)), campose_valid=np.array([1, 0, 1, 1])))
    first, second = open_dataset("3dpw", tmp_path)[0].parameters().people
    assert first.labels.valid.tolist() == [True, False, True, True]
    assert second.labels.valid.tolist() == [True, False, False, True]


def test_chumpy_betas_are_numbers(tmp_path, chumpy, monkeypatch):
    content = pw_content(tiny_cameras(FRAMES, (0, 1, 0)))
    content["betas"] = [chumpy(betas) for betas in content["betas"]]
    write_sequence(tmp_path, content)
    for name in ("chumpy", "chumpy.ch"):
        monkeypatch.delitem(sys.modules, name)
    people = open_dataset("3dpw", tmp_path)[0].parameters().people
    for person, motion in zip(people, motions(), strict=True):
        np.testing.assert_array_equal(person.betas, motion["betas"])


def test_splits_and_pictures(tmp_path):
    content = pw_content(tiny_cameras(FRAMES, (0, 1, 0)))
    for split, name in (("train", "a_00"), ("validation", "b_00"), ("test", "c_00")):
        write_sequence(tmp_path, content, split, name)
    sequences = open_dataset("3dpw", tmp_path)
    assert [(s.name, *s.split) for s in sequences] == [("a_00", "train"), ("b_00", "validation"), ("c_00", "test")]
    assert sequences[2].pictures is None
    assert sequences[2].parameters().cameras.width == 1080 and sequences[2].parameters().cameras.height == 1920
    for number in range(FRAMES):
        write_picture(tmp_path / "imageFiles" / "c_00" / f"image_{number:05d}.jpg", 54, 96)
    assert len(sequences[2].pictures) == FRAMES
    cameras = sequences[2].parameters().cameras
    assert (cameras.width, cameras.height) == (54, 96)
    np.testing.assert_allclose(invert(cameras.T_world_camera), content["cam_poses"], atol=1e-12)


def test_a_wrong_folder_says_what_belongs_there(tmp_path):
    with pytest.raises(DioramaError, match="sequenceFiles"):
        open_dataset("3dpw", tmp_path)
    (tmp_path / "sequenceFiles").mkdir()
    with pytest.raises(DioramaError, match=r"test/\*\.pkl"):
        open_dataset("3dpw", tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"genders": ["m", "x"]}, "genders"),
        ({"trans": [np.zeros((FRAMES, 3))]}, "trans"),
        ({"poses": [np.zeros((FRAMES, 69))] * 2}, "poses"),
        ({"cam_poses": np.zeros((3, 3))}, "cam_poses"),
    ],
)
def test_a_file_of_another_version_is_named(tmp_path, change, named):
    write_sequence(tmp_path, pw_content(tiny_cameras(FRAMES, (0, 1, 0)), **change))
    with pytest.raises(DioramaError, match=rf"{NAME}\.pkl: .*{named}"):
        open_dataset("3dpw", tmp_path)[0].parameters()
