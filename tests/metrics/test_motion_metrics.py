"""Motion: laws, known errors, and agreement with plain loops."""

import numpy as np
import plain_metrics as plain
import pytest
from jaxtyping import TypeCheckError
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from diorama import metrics

RNG = np.random.default_rng(0)
TRUTH = (
    np.cumsum(RNG.normal(0, 0.02, (230, 1, 3)), 0) + RNG.normal(0, 0.3, (1, 24, 3)) + RNG.normal(0, 0.02, (230, 24, 3))
)
TURN = Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix()


def moved(points, scale=1.3):
    return scale * points @ TURN.T + [3.0, -2.0, 1.0]


NOISY = moved(TRUTH + RNG.normal(0, 0.05, TRUTH.shape))


def test_a_moved_and_scaled_copy_has_no_aligned_error():
    for metric in (metrics.pa_mpjpe, metrics.wa_mpjpe, metrics.w_mpjpe):
        assert metric(moved(TRUTH), TRUTH).max() < 1e-9
        assert metric(moved(TRUTH), TRUTH, with_scale=False).min() > 1
        assert metric(moved(TRUTH, 1.0), TRUTH, with_scale=False).max() < 1e-9
    assert metrics.rte(moved(TRUTH), TRUTH, with_scale=True).max() < 1e-9
    assert metrics.rte(moved(TRUTH, 1.0), TRUTH).max() < 1e-9
    assert metrics.rte(moved(TRUTH), TRUTH).mean() > 0.3


@pytest.mark.parametrize("metric", ["pa_mpjpe", "wa_mpjpe", "w_mpjpe"])
@pytest.mark.parametrize("with_scale", [True, False])
@pytest.mark.parametrize("count", [1, 100, 101, 230])
def test_aligned_errors_agree_with_loops(metric, with_scale, count):
    found = getattr(metrics, metric)(NOISY[:count], TRUTH[:count], with_scale=with_scale)
    np.testing.assert_allclose(
        found, getattr(plain, metric)(NOISY[:count], TRUTH[:count], with_scale=with_scale), rtol=1e-9
    )


@pytest.mark.parametrize("with_scale", [True, False])
def test_rte_agrees_with_loops(with_scale):
    expected = plain.rte(NOISY[:, 0], TRUTH[:, 0], with_scale)
    np.testing.assert_allclose(metrics.rte(NOISY[:, 0], TRUTH[:, 0], with_scale=with_scale), expected, rtol=1e-9)
    np.testing.assert_allclose(metrics.rte(NOISY, TRUTH, with_scale=with_scale), expected, rtol=1e-9)


def test_differences_in_time_agree_with_loops():
    np.testing.assert_allclose(metrics.accel_error(NOISY, TRUTH, 30), plain.accel_error(NOISY, TRUTH, 30), rtol=1e-9)
    np.testing.assert_allclose(metrics.accel(NOISY, 20), plain.accel_error(NOISY, 0 * NOISY, 20), rtol=1e-9)
    np.testing.assert_allclose(metrics.jitter(NOISY, 20), plain.jitter(NOISY, 20), rtol=1e-9)
    hips = [x - x[:, [1, 2]].mean(1, keepdims=True) for x in (NOISY, TRUTH)]
    trimmed = metrics.accel_error(NOISY, TRUTH, 30, pelvis=(1, 2), trim=True)
    np.testing.assert_allclose(trimmed, plain.accel_error(*hips, 30)[1:-1], rtol=1e-9)


@pytest.mark.parametrize("pelvis", [(1, 2), (2, 3), (0,)])
def test_mpjpe_agrees_with_loops(pelvis):
    np.testing.assert_allclose(metrics.mpjpe(NOISY, TRUTH, pelvis), plain.mpjpe(NOISY, TRUTH, pelvis), rtol=1e-9)


def test_pa_mpjpe_is_the_optimum_of_a_general_minimiser():
    def transform(q, points):
        return np.exp(q[0]) * Rotation.from_rotvec(q[1:4]).apply(points) + q[4:]

    for p, t in zip(NOISY[:2], TRUTH[:2], strict=True):

        def cost(q, p=p, t=t):
            return ((transform(q, p) - t) ** 2).sum()

        starts = [np.r_[0, Rotation.random(random_state=seed).as_rotvec(), t.mean(0)] for seed in range(8)]
        best = min((minimize(cost, s, method="BFGS") for s in starts), key=lambda r: r.fun)
        expected = 1000 * np.linalg.norm(transform(best.x, p) - t, axis=1).mean()
        assert metrics.pa_mpjpe(p[None], t[None])[0] == pytest.approx(expected, rel=1e-4)


def test_mpjpe_of_a_constant_offset_of_one_joint():
    predicted = TRUTH.copy()
    predicted[:, 15, 1] += 0.24
    assert metrics.mpjpe(predicted + np.array([5.0, 0, 0]), TRUTH) == pytest.approx(10.0)
    assert metrics.mpjpe(predicted, TRUTH, pelvis=0) == pytest.approx(10.0)
    assert metrics.mpjpe(TRUTH + np.array([0.3, 0, 0.4]), TRUTH, pelvis=None) == pytest.approx(500.0)


TRAM = {
    101: [(0, 100)],
    150: [(0, 149)],
    200: [(0, 100)],
    201: [(0, 100), (100, 200)],
    250: [(0, 100), (100, 249)],
    300: [(0, 100), (100, 200)],
    399: [(0, 100), (100, 200), (200, 398)],
}


@pytest.mark.parametrize("count", TRAM)
def test_segments_of_tram(count):
    """Worked out by hand from the published rule: the tail is merged, the last frame dropped."""
    assert [(s.start, s.stop) for s in metrics.segments(count, "tram")] == TRAM[count]


def test_protocols():
    assert [(s.start, s.stop) for s in metrics.segments(201)] == [(0, 100), (100, 200), (200, 201)]
    np.testing.assert_allclose(
        metrics.w_mpjpe(NOISY, TRUTH, protocol="tram"),
        plain.w_mpjpe(NOISY, TRUTH, pieces=[(0, 100), (100, 229)]),
        rtol=1e-9,
    )
    np.testing.assert_allclose(
        metrics.wa_mpjpe(NOISY[:200], TRUTH[:200], protocol="tram"),
        plain.wa_mpjpe(NOISY[:100], TRUTH[:100]),
        rtol=1e-9,
    )
    for count in (99, 100):
        with pytest.raises(ValueError, match="scores no frame"):
            metrics.w_mpjpe(NOISY[:count], TRUTH[:count], protocol="tram")
    with pytest.raises((ValueError, TypeCheckError), match="protocol"):
        metrics.segments(200, "slahmr")


def test_a_tail_of_one_frame_is_a_procrustes_fit():
    for metric in (metrics.w_mpjpe, metrics.wa_mpjpe):
        tail = metric(NOISY[:101], TRUTH[:101])[-1]
        assert tail == pytest.approx(metrics.pa_mpjpe(NOISY[100:101], TRUTH[100:101])[0])


def test_w_mpjpe_grows_with_drift_and_wa_does_less():
    drift = TRUTH + np.linspace(0, 1, len(TRUTH))[:, None, None] * [1.0, 0, 0]
    assert metrics.w_mpjpe(drift, TRUTH).mean() > 1.5 * metrics.wa_mpjpe(drift, TRUTH).mean() > 0


def test_jitter_of_a_cubic_and_acceleration_of_a_parabola():
    t = np.arange(50)[:, None, None] / 30
    cubic = t**3 * np.ones((1, 24, 1)) * [1.0, 0, 0]
    assert metrics.jitter(cubic, 30) == pytest.approx(0.6, rel=1e-6) and len(metrics.jitter(cubic, 30)) == 47
    # 9 of 24 joints count as still in EMDB's own code.
    assert metrics.jitter(cubic, 30, variant="emdb") == pytest.approx(0.6 * 15 / 24, rel=1e-6)
    parabola = TRUTH[:50] + t**2 * [0, 2.0, 0]
    assert metrics.accel_error(parabola, TRUTH[:50], 30) == pytest.approx(4.0)
    assert metrics.accel_error(parabola, TRUTH[:50], 30, pelvis=(1, 2)) == pytest.approx(0, abs=1e-9)


def test_differences_of_too_few_frames_are_none():
    assert metrics.jitter(TRUTH[:3], 30).shape == metrics.accel(TRUTH[:2], 30).shape == (0,)
    assert metrics.accel_error(NOISY[:4], TRUTH[:4], 30, trim=True).shape == (0,)


def test_vertices_are_about_the_pelvis_of_the_joints():
    verts = RNG.normal(size=(5, 40, 3))
    shifted = verts + np.array([0.0, 0.1, 0])
    joints = TRUTH[:5]
    assert metrics.v2v(shifted, verts) == pytest.approx(0.1)
    assert metrics.pve(shifted, verts) == pytest.approx(100)
    assert metrics.pve(shifted, verts, joints + np.array([0, 0.1, 0]), joints) == pytest.approx(0, abs=1e-9)
    hips = joints[:, [1, 2]].mean(1)
    for pelvis in (hips, hips[:, None]):
        assert metrics.pve(shifted, verts, pelvis, hips + np.array([0.03, 0, 0])) == pytest.approx(
            1000 * np.hypot(0.03, 0.1)
        )


def test_mrpe_aligns_nothing():
    assert metrics.mrpe(TRUTH + np.array([0.3, 0, 0.4]), TRUTH) == pytest.approx(0.5)
    assert metrics.mrpe(TRUTH[:, 0] + np.array([0.3, 0, 0.4]), TRUTH[:, 0]) == pytest.approx(0.5)


def test_rte_is_blind_to_the_path_s_size_only_if_told():
    """A straight walk of 10 m that is found 10 % too long: ends are off by 0.5 m = 5 %, linearly to the middle."""
    path = np.linspace(0, 10, 101)[:, None] * [1.0, 0, 0]
    np.testing.assert_allclose(metrics.rte(1.1 * path, path), 5 * np.abs(np.linspace(-1, 1, 101)), atol=1e-9)
    assert metrics.rte(1.1 * path, path, with_scale=True).max() < 1e-9
