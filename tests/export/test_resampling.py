"""Another frame rate: frames that fall on old ones are the old ones, those between lie on the way; gaps stay gaps."""

import dataclasses

import numpy as np
import pytest
from laws import JOINTS_M, ROTATIONS, SECONDS, angle_between, world_rotations

from asymmetric_world import FPS, FRAMES, stick_body
from diorama.errors import DioramaError
from diorama.export.options import ExportOptions
from diorama.export.resampling import evenly, frame_rate, resample
from diorama.export.skeleton import rest_joints


def test_twice_the_rate_and_back_is_the_same(world):
    there = resample(world, 2 * FPS)
    again = resample(there, FPS)
    np.testing.assert_allclose(again.times, world.times, atol=SECONDS)
    np.testing.assert_allclose(again.cameras.T_world_camera, world.cameras.T_world_camera, atol=1e-9)
    np.testing.assert_allclose(again.cameras.K, world.cameras.K, atol=1e-6)
    for before, after in zip(world.people, again.people, strict=True):
        np.testing.assert_array_equal(after.frames, before.frames)
        np.testing.assert_allclose(after.joints_world, before.joints_world, atol=JOINTS_M)
        assert angle_between(world_rotations(after), world_rotations(before)) < ROTATIONS


def test_a_rate_that_shares_no_frames_loses_little(world):
    """There and back over a whole rate: what docs/exports.md calls the loss of a whole rate, here of a quick walk."""
    again = resample(resample(world, 30), FPS)
    before, after = world.person(3), again.person(3)
    common = [n for n, frame in enumerate(before.frames) if frame in after.frames]
    kept = [int(np.flatnonzero(after.frames == before.frames[n])[0]) for n in common]
    assert len(common) >= len(before.frames) - 1
    error = np.linalg.norm(after.joints_world[kept] - before.joints_world[common], axis=-1)
    assert 1e-4 < error.max() < 0.02


def test_in_between_lies_half_way(world):
    there = resample(world, 2 * FPS)
    person, finer = world.person(5), there.person(5)
    left, right = world_rotations(person)[:1], world_rotations(person)[1:2]
    middle = world_rotations(finer)[1:2]
    assert angle_between(middle[:, 0], left[:, 0]) == pytest.approx(angle_between(right[:, 0], middle[:, 0]), abs=1e-6)
    np.testing.assert_allclose(finer.transl[1], (person.transl[0] + person.transl[1]) / 2, atol=1e-9)
    lengths = np.linalg.norm(finer.joints_world[:, 4] - finer.joints_world[:, 1], axis=1)
    assert np.ptp(lengths) < 1e-9, "bones do not shrink between frames"


def test_gaps_stay_and_nobody_vanishes(world):
    there = resample(world, 60)
    person = there.person(5)
    seen = there.times[person.frames]
    gap = (seen > world.times[19] + 1e-6) & (seen < world.times[38] - 1e-6)
    assert not gap.any() and seen[0] >= world.times[8] - 1e-6
    short = world.replace(people=(dataclasses.replace(one_frame(world.person(5)), id=9),))
    assert len(resample(short, 2).person(9).frames) == 1


def one_frame(person):
    names = ("frames", "global_orient", "body_pose", "transl", "joints_world", "contacts", "observed", "confidence")
    return dataclasses.replace(person, **{name: getattr(person, name)[3:4] for name in names})


def test_poses_that_were_interpolated_stay_marked(world):
    there = resample(world, 2 * FPS)
    assert np.flatnonzero(~there.cameras.registered).tolist() == [13, 14, 15]


def test_the_rate_of_a_video(world):
    assert frame_rate(world.times) == pytest.approx(FPS)
    assert frame_rate(np.round(np.arange(100) / 30, 3)) == pytest.approx(30, abs=0.01)
    assert frame_rate(np.array([0.0])) == 30
    same, fps = evenly(world, ExportOptions())
    assert same is world and fps == pytest.approx(FPS)
    uneven, _ = evenly(world.replace(times=world.times + 0.004 * (np.arange(FRAMES) % 2)), ExportOptions())
    np.testing.assert_allclose(np.diff(uneven.times), np.diff(uneven.times)[0], atol=1e-9)


def test_the_skeleton_is_the_bodys_own(world):
    for person in world.people:
        expected = stick_body().joints.at(stick_body().default_betas + float(person.betas[0])).numpy()
        np.testing.assert_allclose(rest_joints(person), expected, atol=1e-6)


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"fps": float("nan")}, {"up": "x"}, {"unit": "inch"}])
def test_wrong_choices_are_one_line(wrong):
    with pytest.raises(DioramaError, match="--"):
        ExportOptions(**wrong)
