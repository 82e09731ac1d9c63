"""The processes under all errors have the variance, the memory, the bursts and the tails that their arguments say."""

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import kurtosis, spearmanr

from diorama.synthetic.simulate.noise import bursts, correlated, graded, heavy_tailed, mixed, ranked_tail, stream

TIMES = np.arange(400) / 30


def lagged(values, lag):
    """Correlation of a zero-mean process with itself, `lag` rows later, over all channels."""
    return (values[lag:] * values[:-lag]).mean() / (values**2).mean()


@pytest.mark.parametrize("seconds", [0.2, 0.5, 2.0])
def test_correlation_falls_to_one_over_e_after_the_correlation_time(seconds):
    values = correlated(stream(0, "test"), TIMES, seconds, 2000)
    assert values.std() == pytest.approx(1, rel=0.03)
    assert lagged(values, round(seconds * 30)) == pytest.approx(np.exp(-1), abs=0.03)
    # Nearly all of the change between frames is predictable: the process is once differentiable.
    assert 1 - lagged(values, 1) < 1.2 * (2.146 / seconds / 30) ** 2 / 2


def test_real_times_count_not_rows():
    """Rows at irregular times have the correlation of their distance in seconds."""
    times = np.cumsum(np.tile([0.3, 0.01], 60))
    values = correlated(stream(0, "test"), times, 0.3, 4000)
    near, far = (values[0::2] * values[1::2]).mean(), (values[1:-1:2] * values[2::2]).mean()
    assert far == pytest.approx(np.exp(-1), abs=0.03)
    assert near > 0.99


def test_limits_of_memory():
    assert np.ptp(correlated(stream(0, "test"), TIMES, np.inf, 3), axis=0).max() == 0
    white = correlated(stream(0, "test"), TIMES, 0.0, 500)
    assert abs(lagged(white, 1)) < 0.01 and white.std() == pytest.approx(1, rel=0.02)
    assert np.isfinite(correlated(stream(0, "test"), np.zeros(5), 0.5, 2)).all()


@pytest.mark.parametrize("white", [0.0, 0.3, 1.0])
def test_the_white_share_is_the_loss_of_correlation_after_one_frame(white):
    values = mixed(stream(1, "test"), TIMES, 5.0, white, 1000)
    assert values.std() == pytest.approx(1, rel=0.05)
    assert 1 - lagged(values, 1) == pytest.approx(white, abs=0.02)


def test_tails_are_heavier_at_the_same_variance():
    normal, heavy = (heavy_tailed(stream(2, "test"), tail, (200_000,)) for tail in (np.inf, 6.0))
    assert normal.std() == pytest.approx(1, rel=0.01) and heavy.std() == pytest.approx(1, rel=0.02)
    # The excess kurtosis of a Student-t is 6 / (tail - 4).
    assert kurtosis(normal) == pytest.approx(0, abs=0.1) and kurtosis(heavy) > 1.5
    with pytest.raises(ValueError, match="2 degrees"):
        heavy_tailed(stream(2, "test"), 2.0, (3,))


@pytest.mark.parametrize(("share", "seconds"), [(0.05, 0.2), (0.3, 0.5), (0.8, 1.0)])
def test_bursts_have_their_share_and_length(share, seconds):
    times = np.arange(3000) / 30
    on = bursts(stream(3, "test"), times, share, seconds, 200)
    assert on.mean() == pytest.approx(share, rel=0.05)
    # Transitions per second out of the state are the inverse of its mean length; frames hide the shortest ones.
    ends = (on[:-1] & ~on[1:]).sum() / on[:-1].sum() * 30
    expected = 30 * (1 - share) * (1 - np.exp(-1 / 30 / seconds / (1 - share)))
    assert ends == pytest.approx(expected, rel=0.05)


def test_bursts_of_no_length_are_independent_and_the_ends_are_reached():
    on = bursts(stream(3, "test"), TIMES, 0.4, 0.0, 300).astype(float)
    assert abs(lagged(on - on.mean(), 1)) < 0.02
    assert not bursts(stream(3, "test"), TIMES, 0.0, 0.5, 2).any()
    assert bursts(stream(3, "test"), TIMES, 1.0, 0.5, 2).all()


@pytest.mark.parametrize("follows", [0.0, 0.5, 0.9])
def test_confidence_follows_the_error(follows):
    error = np.abs(stream(4, "test").normal(size=20_000))
    confidence = graded(stream(5, "test"), ranked_tail(error), follows, (0.2, 0.8))
    assert confidence.min() >= 0.2 and confidence.max() <= 0.8
    assert confidence.mean() == pytest.approx(0.5, abs=0.01)
    score = ndtri(np.clip((confidence - 0.2) / 0.6, 1e-9, 1 - 1e-9))
    assert np.corrcoef(score, ndtri(ranked_tail(error)))[0, 1] == pytest.approx(follows, abs=0.02)
    assert spearmanr(confidence, error).statistic <= 0.03


def test_streams_are_their_own():
    first = stream(7, "a", 1).random(5)
    assert np.array_equal(first, stream(7, "a", 1).random(5))
    for other in (stream(8, "a", 1), stream(7, "b", 1), stream(7, "a", 2)):
        assert not np.array_equal(first, other.random(5))
