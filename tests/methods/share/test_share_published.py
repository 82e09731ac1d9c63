"""SHARE's core: the exact solution is the optimum of Eq. 4-9 over all frames, which Adam only comes near to."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

from diorama.errors import DioramaError
from diorama.methods.share import AnchorConfig, anchor_to_points
from diorama.methods.share.chamfer import Chamfer
from diorama.methods.share.published import between, relative_loss, smoothed


def problem(seed=0, frames=20, verts=60, points=80):
    """A lump of vertices and noisy points of it at the two ends, with a first path that is too far away."""
    rng = np.random.default_rng(seed)
    lump = rng.normal(size=(verts, 3)) * [0.2, 0.5, 0.15]
    time = np.linspace(0, 1, frames)
    path = np.stack([time, 0.1 * np.sin(5 * time), 4 + time], 1)
    first = path * 1.1 + 0.02 * rng.normal(size=(frames, 3))
    clouds = [
        lump[rng.integers(0, verts, points)] + place + 0.02 * rng.normal(size=(points, 3)) for place in path[[0, -1]]
    ]
    root = np.array([0.01, -0.2, 0.03])
    return np.repeat(root[None], frames, 0), np.stack([lump, lump]), first, *clouds


def plain_loss(transl, roots, verts, first, one, other):
    """Eq. 4-9 written out, frame by frame."""
    path = roots + first
    mirrored = np.concatenate([path[9:0:-1], path, path[-2:-11:-1]])
    taps = np.exp(-0.5 * (np.arange(-9, 10) / 3.0) ** 2)
    smooth = np.stack([(mirrored[n : n + 19] * (taps / taps.sum())[:, None]).sum(0) for n in range(len(path))])
    body = 0.0
    for mesh, points, at in ((verts[0], one, 0), (verts[-1], other, len(path) - 1)):
        apart = cdist(mesh + transl[at], points)
        body += apart.min(1).mean() + apart.min(0).mean()
    now, relative = roots + transl, 0.0
    for key, other_key in ((0, len(path) - 1), (len(path) - 1, 0)):
        kept = [n for n in range(len(path)) if n != other_key]
        apart = [(now[n] - now[key]) - (smooth[n] - smooth[key]) for n in kept]
        relative += np.mean(np.square(apart))
    return body + relative


@pytest.mark.parametrize("solver", ["exact", "adam"])
def test_the_loss_is_that_of_the_paper(solver):
    parts = problem()
    found = anchor_to_points(*parts, AnchorConfig(solver, steps=30))
    assert found.loss == pytest.approx(plain_loss(found.transl, *parts), rel=1e-9)
    assert found.loss == pytest.approx(found.body_loss + found.relative_loss)


@pytest.mark.parametrize("seed", range(4))
def test_no_frame_can_be_moved_to_a_better_loss(seed):
    """A general solver on all frames' numbers, started at the solution, finds nothing better."""
    parts = problem(seed, frames=12)
    found = anchor_to_points(*parts)
    free = minimize(lambda flat: plain_loss(flat.reshape(-1, 3), *parts), found.transl.ravel(), method="L-BFGS-B")
    assert free.fun >= found.loss * (1 - 1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_adam_is_reached_or_beaten_and_agrees_between_the_keyframes(seed):
    parts = problem(seed)
    exact, adam = anchor_to_points(*parts), anchor_to_points(*parts, AnchorConfig("adam"))
    assert exact.loss <= adam.loss * (1 + 1e-6)
    assert adam.loss <= exact.loss * 1.02
    assert np.abs(exact.transl - adam.transl)[1:-1].max() < 2e-3


def test_offsets_between_keyframes_are_the_best_ones():
    rng = np.random.default_rng(0)
    best = between(rng.normal(size=(2, 3)), 9)
    for _ in range(50):
        other = best.copy()
        other[1:-1] += 0.1 * rng.normal(size=(7, 3))
        assert relative_loss(other) > relative_loss(best)
    first, last = best[[0, -1]]
    assert relative_loss(best) == pytest.approx(7 / 8 * ((first - last) ** 2).sum() / 6)


def test_the_gradient_is_that_of_the_distance():
    rng = np.random.default_rng(1)
    term = Chamfer(rng.normal(size=(40, 3)), rng.normal(size=(50, 3)))
    shift, step = np.array([0.1, -0.2, 0.3]), 1e-6
    numeric = [(term(shift + step * e)[0] - term(shift - step * e)[0]) / (2 * step) for e in np.eye(3)]
    np.testing.assert_allclose(term(shift)[1], numeric, atol=1e-6)


def test_a_moved_world_moves_the_solution():
    roots, verts, first, one, other = problem()
    shift = np.array([0.4, -1.0, 2.0])
    here = anchor_to_points(roots, verts, first, one, other)
    there = anchor_to_points(roots, verts, first + shift, one + shift, other + shift)
    np.testing.assert_allclose(there.transl, here.transl + shift, atol=2e-3)
    assert there.loss == pytest.approx(here.loss, rel=1e-3)


def test_smoothing_keeps_straight_paths_inside_and_works_on_short_ones():
    line = np.arange(40.0)[:, None] * [1.0, 2.0, -1.0]
    np.testing.assert_allclose(smoothed(line, 3.0, 9)[9:-9], line[9:-9], atol=1e-9)
    for count in (1, 2, 3, 9):
        assert smoothed(line[:count], 3.0, 9).shape == (count, 3)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_clips(frames):
    parts = problem(frames=frames)
    found = anchor_to_points(*parts)
    assert np.isfinite(found.transl).all() and found.transl.shape == (frames, 3)


def test_meshes_of_all_frames_are_taken_too():
    roots, verts, first, one, other = problem()
    every = np.concatenate([verts[:1], np.full((len(roots) - 2, *verts.shape[1:]), np.nan), verts[-1:]])
    np.testing.assert_array_equal(
        anchor_to_points(roots, every, first, one, other).transl,
        anchor_to_points(roots, verts, first, one, other).transl,
    )


def test_what_cannot_be_anchored_is_told():
    roots, verts, first, one, other = problem()
    with pytest.raises(DioramaError, match="no points"):
        anchor_to_points(roots, verts, first, one[:0], other)
    with pytest.raises(DioramaError, match="as many"):
        anchor_to_points(roots, verts, first[:-1], one, other)
