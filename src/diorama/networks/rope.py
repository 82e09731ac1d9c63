"""Rotary position embedding over any number of axes: channels turn by angles proportional to a token's position.

Su et al. 2021 (arXiv:2104.09864), one share of the channels per axis. The scalar product of a turned query and a turned
key depends on the difference of their positions alone; position 0 leaves a token as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Rotary:
    """Cosines and sines of the angles of every token, one row per axis."""

    cos: Float[Tensor, "tokens axes frequencies"]
    sin: Float[Tensor, "tokens axes frequencies"]

    def repeat(self, times: int) -> Rotary:
        """The same tokens several times in a row: the tables of a clip from those of a frame."""
        return Rotary(self.cos.repeat(times, 1, 1), self.sin.repeat(times, 1, 1))


def rotary(
    positions: Float[Tensor, "tokens axes"],
    channels: int,
    *,
    base: float = 100.0,
    dtype: torch.dtype = torch.float32,
    rounded_angles: bool = False,
) -> Rotary:
    """Tables for heads of `channels` numbers; channels / axes / 2 frequencies base^(-2i / (channels / axes)).

    `rounded_angles` rounds the angles to `dtype` before their cosine is taken, as Pi3 does; in bfloat16 that moves a
    token at position 37 by up to 0.06 radians. Without it angles, cosines and sines are float32, then rounded.
    """
    share = channels // positions.shape[1]
    exponents = torch.arange(0, share, 2, device=positions.device, dtype=torch.float32) / share
    angles = positions.float()[..., None] * (1 / base**exponents)
    if rounded_angles:
        angles = angles.to(dtype)
    return Rotary(angles.cos().to(dtype), angles.sin().to(dtype))


def rotate(
    tokens: Float[Tensor, "batch heads tokens channels"], table: Rotary
) -> Float[Tensor, "batch heads tokens channels"]:
    """Turn queries or keys. Within an axis' share, channel i is paired with i + share / 2 ("half split")."""
    axes, frequencies = table.cos.shape[1:]
    first, second = tokens.unflatten(-1, (axes, 2, frequencies)).unbind(-2)
    turned = [first * table.cos - second * table.sin, second * table.cos + first * table.sin]
    return torch.stack(turned, -2).flatten(-3)


def grid_positions(rows: int, columns: int, *, registers: int, device: torch.device) -> Float[Tensor, "tokens 2"]:
    """Pi3's positions: registers at (0, 0), which turns nothing, then patches at (row + 1, column + 1), row by row."""
    row = torch.arange(1, rows + 1, device=device, dtype=torch.float32)
    column = torch.arange(1, columns + 1, device=device, dtype=torch.float32)
    patches = torch.stack(torch.meshgrid(row, column, indexing="ij"), -1).reshape(-1, 2)
    return torch.cat([patches.new_zeros(registers, 2), patches])
