"""The transformer block that DINOv2, ViTPose and Pi3 share: pre-norm attention and MLP, each with a residual.

Names of parameters are those of the published checkpoints.
"""

from __future__ import annotations

import contextlib

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from diorama.networks.rope import Rotary, rotate


class Attention(nn.Module):
    """Multi-head self-attention; optional LayerNorm of queries and keys per head (before they are turned)."""

    def __init__(self, width: int, heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        # eps 1e-5, the framework's default, unlike the 1e-6 of the blocks' own norms.
        self.q_norm = nn.LayerNorm(width // heads, eps=1e-5) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(width // heads, eps=1e-5) if qk_norm else nn.Identity()

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], table: Rotary | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        parts = self.qkv(tokens).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = self.q_norm(parts[0]), self.k_norm(parts[1]), parts[2]
        if table is not None:
            query, key = rotate(query, table), rotate(key, table)
        # Under autocast norms and tables are float32; attention is to run in the values' type.
        seen = scaled_dot_product_attention(query.to(value.dtype), key.to(value.dtype), value)
        return self.proj(seen.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two linear layers with the exact (erf) GELU between them."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, int(width * ratio))
        self.fc2 = nn.Linear(int(width * ratio), width)

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        return self.fc2(nn.functional.gelu(self.fc1(tokens)))


class LayerScale(nn.Module):
    """A learned factor per channel of a residual (Touvron et al. 2021, arXiv:2103.17239)."""

    def __init__(self, width: int, start: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), start))

    def forward(self, tokens: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch tokens width"]:
        return tokens * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block, LayerNorm eps 1e-6.

    Args:
        layer_scale: start of the residuals' factors; None leaves them out.
        drop_path: probability that a residual is left out for a sample in training (stochastic depth).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        ratio: float = 4.0,
        qk_norm: bool = False,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        scaled = layer_scale is not None
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads, qk_norm=qk_norm)
        self.ls1 = LayerScale(width, layer_scale) if scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width, ratio)
        self.ls2 = LayerScale(width, layer_scale) if scaled else nn.Identity()
        self.drop_path = drop_path

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], table: Rotary | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        tokens = tokens + self._dropped(self.ls1(self.attn(self.norm1(tokens), table)))
        return tokens + self._dropped(self.ls2(self.mlp(self.norm2(tokens))))

    def _dropped(self, residual: Tensor) -> Tensor:
        if not self.training or self.drop_path == 0:
            return residual
        kept = residual.new_empty(residual.shape[0], 1, 1).bernoulli_(1 - self.drop_path)
        return residual * kept / (1 - self.drop_path)


def start_linear_layers(module: nn.Module) -> None:
    """ViT's usual start: truncated normal of 0.02 for linear and convolution weights, zero biases."""
    for layer in module.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def full_precision(tensor: Tensor) -> contextlib.AbstractContextManager[object]:
    """Autocast off for what follows on this tensor's device: heads run in their parameters' own type."""
    if tensor.device.type == "meta":
        return contextlib.nullcontext()
    return torch.autocast(tensor.device.type, enabled=False)
