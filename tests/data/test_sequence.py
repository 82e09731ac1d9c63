"""Synthetic sequences fit the same types; names and options of `open_dataset`."""

import numpy as np
import pytest
from test_emdb import PARTIAL, emdb_content, write_sequence
from worlds import tiny_cameras, tiny_motion

from asymmetric_world import asymmetric_world
from diorama.data import DATASETS, Sequence, exact_truth, open_dataset
from diorama.data.posing import posed_body, surface
from diorama.data.truth import DepthMaps, Labels, Truth
from diorama.data.upright import nearest_axis, up_of_cameras, upright
from diorama.errors import DioramaError
from diorama.geometry.transforms import invert
from diorama.reconstruction import load
from plain_smpl import plain_smpl


def test_a_saved_synthetic_truth_is_a_sequence(tmp_path):
    """Exactly what a rendered clip has: a video, a saved reconstruction, and depth that is made when asked for."""
    world = asymmetric_world()
    world.save(tmp_path / "truth")
    asked = []

    def read(row, size):
        asked.append((row, size))
        return np.full((size or (4, 3))[::-1], float(row))

    depth = DepthMaps(np.arange(2), read)
    sequence = Sequence(
        dataset="synthetic:standard", name="street_7", split=("test",), fps=25.0,
        find_pictures=lambda: tmp_path / "video.mp4",
        read_truth=lambda: exact_truth(load(tmp_path / "truth"), depth=depth),
    )  # fmt: skip
    truth = sequence.truth()
    assert sequence.pictures == tmp_path / "video.mp4"
    for person in truth.reconstruction.people:
        labels = truth.labels_of(person.id)
        assert labels.valid.all() and len(labels.valid) == len(person.frames)
        np.testing.assert_array_equal(person.joints_world, world.person(person.id).joints_world)
    assert asked == []
    assert truth.extras.depth.at(1, (2, 2)).tolist() == [[1, 1], [1, 1]] and asked == [(1, (2, 2))]
    with pytest.raises(DioramaError, match="no parameters"):
        sequence.parameters()


def test_labels_must_be_those_of_the_people():
    world = asymmetric_world()
    with pytest.raises(ValueError, match="labels of person"):
        Truth(world, tuple(Labels(99, np.ones(len(p.frames), bool)) for p in world.people))


def test_an_unknown_data_set_names_the_known_ones(tmp_path):
    with pytest.raises(DioramaError, match=", ".join(DATASETS)):
        open_dataset("kitti", tmp_path)
    known = "emdb1 emdb2 sloper4d rich rich-moving rich-share bonn 3dpw bedlam toyota"
    assert set(DATASETS) == set(known.split())


@pytest.mark.parametrize("name", DATASETS)
def test_a_folder_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(DioramaError, match="nowhere") as caught:
        open_dataset(name, tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


def test_vertices_come_from_the_same_body(tmp_path, bodies):
    """For foot sliding and vertex errors: all vertices or a few, at the place of the person."""
    motion = tiny_motion(5, place=(3000.0, 0, 0))
    write_sequence(tmp_path, "P2_20_outdoor_walk", emdb_content(motion, tiny_cameras(5, (0, 1, 0))), pictures=0)
    truth = open_dataset("emdb2", tmp_path, PARTIAL)[0].truth()
    person = truth.reconstruction.person(1)
    rows = np.array([0, 3])
    found = surface(truth, 1, rows)
    for index, row in enumerate(rows):
        moved = (person.global_orient[row], person.body_pose[row], person.transl[row])
        _, expected = plain_smpl(bodies["female"], motion["betas"], *moved)
        np.testing.assert_allclose(found[index], expected, atol=2e-5)
    np.testing.assert_allclose(surface(truth, 1, rows, (5, 17)), found[:, [5, 17]], atol=1e-5)
    assert posed_body(person).joints.shape == (5, 24, 3)


@pytest.mark.parametrize("up", np.vstack([np.eye(3), -np.eye(3), [[0.3, 0.9, -0.2]]]))
def test_any_direction_can_be_turned_up(up):
    up = up / np.linalg.norm(up)
    T = upright(up)
    np.testing.assert_allclose(T[:3, :3] @ up, [0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-12)


def test_up_of_cameras_survives_some_that_are_held_sideways():
    Ts = invert(tiny_cameras(9, (0, 1, 0)))
    Ts[:3, :3, 1], Ts[:3, :3, 0] = Ts[:3, :3, 0].copy(), -Ts[:3, :3, 1].copy()
    np.testing.assert_allclose(nearest_axis(up_of_cameras(Ts)), [0, 1, 0], atol=1e-12)
    between = np.array([1.0, 1, 1]) / np.sqrt(3)
    np.testing.assert_array_equal(nearest_axis(between), between)
