"""Normal equations with a band (unknowns ordered in time) and a border (shared unknowns), solved by band Cholesky."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

from diorama.solver.terms import Block, Linearized, Values
from diorama.solver.variables import Variable


@dataclass(frozen=True)
class Layout:
    """Column of the first tangent entry of each row of each variable; band columns come first, then the border."""

    columns: dict[str, Tensor]
    tangents: dict[str, int]
    band: int
    total: int

    @classmethod
    def of(cls, variables: Sequence[Variable], values: Values) -> Layout:
        """Rows sorted by slot; within a slot in the order of the variables."""
        tangents = {v.name: v.tangent(values[v.name]) for v in variables}
        ordered = [
            (int(slot), position, variable.name, row)
            for position, variable in enumerate(variables)
            if variable.slots is not None
            for row, slot in enumerate(variable.slots.tolist())
        ]
        columns = {v.name: torch.zeros(len(values[v.name]), dtype=torch.long) for v in variables}
        at = 0
        for _, _, name, row in sorted(ordered):
            columns[name][row] = at
            at += tangents[name]
        band = at
        for variable in variables:
            if variable.slots is None:
                for row in range(len(values[variable.name])):
                    columns[variable.name][row] = at
                    at += tangents[variable.name]
        return cls(columns, tangents, band, at)


@dataclass
class NormalEquations:
    """J'WJ and J'Wr. `lower` (bandwidth, band) holds the lower band by columns as LAPACK wants it, `coupling` the rows of
    the border against the band, `border` the border itself."""

    lower: Tensor
    coupling: Tensor
    border: Tensor
    gradient: Tensor
    layout: Layout

    @classmethod
    def empty(cls, layout: Layout, bandwidth: int) -> NormalEquations:
        shared = layout.total - layout.band
        make = lambda *shape: torch.zeros(shape, dtype=torch.float64)  # noqa: E731
        return cls(
            make(bandwidth, layout.band), make(shared, layout.band), make(shared, shared), make(layout.total), layout
        )

    def add(self, linearized: Linearized, weight: Tensor) -> None:
        """Add one term's blocks; `weight` (items, groups)."""
        rows = len(weight)
        root = weight.clamp_min(0).sqrt()[..., None]
        residual = (linearized.residual * root).reshape(rows, -1)
        weighted = [(b, (b.jacobian * root[..., None]).reshape(rows, residual.shape[1], -1)) for b in linearized.blocks]
        for block, jacobian in weighted:
            start = self.layout.columns[block.variable][block.rows]
            index = start[:, None] + torch.arange(jacobian.shape[-1])
            self.gradient.index_add_(0, index.reshape(-1), (jacobian.mT @ residual[..., None]).reshape(-1))
        for i, (block_i, jacobian_i) in enumerate(weighted):
            for block_j, jacobian_j in weighted[: i + 1]:
                self._add_pair(block_i, block_j, jacobian_i.mT @ jacobian_j)

    def _add_pair(self, block_i: Block, block_j: Block, product: Tensor) -> None:
        row = self.layout.columns[block_i.variable][block_i.rows][:, None] + torch.arange(product.shape[1])
        column = self.layout.columns[block_j.variable][block_j.rows][:, None] + torch.arange(product.shape[2])
        shape = product.shape
        self._scatter(row[:, :, None].expand(shape), column[:, None, :].expand(shape), product)
        if block_i is not block_j:
            self._scatter(column[:, None, :].expand(shape), row[:, :, None].expand(shape), product)

    def _scatter(self, row: Tensor, column: Tensor, product: Tensor) -> None:
        """Add entries (row, column) of the symmetric matrix; the upper triangle of the band is left to symmetry."""
        band, shared = self.layout.band, self.layout.total - self.layout.band
        if row.min() >= band:
            into_border = column.min() >= band
            target = self.border if into_border else self.coupling
            width = shared if into_border else band
            offset = band if into_border else 0
            index = (row - band) * width + column - offset
            target.view(-1).index_add_(0, index.reshape(-1), product.reshape(-1))
        elif column.max() < band:
            keep = row >= column
            index = ((row - column) * band + column)[keep]
            self.lower.view(-1).index_add_(0, index, product[keep])

    def diagonal(self) -> Tensor:
        return torch.cat([self.lower[0], self.border.diagonal()])

    def solve(self, damping: Tensor) -> Tensor:
        """Step -(H + diag(damping))^-1 gradient.

        Raises:
            numpy.linalg.LinAlgError: the damped matrix is not positive definite.
        """
        band = self.layout.band
        lower, border = self.lower.numpy().copy(), self.border.numpy() + np.diag(damping[band:].numpy())
        right = -self.gradient.numpy()
        if band == 0:
            return torch.from_numpy(np.linalg.solve(border, right))
        lower[0] += damping[:band].numpy()
        coupling = self.coupling.numpy()
        both = np.concatenate([right[None, :band], coupling]).T
        solved = scipy.linalg.solveh_banded(lower, both, lower=True, overwrite_ab=True, check_finite=False)
        if band == self.layout.total:
            return torch.from_numpy(solved[:, 0].copy())
        schur = border - coupling @ solved[:, 1:]
        shared = scipy.linalg.solve(schur, right[band:] - coupling @ solved[:, 0], assume_a="sym")
        return torch.from_numpy(np.concatenate([solved[:, 0] - solved[:, 1:] @ shared, shared]))


def bandwidth_of(layout: Layout, linearized: Sequence[Linearized]) -> int:
    """Number of diagonals (main one included) that the blocks of all terms fill."""
    widest = max(layout.tangents.values(), default=1)
    for part in linearized:
        spans = [
            (layout.columns[b.variable][b.rows], layout.tangents[b.variable])
            for b in part.blocks
            if len(b.rows) and int(layout.columns[b.variable][b.rows].min()) < layout.band
        ]
        if spans:
            high = torch.stack([start + size for start, size in spans]).max(0).values
            low = torch.stack([start for start, _ in spans]).min(0).values
            widest = max(widest, int((high - low).max()))
    return min(widest, max(layout.band, 1))
