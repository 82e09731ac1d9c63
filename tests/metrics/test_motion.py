"""Known worlds have known errors; an independent brute-force implementation agrees."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from diorama.metrics import cameras, contacts, motion, physics

RNG = np.random.default_rng(0)
TRUTH = (
    np.cumsum(RNG.normal(0, 0.02, (230, 1, 3)), 0) + RNG.normal(0, 0.3, (1, 24, 3)) + RNG.normal(0, 0.02, (230, 24, 3))
)


def moved(points, scale=1.3):
    return scale * points @ Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix().T + [3.0, -2.0, 1.0]


def brute_force_similarity(source, target):
    """Least squares by a general minimiser: no closed form shared with the code under test."""

    def transform(q):
        return np.exp(q[0]) * Rotation.from_rotvec(q[1:4]).apply(source) + q[4:]

    def cost(q):
        return ((transform(q) - target) ** 2).sum()

    starts = [np.r_[0, Rotation.random(random_state=seed).as_rotvec(), target.mean(0)] for seed in range(12)]
    best = min((minimize(cost, s, method="BFGS", options={"gtol": 1e-9}) for s in starts), key=lambda r: r.fun)
    return transform(best.x)


def test_a_moved_and_scaled_copy_has_no_aligned_error():
    for metric in (motion.pa_mpjpe, motion.wa_mpjpe, motion.w_mpjpe):
        assert metric(moved(TRUTH), TRUTH) < 1e-9
    assert motion.root_error_percent(moved(TRUTH)[:, 0], TRUTH[:, 0]) < 1e-9
    assert motion.rte_percent(moved(TRUTH, 1.0)[:, 0], TRUTH[:, 0]) < 1e-9
    assert motion.rte_percent(moved(TRUTH)[:, 0], TRUTH[:, 0]) > 0.3


def test_mpjpe_of_a_constant_offset_of_one_joint():
    predicted = TRUTH.copy()
    predicted[:, 15, 1] += 0.24
    assert motion.mpjpe(predicted + np.array([5.0, 0, 0]), TRUTH) == pytest.approx(10.0)


def test_pa_mpjpe_agrees_with_a_general_minimiser():
    truth = TRUTH[:3]
    predicted = moved(truth + RNG.normal(0, 0.05, truth.shape))
    expected = np.mean(
        [np.linalg.norm(brute_force_similarity(p, t) - t, axis=1) for p, t in zip(predicted, truth, strict=True)]
    )
    assert motion.pa_mpjpe(predicted, truth) == pytest.approx(1000 * expected, rel=1e-4)


@pytest.mark.parametrize("count", [100, 101, 200, 230])
def test_chunks_of_100_keep_the_tail(count):
    noisy = moved(TRUTH[:count] + RNG.normal(0, 0.05, TRUTH[:count].shape))
    parts = [slice(start, start + 100) for start in range(0, count, 100)]
    truth = TRUTH[:count]
    whole = sum(motion.wa_mpjpe(noisy[p], truth[p]) * len(truth[p]) for p in parts) / count
    assert motion.wa_mpjpe(noisy, truth) == pytest.approx(whole)


def test_w_mpjpe_grows_with_drift_and_wa_does_less():
    drift = TRUTH + np.linspace(0, 1, len(TRUTH))[:, None, None] * [1.0, 0, 0]
    assert motion.w_mpjpe(drift, TRUTH) > 1.5 * motion.wa_mpjpe(drift, TRUTH) > 0


def test_jitter_of_a_cubic_and_acceleration_of_a_parabola():
    t = np.arange(50)[:, None, None] / 30
    assert motion.jitter(t**3 * np.ones((1, 24, 1)) * [1.0, 0, 0], 30.0) == pytest.approx(0.6)
    parabola = TRUTH[:50] + t**2 * np.array([0, 2.0, 0])
    assert motion.acceleration_error(parabola, TRUTH[:50], 30.0) == pytest.approx(4.0)


def test_foot_sliding_counts_only_still_points():
    truth = np.zeros((11, 4, 3))
    truth[:, 2:, 0] = np.arange(11)[:, None] * 0.05
    predicted = truth + np.arange(11)[:, None, None] * [0.003, 0.004, 0]
    assert motion.foot_sliding(predicted, truth) == pytest.approx(5.0)
    assert np.isnan(motion.foot_sliding(predicted[:, 2:], truth[:, 2:]))


def test_a_path_that_stands_still_has_no_relative_error():
    assert np.isnan(motion.rte_percent(np.zeros((5, 3)), np.zeros((5, 3))))


def camera_path(count=40):
    Ts = np.tile(np.eye(4), (count, 1, 1))
    Ts[:, :3, :3] = Rotation.from_rotvec(np.linspace(0, 1, count)[:, None] * [0.1, 1.0, 0.2]).as_matrix()
    Ts[:, :3, 3] = np.cumsum(RNG.normal(0, 0.1, (count, 3)), 0)
    return Ts


def test_ate_of_a_similar_path_is_zero_and_tells_the_scale():
    truth = camera_path()
    predicted = truth.copy()
    predicted[:, :3, 3] = moved(truth[:, :3, 3], 1 / 1.3)
    error = cameras.ate(predicted, truth)
    assert error.rmse < 1e-9 and error.scale == pytest.approx(1.3)
    assert cameras.ate(predicted, truth, with_scale=False).mean > 0.01


def test_ate_agrees_with_a_general_minimiser():
    truth = camera_path(12)
    noisy = truth.copy()
    noisy[:, :3, 3] = moved(truth[:, :3, 3] + RNG.normal(0, 0.05, (12, 3)))
    residual = np.linalg.norm(brute_force_similarity(noisy[:, :3, 3], truth[:, :3, 3]) - truth[:, :3, 3], axis=1)
    assert cameras.ate(noisy, truth).rmse == pytest.approx(np.sqrt((residual**2).mean()), rel=1e-4)


def test_rotation_error_ignores_the_world():
    truth = camera_path()
    turned = truth.copy()
    turned[:, :3, :3] = Rotation.from_rotvec([0.5, 0.2, 2.0]).as_matrix() @ truth[:, :3, :3]
    assert cameras.rotation_error_degrees(turned, truth).max() < 1e-5
    turned[7, :3, :3] = turned[7, :3, :3] @ Rotation.from_rotvec([0, np.radians(3), 0]).as_matrix()
    assert cameras.rotation_error_degrees(turned, truth)[7] == pytest.approx(3)


def brute_force_precision(predicted, truth, reach):
    good = total = 0
    for t in range(len(predicted)):
        for s in range(predicted.shape[1]):
            if predicted[t, s]:
                total += 1
                good += any(truth[k, s] for k in range(max(0, t - reach), min(len(truth), t + reach + 1)))
    return good / total


@pytest.mark.parametrize("reach", [0, 1, 2, 60])
def test_contact_scores_agree_with_counting(reach):
    predicted, truth = RNG.random((2, 50, 4)) < 0.2
    scores = contacts.precision_recall(predicted, truth, tolerance=reach)
    assert scores.precision == pytest.approx(brute_force_precision(predicted, truth, reach))
    assert scores.recall == pytest.approx(brute_force_precision(truth, predicted, reach))
    assert scores.site_recall.shape == (4,)


def test_contacts_two_frames_late_are_right_within_two_frames():
    truth = np.zeros((40, 1), bool)
    truth[10:20] = True
    late = np.roll(truth, 2, 0)
    assert contacts.precision_recall(late, truth, tolerance=2).f1 == 1
    assert contacts.precision_recall(late, truth).precision == pytest.approx(0.8)
    assert np.isnan(contacts.precision_recall(np.zeros_like(truth), truth).precision)


def test_slide_sink_and_float():
    sites = np.zeros((5, 2, 3))
    sites[:, 0, 0] = np.arange(5) * 0.003
    sites[:, 1, 2] = [0.02, 0.01, -0.004, 0.0, 0.05]
    sites[:, 0, 2] = 0.03
    held = np.array([[True, False]] * 4 + [[False, False]])
    assert physics.contact_steps_mm(sites, held) == pytest.approx([3, 3, 3])
    assert physics.penetration_mm(sites) == pytest.approx([0, 0, 4, 0, 0])
    assert physics.floating_mm(sites, 0.0) == pytest.approx([20, 10, 0, 0, 30])
