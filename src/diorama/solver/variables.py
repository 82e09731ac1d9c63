"""Unknowns of a problem: rows on a manifold, each row at a place in the order of time or in the shared border."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from diorama.geometry.rotations import exp_so3


@dataclass(frozen=True)
class Variable:
    """`slots` (rows,) sorts the rows of all variables into the band of the normal equations: rows whose slots are close
    may be tied by terms. Without slots the rows form the border: few unknowns that any term may touch.

    `rotations` true: each row is a stack of rotation matrices (k, 3, 3), changed as R <- R exp(delta), tangent 3 k.
    Otherwise each row is a vector, changed by addition. `free` marks tangent entries that may move (all by default).
    """

    name: str
    slots: Int[Tensor, " rows"] | None = None
    rotations: bool = False
    free: Float[Tensor, " tangent"] | None = None

    def tangent(self, value: Tensor) -> int:
        """Number of tangent entries of one row."""
        return 3 * value.shape[1] if self.rotations else value.shape[1]

    def retract(self, value: Tensor, delta: Float[Tensor, "rows tangent"]) -> Tensor:
        """The value moved by a tangent step."""
        if self.rotations:
            return value @ exp_so3(delta.reshape(*value.shape[:2], 3))
        return value + delta
