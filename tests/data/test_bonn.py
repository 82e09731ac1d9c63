"""Bonn: the benchmark's 110 frames by rank, or all frames by time; 5000 units per metre."""

import dataclasses

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from worlds import check_projection, check_up, tiny_cameras

from diorama.data import DataOptions, open_dataset
from diorama.data.bonn import SEQUENCES
from diorama.errors import DioramaError

FRAMES = 145
START = 1548266470.0
K = np.array([[542.822841, 0, 315.593520], [0, 542.576870, 237.756098], [0, 0, 1]])
PARTIAL = DataOptions(partial=True)
ALL = DataOptions(partial=True, bonn_frames="all")


def rgb_times():
    # A rate whose times are whole in the five decimals of the names.
    return START + np.arange(FRAMES) / 32


def depth_times():
    """Depth lags by 5 ms, and one map is missing at the start."""
    return rgb_times()[1:] + 0.005


def tum_rows(times, T_camera_world):
    """Camera to world: t tx ty tz qx qy qz qw."""
    Ts = np.linalg.inv(T_camera_world)
    quaternions = Rotation.from_matrix(Ts[:, :3, :3]).as_quat()
    return np.concatenate([times[:, None], Ts[:, :3, 3], quaternions], 1)


def write_sequence(root, name="balloon2", frames=FRAMES, size=(8, 6)):
    folder = root / f"rgbd_bonn_{name}"
    for kind, times in (("rgb", rgb_times()[:frames]), ("depth", depth_times()[: frames - 1])):
        (folder / kind).mkdir(parents=True)
        for number, time in enumerate(times):
            picture = np.full(size[::-1], number + 1, np.uint8 if kind == "rgb" else np.uint16)
            if kind == "depth":
                picture[0, 0] = 0
            cv2.imwrite(str(folder / kind / f"{time:.5f}.png"), picture)
    return folder


@pytest.fixture
def bonn(tmp_path):
    folder = write_sequence(tmp_path)
    times = rgb_times()[::2]
    rows = tum_rows(times, tiny_cameras(len(times), (0, 0, 1)))
    text = "\n".join(" ".join(f"{v:.17g}" for v in row) for row in rows)
    (folder / "groundtruth.txt").write_text(f"# timestamp tx ty tz qx qy qz qw\n{text}\n")
    return tmp_path, folder


def test_the_benchmark_takes_ranks_30_to_139_of_each(bonn):
    root, _ = bonn
    sequence = open_dataset("bonn", root, PARTIAL)[0]
    found = sequence.parameters()
    assert len(sequence.pictures) == len(found.times) == 110 and found.people == ()
    assert float(sequence.pictures[0].stem) == pytest.approx(rgb_times()[30], abs=1e-4)
    depth = found.extras.depth
    assert depth.rows.tolist() == list(range(110))
    # The 31st depth map by rank, which was taken one frame later than the 31st picture.
    assert depth.at(0)[1, 1] == 31 / 5000 and depth.at(109)[1, 1] == 140 / 5000
    assert depth.at(0)[0, 0] == 0 and depth.at(0).dtype == np.float64


def test_all_frames_are_joined_by_time(bonn):
    found = open_dataset("bonn", bonn[0], ALL)[0].parameters()
    assert len(found.times) == FRAMES and found.extras.depth.rows.tolist() == list(range(1, FRAMES))
    assert found.extras.depth.at(40)[1, 1] == 40 / 5000


def test_depth_on_another_grid_is_the_nearest_pixel(bonn):
    _, folder = bonn
    ramp = np.arange(48, dtype=np.uint16).reshape(6, 8) * 5000
    cv2.imwrite(str(sorted((folder / "depth").iterdir())[30]), ramp)
    depth = open_dataset("bonn", bonn[0], PARTIAL)[0].parameters().extras.depth
    np.testing.assert_array_equal(depth.at(0), ramp / 5000)
    np.testing.assert_array_equal(depth.at(0, (4, 3)), ramp[1::2, 1::2] / 5000)
    np.testing.assert_array_equal(depth.at(0, (16, 12))[::2, ::2], ramp / 5000)


def test_poses_lead_from_the_camera_and_are_upright(bonn):
    truth = open_dataset("bonn", bonn[0], ALL)[0].truth()
    T = truth.extras.T_world_dataset
    check_up(T, [0, 0, 1])
    assert truth.extras.cameras_known
    measured = truth.reconstruction.cameras.registered
    assert measured[::2].all() and not measured[1::2].any()
    expected = tiny_cameras(len(measured[::2]), (0, 0, 1))
    rows = truth.reconstruction.cameras
    even = dataclasses.replace(
        rows,
        **{name: getattr(rows, name)[::2] for name in ("K", "T_world_camera", "distortion", "registered")},
    )
    check_projection(even, T, expected, K, np.random.default_rng(0).normal(size=(5, 3)))
    np.testing.assert_allclose(rows.distortion[0], [0.039903, -0.099343])


def test_without_a_trajectory_the_cameras_are_unknown(bonn):
    (bonn[1] / "groundtruth.txt").unlink()
    truth = open_dataset("bonn", bonn[0], PARTIAL)[0].truth()
    assert not truth.extras.cameras_known and not truth.reconstruction.cameras.registered.any()


def test_a_wrong_trajectory_is_named(bonn):
    (bonn[1] / "groundtruth.txt").write_text("1 2 3\n")
    with pytest.raises(DioramaError, match=r"groundtruth\.txt"):
        open_dataset("bonn", bonn[0], PARTIAL)[0].parameters()


def test_an_incomplete_folder_says_what_is_missing(bonn, tmp_path):
    with pytest.raises(DioramaError, match=r"4 of 5 .*rgbd_bonn_crowd2|crowd2"):
        open_dataset("bonn", bonn[0])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DioramaError, match="rgbd_bonn_balloon2"):
        open_dataset("bonn", tmp_path / "empty", PARTIAL)
    sequence = open_dataset("bonn", bonn[0], PARTIAL)[0]
    for path in sorted((bonn[1] / "rgb").iterdir())[:10]:
        path.unlink()
    with pytest.raises(DioramaError, match=r"135 pictures where the benchmark takes numbers 30 to 139"):
        sequence.parameters()


def test_a_depth_map_of_8_bits_is_refused(bonn):
    depth = open_dataset("bonn", bonn[0], PARTIAL)[0].parameters().extras.depth
    path = sorted((bonn[1] / "depth").iterdir())[30]
    cv2.imwrite(str(path), np.zeros((6, 8), np.uint8))
    with pytest.raises(DioramaError, match="not a 16-bit depth picture"):
        depth.at(0)


def test_all_five_sequences_need_no_permission(tmp_path):
    for name in SEQUENCES:
        (tmp_path / f"rgbd_bonn_{name}" / "rgb").mkdir(parents=True)
    assert [s.name for s in open_dataset("bonn", tmp_path)] == list(SEQUENCES)
