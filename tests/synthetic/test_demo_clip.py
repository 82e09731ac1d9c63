"""A small clip: the truth agrees with the pictures, the same seed gives the same clip, a finished clip is reused."""

import dataclasses

import numpy as np
import pytest

from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.reconstruction import load
from diorama.render.raycast import render
from diorama.synthetic.compare import compare_with_truth
from diorama.synthetic.demo_clip import make_demo_clip
from diorama.synthetic.staging import DEMO_SEED, Shot, stage
from diorama.synthetic.world import build_world, person_masks, render_frames
from diorama.video import open_video

SMALL = Shot(width=192, height=108, frames=6, fps=30.0)


@pytest.fixture(scope="module")
def demo(tmp_path_factory, free_body):
    return make_demo_clip(tmp_path_factory.mktemp("demo"), 3, shot=SMALL, processes=1, progress=False)


def test_video_and_truth_have_the_same_frames_and_times(demo):
    video = open_video(demo.video)
    assert (video.width, video.height, len(video)) == (192, 108, 6)
    assert video.times == pytest.approx(demo.truth.times, abs=1e-4)
    truth = load(demo.folder / "truth")
    assert np.array_equal(truth.people[1].joints_world, demo.truth.people[1].joints_world)


def test_a_finished_clip_is_used_again_and_another_seed_is_not(demo):
    stamp = demo.video.stat().st_mtime_ns
    assert make_demo_clip(demo.folder, 3, shot=SMALL, processes=1).video.stat().st_mtime_ns == stamp
    (demo.folder / "clip.json").write_text("{}")
    again = make_demo_clip(demo.folder, 3, shot=SMALL, processes=1, progress=False)
    assert again.video.stat().st_mtime_ns != stamp
    assert again.truth.scene.points_world == pytest.approx(demo.truth.scene.points_world)


def test_scene_points_lie_on_the_rendered_depth(demo):
    scene, lens = demo.truth.scene, demo.truth.cameras
    points = scene.points_world[: 40_000 // len(scene.depth_frames)]
    row = scene.depth_frames[0]
    camera_points = apply(invert(lens.T_world_camera[row]), points)
    x, y = np.floor(project(camera_points, lens.K[row])).astype(int).T
    assert camera_points[:, 2] == pytest.approx(scene.depth[0][y, x], rel=1e-4)
    assert points[:, 2].min() > -0.01


@pytest.fixture(scope="module")
def world(free_body):
    return build_world(stage(DEMO_SEED, SMALL))


def test_masks_cover_the_joints_and_depth_is_that_of_the_body(world):
    picture, staging = world.picture(2), world.staging
    masks = person_masks(picture.ids, 2)
    assert not (masks[0] & masks[1]).any()
    for actor, mask in zip(world.actors, masks, strict=True):
        joints = apply(invert(staging.T_world_camera[2]), actor.posed.joints[2].numpy().astype(float))
        x, y = np.floor(project(joints, staging.K)).astype(int).T
        assert mask[y, x].mean() > 0.8
        assert np.median(picture.depth[mask]) == pytest.approx(np.median(joints[:, 2]), abs=0.2)


def test_statures_are_those_of_the_plan(world):
    assert [float(actor.shaped.stature) for actor in world.actors] == pytest.approx([1.58, 1.86], abs=1e-3)


def test_nothing_stands_between_the_camera_and_the_people(world):
    alone = render(
        [actor.mesh(3) for actor in world.actors], world.staging.K, world.staging.T_world_camera[3], 192, 108, samples=1
    )
    assert np.array_equal(world.picture(3).ids, alone.ids)


def test_the_truth_has_no_error_against_itself(demo):
    figures = compare_with_truth(demo.truth, demo.truth)
    assert figures["people_matched"] == 2
    for key in ("ate_cm", "pa_mpjpe_mm", "root_error_percent", "scale_error_percent", "stature_error_percent"):
        assert figures[key] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("camera", ["walk", "pan", "static"])
def test_plans_are_well_composed_and_the_same_every_time(camera):
    shot = Shot(camera=camera)
    plan = stage(4, shot)
    assert np.array_equal(plan.T_world_camera, stage(4, shot).T_world_camera)
    centres = plan.T_world_camera[:, :3, 3]
    moved = np.linalg.norm(centres[-1] - centres[0])
    assert moved >= 2.5 if camera == "walk" else moved == 0
    assert camera != "static" or np.ptp(plan.T_world_camera, axis=0).max() == 0
    assert 0.7 <= plan.K[0, 0] / shot.width <= 1.1
    for role in plan.roles:
        ground = role.path.point_at(role.path.speed * shot.times)
        for height, low, high in ((0.0, 0, 540), (role.stature, 0, 540)):
            points = np.c_[ground, np.full(len(ground), height)]
            x, y = project(apply(invert(plan.T_world_camera), points), np.tile(plan.K, (100, 1, 1))).T
            assert (x > 0).all() and (x < 960).all() and (y > low).all() and (y < high).all()


def test_the_first_is_seen_from_behind_and_the_second_from_the_side():
    plan = stage(DEMO_SEED)
    for role, low, high in zip(plan.roles, (0, 50), (55, 130), strict=True):
        distance = role.path.speed * plan.shot.times
        sight = role.path.point_at(distance) - plan.T_world_camera[:, :2, 3]
        heading = role.path.heading_at(distance)
        ahead = np.stack([np.cos(heading), np.sin(heading)], 1)
        angle = np.degrees(np.arccos((ahead * sight).sum(1) / np.linalg.norm(sight, axis=1)))
        assert low <= angle.min() and angle.max() <= high


@pytest.mark.slow
def test_the_number_of_processes_does_not_change_the_pictures(free_body):
    staging = stage(5, dataclasses.replace(SMALL, frames=3))
    alone, together = (list(render_frames(staging, range(3), processes=n)) for n in (1, 2))
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.rgb, b.rgb) and np.array_equal(a.depth, b.depth)
