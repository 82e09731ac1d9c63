"""The pose graph keeps what is exact, averages what is not, outvotes what is wrong and bridges what is missing."""

import numpy as np
import pytest

from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import invert, rigid
from diorama.methods.josh3r.chaining import chain
from diorama.methods.josh3r.pairs import chain_pairs, pairs_of
from diorama.methods.josh3r.pose_graph import refined_path

KEYS = 25


def walk(seed):
    rng = np.random.default_rng(seed)
    steps = rigid(matrix_of(rng.normal(0, 0.05, (KEYS - 1, 3))), rng.normal(0, 0.2, (KEYS - 1, 3)))
    return chain(np.eye(4), steps)


def between(path, pairs):
    return invert(path[pairs[:, 0]]) @ path[pairs[:, 1]]


def noisy(motions, rng, metres=0.02, radians=0.01):
    n = len(motions)
    return motions @ rigid(matrix_of(rng.normal(0, radians, (n, 3))), rng.normal(0, metres, (n, 3)))


def end(path, truth):
    return np.linalg.norm(path[-1, :3, 3] - truth[-1, :3, 3])


def test_exact_motions_keep_and_repair_the_path():
    truth, pairs = walk(0), pairs_of(KEYS, (1, 2, 5))
    motions, seen = between(truth, pairs), np.ones(len(pairs), bool)
    assert np.abs(refined_path(truth, pairs, motions, seen) - truth).max() < 1e-9
    bent = chain(np.eye(4), noisy(between(truth, chain_pairs(KEYS)), np.random.default_rng(1)))
    assert np.abs(refined_path(bent, pairs, motions, seen) - truth).max() < 1e-4


def test_longer_baselines_bound_independent_drift():
    pairs, chained, graphed = pairs_of(KEYS, (1, 2, 3, 4)), [], []
    for seed in range(5):
        truth = walk(seed)
        motions = noisy(between(truth, pairs), np.random.default_rng(100 + seed))
        first = chain(np.eye(4), motions[: KEYS - 1])
        chained.append(end(first, truth))
        graphed.append(end(refined_path(first, pairs, motions, np.ones(len(pairs), bool)), truth))
    assert np.mean(graphed) < 0.75 * np.mean(chained)


def test_a_chain_alone_stays_as_it_is():
    pairs = chain_pairs(KEYS)
    motions = noisy(between(walk(2), pairs), np.random.default_rng(3))
    path = chain(np.eye(4), motions)
    assert np.abs(refined_path(path, pairs, motions, np.ones(len(pairs), bool)) - path).max() < 1e-9


def test_a_wrong_motion_is_outvoted_and_a_missing_one_bridged():
    truth, pairs = walk(4), pairs_of(KEYS, (1, 2, 3))
    motions, seen = between(truth, pairs), np.ones(len(pairs), bool)
    motions[11, :3, 3] += 1.5
    seen[18] = False
    motions[18] = rigid(np.eye(3), np.full(3, 9.0))  # is not read
    path = chain(np.eye(4), np.where(seen[: KEYS - 1, None, None], motions[: KEYS - 1], np.eye(4)))
    assert end(path, truth) > 0.5
    assert np.abs(refined_path(path, pairs, motions, seen)[:, :3, 3] - truth[:, :3, 3]).max() < 0.1


def test_the_start_may_be_anywhere():
    truth, pairs = walk(5), pairs_of(KEYS, (1, 3))
    motions, seen = noisy(between(truth, pairs), np.random.default_rng(6)), np.ones(len(pairs), bool)
    here = refined_path(truth, pairs, motions, seen)
    moved = rigid(matrix_of(np.array([0.3, 1.0, -2.0])), np.array([4.0, -3, 2]))
    assert np.abs(refined_path(moved @ truth, pairs, motions, seen) - moved @ here).max() < 1e-4


@pytest.mark.parametrize("keys", [0, 1, 2])
def test_short_paths(keys):
    path, pairs = walk(7)[:keys], pairs_of(keys, (1, 2))
    assert len(pairs) == max(keys - 1, 0)
    assert np.allclose(refined_path(path, pairs, between(path, pairs), np.ones(len(pairs), bool)), path)


def test_pairs_of_baselines():
    assert pairs_of(4, (2, 1, 1)).tolist() == [[0, 1], [1, 2], [2, 3], [0, 2], [1, 3]]
    assert np.array_equal(pairs_of(9, ()), chain_pairs(9))
