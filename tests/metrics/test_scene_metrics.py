"""Depth and clouds: laws, known fits, and agreement with plain loops and torch's Adam."""

import numpy as np
import plain_metrics as plain
import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.optimize import linprog

from diorama import metrics

RNG = np.random.default_rng(2)
TARGET = RNG.uniform(1, 8, (3, 12, 15))
PRED = TARGET * RNG.uniform(0.7, 1.4, TARGET.shape)
VALID = RNG.random(TARGET.shape) < 0.7


def test_errors_agree_with_loops():
    pairs = [(d, g) for d, g, v in zip(PRED.flat, TARGET.flat, VALID.flat, strict=True) if v]
    assert metrics.abs_rel(PRED, TARGET, VALID) == pytest.approx(sum(abs(d - g) / g for d, g in pairs) / len(pairs))
    assert metrics.rel(PRED, TARGET, VALID) == pytest.approx(
        sum(abs(d - g) / (g + 1e-6) for d, g in pairs) / len(pairs)
    )
    for threshold in (1.1, 1.25, 1.25**2):
        inliers = sum(max(d / g, g / d) < threshold for d, g in pairs) / len(pairs)
        assert metrics.delta(PRED, TARGET, VALID, threshold) == pytest.approx(inliers)


def test_delta_is_strict_and_a_depth_behind_the_camera_is_no_inlier():
    assert metrics.delta(np.array([1.25, 1.2499, 0.8, 0.81]), np.ones(4)) == 0.5
    assert metrics.delta(np.array([-1.0, 0.0, 1.0]), np.ones(3), np.ones(3, bool)) == pytest.approx(1 / 3)


def test_pixels_without_truth_never_count():
    target = np.array([2.0, np.inf, 0.0, -1.0, np.nan, 4.0])
    pred = np.array([3.0, 1.0, 1.0, 1.0, 1.0, 4.0])
    for valid in (None, np.ones(6, bool), np.ones(6, int)):
        assert metrics.abs_rel(pred, target, valid) == pytest.approx(0.25)
    pred[0] = np.nan
    assert metrics.abs_rel(pred, target) == 0
    with pytest.raises(ValueError, match="NaN"):
        metrics.abs_rel(pred, target, np.ones(6, bool))


@pytest.mark.parametrize("mode", ["median", "scale", "lstsq", "lad", "lad2"])
def test_every_alignment_undoes_a_scale(mode):
    # Halves are exact in binary, so that not even Adam sees an error to follow.
    np.testing.assert_allclose(metrics.align_depth(TARGET / 2, TARGET, VALID, mode), TARGET, rtol=1e-9)


@pytest.mark.parametrize("mode", ["lstsq", "lad"])
def test_alignments_with_shift_undo_it(mode):
    np.testing.assert_allclose(metrics.align_depth((TARGET - 0.9) / 1.7, TARGET, VALID, mode), TARGET, rtol=1e-9)


def test_metric_depth_is_not_touched():
    np.testing.assert_array_equal(metrics.align_depth(PRED, TARGET, VALID, "none"), PRED)


def test_the_median_is_the_lower_one_as_in_torch():
    pred, target = np.array([1.0, 2.0, 3.0, 4.0]), np.array([10.0, 30.0, 50.0, 90.0])
    expected = torch.from_numpy(target).median() / torch.from_numpy(pred).median()
    np.testing.assert_allclose(metrics.align_depth(pred, target, None, "median"), float(expected) * pred)


def fitted(mode):
    aligned = metrics.align_depth(PRED, TARGET, VALID, mode)[VALID]
    scale, shift = np.polyfit(PRED[VALID], aligned, 1)
    return scale, shift, np.abs(aligned - TARGET[VALID]).sum()


def test_least_absolute_deviations_against_a_linear_program():
    d, g = PRED[VALID], TARGET[VALID]
    n, eye = len(d), np.eye(len(d))
    line = np.stack([d, np.ones(n)], 1)
    program = linprog(
        np.r_[0, 0, np.ones(n)],
        np.block([[line, -eye], [-line, -eye]]),
        np.r_[g, -g],
        bounds=[(None, None)] * 2 + [(0, None)] * n,
    )
    scale, shift, total = fitted("lad")
    assert total == pytest.approx(program.fun, rel=1e-9)
    assert (scale, shift) == pytest.approx(program.x[:2], rel=1e-6)


def test_l1_scale_is_ten_steps_towards_the_weighted_median():
    """The optimum of sum |s d - g| is the median of g / d with weights d."""
    ratio, weight = TARGET[VALID] / PRED[VALID], PRED[VALID]
    order = np.argsort(ratio)
    best = ratio[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]
    found, shift, total = fitted("scale")
    assert found == pytest.approx(best, rel=0.02) and shift == pytest.approx(0, abs=1e-9)
    d, g = PRED[VALID], TARGET[VALID]
    scale = start = g.mean() / d.mean()
    assert np.abs(best * d - g).sum() <= total < np.abs(start * d - g).sum()
    for _ in range(10):
        root = np.abs(scale * d - g) ** -0.5
        scale = np.linalg.lstsq((root * d)[:, None], root * g, rcond=None)[0][0]
    assert found == pytest.approx(scale, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_adam_is_torch_s(dtype):
    d, g = (torch.from_numpy(x[VALID]).to(dtype) for x in (PRED, TARGET))
    fit = torch.stack([g.median() / d.median(), torch.zeros((), dtype=dtype)]).requires_grad_()
    optimiser = torch.optim.Adam([fit], lr=1e-4)
    for _ in range(1000):
        optimiser.zero_grad()
        (fit[0] * d + fit[1] - g).abs().sum().backward()
        optimiser.step()
    scale, shift = fit.detach().double()
    tolerance = 1e-9 if dtype == torch.float64 else 2e-4
    assert fitted("lad2")[:2] == pytest.approx((float(scale), float(shift)), abs=tolerance)


def test_chamfer_agrees_with_all_pairs():
    a, b = RNG.normal(size=(80, 3)), RNG.normal(size=(120, 3)) + 0.2
    near, full = plain.chamfer(a, b)
    assert metrics.chamfer(a, b) == pytest.approx((near, full, (near + full) / 2))
    assert metrics.chamfer(a, b, mode="sum").chamfer == pytest.approx(near + full)
    near, full = plain.chamfer(plain.voxels(a, 0.3), plain.voxels(b, 0.3))
    assert metrics.chamfer(a, b, voxel=0.3) == pytest.approx((near, full, (near + full) / 2))


def test_chamfer_laws():
    a = RNG.normal(size=(50, 3))
    assert metrics.chamfer(a, a[::-1]) == (0, 0, 0)
    part = metrics.chamfer(a[:10], a)
    assert part.accuracy == 0 and part.completeness > 0
    assert metrics.chamfer(a, a[:10]).completeness == 0
    grid = np.stack(np.meshgrid(*[np.arange(3.0)] * 3), -1).reshape(-1, 3)
    assert metrics.chamfer(grid + np.array([0.2, 0, 0]), grid) == pytest.approx((0.2, 0.2, 0.2))


def test_voxel_means_keep_the_grid_of_open3d():
    """Origin = lowest corner minus half a voxel: 0 and 0.14 share a voxel of 0.3, 0.16 starts the next."""
    line = np.array([0.0, 0.14, 0.16, 0.44])[:, None] * [1.0, 0, 0]
    np.testing.assert_allclose(metrics.voxel_means(line, 0.3)[:, 0], [0.07, 0.30])
    cloud = RNG.normal(size=(500, 3))
    found, expected = metrics.voxel_means(cloud, 0.4), plain.voxels(cloud, 0.4)
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)])


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.abs_rel(PRED, TARGET, np.zeros_like(VALID)),
        lambda: metrics.delta(PRED, 0 * TARGET, VALID),
        lambda: metrics.abs_rel(PRED[:2], TARGET, VALID),
        lambda: metrics.abs_rel(PRED, TARGET, VALID[0]),
        lambda: metrics.abs_rel(PRED, TARGET, 0.5 * VALID),
        lambda: metrics.align_depth(PRED, TARGET, VALID, "affine"),
        lambda: metrics.align_depth(0 * PRED, TARGET, VALID, "median"),
        lambda: metrics.align_depth(0 * PRED, TARGET, VALID, "scale"),
        lambda: metrics.chamfer(np.zeros((0, 3)), np.zeros((1, 3))),
        lambda: metrics.chamfer(np.full((1, 3), np.nan), np.zeros((1, 3))),
        lambda: metrics.chamfer(np.zeros((1, 3)), np.zeros((1, 3)), voxel=0.0),
        lambda: metrics.chamfer(np.zeros((1, 3)), np.zeros((1, 3)), mode="max"),
    ],
)
def test_undefined_is_an_error(call):
    with pytest.raises((ValueError, TypeCheckError)):
        call()


@pytest.mark.parametrize("mode", ["lstsq", "lad"])
def test_a_flat_prediction_is_fitted_by_what_its_alignment_has_left(mode):
    middle = TARGET.mean() if mode == "lstsq" else np.median(TARGET)
    np.testing.assert_allclose(metrics.align_depth(np.full_like(TARGET, 2.0), TARGET, None, mode), middle)
