"""Band and border against the dense system of random problems, and the block-wise triangular solve against LAPACK."""

import numpy as np
import pytest
import scipy.linalg
import torch

from diorama.geometry.rotations import exp_so3
from diorama.solver import Block, Condensed, CondensedTerm, Linearized, LMConfig, Span, Term, Variable, solve
from diorama.solver.banded import Layout, NormalEquations, _chain_ends, _gram, bandwidth_of
from diorama.solver.levenberg_marquardt import _linearize


class RandomProblem:
    """Two variables in the band whose slots are mixed, rotations among them; two in the border; random blocks.

    `rows` of the band variables and of the border; either may be none. A constant that blocks name is no variable.
    """

    def __init__(self, seed, band_rows, border_rows):
        self.rng = np.random.default_rng(seed)
        slots = torch.from_numpy(self.rng.permutation(2 * band_rows))
        band = [
            Variable("path", slots[:band_rows], free=self._free(2)),
            Variable("turn", slots[band_rows:], rotations=True, free=self._free(6)),
        ]
        border = [Variable("scale", free=self._free(3)), Variable("camera", rotations=True)]
        values = {
            "path": self._normal(band_rows, 2), "turn": exp_so3(self._normal(band_rows, 2, 3)),
            "scale": self._normal(border_rows, 3), "camera": exp_so3(self._normal(border_rows, 1, 3)),
            "constant": self._normal(4, 2),
        }  # fmt: skip
        self.variables = (band if band_rows else []) + (border if border_rows else [])
        self.values = values
        self.tangents = {
            name: 3 * v.shape[1] if name in ("turn", "camera") else v.shape[1] for name, v in values.items()
        }
        self.layout = Layout.of(self.variables, values)
        self.parts = [self._term(names) for names in self._choices()]
        self.condensed = [self._condensed() for _ in range(2 if border_rows else 0)]

    def _choices(self):
        names = [v.name for v in self.variables]
        for _ in range(7):
            count = self.rng.integers(1, len(names) + 1)
            chosen = list(self.rng.choice(names, count, replace=False))
            yield [*chosen, chosen[0], "constant"]
        yield from ([name, "constant"] for name in names)

    def _normal(self, *shape):
        return torch.from_numpy(self.rng.normal(size=shape))

    def _free(self, count):
        """Some entries may not move, one at least, and one at least may."""
        free = (self.rng.random(count) > 0.3).astype(float)
        free[self.rng.permutation(count)[:2]] = 0, 1
        return torch.from_numpy(free)

    def _term(self, names):
        """A random linearised residual of several items: some blocks are narrow, some name one row twice."""
        items, groups, size = int(self.rng.integers(2, 9)), int(self.rng.integers(1, 3)), int(self.rng.integers(1, 4))
        anchor = self.rng.integers(0, 2**31, items)
        blocks = []
        for name in names:
            count, tangent = len(self.values[name]), self.tangents[name]
            # Neighbours in time, so that the band stays narrow.
            rows = torch.from_numpy((anchor + self.rng.integers(0, 3, items)) % count)
            first, width = None, tangent
            if tangent == 6 and self.rng.random() < 0.5:
                first, width = torch.from_numpy(3 * self.rng.integers(0, 2, items)), 3
            blocks.append(Block(name, rows, self._normal(items, groups, size, width), first))
        weight = torch.from_numpy(self.rng.random((items, groups)))
        return Linearized(self._normal(items, groups, size), blocks), weight

    def _condensed(self):
        items = 3
        spans = []
        for name, width, first in (("scale", 2, 1), ("camera", 3, 0), ("scale", 3, 0)):
            rows = torch.from_numpy(self.rng.integers(0, len(self.values[name]), items))
            spans.append(Span(name, rows, width, first))
        root = self._normal(items, 8, 8)
        return Condensed(self._normal(items, 8), root.mT @ root, spans)

    def equations(self):
        out = NormalEquations.empty(self.layout, bandwidth_of(self.layout, [part for part, _ in self.parts]))
        for part, weight in self.parts:
            out.add(part, weight)
        for part in self.condensed:
            out.add_condensed(part)
        return out

    def dense(self):
        """Gradient and Hessian, entry by entry."""
        total = self.layout.total
        gradient, hessian = np.zeros(total), np.zeros((total, total))
        for part, weight in self.parts:
            for item in range(len(weight)):
                for group in range(weight.shape[1]):
                    jacobian = np.zeros((part.residual.shape[2], total))
                    for block in part.blocks:
                        if block.variable in self.layout.columns:
                            start = int(self.layout.columns[block.variable][block.rows[item]])
                            start += 0 if block.first is None else int(block.first[item])
                            jacobian[:, start : start + block.jacobian.shape[-1]] += block.jacobian[item, group].numpy()
                    gradient += float(weight[item, group]) * jacobian.T @ part.residual[item, group].numpy()
                    hessian += float(weight[item, group]) * jacobian.T @ jacobian
        for part in self.condensed:
            for item in range(len(part.gradient)):
                index = np.concatenate([
                    int(self.layout.columns[s.variable][s.rows[item]]) + s.first + np.arange(s.width) for s in part.spans
                ])  # fmt: skip
                np.add.at(gradient, index, part.gradient[item].numpy())
                np.add.at(hessian, (index[:, None], index[None]), part.hessian[item].numpy())
        return gradient, hessian

    def frozen(self):
        """Columns that are not free."""
        columns = [
            (self.layout.columns[v.name][:, None] + torch.nonzero(v.free == 0)[:, 0]).reshape(-1)
            for v in self.variables if v.free is not None
        ]  # fmt: skip
        return torch.cat(columns)


SIZES = [(0, 1, 1), (1, 5, 2), (2, 9, 3), (3, 40, 1), (4, 7, 0), (5, 30, 0), (6, 0, 2), (7, 0, 5)]


@pytest.mark.parametrize(("seed", "band", "border"), SIZES)
def test_the_step_is_that_of_the_dense_system(seed, band, border):
    problem = RandomProblem(seed, band, border)
    gradient, hessian = problem.dense()
    damping = 0.1 + problem.rng.random(len(gradient))
    equations = problem.equations()
    np.testing.assert_allclose(equations.gradient, gradient, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(equations.diagonal(), hessian.diagonal(), rtol=1e-10, atol=1e-10)
    step = equations.solve(torch.from_numpy(damping)).numpy()
    expected = -np.linalg.solve(hessian + np.diag(damping), gradient)
    np.testing.assert_allclose(step, expected, rtol=1e-7, atol=1e-9)
    again = equations.solve(torch.from_numpy(damping)).numpy()
    np.testing.assert_array_equal(step, again)


@pytest.mark.parametrize(("seed", "band", "border"), SIZES)
def test_frozen_entries_stay_and_the_others_step_as_if_they_were_constants(seed, band, border):
    problem = RandomProblem(seed, band, border)
    gradient, hessian = problem.dense()
    frozen, total = problem.frozen().numpy(), len(gradient)
    free = np.setdiff1d(np.arange(total), frozen)
    assert len(frozen) and len(free)
    damping = 0.1 + problem.rng.random(total)
    equations = problem.equations()
    equations.freeze(torch.from_numpy(frozen))
    step = equations.solve(torch.from_numpy(damping)).numpy()
    expected = np.zeros(total)
    expected[free] = -np.linalg.solve((hessian + np.diag(damping))[np.ix_(free, free)], gradient[free])
    np.testing.assert_allclose(step, expected, rtol=1e-7, atol=1e-9)
    assert (step[frozen] == 0).all()


@pytest.mark.parametrize(("seed", "band", "border"), SIZES)
def test_terms_reach_the_same_equations_through_the_solver(seed, band, border):
    """With squared losses; a condensed term after ordinary ones, constants among the values."""
    problem = RandomProblem(seed, band, border)
    terms = [Term(f"{n}", lambda v, j, p=part: p) for n, (part, _) in enumerate(problem.parts)]
    terms += [CondensedTerm("condensed", lambda v: torch.zeros(()), lambda v: problem.condensed)]
    problem.parts = [(part, torch.ones_like(weight)) for part, weight in problem.parts]
    gradient, hessian = problem.dense()
    found = _linearize(problem.variables, problem.layout, terms, problem.values)
    free = np.setdiff1d(np.arange(len(gradient)), problem.frozen().numpy())
    np.testing.assert_allclose(found.gradient[free], gradient[free], rtol=1e-10, atol=1e-10)
    step = found.solve(torch.full((len(gradient),), 0.5, dtype=torch.float64)).numpy()
    damped = (hessian + 0.5 * np.eye(len(gradient)))[np.ix_(free, free)]
    np.testing.assert_allclose(step[free], -np.linalg.solve(damped, gradient[free]), rtol=1e-7, atol=1e-9)


def test_the_band_is_as_wide_as_what_is_tied_and_no_wider():
    path = Variable("path", slots=torch.arange(50))
    layout = Layout.of([path], {"path": torch.zeros(50, 3).double()})

    def tie(*rows):
        return Linearized(
            torch.zeros(1, 1, 1).double(),
            [Block("path", torch.tensor([r]), torch.ones(1, 1, 1, 3).double()) for r in rows],
        )

    assert bandwidth_of(layout, [tie(4)]) == 3
    assert bandwidth_of(layout, [tie(4), tie(9, 8), tie(20, 24)]) == 15
    nothing = Linearized(
        torch.zeros(0, 1, 1).double(), [Block("path", torch.zeros(0).long(), torch.zeros(0, 1, 1, 3).double())]
    )
    assert bandwidth_of(layout, [nothing]) == 1
    assert bandwidth_of(layout, []) == 1


@pytest.mark.parametrize(("seed", "size", "reach", "columns"), [
    (0, 1, 1, 1), (1, 5, 2, 3), (2, 96, 10, 2), (3, 97, 10, 2), (4, 250, 1, 4), (5, 200, 120, 3), (6, 300, 97, 1),
    (7, 40, 40, 2),
])  # fmt: skip
def test_products_of_blockwise_forward_solves_equal_lapacks(seed, size, reach, columns):
    rng = np.random.default_rng(seed)
    down = np.arange(size)[:, None] - np.arange(size)
    lower = np.where((down >= 0) & (down < reach), 0.3 * rng.normal(size=(size, size)) / np.sqrt(reach), 0)
    np.fill_diagonal(lower, 1 + rng.random(size))
    factor = np.zeros((reach, size))
    for below in range(reach):
        factor[below, : size - below] = lower.diagonal(-below)
    # LAPACK leaves what lies outside the matrix as it was.
    for below in range(1, reach):
        factor[below, size - below :] = np.nan
    right = rng.normal(size=(size, columns))
    for column, start in enumerate(rng.integers(0, size, columns)):
        right[:start, column] = 0
    half = scipy.linalg.solve_triangular(lower, right, lower=True)
    expected = half.T @ half
    np.testing.assert_allclose(_gram(np.nan_to_num(factor, nan=7.0), right), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(_gram(factor, right, block=17), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_chains_end_where_the_band_falls_apart(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 9, 6)
    dense = scipy.linalg.block_diag(*(np.ones((size, size)) for size in sizes))
    band = np.zeros((8, len(dense)))
    for below in range(8):
        band[below, : len(dense) - below] = dense.diagonal(-below)
    assert _chain_ends(band) == np.cumsum(sizes).tolist()


def test_a_matrix_that_is_not_positive_definite_is_said():
    for names in (("band",), ("band", "border"), ("border",)):
        variables = [Variable(n, torch.arange(1) if n == "band" else None) for n in names]
        values = {n: torch.zeros(1, 2).double() for n in names}
        layout = Layout.of(variables, values)
        equations = NormalEquations.empty(layout, 1)
        damping = torch.ones(layout.total).double()
        damping[-1] = -1
        with pytest.raises(np.linalg.LinAlgError):
            equations.solve(damping)


def test_unknowns_that_no_term_names_and_terms_without_items_do_no_harm():
    variables = [Variable("seen", torch.arange(2)), Variable("unseen", torch.arange(2)), Variable("shared")]
    values = {name: torch.zeros(2, 2).double() for name in ("seen", "unseen", "shared")}
    eye = torch.eye(2).double().expand(2, 1, 2, 2)

    def pull(values, with_jacobian):
        return Linearized((values["seen"] - 3)[:, None], [Block("seen", torch.arange(2), eye)] if with_jacobian else [])

    nothing = Term("nothing", lambda v, j: Linearized(torch.zeros(0, 1, 2).double()))
    solution = solve(variables, values, [Term("pull", pull), nothing], LMConfig(tolerance=1e-12))
    torch.testing.assert_close(solution.values["seen"], torch.full((2, 2), 3.0).double(), rtol=0, atol=1e-6)
    for name in ("unseen", "shared"):
        torch.testing.assert_close(solution.values[name], values[name], rtol=0, atol=0)
