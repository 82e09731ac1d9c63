"""The optimum of known worlds, and agreement with scipy as an independent implementation."""

import numpy as np
import pytest
import scipy.optimize
import torch

from diorama.geometry.rotations import exp_so3, log_so3
from diorama.solver import Block, GemanMcClure, Huber, Linearized, LMConfig, Term, Variable, autodiff_term, solve
from diorama.solver.banded import Layout, NormalEquations, bandwidth_of

torch.set_default_dtype(torch.float32)


def chain_problem(seed=0, count=12):
    """A path with odometry, a shared scale (border) and direct measurements."""
    rng = np.random.default_rng(seed)
    path = torch.from_numpy(np.cumsum(rng.normal(size=(count, 2)), 0))
    scale = 1.7
    position = Variable("position", slots=torch.arange(count))
    shared = Variable("scale")
    first, second = torch.arange(count - 1), torch.arange(1, count)
    steps = torch.from_numpy(rng.normal(size=(count - 1, 2)) * 0.01) + (path[1:] - path[:-1]) / scale
    everyone = torch.arange(count)
    odometry = autodiff_term(
        "odometry",
        lambda a, b, s, step: ((b - a - s * step) / 0.05)[None],
        [position, position, shared],
        [first, second, torch.zeros(count - 1, dtype=torch.long)],
        [steps],
    )
    direct = autodiff_term(
        "direct",
        lambda a, seen: (a - seen)[None],
        [position],
        [everyone],
        [path + 0.1 * torch.randn(count, 2).double()],
    )
    values = {"position": torch.zeros(count, 2).double(), "scale": torch.ones(1, 1).double()}
    return [position, shared], values, [odometry, direct]


def flat_residual(x, variables, values, terms, sizes):
    at, moved = 0, {}
    for variable, size in zip(variables, sizes, strict=True):
        moved[variable.name] = torch.from_numpy(x[at : at + size]).reshape(values[variable.name].shape)
        at += size
    return np.concatenate([t.function(moved, False).residual.numpy().ravel() for t in terms])


def test_agrees_with_scipy_on_a_chain_with_a_border():
    variables, values, terms = chain_problem()
    solution = solve(variables, values, terms, LMConfig(iterations=50, tolerance=1e-12))
    sizes = [values[v.name].numel() for v in variables]
    start = np.concatenate([values[v.name].numpy().ravel() for v in variables])
    oracle = scipy.optimize.least_squares(flat_residual, start, args=(variables, values, terms, sizes), xtol=1e-14)
    assert solution.cost == pytest.approx(2 * oracle.cost, rel=1e-8)
    np.testing.assert_allclose(solution.values["scale"].item(), oracle.x[-1], rtol=1e-5)


def test_band_and_border_equal_the_dense_system():
    variables, values, terms = chain_problem(seed=3)
    layout = Layout.of(variables, values)
    parts = [t.function(values, True) for t in terms]
    equations = NormalEquations.empty(layout, bandwidth_of(layout, parts))
    jacobian = []
    for part in parts:
        equations.add(part, torch.ones(part.residual.shape[:2], dtype=torch.float64))
        rows = torch.zeros(part.residual.numel(), layout.total, dtype=torch.float64)
        each = part.residual.shape[1] * part.residual.shape[2]
        for block in part.blocks:
            for item, row in enumerate(block.rows.tolist()):
                column = int(layout.columns[block.variable][row])
                size = block.jacobian.shape[-1]
                rows[item * each : (item + 1) * each, column : column + size] += block.jacobian[item].reshape(
                    each, size
                )
        jacobian.append(rows)
    dense, residual = torch.cat(jacobian), torch.cat([p.residual.reshape(-1) for p in parts])
    damping = torch.full((layout.total,), 0.3, dtype=torch.float64)
    expected = -torch.linalg.solve(dense.T @ dense + torch.diag(damping), dense.T @ residual)
    torch.testing.assert_close(equations.solve(damping), expected, rtol=1e-9, atol=1e-9)


def test_rotation_averaging_reaches_the_truth():
    torch.manual_seed(0)
    truth = exp_so3(torch.randn(8, 1, 3).double())
    rotation = Variable("rotation", slots=torch.arange(8), rotations=True)
    pairs = torch.tensor([(i, j) for i in range(8) for j in range(i + 1, 8)])
    relative = truth[pairs[:, 0], 0].mT @ truth[pairs[:, 1], 0]
    between = autodiff_term(
        "between",
        lambda a, b, r: log_so3(r.mT @ a[0].mT @ b[0])[None],
        [rotation, rotation],
        [pairs[:, 0], pairs[:, 1]],
        [relative],
    )
    anchor = autodiff_term(
        "anchor", lambda a, r: log_so3(r.mT @ a[0])[None], [rotation], [torch.tensor([0])], [truth[:1, 0]]
    )
    start = {"rotation": truth @ exp_so3(0.5 * torch.randn(8, 1, 3).double())}
    solution = solve([rotation], start, [between, anchor])
    torch.testing.assert_close(solution.values["rotation"], truth, rtol=0, atol=1e-6)


@pytest.mark.parametrize("loss", [Huber(0.1), GemanMcClure(0.1)])
def test_robust_losses_ignore_outliers(loss):
    seen = torch.tensor([[1.0], [1.01], [0.99], [1.0], [9.0]], dtype=torch.float64)
    x = Variable("x")
    term = autodiff_term("seen", lambda a, s: (a - s)[None], [x], [torch.zeros(5, dtype=torch.long)], [seen], loss)
    solution = solve([x], {"x": torch.tensor([[0.5]], dtype=torch.float64)}, [term], LMConfig(iterations=100))
    assert abs(solution.values["x"].item() - 1) < 0.04
    assert abs(seen.mean().item() - 1) > 1


def test_loss_weight_is_the_derivative_of_rho():
    for loss in (Huber(0.7), GemanMcClure(0.7)):
        squared = torch.linspace(0.01, 4, 50, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(loss.rho(squared).sum(), squared)
        torch.testing.assert_close(slope, loss.weight(squared.detach()))


def test_entries_that_are_not_free_stay():
    x = Variable("x", free=torch.tensor([1.0, 0.0]))
    term = Term("pull", lambda v, j: pull(v, j))
    solution = solve([x], {"x": torch.zeros(1, 2).double()}, [term])
    torch.testing.assert_close(solution.values["x"], torch.tensor([[3.0, 0.0]]).double(), rtol=0, atol=1e-6)


def pull(values, with_jacobian):
    from diorama.solver import Block

    residual = (values["x"] - 3.0)[:, None]
    eye = torch.eye(2, dtype=torch.float64)[None, None]
    return Linearized(residual, [Block("x", torch.tensor([0]), eye)] if with_jacobian else [])


def test_a_step_that_promises_nothing_is_not_tried_in_ever_shorter_forms():
    """At the optimum, next to a large constant, no step lowers the sum: one trial shows it."""
    trials = []
    eye = torch.eye(2).double()[None, None]

    def pull(values, with_jacobian):
        trials.append(with_jacobian)
        blocks = [Block("x", torch.tensor([0]), eye)] if with_jacobian else []
        return Linearized((values["x"] - 3)[:, None], blocks)

    constant = Term("constant", lambda values, with_jacobian: Linearized(torch.full((1, 1, 1), 1e3).double()))
    values = {"x": torch.full((1, 2), 3.0).double() + 1e-9}
    solution = solve([Variable("x")], values, [Term("pull", pull), constant])
    assert solution.iterations == 1 and trials == [False, True, False]
