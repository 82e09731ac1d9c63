"""Contacts, sliding, floating, sinking: counting by hand and by loops."""

import numpy as np
import plain_metrics as plain
import pytest

from diorama import metrics

RNG = np.random.default_rng(3)


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
    scores = metrics.contact_scores(predicted, truth, tolerance=reach)
    assert scores.precision == pytest.approx(brute_force_precision(predicted, truth, reach))
    assert scores.recall == pytest.approx(brute_force_precision(truth, predicted, reach))
    assert scores.site_recall.shape == (4,)


def test_contacts_two_frames_late_are_right_within_two_frames():
    truth = np.zeros((40, 1), bool)
    truth[10:20] = True
    late = np.roll(truth, 2, 0)
    assert metrics.contact_scores(late, truth, tolerance=2).f1 == 1
    assert metrics.contact_scores(late, truth).precision == pytest.approx(0.8)
    nothing = metrics.contact_scores(np.zeros_like(truth), truth)
    assert np.isnan(nothing.precision) and nothing.recall == 0 and nothing.f1 == 0


def test_foot_slide_counts_only_still_points_in_the_order_of_the_mask():
    truth = np.zeros((11, 4, 3))
    truth[:, 2:, 0] = np.arange(11)[:, None] * 0.05
    predicted = truth + np.arange(11)[:, None, None] * [0.003, 0.004, 0]
    assert metrics.foot_slide(predicted, truth) == pytest.approx([5.0] * 20)
    assert metrics.foot_slide(predicted[:, 2:], truth[:, 2:]).shape == (0,)
    walk = np.cumsum(RNG.normal(0, 0.006, (60, 4, 3)), 0)
    noisy = walk + RNG.normal(0, 0.01, walk.shape)
    np.testing.assert_allclose(metrics.foot_slide(noisy, walk), plain.foot_slide(noisy, walk))
    assert 0 < metrics.still_points(walk).mean() < 1


def test_the_threshold_is_strict():
    step = np.array([0.0, 0.01, 0.015])[:, None, None] * np.array([1.0, 0, 0])
    assert metrics.foot_slide(step, step) == pytest.approx([5.0])


def test_slide_sink_and_float():
    sites = np.zeros((5, 2, 3))
    sites[:, 0, 0] = np.arange(5) * 0.003
    sites[:, 1, 2] = [0.02, 0.01, -0.004, 0.0, 0.05]
    sites[:, 0, 2] = 0.03
    held = np.array([[True, False]] * 4 + [[False, False]])
    assert metrics.foot_slide_by_contacts(sites, held) == pytest.approx([3, 3, 3])
    assert metrics.foot_slide_by_contacts(sites, ~held).shape == (4,)
    assert metrics.penetration(sites) == pytest.approx([0, 0, 4, 0, 0])
    assert metrics.floating(sites) == pytest.approx([20, 10, 0, 0, 30])
    assert metrics.floating(sites, np.full(5, -0.1)) == pytest.approx([120, 110, 96, 100, 130])


def floor(height=0.0, size=2.0):
    x, y = np.meshgrid(np.arange(-size, size, 0.05), np.arange(-size, size, 0.05))
    return np.stack([x, y, np.full_like(x, height)], -1).reshape(-1, 3)


def test_floating_is_farther_than_20_cm_of_any_foot_point_either_way():
    feet = np.zeros((5, 4, 3))
    feet[:, :, 2] = np.array([0.0, 0.19, 0.21, -0.3, 9.0])[:, None]
    feet[2, 1, 2] = 0.1
    assert metrics.foot_floating(feet, np.arange(5), floor()).tolist() == [False, False, False, True]
    assert metrics.foot_floating(feet, np.arange(5), floor(), score_last=True).tolist()[-1]
    feet[2, 1, 2] = 0.21
    assert metrics.foot_floating(feet, np.arange(5), floor())[2]


def test_floating_looks_at_keyframes_of_the_same_window_only():
    frames = np.arange(90, 211)
    feet = np.zeros((121, 4, 3))
    clouds, keyframes = [floor(), floor(1.0), floor(), floor()], [0, 100, 200, 210]
    flags = metrics.foot_floating(feet, frames, clouds, keyframes)
    assert not flags[:10].any() and flags[10:110].all() and not flags[110:].any() and len(flags) == 120
    # The keyframe of the last, unscored frame is outside of the last window.
    assert metrics.foot_floating(feet, frames, clouds, [0, 100, 211, 210])[110:].all()
    assert not metrics.foot_floating(feet, frames, clouds, keyframes, window=None).any()
    assert not metrics.foot_floating(feet, frames, clouds, keyframes, window=200).any()


def test_floating_agrees_with_loops():
    frames = np.sort(RNG.choice(330, 60, replace=False))
    feet = RNG.uniform(0, 1.5, (60, 4, 3))
    keyframes = np.arange(0, 330, 25)
    clouds = [RNG.uniform(0, 1.5, (RNG.integers(0, 6), 3)) for _ in keyframes]
    flags = metrics.foot_floating(feet, frames, clouds, keyframes)
    assert flags.tolist() == plain.floats(feet, frames, clouds, keyframes).tolist()
    assert 0 < flags.mean() < 1


def test_a_person_of_one_frame_has_no_scored_frame():
    assert metrics.foot_floating(np.zeros((1, 4, 3)), [5], floor()).shape == (0,)
    assert metrics.foot_floating(np.zeros((1, 4, 3)), [5], floor(), score_last=True).tolist() == [False]


FEET = np.zeros((3, 4, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.contact_scores(np.full((3, 2), 0.4), np.ones((3, 2), bool)),
        lambda: metrics.contact_scores(np.ones((3, 2), bool), np.ones((4, 2), bool)),
        lambda: metrics.contact_scores(np.ones((3, 2), bool), np.ones((3, 2), bool), tolerance=-1),
        lambda: metrics.foot_slide(FEET, FEET[:2]),
        lambda: metrics.foot_slide_by_contacts(FEET, np.ones((2, 4), bool)),
        lambda: metrics.penetration(FEET, np.zeros(2)),
        lambda: metrics.floating(FEET, np.nan),
        lambda: metrics.foot_floating(FEET, [0, 1], floor()),
        lambda: metrics.foot_floating(FEET, [0, 2, 1], floor()),
        lambda: metrics.foot_floating(FEET, [0, 0.5, 1], floor()),
        lambda: metrics.foot_floating(FEET, [0, 1, 2], np.zeros((0, 3))),
        lambda: metrics.foot_floating(FEET, [0, 1, 2], [np.zeros((0, 3))], [0]),
        lambda: metrics.foot_floating(FEET, [0, 1, 2], [floor()], [0, 1]),
        lambda: metrics.foot_floating(FEET, [0, 1, 2], [floor(np.nan)], [0]),
        lambda: metrics.foot_floating(FEET, [0, 1, 2], [floor()], [0], window=0),
    ],
)
def test_wrong_calls_say_so(call):
    with pytest.raises(ValueError):
        call()
