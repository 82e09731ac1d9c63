"""The decoder block of two pictures that look at each other: CroCo v2 (Weinzaepfel et al. 2023, arXiv:2211.10408).

MASt3R has twelve per side, JOSH3R one per side. Names of parameters are those of the published checkpoints.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from diorama.networks.blocks import Attention, Mlp
from diorama.networks.rope import Rotary, rotary, rotate


class CrossAttention(nn.Module):
    """Tokens ask, a memory answers; queries and keys turn by their own positions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projq = nn.Linear(width, width)
        self.projk = nn.Linear(width, width)
        self.projv = nn.Linear(width, width)
        self.proj = nn.Linear(width, width)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        memory: Float[Tensor, "batch memory width"],
        table: Rotary,
        memory_table: Rotary,
    ) -> Float[Tensor, "batch tokens width"]:
        parts = self.projq(tokens), self.projk(memory), self.projv(memory)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        query, key = rotate(query, table).to(value.dtype), rotate(key, memory_table).to(value.dtype)
        seen = scaled_dot_product_attention(query, key, value)
        return self.proj(seen.transpose(1, 2).flatten(2))


class CrossBlock(nn.Module):
    """Self-attention, attention to the other picture's tokens (under a norm of their own), MLP; each a pre-norm residual.

    Args:
        eps: of the LayerNorms: 1e-6 in MASt3R, 1e-5 in JOSH3R.
    """

    def __init__(self, width: int, heads: int, *, eps: float) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, heads)
        self.cross_attn = CrossAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.norm3 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, 4.0)
        self.norm_y = nn.LayerNorm(width, eps=eps)

    def forward(
        self,
        tokens: Float[Tensor, "batch tokens width"],
        memory: Float[Tensor, "batch memory width"],
        table: Rotary,
        memory_table: Rotary,
    ) -> Float[Tensor, "batch tokens width"]:
        tokens = tokens + self.attn(self.norm1(tokens), table)
        tokens = tokens + self.cross_attn(self.norm2(tokens), self.norm_y(memory), table, memory_table)
        return tokens + self.mlp(self.norm3(tokens))


def patch_positions(rows: int, columns: int, device: torch.device) -> Float[Tensor, "tokens 2"]:
    """(row, column) of every patch from (0, 0), row by row."""
    row = torch.arange(rows, device=device, dtype=torch.float32)
    column = torch.arange(columns, device=device, dtype=torch.float32)
    return torch.stack(torch.meshgrid(row, column, indexing="ij"), -1).reshape(-1, 2)


def patch_table(grid: tuple[int, int], channels: int, device: torch.device, *, tokens: int = 0) -> Rotary:
    """Turns of a grid's patches for heads of `channels` numbers (base 100, row first), then of `tokens` at (-1, -1)."""
    positions = patch_positions(*grid, device)
    return rotary(torch.cat([positions, positions.new_full((tokens, 2), -1.0)]), channels)
