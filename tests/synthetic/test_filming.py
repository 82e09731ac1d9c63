"""Cameras stay in free space and keep their people in view; each way of filming does what its name says."""

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.synthetic.camera_moves import MOVES_OF
from diorama.synthetic.filming import CAMERAS, Filming, film, random_distortion
from diorama.synthetic.free_space import arena_of, clearance, sees, stage_of
from diorama.synthetic.hand import FREE_HAND, TRIPOD, footsteps
from diorama.synthetic.layout import Layout
from diorama.synthetic.layouts import PRESETS, random_layout

TIMES = np.arange(75) / 25
SIZE = (518, 294)
OPEN = Layout("clutter")


def walk_in(layout, people=2):
    """Pelvises of people who walk 2.4 m side by side through the middle of the stage, on its ground."""
    along = 0.8 * (TIMES - TIMES.mean())
    out = []
    for k in range(people):
        xy = np.stack([np.full_like(TIMES, 0.7 * (k - (people - 1) / 2)), along + (0.0 if k % 2 else 0.3)], 1)
        out.append(np.c_[xy, layout.ground_height(xy) + 0.9 + 0.02 * np.cos(4 * np.pi * TIMES)])
    return np.stack(out, 1)


def standing(layout):
    at = np.array([[0.0, 0.0], [0.5, 0.4]])
    return np.tile(np.c_[at, layout.ground_height(at) + 0.9], (len(TIMES), 1, 1))


def pixels(targets, K, T):
    return project(apply(invert(T), targets), K)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("preset", PRESETS)
def test_in_free_space_with_everybody_in_view(preset, camera):
    rng = np.random.default_rng([4, list(PRESETS).index(preset)])
    layout = random_layout(preset, rng)
    targets = walk_in(layout)
    K, T, kind = film(camera, targets, layout, TIMES, SIZE, rng)
    assert kind == MOVES_OF[camera][0]
    assert K.shape == (75, 3, 3) and T.shape == (75, 4, 4)
    centres = T[:, :3, 3]
    assert T[:, :3, :3] @ np.swapaxes(T[:, :3, :3], 1, 2) == pytest.approx(np.tile(np.eye(3), (75, 1, 1)), abs=1e-9)
    assert arena_of(layout).contains(centres).all()
    assert not layout.penetration(centres).any() and clearance(layout, centres).min() > 0.2
    assert (centres[:, 2] > layout.ground_height(centres[:, :2]) + 0.4).all()
    assert np.linalg.norm(centres[:, None] - targets, axis=2).min() > 0.7
    assert (K[:, 0, 0] / SIZE[0] >= 0.6).all() and (K[:, 0, 0] / SIZE[0] <= 2.5).all()
    xy = pixels(targets, K, T)
    assert (xy > 0).all() and (xy < SIZE).all()
    start = np.broadcast_to(centres[:, None], targets.shape)
    visible = sees(layout, start, targets) | sees(layout, start, targets + np.array([0, 0, 0.6]))
    assert visible.mean(0).min() > 0.8
    # the horizon is level up to the hand's turn
    assert np.degrees(np.abs(np.arcsin(T[:, 2, 0]))).max() < 3


@pytest.mark.parametrize("camera", CAMERAS)
def test_the_seed_decides(camera):
    one, same, other = (
        film(camera, walk_in(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(one[1], same[1]) and np.array_equal(one[0], same[0])
    assert not np.array_equal(one[1], other[1])


def test_a_still_camera_is_still_and_a_pan_turns_about_one_point():
    _, still, kind = film("static", walk_in(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(0))
    assert kind == "static" and (still == still[0]).all()
    _, pan, kind = film("pan", walk_in(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(0))
    assert kind == "rotating" and (pan[:, :3, 3] == pan[0, :3, 3]).all()
    assert np.degrees(np.arccos(pan[0, :3, 2] @ pan[-1, :3, 2])) > 1


@pytest.mark.parametrize("seed", range(4))
def test_a_hand_that_stands_still_moves_by_centimetres(seed):
    _, T, kind = film("standing", walk_in(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(seed))
    moved = np.linalg.norm(T[:, :3, 3] - T[:, :3, 3].mean(0), axis=1)
    assert kind == "rotating" and 0.003 < moved.max() < 0.06
    assert np.linalg.norm(np.diff(T[:, :3, 3], axis=0), axis=1).max() < 0.004


def test_an_orbit_keeps_its_radius_and_height():
    targets = standing(OPEN)
    _, T, _ = film("orbit", targets, OPEN, TIMES, SIZE, np.random.default_rng(3))
    offset = T[:, :3, 3] - targets.mean((0, 1))
    radius = np.linalg.norm(offset[:, :2], axis=1)
    assert np.ptp(radius) < 0.04 and np.ptp(offset[:, 2]) < 0.04
    turn = np.unwrap(np.arctan2(offset[:, 1], offset[:, 0]))
    assert np.degrees(abs(turn[-1] - turn[0])) > 20
    assert (np.sign(np.diff(turn)) == np.sign(turn[-1] - turn[0])).mean() > 0.95


@pytest.mark.parametrize(("camera", "low", "high"), [("behind", 130, 180), ("front", 0, 50), ("beside", 45, 135)])
def test_followers_are_on_their_side_and_come_along(camera, low, high):
    for seed in range(3):
        targets = walk_in(OPEN)
        _, T, _ = film(camera, targets, OPEN, TIMES, SIZE, np.random.default_rng(seed))
        offset = T[:, :2, 3] - targets.mean(1)[:, :2]
        angle = np.degrees(np.abs(np.arctan2(offset[:, 0], offset[:, 1])))  # the walk is along +y
        assert low < angle.min() and angle.max() < high
        moved = T[-1, :3, 3] - T[0, :3, 3]
        assert moved[1] > 0.8


def test_a_drone_comes_down_and_tilts_up():
    for seed in range(3):
        _, T, _ = film("drone", standing(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(seed))
        assert T[0, 2, 3] > 3.5 and T[0, 2, 3] - T[-1, 2, 3] > 0.8
        down = -np.degrees(np.arcsin(T[:, 2, 2]))
        assert down[0] > 15


def test_people_climbing_are_followed_up():
    layout = random_layout("stairs", np.random.default_rng(1))
    first = layout.of_kind("step")[0]
    y = np.linspace(-1, 1.5, len(TIMES))
    xy = np.stack([np.full_like(y, first.base[0]), y], 1)
    targets = np.c_[xy, layout.ground_height(xy) + 0.9][:, None]
    _, T, _ = film("behind", targets, layout, TIMES, SIZE, np.random.default_rng(0))
    assert (T[:, 2, 3] - layout.ground_height(T[:, :2, 3]) > 0.8).all()


@pytest.mark.parametrize("camera", ["static", "behind", "orbit"])
def test_zoom_is_smooth_and_monotone_and_keeps_people_in_view(camera):
    for seed in range(4):
        targets = standing(OPEN)
        K, T, _ = film(camera, targets, OPEN, TIMES, SIZE, np.random.default_rng(seed), Filming(zoom=True))
        focal = K[:, 0, 0]
        step = np.diff(focal)
        assert (step >= 0).all() or (step <= 0).all()
        assert 1.25 < focal.max() / focal.min() < 2.3
        assert np.abs(step).max() / focal.min() < 0.1
        assert np.array_equal(K[:, 0, 0], K[:, 1, 1]) and (K[:, 0, 2] == SIZE[0] / 2).all()
        xy = pixels(targets, K, T)
        assert (xy > 0).all() and (xy < SIZE).all()
        assert focal.min() / SIZE[0] >= 0.6 and focal.max() / SIZE[0] <= 2.5


def test_without_zoom_the_lens_stays_and_distortion_is_counted_in():
    targets = walk_in(OPEN)
    lens = random_distortion(np.random.default_rng(0))
    assert len(lens) == 2 and abs(lens[0]) <= 0.06
    K, T, _ = film("pan", targets, OPEN, TIMES, SIZE, np.random.default_rng(0), Filming(distortion=lens))
    assert np.ptp(K, axis=0).max() == 0
    xy = project(apply(invert(T), targets), K, np.tile(lens, (len(K), 1)))
    assert (xy > 0).all() and (xy < SIZE).all()


def test_bystanders_are_avoided():
    targets = standing(OPEN)[:, :1]
    others = targets + np.array([0.0, 2.5, 0.0]) + 0.8 * TIMES[:, None, None] * np.array([1.0, 0, 0])
    for seed in range(5):
        _, T, _ = film("orbit", targets, OPEN, TIMES, SIZE, np.random.default_rng(seed), others=others)
        assert np.linalg.norm(T[:, None, :2, 3] - others[..., :2], axis=2).min() > 0.75


def test_impossible_wishes_are_errors():
    with pytest.raises(DioramaError, match="orbit"):
        film("crane", standing(OPEN), OPEN, TIMES, SIZE, np.random.default_rng(0))
    room = random_layout("room", np.random.default_rng(0))
    zone = stage_of(room)
    crowd = np.array([[x, y, 0.9] for x in np.arange(zone.low[0], zone.high[0]) for y in np.arange(zone.low[1], 4)])
    with pytest.raises(DioramaError, match="others"):
        film("orbit", np.tile(crowd, (len(TIMES), 1, 1)), room, TIMES, SIZE, np.random.default_rng(0))


def test_the_hand_has_its_deviation_and_its_bands():
    times = np.arange(6000) / 60
    sway, turn = FREE_HAND.hold(np.random.default_rng(0), times)
    assert sway.std(0) == pytest.approx(FREE_HAND.sway, rel=0.25)
    assert turn.std(0) == pytest.approx(FREE_HAND.turn, rel=0.25)
    frequency = np.fft.rfftfreq(len(times), 1 / 60)
    power = (np.abs(np.fft.rfft(turn * np.hanning(len(times))[:, None], axis=0)) ** 2).sum(1)

    def band(low, high):
        return power[(frequency >= low) & (frequency < high)].sum()

    slow, fast = band(0.05, 2.2), band(7.5, 12.5)
    assert slow + fast > 0.999 * power.sum()
    assert fast / slow == pytest.approx((FREE_HAND.tremor_turn / FREE_HAND.turn) ** 2, rel=0.5)
    assert band(0.05, 0.7) > 2 * band(0.9, 2.2)
    still, unturned = TRIPOD.hold(np.random.default_rng(0), times)
    assert not still.any() and not unturned.any()


def test_steps_beat_with_the_walk_and_rest_with_it():
    rng = np.random.default_rng(0)
    times = np.arange(400) / 100
    bob = footsteps(rng, times, np.tile([0.0, 1.2], (400, 1)))
    assert np.ptp(bob[:, 2]) == pytest.approx(0.024, abs=1e-3) and np.ptp(bob[:, 0]) == pytest.approx(0.02, abs=1e-3)
    crossings = (np.diff(np.sign(bob[:, 2])) > 0).sum()
    assert crossings == pytest.approx(1.8 * 4, abs=1)
    assert not footsteps(rng, times, np.zeros((400, 2))).any()
