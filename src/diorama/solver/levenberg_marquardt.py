"""Levenberg-Marquardt on manifolds with robust losses by iterated re-weighting."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from diorama.solver.banded import Layout, NormalEquations, bandwidth_of
from diorama.solver.terms import CondensedTerm, Term, Values
from diorama.solver.threads import one_thread
from diorama.solver.variables import Variable

logger = logging.getLogger(__name__)
# A step that fails although it promised less than this share of the tolerance failed by rounding: shorter ones promise
# still less.
_FUTILE = 0.01


@dataclass(frozen=True)
class LMConfig:
    """`initial_damping` is relative to the diagonal of J'WJ; the solve ends when the relative decrease of the cost is
    below `tolerance` twice in a row."""

    iterations: int = 30
    initial_damping: float = 1e-4
    tolerance: float = 1e-5
    max_damping: float = 1e8


@dataclass(frozen=True)
class Solution:
    """Values at the end, cost before and after, iterations used, and the final cost of each term."""

    values: dict[str, Tensor]
    initial_cost: float
    cost: float
    iterations: int
    costs: dict[str, float] = field(default_factory=dict)


Watch = Callable[[int, float], None]


def solve(
    variables: Sequence[Variable],
    values: Values,
    terms: Sequence[Term | CondensedTerm],
    config: LMConfig = LMConfig(),
    watch: Watch | None = None,
) -> Solution:
    """Minimise the sum of the terms over the variables, from `values` (float64, one row per unknown).

    Values that belong to no variable are constants that terms may read. `watch` gets the number and the cost of every
    iteration as it ends.
    """
    with one_thread():
        return _solve(variables, values, terms, config, watch)


def _solve(
    variables: Sequence[Variable], values: Values, terms: Sequence[Term | CondensedTerm], config: LMConfig,
    watch: Watch | None,
) -> Solution:  # fmt: skip
    current = dict(values)
    layout = Layout.of(variables, current)
    costs = _costs(terms, current)
    cost = initial = _total(costs)
    damping, growth, quiet, done = config.initial_damping, 2.0, 0, 0
    while done < config.iterations:
        done += 1
        equations = _linearize(variables, layout, terms, current)
        improved = False
        while damping < config.max_damping and not improved:
            step = _step(equations, damping)
            trial = None if step is None else _retract(variables, layout, current, step)
            trial_costs = [] if trial is None else _costs(terms, trial)
            trial_cost = _total(trial_costs)
            if trial is not None and trial_cost < cost:
                quiet = quiet + 1 if cost - trial_cost < config.tolerance * cost else 0
                current, costs, cost, improved = trial, trial_costs, trial_cost, True
                damping, growth = max(damping / 3, 1e-9), 2.0
            elif step is not None and -float(equations.gradient @ step) < _FUTILE * config.tolerance * cost:
                break
            else:
                damping, growth = damping * growth, growth * 2
        if watch:
            watch(done, cost)
        if not improved or quiet >= 2:
            break
    logger.debug("cost %.4g -> %.4g in %d iterations, damping %.2g", initial, cost, done, damping)
    return Solution(current, initial, cost, done, {t.name: c for t, c in zip(terms, costs, strict=True)})


def _costs(terms: Sequence[Term | CondensedTerm], values: Values) -> list[float]:
    return [float(term.cost(values)) for term in terms]


def _total(costs: Sequence[float]) -> float:
    total = sum(costs)
    return total if np.isfinite(total) else float("inf")


def _linearize(
    variables: Sequence[Variable], layout: Layout, terms: Sequence[Term | CondensedTerm], values: Values
) -> NormalEquations:
    parts = [(term, term.function(values, True)) for term in terms if isinstance(term, Term)]
    equations = NormalEquations.empty(layout, bandwidth_of(layout, [p for _, p in parts]))
    for term, part in parts:
        if len(part.residual):
            equations.add(part, term.loss.weight((part.residual**2).sum(-1)))
    for term in terms:
        if isinstance(term, CondensedTerm):
            for condensed in term.condense(values):
                equations.add_condensed(condensed)
    fixed = [
        (layout.columns[v.name][:, None] + torch.nonzero(v.free == 0)[:, 0]).reshape(-1)
        for v in variables
        if v.free is not None
    ]
    equations.freeze(torch.cat([torch.zeros(0, dtype=torch.long), *fixed]))
    return equations


def _step(equations: NormalEquations, damping: float) -> Tensor | None:
    try:
        step = equations.solve(damping * equations.diagonal().clamp_min(1e-8) + 1e-10)
    except np.linalg.LinAlgError:
        return None
    return step if bool(torch.isfinite(step).all()) else None


def _retract(variables: Sequence[Variable], layout: Layout, values: Values, step: Tensor) -> dict[str, Tensor]:
    moved = dict(values)
    for variable in variables:
        index = layout.columns[variable.name][:, None] + torch.arange(layout.tangents[variable.name])
        moved[variable.name] = variable.retract(values[variable.name], step[index])
    return moved
