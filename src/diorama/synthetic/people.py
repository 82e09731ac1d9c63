"""People of all ages drawn at random: shape numbers of the free body, and how they move."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from diorama.body.model import BodyModel
from diorama.body.stature import ADULT_FROM_METRES, YOUNG_ADULT, betas_for_stature
from diorama.synthetic.walk import Manner

# Median stature (metres) of girls and boys by age (WHO growth reference 2007, 5 to 19 years), and the usual spread.
_AGES = (5.0, 8.0, 11.0, 14.0, 17.0, 19.0)
_GIRLS = (1.096, 1.266, 1.450, 1.598, 1.629, 1.632)
_BOYS = (1.103, 1.273, 1.431, 1.632, 1.752, 1.765)
_SPREAD = 0.043
_SHORTEST, _TALLEST = 1.0, 2.02
# Phenotype of somebody of 75 years; the model's oldest (1.0) is about 90.
_AT_75 = 0.9


def random_person(
    rng: np.random.Generator, body: BodyModel, *, ages: tuple[float, float] = (6.0, 75.0)
) -> Float[Tensor, " 6"]:
    """Betas of the free body of somebody whose age (years) is drawn evenly from a range.

    Stature follows age and gender (children from about 1.05 m, men up to 2.02 m), with weight and muscle drawn beside
    it. Bodies below 1.45 m have a child's proportions, taller ones an adult's.
    """
    age = float(rng.uniform(*ages))
    woman = float(rng.uniform()) < 0.5
    median = float(np.interp(age, _AGES, _GIRLS if woman else _BOYS))
    stature = float(np.clip(median * (1 + rng.normal(0, _SPREAD)), _SHORTEST, _TALLEST))
    gender = float(np.clip((0.88 if woman else 0.12) + rng.normal(0, 0.08), 0, 1))
    weight, muscle = (float(v) for v in rng.uniform((0.3, 0.35), (0.7, 0.7)))
    old = float(np.interp(age, (20.0, 75.0), (YOUNG_ADULT, _AT_75)))
    phenotype = None if stature < ADULT_FROM_METRES else old
    return betas_for_stature(body, stature, age=phenotype, gender=gender, weight=weight, muscle=muscle)


def random_manner(rng: np.random.Generator) -> Manner:
    """How somebody moves: phase, length of steps, arms, and toes, all within what is common."""
    return Manner(
        phase=float(rng.uniform()),
        step_ratio=float(rng.uniform(0.38, 0.44)),
        toe_out=float(rng.uniform(0.03, 0.16)),
        track_width=float(rng.uniform(0.075, 0.11)),
        arm_swing=float(rng.uniform(0.22, 0.48)),
        elbow=float(rng.uniform(0.25, 0.5)),
        pelvis_yaw=float(rng.uniform(0.05, 0.10)),
        pelvis_roll=float(rng.uniform(0.03, 0.07)),
        lean=float(rng.uniform(0.02, 0.07)),
    )
