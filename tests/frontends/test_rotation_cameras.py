"""A camera that turns on the spot: its focal is recovered when the turning determines it, and never otherwise."""

import numpy as np
import point_worlds as worlds
import pytest

from diorama.frontends.rotation_bundle import Freedom, TurnState, TurnTracks, _jacobians, residuals, tangent_basis
from diorama.frontends.rotation_cameras import RotationConfig, solve_rotations
from diorama.frontends.rotation_pairs import fit_turn
from diorama.geometry.rotations import matrix_of, rotvec_of


def rotation_error(path, seen) -> float:
    """Largest angle (degrees) to the true rotations after the first one is aligned."""
    truth = seen.T_world_camera[path.rows, :3, :3]
    aligned = truth[0] @ path.rotation[0].T @ path.rotation
    return float(np.degrees(np.linalg.norm(rotvec_of(np.swapaxes(aligned, 1, 2) @ truth), axis=1)).max())


@pytest.mark.parametrize(("focal", "degrees"), [(0.9, 30), (0.6, 45), (2.5, 30)])
def test_focal_and_rotations_of_a_pan(focal, degrees):
    rng = np.random.default_rng(0)
    seen = worlds.see(rng, worlds.sphere(rng, 15000), worlds.panning(rng, 50, degrees), focal * 960, limit=400)
    path = solve_rotations(seen.tracks)
    assert path.focal_source == "recovered", path.evidence
    assert np.abs(path.focal / 960 / focal - 1).max() < 0.03
    assert rotation_error(path, seen) < 0.3
    assert path.registered.all()
    assert np.median(path.residual_px) < 0.5


def test_zoom_is_found_where_it_is():
    rng = np.random.default_rng(1)
    focal = 960 * np.linspace(0.9, 1.4, 50)
    seen = worlds.see(rng, worlds.sphere(rng), worlds.panning(rng, 50, 30), focal, limit=400)
    path = solve_rotations(seen.tracks)
    assert path.focal_source == "recovered"
    assert np.abs(path.focal / focal - 1).max() < 0.03


def test_a_small_pan_answers_assumed():
    rng = np.random.default_rng(2)
    seen = worlds.see(rng, worlds.sphere(rng), worlds.panning(rng, 40, 1.8), 1.6 * 960, limit=400)
    path = solve_rotations(seen.tracks)
    assert path.focal_source == "assumed"
    assert path.focal[0] == pytest.approx(RotationConfig().assumed_focal * 960)
    assert path.warnings


def test_a_given_focal_is_kept():
    rng = np.random.default_rng(3)
    seen = worlds.see(rng, worlds.sphere(rng), worlds.panning(rng, 40, 30), 0.9 * 960, limit=400)
    path = solve_rotations(seen.tracks, focal=800.0)
    assert path.focal_source == "given"
    np.testing.assert_allclose(path.focal, 800)


def test_long_shots_are_solved_in_windows():
    rng = np.random.default_rng(4)
    seen = worlds.see(rng, worlds.sphere(rng), worlds.panning(rng, 90, 40), 0.9 * 960, limit=400)
    path = solve_rotations(seen.tracks, RotationConfig(window=40, focals=(0.6, 1.0, 1.8)))
    assert np.abs(path.focal / 960 / 0.9 - 1).max() < 0.03
    assert rotation_error(path, seen) < 0.6


def test_without_tracks_the_camera_is_said_not_to_be_registered():
    rng = np.random.default_rng(5)
    seen = worlds.see(rng, worlds.sphere(rng, 40), worlds.panning(rng, 20, 30), 0.9 * 960, limit=5)
    path = solve_rotations(seen.tracks)
    assert path.focal_source == "assumed" and not path.registered.any() and path.warnings


def test_derivatives_agree_with_differences():
    rng = np.random.default_rng(6)
    rays = rng.normal(size=(5, 3)) * 0.2 + [0, 0, 1]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    tracks = TurnTracks(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 2, 3, 4]), rng.normal(size=(5, 2)), 3, 5)
    state = TurnState(matrix_of(rng.normal(size=(3, 3)) * 0.1), rng.normal(size=3) * 0.1, 700.0, rays)
    camera, own, start = _jacobians(tracks, state)
    step = 1e-6
    for axis in range(3):
        turn = matrix_of(np.tile(step * np.eye(3)[axis], (3, 1))) @ state.rotation
        moved = residuals(tracks, TurnState(turn, state.zoom, state.focal, rays))
        np.testing.assert_allclose((moved - start) / step, camera[:, :, axis], rtol=1e-3, atol=1e-2)
    moved = residuals(tracks, TurnState(state.rotation, state.zoom + step, state.focal, rays))
    np.testing.assert_allclose((moved - start) / step, camera[:, :, 3], rtol=1e-3, atol=1e-2)
    for axis in range(2):
        shifted = rays + step * tangent_basis(rays)[:, :, axis]
        moved = residuals(tracks, TurnState(state.rotation, state.zoom, state.focal, shifted))
        np.testing.assert_allclose((moved - start) / step, own[:, :, axis], rtol=1e-3, atol=1e-2)
    assert Freedom() == Freedom(focal=False, zoom=False)


def test_a_pair_with_outliers_gives_the_turn_and_the_zoom():
    rng = np.random.default_rng(7)
    centre = np.array([480.0, 270.0])
    xy = rng.uniform([0, 0], [960, 540], (300, 2))
    turn = matrix_of(np.array([0.02, 0.1, -0.03]))
    rays = np.concatenate([(xy - centre) / 800, np.ones((300, 1))], 1) @ turn.T
    there = 1.1 * 800 * rays[:, :2] / rays[:, 2:] + centre
    there[:60] += rng.uniform(-80, 80, (60, 2))
    fit = fit_turn(xy, there, 800.0, centre)
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-4)
    assert fit.zoom == pytest.approx(1.1, abs=1e-4)
    assert np.median(fit.residual[60:]) < 1e-3
