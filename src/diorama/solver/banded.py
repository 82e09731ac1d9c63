"""Normal equations with a band (unknowns ordered in time) and a border (shared unknowns), solved by band Cholesky."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float
from torch import Tensor

from diorama.solver.terms import Block, Condensed, Linearized, Values
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

    def starts(self, block: Block) -> Tensor:
        """Column of the first tangent entry that each item of a block depends on."""
        start = self.columns[block.variable][block.rows]
        return start if block.first is None else start + block.first


@dataclass
class NormalEquations:
    """J'WJ and J'Wr. `lower` (bandwidth, band) holds the lower band by columns as LAPACK wants it, `coupling` the rows of
    the border against the band, `border` the border itself. `flat` is the memory of `lower` after one more cell, into
    which entries above the diagonal fall."""

    flat: Tensor
    coupling: Tensor
    border: Tensor
    gradient: Tensor
    layout: Layout

    @classmethod
    def empty(cls, layout: Layout, bandwidth: int) -> NormalEquations:
        shared = layout.total - layout.band
        flat, coupling, border, gradient = (
            torch.zeros(shape, dtype=torch.float64)
            for shape in ((bandwidth * layout.band + 1,), (shared, layout.band), (shared, shared), (layout.total,))
        )
        return cls(flat, coupling, border, gradient, layout)

    @property
    def lower(self) -> Tensor:
        """The lower band (bandwidth, band)."""
        band = self.layout.band
        return self.flat[1:].view(max((len(self.flat) - 1) // max(band, 1), 1), band)

    def add(self, linearized: Linearized, weight: Tensor) -> None:
        """Add one term's blocks; `weight` (items, groups). Blocks of values that are no variables are left out."""
        items = len(weight)
        blocks = [b for b in linearized.blocks if b.variable in self.layout.columns]
        root = weight.clamp_min(0).sqrt()[..., None]
        residual = (linearized.residual * root).reshape(items, -1, 1)
        in_band = [b for b in blocks if self._starts(b).numel() and int(self._starts(b).min()) < self.layout.band]
        shared = [b for b in blocks if all(b is not other for other in in_band)]
        parts = [self._joined(group, root, residual.shape[1]) for group in (in_band, shared)]
        for jacobian, index in parts:
            self.gradient.index_add_(0, index.reshape(-1), (jacobian.mT @ residual).reshape(-1))
        (band_jacobian, band_index), (border_jacobian, border_index) = parts
        self._add_band(band_jacobian.mT @ band_jacobian, band_index)
        if border_index.shape[1]:
            border_index = border_index - self.layout.band
            _accumulate(self.border, border_jacobian.mT @ border_jacobian, border_index, border_index)
            if band_index.shape[1]:
                _accumulate(self.coupling, border_jacobian.mT @ band_jacobian, border_index, band_index)

    def add_condensed(self, part: Condensed) -> None:
        """Add a term's summed normal equations; all its spans lie in the border."""
        columns = [
            self.layout.columns[s.variable][s.rows][:, None] + s.first + torch.arange(s.width) for s in part.spans
        ]
        index = torch.cat(columns, 1)
        if not index.numel():
            return
        assert int(index.min()) >= self.layout.band
        self.gradient.index_add_(0, index.reshape(-1), part.gradient.double().reshape(-1))
        index = index - self.layout.band
        _accumulate(self.border, part.hessian.double(), index, index)

    def _starts(self, block: Block) -> Tensor:
        return self.layout.starts(block)

    def _joined(self, blocks: list[Block], root: Tensor, rows: int) -> tuple[Tensor, Tensor]:
        """Weighted Jacobians side by side (items, residuals, n) and their columns (items, n)."""
        items = len(root)
        if not blocks:
            return torch.zeros(items, rows, 0, dtype=torch.float64), torch.zeros(items, 0, dtype=torch.long)
        jacobian = torch.cat([b.jacobian for b in blocks], -1) * root[..., None]
        index = [self._starts(b)[:, None] + torch.arange(b.jacobian.shape[-1]) for b in blocks]
        return jacobian.reshape(items, rows, jacobian.shape[-1]), torch.cat(index, 1)

    def _add_band(self, product: Tensor, index: Tensor) -> None:
        """The lower triangle goes into the band; entries above the diagonal are their mirror images, and left out."""
        row, column = index * self.layout.band, index * (self.layout.band - 1)
        # Entry (row - column) * band + column, from 1 on; negative above the diagonal.
        cell = ((1 + row)[:, :, None] - column[:, None, :]).clamp_min_(0)
        self.flat.index_add_(0, cell.reshape(-1), product.reshape(-1))

    def freeze(self, columns: Tensor) -> None:
        """Take unknowns out: their rows and columns become those of the identity, their gradient zero."""
        self.gradient[columns] = 0
        band, lower = self.layout.band, self.lower
        inside, outside = columns[columns < band], columns[columns >= band] - band
        below = torch.arange(len(lower))[:, None]
        before = inside - below
        # What would lie before the first column falls into the spare cell.
        self.flat[torch.where(before >= 0, 1 + below * band + before, 0)] = 0
        lower[:, inside] = 0
        lower[0, inside] = 1
        self.coupling[:, inside] = 0
        self.coupling[outside] = 0
        self.border[outside] = 0
        self.border[:, outside] = 0
        self.border[outside, outside] = 1

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
            return torch.from_numpy(_positive_solve(border, right))
        lower[0] += damping[:band].numpy()
        ends = _chain_ends(lower)
        factor = scipy.linalg.cholesky_banded(lower, overwrite_ab=True, lower=True, check_finite=False)
        coupling = self.coupling.numpy()
        shared = np.zeros(len(border))
        if len(border):
            reduced = right[band:].copy()
            for start, stop in itertools.pairwise((0, *ends)):
                touched = np.flatnonzero(coupling[:, start:stop].any(1))
                if not len(touched):
                    continue
                columns = np.concatenate([right[None, start:stop], coupling[touched, start:stop]]).T
                gram = _gram(factor[:, start:stop], columns)
                border[np.ix_(touched, touched)] -= gram[1:, 1:]
                reduced[touched] -= gram[1:, 0]
            shared = _positive_solve(border, reduced)
        inner = scipy.linalg.cho_solve_banded((factor, True), right[:band] - coupling.T @ shared, check_finite=False)
        return torch.from_numpy(np.concatenate([inner, shared]))


def _chain_ends(lower: Float[np.ndarray, "bandwidth band"]) -> list[int]:
    """Where the band falls apart into parts that do not touch each other: one past the last column of each part."""
    columns = np.arange(lower.shape[1])
    last = columns + len(lower) - 1 - (lower[::-1] != 0).argmax(0)
    return (np.flatnonzero(np.maximum.accumulate(last) == columns) + 1).tolist()


def _positive_solve(matrix: Float[np.ndarray, "n n"], right: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """By Cholesky, which refuses every matrix that is not positive definite (`scipy.linalg.solve` takes some)."""
    return scipy.linalg.cho_solve(scipy.linalg.cho_factor(matrix, lower=True, check_finite=False), right)


def _gram(
    factor: Float[np.ndarray, "bandwidth band"], columns: Float[np.ndarray, "band n"], block: int = 96
) -> Float[np.ndarray, "n n"]:
    """(L^-1 columns)' (L^-1 columns) for a band Cholesky factor L, block by block; a column costs nothing before its first
    entry that is not zero. With hundreds of columns far faster than LAPACK's tbtrs."""
    reach, size = factor.shape
    first = (columns != 0).argmax(0)
    order = np.argsort(first, kind="stable")
    first, out = first[order], columns[:, order]
    gram = np.zeros((len(order), len(order)))
    for start in range(0, size, block):
        stop, low = min(start + block, size), max(0, start - reach + 1)
        begun = int(np.searchsorted(first, stop))
        across = np.arange(low, stop)[:, None]
        down = np.arange(start, stop) - across
        inside = (down >= 0) & (down < reach)
        panel = np.where(inside, factor[np.where(inside, down, 0), across], 0.0).T
        rows = out[start:stop, :begun] - panel[:, : start - low] @ out[low:start, :begun]
        rows = scipy.linalg.solve_triangular(panel[:, start - low :], rows, lower=True, check_finite=False)
        out[start:stop, :begun] = rows
        gram[:begun, :begun] += rows.T @ rows
    back = np.argsort(order)
    return gram[np.ix_(back, back)]


def _accumulate(into: Tensor, product: Tensor, rows: Tensor, columns: Tensor) -> None:
    """Add products (items, m, n) to the entries (rows[m], columns[n]) of a matrix."""
    flat = rows[:, :, None] * into.shape[1] + columns[:, None, :]
    into.view(-1).index_add_(0, flat.reshape(-1), product.reshape(-1))


def bandwidth_of(layout: Layout, linearized: Sequence[Linearized]) -> int:
    """Number of diagonals (main one included) that the blocks of all terms fill."""
    widest = 1
    for part in linearized:
        spans = [
            (layout.starts(b), b.jacobian.shape[-1])
            for b in part.blocks
            if b.variable in layout.columns and len(b.rows) and int(layout.starts(b).min()) < layout.band
        ]
        if spans:
            high = torch.stack([start + size for start, size in spans]).max(0).values
            low = torch.stack([start for start, _ in spans]).min(0).values
            widest = max(widest, int((high - low).max()))
    return min(widest, max(layout.band, 1))
