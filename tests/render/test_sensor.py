"""Sensor noise has the variance of photons and of the read-out, no mean, and only the seed decides it."""

import numpy as np
import pytest

from diorama.geometry.cameras import intrinsics
from diorama.render.raycast import Mesh, render
from diorama.render.sensor import Sensor, exposed

SENSOR = Sensor(white_electrons=1000.0, read_electrons=4.0, seed=(5, 2))


@pytest.mark.parametrize("value", [0.0, 0.1, 0.5, 1.0])
def test_variance_is_linear_in_the_signal(value):
    noise = exposed(np.full((200, 200, 3), value, np.float32), SENSOR) - value
    assert noise.var() == pytest.approx((value * 1000 + 16) / 1000**2, rel=0.03)
    assert abs(noise.mean()) < 4 * noise.std() / np.sqrt(noise.size)


def test_pixels_and_channels_are_independent():
    noise = exposed(np.full((200, 200, 3), 0.5, np.float32), SENSOR) - 0.5
    for a, b in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1]), (noise[..., 0], noise[..., 1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_rendered_noise_is_seeded_and_leaves_the_truth_alone():
    K, T = intrinsics(60.0, 64, 48), np.diag([1.0, -1.0, -1.0, 1.0])
    T[2, 3] = 3.0
    ground = Mesh(np.array([[-9.0, -9, 0], [9, -9, 0], [0, 9, 0]]), np.array([[0, 1, 2]]))
    clean, one, same, other = (
        render([ground], K, T, 64, 48, sensor=sensor)
        for sensor in (None, Sensor(seed=(1, 0)), Sensor(seed=(1, 0)), Sensor(seed=(1, 1)))
    )
    assert np.array_equal(one.rgb, same.rgb)
    assert (one.rgb != other.rgb).mean() > 0.5 and (one.rgb != clean.rgb).mean() > 0.5
    assert np.array_equal(one.depth, clean.depth)
    assert one.rgb.astype(float).mean() == pytest.approx(clean.rgb.mean(), abs=0.5)
