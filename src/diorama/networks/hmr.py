"""The decoder of HMR 2.0, VIMO and CameraHMR: one query per person looks at the tokens of the crop.

Goel et al. 2023 (arXiv:2305.20091), Patel et al. 2024 (arXiv:2411.08128). Parameter names are those of the published
checkpoints' `smpl_head`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize, scaled_dot_product_attention

JOINTS = 24
POSE = 6 * JOINTS
SHAPE = 10
CAMERA = 3


@dataclass(frozen=True)
class HmrConfig:
    """Sizes of the decoder.

    Attributes:
        context: channels of the crop's tokens.
        conditioned: the query is made of the box (3 numbers), the mean pose, shape and camera (CameraHMR, UniSH); else
            of one zero (HMR 2.0, VIMO).
        camera: read out a weak-perspective camera too.
        keypoints: further numbers to read out (CameraHMR: 88).
    """

    context: int = 1280
    width: int = 1024
    depth: int = 6
    heads: int = 8
    head_channels: int = 64
    mlp: int = 1024
    conditioned: bool = True
    camera: bool = False
    keypoints: int = 0

    @property
    def query(self) -> int:
        """Numbers from which the query is made."""
        return CAMERA + POSE + SHAPE + CAMERA if self.conditioned else 1


@dataclass(frozen=True)
class HmrOutput:
    """One person per row.

    Attributes:
        token: the query after the decoder; UniSH's F_hmr.
        rotations: 24 rotations relative to the parent joint, the first relative to the camera.
        betas: SMPL's shape.
        camera: weak-perspective scale and shift in the crop, mean added; None if not read out.
        keypoints: None if not read out.
    """

    token: Float[Tensor, "people width"]
    rotations: Float[Tensor, "people 24 3 3"]
    betas: Float[Tensor, "people 10"]
    camera: Float[Tensor, "people 3"] | None
    keypoints: Float[Tensor, "people numbers"] | None


def rotation_of_6d(six: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Zhou et al. 2019 (arXiv:1812.07035): the first three numbers are column 1, the next three column 2, after
    Gram-Schmidt; column 3 is their cross product."""
    first = normalize(six[..., :3], dim=-1)
    second = six[..., 3:] - (first * six[..., 3:]).sum(-1, keepdim=True) * first
    second = normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)


class PreNorm(nn.Module):
    """LayerNorm (eps 1e-5) of the query stream before a layer."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-5)
        self.fn = fn

    def forward(self, tokens: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(tokens), *context)


class QueryAttention(nn.Module):
    """Self-attention of the queries, or attention to a context; no biases before, one after."""

    def __init__(self, config: HmrConfig, context: int | None = None) -> None:
        super().__init__()
        self.heads = config.heads
        inner = config.heads * config.head_channels
        if context is None:
            self.to_qkv = nn.Linear(config.width, 3 * inner, bias=False)
        else:
            self.to_kv = nn.Linear(context, 2 * inner, bias=False)
            self.to_q = nn.Linear(config.width, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, config.width))

    def forward(self, queries: Tensor, *context: Tensor) -> Tensor:
        if context:
            parts = (self.to_q(queries), *self.to_kv(context[0]).chunk(2, -1))
        else:
            parts = self.to_qkv(queries).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.to_out(scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two linear layers with the exact GELU; the places 2 and 4 are the checkpoints' dropout (0)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        layers = [nn.Linear(width, inner), nn.GELU(), nn.Identity(), nn.Linear(inner, width), nn.Identity()]
        self.net = nn.Sequential(*layers)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.net(tokens)


class QueryLayers(nn.Module):
    """Per layer: self-attention, attention to the crop's tokens (not normalised again), MLP; no norm at the end."""

    def __init__(self, config: HmrConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.ModuleList(self._layer(config)) for _ in range(config.depth)])

    @staticmethod
    def _layer(config: HmrConfig) -> list[nn.Module]:
        parts = [
            QueryAttention(config),
            QueryAttention(config, config.context),
            FeedForward(config.width, config.mlp),
        ]
        return [PreNorm(config.width, part) for part in parts]

    def forward(self, queries: Tensor, context: Tensor) -> Tensor:
        for layer in self.layers:
            itself, crop, mlp = layer.children()
            queries = queries + itself(queries)
            queries = queries + crop(queries, context)
            queries = queries + mlp(queries)
        return queries


class QueryDecoder(nn.Module):
    """Numbers to a query, a learned embedding added, then the layers."""

    def __init__(self, config: HmrConfig) -> None:
        super().__init__()
        self.pos_embedding = nn.Parameter(torch.randn(1, 1, config.width))
        self.to_token_embedding = nn.Linear(config.query, config.width)
        self.transformer = QueryLayers(config)

    def forward(
        self, numbers: Float[Tensor, "people numbers"], context: Float[Tensor, "people patches channels"]
    ) -> Float[Tensor, "people width"]:
        query = self.to_token_embedding(numbers)[:, None] + self.pos_embedding
        return self.transformer(query, context)[:, 0]


class HmrHead(nn.Module):
    """Tokens of crops to pose and shape: each read-out is linear and added to a mean.

    The means travel in the checkpoint (buffers `init_*`). The published mean pose was written for a layout in which the
    two columns are interleaved; decoded as here it is not the mean pose (its root turns by 90 degrees about x). It is a
    constant, so nothing is lost. Without a checkpoint the means are the identity pose, zero shape, and the camera
    (1, 0, 0) (a choice).
    """

    init_body_pose: Tensor
    init_betas: Tensor
    init_cam: Tensor

    def __init__(self, config: HmrConfig) -> None:
        super().__init__()
        self.config = config
        register_means(self)
        self.transformer = QueryDecoder(config)
        self.decpose = nn.Linear(config.width, POSE)
        self.decshape = nn.Linear(config.width, SHAPE)
        self.deccam = nn.Linear(config.width, CAMERA) if config.camera else None
        self.deckp = nn.Linear(config.width, config.keypoints) if config.keypoints else None
        # A small start, as in HMR, so that a new network begins near the mean.
        for layer in (self.decpose, self.decshape):
            nn.init.xavier_uniform_(layer.weight, gain=0.01)

    def forward(
        self,
        context: Float[Tensor, "people patches channels"],
        bbox_info: Float[Tensor, "people 3"] | None = None,
    ) -> HmrOutput:
        """One person per row.

        Args:
            context: tokens of the crops.
            bbox_info: (cx - W/2, cy - H/2, size) of the box in pixels of the picture, divided by the focal length in
                pixels; needed where the query is conditioned.

        Raises:
            ValueError: the query is conditioned, and there is no bbox_info.
        """
        token = self.transformer(self._query(context, bbox_info), context)
        pose = self.init_body_pose + self.decpose(token)
        return HmrOutput(
            token=token,
            rotations=rotation_of_6d(pose.unflatten(-1, (JOINTS, 6))),
            betas=self.init_betas + self.decshape(token),
            camera=None if self.deccam is None else self.init_cam + self.deccam(token),
            keypoints=None if self.deckp is None else self.deckp(token),
        )

    def _query(self, context: Tensor, bbox_info: Tensor | None) -> Tensor:
        people = len(context)
        if not self.config.conditioned:
            return context.new_zeros(people, self.config.query)
        if bbox_info is None:
            raise ValueError("a conditioned query needs bbox_info")
        means = torch.cat([self.init_body_pose, self.init_betas, self.init_cam], -1)
        return torch.cat([bbox_info.to(means.dtype), means.expand(people, -1)], -1)


def register_means(module: nn.Module) -> None:
    """The buffers of mean pose (6D), shape and camera that the checkpoints hold."""
    module.register_buffer("init_body_pose", torch.tensor([1.0, 0, 0, 0, 1, 0]).repeat(1, JOINTS))
    module.register_buffer("init_betas", torch.zeros(1, SHAPE))
    module.register_buffer("init_cam", torch.tensor([[1.0, 0, 0]]))
