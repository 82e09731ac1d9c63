"""A BVH file, played by a second parser, moves every joint as the reconstruction does: places, turns, times."""

import csv

import numpy as np
import pytest
from bvh_play import Bvh
from laws import JOINTS_M, ROTATIONS, SECONDS, angle_between, world_rotations, z_up

from asymmetric_world import FPS
from diorama.body.joints import JOINT_NAMES
from diorama.export.bvh import euler_zxy, write_bvh
from diorama.export.options import ExportOptions
from diorama.geometry.rotations import matrix_of


def index(folder):
    with (folder / "index.csv").open() as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def played(path):
    poses = Bvh(path).poses()
    return np.stack([poses[name] for name in JOINT_NAMES], 1)


@pytest.mark.parametrize("up", [None, "z"])
def test_joints_and_rotations_return(world, tmp_path, up):
    write_bvh(world, tmp_path, ExportOptions(up=up, unit="m" if up else None))
    person, poses = world.person(3), played(tmp_path / "person_003.bvh")
    turn = np.eye(3) if up else np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    places = poses[..., :3, 3] if up else z_up(poses[..., :3, 3]) / 100
    np.testing.assert_allclose(places, person.joints_world, atol=JOINTS_M)
    assert angle_between(turn @ poses[..., :3, :3], world_rotations(person)) < ROTATIONS


def test_times_and_parts_return(world, tmp_path):
    write_bvh(world, tmp_path)
    rows = index(tmp_path)
    assert list(rows) == ["person_003.bvh", "person_005.bvh", "person_005_part2.bvh"]
    second, file = world.person(5), Bvh(tmp_path / "person_005_part2.bvh")
    times = float(rows["person_005_part2.bvh"]["start_s"]) + np.arange(len(file.values)) * file.frame_time
    np.testing.assert_allclose(times, world.times[38:], atol=SECONDS)
    assert 1 / file.frame_time == pytest.approx(FPS) and int(rows["person_005_part2.bvh"]["first_frame"]) == 38
    places = z_up(played(tmp_path / "person_005_part2.bvh")[..., :3, 3]) / 100
    np.testing.assert_allclose(places, second.joints_world[12:], atol=JOINTS_M)


def test_sides_and_axes_without_our_own_formulas(world, tmp_path):
    """+Y is up, centimetres; the left hand is raised, the walker goes along +X and the left side lies at -Z then."""
    write_bvh(world, tmp_path)
    poses = Bvh(tmp_path / "person_003.bvh").poses()
    at = {name: pose[10, :3, 3] for name, pose in poses.items()}
    assert at["left_hand"][1] > at["head"][1] + 20 > at["left_foot"][1] + 150
    assert poses["pelvis"][-1, 0, 3] - poses["pelvis"][0, 0, 3] > 150
    assert at["left_shoulder"][2] < at["right_shoulder"][2] - 20
    assert 80 < at["pelvis"][1] < 110


def test_another_rate_keeps_the_motion(world, tmp_path):
    write_bvh(world, tmp_path, ExportOptions(fps=60))
    file = Bvh(tmp_path / "person_003.bvh")
    assert file.frame_time == pytest.approx(1 / 60, abs=1e-9)
    last = (len(file.values) - 1) / 60
    duration = world.times[35] - world.times[0]
    assert duration - 1 / 60 < last <= duration
    pelvis = z_up(file.poses()["pelvis"][:, :3, 3]) / 100
    expected = np.interp(
        np.arange(len(pelvis)) / 60 + world.times[0], world.times[:36], world.person(3).joints_world[:, 0, 0]
    )
    np.testing.assert_allclose(pelvis[:, 0], expected, atol=JOINTS_M)


def test_uneven_times_are_resampled(world, tmp_path):
    times = world.times + 0.01 * np.sin(np.arange(len(world)))
    write_bvh(world.replace(times=times), tmp_path)
    file = Bvh(tmp_path / "person_003.bvh")
    pelvis = z_up(file.poses()["pelvis"][:, :3, 3]) / 100
    at = times[0] + np.arange(len(pelvis)) * file.frame_time
    expected = np.interp(at, times[:36], world.person(3).joints_world[:, 0, 0])
    np.testing.assert_allclose(pelvis[:, 0], expected, atol=JOINTS_M)


def test_angles_never_jump_even_through_the_pole():
    turning = np.linspace(0, 4 * np.pi, 200)
    rotations = matrix_of(np.stack([turning, 0 * turning, 0 * turning], -1))[:, None]
    angles = euler_zxy(rotations)
    assert np.abs(np.diff(angles, axis=0)).max() < 0.1
    rng = np.random.default_rng(0)
    anything = matrix_of(rng.normal(size=(50, 4, 3)) * 2)
    a, b, c = np.moveaxis(euler_zxy(anything), -1, 0)
    x, y, z = np.eye(3)
    again = matrix_of(a[..., None] * z) @ matrix_of(b[..., None] * x) @ matrix_of(c[..., None] * y)
    np.testing.assert_allclose(again, anything, atol=1e-12)
    pole = matrix_of(np.array([[[0, 0, 0.7]]])) @ matrix_of(np.array([[[np.pi / 2, 0, 0]]]))
    a, b, c = euler_zxy(pole)[0, 0]
    np.testing.assert_allclose([a, b, c], [0.7, np.pi / 2, 0], atol=1e-7)


def test_a_single_file(world, tmp_path):
    walker = world.replace(people=world.people[:1])
    paths = write_bvh(walker, tmp_path / "walk.bvh")
    assert [path.name for path in paths] == ["walk.bvh", "walk_index.csv"]
    assert [path.name for path in write_bvh(world, tmp_path / "two.bvh")][:2] == [
        "two_person_003.bvh",
        "two_person_005.bvh",
    ]
