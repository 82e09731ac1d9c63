"""Robust losses rho(s) of the squared residual norm s = |r|^2, with the weights of iterated re-weighting, w = rho'(s)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@runtime_checkable
class RobustLoss(Protocol):
    """`rho(0) = 0`, `rho'(0) = 1`, so that all losses agree with least squares near zero."""

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]: ...

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]: ...


@dataclass(frozen=True)
class Squared:
    """rho(s) = s."""

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return squared

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return torch.ones_like(squared)


@dataclass(frozen=True)
class Huber:
    """Quadratic up to |r| = scale, linear beyond."""

    scale: float = 1.0

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        c = self.scale
        return torch.where(squared <= c * c, squared, 2 * c * squared.clamp_min(1e-30).sqrt() - c * c)

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return (self.scale / squared.clamp_min(1e-30).sqrt()).clamp_max(1.0)


@dataclass(frozen=True)
class GemanMcClure:
    """rho(s) = s / (1 + s / scale^2): residuals far beyond `scale` are ignored (Geman & McClure 1987)."""

    scale: float = 1.0

    def rho(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return squared / (1 + squared / self.scale**2)

    def weight(self, squared: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        return 1 / (1 + squared / self.scale**2) ** 2
