"""EMDB: exactly the published tree, read back into the project's conventions."""

import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from worlds import check_person, check_projection, check_up, tiny_cameras, tiny_motion, write_picture

from diorama.data import DataOptions, open_dataset
from diorama.data.emdb import SEQUENCES
from diorama.errors import DioramaError
from diorama.geometry.transforms import apply, invert
from plain_smpl import plain_smpl, rest_pelvis

FRAMES = 5
PARTIAL = DataOptions(partial=True)
K = np.array([[1450.0, 0, 719.5], [0, 1452.0, 960.25], [0, 0, 1]])


def emdb_content(motion, cameras, **changes):
    content = {
        "gender": "female", "name": "P2_20_outdoor_walk", "emdb1": False, "emdb2": True, "n_frames": FRAMES,
        "good_frames_mask": np.array([True, True, False, True, True]),
        "camera": {"intrinsics": K, "extrinsics": cameras, "width": 1440, "height": 1920},
        "smpl": {
            "poses_root": motion["orient"], "poses_body": motion["pose"].reshape(FRAMES, 69),
            "trans": motion["transl"], "betas": motion["betas"],
        },
        "kp2d": np.arange(FRAMES * 48.0).reshape(FRAMES, 24, 2),
        "bboxes": {"bboxes": np.arange(FRAMES * 4.0).reshape(FRAMES, 4), "invalid_idxs": np.array([3])},
    }  # fmt: skip
    return content | changes


def write_sequence(root, name, content, pictures=FRAMES):
    folder = root / name[:2] / name[3:]
    folder.mkdir(parents=True)
    (folder / f"{name}_data.pkl").write_bytes(pickle.dumps(content))
    for number in range(pictures):
        write_picture(folder / "images" / f"{number:05d}.jpg")
    return folder


@pytest.fixture
def emdb(tmp_path):
    motion, cameras = tiny_motion(FRAMES), tiny_cameras(FRAMES, (0, 1, 0))
    root = tmp_path / "EMDB"
    write_sequence(root, "P2_20_outdoor_walk", emdb_content(motion, cameras))
    write_sequence(root, "P8_64_outdoor_skateboard", emdb_content(motion, cameras, emdb1=True, gender="male"))
    write_sequence(root, "P2_23_outdoor_hug_tree", emdb_content(motion, cameras, emdb1=True, emdb2=False))
    return root, motion, cameras


def test_the_flags_choose_the_sequences(emdb):
    root, _, _ = emdb
    names = {name: [s.name for s in open_dataset(name, root, PARTIAL)] for name in ("emdb1", "emdb2")}
    assert names["emdb1"] == ["P2_23_outdoor_hug_tree", "P8_64_outdoor_skateboard"]
    assert names["emdb2"] == ["P2_20_outdoor_walk", "P8_64_outdoor_skateboard"]


def test_parameters_are_those_of_the_file(emdb, no_bodies):
    root, motion, cameras = emdb
    sequence = open_dataset("emdb2", root, PARTIAL)[0]
    found = sequence.parameters()
    person, labels = found.person(1), found.person(1).labels
    assert (person.body, person.gender, sequence.fps) == ("smpl", "female", 30.0)
    for name, key in (("global_orient", "orient"), ("body_pose", "pose"), ("transl", "transl"), ("betas", "betas")):
        np.testing.assert_array_equal(getattr(person, name), motion[key])
    np.testing.assert_allclose(invert(found.cameras.T_world_camera), cameras, atol=1e-12)
    assert (found.cameras.width, found.cameras.height, found.cameras.focal_source) == (1440, 1920, "given")
    np.testing.assert_allclose(found.times, np.arange(FRAMES) / 30)
    assert labels.valid.tolist() == [True, True, False, True, True]
    np.testing.assert_array_equal(labels.keypoints[..., :2], np.arange(FRAMES * 48.0).reshape(FRAMES, 24, 2) + 0.5)
    assert np.isnan(labels.boxes[3]).all() and labels.boxes[4].tolist() == [16, 17, 18, 19]


def test_truth_is_upright_and_seen_at_the_same_places(emdb, bodies):
    root, motion, cameras = emdb
    truth = open_dataset("emdb2", root, PARTIAL)[0].truth()
    T = truth.extras.T_world_dataset
    check_up(T, [0, 1, 0])
    np.testing.assert_allclose(apply(T, np.array([1.0, 2, 3])), [1, -3, 2], atol=1e-12)
    points = np.random.default_rng(0).normal(size=(20, 3))
    check_projection(truth.reconstruction.cameras, T, cameras, K, points)
    check_person(truth.reconstruction.person(1), motion, bodies["female"], T)
    assert truth.labels_of(1).valid.sum() == 4
    assert truth.reconstruction.provenance == {"dataset": "emdb2", "sequence": "P2_20_outdoor_walk"}


def test_the_body_before_the_camera_is_that_of_emdbs_own_rule(emdb, bodies):
    """R_cam = R R_root and trans_cam = R (trans + J0) + t - J0 give the joints that our cameras see."""
    root, motion, cameras = emdb
    truth = open_dataset("emdb2", root, PARTIAL)[0].truth().reconstruction
    J0 = rest_pelvis(bodies["female"], motion["betas"])
    for row, T in enumerate(cameras):
        R, t = T[:3, :3], T[:3, 3]
        orient = (Rotation.from_matrix(R) * Rotation.from_rotvec(motion["orient"][row])).as_rotvec()
        transl = R @ (motion["transl"][row] + J0) + t - J0
        expected, _ = plain_smpl(bodies["female"], motion["betas"], orient, motion["pose"][row], transl)
        ours = apply(invert(truth.cameras.T_world_camera[row]), truth.people[0].joints_world[row])
        np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_the_gender_chooses_the_body(emdb, bodies):
    root, motion, _ = emdb
    truth = open_dataset("emdb2", root, PARTIAL)[1].truth()
    check_person(truth.reconstruction.person(1), motion, bodies["male"], truth.extras.T_world_dataset)


def test_without_the_body_file_only_the_truth_is_refused(emdb, no_bodies):
    sequence = open_dataset("emdb2", emdb[0], PARTIAL)[0]
    assert len(sequence.parameters().people) == 1
    with pytest.raises(DioramaError, match=r"smpl_female\.npz"):
        sequence.truth()


def test_pictures_are_one_per_row(emdb):
    root, _, _ = emdb
    sequence = open_dataset("emdb2", root, PARTIAL)[0]
    assert [path.name for path in sequence.pictures] == [f"{n:05d}.jpg" for n in range(FRAMES)]
    sequence.pictures[2].unlink()
    with pytest.raises(DioramaError, match=r"4 pictures where 5 were expected"):
        _ = sequence.pictures
    for path in (root / "P2" / "20_outdoor_walk" / "images").iterdir():
        path.unlink()
    (root / "P2" / "20_outdoor_walk" / "images").rmdir()
    assert sequence.pictures is None


def test_one_folder_per_sequence_is_read_too(emdb, tmp_path):
    root, _, _ = emdb
    (tmp_path / "flat").mkdir()
    (root / "P2" / "20_outdoor_walk").rename(tmp_path / "flat" / "P2_20_outdoor_walk")
    assert [s.name for s in open_dataset("emdb2", tmp_path / "flat", PARTIAL)] == ["P2_20_outdoor_walk"]


def test_a_whole_benchmark_needs_no_permission(tmp_path):
    motion, cameras = tiny_motion(FRAMES), tiny_cameras(FRAMES, (0, 1, 0))
    for id in SEQUENCES["emdb2"]:
        write_sequence(tmp_path, f"{id}_some_name", emdb_content(motion, cameras), pictures=0)
    assert len(open_dataset("emdb2", tmp_path)) == 25
    (tmp_path / "P9" / "77_some_name" / "P9_77_some_name_data.pkl").unlink()
    with pytest.raises(DioramaError, match=r"1 of 25 .* missing, first P9_77"):
        open_dataset("emdb2", tmp_path)


@pytest.mark.parametrize("name", ["emdb1", "emdb2"])
def test_a_wrong_folder_says_what_belongs_there(tmp_path, name):
    with pytest.raises(DioramaError, match=r"EMDB.*expected here"):
        open_dataset(name, tmp_path / "nowhere")
    with pytest.raises(DioramaError, match=r"P\d_\d\d_\*_data\.pkl"):
        open_dataset(name, tmp_path, PARTIAL)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"smpl": {"poses_root": np.zeros((5, 3))}}, "smpl/betas"),
        ({"camera": {"width": 1, "height": 1, "intrinsics": K}}, "camera/extrinsics"),
        ({"good_frames_mask": np.ones(4, bool)}, "good_frames_mask"),
        ({"n_frames": 6}, "camera/extrinsics"),
        ({"smpl": 3}, "smpl"),
    ],
)
def test_a_file_of_another_version_says_what_is_missing(tmp_path, change, named):
    motion, cameras = tiny_motion(FRAMES), tiny_cameras(FRAMES, (0, 1, 0))
    write_sequence(tmp_path, "P2_20_outdoor_walk", emdb_content(motion, cameras, **change))
    with pytest.raises(DioramaError, match=f"P2_20_outdoor_walk_data.pkl.*{named}"):
        open_dataset("emdb2", tmp_path, PARTIAL)[0].parameters()


def test_a_pickle_without_flags_is_not_emdb(tmp_path):
    write_sequence(tmp_path, "P2_20_outdoor_walk", {"poses": 3})
    with pytest.raises(DioramaError, match="no entry emdb2"):
        open_dataset("emdb2", tmp_path, PARTIAL)
