"""UniSH's AlignNet: from the scene's and the person's tokens to the metric scale of a clip and the person's places.

UniSH (arXiv:2601.01222), supplementary section 6.3. The queries, one for the scale and one per frame, look at all tokens
of the scene; rotary positions say which frame a token belongs to.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention, softplus

from diorama.networks.blocks import full_precision
from diorama.networks.hmr import register_means
from diorama.networks.rope import Rotary, rotary, rotate

TRAINED_FPS = 6.0  # supplementary section 7.1


@dataclass(frozen=True)
class AlignNetConfig:
    """Sizes.

    Attributes:
        scene: channels of the scene's tokens.
        human: channels of the person's tokens.
        registers: how many tokens at the start of a frame go through the adapter of registers.
        mlp: inner channels of the layers' MLP.
        table: positions that the release's table of angles holds; beyond it that table is stretched.
    """

    scene: int = 2048
    human: int = 1024
    width: int = 512
    heads: int = 8
    depth: int = 2
    mlp: int = 512
    registers: int = 5
    dropout: float = 0.1
    rope_base: float = 100.0
    table: int = 120

    @classmethod
    def full(cls) -> AlignNetConfig:
        """The published network: 7.9 M parameters."""
        return cls()

    @classmethod
    def base(cls) -> AlignNetConfig:
        """The same: in `UniSHConfig.base` only the human backbone is smaller, and its decoder's token as wide."""
        return cls.full()

    @classmethod
    def small(cls) -> AlignNetConfig:
        """For `UniSHConfig.small`, a size of ours."""
        return cls(scene=768, human=512, width=256, heads=4, mlp=256)

    @classmethod
    def tiny(cls) -> AlignNetConfig:
        """For tests: random weights, milliseconds."""
        return cls(scene=128, human=64, width=64, heads=2, mlp=64)


def _adapter(channels: int, config: AlignNetConfig) -> nn.Sequential:
    norm = nn.LayerNorm(channels, eps=1e-5)
    return nn.Sequential(norm, nn.Linear(channels, config.width), nn.ReLU(), nn.Dropout(config.dropout))


class AlignLayer(nn.Module):
    """Post-norm decoder layer with ReLU; rotary positions on queries and keys of both attentions."""

    def __init__(self, config: AlignNetConfig) -> None:
        super().__init__()
        width, self.heads = config.width, config.heads
        self.self_q_proj, self.self_k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.self_v_proj, self.self_out_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.cross_q_proj, self.cross_k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.cross_v_proj, self.cross_out_proj = nn.Linear(width, width), nn.Linear(width, width)
        layers = [nn.Linear(width, config.mlp), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.mlp, width)]
        self.feed_forward = nn.Sequential(*layers)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width, eps=1e-5) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        queries: Float[Tensor, "batch queries width"],
        scene: Float[Tensor, "batch tokens width"],
        query_table: Rotary,
        scene_table: Rotary,
    ) -> Float[Tensor, "batch queries width"]:
        parts = (self.self_q_proj(queries), self.self_k_proj(queries), self.self_v_proj(queries))
        seen = self.self_out_proj(self._attend(*parts, query_table, query_table))
        queries = self.norm1(queries + self.dropout(seen))
        parts = (self.cross_q_proj(queries), self.cross_k_proj(scene), self.cross_v_proj(scene))
        seen = self.cross_out_proj(self._attend(*parts, query_table, scene_table))
        queries = self.norm2(queries + self.dropout(seen))
        return self.norm3(queries + self.dropout(self.feed_forward(queries)))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, at_query: Rotary, at_key: Rotary) -> Tensor:
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        seen = scaled_dot_product_attention(rotate(query, at_query), rotate(key, at_key), value)
        return seen.transpose(1, 2).flatten(2)


class AlignNet(nn.Module):
    """See the module's text; runs in float32 (in its parameters' type) also under autocast."""

    def __init__(self, config: AlignNetConfig) -> None:
        super().__init__()
        self.config = config
        self.scale_token = nn.Parameter(0.02 * torch.randn(1, 1, config.width))
        # Not used; the published checkpoint holds them.
        register_means(self)
        self.cam_feature_adapter = _adapter(config.human, config)
        self.patch_feature_adapter = _adapter(config.scene, config)
        self.register_feature_adapter = _adapter(config.scene, config)
        self.decoder_layers = nn.ModuleList([AlignLayer(config) for _ in range(config.depth)])
        self.trans_head = nn.Linear(config.width, 3)
        self.scale_head = nn.Linear(config.width, 1)

    def forward(
        self,
        hidden: Float[Tensor, "batch frames tokens scene"],
        human: Float[Tensor, "batch frames human"],
        *,
        fps: float = TRAINED_FPS,
        release: bool = False,
    ) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch frames 3"]]:
        """Scale and places.

        Args:
            hidden: the scene's tokens, registers first in each frame.
            human: the person's token in each frame.
            fps: frames per second; positions are those at 6 per second, rounded (half to even).
            release: stretch the tables of angles linearly beyond 120 positions (20 s at 6 per second), as published.
                Not the default, because interpolated cosines and sines are no rotations: the angle between two frames
                then depends on where they are. Shorter clips are the same either way.

        Returns:
            The scale s (the metric mean distance of visible points from their cameras) and the person's camera-frame
            translation in the units of the scene's point map, (x, y) = raw (x, y) z with z = exp(raw z).
        """
        with full_precision(hidden):
            dtype, frames, tokens = self.scale_token.dtype, hidden.shape[1], hidden.shape[2]
            table = self._table(frames, fps, hidden.device, dtype, release)
            scene = self._adapted(hidden.to(dtype)).flatten(1, 2)
            scene_table = Rotary(table.cos.repeat_interleave(tokens, 0), table.sin.repeat_interleave(tokens, 0))
            start = self.scale_token.expand(len(hidden), -1, -1)
            queries = torch.cat([start, self.cam_feature_adapter(human.to(dtype))], 1)
            query_table = _behind_unturned(table)
            for layer in self.decoder_layers:
                queries = queries + layer(queries, scene, query_table, scene_table)
            raw = self.trans_head(queries[:, 1:])
            depth = raw[..., 2:].exp()
            scale = softplus(self.scale_head(queries[:, 0]))
            return scale, torch.cat([raw[..., :2] * depth, depth], -1)

    def _adapted(self, hidden: Tensor) -> Tensor:
        registers, patches = hidden[:, :, : self.config.registers], hidden[:, :, self.config.registers :]
        return torch.cat([self.register_feature_adapter(registers), self.patch_feature_adapter(patches)], 2)

    def _table(self, frames: int, fps: float, device: torch.device, dtype: torch.dtype, release: bool) -> Rotary:
        """Angles of each frame's position."""
        positions = (torch.arange(frames, device=device, dtype=torch.float32) * (TRAINED_FPS / fps)).round()
        channels, length = self.config.width // self.config.heads, round((frames - 1) * TRAINED_FPS / fps) + 1
        if not release or length <= self.config.table:
            return rotary(positions[:, None], channels, base=self.config.rope_base, dtype=dtype)
        steps = torch.arange(self.config.table, device=device, dtype=torch.float32)
        table = rotary(steps[:, None], channels, base=self.config.rope_base, dtype=dtype)
        rows = positions.long().clamp_max(length - 1)
        return Rotary(_stretched(table.cos, length)[rows], _stretched(table.sin, length)[rows])


def _stretched(table: Float[Tensor, "positions 1 frequencies"], length: int) -> Float[Tensor, "length 1 frequencies"]:
    """A table at another length by linear interpolation between centres (torch's default)."""
    return interpolate(table[:, 0].T[None], size=length, mode="linear", align_corners=False)[0].T[:, None]


def _behind_unturned(table: Rotary) -> Rotary:
    """The tables of the queries: the scale token is not turned."""
    cos, sin = torch.ones_like(table.cos[:1]), torch.zeros_like(table.sin[:1])
    return Rotary(torch.cat([cos, table.cos]), torch.cat([sin, table.sin]))
