"""Cameras: laws, the statistics of evo, JOSH's columns, and agreement with plain loops."""

import numpy as np
import plain_metrics as plain
import pytest
from jaxtyping import TypeCheckError
from scipy.spatial.transform import Rotation

from diorama import metrics
from diorama.geometry.transforms import move_cameras

RNG = np.random.default_rng(1)
TURN = Rotation.from_rotvec([0.3, -1.0, 0.7]).as_matrix()
SHIFT = np.array([3.0, -2.0, 1.0])


def camera_path(count=40):
    Ts = np.tile(np.eye(4), (count, 1, 1))
    Ts[:, :3, :3] = Rotation.from_rotvec(np.linspace(0, 1, count)[:, None] * [0.1, 1.0, 0.2]).as_matrix()
    Ts[:, :3, 3] = np.cumsum(RNG.normal(0, 0.1, (count, 3)), 0)
    return Ts


TRUTH = camera_path()
NOISY = move_cameras(TRUTH, 1.3, TURN, SHIFT)
NOISY[:, :3, 3] += RNG.normal(0, 0.05, (40, 3))
NOISY[:, :3, :3] = NOISY[:, :3, :3] @ Rotation.from_rotvec(RNG.normal(0, 0.05, (40, 3))).as_matrix()


def test_a_moved_path_has_no_error_after_its_alignment():
    rigid, similar = (move_cameras(TRUTH, s, TURN, SHIFT) for s in (1.0, 1.3))
    for points in ("centres", "josh"):
        assert metrics.ate(rigid, TRUTH, points=points) < 1e-9
        assert metrics.ate(similar, TRUTH, align="sim3", points=points) < 1e-9
        assert metrics.ate(similar, TRUTH, points=points) > 0.01
    assert metrics.ate(rigid, TRUTH, align="none") > 1
    assert metrics.rpe(similar, TRUTH) == pytest.approx((0, 0), abs=1e-5)
    assert metrics.scale_error(similar, TRUTH) == pytest.approx(30)


@pytest.mark.parametrize("align", ["se3", "sim3", "none"])
def test_ate_agrees_with_loops_in_every_statistic(align):
    p, t = NOISY[:, :3, 3], TRUTH[:, :3, 3]
    aligned = p if align == "none" else plain.moved_onto(p, t, p, align == "sim3")
    e = np.linalg.norm(aligned - t, axis=1)
    expected = {
        "rmse": np.sqrt(sum(e * e) / 40), "mean": sum(e) / 40, "median": (sorted(e)[19] + sorted(e)[20]) / 2,
        "std": np.sqrt(sum((e - sum(e) / 40) ** 2) / 40), "min": min(e), "max": max(e), "sse": sum(e * e),
    }  # fmt: skip
    for name, value in expected.items():
        assert metrics.ate(NOISY, TRUTH, align=align, statistic=name) == pytest.approx(value, rel=1e-9)
        assert metrics.ate(p, t, align=align, statistic=name) == pytest.approx(value, rel=1e-9)


def test_josh_compares_columns_of_world_to_camera():
    """The inverse poses, relative to the first camera, inverted as 4x4 matrices."""
    columns = [np.array([(np.linalg.inv(T) @ Ts[0])[:3, 3] for T in Ts]) for Ts in (NOISY, TRUTH)]
    e = np.linalg.norm(plain.moved_onto(*columns, columns[0], False) - columns[1], axis=1)
    assert metrics.ate(NOISY, TRUTH, points="josh", statistic="mean") == pytest.approx(e.mean())
    assert metrics.ate(NOISY, TRUTH, points="josh") != pytest.approx(metrics.ate(NOISY, TRUTH), rel=0.01)


def test_josh_s_columns_are_centres_where_the_camera_does_not_turn():
    straight, other = TRUTH.copy(), NOISY.copy()
    straight[:, :3, :3] = other[:, :3, :3] = np.eye(3)
    assert metrics.ate(other, straight, points="josh") == pytest.approx(metrics.ate(other, straight))


@pytest.mark.parametrize("delta", [1, 3, 39])
def test_rpe_agrees_with_loops(delta):
    scaled = NOISY.copy()
    p, t = NOISY[:, :3, 3], TRUTH[:, :3, 3]
    both = plain.moved_onto(p, t, p[:2])
    scaled[:, :3, 3] *= np.linalg.norm(both[1] - both[0]) / np.linalg.norm(p[1] - p[0])
    pairs = plain.rpe_pairs(scaled, TRUTH, delta)
    found = metrics.rpe(NOISY, TRUTH, delta=delta)
    assert found == pytest.approx(np.sqrt((pairs**2).mean(0)), rel=1e-7)
    assert metrics.rpe(NOISY, TRUTH, delta=delta, statistic="max").rotation == pytest.approx(pairs[:, 1].max())
    apart = metrics.rpe(NOISY, TRUTH, delta=delta, align="none", statistic="mean", all_pairs=False)
    assert apart == pytest.approx(plain.rpe_pairs(NOISY, TRUTH, delta)[::delta].mean(0))
    assert metrics.rpe(NOISY, TRUTH, delta=delta, align="se3") == metrics.rpe(NOISY, TRUTH, delta=delta, align="none")


@pytest.mark.parametrize("degrees", [0.0, 1e-7, 1e-3, 3.0, 90.0, 179.9999999, 180.0])
def test_angles_are_exact_at_both_ends(degrees):
    still = np.tile(np.eye(4), (2, 1, 1))
    turned = still.copy()
    turned[1, :3, :3] = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0, 0.8])).as_matrix()
    assert metrics.rpe(turned, still, align="none").rotation == pytest.approx(degrees, rel=1e-9, abs=1e-12)
    assert metrics.rotation_error_degrees(turned, still)[1] == pytest.approx(degrees, rel=1e-9, abs=1e-12)


def test_rotation_error_ignores_the_world():
    turned = move_cameras(TRUTH, 1.0, TURN, SHIFT)
    assert metrics.rotation_error_degrees(turned, TRUTH).max() < 1e-12
    turned[7, :3, :3] = turned[7, :3, :3] @ Rotation.from_rotvec([0, np.radians(3), 0]).as_matrix()
    assert metrics.rotation_error_degrees(turned, TRUTH)[7] == pytest.approx(3)


def test_scale_error_has_no_sign_and_takes_points_of_any_shape():
    joints = RNG.normal(size=(7, 5, 3))
    assert metrics.scale_error(0.9 * joints @ TURN.T + SHIFT, joints) == pytest.approx(10)
    assert metrics.scale_error(1.1 * joints, joints) == pytest.approx(10)


def test_a_straight_path_is_aligned_though_its_roll_is_open():
    """The best rotation is not unique, the error is: 0.1 m to the side alternately is what is left of a zigzag."""
    line = np.arange(10.0)[:, None] * [1.0, 0, 0]
    zigzag = line + np.tile([[0, 0.1, 0], [0, -0.1, 0]], (5, 1))
    turned = zigzag @ TURN.T + SHIFT
    assert metrics.ate(turned, line) == pytest.approx(metrics.ate(zigzag, line))
    assert metrics.ate(line @ TURN.T, line) < 1e-12
    assert 0.09 < metrics.ate(turned, line) < 0.1


def test_paths_without_extent():
    line, point = np.arange(4.0)[:, None] * [1.0, 0, 0], np.full((4, 3), 0.1)
    assert metrics.ate(point, line, align="sim3") == pytest.approx(np.sqrt(1.25))
    assert metrics.ate(line, point, statistic="max") == pytest.approx(1.5)
    with pytest.raises(ValueError, match="stands still"):
        metrics.ate(line, point, align="sim3")
    for a, b in ((line, point), (point, line)):
        with pytest.raises(ValueError, match="no size"):
            metrics.scale_error(a, b)


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.ate(TRUTH, TRUTH, align="SE3"),
        lambda: metrics.ate(TRUTH, TRUTH, statistic="mode"),
        lambda: metrics.ate(TRUTH, TRUTH, points="columns"),
        lambda: metrics.ate(TRUTH[:, :3, 3], TRUTH[:, :3, 3], points="josh"),
        lambda: metrics.ate(TRUTH[:-1], TRUTH),
        lambda: metrics.ate(TRUTH[:, :3], TRUTH[:, :3]),
        lambda: metrics.rpe(TRUTH, TRUTH, delta=40),
        lambda: metrics.rpe(TRUTH[:1], TRUTH[:1]),
        lambda: metrics.rpe(TRUTH, TRUTH, delta=0),
        lambda: metrics.ate(TRUTH * np.nan, TRUTH),
    ],
)
def test_wrong_calls_say_so(call):
    with pytest.raises((ValueError, TypeCheckError)):
        call()
