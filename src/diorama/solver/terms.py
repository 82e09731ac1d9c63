"""Residual terms: what a method writes, and what the solver needs of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.solver.robust import RobustLoss, Squared
from diorama.solver.variables import Variable

Values = Mapping[str, Tensor]


@dataclass(frozen=True)
class Block:
    """Derivative of a residual by rows of one variable: item m depends on row `rows[m]`.

    With `first`, only on the tangent entries from `first[m]` on (one joint of a body, say); the Jacobian is as narrow.
    """

    variable: str
    rows: Int[Tensor, " items"]
    jacobian: Float[Tensor, "items groups components tangent"]
    first: Int[Tensor, " items"] | None = None


@dataclass(frozen=True)
class Linearized:
    """A whitened residual: items x robust groups x components of a group. The robust loss acts on the norm of a group."""

    residual: Float[Tensor, "items groups components"]
    blocks: Sequence[Block] = ()


@dataclass(frozen=True)
class Span:
    """The `width` tangent entries of rows of one variable, from entry `first` on: item m means row `rows[m]`."""

    variable: str
    rows: Int[Tensor, " items"]
    width: int
    first: int = 0


@dataclass(frozen=True)
class Condensed:
    """Normal equations of a term with very many residuals, summed where they arise: per item, the gradient J'Wr and
    J'WJ over the entries of the spans side by side. The spans are of variables without slots."""

    gradient: Float[Tensor, "items entries"]
    hessian: Float[Tensor, "items entries entries"]
    spans: Sequence[Span]


@dataclass(frozen=True)
class CondensedTerm:
    """A term that gives its cost and its summed normal equations instead of residuals one by one."""

    name: str
    cost: Callable[[Values], Tensor]
    condense: Callable[[Values], Sequence[Condensed]]


@dataclass(frozen=True)
class Term:
    """A named part of the objective, sum of rho(|r|^2) over items and groups.

    `function(values, with_jacobian)` returns the residual in units of its standard deviation; blocks may be empty if
    `with_jacobian` is false.
    """

    name: str
    function: Callable[[Values, bool], Linearized]
    loss: RobustLoss = Squared()  # noqa: RUF009 - frozen

    def cost(self, values: Values) -> Float[Tensor, ""]:
        residual = self.function(values, False).residual
        return self.loss.rho((residual**2).sum(-1)).sum()


def autodiff_term(
    name: str,
    function: Callable[..., Tensor],
    variables: Sequence[Variable],
    rows: Sequence[Int[Tensor, " items"]],
    data: Sequence[Tensor] = (),
    loss: RobustLoss = Squared(),  # noqa: B008 - frozen
) -> Term:
    """A term whose Jacobian comes from automatic differentiation, item by item in one batch.

    `function(*rows_of_variables, *rows_of_data)` gets one item's rows and returns its residual (groups, components).
    `rows[v][m]` is the row of variable v that item m depends on; every tensor of `data` has one row per item.
    """

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        picked = [values[v.name][r] for v, r in zip(variables, rows, strict=True)]
        residual = torch.func.vmap(function)(*picked, *data)
        if not with_jacobian:
            return Linearized(residual)
        return Linearized(residual, [_block(index, picked) for index in range(len(variables))])

    def _block(index: int, picked: list[Tensor]) -> Block:
        variable = variables[index]

        def moved(delta: Tensor, *item: Tensor) -> Tensor:
            changed = list(item)
            changed[index] = variable.retract(item[index][None], delta[None])[0]
            return function(*changed)

        zero = picked[index].new_zeros(len(picked[index]), variable.tangent(picked[index]))
        jacobian = torch.func.vmap(torch.func.jacrev(moved))(zero, *picked, *data)
        return Block(variable.name, rows[index], jacobian)

    return Term(name, evaluate, loss)
