"""The truth compared with itself, moved, scaled and disturbed, gives the figures that were put in."""

import dataclasses

import numpy as np
import pytest

from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import move_cameras
from diorama.reconstruction import Cameras, Person, Reconstruction, Scene
from diorama.synthetic.compare import compare_with_truth

RNG = np.random.default_rng(3)
SITES = ("left_heel", "right_heel", "left_toe", "right_toe")
FRAMES = 60


def person(id, start, step):
    joints = RNG.normal(0, 0.3, (1, 24, 3)) + RNG.normal(0, 0.02, (FRAMES, 24, 3))
    joints = joints + np.array(start) + np.arange(FRAMES)[:, None, None] * np.array(step)
    contacts = (np.arange(FRAMES)[:, None] // 8 + np.arange(4)) % 3 == 0
    return Person(
        id, np.arange(FRAMES), "nobody", "neutral", np.zeros(6), np.zeros((FRAMES, 3)), np.zeros((FRAMES, 23, 3)),
        joints[:, 0], joints, contacts.astype(float), SITES, np.ones(FRAMES, bool), np.ones(FRAMES),
    )  # fmt: skip


def world():
    T = np.tile(np.eye(4), (FRAMES, 1, 1))
    T[:, :3, 3] = np.cumsum(RNG.normal(0.03, 0.02, (FRAMES, 3)), 0)
    K = np.tile(np.array([[900.0, 0, 480], [0, 900, 270], [0, 0, 1]]), (FRAMES, 1, 1))
    lens = Cameras(K, T, np.zeros((FRAMES, 1)), np.ones(FRAMES, bool), 960, 540, "given")
    scene = Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0))
    people = (person(1, (0, 0, 6), (0, 0.04, 0)), person(2, (2.0, 0, 7), (-0.01, 0, 0.02)))
    return Reconstruction(
        np.arange(FRAMES) / 30, np.arange(FRAMES), np.zeros(FRAMES, bool), lens, people, scene, "exact"
    )


TRUTH = world()


def moved(scale):
    rotation, shift = matrix_of(np.array([0.2, 0.1, 2.0])), np.array([5.0, 2.0, 0.0])
    people = tuple(
        dataclasses.replace(p, id=p.id + 10, joints_world=scale * p.joints_world @ rotation.T + shift)
        for p in TRUTH.people
    )
    lens = dataclasses.replace(
        TRUTH.cameras, T_world_camera=move_cameras(TRUTH.cameras.T_world_camera, scale, rotation, shift)
    )
    return TRUTH.replace(people=people[::-1], cameras=lens)


def test_the_truth_in_another_world_has_no_error_but_scale():
    figures = compare_with_truth(moved(1.1), TRUTH)
    assert figures["people_matched"] == 2
    for key in ("ate_cm", "pa_mpjpe_mm", "root_error_percent", "focal_error_percent"):
        assert figures[key] == pytest.approx(0, abs=1e-5)
    assert figures["scale_error_percent"] == pytest.approx(10)
    assert figures["contact_precision"] == figures["contact_recall"] == 1
    assert figures["rte_percent"] > 1


def test_late_contacts_and_missing_frames():
    def disturbed(p):
        rows = np.arange(10, FRAMES)
        names = ("frames", "global_orient", "body_pose", "transl", "joints_world", "contacts", "observed", "confidence")
        late = dataclasses.replace(p, contacts=np.roll(p.contacts, 5, 0))
        return dataclasses.replace(late, **{name: getattr(late, name)[rows] for name in names})

    figures = compare_with_truth(TRUTH.replace(people=tuple(map(disturbed, TRUTH.people))), TRUTH)
    assert figures["frames_percent"] == pytest.approx(100 * 50 / 60)
    assert 0 < figures["contact_precision"] < 1 and 0 < figures["contact_recall"] < 1


def test_nobody_found():
    figures = compare_with_truth(TRUTH.replace(people=()), TRUTH)
    assert figures["people_matched"] == 0 and np.isnan(figures["contact_recall"])


def test_a_still_camera_takes_its_scale_from_the_people():
    still = dataclasses.replace(
        TRUTH.cameras, T_world_camera=np.tile(TRUTH.cameras.T_world_camera[:1], (FRAMES, 1, 1)), kind="static"
    )
    truth = TRUTH.replace(cameras=still)
    found = moved(1.0).replace(
        cameras=dataclasses.replace(
            moved(1.0).cameras, T_world_camera=np.tile(moved(1.0).cameras.T_world_camera[:1], (FRAMES, 1, 1))
        )
    )
    figures = compare_with_truth(found, truth)
    assert figures["people_matched"] == 2 and np.isnan(figures["ate_cm"])
    assert figures["scale_error_percent"] == pytest.approx(0, abs=1e-5)
