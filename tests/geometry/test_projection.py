"""Project and unproject undo each other; distortion too; poses compose; alignment finds what was done."""

import numpy as np
import pytest

from diorama.geometry.alignment import umeyama
from diorama.geometry.cameras import (
    distort,
    focal_of_fov,
    intrinsics,
    pixel_grid,
    project,
    scale_intrinsics,
    undistort,
    unproject,
)
from diorama.geometry.filters import gaussian_smooth
from diorama.geometry.ground import fit_plane, rotation_to_z_up
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, interpolate_rigid, invert, move_cameras, rigid, similarity

RNG = np.random.default_rng(0)
K = intrinsics(800.0, 1280, 720)


@pytest.mark.parametrize("k1", [0.0, -0.12, 0.08])
def test_unproject_inverts_project(k1):
    points = np.stack([RNG.uniform(-2, 2, 40), RNG.uniform(-1, 1, 40), RNG.uniform(3, 9, 40)], 1)
    distortion = np.array([k1])
    pixels = project(points, K, distortion)
    np.testing.assert_allclose(unproject(pixels, points[:, 2], K, distortion), points, atol=1e-7)


def test_undistort_inverts_distort():
    xy = RNG.uniform(-0.7, 0.7, (50, 2))
    coefficients = np.array([-0.1, 0.02])
    np.testing.assert_allclose(undistort(distort(xy, coefficients), coefficients), xy, atol=1e-8)


def test_points_behind_the_camera_have_no_pixel():
    assert np.isnan(project(np.array([[0.0, 0, -1]]), K)).all()


def test_per_frame_cameras_equal_one_by_one():
    points = RNG.uniform(1, 3, (4, 5, 3))
    Ks = np.stack([intrinsics(f, 1280, 720) for f in (500.0, 600, 700, 800)])
    ks = np.array([[-0.1], [0.0], [0.05], [0.1]])
    together = project(points, Ks, ks)
    alone = np.stack([project(points[i], Ks[i], ks[i]) for i in range(4)])
    np.testing.assert_allclose(together, alone)


def test_resizing_the_picture_scales_pixels():
    points = RNG.uniform(1, 3, (5, 3))
    np.testing.assert_allclose(project(points, scale_intrinsics(K, 0.5)), 0.5 * project(points, K))


def test_pixel_centres_are_at_half_integers():
    grid = pixel_grid(4, 3)
    assert grid.shape == (3, 4, 2)
    np.testing.assert_allclose(grid[0, 0], [0.5, 0.5])
    np.testing.assert_allclose(grid[2, 3], [3.5, 2.5])


def test_field_of_view():
    edge = unproject(np.array([1280.0, 360.0]), np.array(1.0), intrinsics(focal_of_fov(70, 1280), 1280, 720))
    assert np.degrees(np.arctan(edge[0])) == pytest.approx(35)


def random_poses(count=6):
    return rigid(matrix_of(RNG.normal(size=(count, 3))), RNG.normal(size=(count, 3)))


def test_rigid_transforms_form_a_group():
    a, b, points = random_poses(), random_poses(), RNG.normal(size=(6, 7, 3))
    np.testing.assert_allclose(a @ invert(a), np.tile(np.eye(4), (6, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(apply(a, apply(b, points)), apply(a @ b, points), atol=1e-12)
    np.testing.assert_allclose(apply(a[0], points[0]), apply(a[:1], points[:1])[0])


def test_moved_cameras_see_the_moved_world_alike():
    Ts, points = random_poses(), RNG.normal(size=(6, 3))
    R, t, s = matrix_of(np.array([0.3, -0.4, 1.0])), np.array([1.0, 2, 3]), 2.5
    seen = apply(invert(Ts), points)
    moved = apply(invert(move_cameras(Ts, s, R, t)), apply(similarity(s, R, t), points))
    np.testing.assert_allclose(moved, s * seen, atol=1e-12)


def test_interpolation_hits_the_knots_and_halves_the_way():
    Ts, times = random_poses(3), np.array([0.0, 1.0, 3.0])
    np.testing.assert_allclose(interpolate_rigid(times, times, Ts), Ts, atol=1e-12)
    middle = interpolate_rigid(np.array([0.5]), times, Ts)[0]
    np.testing.assert_allclose(middle[:3, 3], (Ts[0, :3, 3] + Ts[1, :3, 3]) / 2)
    np.testing.assert_allclose(middle[:3, :3] @ Ts[0, :3, :3].T, Ts[1, :3, :3] @ middle[:3, :3].T, atol=1e-9)
    np.testing.assert_allclose(interpolate_rigid(np.array([-1.0, 9.0]), times, Ts), Ts[[0, 2]], atol=1e-12)


@pytest.mark.parametrize("with_scale", [True, False])
def test_alignment_finds_the_similarity(with_scale):
    source = RNG.normal(size=(30, 3))
    R, t, s = matrix_of(np.array([1.0, 0.2, -2])), np.array([3.0, -1, 2]), 1.7 if with_scale else 1.0
    found = umeyama(source, s * source @ R.T + t, with_scale=with_scale)
    np.testing.assert_allclose(found.rotation, R, atol=1e-9)
    np.testing.assert_allclose(found.translation, t, atol=1e-9)
    assert found.scale == pytest.approx(s)


def test_alignment_never_mirrors_and_weights_count():
    source = RNG.normal(size=(30, 3))
    assert np.linalg.det(umeyama(source, source * [1, 1, -1]).rotation) == pytest.approx(1)
    target = source + np.array([1.0, 0, 0])
    target[0] += 50
    weights = np.r_[0.0, np.ones(29)]
    np.testing.assert_allclose(umeyama(source, target, weights=weights).apply(source)[1:], target[1:], atol=1e-9)
    with pytest.raises(ValueError, match="not empty"):
        umeyama(source[:0], source[:0])


def test_smoothing_keeps_constants_and_straight_middles():
    line = np.arange(50.0)[:, None] * [1.0, -2]
    np.testing.assert_allclose(gaussian_smooth(np.ones((9, 2)), 3.0), 1)
    np.testing.assert_allclose(gaussian_smooth(line, 2.0)[10:-10], line[10:-10], atol=1e-9)
    np.testing.assert_allclose(gaussian_smooth(line, 0.0), line)


def test_plane_fit_ignores_outliers():
    points = np.concatenate([RNG.uniform(-1, 1, (300, 3)) * [1, 1, 0.005] + [0, 0, 0.7], RNG.uniform(-1, 1, (80, 3))])
    normal, offset = fit_plane(points, np.array([0.1, 0.1, 1.0]), sigma=0.02)
    assert np.degrees(np.arccos(normal[2])) < 0.5
    assert offset == pytest.approx(0.7, abs=0.005)
    np.testing.assert_allclose(rotation_to_z_up(normal) @ normal, [0, 0, 1], atol=1e-9)
