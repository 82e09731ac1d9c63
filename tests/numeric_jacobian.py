"""Derivatives of residual terms by finite differences, along random directions of every value that may matter."""

import torch

from diorama.solver import Variable


def assert_jacobian(term, values, variables, tolerance=1e-6, directions=6):
    """The blocks of a term are its derivatives, and by values that it has no block for it does not change.

    `variables` names the values that are no plain vectors; all others move by addition.
    """
    generator = torch.Generator().manual_seed(5)
    known = {v.name: v for v in variables}
    part = term.function(values, True)
    torch.testing.assert_close(part.residual, term.function(values, False).residual)
    assert {b.variable for b in part.blocks} <= set(values)
    for name in values:
        variable = known.get(name, Variable(name))
        for _ in range(directions):
            shape = len(values[name]), variable.tangent(values[name])
            direction = torch.randn(*shape, generator=generator, dtype=torch.float64)
            numeric = numeric_derivative(term, values, variable, direction)
            ours = along(part, name, direction)
            scale = max(1.0, float(torch.linalg.norm(numeric)))
            assert float(torch.linalg.norm(ours - numeric)) < tolerance * scale, (term.name, name)


def along(part, name, direction):
    """The derivative of a linearised residual along a direction of one value, by the blocks."""
    out = torch.zeros_like(part.residual)
    for block in part.blocks:
        if block.variable == name:
            width = block.jacobian.shape[-1]
            first = torch.zeros_like(block.rows) if block.first is None else block.first
            columns = first[:, None] + torch.arange(width)
            out = out + (block.jacobian @ direction[block.rows[:, None], columns][:, None, :, None])[..., 0]
    return out


def numeric_derivative(term, values, variable, direction, step=1e-6):
    """Central difference of the residual along a direction of the tangent space."""
    ends = []
    for signed in (step, -step):
        moved = variable.retract(values[variable.name], signed * direction)
        ends.append(term.function({**values, variable.name: moved}, False).residual)
    return (ends[0] - ends[1]) / (2 * step)
