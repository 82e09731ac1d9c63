"""A sweep on a pixel grid: OpenCV's own projection is the second implementation."""

import cv2
import numpy as np
import pytest

from diorama.data.lidar import Lens, SweepRule, sweep_depth

LENS = Lens(599.628, 599.466, 971.613, 540.258, 0.003, -0.003, -0.001, 0.004, 0.0, 1920, 1080)
STRONG = Lens(600, 600, 960, 540, -0.2, 0.05, 0.01, -0.02, -0.01, 1920, 1080)


def opencv_pixels(points, lens):
    distortion = np.array([lens.k1, lens.k2, lens.p1, lens.p2, lens.k3])
    return cv2.projectPoints(points, np.zeros(3), np.zeros(3), lens.K(), distortion)[0][:, 0]


@pytest.mark.parametrize("lens", [LENS, STRONG])
def test_the_lens_is_opencvs(lens):
    points = np.random.default_rng(0).uniform([-3, -2, 2], [3, 2, 9], (200, 3))
    np.testing.assert_allclose(lens.pixels(points), opencv_pixels(points, lens), atol=1e-6)


def test_every_point_lands_on_the_nearest_pixel_of_the_grid():
    points = np.random.default_rng(1).uniform([-3, -2, -9], [3, 2, 9], (300, 3))
    depth = sweep_depth(points, LENS, (512, 288))
    expected = np.zeros((288, 512))
    for point in points:
        if point[2] > 0:
            x, y = np.rint(opencv_pixels(point[None], LENS)[0] * 288 / 1080).astype(int)
            if 0 <= x < 512 and 0 <= y < 288:
                expected[y, x] = point[2]
    assert (expected > 0).sum() > 50
    np.testing.assert_array_equal(depth, expected)


def test_of_two_points_on_a_pixel_the_later_or_the_nearer_stays():
    points = np.array([[0.0, 0, 3], [0.0, 0, 8]])
    for order, rule, stays in (
        (points, SweepRule(), 8), (points[::-1], SweepRule(), 3),
        (points, SweepRule(nearest=True), 3), (points[::-1], SweepRule(nearest=True), 3),
    ):  # fmt: skip
        assert sweep_depth(order.copy(), LENS, (512, 288), rule).max() == stays


def test_points_that_the_lens_folds_into_the_picture_can_be_dropped():
    """77.5 degrees to the side is far outside a picture of 77 degrees, but the polynomial brings it back."""
    angle = np.radians(77.5)
    beside = np.array([[np.sin(angle), 0.0, np.cos(angle)]]) * 10
    ahead = np.array([[0.5, 0.2, 4.0]])
    assert (sweep_depth(np.vstack([beside, ahead]), LENS, (1920, 1080)) > 0).sum() == 2
    kept = sweep_depth(np.vstack([beside, ahead]), LENS, (1920, 1080), SweepRule(drop_folded=True))
    assert kept[kept > 0].tolist() == [4.0]


def test_a_lens_without_distortion_folds_nothing():
    flat = Lens(600, 600, 960, 540, 0, 0, 0, 0, 0, 1920, 1080)
    assert not flat.folds(np.array([[100.0, 0, 1]])).any()
