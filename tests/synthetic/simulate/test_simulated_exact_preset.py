"""Without errors, observations are the truth: every part can be put together again from every other one."""

import dataclasses

import numpy as np
import pytest
import torch

from diorama.body import load_body
from diorama.body.detected import landmark_points
from diorama.body.joints import BLAZEPOSE_33
from diorama.geometry.cameras import pixel_grid, project, unproject
from diorama.geometry.transforms import apply, invert
from diorama.observations import Observations
from diorama.records import load_record, save_record
from diorama.synthetic.simulate import PRESETS, simulate
from simulated_world import simulated_world, with_config


@pytest.fixture(scope="module")
def seen(exact):
    return simulate(exact.truth, exact.view, PRESETS["exact"], 0)


def posed(body):
    shaped = load_body(body.body).shaped(torch.from_numpy(body.betas))
    arrays = (body.global_orient, body.body_pose, body.transl)
    return shaped.posed(*(torch.from_numpy(a.astype(np.float32)) for a in arrays))


def test_bodies_are_the_true_joints_and_project_onto_the_keypoints(exact, seen):
    cameras = exact.truth.cameras
    for body, track in zip(seen.bodies.people, seen.tracks.people, strict=True):
        true = exact.truth.person(body.id)
        assert np.array_equal(body.frames, true.frames) and np.array_equal(track.frames, true.frames)
        joints = apply(invert(cameras.T_world_camera), true.joints_world.astype(np.float64))
        assert posed(body).joints.double().numpy() == pytest.approx(joints, abs=2e-5)
        pixels = project(landmark_points(posed(body), "blazepose33"), cameras.K)
        assert pixels == pytest.approx(track.keypoints[..., :2], abs=0.02)
        assert body.residual_px.max() < 0.02
        assert (track.keypoints[..., 2] == 1).all() and (body.confidence == 1).all()
        assert np.array_equal(body.focal, cameras.K[:, 0, 0])


def test_boxes_hold_the_keypoints_and_masks_lie_in_boxes(exact, seen):
    for track in seen.tracks.people:
        inside = np.isfinite(track.keypoints[..., 0])
        assert inside.all()
        low, high = track.keypoints[..., :2].min(1), track.keypoints[..., :2].max(1)
        assert (track.boxes[:, :2] <= low.clip(0, (960, 540)) + 12).all()
        assert (track.boxes[:, 2:] >= high.clip(0, (960, 540)) - 12).all()
        for row in range(0, 60, 15):
            mask = track.masks.full(row)
            assert np.array_equal(mask, exact.frames.ids[track.frames[row]] == track.id)
            y, x = np.nonzero(mask)
            cell = 960 / 128
            # The box is that of some hundred vertices: it may miss a fingertip by a grid pixel.
            assert (np.array([x.min(), y.min()]) * cell >= track.boxes[row, :2] - cell).all()
            assert (np.array([x.max(), y.max()]) * cell <= track.boxes[row, 2:] + cell).all()


def test_people_touch_where_their_masks_do(exact, seen):
    import cv2

    one, other = seen.tracks.people
    grown = [cv2.dilate(one.masks.full(n).astype(np.uint8), np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8))
             for n in range(60)]  # fmt: skip
    touching = [bool((grown[n] & other.masks.full(n)).any()) for n in range(60)]
    assert list(one.overlap) == list(other.overlap) == touching


def test_keypoints_3d_are_the_person_seen_straight_on(exact, seen):
    """Turned by one rotation per frame, they are the true landmarks; the line of sight becomes +Z."""
    for track, person in zip(seen.tracks.people, exact.people, strict=True):
        hips = [BLAZEPOSE_33.index(f"{side}_hip") for side in ("left", "right")]
        true = person.landmarks - person.landmarks[:, hips].mean(1, keepdims=True)
        gram = np.einsum("nik,njk->nij", track.keypoints_3d, track.keypoints_3d)
        assert gram == pytest.approx(np.einsum("nik,njk->nij", true, true), abs=1e-9)
        middle = person.landmarks[:, 11:].mean(1)
        along = np.einsum("ni,nji->nj", middle / np.linalg.norm(middle, axis=1, keepdims=True), true)
        assert track.keypoints_3d[..., 2] == pytest.approx(along, abs=1e-9)


def off_the_scenery(points_world):
    """Distance to the nearest of floor, left wall, end wall and column of `simulated_world`, metres."""
    x, y, z = points_world.T
    column = np.abs(np.maximum(np.abs(x - 1.5), np.abs(y - 9)) - 0.25)
    return np.min([np.abs(z), np.abs(x + 7.8), np.abs(y - 24.8), column], axis=0)


def test_depth_lies_on_the_scene(exact, seen):
    cameras, depth = exact.truth.cameras, seen.depth
    assert depth.metric and list(depth.frames) == [*range(0, 60, 6), 59]
    for n, row in enumerate(depth.frames):
        points = unproject(pixel_grid(128, 72), depth.depth[n].astype(np.float64), depth.K[n])
        world = apply(cameras.T_world_camera[row], points)
        scenery = (depth.depth[n] > 0) & (exact.frames.ids[row] == 0)
        assert scenery.sum() > 5000 and off_the_scenery(world[scenery]).max() < 1e-3
    assert (depth.confidence[depth.depth > 0] == 1).all()
    assert np.array_equal(depth.depth, seen.depth_prior.depth)


def test_people_s_depth_is_their_skin(exact, seen):
    for body in seen.bodies.people:
        rows = np.flatnonzero(np.isin(body.frames, seen.depth.frames))[:4]
        skin = posed(body).verts().numpy()
        for row in rows:
            n = int(np.flatnonzero(seen.depth.frames == body.frames[row])[0])
            on = exact.frames.ids[body.frames[row]] == body.id
            points = unproject(pixel_grid(128, 72)[on], seen.depth.depth[n][on].astype(np.float64), seen.depth.K[n])
            nearest = np.linalg.norm(points[:, None] - skin[row][None], axis=-1).min(1)
            assert nearest.max() < 0.05 and np.median(nearest) < 0.01


def test_loose_points_and_sparse_points_lie_on_the_scene(exact, seen):
    first = exact.truth.cameras.T_world_camera[0]
    for points in (seen.depth.points, seen.cameras.points_world):
        assert len(points) > 1900 and off_the_scenery(apply(first, points)).max() < 1e-3


def test_matches_are_exact_reprojections_and_epipolar(exact, seen):
    matches, cameras = seen.matches, exact.truth.cameras
    assert len(matches.xy_i) > 20_000 and (matches.frames_i < matches.frames_j).all()
    for i, j in {(int(a), int(b)) for a, b in zip(matches.frames_i, matches.frames_j, strict=True)}:
        rows = (matches.frames_i == i) & (matches.frames_j == j)
        T = invert(cameras.T_world_camera[j]) @ cameras.T_world_camera[i]
        a, b = (
            np.concatenate([(xy[rows] - K[:2, 2]) / K[0, 0], np.ones((rows.sum(), 1))], 1)
            for xy, K in ((matches.xy_i, cameras.K[i]), (matches.xy_j, cameras.K[j]))
        )
        x, y, z = T[:3, 3] / np.linalg.norm(T[:3, 3])
        essential = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ T[:3, :3]
        assert np.abs(np.einsum("ni,ij,nj->n", b, essential, a)).max() < 1e-9


def test_matches_end_where_the_depth_s_point_is_seen(exact, seen):
    """Unprojected with the exact depth at one end, every match lands on its other end."""
    matches, cameras, cell = seen.matches, exact.truth.cameras, 128 / 960
    landed = 0
    for n in np.flatnonzero(matches.frames_j - matches.frames_i == 6)[::211]:
        i, j = int(matches.frames_i[n]), int(matches.frames_j[n])
        if not np.allclose(matches.xy_i[n] * cell % 1, 0.5, atol=1e-6):
            continue  # this one starts from a grid pixel of j
        x, y = (matches.xy_i[n] * cell).astype(int)
        depth = np.array(float(exact.frames.depth[i, y, x]))
        point = apply(cameras.T_world_camera[i], unproject(matches.xy_i[n], depth, cameras.K[i]))
        there = project(apply(invert(cameras.T_world_camera[j]), point), cameras.K[j])
        assert there == pytest.approx(matches.xy_j[n], abs=1e-6)
        landed += 1
    assert landed > 10


def test_no_match_lies_on_a_person(exact, seen):
    matches, cell = seen.matches, 128 / 960
    for frames, xy in ((matches.frames_i, matches.xy_i), (matches.frames_j, matches.xy_j)):
        x, y = np.floor(xy * cell).astype(int).T
        assert (exact.frames.ids[frames, y, x] == 0).all()


def test_contacts_are_the_truth(exact, seen):
    labels = seen.contacts
    assert labels.ids == (1, 2)
    for id, frames, probability in zip(labels.ids, labels.frames, labels.probability, strict=True):
        person = exact.truth.person(id)
        assert labels.sites == person.contact_sites and np.array_equal(frames, person.frames)
        assert np.array_equal(probability, person.contacts)


def test_cameras_are_the_truth_from_the_first_one(exact, seen):
    true = exact.truth.cameras
    moved = true.T_world_camera[0] @ seen.cameras.T_world_camera
    assert moved == pytest.approx(true.T_world_camera, abs=1e-9)
    assert np.array_equal(seen.cameras.K, true.K) and seen.cameras.metric and seen.cameras.kind == "translating"


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_same_seed_same_bits_and_another_seed_other_bits(exact, preset, tmp_path):
    config = with_config(PRESETS[preset], depth_prior=None, depth={"points": 200}, matches={"window": 1})
    files = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        save_record(simulate(exact.truth, exact.view, config, seed), tmp_path / f"{name}.npz")
        files.append((tmp_path / f"{name}.npz").read_bytes())
    assert files[0] == files[1] != files[2]
    again = load_record(Observations, tmp_path / "a.npz")
    assert again.tracks.people[0].id == 1 and again.depth.metric


def test_a_part_that_is_not_asked_for_is_missing_and_changes_no_other(exact):
    whole = simulate(exact.truth, exact.view, PRESETS["typical"], 5)
    for name in ("keypoints", "bodies", "depth", "depth_prior", "matches", "contacts", "cameras"):
        part = simulate(exact.truth, exact.view, with_config(PRESETS["typical"], **{name: None}), 5)
        assert getattr(part, {"keypoints": "tracks"}.get(name, name)) is None
        if name != "bodies":
            assert np.array_equal(part.bodies.people[0].body_pose, whole.bodies.people[0].body_pose)
    bare = simulate(exact.truth, exact.view, with_config(PRESETS["typical"], masks=None), 5)
    assert bare.tracks.people[0].masks is None


def test_other_joint_sets_are_parts_of_the_same_body(exact, seen):
    coco = simulate(exact.truth, exact.view, with_config(PRESETS["exact"], keypoints={"joint_set": "coco17"}), 0)
    track, full = coco.tracks.people[0], seen.tracks.people[0]
    assert track.joint_set == "coco17" and track.keypoints.shape[1] == 17
    # BlazePose puts them elsewhere than the anatomy that COCO's are taken for, by its own bias (body/detected.py).
    height = np.ptp(full.boxes[:, 1::2], axis=1)
    for coco_joint, joint in ((0, 0), (16, 28)):
        apart = np.linalg.norm(track.keypoints[:, coco_joint, :2] - full.keypoints[:, joint, :2], axis=1) / height
        assert 0.001 < np.median(apart) < 0.03
    smpl = simulate(exact.truth, exact.view, with_config(PRESETS["exact"], keypoints={"joint_set": "smpl24"}), 0)
    cameras = exact.truth.cameras
    joints = apply(invert(cameras.T_world_camera), exact.truth.people[0].joints_world.astype(np.float64))
    assert smpl.tracks.people[0].keypoints[..., :2] == pytest.approx(project(joints, cameras.K), abs=0.01)


@pytest.mark.parametrize("camera", ["static", "pan"])
def test_still_cameras_stay_still_whatever_the_noise(camera, free_body):
    truth, view = simulated_world(camera, 12)
    seen = simulate(truth, view, PRESETS["hard"], 1)
    centres = seen.cameras.T_world_camera[:, :3, 3]
    assert np.abs(centres - centres[0]).max() < 1e-9
    turned = np.abs(seen.cameras.T_world_camera[:, :3, :3] - np.eye(3)).max()
    assert turned < 1e-9 if camera == "static" else turned > 1e-4
    assert len(seen.cameras.points_world) == 0 and len(seen.depth.points) > 0
    matches = simulate(truth, view, PRESETS["exact"], 1).matches
    if camera == "static":
        assert matches.xy_i == pytest.approx(matches.xy_j, abs=1e-6)


def test_nobody_and_a_single_frame(free_body):
    truth, view = simulated_world("walk", 12)
    empty = simulate(dataclasses.replace(truth, people=()), view, PRESETS["typical"], 0)
    assert empty.tracks.people == () and empty.bodies.people == () and empty.contacts.ids == ()
    assert len(empty.matches.xy_i) > 0
    truth, view = simulated_world("static", 1)
    one = simulate(truth, view, PRESETS["hard"], 0)
    assert len(one.depth.frames) == 1 and len(one.matches.xy_i) == 0 and len(one.cameras.K) == 1


def test_somebody_behind_the_camera_is_not_seen(exact):
    """The second person, moved behind the camera for half of the clip, has rows only where he is before it."""
    one, other = exact.truth.people
    cameras = exact.truth.cameras
    behind = np.arange(60) >= 30
    back = -20 * cameras.T_world_camera[:, :3, 2] * behind[:, None]
    moved = dataclasses.replace(
        other, transl=other.transl + back, joints_world=(other.joints_world + back[:, None]).astype(np.float32)
    )
    seen = simulate(exact.truth.replace(people=(one, moved)), exact.view, PRESETS["exact"], 0)
    assert list(seen.tracks.people[1].frames) == list(range(30))
    assert np.isfinite(seen.tracks.people[1].keypoints).all()
