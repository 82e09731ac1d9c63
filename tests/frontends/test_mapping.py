"""Maps of travelling shots: keyframes, poses from points, certainty of the lens, joining of segments, one real run."""

import itertools
from dataclasses import replace

import numpy as np
import point_worlds as worlds
import pytest
from point_worlds import CENTRE, FOCAL, K1, segment

from diorama.frontends.keyframes import KeyframeConfig, choose_keyframes, split_segments
from diorama.frontends.lens_certainty import focal_certainty
from diorama.frontends.mapping_segments import MappedSegment, disagreement, join_segments, similarity_between
from diorama.frontends.resection import point_jacobians, pose_residuals, project_points, refine_pose
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import invert, move_cameras, rigid


def moved(mapped: MappedSegment, scale: float, rotation: np.ndarray, shift: np.ndarray) -> MappedSegment:
    """The same segment in another world."""
    found, poses = mapped.found, mapped.poses
    found = replace(
        found, points=scale * found.points @ rotation.T + shift,
        T_world_camera=move_cameras(found.T_world_camera, scale, rotation, shift),
    )  # fmt: skip
    return MappedSegment(
        found, replace(poses, T_world_camera=move_cameras(poses.T_world_camera, scale, rotation, shift))
    )


def three_segments(rng):
    Ts = worlds.walking(rng, 152, 8.0)
    points = worlds.street(rng, 3000)
    parts = []
    for start, stop in ((0, 72), (48, 112), (88, 152)):
        rows = np.arange(start, stop)
        part = segment(rng, points, Ts, rows, rows[::4])
        similarity = (rng.uniform(0.3, 3), matrix_of(rng.normal(size=3)), rng.normal(size=3) * 5)
        parts.append(moved(part, *similarity) if start else part)
    return Ts, points, parts


def test_segments_of_different_size_and_pose_join_to_one_world():
    Ts, points, parts = three_segments(np.random.default_rng(0))
    joined = join_segments(parts)
    np.testing.assert_array_equal(joined.rows, np.arange(152))
    # Pixels are rounded to 1/64 px for the comparison of features, nothing else is inexact.
    np.testing.assert_allclose(joined.T_world_camera, Ts, atol=2e-6)
    assert joined.registered.all()
    apart = np.linalg.norm(joined.points[:, None] - points[None, :], axis=2).min(1)
    assert apart.max() < 1e-5
    assert len(joined.points) < 0.8 * sum(len(part.found.points) for part in parts)
    assert len(joined.joints) == 2


def test_scale_comes_from_shared_points_even_where_the_camera_rests():
    rng = np.random.default_rng(1)
    Ts = np.repeat(worlds.walking(rng, 2, 1.0)[:1], 40, 0)
    points = worlds.street(rng, 2000)
    rows = np.arange(40)
    one = segment(rng, points, Ts, rows, rows[::4])
    two = moved(one, 0.4, matrix_of(np.array([0.1, 0.5, 0.0])), np.array([1.0, 2.0, 3.0]))
    assert similarity_between(one, two).scale == pytest.approx(2.5, rel=1e-6)


def test_maps_that_contradict_each_other_are_noticed():
    parts = three_segments(np.random.default_rng(7))[2]
    assert disagreement(parts[0], parts[1]) < 1e-4
    bent = parts[1].poses.T_world_camera.copy()
    bent[:, :3, 3] += np.linspace(0, 8, len(bent))[:, None] ** 2 * np.array([1.0, 0, 0])
    wrong = MappedSegment(parts[1].found, replace(parts[1].poses, T_world_camera=bent))
    assert disagreement(parts[0], wrong) > 0.02


def test_segments_without_a_common_frame_are_refused():
    parts = three_segments(np.random.default_rng(2))[2]
    with pytest.raises(ValueError, match="share no registered frame"):
        join_segments([parts[0], parts[2]])


def test_pose_from_points_with_outliers():
    rng = np.random.default_rng(3)
    points = worlds.street(rng, 600)
    T = worlds.walking(rng, 10, 3.0)[6]
    xy, depth = project_points(points, T, FOCAL, K1, CENTRE)
    use = (depth > 1) & (np.abs(xy - CENTRE) < 600).all(1)
    points, xy = points[use], xy[use]
    xy[::4] += rng.normal(size=xy[::4].shape) * 30
    guess = rigid(T[:3, :3] @ matrix_of(np.array([0.01, -0.01, 0.005])), T[:3, 3] + [0.05, 0.02, -0.1])
    found, miss = refine_pose(points, xy, guess, FOCAL, K1, CENTRE)
    assert np.linalg.norm(found[:3, 3] - T[:3, 3]) < 2e-3
    assert np.linalg.norm(rotvec_of(found[:3, :3].T @ T[:3, :3])) < 2e-4
    assert np.median(np.delete(miss, np.s_[::4])) < 0.02


def test_derivatives_of_the_projection_agree_with_differences():
    rng = np.random.default_rng(4)
    points, T = rng.normal(size=(7, 3)) + np.array([0, 0, 5]), invert(worlds.walking(rng, 5, 1.0)[2])
    zero = np.zeros((7, 2))
    start, by_pose = pose_residuals(points, zero, T, FOCAL, K1, CENTRE)
    by_point, by_lens = point_jacobians(points, T, FOCAL, K1)
    step = 1e-6
    for axis in range(6):
        tangent = step * np.eye(6)[axis]
        turn = matrix_of(tangent[:3])
        there = rigid(turn @ T[:3, :3], turn @ T[:3, 3] + tangent[3:])
        difference = (pose_residuals(points, zero, there, FOCAL, K1, CENTRE)[0] - start) / step
        np.testing.assert_allclose(difference, by_pose[:, :, axis], rtol=1e-3, atol=1e-2)
    for axis in range(3):
        difference = (pose_residuals(points + step * np.eye(3)[axis], zero, T, FOCAL, K1, CENTRE)[0] - start) / step
        np.testing.assert_allclose(difference, by_point[:, :, axis], rtol=1e-3, atol=1e-2)
    focal = (pose_residuals(points, zero, T, FOCAL + step, K1, CENTRE)[0] - start) / step
    k1 = (pose_residuals(points, zero, T, FOCAL, K1 + step, CENTRE)[0] - start) / step
    np.testing.assert_allclose(np.stack([focal, k1], 2), by_lens[..., :2], rtol=1e-3, atol=1e-2)
    camera = points @ T[:3, :3].T + T[:3, 3]
    squared = (camera[:, :2] ** 2).sum(1) / camera[:, 2] ** 2
    np.testing.assert_allclose(by_lens[..., 2], by_lens[..., 1] * squared[:, None], rtol=1e-6)


def test_certainty_of_the_focal_follows_the_noise_and_the_lens_model():
    known, unknown = [], []
    for noise_px in (0.2, 0.6):
        rng = np.random.default_rng(5)
        Ts, rows = worlds.walking(rng, 40, 3.0), np.arange(40)
        found = segment(rng, worlds.street(rng, 1500), Ts, rows, rows[::4], noise_px).found
        known.append(focal_certainty(found, k2_sigma=1e-6))
        unknown.append(focal_certainty(found))
    assert 1e-4 < known[0] < 0.02
    assert known[1] == pytest.approx(3 * known[0], rel=0.2)
    assert all(loose > tight for loose, tight in zip(unknown, known, strict=True))
    assert unknown[0] < unknown[1]


def test_keyframes_follow_the_motion_and_segments_overlap():
    rng = np.random.default_rng(6)
    seen = worlds.see(rng, worlds.street(rng), worlds.walking(rng, 120, 4.0), 0.8 * 960, limit=300)
    config = KeyframeConfig(segment=50, overlap=12)
    keys = choose_keyframes(seen.tracks, config)
    assert keys[0] == 0 and keys[-1] == 119
    assert np.diff(keys).max() <= config.max_gap
    parts = split_segments(keys, config)
    assert len(parts) == 3
    assert all(np.ptp(part) <= config.segment + config.overlap for part in parts)
    for before, after in itertools.pairwise(parts):
        assert len(np.intersect1d(before, after)) >= 2
    np.testing.assert_array_equal(np.unique(np.concatenate(parts)), keys)


@pytest.mark.slow
def test_the_street_is_mapped(street_clip):
    from diorama.frontends.cameras import estimate_cameras
    from diorama.video import open_video

    seen = estimate_cameras(open_video(street_clip), None, progress=False)
    cameras, matches = seen.cameras, seen.matches
    assert cameras.kind == "translating" and cameras.focal_source == "recovered"
    assert cameras.registered.all()
    assert cameras.reprojection_px < 0.6
    assert 0.45 < cameras.K[0, 0, 0] / 1920 < 0.65
    assert matches is not None and np.ptp(matches.frames) > 90 and len(matches.xy_i) > 10_000
