"""Segments of keyframes: what they cover, and one world from pieces that have each been moved, turned and scaled."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.geometry.alignment import umeyama
from diorama.geometry.rotations import exp_so3, matrix_of
from diorama.methods.josh.key_problem import KeyWorld
from diorama.methods.josh.segments import SegmentConfig, join, segments_of
from placed_people import pelvis_of, person_of

SHORT = SegmentConfig(frames=40, overlap=15)
# A segment's own scale says nothing: what is left is what the pieces share.
TIED = replace(SHORT, own=10.0)
ROWS = np.array([0, 6, 11, 18, 24, 29, 37, 42, 50, 54, 61, 68, 73, 80, 85, 93, 99, 104, 110])
NODES = 4
# Joints of bodies are posed in single precision.
BODIES = 2e-5


def random_rows(seed):
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, rng.choice([4, 15, 60]), rng.integers(1, 60))
    return rng.integers(0, 9) + np.concatenate([[0], np.cumsum(steps)])


@pytest.mark.parametrize("seed", range(40))
def test_segments_cover_everything_and_share_their_ends(seed):
    rows, rng = random_rows(seed), np.random.default_rng(seed + 100)
    config = SegmentConfig(frames=int(rng.integers(20, 80)), overlap=int(rng.integers(0, 20)))
    pieces = segments_of(rows, config)
    assert pieces[0][0] == 0 and pieces[-1][1] == len(rows)
    for number, (start, stop) in enumerate(pieces):
        assert 0 <= start < stop <= len(rows)
        span, last = rows[stop - 1] - rows[start], number == len(pieces) - 1
        # Two keyframes at least, however far apart they are.
        assert span <= config.frames + (config.overlap if last else 0) or stop - start == 2
        if not last:
            assert stop == len(rows) or rows[stop] - rows[start] > config.frames or stop - start == 2
    for (start, stop), (later, after) in itertools.pairwise(pieces):
        assert start < later < stop < after, "each has something of its own, and shares something"
        assert rows[stop - 1] - rows[later] <= config.overlap
        more = rows[later - 1]
        assert rows[stop - 1] - more > config.overlap or rows[stop] - more > config.frames or later - 1 == start


@pytest.mark.parametrize("rows", [[7], [0, 50, 100, 120], list(range(0, 121, 6))])
def test_a_short_video_is_one_segment(rows):
    assert segments_of(np.array(rows), SegmentConfig()) == [(0, len(rows))]


def test_a_short_rest_belongs_to_the_last_segment():
    rows = np.arange(0, 201, 10)
    pieces = segments_of(rows, SegmentConfig())
    assert pieces == [(0, 11), (8, 21)]
    assert segments_of(np.arange(0, 231, 10), SegmentConfig()) == [(0, 11), (8, 19), (16, 24)]


def test_a_long_pause_at_the_end_makes_no_segment_of_one_keyframe():
    assert segments_of(np.array([0, 50, 100, 300]), SegmentConfig()) == [(0, 3), (2, 4)]


def true_world(seed=0, rows=ROWS):
    """Cameras on a curve, two people of whom one comes late, and any corrections of the maps."""
    rng = np.random.default_rng(seed)
    count, u = len(rows), rows / 40
    centres = np.stack([np.sin(u), 0.3 * u, 1.5 + 0.1 * np.cos(2 * u)], 1)
    R = matrix_of(np.stack([0.2 * np.cos(u), 0.5 * u, 0.1 * np.sin(u)], 1))
    log_depth = np.concatenate([0.1 * rng.normal(size=(count, 1)), 0.02 * rng.normal(size=(count, NODES))], 1)
    places = centres + np.stack([0.3 * u, np.cos(u), 4 + 0 * u], 1)
    first = person_of(1, rows, places, turned=0.2)
    late = np.arange(count) > count // 3
    other = person_of(2, rows[late], places[late] + [0.8, 0.1, 0.3], stature=1.85, turned=0.2, seed=1)
    return KeyWorld(torch.from_numpy(R), torch.from_numpy(centres), torch.from_numpy(log_depth), 0.02, (first, other))


def part_of(world, rows, piece):
    """A piece of a world with the people who are in it."""
    keys = slice(*piece)
    people = []
    for person in world.people:
        at = np.flatnonzero(np.isin(person.frames, rows[keys]))
        names = ("frames", "transl", "rotations", "confidence", "contacts")
        if len(at):
            people.append(replace(person, **{n: getattr(person, n)[at] for n in names}))
    return KeyWorld(
        world.R_world_camera[keys], world.centres[keys], world.log_depth[keys], world.log_focal, tuple(people)
    )


def moved(world, scale, rotation, translation):
    """The world in another place, at another scale: bodies keep their size, as if they were only thought nearer."""
    R, t = torch.from_numpy(rotation), torch.from_numpy(translation)
    log_depth = world.log_depth.clone()
    log_depth[:, 0] += np.log(scale)
    people = []
    for person in world.people:
        at = scale * (person.transl + person.pelvis_rest) - person.pelvis_rest
        people.append(replace(person, transl=at).moved(rotation, translation))
    return KeyWorld(
        R @ world.R_world_camera, scale * world.centres @ R.T + t, log_depth, world.log_focal, tuple(people)
    )


def pieces_of(world, scales=(0.7, 1.4), seed=0, config=SHORT):
    """Pieces of a world, each with a place, orientation and scale of its own."""
    rng, out = np.random.default_rng(seed), []
    pieces = segments_of(ROWS, config)
    assert len(pieces) >= 3
    for piece in pieces:
        R = exp_so3(torch.from_numpy(rng.normal(size=3))).numpy()
        scale = float(np.exp(rng.uniform(*np.log(scales))))
        out.append(moved(part_of(world, ROWS, piece), scale, R, 3 * rng.normal(size=3)))
    return pieces, out


def assert_same_world(found, world, tolerance=1e-6):
    """Up to one similarity."""
    fit = umeyama(found.T_world_camera[:, :3, 3], world.centres.numpy())
    np.testing.assert_allclose(fit.apply(found.T_world_camera[:, :3, 3]), world.centres.numpy(), atol=tolerance)
    np.testing.assert_allclose(
        fit.rotation @ found.T_world_camera[:, :3, :3], world.R_world_camera.numpy(), atol=tolerance
    )
    expected = world.log_depth.numpy() - np.log(fit.scale) * np.eye(1 + NODES)[0]
    np.testing.assert_allclose(found.log_depth, expected, atol=tolerance)
    assert sorted(found.people) == [p.id for p in world.people]
    for person in world.people:
        mine = found.people[person.id]
        np.testing.assert_array_equal(mine.frames, person.frames)
        np.testing.assert_allclose(fit.apply(pelvis_of(mine)), pelvis_of(person), atol=tolerance)
        root = torch.from_numpy(fit.rotation) @ mine.rotations[:, :1]
        torch.testing.assert_close(
            torch.cat([root, mine.rotations[:, 1:]], 1), person.rotations, atol=tolerance, rtol=0
        )
        torch.testing.assert_close(mine.betas, person.betas)
    return fit


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("people", [True, False])
def test_pieces_in_any_place_and_scale_give_back_the_one_world(seed, people):
    world = true_world(seed)
    world = world if people else world.with_people(())
    pieces, parts = pieces_of(world, seed=seed)
    found = join(ROWS, pieces, parts, TIED)
    np.testing.assert_array_equal(found.rows, ROWS)
    np.testing.assert_allclose(found.log_focal, 0.02)
    assert_same_world(found, world, BODIES if people else 1e-6)


def test_a_neighbour_with_one_keyframe_in_common_is_tied_too():
    config = replace(TIED, overlap=0)
    world = true_world()
    pieces, parts = pieces_of(world, config=config)
    assert all(stop - later == 1 for (_, stop), (later, _) in itertools.pairwise(pieces))
    assert_same_world(join(ROWS, pieces, parts, config), world, BODIES)


def test_scales_of_their_own_meet_in_the_middle():
    """With the deviations as they are, neighbours agree, and the whole has the mean of what the segments say."""
    world = true_world()
    pieces, parts = pieces_of(world, scales=(0.9, 1.1))
    found = join(ROWS, pieces, parts, SHORT)
    fit = assert_same_world(found, world, tolerance=0.02)
    own = [float(p.log_depth[0, 0] - world.log_depth[start, 0]) for p, (start, _) in zip(parts, pieces, strict=True)]
    assert np.log(fit.scale) == pytest.approx(-np.mean(own), abs=2e-3)
    first = np.linalg.norm(np.diff(found.T_world_camera[:, :3, 3], axis=0), axis=1)
    true = np.linalg.norm(np.diff(world.centres.numpy(), axis=0), axis=1)
    assert np.ptp(np.log(first / true)) < 0.02


def test_one_segment_is_as_it_was():
    world = true_world()
    found = join(ROWS, [(0, len(ROWS))], [world], SHORT)
    np.testing.assert_allclose(found.T_world_camera, world.T_world_camera(), atol=1e-12)
    np.testing.assert_array_equal(found.log_depth, world.log_depth.numpy())


def test_people_with_another_shape_in_every_piece_stay_where_they_are():
    """One shape for all: the mean by rows; and the pelvis at its place, which the shape must not move. (Bodies of different
    sizes turn the pieces a little when their joints are aligned.)"""
    world, pieces = true_world(), [(0, 7), (4, 19)]
    parts = [part_of(world, ROWS, piece) for piece in pieces]
    shaped = []
    for part, stature in zip(parts, (1.62, 1.8), strict=True):
        people = [_at_stature(p, stature) if p.id == 1 else p for p in part.people]
        shaped.append(part.with_people(tuple(people)))
    found = join(ROWS, pieces, shaped, TIED)
    fit = umeyama(found.T_world_camera[:, :3, 3], world.centres.numpy())
    np.testing.assert_allclose(fit.apply(pelvis_of(found.people[1])), pelvis_of(world.people[0]), atol=0.02)
    mean = np.average([p.people[0].betas.numpy() for p in shaped], axis=0, weights=[7, 15])
    np.testing.assert_allclose(found.people[1].betas, mean, atol=1e-9)


def _at_stature(person, stature):
    taller = replace(person, betas=person_of(1, [0], [[0, 0, 0.0]], stature=stature).betas)
    return replace(taller, transl=person.transl + person.pelvis_rest - taller.pelvis_rest)


def test_where_pieces_disagree_the_difference_is_spread_over_the_shared_keyframes():
    """No jump: the later piece's centres are off by what no motion of the whole piece can undo."""
    world = true_world().with_people(())
    pieces, shared = [(0, 16), (6, 19)], np.arange(6, 16)
    R, c = world.R_world_camera[6:16].numpy(), world.centres[6:16].numpy()
    laws = np.concatenate([np.ones((10, 1)), c, R.sum(2)], 1)
    off = np.linalg.svd(laws.T)[2][-1]
    assert np.abs(laws.T @ off).max() < 1e-12
    wrong = np.zeros((19, 3))
    wrong[shared] = 0.1 * off[:, None] * [0.5, -0.7, 0.5]
    parts = [part_of(world, ROWS, piece) for piece in pieces]
    parts[1] = replace(parts[1], centres=parts[1].centres + torch.from_numpy(wrong[6:]))
    turn = exp_so3(torch.tensor([0.3, 0.2, -1.0]).double()).numpy()
    found = join(ROWS, pieces, [parts[0], moved(parts[1], 1.0, turn, np.array([3.0, 1.0, 2.0]))], SHORT)
    expected = world.centres.numpy()
    expected[shared] += wrong[shared] * (np.arange(10)[:, None] + 1) / 11
    np.testing.assert_allclose(found.T_world_camera[:, :3, 3], expected, atol=1e-9)
    np.testing.assert_allclose(found.T_world_camera[:, :3, :3], world.R_world_camera.numpy(), atol=1e-9)


def test_a_scale_may_be_in_the_nodes_of_the_correction():
    world = true_world().with_people(())
    pieces, parts = pieces_of(world)
    other = [
        replace(p, log_depth=p.log_depth + (0.3 - n) * torch.tensor([1.0, *[-1.0] * NODES]))
        for n, p in enumerate(parts)
    ]
    one, two = (join(ROWS, pieces, w, TIED) for w in (parts, other))
    np.testing.assert_allclose(two.T_world_camera, one.T_world_camera, atol=1e-9)


def test_somebody_in_one_piece_only_comes_along():
    world = true_world()
    pieces, parts = pieces_of(world)
    alone = [p.with_people(tuple(q for q in p.people if q.id == 1 or n == 2)) for n, p in enumerate(parts)]
    found = join(ROWS, pieces, alone, TIED)
    fit = umeyama(found.T_world_camera[:, :3, 3], world.centres.numpy())
    person = found.people[2]
    at = np.flatnonzero(np.isin(world.people[1].frames, person.frames))
    np.testing.assert_array_equal(person.frames, np.intersect1d(ROWS[slice(*pieces[2])], world.people[1].frames))
    np.testing.assert_allclose(fit.apply(pelvis_of(person)), pelvis_of(world.people[1])[at], atol=BODIES)
