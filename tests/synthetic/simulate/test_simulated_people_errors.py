"""Each knob of keypoints, silhouettes and bodies makes the error that it names, as large as it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.body import load_body
from diorama.body.joints import BLAZEPOSE_33
from diorama.geometry.cameras import intrinsics, project
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.observations import MaskStack
from diorama.synthetic.simulate.bodies import BodyConfig, PoseNoise, observed_body, trace_body, with_stature
from diorama.synthetic.simulate.identities import Identity
from diorama.synthetic.simulate.keypoints import KeypointConfig, observed_keypoints, observed_keypoints_3d
from diorama.synthetic.simulate.noise import stream
from diorama.synthetic.simulate.silhouettes import MaskConfig, observed_boxes, observed_masks

SIZE = (960, 540)
SEEDS = range(40)


@pytest.fixture(scope="module")
def person(exact):
    return exact.people[0]


@pytest.fixture(scope="module")
def bare(person):
    """The same person, of whom nothing is hidden."""
    return replace(person, covered=np.zeros_like(person.covered), under=np.zeros_like(person.under))


def errors(person, config, seeds=SEEDS):
    """Keypoint errors in shares of the height: (seeds, frames, joints, 2)."""
    found = np.stack([observed_keypoints(person, config, seed)[..., :2] for seed in seeds])
    return (found - person.pixels) / person.height[:, None, None]


@pytest.mark.parametrize("white", [0.0, 0.25, 1.0])
def test_keypoint_noise_is_a_share_of_the_height(bare, white):
    error = errors(bare, KeypointConfig(noise=0.02, white=white, tail=5.0))
    assert np.sqrt((error**2).mean()) == pytest.approx(0.02, rel=0.05)
    eye, hip = (error[:, :, BLAZEPOSE_33.index(name)].std() for name in ("left_eye", "left_hip"))
    assert hip / eye == pytest.approx(107 / 25, rel=0.15)


def test_keypoint_noise_lasts(bare):
    error = errors(bare, KeypointConfig(noise=0.02, white=0.25, seconds=0.4)) / 0.02
    error /= error.std((0, 1, 3), keepdims=True)
    lag = (error[:, 12:] * error[:, :-12]).mean()
    assert lag == pytest.approx(0.75 * np.exp(-1), abs=0.06)
    assert (error[:, 1:] * error[:, :-1]).mean() == pytest.approx(0.75, abs=0.05)


def test_keypoint_noise_in_pixels(bare):
    error = errors(bare, KeypointConfig(noise_px=2.0)) * bare.height[:, None, None]
    assert error.std() == pytest.approx(2, rel=0.03)
    assert abs((error[:, 1:] * error[:, :-1]).mean()) < 0.1


def test_hidden_joints_are_guessed(person):
    config = KeypointConfig(noise=0.01, hidden_factor=4.0, seen_confidence=(0.7, 1.0), hidden_confidence=(0.0, 0.3))
    assert 0.1 < person.hidden.mean() < 0.6
    # The same joint, hidden and seen: factors per joint cancel.
    error = np.sqrt((errors(person, config) ** 2).mean((0, 3)))
    ratios = [error[h, j].mean() / error[~h, j].mean() for j, h in enumerate(person.hidden.T) if 8 < h.sum() < 52]
    assert len(ratios) >= 3 and np.mean(ratios) == pytest.approx(4, rel=0.15)
    confidence = observed_keypoints(person, config, 0)[..., 2]
    assert confidence[person.hidden].max() < 0.3 and confidence[~person.hidden].min() > 0.7


def test_hidden_landmarks_are_those_that_rays_do_not_reach(exact):
    """An independent look: the ray from just outside of each landmark's skin to the camera is blocked."""
    from diorama.geometry.transforms import apply
    from diorama.render.rays import RayScene
    from diorama.synthetic.simulate.seen_person import _depths_under_skin
    from simulated_world import simulated_world

    world = simulated_world("walk", 60)[1].world
    hidden, blocked = [], []
    for row in (0, 15, 30, 45, 59):
        T = exact.truth.cameras.T_world_camera[row]
        meshes = [*world.scenery, *(actor.mesh(row) for actor in world.actors)]
        scene = RayScene([(m.vertices, m.faces) for m in meshes])
        for actor, person in zip(world.actors, exact.people, strict=True):
            landmarks = apply(T, person.landmarks[row])
            towards = T[:3, 3] - landmarks
            towards /= np.linalg.norm(towards, axis=1, keepdims=True)
            skin = _depths_under_skin(actor.shaped, "blazepose33")[:, None] + 0.03
            blocked.append(scene.occluded(landmarks + skin * towards, towards))
            hidden.append(person.hidden[row])
    hidden, blocked = np.concatenate(hidden), np.concatenate(blocked)
    assert 0.15 < blocked.mean() < 0.5
    assert (hidden == blocked).mean() > 0.85


def test_outliers_have_their_share_and_lie_in_the_box(bare):
    clean = np.stack([observed_keypoints(bare, KeypointConfig(), s) for s in SEEDS])
    wild = np.stack([observed_keypoints(bare, KeypointConfig(outliers=0.1), s) for s in SEEDS])
    moved = (clean != wild)[..., :2].any(-1)
    assert moved.mean() == pytest.approx(0.1, rel=0.05)
    low, high = bare.box[:, None, :2], bare.box[:, None, 2:]
    assert ((wild[..., :2] >= low) & (wild[..., :2] <= high)).all(-1)[moved].all()


def test_confidence_follows_keypoint_errors(bare):
    config = KeypointConfig(noise=0.02, white=1.0, seen_confidence=(0.5, 1.0), confidence_follows=0.8)
    found = np.stack([observed_keypoints(bare, config, s) for s in SEEDS])
    size = np.linalg.norm(found[..., :2] - bare.pixels, axis=-1) / bare.height[:, None]
    joint = BLAZEPOSE_33.index("left_knee")
    low = found[..., joint, 2] < np.quantile(found[..., joint, 2], 0.2)
    assert size[..., joint][low].mean() > 1.8 * size[..., joint][~low].mean()


def test_keypoints_3d_are_blind_to_stature(person):
    config = KeypointConfig(stature_3d=1.66)
    blind, true = (observed_keypoints_3d(person, c, 0) for c in (config, KeypointConfig()))
    assert blind == pytest.approx(true * 1.66 / person.stature)


def test_keypoints_3d_are_noisy_in_depth(bare):
    config = KeypointConfig(lateral_3d=0.02, depth_3d=0.1)
    exact3d = observed_keypoints_3d(bare, KeypointConfig(), 0)
    error = np.stack([observed_keypoints_3d(bare, config, s) for s in SEEDS]) - exact3d
    assert error[..., :2].std() == pytest.approx(0.02, rel=0.05)
    assert np.sqrt((error[..., 2] ** 2).mean()) == pytest.approx(0.1, rel=0.05)
    hip, wrist = (error[..., BLAZEPOSE_33.index(name), 2].std() for name in ("left_hip", "left_wrist"))
    assert wrist > 3 * hip


def test_boxes_move_by_their_share(person):
    still = observed_boxes(person, MaskConfig(), SIZE, 0)
    assert np.array_equal(still, person.box)
    moved = np.stack([observed_boxes(person, MaskConfig(box=0.03), SIZE, s) for s in SEEDS])
    side = np.maximum(*(person.box[:, 2 + k] - person.box[:, k] for k in range(2)))
    share = (moved - still) / side[:, None]
    inner = (moved > 0) & (moved < np.array([960, 540, 960, 540]))
    assert inner.mean() > 0.5 and share[inner].std() == pytest.approx(0.03, rel=0.1)


def test_borders_of_masks_move_by_their_share(exact, person):
    """The border of a half plane: the mask's edge against the true one, at a fine grid."""
    from diorama.synthetic.simulate.silhouettes import _one_mask

    plane = np.zeros((200, 200), bool)
    plane[:, :100] = True
    edges = [_one_mask(plane, 200.0, 0.02, stream(seed, "test"))[1].sum(1) for seed in range(20)]
    assert np.std(edges) == pytest.approx(0.02 * 200, rel=0.1)
    clean, fine, coarse = (
        MaskStack.encode(observed_masks(person, exact.frames, MaskConfig(border=border), 960, 0), 128, 72)
        for border in (0.0, 0.003, 0.02)
    )
    overlaps = [np.mean([iou(clean.full(n), other.full(n)) for n in range(60)]) for other in (clean, fine, coarse)]
    # The borders of people 50 pixels tall move by 0.15 of a pixel, which is seen all the same.
    assert overlaps[0] == 1 and 0.93 < overlaps[1] < 0.97 and 0.6 < overlaps[2] < 0.8


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


# Bodies


def traced(person, config, seed=0):
    return trace_body(person, SIZE, np.full(60, 700.0), config, seed)


def assembled(person, config, cameras, seed=0):
    return observed_body(Identity(person.id, person.rows, np.full(60, person.id)), {person.id: traced(person, config, seed)},
                         cameras, "blazepose33")  # fmt: skip


def pelvis_of(body):
    shaped = load_body(body.body).shaped(torch.from_numpy(body.betas))
    return body.transl + shaped.joints_rest[0].double().numpy()


def test_pose_noise_in_degrees_per_joint_group(bare):
    noise = PoseNoise(trunk=2.0, head=3.0, shoulders=4.0, elbows=5.0, hips=6.0, knees=7.0, wrists=8.0, ankles=9.0)
    traces = [traced(bare, BodyConfig(pose=noise, orient=10.0), seed) for seed in SEEDS]
    true = matrix_of(bare.pose)
    turns = np.degrees(np.stack([rotvec_of(np.swapaxes(true, -1, -2) @ t.pose) for t in traces]))
    expected = np.degrees(noise.radians)
    assert turns.std((0, 1, 3)) == pytest.approx(expected, rel=0.1)
    assert set(np.round(expected, 6)) == {2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0}
    around = np.degrees(np.stack([rotvec_of(np.swapaxes(bare.orient, -1, -2) @ t.orient) for t in traces]))
    assert around.std() == pytest.approx(10, rel=0.1)
    assert noise.scaled(2.0).radians == pytest.approx(2 * noise.radians)


def test_pose_noise_lasts(bare):
    traces = [traced(bare, BodyConfig(orient=8.0, seconds=0.3, white=0.1), seed) for seed in range(150)]
    turns = np.stack([rotvec_of(np.swapaxes(bare.orient, -1, -2) @ t.orient) for t in traces]) / np.radians(8)
    assert (turns[:, 9:] * turns[:, :-9]).mean() == pytest.approx(0.9 * np.exp(-1), abs=0.05)
    assert (turns[:, 1:] * turns[:, :-1]).mean() == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("factor", [0.7, 1.4])
def test_depth_is_proportional_to_the_assumed_focal_length(person, exact, factor):
    body = assembled(person, BodyConfig(focal_factor=factor), exact.truth.cameras)
    ratio = pelvis_of(body) / person.pelvis
    assert ratio[:, 2] == pytest.approx(factor, rel=1e-4)
    assert ratio[:, :2] == pytest.approx(1, rel=1e-3)
    assert body.focal == pytest.approx(factor * person.focal)
    # The pelvis stays where it is in the picture, if that is computed with the assumed focal length.
    K = exact.truth.cameras.K[0]
    there = project(pelvis_of(body), intrinsics(float(body.focal[0]), *SIZE))
    assert there == pytest.approx(project(person.pelvis, K), abs=1e-2)
    # The rest of the body has another perspective, so it does not fit as well.
    assert 0.1 < body.residual_px.mean() < 15


def test_which_focal_length_is_assumed(person):
    for name, focal in (("true", person.focal[0]), ("diagonal", np.hypot(*SIZE)), ("cameras", 700.0)):
        trace = traced(person, BodyConfig(focal=name))
        assert trace.focal == pytest.approx(focal)
        assert trace.pelvis[:, 2] == pytest.approx(person.pelvis[:, 2] * focal / person.focal)


def test_a_smaller_person_is_nearer(person, exact):
    """A body of the wrong stature on the same line of sight: it fills the same part of the picture."""
    body = assembled(person, BodyConfig(stature_regression=1.0, stature_mean=1.5), exact.truth.cameras)
    stature = float(load_body(body.body).stature(torch.from_numpy(body.betas)))
    assert stature == pytest.approx(1.5, abs=1e-4)
    assert pelvis_of(body) == pytest.approx(person.pelvis * 1.5 / person.stature, rel=1e-4)
    assert np.median(body.residual_px) < 0.02 * person.height.mean()


def test_statures_scatter_and_regress(person):
    statures = [traced(person, BodyConfig(stature=0.02, betas=0.1), seed).stature for seed in range(150)]
    assert np.std(np.log(statures)) == pytest.approx(0.02, rel=0.15)
    half = traced(person, BodyConfig(stature_regression=0.5, stature_mean=1.5)).stature
    assert half == pytest.approx(np.sqrt(1.5 * person.stature), rel=1e-4)
    assert np.array_equal(traced(person, BodyConfig()).betas.numpy(), person.person.betas)


def test_stature_of_the_free_body_stays_possible(person):
    model = person.model
    assert float(model.stature(with_stature(model, model.default_betas, 1.81))) == pytest.approx(1.81, abs=1e-4)
    giant = with_stature(model, model.default_betas, 3.0)
    assert float(giant.max()) <= 1 and float(giant.min()) >= 0


def test_depth_noise_bias_and_sideways_noise(bare):
    count = 150
    waves = np.stack([traced(bare, BodyConfig(depth=0.1, depth_white=0.5), s).pelvis for s in range(count)])
    log = np.log(waves / bare.pelvis)
    assert log[..., 2].std() == pytest.approx(0.1, rel=0.1)
    assert log[..., 0] == pytest.approx(log[..., 2], abs=1e-9)
    assert (log[:, 1:, 2] * log[:, :-1, 2]).mean() / (log[..., 2] ** 2).mean() == pytest.approx(0.5, abs=0.06)
    bias = (
        np.stack([traced(bare, BodyConfig(depth_bias=0.1), s).pelvis for s in range(count)])[..., 2] / bare.pelvis[:, 2]
    )
    assert np.ptp(bias, axis=1).max() < 1e-9 and np.log(bias[:, 0]).std() == pytest.approx(0.1, rel=0.15)
    aside = np.stack([traced(bare, BodyConfig(lateral=0.02), s).pelvis for s in range(count)]) - bare.pelvis
    assert aside[..., :2].std() == pytest.approx(0.02 * bare.stature, rel=0.1) and np.abs(aside[..., 2]).max() < 1e-9


def test_covered_people_are_worse(bare):
    covered = replace(bare, covered=np.ones_like(bare.covered))
    one, other = (
        np.stack([traced(p, BodyConfig(orient=3.0, hidden_factor=3.0), s).orient for s in SEEDS])
        for p in (bare, covered)
    )
    spread = [rotvec_of(np.swapaxes(bare.orient, -1, -2) @ o).std() for o in (one, other)]
    assert spread[1] / spread[0] == pytest.approx(3, rel=1e-6)


def test_jumps_of_the_translation_are_appendix_f(bare, exact):
    config = BodyConfig(shock=0.2, shock_metres=1.0)
    moved = np.stack([pelvis_of(assembled(bare, config, exact.truth.cameras, s)) for s in SEEDS]) - bare.pelvis
    struck = np.abs(moved).max(-1) > 1e-4
    assert struck.mean() == pytest.approx(0.2, rel=0.1)
    assert moved[struck].std() == pytest.approx(1, rel=0.05)
    assert abs(np.corrcoef(moved[struck].T)[0, 1]) < 0.1


def test_viewing_angles(person):
    """A person aside of the middle, seen through a crop: the orientation is that of somebody straight ahead."""
    ray = person.pelvis / np.linalg.norm(person.pelvis, axis=1, keepdims=True)
    angle = np.degrees(np.arccos(ray[:, 2]))
    for name, expected in (("known", np.zeros(60)), ("ignored", angle), ("assumed", np.zeros(60))):
        turned = traced(person, BodyConfig(viewing_angle=name)).orient @ np.swapaxes(person.orient, -1, -2)
        assert np.degrees(np.linalg.norm(rotvec_of(turned), axis=-1)) == pytest.approx(expected, abs=1e-5)
    turned = traced(person, BodyConfig(viewing_angle="assumed", focal_factor=2.0)).orient
    believed = person.pelvis * [1, 1, 2]
    believed /= np.linalg.norm(believed, axis=1, keepdims=True)
    turn = turned @ np.swapaxes(person.orient, -1, -2)
    assert np.einsum("nij,nj->ni", turn, ray) == pytest.approx(believed, abs=1e-9)


def test_confidence_of_bodies_follows_the_pose(bare):
    config = BodyConfig(orient=5.0, pose=PoseNoise(hips=5.0), confidence=(0.4, 0.9), confidence_follows=0.9)
    traces = [traced(bare, config, seed) for seed in SEEDS]
    confidence = np.stack([t.confidence for t in traces])
    assert confidence.min() >= 0.4 and confidence.max() <= 0.9
    turns = np.stack([np.linalg.norm(rotvec_of(np.swapaxes(bare.orient, -1, -2) @ t.orient), axis=-1) for t in traces])
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(confidence, turns, strict=True)]) < -0.1
