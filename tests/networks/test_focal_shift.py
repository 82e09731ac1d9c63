"""Focal length and shift of point maps: known pinholes, MINPACK itself as the oracle, scale laws, few points."""

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from diorama.networks.focal_shift import RELEASE_TOLERANCE, recover_focal_shift, view_plane


def pinhole(rng, height, width, focal, shift, noise=0.0):
    """A map whose depth lacks `shift`, with noise relative to nothing in particular."""
    depth = 3 + rng.gamma(2.0, 1.0, (height, width))
    x = (np.arange(width) + 0.5 - width / 2) / (np.hypot(height, width) / 2)
    y = (np.arange(height) + 0.5 - height / 2) / (np.hypot(height, width) / 2)
    points = np.stack([x * depth / focal, y[:, None] * depth / focal, depth - shift], -1)
    return (points + noise * rng.normal(size=points.shape)).astype(np.float32)


def minpack(points, mask, tolerance):
    """The release's way: scipy's call of MINPACK on one map, unscaled as it was before scipy 1.16 (it is on Python 3.10)."""
    height, width = mask.shape
    rows, columns = np.arange(64) * height // 64, np.arange(64) * width // 64
    half = np.hypot(height, width) / 2
    u, v = (columns + 0.5 - width / 2) / half, (rows + 0.5 - height / 2) / half
    counted = mask[rows][:, columns]
    plane = np.stack(np.broadcast_arrays(u, v[:, None]), -1)[counted]
    p = points[rows][:, columns][counted].astype(float)

    def fitted(shift):
        place = p[:, :2] / (p[:, 2:] + shift)
        focal = (place * plane).sum() / (place**2).sum()
        return focal, (focal * place - plane).ravel()

    found = least_squares(lambda shift: fitted(shift)[1], 0.0, method="lm", ftol=tolerance, x_scale=1.0)
    return fitted(found.x[0])[0], found.x[0]


def recover(points, mask=None, **options):
    points = torch.as_tensor(points)
    mask = torch.ones(points.shape[:-1], dtype=torch.bool) if mask is None else torch.as_tensor(mask)
    return recover_focal_shift(points, mask, **options)


@pytest.mark.parametrize(("height", "width"), [(14, 14), (42, 70), (294, 518), (518, 294)])
@pytest.mark.parametrize("options", [{}, {"tolerance": RELEASE_TOLERANCE}])
def test_a_known_pinhole(height, width, options):
    rng = np.random.default_rng(height)
    for _ in range(5):
        focal, shift = rng.uniform(0.5, 3), rng.uniform(-2, 2)
        f, t = recover(pinhole(rng, height, width, focal, shift), **options)
        np.testing.assert_allclose([f, t], [focal, shift], rtol=1e-3, atol=1e-3)


def garbage(rng, height, width):
    """What a network with random weights gives."""
    depth = np.exp(rng.normal(0, 0.5, (height, width, 1)))
    return np.concatenate([rng.normal(size=(height, width, 2)) * depth, depth], -1).astype(np.float32)


MAPS = {
    "exact": lambda rng: pinhole(rng, 42, 56, rng.uniform(0.5, 3), rng.uniform(-1, 2)),
    "noisy": lambda rng: pinhole(rng, 56, 42, rng.uniform(0.5, 3), rng.uniform(-1, 2), 0.1),
    "very noisy": lambda rng: pinhole(rng, 28, 98, rng.uniform(0.5, 3), rng.uniform(-1, 2), 0.5),
}


@pytest.mark.parametrize("kind", ["exact", "noisy", "very noisy"])
def test_release_stops_where_minpack_stops(kind):
    """Also where its early stop is far from the optimum."""
    rng = np.random.default_rng(1)
    maps = np.stack([MAPS[kind](rng) for _ in range(12)])
    mask = rng.random(maps.shape[:-1]) > 0.3
    f, t = recover(maps, mask, tolerance=RELEASE_TOLERANCE)
    for index in range(len(maps)):
        expected = minpack(maps[index], mask[index], RELEASE_TOLERANCE)
        np.testing.assert_allclose([f[index], t[index]], expected, rtol=1e-4, atol=1e-5)


def test_release_on_garbage():
    """Where nothing is a pinhole the focal length is nearly 0 and the cost has poles, among which a rounding decides."""
    rng = np.random.default_rng(1)
    maps = np.stack([garbage(rng, 70, 70) for _ in range(30)])
    mask = np.ones(maps.shape[:-1], bool)
    f, t = recover(maps, mask, tolerance=RELEASE_TOLERANCE)
    expected = np.array([minpack(*pair, RELEASE_TOLERANCE) for pair in zip(maps, mask, strict=True)])
    same = np.isclose(f, expected[:, 0], rtol=1e-3, atol=1e-6) & np.isclose(t, expected[:, 1], rtol=1e-3, atol=1e-4)
    assert same.mean() > 0.7


@pytest.mark.parametrize("kind", ["exact", "noisy", "very noisy"])
def test_converged_is_the_optimum(kind):
    rng = np.random.default_rng(2)
    maps = np.stack([MAPS[kind](rng) for _ in range(8)])
    mask = rng.random(maps.shape[:-1]) > 0.3
    f, t = recover(maps, mask)
    for index in range(len(maps)):
        expected = minpack(maps[index], mask[index], 1e-15)
        np.testing.assert_allclose([f[index], t[index]], expected, rtol=1e-4, atol=1e-4)


def test_a_larger_world_has_a_larger_shift_and_the_same_focal_length():
    rng = np.random.default_rng(3)
    points = pinhole(rng, 42, 56, 1.3, 0.7, 0.02)
    f, t = recover(points)
    g, u = recover(7 * points)
    torch.testing.assert_close(g, f, rtol=1e-5, atol=0)
    torch.testing.assert_close(u, 7 * t, rtol=1e-4, atol=1e-5)


def test_a_known_focal_length_leaves_the_shift():
    rng = np.random.default_rng(4)
    points = np.stack([pinhole(rng, 42, 56, focal, 0.5) for focal in (0.8, 1.7)])
    f, t = recover(points, focal=torch.tensor([0.8, 1.7]))
    assert f.tolist() == pytest.approx([0.8, 1.7])
    torch.testing.assert_close(t, torch.full((2,), 0.5), rtol=1e-3, atol=0)


def test_masked_pixels_do_not_count():
    rng = np.random.default_rng(5)
    points = pinhole(rng, 64, 64, 1.3, 0.7)
    mask = rng.random((64, 64)) > 0.5
    points[~mask] = np.nan
    np.testing.assert_allclose(recover(points, mask), [1.3, 0.7], rtol=1e-3)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_points(count):
    points = pinhole(np.random.default_rng(6), 64, 64, 1.3, 0.7)
    mask = np.zeros((64, 64), bool)
    mask[10, 10] = count == 1
    assert [float(value) for value in recover(points, mask)] == [1.0, 0.0]


def test_batches_of_any_shape_and_order():
    rng = np.random.default_rng(7)
    maps = np.stack([[pinhole(rng, 28, 42, rng.uniform(0.5, 3), 0.3, 0.05) for _ in range(3)] for _ in range(2)])
    f, t = recover(maps)
    assert f.shape == t.shape == (2, 3)
    torch.testing.assert_close(f[1, 2], recover(maps[1, 2])[0])
    assert recover(maps[:0])[0].shape == (0, 3)


def test_the_view_plane_has_half_a_diagonal_of_one():
    plane = view_plane(30, 40, torch.device("cpu"))
    corner = plane[-1, -1] + torch.tensor([0.5, 0.5]) / 25
    torch.testing.assert_close(corner, torch.tensor([0.8, 0.6]))
    torch.testing.assert_close(plane.flip(0, 1), -plane)
