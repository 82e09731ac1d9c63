"""TUM, PLY and CSV give back what went in, to every format's own precision."""

import math

import numpy as np
import pytest
from laws import JOINTS_M, ROTATIONS, SECONDS, angle_between, world_rotations, z_up
from scipy.spatial.transform import Rotation

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.data.point_files import read_points
from diorama.errors import DioramaError
from diorama.export.csv_tables import read_csv, write_csv
from diorama.export.options import ExportOptions
from diorama.export.ply import read_ply, write_ply
from diorama.export.tum import read_tum, write_tum


def test_tum_returns(world, tmp_path):
    read = read_tum(write_tum(world, tmp_path / "camera.tum"))
    np.testing.assert_allclose(read.times, world.times, atol=SECONDS)
    np.testing.assert_allclose(read.Ts_world_camera[:, :3, 3], world.cameras.T_world_camera[:, :3, 3], atol=JOINTS_M)
    assert angle_between(read.Ts_world_camera[:, :3, :3], world.cameras.T_world_camera[:, :3, :3]) < ROTATIONS


def test_tum_with_other_axes_and_unit(world, tmp_path):
    """The camera keeps its own axes: turned back, its rotation is the one it had."""
    read = read_tum(write_tum(world, tmp_path / "camera.tum", ExportOptions(up="y", unit="cm")))
    centres = world.cameras.T_world_camera[:, :3, 3]
    np.testing.assert_allclose(z_up(read.Ts_world_camera[:, :3, 3]) / 100, centres, atol=JOINTS_M)
    back = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    assert angle_between(back @ read.Ts_world_camera[:, :3, :3], world.cameras.T_world_camera[:, :3, :3]) < ROTATIONS


def test_tum_is_what_evo_accepts(world, tmp_path):
    """Eight numbers, single spaces, nothing behind them; quaternions of length one, x y z w, camera to world."""
    lines = write_tum(world, tmp_path / "camera.tum").read_text().splitlines()
    assert len(lines) == len(world) and all(len(line.split(" ")) == 8 and line == line.strip() for line in lines)
    x, y, z, w = (float(word) for word in lines[0].split(" ")[4:])
    assert math.hypot(x, y, z, w) == pytest.approx(1, abs=1e-8)
    # Looks along +Y and stands upright: the camera's forward axis, turned by the quaternion written out.
    forward = (2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y))
    assert forward[1] > 0.99


def test_ply_returns(world, tmp_path):
    path = write_ply(world, tmp_path / "scene.ply")
    vertices = read_ply(path)
    places = np.stack([vertices[name] for name in "xyz"], -1)
    np.testing.assert_allclose(places, world.scene.points_world, atol=JOINTS_M)
    np.testing.assert_array_equal(
        np.stack([vertices[name] for name in ("red", "green", "blue")], -1), world.scene.colors
    )
    np.testing.assert_array_equal(vertices["confidence"], world.scene.confidence)
    np.testing.assert_allclose(read_points(path), world.scene.points_world, atol=JOINTS_M)


def test_ply_with_other_axes_and_unit(world, tmp_path):
    path = write_ply(world, tmp_path / "scene.ply", ExportOptions(up="y", unit="cm"))
    np.testing.assert_allclose(z_up(read_points(path)) / 100, world.scene.points_world, atol=JOINTS_M)
    assert "+Y up, cm" in path.read_bytes()[:300].decode("ascii", "replace")


def test_csv_joints_return(world, tmp_path):
    joints, _ = write_csv(world, tmp_path)
    table = read_csv(joints)
    for person in world.people:
        rows = table["person"] == person.id
        assert table["frame"][rows].tolist() == person.frames.tolist()
        np.testing.assert_allclose(table["time_s"][rows], world.times[person.frames], atol=SECONDS)
        np.testing.assert_array_equal(table["observed"][rows], person.observed)
        for number, name in enumerate(JOINT_NAMES):
            places = np.stack([table[f"{name}_{axis}_m"][rows] for axis in "xyz"], -1)
            np.testing.assert_allclose(places, person.joints_world[:, number], atol=JOINTS_M)


def test_csv_angles_return(world, tmp_path):
    _, angles = write_csv(world, tmp_path)
    table, person = read_csv(angles), world.person(5)
    rows, turns = table["person"] == 5, []
    for name, parent in zip(JOINT_NAMES, JOINT_PARENTS, strict=True):
        x, z, y = (table[f"{name}_{axis}_deg"][rows] for axis in "xzy")
        own = Rotation.from_euler("XZY", np.stack([x, z, y], -1), degrees=True).as_matrix()
        turns.append(own if parent < 0 else turns[parent] @ own)
    assert angle_between(np.stack(turns, 1), world_rotations(person)) < ROTATIONS


def test_csv_angles_mean_what_the_page_says(world, tmp_path):
    """The bystander's right knee is bent by 0.9 rad, the walker's left hip swings, left and right are not swapped."""
    _, angles = write_csv(world, tmp_path)
    table = read_csv(angles)
    fifth, third = table["person"] == 5, table["person"] == 3
    np.testing.assert_allclose(table["right_knee_x_deg"][fifth], np.degrees(0.9), atol=1e-6)
    np.testing.assert_allclose(table["left_knee_x_deg"][fifth], 0, atol=1e-6)
    assert (table["right_knee_bend_deg"][fifth] > table["left_knee_bend_deg"][fifth] + 30).all()
    forward = np.sin(2 * np.pi * (world.times[world.person(3).frames] - world.times[0]))
    assert np.corrcoef(-table["left_hip_x_deg"][third], forward)[0, 1] > 0.99


def test_csv_in_centimetres_as_one_file(world, tmp_path):
    paths = write_csv(world, tmp_path / "walk.csv", ExportOptions(unit="cm", up="y"))
    assert [path.name for path in paths] == ["walk.csv", "walk_angles.csv"]
    table = read_csv(paths[0])
    assert table["left_hand_y_cm"][0] == pytest.approx(100 * world.person(3).joints_world[0, 22, 2], abs=1e-4)


@pytest.mark.parametrize("read", [read_tum, read_ply, read_csv])
def test_what_is_no_such_file_is_one_line(read, tmp_path):
    (tmp_path / "text").write_text("nonsense\nhere 1\n")
    for path in (tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(DioramaError, match="not a"):
            read(path)
