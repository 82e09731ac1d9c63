"""Windows and how they become one world: any gauge gives the same world, errors leave no seams, time costs no memory."""

import itertools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.geometry.alignment import Similarity, umeyama
from diorama.methods.unish.chain import log_scales, placed_windows
from diorama.methods.unish.joined import joined
from diorama.methods.unish.kept import KeptConfig, kept
from diorama.methods.unish.overlap import Join, OverlapConfig, join, shown
from diorama.methods.unish.pictures import read_windows
from diorama.methods.unish.windows import WindowConfig, homes_of, layout_of, ramp_of, sample_rows, spans_of
from gauged_windows import Person, Room, RoomBranch, small_layout

WINDOWS = WindowConfig(longest=56)
EXACT = OverlapConfig()
FEW = KeptConfig(points=2000, people_points=500, maps=4)


def run(room, branch, windows=WINDOWS, kept_config=FEW):
    """Samples and what became of them, without people's bodies."""
    seen = room.observations()
    rows = sample_rows(seen.times, windows.fps)
    spans = spans_of(len(rows), windows)
    homes, layout = homes_of(spans, len(rows)), small_layout(windows.longest)
    results, joins, before = [], [], None
    for number, window in enumerate(read_windows(None, seen, rows, spans, layout, windows.fps)):
        world = branch([window])[0]
        if before is not None:
            joins.append(join(before, shown(world, slice(0, len(before.points)), EXACT), EXACT))
        results.append(kept(window, world, spans[number], np.flatnonzero(homes == number), len(rows), kept_config))
        if number + 1 < len(spans):
            before = shown(world, slice(spans[number + 1][0] - spans[number][0], len(window.rows)), EXACT)
    placed = placed_windows(joins, [each.scale_witnesses for each in results])
    return rows, spans, joined(results, placed, homes, windows.overlap)


def aligned(centres, truth):
    return umeyama(centres, truth).apply(centres)


@pytest.mark.parametrize("fps", [2.0, 6.0, 23.976, 25.0, 30.0, 60.0])
@pytest.mark.parametrize("frames", [1, 2, 7, 200])
def test_samples_are_the_nearest_rows_and_reach_the_end(fps, frames):
    times = 3.0 + np.arange(frames) / fps
    rows = sample_rows(times, 6.0)
    assert rows[0] == 0 and rows[-1] == frames - 1 and (np.diff(rows) > 0).all()
    ticks = np.arange(times[0], times[-1], 1 / 6)
    away = np.abs(ticks[:, None] - times[rows]).min(1) if len(ticks) else np.zeros(1)
    assert away.max() <= 0.5 / fps + 1e-9 or fps < 6
    if fps <= 6:
        np.testing.assert_array_equal(rows, np.arange(frames))


@pytest.mark.parametrize("samples", [1, 2, 6, 29, 30, 31, 54, 55, 100, 601])
def test_windows_cover_everything_and_share_enough(samples):
    spans = spans_of(samples, WINDOWS)
    assert spans[0][0] == 0 and spans[-1][1] == samples
    assert {end - first for first, end in spans} == {min(samples, 30)}
    assert all(before[1] - after[0] >= 6 for before, after in itertools.pairwise(spans))
    assert len(spans) == max(1, -(-(samples - 6) // 24))
    homes = homes_of(spans, samples)
    assert all(spans[home][0] <= at < spans[home][1] for at, home in enumerate(homes))
    assert sorted(set(homes)) == list(range(len(spans)))
    total = np.zeros(samples)
    for span in spans:
        total[slice(*span)] += ramp_of(span, 6)
    assert total.min() > 0


def test_windows_that_cannot_be_are_refused():
    for config in ({"overlap": 30}, {"overlap": 0}, {"fps": 0.0}, {"longest": 13}):
        with pytest.raises(DioramaError):
            WindowConfig(**config)


@pytest.mark.parametrize(
    ("size", "working"),
    [
        ((1920, 1080), (518, 294)), ((1080, 1920), (294, 518)), ((500, 333), (518, 350)), ((64, 64), (518, 518)),
        ((10, 4), (518, 210)), ((4000, 20), (518, 14)), ((1, 1), (518, 518)),
    ],
)  # fmt: skip
def test_working_pictures_have_whole_patches(size, working):
    assert layout_of(*size, 518).working == working


def test_random_gauges_give_the_true_trajectory():
    room = Room(530, people=(Person(1, np.arange(530)), Person(2, np.arange(100, 300))))
    rows, spans, world = run(room, RoomBranch(room, gauge=0.3))
    assert len(spans) == 5
    truth = room.cameras(room.times[rows])
    move = umeyama(world.T_world_camera[:, :3, 3], truth[:, :3, 3])
    np.testing.assert_allclose(move.apply(world.T_world_camera[:, :3, 3]), truth[:, :3, 3], atol=1e-4)
    np.testing.assert_allclose(move.rotation @ world.T_world_camera[:, :3, :3], truth[:, :3, :3], atol=1e-4)
    for person, true in zip(world.people, room.people, strict=True):
        np.testing.assert_array_equal(person.seen, np.isin(rows, true.tracked))
        T = world.T_world_camera[person.seen]
        pelvis = (T[:, :3, :3] @ person.transl[person.seen, :, None])[..., 0] + T[:, :3, 3]
        rest = (truth[person.seen, :3, :3] @ np.array([0.0, -0.22, 0.03])) * move.scale
        true_pelvis = true.pelvis(room.times[rows[person.seen]])
        # The rest pelvis is of one size in every gauge, so it is left out here.
        np.testing.assert_allclose(move.apply(pelvis), true_pelvis - rest / move.scale, atol=2e-4)


def test_noise_leaves_no_seams():
    room = Room(530, people=(Person(1, np.arange(530)),))
    rows, spans, world = run(room, RoomBranch(room, gauge=0.3, noise=0.01))
    truth = room.cameras(room.times[rows])[:, :3, 3]
    error = aligned(world.T_world_camera[:, :3, 3], truth) - truth
    steps = np.linalg.norm(np.diff(error, axis=0), axis=1)
    borders = np.array([edge - 1 for first, end in spans for edge in (first, end) if 0 < edge < len(rows)])
    inside = np.delete(steps, borders)
    assert steps[borders].max() <= inside.max()
    assert np.median(steps[borders]) <= np.percentile(inside, 75)
    assert np.linalg.norm(error, axis=1).max() < 0.1


def test_a_join_survives_gross_errors():
    room = Room(60, fps=6.0, people=(Person(1, np.arange(60)),))
    branch, moved = RoomBranch(room), RoomBranch(room, gauge=0.3)
    seen = room.observations()
    window = next(read_windows(None, seen, np.arange(8), [(0, 8)], small_layout(), 6.0))
    first, second = branch([window])[0], moved([window])[0]
    rng = np.random.default_rng(0)
    wild = np.where(rng.random(second.depth.shape) < 0.3, rng.uniform(0.2, 3, second.depth.shape), 1.0)
    second = replace(second, depth=(second.depth * wild).astype(np.float32))
    found = join(shown(first, slice(0, 8), EXACT), shown(second, slice(0, 8), EXACT), EXACT)
    np.testing.assert_allclose(
        found.move.apply(second.T_world_camera[:, :3, 3]), first.T_world_camera[:, :3, 3], atol=2e-3
    )


def test_a_join_without_any_depth_or_person_goes_by_cameras():
    room = Room(60, fps=6.0)
    window = next(read_windows(None, room.observations(), np.arange(6), [(0, 6)], small_layout(), 6.0))
    worlds = [RoomBranch(room)([window])[0], RoomBranch(room, gauge=0.3)([window])[0]]
    one, two = (shown(replace(world, depth=0 * world.depth), slice(0, 6), EXACT) for world in worlds)
    found = join(one, two, EXACT)
    np.testing.assert_allclose(
        found.move.rotation @ two.T_world_camera[:, :3, :3], one.T_world_camera[:, :3, :3], atol=0.2
    )


def test_the_scale_of_joins_is_unbiased():
    """Plain Umeyama between two noisy windows is too small by the noise's share, the same way in every join."""
    rng = np.random.default_rng(1)
    room = Room(60, fps=6.0)
    window = next(read_windows(None, room.observations(), np.arange(6), [(0, 6)], small_layout(), 6.0))
    logs = []
    for _ in range(20):
        sides = []
        for _ in range(2):
            world = RoomBranch(room)([window])[0]
            noisy = world.depth * (1 + 0.1 * rng.normal(size=world.depth.shape))
            sides.append(shown(replace(world, depth=noisy.astype(np.float32)), slice(0, 6), EXACT))
        logs.append(np.log(join(*sides, EXACT).move.scale))
    assert abs(np.mean(logs)) < 3 * np.std(logs) / np.sqrt(20)


def _joins(logs, deviation):
    return [
        Join(Similarity(np.exp(log), np.eye(3), np.zeros(3)), np.zeros(3), np.zeros(3), deviation, 0.0) for log in logs
    ]


def test_exact_joins_keep_the_relative_scales():
    rng = np.random.default_rng(0)
    true = 0.3 * rng.normal(size=40)
    found = log_scales(_joins(np.diff(true), 1e-7), [1] * 40)
    np.testing.assert_allclose(np.diff(found), np.diff(true), atol=1e-9)
    # All windows' claims to be metric agree on the middle.
    assert abs(np.mean(found)) < 0.1


def test_long_chains_do_not_drift_from_metres():
    rng = np.random.default_rng(0)
    claims = 0.05 * rng.normal(size=300)
    # The joins' error has a bias here, the worst case for a chain.
    ratio = np.diff(-claims) + 0.004 + 0.002 * rng.normal(size=299)
    found = log_scales(_joins(ratio, 0.005), [30] * 300) + claims
    chained = np.concatenate([[0], np.cumsum(ratio)]) + claims
    assert np.ptp(chained) > 1.0
    # Least squares lag behind the bias by bias (claim / join)^2.
    assert np.abs(found - np.median(found)).max() < 0.5


def test_windows_without_people_take_the_scale_of_the_others():
    found = log_scales(_joins([0.2, -0.5, 0.1], 1e-7), [0, 30, 0, 0])
    assert abs(found[1]) < 0.01
    np.testing.assert_allclose(np.diff(found), [0.2, -0.5, 0.1], atol=1e-6)


def test_memory_does_not_grow_with_the_video():
    windows = WindowConfig(longest=140)
    peaks = []
    for frames in (60, 600):
        room = Room(frames, fps=6.0, people=(Person(1, np.arange(frames)),))
        branch = RoomBranch(room, gauge=0.2)
        tracemalloc.start()
        run(room, branch, windows)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    # Ten times as long: rotations and places of the samples, some 20 kB each, on top of one window's pictures.
    assert peaks[1] < 1.6 * peaks[0], peaks


def test_turns_between_windows_may_be_anything():
    """The same world whatever frame each window is told in."""
    room = Room(300, people=(Person(1, np.arange(300)),))
    first = run(room, RoomBranch(room))[2]
    for branch in (RoomBranch(room, first_camera=True), RoomBranch(room, gauge=1e-9)):
        other = run(room, branch)[2]
        turn = first.T_world_camera[0] @ np.linalg.inv(other.T_world_camera[0])
        np.testing.assert_allclose(turn @ other.T_world_camera, first.T_world_camera, atol=1e-5)
        np.testing.assert_allclose(other.people[0].transl, first.people[0].transl, atol=1e-5)
