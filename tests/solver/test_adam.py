"""Adam, Levenberg-Marquardt and scipy reach the same minimum of a small problem on rotations, vectors and a scale."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import torch

from diorama.geometry.rotations import exp_so3, log_so3
from diorama.solver import (
    AdamConfig,
    Condensed,
    CondensedTerm,
    GemanMcClure,
    Huber,
    LMConfig,
    Span,
    Squared,
    Variable,
    autodiff_term,
    solve,
    solve_adam,
)

LOSSES = {"squared": Squared(), "huber": Huber(1.0), "geman-mcclure": GemanMcClure(4.0)}
CAMERAS, POINTS = 4, 6
ADAM = AdamConfig(rate=0.05, iterations=500)


def problem(loss, seed=0):
    """Cameras that turn and move look at known points, whose size is unknown; three of the sightings are wrong."""
    rng = np.random.default_rng(seed)
    turn = Variable("turn", slots=torch.arange(CAMERAS), rotations=True)
    centre = Variable("centre", slots=torch.arange(CAMERAS))
    size = Variable("size")
    true_turn = exp_so3(torch.from_numpy(0.4 * rng.normal(size=(CAMERAS, 1, 3))))
    true_centre = torch.from_numpy(0.5 * rng.normal(size=(CAMERAS, 3)))
    points = torch.from_numpy(rng.normal(size=(POINTS, 3)))
    camera, point = (torch.from_numpy(a.ravel()) for a in np.divmod(np.arange(CAMERAS * POINTS), POINTS))
    seen = (true_turn[camera, 0].mT @ (1.3 * points[point] - true_centre[camera])[..., None])[..., 0]
    seen = seen + 0.05 * torch.from_numpy(rng.normal(size=seen.shape))
    seen[[2, 9, 20]] += 1.5

    def sighting(R, c, s, at, found):
        return (((R[0].mT @ (s * at - c)) - found) / 0.1)[None]

    rows = [camera, camera, torch.zeros_like(camera)]
    sightings = autodiff_term("seen", sighting, [turn, centre, size], rows, [points[point], seen], loss)
    stay = autodiff_term("stay", lambda c: (c / 0.5)[None], [centre], [torch.arange(CAMERAS)])
    values = {
        "turn": true_turn @ exp_so3(torch.full((CAMERAS, 1, 3), 0.1).double()),
        "centre": torch.zeros(CAMERAS, 3).double(), "size": torch.ones(1, 1).double(),
    }  # fmt: skip
    return [turn, centre, size], values, [sightings, stay]


def by_scipy(variables, values, terms):
    """The minimum by scipy's own iteration, over rotation vectors about the first values."""
    sizes = [len(values[v.name]) * v.tangent(values[v.name]) for v in variables]

    def moved(x):
        parts = np.split(x, np.cumsum(sizes)[:-1])
        return {
            v.name: v.retract(values[v.name], torch.from_numpy(p.reshape(len(values[v.name]), -1)))
            for v, p in zip(variables, parts, strict=True)
        }

    def residual(x):
        """Square roots of rho, whose squares sum up to the cost."""
        parts = []
        for term in terms:
            residual = term.function(moved(x), False).residual
            squared = (residual**2).sum(-1, keepdim=True).clamp_min(1e-30)
            away = residual * (term.loss.rho(squared) / squared).sqrt()
            parts.append(away.numpy().ravel())
        return np.concatenate(parts)

    found = scipy.optimize.least_squares(residual, np.zeros(sum(sizes)), xtol=1e-12, ftol=1e-12, gtol=1e-12)
    return moved(found.x), 2 * found.cost


@pytest.mark.parametrize("loss", LOSSES)
def test_three_ways_to_one_minimum(loss):
    variables, values, terms = problem(LOSSES[loss])
    expected, cost = by_scipy(variables, values, terms)
    by_lm = solve(variables, values, terms, LMConfig(iterations=100, tolerance=1e-13))
    by_adam = solve_adam(variables, values, terms, ADAM)
    assert by_adam.initial_cost == pytest.approx(by_lm.initial_cost)
    assert cost < 0.7 * by_lm.initial_cost
    for solution, tolerance in ((by_lm, 1e-5), (by_adam, 1e-3)):
        assert solution.cost == pytest.approx(cost, rel=1e-6)
        assert sum(solution.costs.values()) == pytest.approx(solution.cost)
        for name in ("centre", "size"):
            torch.testing.assert_close(solution.values[name], expected[name], rtol=0, atol=tolerance)
        away = log_so3(solution.values["turn"].mT @ expected["turn"])
        assert float(away.abs().max()) < tolerance


def test_entries_that_are_not_free_stay_and_the_others_reach_the_same_minimum():
    variables, values, terms = problem(Squared())
    variables[1] = replace(variables[1], free=torch.tensor([1.0, 0.0, 1.0]).double())
    by_lm = solve(variables, values, terms, LMConfig(iterations=100, tolerance=1e-13))
    by_adam = solve_adam(variables, values, terms, ADAM)
    for solution in (by_lm, by_adam):
        torch.testing.assert_close(solution.values["centre"][:, 1], values["centre"][:, 1], rtol=0, atol=0)
    assert by_adam.cost == pytest.approx(by_lm.cost, rel=1e-6)
    torch.testing.assert_close(by_adam.values["centre"], by_lm.values["centre"], rtol=0, atol=1e-3)


def test_a_condensed_term_means_the_same_to_both():
    """The residuals a x - b of a shared vector, given as sums."""
    rng = np.random.default_rng(1)
    a, b = torch.from_numpy(rng.normal(size=(9, 3))), torch.from_numpy(rng.normal(size=9))

    def condense(values):
        residual = a @ values["x"][0] - b
        yield Condensed((a.mT @ residual)[None], (a.mT @ a)[None], [Span("x", torch.tensor([0]), 3)])

    term = CondensedTerm("sums", lambda values: ((values["x"][0] @ a.mT - b) ** 2).sum(), condense)
    x, values = Variable("x"), {"x": torch.zeros(1, 3).double()}
    expected = torch.linalg.lstsq(a, b[:, None]).solution[:, 0]
    by_lm = solve([x], values, [term], LMConfig(tolerance=1e-13))
    by_adam = solve_adam([x], values, [term], ADAM)
    torch.testing.assert_close(by_lm.values["x"][0], expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(by_adam.values["x"][0], expected, rtol=0, atol=1e-4)


def test_the_first_step_has_the_length_of_the_rate_and_rotations_stay_rotations():
    variables, values, terms = problem(Squared())
    once = solve_adam(variables, values, terms, AdamConfig(rate=0.01, iterations=1))
    torch.testing.assert_close((once.values["size"] - 1).abs(), torch.full((1, 1), 0.01).double(), rtol=1e-5, atol=0)
    turned = log_so3(values["turn"].mT @ once.values["turn"])
    torch.testing.assert_close(turned.abs(), torch.full_like(turned, 0.01), rtol=1e-4, atol=0)
    R = solve_adam(variables, values, terms, replace(ADAM, iterations=200)).values["turn"]
    torch.testing.assert_close(R.mT @ R, torch.eye(3).double().expand_as(R), rtol=0, atol=1e-12)


def test_what_no_term_names_stays():
    variables, values, terms = problem(Squared())
    more = {**values, "unseen": torch.ones(2, 2).double()}
    found = solve_adam([*variables, Variable("unseen")], more, terms, AdamConfig(iterations=3))
    torch.testing.assert_close(found.values["unseen"], more["unseen"], rtol=0, atol=0)
