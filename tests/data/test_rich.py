"""RICH: subsets, calibrations, converted bodies or a matrix from SMPL-X, exactly the published tree."""

import json
import pickle

import numpy as np
import pytest
from rich_tree import (
    DISTORTION,
    SMALL,
    UP,
    K,
    calibration_xml,
    camera_matrices,
    write_bodies,
    write_pictures,
    write_place,
)
from scipy import sparse
from worlds import check_person, check_up, dataset_pixels, tiny_motion

from diorama.data import DataOptions, open_dataset
from diorama.data.posing import surface
from diorama.data.rich_calibration import read_calibration
from diorama.data.rich_names import CHAMFER, MOVING, SHARE
from diorama.errors import DioramaError
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from plain_smpl import rest_pelvis
from smpl_like import smpl_like_arrays

FRAMES = 3
PARTIAL = DataOptions(partial=True)
NAME = "Gym_011_cooking1"


@pytest.fixture
def rich(tmp_path):
    """A sequence with two static cameras and the moving one; pictures 10..13, bodies in frames 10..12."""
    motion = tiny_motion(FRAMES, seed=5, place=(0, 0, 4))
    write_place(tmp_path, "Gym")
    write_bodies(tmp_path / "bodies" / "test" / NAME, motion, FRAMES)
    for camera in (0, 2, 10):
        write_pictures(tmp_path / "images" / "test" / NAME / f"cam_{camera:02d}", camera, range(10, 14))
    return tmp_path, motion


def test_the_lists_have_the_published_counts():
    counts = {split: list(MOVING.values()).count(split) for split in ("train", "val", "test")}
    assert counts == {"train": 22, "val": 9, "test": 9} and len(MOVING) == 40
    assert sum(len(batches) for _, _, batches in SHARE) == 33 and len(SHARE) == 8
    assert CHAMFER == ("Gym_011_cooking1", "ParkingLot2_008_burpeejump1", "Pavallion_002_phonesiteat")


def test_every_static_camera_with_pictures_is_a_sequence(rich):
    sequences = open_dataset("rich", rich[0])
    assert [s.name for s in sequences] == [f"{NAME}_cam00", f"{NAME}_cam02"]
    assert sequences[0].split == ("test", "single-person")
    assert [path.name for path in sequences[1].pictures] == [f"{n:05d}_02.jpeg" for n in range(10, 14)]


@pytest.mark.parametrize("survey", [True, False])
def test_truth_is_upright_and_seen_at_the_same_places(tmp_path, bodies, survey):
    motion = tiny_motion(FRAMES, seed=5, place=(0, 0, 4))
    write_place(tmp_path, "Gym", survey=survey)
    write_bodies(tmp_path / "bodies" / "test" / NAME, motion, FRAMES)
    write_pictures(tmp_path / "images" / "test" / NAME / "cam_02", 2, range(10, 14))
    truth = open_dataset("rich", tmp_path)[0].truth()
    world, T = truth.reconstruction, truth.extras.T_world_dataset
    if survey:
        check_up(T, UP)
    assert (T[:3, :3] @ UP)[2] > np.cos(np.radians(12))
    assert world.frame_index.tolist() == [10, 11, 12, 13] and world.people[0].frames.tolist() == [0, 1, 2]
    assert world.cameras.kind == "static" and (world.cameras.width, world.cameras.height) == SMALL
    check_person(world.people[0], motion, bodies["neutral"], T)
    np.testing.assert_allclose(truth.extras.scene.read(), apply(T, np.array([[0.0, 0, 0], [1, 2, 3]])))
    # The calibration is of pictures 16 times as large; corners of the pictures coincide.
    points = apply(invert(camera_matrices()[2]), np.random.default_rng(0).uniform([-1, -1, 4], [1, 1, 8], (9, 3)))
    ours = project(apply(invert(world.cameras.T_world_camera[0]), apply(T, points)), world.cameras.K[0])
    large = dataset_pixels(points, camera_matrices()[2], K)
    np.testing.assert_allclose(ours, (large + 0.5) / 16, atol=1e-6)
    np.testing.assert_allclose(world.cameras.distortion, np.tile(DISTORTION, (4, 1)))


def test_rotation_matrices_are_read_too(tmp_path, bodies):
    motion = tiny_motion(FRAMES, seed=6)
    write_place(tmp_path, "Gym")
    write_bodies(tmp_path / "bodies" / "test" / NAME, motion, FRAMES, matrices=True)
    write_pictures(tmp_path / "images" / "test" / NAME / "cam_00", 0, range(10, 13))
    truth = open_dataset("rich", tmp_path)[0].truth()
    check_person(truth.reconstruction.people[0], motion, bodies["neutral"], truth.extras.T_world_dataset)


def test_two_people_keep_their_frames(rich):
    root, _ = rich
    write_bodies(root / "bodies" / "test" / NAME, tiny_motion(2, seed=7), 2, subject="012")
    people = open_dataset("rich", root)[0].parameters().people
    assert [(p.id, p.frames.tolist()) for p in people] == [(1, [0, 1, 2]), (2, [0, 1])]


def test_the_moving_camera_has_no_truth(rich, bodies):
    root, motion = rich
    sequence = open_dataset("rich-moving", root, PARTIAL)[0]
    assert sequence.name == NAME and sequence.split == ("test", "single-person", "chamfer")
    assert [path.name for path in sequence.pictures] == [f"{n:05d}_10.jpeg" for n in range(10, 14)]
    truth = sequence.truth()
    assert not truth.extras.cameras_known and not truth.reconstruction.cameras.registered.any()
    assert truth.reconstruction.cameras.focal_source == "assumed"
    # A level camera: its y axis points down.
    np.testing.assert_allclose(truth.reconstruction.cameras.T_world_camera[0, :3, 1], [0, 0, -1], atol=1e-9)
    check_person(truth.reconstruction.people[0], motion, bodies["neutral"], truth.extras.T_world_dataset)


def test_joshs_folders_of_the_moving_camera_are_read_too(tmp_path, bodies):
    motion = tiny_motion(FRAMES)
    write_place(tmp_path, "ParkingLot2")
    name = "ParkingLot2_008_eating2"
    write_bodies(tmp_path / name, motion, FRAMES)
    write_pictures(tmp_path / name / "images", 10, range(10, 13))
    sequence = open_dataset("rich-moving", tmp_path, PARTIAL)[0]
    assert sequence.name == name and sequence.split[0] == "val" and len(sequence.pictures) == 3
    truth = sequence.truth()
    check_person(truth.reconstruction.people[0], motion, bodies["neutral"], truth.extras.T_world_dataset)


def test_share_takes_batches_of_100_sorted_frames(tmp_path):
    motion = tiny_motion(210)
    write_place(tmp_path, "Gym")
    name = "Gym_012_lunge2"
    write_bodies(tmp_path / "bodies" / "test" / name, motion, 210)
    write_pictures(tmp_path / "images" / "test" / name / "cam_04", 4, range(220))
    (tmp_path / "scan_calibration" / "Gym" / "calibration" / "004.xml").write_text(
        calibration_xml(camera_matrices()[1])
    )
    batches = open_dataset("rich-share", tmp_path, PARTIAL)
    assert [s.name for s in batches] == ["Gym_012_lunge2_batch00", "Gym_012_lunge2_batch01"]
    second = batches[1].parameters()
    assert second.frame_index.tolist() == list(range(110, 210))
    np.testing.assert_array_equal(second.people[0].transl, motion["transl"][100:200])
    assert [path.name for path in batches[1].pictures[:2]] == ["00110_04.jpeg", "00111_04.jpeg"]
    for row in range(195, 210):
        for path in (tmp_path / "bodies" / "test" / name / f"{row + 10:05d}").iterdir():
            path.unlink()
        path.parent.rmdir()
    with pytest.raises(DioramaError, match=r"195 frames where batch 1 needs 200"):
        batches[1].parameters()


def matrix_world(root, cache, motion):
    """SMPL-X bodies with meshes, the matrix, and the files that it needs."""
    rng = np.random.default_rng(0)
    matrix = sparse.random(6890, 10475, density=3e-4, rng=rng, format="csr")
    folder = root / "bodies" / "test" / NAME
    verts = rng.normal(size=(FRAMES, 10475, 3)).astype("<f4")
    for row in range(FRAMES):
        frame = folder / f"{row + 10:05d}"
        frame.mkdir(parents=True)
        content = {
            "transl": motion["transl"][row], "global_orient": motion["orient"][row],
            "body_pose": motion["pose"][row, :21].reshape(63), "betas": motion["betas"],
        }  # fmt: skip
        (frame / "011.pkl").write_bytes(pickle.dumps(content))
        header = "ply\nformat binary_little_endian 1.0\nelement vertex 10475\n"
        header += "property float x\nproperty float y\nproperty float z\nend_header\n"
        (frame / "011.ply").write_bytes(header.encode() + verts[row].tobytes())
    (root / "gender.json").write_text(json.dumps({"011": "male"}))
    regressor = np.zeros((24, 6890))
    regressor[np.arange(24), np.arange(24) * 50] = 1
    np.savez(cache / "smpl.npz", J_regressor=regressor)
    np.savez(cache / "smplx_male.npz", **smpl_like_arrays(55))
    return matrix, verts.astype(np.float64), regressor


@pytest.mark.parametrize("form", ["npz", pytest.param("npy", marks=pytest.mark.slow), "pkl", "doubled pkl"])
def test_a_matrix_takes_smplx_meshes_to_smpl(tmp_path, no_bodies, form):
    no_bodies.mkdir(parents=True)
    motion = tiny_motion(FRAMES)
    root = tmp_path / "RICH"
    write_place(root, "Gym")
    matrix, verts, regressor = matrix_world(root, no_bodies, motion)
    write_pictures(root / "images" / "test" / NAME / "cam_00", 0, range(9, 13))
    path = tmp_path / f"smplx2smpl.{form[-3:]}"
    if form == "npz":
        sparse.save_npz(path, matrix)
    elif form == "npy":
        np.save(path, matrix.toarray().astype(np.float32))
    elif form == "pkl":
        path.write_bytes(pickle.dumps({"matrix": matrix.tocsc()}))
    else:
        path.write_bytes(pickle.dumps({"mtx": sparse.hstack([matrix, matrix * 3], format="csr")}))
    truth = open_dataset("rich", root, DataOptions(smplx_to_smpl=path))[0].truth()
    person, T = truth.reconstruction.people[0], truth.extras.T_world_dataset
    expected = np.stack([matrix @ v for v in verts])
    np.testing.assert_allclose(surface(truth, 1, np.array([0, 2])), apply(T, expected[[0, 2]]), atol=1e-5)
    np.testing.assert_allclose(person.joints_world, apply(T, regressor @ expected), atol=1e-5)
    assert (person.body, person.gender, person.frames.tolist()) == ("smplx", "male", [1, 2, 3])
    # The parameters are SMPL-X's, moved about its own rest pelvis.
    J0 = rest_pelvis(smpl_like_arrays(55), motion["betas"])
    np.testing.assert_allclose(person.transl + J0, apply(T, motion["transl"] + J0), atol=1e-5)
    assert person.body_pose.shape == (FRAMES, 23, 3) and (person.body_pose[:, 21:] == 0).all()


def test_smplx_bodies_need_a_conversion_or_the_matrix_and_the_gender(tmp_path, no_bodies):
    no_bodies.mkdir(parents=True)
    root = tmp_path / "RICH"
    write_place(root, "Gym")
    matrix, _, _ = matrix_world(root, no_bodies, tiny_motion(FRAMES))
    write_pictures(root / "images" / "test" / NAME / "cam_00", 0, range(10, 13))
    with pytest.raises(DioramaError, match=r"00010/011_smpl\.pkl: .*smplx_to_smpl"):
        open_dataset("rich", root)[0].parameters()
    sparse.save_npz(tmp_path / "small.npz", matrix[:100])
    with pytest.raises(DioramaError, match="must be 6890 x 10475"):
        open_dataset("rich", root, DataOptions(smplx_to_smpl=tmp_path / "small.npz"))[0].parameters()
    sparse.save_npz(tmp_path / "matrix.npz", matrix)
    (root / "gender.json").write_text("{}")
    with pytest.raises(DioramaError, match=r"gender\.json: the gender of subject 011"):
        open_dataset("rich", root, DataOptions(smplx_to_smpl=tmp_path / "matrix.npz"))[0].parameters()


def test_an_incomplete_folder_says_what_is_missing(rich, tmp_path):
    root, _ = rich
    with pytest.raises(DioramaError, match=r"39 of 40 .* first ParkingLot2_008_phonetalk1.*partial=True"):
        open_dataset("rich-moving", root)
    with pytest.raises(DioramaError, match=r"33 of 33 .* first Gym_010_lunge1_batch00"):
        open_dataset("rich-share", root, PARTIAL)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DioramaError, match="bodies/test"):
        open_dataset("rich", tmp_path / "empty")
    (root / "images" / "test" / NAME / "cam_00" / "00011_00.jpeg").unlink()
    sequence = open_dataset("rich", root)[0]
    assert len(sequence.pictures) == 3
    for path in (root / "bodies" / "test" / NAME).glob("*/*.pkl"):
        path.unlink()
    with pytest.raises(DioramaError, match="no bodies here"):
        sequence.parameters()
    for path in (root / "scan_calibration" / "Gym" / "calibration").iterdir():
        path.unlink()
    with pytest.raises(DioramaError, match=r"000\.xml: the calibration"):
        open_dataset("rich-moving", root, PARTIAL)[0].parameters()


def test_pictures_of_another_shape_are_refused(rich):
    root, _ = rich
    write_pictures(root / "images" / "test" / NAME / "cam_00", 0, range(10, 14), (100, 100))
    with pytest.raises(DioramaError, match="100 x 100 px where the calibration is of 4112 x 3008"):
        open_dataset("rich", root)[0].parameters()


def test_portrait_calibrations_are_of_portrait_pictures(tmp_path):
    upright = np.array([[3100.0, 0, 1500], [0, 3110, 2050], [0, 0, 1]])
    (tmp_path / "003.xml").write_text(calibration_xml(np.eye(4), upright))
    assert read_calibration(tmp_path / "003.xml").size == (3008, 4112)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("<opencv_storage></opencv_storage>", "no CameraMatrix/data"),
        ("<opencv_storage>", "not a calibration"),
        ("not xml", "not a calibration"),
        (calibration_xml(np.eye(4)).replace("Intrinsics", "Intrinsic"), "no Intrinsics/data"),
        (calibration_xml(np.eye(4)[:2].repeat(2, 0)[:3, :3]), "9 numbers in CameraMatrix/data"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><opencv_storage>&b;</opencv_storage>', "refused: it defines entities"),
    ],
)
def test_a_wrong_calibration_is_named(tmp_path, content, named):
    (tmp_path / "000.xml").write_text(content)
    with pytest.raises(DioramaError, match=rf"000\.xml: .*{named}") as caught:
        read_calibration(tmp_path / "000.xml")
    assert "\n" not in str(caught.value)
