"""What comes in: tensors are arrays, degenerate sets have a defined answer, the rest is a clear error."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from scipy.spatial.transform import Rotation

from diorama import metrics

RNG = np.random.default_rng(4)
T = RNG.normal(size=(12, 24, 3))
P = T + RNG.normal(0, 0.1, T.shape)
POSES = np.tile(np.eye(4), (12, 1, 1))
POSES[:, :3, 3] = T[:, 0]
MOVED = POSES.copy()
MOVED[:, :3, 3] = P[:, 0]

PAIRED = {
    "w_mpjpe": (P, T), "wa_mpjpe": (P, T), "pa_mpjpe": (P, T), "mpjpe": (P, T), "pve": (P, T), "v2v": (P, T),
    "mrpe": (P, T), "rte": (P, T), "accel_error": (P, T), "foot_slide": (P, T), "ate": (MOVED, POSES),
    "rpe": (MOVED, POSES), "rotation_error_degrees": (MOVED, POSES), "scale_error": (P, T),
}  # fmt: skip
MORE = {"accel_error": (30,), "foot_slide": (2.0,)}


@pytest.mark.parametrize("name", PAIRED)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_tensors_that_need_a_gradient_are_arrays(name, dtype):
    metric, more = getattr(metrics, name), MORE.get(name, ())
    arrays = PAIRED[name]
    tensors = [torch.tensor(a, dtype=dtype, requires_grad=True) for a in arrays]
    found, expected = metric(*tensors, *more), metric(*arrays, *more)
    assert not isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, expected, rtol=1e-9 if dtype == torch.float64 else 1e-4, atol=1e-5)


def test_other_arguments_may_be_tensors_too():
    scene, valid = torch.tensor(T[0]), torch.ones(12, 24, dtype=torch.bool)
    assert metrics.foot_floating(torch.tensor(P), torch.arange(12), scene).shape == (11,)
    assert metrics.foot_floating(torch.tensor(P), torch.arange(12), [scene, scene], torch.tensor([0, 5])).shape == (11,)
    assert metrics.abs_rel(torch.ones(12, 24), torch.ones(12, 24), valid) == 0
    assert metrics.align_depth(torch.ones(12, 24), 2 * torch.ones(12, 24), valid, "median").min() == 2
    assert metrics.contact_scores(valid, valid).f1 == 1
    assert metrics.chamfer(scene, scene.bfloat16()).chamfer < 0.01
    assert metrics.jitter(torch.tensor(P), 30).shape == (9,)
    s, R, t = metrics.umeyama(scene, 2 * scene, weights=torch.ones(24))
    assert (s, *np.diag(R), *t) == pytest.approx((2, 1, 1, 1, 0, 0, 0), abs=1e-9)


@pytest.mark.parametrize("name", PAIRED)
def test_nan_nothing_and_wrong_shapes_are_errors(name):
    metric, more = getattr(metrics, name), MORE.get(name, ())
    pred, target = PAIRED[name]
    broken = pred.copy()
    broken[7, 0, -1] = np.nan
    # MRPE and RTE look at joint 0 alone, so the NaN is put there.
    for a, b in ((broken, target), (target, broken), (pred[:0], target[:0]), (pred[:-1], target), (pred[0, 0], target)):
        with pytest.raises(ValueError):
            metric(a, b, *more)


def test_errors_say_what_to_do():
    broken = P.copy()
    broken[7, 3] = np.inf
    with pytest.raises(ValueError, match="first in frames 7; drop"):
        metrics.mpjpe(broken, T)
    with pytest.raises(ValueError, match="topologies: 24 against 20"):
        metrics.pve(P, T[:, :20])
    with pytest.raises(ValueError, match="topologies"):
        metrics.v2v(P, T[:, :20])
    with pytest.raises(ValueError, match=r"expected \(frames, 24, 3\)"):
        metrics.jitter(P[:, :14], 30, variant="emdb")


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.rte(P[:, 0], np.ones((12, 3))),
        lambda: metrics.mpjpe(P, T, pelvis=(1, 24)),
        lambda: metrics.mpjpe(P, T, pelvis=()),
        lambda: metrics.pve(P, T, P[:, 0]),
        lambda: metrics.pve(P, T, P[:5, 0], T[:5, 0]),
        lambda: metrics.w_mpjpe(P, T, chunk=0),
        lambda: metrics.jitter(P, 0),
        lambda: metrics.accel(P, float("nan")),
        lambda: metrics.jitter(P, 30, variant="smpl"),
        lambda: metrics.umeyama(P[0], T[0, :5]),
        lambda: metrics.umeyama(P, T),
        lambda: metrics.umeyama(P[0] * np.nan, T[0]),
        lambda: metrics.umeyama(P[0], T[0], weights=np.zeros(24)),
        lambda: metrics.umeyama(P[0], T[0], weights=-np.ones(24)),
        lambda: metrics.umeyama(P[0], T[0], weights=np.ones(23)),
    ],
)
def test_what_is_not_defined_is_an_error(call):
    with pytest.raises((ValueError, TypeCheckError)):
        call()


SETS = {
    "body": T[0],
    "mirrored": T[0] * [1, 1, -1],
    "planar": T[0] * [1, 1, 0],
    "collinear": T[0] * [1, 0, 0],
    "point": T[0] * 0 + 0.1,
    "two points": np.where(np.arange(24)[:, None] < 12, T[0, 0], T[0, 1]),
}


@pytest.mark.parametrize("source", SETS)
@pytest.mark.parametrize("target", SETS)
def test_degenerate_sets_have_a_rotation_and_the_least_error(source, target):
    """No rotation of a thousand, with its best scale and shift, comes closer."""
    x, y = SETS[source], SETS[target]
    fit = metrics.umeyama(x, y)
    assert np.isfinite(np.r_[fit.scale, fit.rotation.ravel(), fit.translation]).all()
    assert np.linalg.det(fit.rotation) == pytest.approx(1)
    np.testing.assert_allclose(fit.rotation @ fit.rotation.T, np.eye(3), atol=1e-12)
    error = ((fit.apply(x) - y) ** 2).sum()
    a, b = x - x.mean(0), y - y.mean(0)
    variance = max((a * a).sum(), 1e-20)
    if (a * a).sum() > 1e-12:
        assert fit.scale == pytest.approx(((a @ fit.rotation.T) * b).sum() / variance, abs=1e-12)
    gain = np.einsum("rij,nj,ni->r", Rotation.random(1000, random_state=0).as_matrix(), a, b)
    assert error <= ((b * b).sum() - np.maximum(gain, 0) ** 2 / variance).min() + 1e-9


def test_sets_without_extent():
    assert metrics.umeyama(SETS["point"], T[0]).scale == 1
    np.testing.assert_array_equal(metrics.umeyama(SETS["point"], T[0]).rotation, np.eye(3))
    assert metrics.umeyama(T[0], SETS["point"]).scale == 0
    assert metrics.umeyama(T[0], SETS["point"], with_scale=False).scale == 1
    single = metrics.umeyama(T[0, :1], T[0, 1:2])
    np.testing.assert_allclose(single.apply(T[0, :1]), T[0, 1:2])
    # A tail of one frame with one joint is a point: it is moved, and nothing else.
    assert metrics.w_mpjpe(P[:3, :1], T[:3, :1], chunk=2)[-1] == pytest.approx(0, abs=1e-9)


def test_aligned_distances_do_not_depend_on_which_best_rotation_is_taken():
    line, noisy = T[:, :, :1] * [1.0, 0, 0], P
    turned = noisy @ Rotation.from_rotvec([2.0, 0.1, 0.3]).as_matrix().T
    np.testing.assert_allclose(metrics.pa_mpjpe(turned, line), metrics.pa_mpjpe(noisy, line), rtol=1e-6)


def test_weights_of_one_and_zero_drop_points():
    weights = (np.arange(24) % 3 > 0).astype(float)
    kept = weights > 0
    for with_scale in (True, False):
        found = metrics.umeyama(P[0], T[0], with_scale=with_scale, weights=weights)
        expected = metrics.umeyama(P[0, kept], T[0, kept], with_scale=with_scale)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


def test_a_mirrored_body_is_not_a_copy():
    assert metrics.pa_mpjpe(T * [-1, 1, 1], T).min() > 100
