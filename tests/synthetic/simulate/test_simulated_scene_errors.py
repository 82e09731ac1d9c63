"""Each knob of depth, matches, cameras and contact labels makes the error that it names, as large as it says."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import spearmanr

from diorama.geometry.rotations import rotvec_of
from diorama.geometry.transforms import invert
from diorama.synthetic.simulate.contact_labels import ContactLabelConfig, observed_contacts
from diorama.synthetic.simulate.correspondences import MatchConfig, observed_matches
from diorama.synthetic.simulate.drifting_cameras import CameraConfig, observed_cameras, world_unit
from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.point_maps import DepthConfig, depth_edges, keyframe_rows, observed_depth
from simulated_world import lengthened

NO_POINTS = {"points": 0}


@pytest.fixture(scope="module")
def keys(exact):
    return exact.frames.of(np.arange(0, 60, 6))


@pytest.fixture(scope="module")
def few(keys):
    """The same with a sixteenth of the pixels, where only their mean counts."""
    return Frames(keys.rows, keys.depth[:, ::4, ::4], keys.ids[:, ::4, ::4])


def mapped(exact, keys, seed=0, unit=1.0, **knobs):
    """Observed depth of the keyframes."""
    true = exact.truth.cameras
    cameras = observed_cameras(true, exact.truth.times, keys, CameraConfig(unit=unit), 0)
    K = true.K[keys.rows] * np.array([128 / 960, 72 / 540, 1.0])[:, None]
    return observed_depth(
        keys, exact.truth.times[keys.rows], K, cameras, unit, DepthConfig(**(NO_POINTS | knobs)), seed
    )


def log_errors(exact, keys, seeds, **knobs):
    """Errors of the logarithm of depth (seeds, keyframes, height, width); NaN where depth is unknown."""
    maps = np.stack([mapped(exact, keys, seed, **knobs).depth for seed in seeds]).astype(float)
    known = (maps > 0) & (keys.depth > 0)
    return np.where(known, np.log(np.where(known, maps, 1) / np.where(keys.depth > 0, keys.depth, 1)), np.nan)


def test_keyframes_follow_real_times():
    assert list(keyframe_rows(np.arange(60) / 30, 0.2)) == [*range(0, 60, 6), 59]
    assert list(keyframe_rows(np.arange(41) / 20, 0.2)) == list(range(0, 41, 4))
    # A gap in the video has no keyframes; frames come nearest to the multiples of the interval.
    assert list(keyframe_rows(np.array([0, 0.19, 0.22, 0.41, 1.5, 1.61]), 0.2)) == [0, 1, 3, 4, 5]
    assert list(keyframe_rows(np.array([3.0]), 0.2)) == [0]
    assert list(keyframe_rows(np.arange(7) / 30, 0.2, np.arange(7) % 2 == 1)) == [1, 5]


def test_scales_of_depth(exact, few):
    keys = few
    assert log_errors(exact, keys, [0], scale=1.15)[0][keys.depth > 0] == pytest.approx(np.log(1.15), abs=1e-5)
    one = log_errors(exact, keys, range(60), scale_sigma=0.1)
    assert np.nanmax(one, (1, 2, 3)) == pytest.approx(np.nanmin(one, (1, 2, 3)), abs=1e-5)
    assert np.nanmean(one, (1, 2, 3)).std() == pytest.approx(0.1, rel=0.2)
    each = np.nanmean(log_errors(exact, keys, range(60), keyframe_sigma=0.05), (2, 3))
    assert each.std() == pytest.approx(0.05, rel=0.1)
    assert abs((each[:, 1:] * each[:, :-1]).mean() / each.var()) < 0.15


def test_distortion_is_smooth_and_lasts(exact, keys):
    whole = Frames(keys.rows, np.full_like(keys.depth, 5.0), np.zeros_like(keys.ids))
    error = log_errors(exact, whole, range(60), distortion=0.04, distortion_seconds=0.4)
    assert np.sqrt((error**2).mean()) == pytest.approx(0.04, rel=0.1)
    assert np.abs(error.mean((2, 3))).max() < 1e-5
    # Three half waves across 128 pixels: a change of 2 % of the error from pixel to pixel.
    assert np.diff(error, axis=3).std() < 0.06 * 0.04
    lag = (error[:, 2:] * error[:, :-2]).mean() / (error**2).mean()
    assert lag == pytest.approx(np.exp(-1), abs=0.06)


def test_noise_of_pixels(exact, keys):
    error = log_errors(exact, keys, range(4), noise=0.02)
    assert np.nanstd(error) == pytest.approx(0.02, rel=0.02)
    assert abs(np.nanmean(error[..., 1:] * error[..., :-1])) < 0.02 * 0.02**2


def test_edges_are_jumps_and_not_slopes(exact, keys):
    edges = depth_edges(keys.depth)
    ids = keys.ids
    outline = np.zeros_like(edges)
    outline[:, :, 1:] |= ids[:, :, 1:] != ids[:, :, :-1]
    assert edges[outline].mean() > 0.8
    # The floor near the horizon changes by 30 % from row to row, and is a plane.
    floor = np.ones((1, 72, 128), np.float32) * (100 / (np.arange(72) + 0.5))[None, :, None].astype(np.float32)
    assert not depth_edges(floor).any()
    error = log_errors(exact, keys, [0], edge=0.5)[0]
    changed = np.abs(np.nan_to_num(error)) > 1e-6
    assert not changed[~edges].any()
    assert changed[edges & (keys.depth > 0)].mean() == pytest.approx(0.5, abs=0.05)


def test_people_in_depth(exact, keys):
    person = keys.ids > 0
    assert (mapped(exact, keys, people=False).depth[person] == 0).all()
    assert (mapped(exact, keys, people=False).depth[~person & (keys.depth > 0)] > 0).all()
    error = log_errors(exact, keys, range(40), people_sigma=0.05)
    assert np.nanmax(np.abs(error[:, ~person])) < 1e-5
    each = np.array([np.nanmean(e[k.ids == 1]) for e, k in zip(error, [keys] * 40, strict=True)])
    assert np.nanstd(error[:, keys.ids == 1]) == pytest.approx(0.05, rel=0.2) and len(each) == 40


def test_far_depth_is_unknown(exact, keys):
    depth = mapped(exact, keys, farthest=12.0)
    assert (depth.depth > 0).any() and depth.depth.max() <= 12 and (depth.confidence[depth.depth == 0] == 0).all()
    assert ((depth.depth == 0) == ((keys.depth > 12) | (keys.depth == 0))).all()


def test_focal_lengths_of_depth(exact, few):
    keys = few
    true = exact.truth.cameras.K[0, 0, 0] * 128 / 960
    shared = np.array([mapped(exact, keys, s, focal=0.1).K[:, 0, 0] for s in range(250)])
    assert np.ptp(shared, axis=1).max() < 1e-9 and np.log(shared[:, 0] / true).std() == pytest.approx(0.1, rel=0.2)
    each = np.array([mapped(exact, keys, s, focal_keyframe=0.1).K[:, 1, 1] for s in range(60)])
    assert np.log(each / true).std() == pytest.approx(0.1, rel=0.1)


def test_units_of_depth(exact, keys):
    metric, unit = mapped(exact, keys, unit=0.4), mapped(exact, keys, unit=0.4, metric=False)
    assert metric.metric and not unit.metric
    assert unit.depth == pytest.approx(0.4 * metric.depth, rel=1e-5)
    # Loose points are in the unit of the cameras either way.
    for knobs in ({}, {"metric": False}):
        loose = mapped(exact, keys, unit=0.4, points=1000, **knobs).points
        assert loose == pytest.approx(0.4 * mapped(exact, keys, unit=1.0, points=1000).points, abs=1e-5)


@pytest.mark.parametrize("kind", ["keyframes", "pixels"])
def test_shocks_are_appendix_f(exact, keys, kind):
    """A fifth of the depth gets unit Gaussian noise."""
    near = Frames(keys.rows, np.full_like(keys.depth, 8.0), np.zeros_like(keys.ids))
    maps = np.stack([mapped(exact, near, s, shock=0.2, shock_of=kind).depth - 8 for s in range(40)]).astype(float)
    struck = np.abs(maps) > 1e-6
    assert struck.mean() == pytest.approx(0.2, abs=0.03 if kind == "keyframes" else 0.002)
    assert maps[struck].std() == pytest.approx(1, rel=0.02)
    whole = struck.mean((2, 3))
    assert (set(np.round(whole.ravel(), 2)) <= {0.0, 1.0}) == (kind == "keyframes")
    close = Frames(keys.rows, np.full_like(keys.depth, 0.3), np.zeros_like(keys.ids))
    assert mapped(exact, close, 0, shock=1.0).depth.min() > 0


def test_confidence_knows_the_error_but_not_the_scale(exact, keys):
    knobs = {"noise": 0.02, "distortion": 0.02, "keyframe_sigma": 0.5}
    seen = mapped(exact, keys, confidence=(0.1, 0.9), confidence_follows=0.7, **knobs)
    known = (keys.depth > 0) & ~depth_edges(keys.depth)
    log = np.log(np.where(keys.depth > 0, seen.depth, 1) / np.where(keys.depth > 0, keys.depth, 1))
    local = np.abs(log - np.median(log.reshape(10, -1), axis=1)[:, None, None])[known]
    assert spearmanr(seen.confidence[known], local).statistic < -0.55
    assert spearmanr(seen.confidence[known], np.abs(log[known])).statistic > -0.2
    blind = mapped(exact, keys, confidence=(0.1, 0.9), **knobs)
    assert abs(spearmanr(blind.confidence[known], local).statistic) < 0.02
    assert blind.confidence[known].min() >= 0.1 and blind.confidence[known].max() <= 0.9


# Matches


def test_noise_and_outliers_of_matches(exact, keys):
    true = observed_matches(keys, exact.truth.cameras, MatchConfig(window=3), 0)
    noisy = observed_matches(keys, exact.truth.cameras, MatchConfig(window=3, noise=0.002), 0)
    assert np.array_equal(noisy.xy_i, true.xy_i)
    assert (noisy.xy_j - true.xy_j).std() == pytest.approx(0.002 * 960, rel=0.02)
    wild = observed_matches(keys, exact.truth.cameras, MatchConfig(window=3, outliers=0.1), 0)
    wrong = (wild.xy_j != true.xy_j).any(1)
    assert wrong.mean() == pytest.approx(0.1, rel=0.05)
    assert ((wild.xy_j >= 0) & (wild.xy_j <= (960, 540))).all()
    assert np.std(wild.xy_j[wrong], axis=0) == pytest.approx(np.array([960, 540]) / np.sqrt(12), rel=0.05)


def test_confidence_of_matches(exact, keys):
    config = MatchConfig(window=2, noise=0.002, outliers=0.2, confidence=(0.2, 1.0), confidence_follows=0.7)
    true = observed_matches(keys, exact.truth.cameras, MatchConfig(window=2), 0)
    seen = observed_matches(keys, exact.truth.cameras, config, 0)
    error = np.linalg.norm(seen.xy_j - true.xy_j, axis=1)
    wrong = error > 20
    assert seen.confidence[wrong].mean() < 0.35 < 0.58 < seen.confidence[~wrong].mean()
    assert seen.confidence.min() >= 0.2 and spearmanr(seen.confidence, error).statistic < -0.6


def test_windows_and_numbers_of_matches(exact, keys):
    seen = observed_matches(keys, exact.truth.cameras, MatchConfig(window=2, per_pair=100), 0)
    pairs, counts = np.unique(np.stack([seen.frames_i, seen.frames_j], 1), axis=0, return_counts=True)
    assert len(pairs) == 9 + 8 and set(np.diff(pairs, axis=1).ravel()) == {6, 12} and (counts == 100).all()


def test_a_point_behind_somebody_is_not_matched(exact, keys):
    """Put a wall before half of the second camera: nothing of the scene may match into it."""
    depth = keys.depth.copy()
    depth[1, :, :64] = 1.0
    walled = dataclasses.replace(keys, depth=depth)
    seen = observed_matches(walled, exact.truth.cameras, MatchConfig(window=1), 0)
    into = (seen.frames_i == 0) & (seen.frames_j == 6)
    assert into.sum() > 300 and (seen.xy_j[into][:, 0] > 64 * 7.5).all()


# Contact labels


@pytest.fixture(scope="module")
def long_contacts(exact):
    """One person for 3,000 frames of invented contacts, three seconds on and two off."""
    person = lengthened(exact.people[0], 3000)
    true = np.stack([(person.times + k) % 5 < 3 for k in range(4)], 1)
    names = ("global_orient", "body_pose", "transl", "joints_world")
    still = {name: np.zeros((3000, *getattr(person.person, name).shape[1:])) for name in names}
    truth = dataclasses.replace(
        person.person, frames=person.rows, contacts=true.astype(np.float32), observed=np.ones(3000, bool),
        confidence=np.ones(3000, np.float32), **still,
    )  # fmt: skip
    return dataclasses.replace(person, person=truth), true


def labelled(person, seeds=range(12), **knobs):
    return np.stack([observed_contacts(person, ContactLabelConfig(**knobs), seed) for seed in seeds])


def test_rates_of_wrong_contacts(long_contacts):
    person, true = long_contacts
    found = labelled(person, missed=0.1, invented=0.2, seconds=0.3) > 0.5
    assert (~found)[:, true].mean() == pytest.approx(0.1, rel=0.1)
    assert found[:, ~true].mean() == pytest.approx(0.2, rel=0.1)


def test_wrong_contacts_come_in_bursts(long_contacts):
    person, true = long_contacts
    for seconds in (0.2, 0.6):
        missed = ~(labelled(person, missed=0.1, seconds=seconds) > 0.5) & true
        both = (missed[:, 1:] & missed[:, :-1])[:, true[1:] & true[:-1]].mean()
        stays = both / missed[:, true].mean()
        assert stays == pytest.approx(0.1 + 0.9 * np.exp(-1 / 30 / (0.9 * seconds)), abs=0.03)


def test_certainty_of_contacts(long_contacts):
    person, true = long_contacts
    found = labelled(person, missed=0.2, invented=0.2, certainty=0.8, wrong_certainty=0.3)
    right = (found > 0.5) == true
    sure = np.abs(2 * found - 1)
    assert sure[right].mean() == pytest.approx(0.8, abs=0.01) and sure[~right].mean() == pytest.approx(0.3, abs=0.01)
    assert found.min() >= 0 and found.max() <= 1 and right.mean() == pytest.approx(0.8, abs=0.01)


def test_moved_contacts_are_appendix_f(long_contacts):
    """A fifth of the contacts go to another site: as many contacts as before wherever a site is free."""
    person, true = long_contacts
    found = labelled(person, moved=0.2) > 0.5
    free = ~true.all(1)
    assert (found.sum(2) == true.sum(1)).all()
    assert (~found)[:, free][:, true[free]].mean() == pytest.approx(0.2, rel=0.15)


# Cameras


def cameras_of(exact, keys, seed, **knobs):
    return observed_cameras(exact.truth.cameras, exact.truth.times, keys, CameraConfig(**(NO_POINTS | knobs)), seed)


def relative(exact):
    return invert(exact.truth.cameras.T_world_camera[0]) @ exact.truth.cameras.T_world_camera


def test_units_of_cameras(exact, keys):
    poses, true = cameras_of(exact, keys, 0, unit=0.37), relative(exact)
    assert poses.T_world_camera[:, :3, 3] == pytest.approx(0.37 * true[:, :3, 3], abs=1e-9) and not poses.metric
    units = np.array([world_unit(CameraConfig(unit=None), seed) for seed in range(300)])
    assert units.min() >= 0.2 and units.max() <= 5 and np.log(units).mean() == pytest.approx(0, abs=0.15)
    drawn = cameras_of(exact, keys, 5, unit=None)
    ratio = np.linalg.norm(drawn.T_world_camera[1:, :3, 3], axis=1) / np.linalg.norm(true[1:, :3, 3], axis=1)
    assert ratio == pytest.approx(world_unit(CameraConfig(unit=None), 5))
    assert drawn.evidence == {} and drawn.source.notes == ()


def test_an_assumed_focal_length_is_the_diagonal_and_nothing_else_changes(exact, keys):
    true, wrong = cameras_of(exact, keys, 3, focal=0.02), cameras_of(exact, keys, 3, focal_of="diagonal")
    lens = exact.truth.cameras
    assert (
        wrong.K[:, 0, 0] == pytest.approx(np.hypot(lens.width, lens.height))
        and (wrong.K[:, 0, 0] == wrong.K[:, 1, 1]).all()
    )
    assert (wrong.focal_source, true.focal_source) == ("assumed", "recovered")
    assert np.array_equal(wrong.K[:, :2, 2], lens.K[:, :2, 2])
    assert np.array_equal(wrong.T_world_camera, true.T_world_camera)


def test_drift_grows_with_the_root(exact, keys):
    true, seeds = relative(exact), range(100)
    turned = np.stack([cameras_of(exact, keys, s, rotation_drift=1.0).T_world_camera for s in seeds])
    wrong = np.degrees(rotvec_of(np.swapaxes(true[:, :3, :3], -1, -2) @ turned[:, :, :3, :3]))
    for row in (15, 30, 59):
        assert wrong[:, row].std() == pytest.approx(np.sqrt(row / 30), rel=0.15)
    walked = np.stack([cameras_of(exact, keys, s, position_drift=0.02).T_world_camera for s in seeds])
    length = np.cumsum(np.linalg.norm(np.diff(true[:, :3, 3], axis=0), axis=1))
    aside = walked[:, :, :3, 3] - true[:, :3, 3]
    for row in (15, 30, 59):
        assert aside[:, row].std() == pytest.approx(0.02 * np.sqrt(length[row - 1]), rel=0.15)
    stretched = np.stack([cameras_of(exact, keys, s, scale_drift=0.1).T_world_camera for s in seeds])
    steps, exact_steps = (np.linalg.norm(np.diff(T[..., :3, 3], axis=-2), axis=-1) for T in (stretched, true))
    assert np.log(steps[:, -1] / exact_steps[-1]).std() == pytest.approx(0.1 * np.sqrt(59 / 30), rel=0.2)


def test_jitter_is_new_in_every_frame(exact, keys):
    true = relative(exact)
    shaken = np.stack([cameras_of(exact, keys, s, position_jitter=0.01).T_world_camera for s in range(20)])
    error = shaken[:, :, :3, 3] - true[:, :3, 3]
    assert error.std() == pytest.approx(0.01, rel=0.05) and abs((error[:, 1:] * error[:, :-1]).mean()) < 1e-5
    turned = np.stack([cameras_of(exact, keys, s, rotation_jitter=0.5).T_world_camera for s in range(20)])
    wrong = np.degrees(rotvec_of(np.swapaxes(true[:, :3, :3], -1, -2) @ turned[:, :, :3, :3]))
    assert wrong.std() == pytest.approx(0.5, rel=0.05)


def test_focal_length_and_points_of_cameras(exact, keys):
    true = exact.truth.cameras.K[0, 0, 0]
    focal = np.array([cameras_of(exact, keys, s, focal=0.05).K[0, 0, 0] for s in range(200)])
    assert np.log(focal / true).std() == pytest.approx(0.05, rel=0.15)
    assert cameras_of(exact, keys, 0, focal=0.05).focal_source == "recovered"
    few = cameras_of(exact, keys, 0, points=100, point_noise=0.1).points_world
    clean = cameras_of(exact, keys, 0, points=100).points_world
    centres = np.repeat(relative(exact)[keys.rows][:, :3, 3], 10, axis=0)
    ratio = np.linalg.norm(few - centres, axis=1) / np.linalg.norm(clean - centres, axis=1)
    assert len(few) == 100 and np.log(ratio).std() == pytest.approx(0.1, rel=0.2)
