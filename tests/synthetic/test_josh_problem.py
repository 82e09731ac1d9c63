"""The generator of JOSH's problem: what it calls exact is exact, and every error is as large as it says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.detected import landmark_points
from diorama.body.model import PosedBody
from diorama.errors import DioramaError
from diorama.geometry.cameras import project, unproject
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import apply, invert
from diorama.render.rays import RayScene
from diorama.synthetic.josh_problem import EXACT_PROBLEM, JoshProblem, _exact, _looked, josh_problem, position_floor
from diorama.synthetic.josh_world import build_josh_world
from diorama.synthetic.sequences import bare_scenery

SHORT = JoshProblem(seed=4, keyframes=5, mask_step=8)
EXACT = replace(EXACT_PROBLEM, mask_step=8)
TYPICAL = JoshProblem(window=1, mask_step=8)
pytestmark = pytest.mark.usefixtures("free_body")


def posed(person) -> PosedBody:
    arrays = (person.global_orient, person.body_pose, person.transl)
    shaped = load_body(person.body).shaped(torch.from_numpy(person.betas))
    return shaped.posed(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays))


def sites_of(person):
    return posed(person).contact_sites(CONTACT_SITE_NAMES).double().numpy()


def pelvises(bodies):
    """Observed pelvises in camera axes, (people, frames, 3)."""
    return np.stack([posed(person).joints[:, 0].double().numpy() for person in bodies.people])


def true_pelvises(truth):
    T = invert(truth.cameras.T_world_camera)
    return np.stack([apply(T, person.joints_world[:, 0].astype(float)) for person in truth.people])


def people_pixels(seen):
    """Where the masks of all people are, (frames, height, width)."""
    return np.any([[t.masks.full(n) for n in range(len(t.frames))] for t in seen.tracks.people], axis=0)


def inverse_depth_at(depth, pixels, step):
    """1 / z between four pixels of a map, bilinearly: exact on planes."""
    place = pixels / step - 0.5
    corner = np.clip(np.floor(place), 0, np.array(depth.shape[::-1]) - 2).astype(int)
    (u, v), (x, y) = (place - corner).T, corner.T
    near = 1 / depth.astype(float)
    upper, lower = ((1 - u) * near[y + k, x] + u * near[y + k, x + 1] for k in (0, 1))
    return (1 - v) * upper + v * lower


def world_points(truth, frames, pixels):
    out = np.empty((len(frames), 3))
    for n, row in enumerate(truth.scene.depth_frames):
        of = frames == row
        z = 1 / inverse_depth_at(truth.scene.depth[n], pixels[of], 8)
        points = unproject(pixels[of], z, truth.cameras.K[row])
        out[of] = apply(truth.cameras.T_world_camera[row], points)
    return out


@pytest.mark.parametrize("action", ["planted", "walking"])
def test_exact_matches_are_one_point_of_the_world_and_there_are_as_many_as_promised(action):
    problem = replace(EXACT, action=action)
    truth, seen = josh_problem(problem)
    matches = seen.matches
    pairs, counts = np.unique(np.stack([matches.frames_i, matches.frames_j], 1), axis=0, return_counts=True)
    assert len(pairs) == problem.pairs == 155 and np.diff(pairs, axis=1).max() == 10
    # Of 20 worlds one pair has one match less.
    assert 155 * 1500 - 100 <= counts.sum() <= 155 * 1500 and counts.max() == 1500
    one = world_points(truth, matches.frames_i, matches.xy_i)
    other = world_points(truth, matches.frames_j, matches.xy_j)
    assert np.linalg.norm(one - other, axis=1).max() < 1e-3
    assert matches.confidence.min() == 1


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_people_keep_six_sites_on_the_scenery(seed):
    problem = replace(EXACT, seed=seed, window=1)
    truth, seen = josh_problem(problem)
    world = build_josh_world(problem.world)
    rays = RayScene([(mesh.vertices, mesh.faces) for mesh in bare_scenery(world.layout)])
    for person, labels in zip(truth.people, seen.contacts.probability, strict=True):
        np.testing.assert_array_equal(person.contacts, np.tile([1, 1, 1, 1, 1, 1, 0, 0, 0], (21, 1)))
        np.testing.assert_array_equal(labels, person.contacts)
        sites = sites_of(person)[:, :6]
        assert np.linalg.norm(sites - sites[0], axis=-1).max() < 1e-3
        start = (sites[0] + [0, 0, 0.3]).astype(np.float32)
        height = 0.3 - rays.first_hits(start, np.tile(np.array([0, 0, -1], np.float32), (6, 1))).distance
        assert np.abs(height).max() < 0.01
        assert (sites[0, :4, 2] < 0.01).all() and (sites[0, 4:, 2] > 0.5).all()
        # The body itself does not stand still.
        assert np.ptp(person.joints_world[:, 15], axis=0).max() > 0.02
    assert truth.quality["contacts_in_sight"] >= 0.9
    assert len(set(truth.quality["statures_m"].values())) == 2


def test_walkers_go_and_their_planted_feet_stay():
    truth, seen = josh_problem(replace(EXACT, action="walking", window=1))
    for person, labels in zip(truth.people, seen.contacts.probability, strict=True):
        sites, touching = sites_of(person), person.contacts > 0.5
        np.testing.assert_array_equal(labels > 0.5, touching)
        assert not touching[:, 4:].any() and 0.2 < touching[:, :4].mean() < 0.8
        assert np.abs(sites[touching][:, 2]).max() < 0.01
        both = touching[1:] & touching[:-1]
        assert both.any() and np.linalg.norm(np.diff(sites, axis=0), axis=-1)[both].max() < 1e-3
        assert np.linalg.norm(np.diff(person.joints_world[:, 0], axis=0), axis=1).sum() > 2


def test_the_camera_travels_smoothly_and_keeps_everybody_in_the_picture():
    for problem in (TYPICAL, replace(TYPICAL, seed=1), replace(TYPICAL, action="walking")):
        truth, seen = josh_problem(problem)
        np.testing.assert_allclose(np.diff(truth.times), 0.2, atol=1e-12)
        np.testing.assert_array_equal(seen.depth.frames, np.arange(21))
        T, K = truth.cameras.T_world_camera, truth.cameras.K
        steps = np.diff(T[:, :3, 3], axis=0)
        assert 2 <= np.linalg.norm(steps, axis=1).sum() <= 4
        assert np.linalg.norm(np.diff(steps, axis=0), axis=1).max() < 0.08
        turned = rotvec_of(np.swapaxes(T[:-1, :3, :3], 1, 2) @ T[1:, :3, :3])
        assert 0.1 < np.linalg.norm(turned, axis=1).sum() < 2
        assert np.ptp(K, axis=0).max() == 0 and 0.9 <= K[0, 0, 0] / 512 <= 1.1
        pixels = project(apply(invert(T), np.concatenate([p.joints_world for p in truth.people], 1).astype(float)), K)
        assert (pixels > 0).all() and (pixels < [512, 288]).all()


@pytest.fixture(scope="module")
def noisy():
    problems = [replace(TYPICAL, seed=seed) for seed in range(2)]
    return [(problem, *josh_problem(problem)) for problem in problems]


def test_bodies_err_along_their_rays_and_nowhere_else(noisy):
    errors = []
    for _, truth, seen in noisy:
        found, true = pelvises(seen.bodies), true_pelvises(truth)
        ratio = found / true
        np.testing.assert_allclose(ratio, np.repeat(ratio[..., 2:], 3, -1), rtol=1e-3, atol=1e-3)
        errors.append(np.log(ratio[..., 2]).ravel())
        for body, person in zip(seen.bodies.people, truth.people, strict=True):
            np.testing.assert_array_equal(body.betas, person.betas)
            np.testing.assert_allclose(matrix_of(body.body_pose), matrix_of(person.body_pose), atol=1e-6)
            orient = truth.cameras.T_world_camera[:, :3, :3] @ matrix_of(body.global_orient)
            np.testing.assert_allclose(orient, matrix_of(person.global_orient), atol=1e-6)
            np.testing.assert_allclose(body.focal, truth.cameras.K[:, 0, 0])
    error = np.concatenate(errors)
    count = len(error)
    assert count == 2 * 2 * 21
    assert abs(error.mean()) < 3.5 * 0.1 / np.sqrt(count)
    assert error.std() == pytest.approx(0.1, rel=3.5 / np.sqrt(2 * count))
    # Each keyframe has its own.
    lagged = np.concatenate([np.diff(e.reshape(2, 21), axis=1).ravel() for e in errors])
    assert lagged.std() == pytest.approx(0.1 * np.sqrt(2), rel=0.25)


def test_depth_is_off_scale_by_keyframe_and_the_prior_is_metric(noisy):
    scales, priors = [], []
    for _, truth, seen in noisy:
        exact = truth.scene.depth.astype(float)
        on_people = seen.depth.depth == 0
        assert 0.01 < on_people.mean() < 0.3 and (seen.depth.confidence[on_people] == 0).all()
        assert (seen.depth_prior.depth > 0).all() and seen.depth.metric and seen.depth_prior.metric
        ratio = np.log(np.where(on_people, np.nan, seen.depth.depth) / exact)
        assert np.nanstd(ratio, axis=(1, 2)).max() < 1e-6
        scales.append(np.nanmean(ratio, axis=(1, 2)))
        priors.append(np.log(seen.depth_prior.depth / exact).mean((1, 2)))
        np.testing.assert_array_equal(people_pixels(seen), on_people)
    scale, prior = np.concatenate(scales), np.concatenate(priors)
    assert scale.mean() == pytest.approx(np.log(0.7), abs=0.025) and scale.std() == pytest.approx(0.05, rel=0.35)
    assert prior.mean() == pytest.approx(0, abs=0.015) and prior.std() == pytest.approx(0.03, rel=0.35)


def test_keypoints_have_their_pixels_of_noise(noisy):
    errors = []
    for _, truth, seen in noisy:
        for track, person in zip(seen.tracks.people, truth.people, strict=True):
            marks = apply(invert(truth.cameras.T_world_camera), landmark_points(posed(person), track.joint_set))
            errors.append(track.keypoints[..., :2] - project(marks, truth.cameras.K))
            assert (track.keypoints[..., 2] == 1).all() and track.keypoints_3d is None
    error = np.concatenate(errors)
    assert error.std() == pytest.approx(2.0, rel=0.05) and np.abs(error.mean((0, 1))).max() < 0.15


def test_matches_have_their_noise_and_outliers():
    exact = josh_problem(SHORT)[1].matches
    spoilt = josh_problem(replace(SHORT, match_px=1.0, match_outliers=0.1, match_confidence=(0.2, 1.0)))[1].matches
    np.testing.assert_array_equal(spoilt.xy_i, exact.xy_i)
    off = spoilt.xy_j - exact.xy_j
    wild = np.linalg.norm(off, axis=1) > 6
    assert wild.mean() == pytest.approx(0.1, abs=0.01) and off[~wild].std() == pytest.approx(1.0, rel=0.05)
    assert spoilt.confidence.min() >= 0.2 and spoilt.confidence[wild].mean() < spoilt.confidence[~wild].mean()


def test_the_same_problem_is_the_same_to_the_last_bit_and_another_seed_another():
    first, seen = josh_problem(SHORT)
    for kept in (_exact, _looked, build_josh_world):
        kept.cache_clear()
    again, twice = josh_problem(SHORT)
    for part in ("xy_i", "xy_j", "confidence"):
        np.testing.assert_array_equal(getattr(seen.matches, part), getattr(twice.matches, part))
    np.testing.assert_array_equal(first.cameras.T_world_camera, again.cameras.T_world_camera)
    np.testing.assert_array_equal(seen.depth.depth, twice.depth.depth)
    for a, b in zip(seen.bodies.people, twice.bodies.people, strict=True):
        np.testing.assert_array_equal(a.transl, b.transl)
    other, _ = josh_problem(replace(SHORT, seed=5))
    assert np.abs(other.cameras.T_world_camera - first.cameras.T_world_camera).max() > 0.1
    assert np.abs(other.people[0].betas - first.people[0].betas).max() > 0.01


def test_an_error_changes_nothing_but_what_it_names():
    _, seen = josh_problem(SHORT)
    _, other = josh_problem(replace(SHORT, body_depth=0.2, keypoint_px=4.0))
    np.testing.assert_array_equal(seen.depth.depth, other.depth.depth)
    np.testing.assert_array_equal(seen.matches.xy_j, other.matches.xy_j)
    assert np.abs(pelvises(seen.bodies) - pelvises(other.bodies)).max() > 0.05


def test_frames_between_keyframes_change_nothing_at_the_keyframes():
    truth, _ = josh_problem(SHORT)
    longer, more = josh_problem(replace(SHORT, frames_between=2))
    keys = np.arange(0, 13, 3)
    assert len(longer) == 13
    np.testing.assert_array_equal(more.depth.frames, keys)
    np.testing.assert_allclose(longer.times[keys], truth.times, atol=1e-12)
    np.testing.assert_allclose(longer.cameras.T_world_camera[keys], truth.cameras.T_world_camera, atol=1e-9)
    np.testing.assert_allclose(longer.people[1].joints_world[keys], truth.people[1].joints_world, atol=1e-5)
    assert set(np.unique(more.matches.frames_i)) <= set(keys)


def test_finer_masks_show_the_same_people():
    coarse, fine = (people_pixels(josh_problem(replace(SHORT, mask_step=step))[1]) for step in (8, 2))
    assert fine.shape == (5, 144, 256) and fine.mean() == pytest.approx(coarse.mean(), rel=0.05)
    # A pixel whose whole neighbourhood is on people is on them too.
    whole = fine.reshape(5, 36, 4, 64, 4).all((2, 4))
    assert whole.any() and coarse[whole].mean() > 0.99


def test_full_size_maps_hold_the_small_ones_geometry():
    small, _ = josh_problem(replace(SHORT, keyframes=1))
    truth, seen = josh_problem(replace(SHORT, keyframes=1, depth_step=1, mask_step=1))
    assert seen.depth.depth.shape == (1, 288, 512) and seen.tracks.people[0].masks.width == 512
    block = truth.scene.depth[0, 3:5, 3:5].astype(float)
    assert 1 / np.mean(1 / block) == pytest.approx(small.scene.depth[0, 0, 0], rel=1e-4)


def test_a_wrong_focal_length_is_the_same_one_everywhere():
    truth, right = josh_problem(replace(SHORT, cameras="exact", body_depth=0.0))
    _, wrong = josh_problem(replace(SHORT, cameras="exact", body_depth=0.0, focal_factor=1.2))
    true = truth.cameras.K[0, 0, 0]
    assert wrong.cameras.K[:, 0, 0] == pytest.approx(1.2 * true)
    np.testing.assert_allclose(wrong.depth.K[:, 0, 0] * 8, 1.2 * true)
    np.testing.assert_allclose(wrong.depth_prior.K[:, 1, 1] * 8, 1.2 * true)
    np.testing.assert_array_equal(wrong.depth.depth, right.depth.depth)
    for body in wrong.bodies.people:
        np.testing.assert_allclose(body.focal, 1.2 * true)
    np.testing.assert_allclose(pelvises(wrong.bodies), pelvises(right.bodies) * [1, 1, 1.2], atol=1e-5)


def test_kinds_of_first_cameras():
    truth = josh_problem(SHORT)[0]
    path = invert(truth.cameras.T_world_camera[0]) @ truth.cameras.T_world_camera
    found = {
        kind: josh_problem(replace(SHORT, cameras=kind))[1].cameras for kind in ("none", "identity", "unit", "exact")
    }
    assert found["none"] is None
    np.testing.assert_array_equal(found["identity"].T_world_camera, np.tile(np.eye(4), (5, 1, 1)))
    np.testing.assert_allclose(found["exact"].T_world_camera, path, atol=1e-9)
    shift = found["unit"].T_world_camera[1:, :3, 3] / path[1:, :3, 3]
    assert shift.std() < 1e-6 and abs(shift.mean() - 1) > 0.05 and not found["unit"].metric and found["exact"].metric
    assert all(len(cameras.points_world) == 0 for cameras in found.values() if cameras is not None)


def test_depth_may_be_in_the_unit_of_the_cameras():
    _, metric = josh_problem(replace(SHORT, cameras="unit"))
    _, seen = josh_problem(replace(SHORT, cameras="unit", depth_metric=False))
    truth = josh_problem(SHORT)[0]
    path = invert(truth.cameras.T_world_camera[0]) @ truth.cameras.T_world_camera
    unit = np.linalg.norm(seen.cameras.T_world_camera[-1, :3, 3]) / np.linalg.norm(path[-1, :3, 3])
    assert not seen.depth.metric
    np.testing.assert_allclose(seen.depth.depth, unit * metric.depth.depth, rtol=1e-5)


def test_damage_to_whole_parts():
    clean = josh_problem(SHORT)[1]
    _, seen = josh_problem(
        replace(SHORT, wrong_pairs=1, single=True, absent=(0.3, 0.7), nan_share=0.05, keypoint_px=None)
    )
    struck = (seen.matches.xy_i != clean.matches.xy_i).any(1)
    pairs = np.stack([clean.matches.frames_i, clean.matches.frames_j], 1)
    assert len(np.unique(pairs[struck], axis=0)) == 1 and struck.sum() == 1500
    for people in (seen.tracks.people, seen.bodies.people):
        assert [list(p.frames) for p in people] == [[0, 1, 4], [2]]
    assert [list(f) for f in seen.contacts.frames] == [[0, 1, 4], [2]]
    one, was = seen.tracks.people[0], clean.tracks.people[0]
    np.testing.assert_array_equal(one.masks.full(2), was.masks.full(4))
    assert (one.keypoints[..., 2] == 0).all() and np.isnan(one.keypoints[..., :2]).any()
    for maps in (seen.depth.depth, seen.depth_prior.depth):
        assert np.isnan(maps).mean() == pytest.approx(0.05, abs=0.01)
    assert np.isfinite(seen.depth.confidence).all()


def test_empty_and_degenerate_problems():
    truth, nobody = josh_problem(replace(SHORT, people=0))
    assert not truth.people and not nobody.tracks.people and not nobody.bodies.people
    assert position_floor(SHORT, truth).before_m == 0
    alone = josh_problem(replace(SHORT, keyframes=1))[1]
    assert len(alone.times) == 1 and len(alone.matches.frames_i) == 0 and len(alone.depth.frames) == 1
    truth, still = josh_problem(replace(SHORT, travel=(0.0, 0.0), cameras="exact"))
    assert truth.cameras.kind == still.cameras.kind == "static"
    np.testing.assert_allclose(still.matches.xy_i, still.matches.xy_j, atol=1e-3)
    assert josh_problem(replace(SHORT, contacts="none", prior_keyframes=None))[1].depth_prior is None
    assert max(p.max() for p in josh_problem(replace(SHORT, contacts="free"))[1].contacts.probability) == 0


def test_noise_of_appendix_f_comes_on_top():
    _, clean = josh_problem(SHORT)
    _, seen = josh_problem(replace(SHORT, perturbed=1.0, perturbed_metres=2.0))
    jump = pelvises(seen.bodies) - pelvises(clean.bodies)
    assert jump.std() == pytest.approx(2.0, rel=0.4)
    known = clean.depth.depth > 3
    assert (seen.depth.depth[known] / 0.7 - clean.depth.depth[known] / 0.7).std() == pytest.approx(2.0, rel=0.2)
    assert any((a != b).any() for a, b in zip(seen.contacts.probability, clean.contacts.probability, strict=True))


def test_the_floor_is_what_averaging_over_keyframes_leaves(noisy):
    problem, truth, _ = noisy[0]
    floor = position_floor(problem, truth)
    true = np.linalg.norm(true_pelvises(truth), axis=-1)
    noise = np.random.default_rng(0).normal(0, 0.1, (4000, *true.shape))
    assert floor.before_m == pytest.approx(np.abs(noise * true).mean(), rel=0.02)
    assert floor.after_m == pytest.approx(np.abs((noise * true).mean(-1)).mean(), rel=0.03)
    assert floor.scale == pytest.approx(np.abs(noise.mean((1, 2))).mean(), rel=0.05)


@pytest.mark.parametrize("wrong", [{"people": 4}, {"keyframes": 0}, {"seed": -1}, {"frames_between": -1}])
def test_impossible_problems_are_refused(wrong):
    with pytest.raises(DioramaError):
        JoshProblem(**wrong)
