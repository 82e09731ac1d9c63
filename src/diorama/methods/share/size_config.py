"""Settings of people's sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class SizeConfig:
    """Statures, for bodies that can have any (the free body).

    Attributes:
        told: heights by id, metres.
        measured: deviation of log stature by the maps (their scale, people's own depth).
        prior, believed: of log stature of bodies that do not know theirs, and of others'. Sizes are measured ones, drawn to
            the body's by these.
        measure: off: bodies keep their sizes, as in the paper.
    """

    told: Mapping[int, float] = field(default_factory=dict)
    measured: float = 0.03
    prior: float = 0.06
    believed: float = 0.05
    measure: bool = True
