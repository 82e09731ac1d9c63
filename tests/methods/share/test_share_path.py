"""One curve through what several witnesses say of it, and whether depth or bodies are to be believed."""

import numpy as np
import pytest

from diorama.methods.share.path import Witness, curve, per_second
from diorama.methods.share.scale_check import ScaleCheckConfig, depth_factor

TIMES = np.arange(60) / 30


def wave(times):
    return 1.5 + 0.1 * np.sin(2 * times)


def everywhere(values, sigma=0.01, **options):
    return Witness(np.arange(len(values)), np.asarray(values, float), np.full(len(values), sigma), **options)


def test_one_exact_witness_is_believed():
    np.testing.assert_allclose(curve(TIMES, [everywhere(wave(TIMES), 1e-4)], 1.0), wave(TIMES), atol=1e-4)


def test_straight_lines_cost_nothing():
    few = Witness(np.array([0, 59]), np.array([0.0, 1.0]), np.full(2, 0.05))
    np.testing.assert_allclose(curve(TIMES, [few], 0.1), TIMES / TIMES[-1], atol=1e-4)


def test_a_constant_error_is_found_from_few_good_values():
    """Shape from one witness, height from three values of another: SHARE's keyframes and the body's own path."""
    own = everywhere(wave(TIMES) + 0.4, bias=0.5)
    keys = np.array([5, 30, 55])
    found = curve(TIMES, [own, Witness(keys, wave(TIMES[keys]), np.full(3, 0.01))], 3.0)
    np.testing.assert_allclose(found, wave(TIMES), atol=5e-3)


def test_two_witnesses_meet_where_their_deviations_say():
    found = curve(TIMES, [everywhere(0 * TIMES, 0.1), everywhere(0 * TIMES + 1, 0.2)], 1.0)
    np.testing.assert_allclose(found, 0.2, atol=1e-6)


def test_gross_errors_are_let_go():
    values = wave(TIMES)
    values[[10, 40]] += 5
    found = curve(TIMES, [everywhere(values, robust=True)], 1.0)
    assert np.abs(found - wave(TIMES)).max() < 0.02
    assert np.abs(curve(TIMES, [everywhere(values)], 1.0) - wave(TIMES)).max() > 0.1


def test_the_frame_rate_does_not_matter():
    """The same keyframes and the same freedom at 15, 30 and 120 frames per second."""
    found = []
    for rate in (15, 30, 120):
        times = np.arange(2 * rate + 1) / rate
        keys = Witness(np.array([0, rate, 2 * rate]), np.array([0.0, 0.3, 0.0]), np.full(3, 0.05))
        found.append(curve(times, [keys], 0.5)[rate])
    assert found[1] == pytest.approx(found[2], rel=0.1) and found[0] == pytest.approx(found[2], rel=0.1)


def test_gaps_and_single_rows():
    times = np.concatenate([TIMES[:20], TIMES[50:]])
    np.testing.assert_allclose(curve(times, [everywhere(wave(times), 1e-3)], 1.0), wave(times), atol=2e-3)
    assert curve(np.zeros(1), [Witness(np.array([0]), np.array([2.0]), np.ones(1))], 1.0) == pytest.approx(2)
    assert per_second(np.zeros(1), 0.5) == 1 and per_second(TIMES, 0.5) == pytest.approx(15)


def test_sound_depth_is_left_alone_and_failed_depth_is_found():
    assert depth_factor([]) == depth_factor([float("nan")]) == 1.0
    assert abs(np.log(depth_factor([0.03, -0.04, 0.01]))) < 0.01
    for true in (-0.3, 0.3):
        found = np.log(depth_factor([true + 0.03, true - 0.02, true]))
        assert found == pytest.approx(true, abs=0.05)


def test_one_small_person_may_be_a_child_but_nobody_is_a_giant():
    child, giant = (abs(np.log(depth_factor([apart]))) for apart in (0.25, -0.25))
    assert child < 0.05 and giant > 0.2
    assert abs(np.log(depth_factor([0.25], [True]))) > 0.2, "his height was told"


def test_the_check_can_be_told_what_maps_are_worth():
    sure = ScaleCheckConfig(failing=0.0)
    assert depth_factor([-0.3, -0.3], (), sure) == pytest.approx(1, abs=1e-3)
