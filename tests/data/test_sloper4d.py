"""SLOPER4D: labels with and without RGB_frames, LiDAR sweeps as depth, exactly the published tree."""

import pickle

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from worlds import check_person, check_projection, check_up, tiny_motion, write_picture

from diorama.data import DataOptions, SweepRule, open_dataset
from diorama.data.sloper4d import SEQUENCES
from diorama.errors import DioramaError
from diorama.geometry.transforms import apply, invert, rigid

FRAMES = 4
PARTIAL = DataOptions(partial=True)
INTRINSICS = [599.628, 599.466, 971.613, 540.258]
DIST = [0.003, -0.003, -0.001, 0.004, 0.0]
K = np.array([[599.628, 0, 971.613], [0, 599.466, 540.258], [0, 0, 1]])
STAMPS = np.array([12.05, 12.1, 12.15, 12.2])
NAME = "seq003_street_002"
# The LiDAR (x forward, y left, z up) as the camera sees it (x right, y down, z forward), tilted a little.
LIDAR_TO_CAMERA = rigid(
    Rotation.from_rotvec([0.1, 0.02, 0]).as_matrix() @ np.array([[0, -1, 0], [0, 0, -1], [1, 0, 0.0]]),
    np.array([0.05, -0.1, 0.02]),
)


def lidar_path():
    """Columns frame X Y Z qx qy qz qw time, with two frames more than the labels have."""
    rng = np.random.default_rng(4)
    rows = []
    for frame in range(99, 99 + FRAMES + 2):
        turn = Rotation.from_rotvec([0.02, -0.03, rng.uniform(-3, 3)]).as_quat()
        rows.append([frame, *rng.normal(size=3) * 20, *turn, 12.0 + 0.05 * (frame - 99)])
    return np.array(rows)


def camera_poses():
    """World to camera of the labelled frames 100..103, by the definition of the data set."""
    poses = []
    for row in lidar_path()[1 : 1 + FRAMES]:
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = Rotation.from_quat(row[4:8]).as_matrix(), row[1:4]
        poses.append(LIDAR_TO_CAMERA @ np.linalg.inv(pose))
    return np.array(poses)


def labels_content(motion, **changes):
    skeleton = np.arange(51.0).reshape(17, 3)
    content = {
        "framerate": 20, "total_frames": FRAMES, "frame_num": list(range(100, 100 + FRAMES)),
        "first_person": {"lidar_traj": lidar_path()},
        "second_person": {
            "opt_pose": np.concatenate([motion["orient"][:, None], motion["pose"]], 1).reshape(FRAMES, 72),
            "opt_trans": motion["transl"], "beta": motion["betas"].tolist(), "gender": "male",
            "pose": np.zeros((FRAMES, 72)), "point_frame": [100, 102], "point_clouds": [np.zeros((5, 3)), np.zeros((0, 3))],
        },
        "RGB_info": {
            "fps": 20, "width": 1920, "height": 1080, "intrinsics": INTRINSICS, "dist": DIST,
            "lidar2cam": LIDAR_TO_CAMERA.tolist(),
        },
        "RGB_frames": {
            "file_basename": [f"{stamp:.06f}.jpg" for stamp in STAMPS], "lidar_tstamps": STAMPS.tolist(),
            "bbox": [[1, 2, 3, 4], [], [5, 6, 7, 8], []], "skel_2d": [skeleton, [], [], skeleton + 1],
            "cam_pose": camera_poses(),
        },
    }  # fmt: skip
    return content | changes


def write_pcd(path, points):
    path.parent.mkdir(parents=True, exist_ok=True)
    header = "VERSION 0.7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    header += f"WIDTH {len(points)}\nHEIGHT 1\nPOINTS {len(points)}\nDATA binary\n"
    path.write_bytes(header.encode() + points.astype("<f4").tobytes())


def write_sequence(root, content, name=NAME):
    folder = root / name
    folder.mkdir(parents=True)
    (folder / f"{name}_labels.pkl").write_bytes(pickle.dumps(content))
    return folder


@pytest.fixture
def sloper(tmp_path):
    motion = tiny_motion(FRAMES, seed=3, place=(10, -20, 1))
    folder = write_sequence(tmp_path, labels_content(motion))
    for stamp in STAMPS:
        write_picture(folder / "rgb_data" / f"{NAME}_imgs" / f"{stamp:.06f}.jpg")
    return tmp_path, folder, motion


def test_parameters_are_those_of_the_file(sloper, no_bodies):
    root, _, motion = sloper
    sequence = open_dataset("sloper4d", root, PARTIAL)[0]
    found = sequence.parameters()
    person = found.person(1)
    assert (sequence.name, sequence.fps, sequence.split) == (NAME, 20.0, ("test", "scene"))
    assert (person.gender, person.body) == ("male", "smpl")
    np.testing.assert_array_equal(person.global_orient, motion["orient"])
    np.testing.assert_array_equal(person.body_pose, motion["pose"])
    np.testing.assert_array_equal(person.transl, motion["transl"])
    np.testing.assert_array_equal(person.betas, motion["betas"])
    np.testing.assert_allclose(found.times, [0, 0.05, 0.1, 0.15], atol=1e-9)
    np.testing.assert_allclose(found.cameras.distortion, np.tile([0.003, -0.003, 0], (FRAMES, 1)))
    np.testing.assert_allclose(found.extras.tangential, [-0.001, 0.004])
    boxes = person.labels.boxes
    assert np.isnan(boxes[[1, 3]]).all() and boxes[2].tolist() == [5, 6, 7, 8]
    keypoints = person.labels.keypoints
    assert (keypoints[[1, 2], :, 2] == 0).all() and keypoints[0, 0].tolist() == [0.5, 1.5, 2.0]
    assert person.labels.valid.all() and person.labels.joint_set == "coco17"


def test_truth_is_upright_and_seen_at_the_same_places(sloper, bodies):
    root, _, motion = sloper
    truth = open_dataset("sloper4d", root, PARTIAL)[0].truth()
    T = truth.extras.T_world_dataset
    check_up(T, [0, 0, 1])
    np.testing.assert_array_equal(T, np.eye(4))
    ahead = np.random.default_rng(0).uniform([-1, -1, 3], [1, 1, 9], (20, 3))
    for row, pose in enumerate(camera_poses()):
        points = apply(invert(pose), ahead)
        one = truth.reconstruction.cameras
        check_projection(_rows(one, row), T, pose[None], K, points)
    check_person(truth.reconstruction.person(1), motion, bodies["male"], T)


def _rows(cameras, row):
    return type("Row", (), {"K": cameras.K[[row]], "T_world_camera": cameras.T_world_camera[[row]]})


@pytest.mark.parametrize("nested", [False, True])
def test_without_rgb_frames_the_lidar_path_gives_the_cameras(tmp_path, nested):
    motion = tiny_motion(FRAMES)
    content = labels_content(motion)
    del content["RGB_frames"]
    matrix = content["RGB_info"]["lidar2cam"]
    content["RGB_info"]["lidar2cam"] = [matrix] if nested else matrix
    write_sequence(tmp_path, content)
    sequence = open_dataset("sloper4d", tmp_path, PARTIAL)[0]
    found = sequence.parameters()
    np.testing.assert_allclose(invert(found.cameras.T_world_camera), camera_poses(), atol=1e-9)
    np.testing.assert_allclose(found.times, [0, 0.05, 0.1, 0.15], atol=1e-9)
    assert sequence.pictures is None and found.person(1).labels.keypoints is None


def test_a_file_without_calibration_takes_the_data_sets(tmp_path):
    content = labels_content(tiny_motion(FRAMES))
    del content["RGB_info"]["intrinsics"], content["RGB_info"]["dist"]
    write_sequence(tmp_path, content)
    found = open_dataset("sloper4d", tmp_path, PARTIAL)[0].parameters()
    np.testing.assert_allclose(found.cameras.K[0], K + np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]))


def test_a_frame_that_the_path_lacks_is_named(tmp_path):
    content = labels_content(tiny_motion(FRAMES), frame_num=[100, 101, 102, 500])
    del content["RGB_frames"]
    write_sequence(tmp_path, content)
    with pytest.raises(DioramaError, match=r"frame 500 .*first_person/lidar_traj"):
        open_dataset("sloper4d", tmp_path, PARTIAL)[0].parameters()


def test_depth_is_the_sweep_of_the_frame(sloper):
    root, folder, _ = sloper
    ahead = np.random.default_rng(5).uniform([-2, -1, 2], [2, 1, 9], (200, 3))
    behind = ahead * [1, 1, -1]
    for row in (0, 2):
        points = apply(invert(camera_poses()[row]), np.vstack([ahead + row, behind]))
        write_pcd(folder / "lidar_data" / "lidar_frames_rot" / f"{STAMPS[row]:.03f}.pcd".replace(".", "_", 1), points)
    assert sorted(p.name for p in (folder / "lidar_data" / "lidar_frames_rot").iterdir()) == [
        "12_050.pcd",
        "12_150.pcd",
    ]
    depth = open_dataset("sloper4d", root, PARTIAL)[0].parameters().extras.depth
    assert depth.rows.tolist() == [0, 2]
    for row in (0, 2):
        found = depth.at(row, (512, 288))
        assert found.shape == (288, 512) and 20 < (found > 0).sum() <= 200
        assert np.isin(np.round(found[found > 0], 3), np.round(ahead[:, 2] + row, 3)).mean() > 0.95
    assert depth.at(0).shape == (1080, 1920)
    with pytest.raises(KeyError):
        depth.at(1)
    nearer = open_dataset("sloper4d", root, DataOptions(partial=True, sweep=SweepRule(nearest=True)))[0]
    again = nearer.parameters().extras.depth.at(0, (64, 36))
    assert (again <= depth.at(0, (64, 36)) + 1e-9).all() and (again > 0).any()


def test_the_merged_map_is_read_when_asked_for(sloper):
    root, folder, _ = sloper
    header = (
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    (folder / "lidar_data").mkdir()
    (folder / "lidar_data" / "6496frames.ply").write_text(header + "1 2 3\n4 5 6\n")
    scene = open_dataset("sloper4d", root, PARTIAL)[0].parameters().extras.scene
    assert scene.read().tolist() == [[1, 2, 3], [4, 5, 6]]


def test_pictures_are_those_that_the_labels_name(sloper):
    root, folder, _ = sloper
    sequence = open_dataset("sloper4d", root, PARTIAL)[0]
    assert [path.name for path in sequence.pictures] == [f"{stamp:.06f}.jpg" for stamp in STAMPS]
    (folder / "rgb_data" / f"{NAME}_imgs" / "12.100000.jpg").unlink()
    with pytest.raises(DioramaError, match=r"12\.100000\.jpg: a picture"):
        _ = sequence.pictures


def test_the_sequence_that_scene_metrics_drop_has_no_such_tag(tmp_path):
    for name in SEQUENCES:
        write_sequence(tmp_path, labels_content(tiny_motion(FRAMES)), name)
    sequences = open_dataset("sloper4d", tmp_path)
    assert [s.name for s in sequences if "scene" not in s.split] == ["seq009_running_002"] and len(sequences) == 6


def test_an_incomplete_folder_says_what_is_missing(sloper, tmp_path):
    root, _, _ = sloper
    with pytest.raises(DioramaError, match=r"5 of 6 .*seq002_football_001.*partial=True"):
        open_dataset("sloper4d", root)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DioramaError, match=r"seq002_football_001_labels\.pkl"):
        open_dataset("sloper4d", tmp_path / "empty", PARTIAL)


@pytest.mark.parametrize("missing", ["RGB_info", "second_person", "total_frames"])
def test_labels_of_another_version_are_named(tmp_path, missing):
    content = labels_content(tiny_motion(FRAMES))
    del content[missing]
    write_sequence(tmp_path, content)
    with pytest.raises(DioramaError, match=f"{NAME}_labels.pkl: there is no entry {missing}"):
        open_dataset("sloper4d", tmp_path, PARTIAL)[0].parameters()


def test_lists_of_another_length_are_named(tmp_path):
    content = labels_content(tiny_motion(FRAMES))
    content["RGB_frames"]["bbox"].append([])
    write_sequence(tmp_path, content)
    with pytest.raises(DioramaError, match=r"a list of 4 was expected: RGB_frames/bbox"):
        open_dataset("sloper4d", tmp_path, PARTIAL)[0].parameters()
