"""Shape numbers of the free body for a wanted stature: children by age, adults by the height phenotype."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.model import BodyModel
from diorama.body.phenotypes import ANCHORS, PHENOTYPES
from diorama.errors import DioramaError

YOUNG_ADULT = 2 / 3
# Below this stature a person of unknown age is taken for a child; short adults are rarer than children.
ADULT_FROM_METRES = 1.45
_AGE, _HEIGHT = PHENOTYPES.index("age"), PHENOTYPES.index("height")
_AVERAGE = 0.5


def betas_for_stature(
    body: BodyModel,
    stature_metres: float,
    *,
    age: float | None = None,
    gender: float = _AVERAGE,
    muscle: float = _AVERAGE,
    weight: float = _AVERAGE,
    proportions: float = _AVERAGE,
) -> Float[Tensor, " 6"]:
    """Phenotypes of a free body that stands `stature_metres` tall in the T-pose.

    Stature is linear in the height phenotype and piecewise linear in age, so the answer is exact. With unknown age,
    1.45 m and taller is a young adult whose height phenotype varies; smaller is a child of average height for an age
    that varies.

    Args:
        stature_metres: from 0.70 m to 2.2 m; what exactly is possible depends on the other phenotypes.
        age: fixes the age phenotype (0 baby, 1/3 child, 2/3 young adult, 1 old).

    Raises:
        DioramaError: no such body; the message names the possible range.
    """
    start = torch.tensor([gender, YOUNG_ADULT if age is None else age, muscle, weight, _AVERAGE, proportions])
    start = start.to(body.default_betas)
    if age is None and stature_metres < ADULT_FROM_METRES:
        return _solve(body, start, _AGE, ANCHORS["age"][:3], stature_metres)
    return _solve(body, start, _HEIGHT, ANCHORS["height"], stature_metres)


def _solve(
    body: BodyModel, start: Float[Tensor, " 6"], index: int, knots: tuple[float, ...], wanted: float
) -> Float[Tensor, " 6"]:
    """Set one phenotype so that the stature, linear between the knots, is the wanted one."""
    tries = start.repeat(len(knots), 1)
    tries[:, index] = torch.tensor(knots).to(start)
    statures = [float(body.stature(betas)) for betas in tries]
    if not statures[0] <= wanted <= statures[-1]:
        raise DioramaError(
            f"no body of {wanted:.2f} m with these phenotypes (possible: {statures[0]:.2f} to {statures[-1]:.2f} m)",
            where="stature",
            fix="give another stature or leave the age open",
        )
    cell = max(i for i in range(len(knots) - 1) if statures[i] <= wanted)
    share = (wanted - statures[cell]) / (statures[cell + 1] - statures[cell])
    betas = start.clone()
    betas[index] = knots[cell] + share * (knots[cell + 1] - knots[cell])
    return betas
