"""Scale: rays to a known plane give the known unit; pooling is robust; a told stature decides."""

import numpy as np
import pytest

from diorama.methods.contact_detection import ContactConfig, contact_probability
from diorama.methods.ground_plane import fit_ground, upright_direction
from diorama.methods.plausibility import PlausibilityConfig, badly_placed
from diorama.methods.scale import ScaleConfig, pool_scale, scale_per_frame


def test_ray_to_the_ground_gives_the_unit():
    rng = np.random.default_rng(0)
    metres_per_unit, height = 2.7, 1.5
    feet = np.stack([rng.normal(size=20), np.full(20, height), 4 + rng.random(20)], 1)
    R = np.tile(np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]), (20, 1, 1))  # camera looking along +Y, Z up
    centre = np.tile([0, 0, height / metres_per_unit], (20, 1))
    got = scale_per_frame(feet, R, centre, np.array([0.0, 0, 1]), 0.0)
    np.testing.assert_allclose(got, metres_per_unit)


def measured(statures, unit, frames=50, noise=0.01, fitted=1.7):
    """Per-frame scales of people of true `statures` whose bodies were fitted at one size."""
    rng = np.random.default_rng(1)
    return {i: unit * fitted / s * (1 + noise * rng.normal(size=frames)) for i, s in statures.items()}, dict.fromkeys(
        statures, fitted
    )


def test_pooled_prior_gives_the_mean_person_the_prior_stature():
    per_frame, fitted = measured({1: 1.60, 2: 1.70, 3: 1.80625}, 2.0)
    result = pool_scale(per_frame, fitted, scene=True, config=ScaleConfig())
    assert result.metres_per_unit == pytest.approx(2.0, rel=0.01)
    assert result.statures[1] < result.statures[2] < result.statures[3]
    assert "prior" in result.source


def test_a_child_does_not_shrink_the_adults():
    per_frame, fitted = measured({1: 1.70, 2: 1.72, 3: 1.68, 4: 1.05}, 2.0)
    result = pool_scale(per_frame, fitted, scene=True, config=ScaleConfig())
    assert result.metres_per_unit == pytest.approx(2.0, rel=0.05)
    assert result.statures[4] < 1.25


def test_told_stature_decides_the_scale():
    per_frame, fitted = measured({1: 1.50, 2: 1.90}, 2.0)
    result = pool_scale(per_frame, fitted, scene=True, config=ScaleConfig(stature={2: 1.90}))
    assert result.metres_per_unit == pytest.approx(2.0, rel=0.01)
    assert result.statures[1] == pytest.approx(1.50, rel=0.03)


def test_impossible_sizes_are_named():
    per_frame, fitted = measured({1: 1.7, 2: 3.4}, 2.0)
    reasons = badly_placed(per_frame, fitted, 2.0, PlausibilityConfig())
    assert set(reasons) == {2} and "tall" in reasons[2]


def test_ground_among_walls_and_noise():
    rng = np.random.default_rng(2)
    floor = np.stack([rng.uniform(-3, 3, 800), np.full(800, 1.2), rng.uniform(2, 8, 800)], 1)
    wall = np.stack([rng.uniform(-3, 3, 500), rng.uniform(-2, 1.2, 500), np.full(500, 8.0)], 1)
    points = np.concatenate([floor, wall]) + 0.005 * rng.normal(size=(1300, 3))
    up = np.array([0.08, -1.0, 0.05])
    ground = fit_ground(points, up / np.linalg.norm(up), np.zeros((5, 3)))
    assert ground is not None
    assert np.degrees(np.arccos(ground.normal @ [0, -1, 0])) < 0.3
    assert ground.offset == pytest.approx(-1.2, abs=0.01)


def test_no_ground_in_a_cloud():
    rng = np.random.default_rng(3)
    assert fit_ground(rng.normal(size=(30, 3)), np.array([0.0, -1, 0]), np.zeros((5, 3))) is None


def test_up_is_the_median_of_leaning_bodies():
    rng = np.random.default_rng(4)
    lean = rng.normal(scale=0.08, size=(200, 3)) + np.array([0, 0, 1.0])
    lean[:20] = [1, 0, 0.2]
    lean /= np.linalg.norm(lean, axis=1, keepdims=True)
    up, spread = upright_direction(lean, np.ones(200))
    assert np.degrees(np.arccos(up[2])) < 2.5 and 2 < spread < 10


def stepping_foot(fps=30.0, noise=0.0):
    """One site: still for 0.6 s, then a 0.4 s swing of 0.6 m and 12 cm high, four times."""
    times = np.arange(0, 4, 1 / fps)
    phase, step = np.modf(times)
    swing = phase >= 0.6
    u = np.where(swing, (phase - 0.6) / 0.4, 0)
    x = 0.6 * (step + u - np.sin(2 * np.pi * u) / (2 * np.pi))
    z = 0.12 * np.sin(np.pi * u)
    site = np.stack([x, 3 + 0 * x, z], 1)[:, None]
    return times, site + noise * np.random.default_rng(5).normal(size=site.shape), ~swing


@pytest.mark.parametrize("noise", [0.0, 0.004])
def test_contacts_of_a_stepping_foot(noise):
    times, site, resting = stepping_foot(noise=noise)
    centres = np.tile([1.0, -1.0, 1.5], (len(times), 1))
    found = contact_probability(site, centres, times, ContactConfig())[:, 0] > 0.5
    wrong = found != resting
    # Lift-off and landing are slow: two frames of grace.
    near = np.convolve(np.abs(np.diff(resting.astype(int), prepend=1)), np.ones(7), "same") > 0
    assert not wrong[~near].any()
    assert wrong.mean() < 0.15


def test_contact_ignores_noise_along_the_ray():
    times, site, resting = stepping_foot()
    centres = np.tile([0.0, 0.0, 1.5], (len(times), 1))
    clean = contact_probability(site, centres, times, ContactConfig())
    drift = 1 + 0.01 * np.sin(40 * times)[:, None, None]
    moved = centres[:, None] + (site - centres[:, None]) * drift
    moved[..., 2] = np.where(np.abs(moved[..., 2]) < 0.02, 0, moved[..., 2])
    noisy = contact_probability(moved, centres, times, ContactConfig())
    assert ((clean > 0.5) == (noisy > 0.5)).mean() > 0.9
    assert resting.any()


def two_feet(seconds_standing=0.0):
    """Heels and toes (on one spot: no pitch is seen) of alternating feet; frames, and which foot rests."""
    times = np.arange(0, 4.2 + seconds_standing, 1 / 30)
    sites, resting = np.zeros((len(times), 4, 3)), np.zeros((len(times), 2), bool)
    for side in range(2):
        time = np.where(times < 2, times, np.maximum(times - seconds_standing, 2)) + 0.55 * side
        cycle, phase = np.floor(time / 1.1), (time / 1.1) % 1
        swing = np.clip((phase - 0.62) / 0.38, 0, 1)
        place = np.stack(
            [1.2 * (cycle + 3 * swing**2 - 2 * swing**3), 0.2 * side + 0 * time, 0.1 * np.sin(np.pi * swing)], 1
        )
        sites[:, [side, side + 2]] = place[:, None]
        resting[:, side] = swing == 0
    return times, sites, resting


def test_a_rolling_foot_lands_on_its_heel_and_leaves_from_its_toe():
    times, sites, resting = two_feet()
    centres = np.tile([2.0, -4.0, 1.5], (len(times), 1))
    found = contact_probability(sites, centres, times, ContactConfig()) > 0.5
    for side in range(2):
        heel, toe = found[:, side], found[:, side + 2]
        assert ((heel | toe) != resting[:, side]).mean() < 0.1  # one frame per edge
        edges = np.flatnonzero(np.diff(resting[:, side].astype(int), prepend=0, append=0)).reshape(-1, 2)
        for first, last in edges:
            if first > 0 and last < len(times):
                third = (last - first) // 3
                assert heel[first + 2 : first + third].all() and toe[last - third : last - 2].all()
                assert not heel[last - third : last].any() and not toe[first : first + 2].all()


def test_a_standing_foot_keeps_heel_and_toe_down():
    times, sites, _ = two_feet(seconds_standing=2.0)
    centres = np.tile([2.0, -4.0, 1.5], (len(times), 1))
    found = contact_probability(sites, centres, times, ContactConfig()) > 0.5
    standing = (times > 2.2) & (times < 3.4)
    both = [found[standing][:, [side, side + 2]].all() for side in range(2)]
    assert any(both)


def test_one_frame_is_judged_by_height():
    low, high = np.zeros((1, 1, 3)), np.array([[[0, 0, 0.4]]])
    centre, time = np.array([[0, -2.0, 1.5]]), np.zeros(1)
    assert contact_probability(low, centre, time, ContactConfig())[0, 0] > 0.5
    assert contact_probability(high, centre, time, ContactConfig())[0, 0] < 0.5


def test_gliding_feet_are_not_made_to_rest():
    times = np.arange(0, 3, 1 / 30)
    place = np.stack([3.0 * times, 0.3 * np.sin(4 * times), 0.02 + 0 * times], 1)
    sites = place[:, None] + np.array([[0, 0.1, 0], [0, -0.1, 0], [0.2, 0.1, 0], [0.2, -0.1, 0]])
    centres = np.tile([4.0, -5.0, 1.5], (len(times), 1))
    assert contact_probability(sites, centres, times, ContactConfig()).max() < 0.5


def test_a_leg_that_is_seen_badly_rests_while_the_other_swings():
    times, sites, resting = two_feet()
    lost = slice(40, 50)  # the left foot stands, but seems to fly about with the right one
    assert resting[lost, 0].all() and not resting[lost, 1].all()
    sites[lost, ::2] += np.random.default_rng(6).normal(scale=0.3, size=(10, 1, 3)) * np.array([1, 1, 0.2])
    centres = np.tile([2.0, -4.0, 1.5], (len(times), 1))
    found = contact_probability(sites, centres, times, ContactConfig()) > 0.5
    swinging = np.flatnonzero(~resting[lost, 1]) + lost.start
    assert found[swinging[2:-2]][:, [0, 2]].any(1).mean() > 0.7
