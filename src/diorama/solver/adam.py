"""Adam (Kingma and Ba 2015) on the variables and terms of Levenberg-Marquardt, with gradients by back-propagation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diorama.solver.levenberg_marquardt import Solution
from diorama.solver.terms import CondensedTerm, Term, Values
from diorama.solver.threads import one_thread
from diorama.solver.variables import Variable


@dataclass(frozen=True)
class AdamConfig:
    """JOSH, appendix B: learning rate 0.05, 1000 iterations. The paper does not say how the rate falls; here to zero
    along a half cosine, without which the last steps are as coarse as the first."""

    rate: float = 0.05
    iterations: int = 1000
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    falling: bool = True


def solve_adam(
    variables: Sequence[Variable], values: Values, terms: Sequence[Term | CondensedTerm], config: AdamConfig
) -> Solution:
    """Minimise the sum of the terms; every step is taken in the variables' tangent spaces."""
    with one_thread():
        return _solve(variables, values, terms, config)


def _solve(
    variables: Sequence[Variable], values: Values, terms: Sequence[Term | CondensedTerm], config: AdamConfig
) -> Solution:
    current = dict(values)
    shapes = {v.name: (len(values[v.name]), v.tangent(values[v.name])) for v in variables}
    mean = {name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()}
    square = {name: torch.zeros_like(m) for name, m in mean.items()}
    initial = float(sum(term.cost(current) for term in terms))
    for step in range(1, config.iterations + 1):
        rate = config.rate
        if config.falling:
            rate *= 0.5 * (1 + np.cos(np.pi * (step - 1) / config.iterations))
        for variable, slope in zip(variables, _slopes(variables, current, shapes, terms), strict=True):
            mean[variable.name].lerp_(slope, 1 - config.betas[0])
            square[variable.name].lerp_(slope**2, 1 - config.betas[1])
            first = mean[variable.name] / (1 - config.betas[0] ** step)
            second = square[variable.name] / (1 - config.betas[1] ** step)
            move = -rate * first / (second.sqrt() + config.epsilon)
            current[variable.name] = variable.retract(current[variable.name], move)
    costs = {term.name: float(term.cost(current)) for term in terms}
    return Solution(current, initial, sum(costs.values()), config.iterations, costs)


def _slopes(
    variables: Sequence[Variable], values: Values, shapes: dict[str, tuple[int, int]],
    terms: Sequence[Term | CondensedTerm],
) -> list[Tensor]:  # fmt: skip
    """Gradient of the sum by the tangents of all variables; zero where a variable may not move."""
    moves = [torch.zeros(shapes[v.name], dtype=torch.float64, requires_grad=True) for v in variables]
    moved = dict(values)
    for variable, move in zip(variables, moves, strict=True):
        moved[variable.name] = variable.retract(values[variable.name], move)
    total = torch.stack([term.cost(moved) for term in terms]).sum()
    slopes = torch.autograd.grad(total, moves, allow_unused=True)
    filled = [torch.zeros_like(m) if s is None else s for m, s in zip(moves, slopes, strict=True)]
    return [s if v.free is None else s * v.free for s, v in zip(filled, variables, strict=True)]
