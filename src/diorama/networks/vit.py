"""Vision transformers: DINOv2 (Oquab et al. 2023, arXiv:2304.07193; registers arXiv:2309.16588) and ViTPose's backbone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from diorama.errors import DioramaError
from diorama.networks.blocks import Block, start_linear_layers

IMAGE_MEAN = (0.485, 0.456, 0.406)  # ImageNet, RGB in [0, 1]
IMAGE_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class DinoConfig:
    """A DINOv2 ViT with patches of 14 px.

    Attributes:
        registers: extra tokens without a position; 4 in the "reg4" models that Pi3 uses, 0 in MoGe's.
        table: side of the learned grid of positions (37: pictures of 518 px).
        antialias, offset: how that grid is resized. Offset 0 resizes by size; MoGe's models resize without antialias by
            the factor (side + 0.1) / 37.
        mask_token: whether the (unused) training token is in the checkpoint.
    """

    width: int
    depth: int
    heads: int
    registers: int = 4
    patch: int = 14
    table: int = 37
    antialias: bool = True
    offset: float = 0.0
    mask_token: bool = False

    @classmethod
    def large(cls) -> DinoConfig:
        """ViT-L/14 with 4 registers: Pi3's encoder."""
        return cls(1024, 24, 16)

    @classmethod
    def base(cls) -> DinoConfig:
        """ViT-B/14 with 4 registers."""
        return cls(768, 12, 12)

    @classmethod
    def small(cls) -> DinoConfig:
        """ViT-S/14 with 4 registers."""
        return cls(384, 12, 6)

    @classmethod
    def tiny(cls) -> DinoConfig:
        """For tests: random weights, milliseconds."""
        return cls(64, 2, 2)


class PatchEmbedding(nn.Module):
    """Pictures to tokens, row by row: one convolution whose stride is its size."""

    def __init__(self, width: int, patch: int, *, padding: int = 0) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch, padding=padding)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patches channels"]:
        return self.proj(images).flatten(2).transpose(1, 2)


class DinoViT(nn.Module):
    """DINOv2: class token, registers and patches through pre-norm blocks with LayerScale, then a LayerNorm (eps 1e-6).

    Takes pictures that are normalised already (`IMAGE_MEAN`, `IMAGE_STD`), sides multiples of the patch.
    """

    def __init__(self, config: DinoConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, config.table**2 + 1, width))
        if config.registers:
            self.register_tokens = nn.Parameter(torch.empty(1, config.registers, width))
            nn.init.normal_(self.register_tokens, std=1e-6)
        if config.mask_token:
            self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbedding(width, config.patch)
        blocks = [Block(width, config.heads, layer_scale=1.0) for _ in range(config.depth)]
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.normal_(self.cls_token, std=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        start_linear_layers(self)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patches channels"]:
        """Normalised patch tokens, row by row; class token and registers are dropped."""
        return self.taps(images, [self.config.depth - 1])[0][:, 1:]

    def taps(
        self, images: Float[Tensor, "batch 3 height width"], blocks: Sequence[int]
    ) -> list[Float[Tensor, "batch tokens channels"]]:
        """Outputs of the named blocks (from 0), each through the last norm: class token first, then the patches."""
        tokens, found = self._embedded(images), []
        for index, block in enumerate(self.blocks):
            tokens = block(tokens)
            if index in blocks:
                normed = self.norm(tokens)
                found.append(torch.cat([normed[:, :1], normed[:, 1 + self.config.registers :]], 1))
        return found

    def _embedded(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        check_sides(height, width, self.config.patch)
        patches = self.patch_embed(images)
        rows, columns = height // self.config.patch, width // self.config.patch
        first = self.cls_token.expand(len(images), -1, -1)
        tokens = torch.cat([first, patches], 1) + self._positions(rows, columns).to(patches.dtype)
        if not self.config.registers:
            return tokens
        registers = self.register_tokens.expand(len(images), -1, -1)
        return torch.cat([tokens[:, :1], registers.to(tokens.dtype), tokens[:, 1:]], 1)

    def _positions(self, rows: int, columns: int) -> Tensor:
        """The learned table at this grid; its first axis are the rows."""
        side, offset = self.config.table, self.config.offset
        if rows == columns == side:
            return self.pos_embed
        table = self.pos_embed.float()
        grid = table[:, 1:].unflatten(1, (side, side)).permute(0, 3, 1, 2)
        if offset:
            factors = ((rows + offset) / side, (columns + offset) / side)
            grid = interpolate(grid, scale_factor=factors, mode="bicubic", antialias=self.config.antialias)
        else:
            grid = interpolate(grid, size=(rows, columns), mode="bicubic", antialias=self.config.antialias)
        return torch.cat([table[:, :1], grid.flatten(2).transpose(1, 2)], 1)


def check_sides(height: int, width: int, patch: int) -> None:
    """Refuse pictures that patches do not fill.

    Raises:
        DioramaError: a side is no multiple of the patch, or smaller than one patch.
    """
    if height < patch or width < patch or height % patch or width % patch:
        raise DioramaError(
            f"pictures of {width}x{height} px cannot be cut into patches of {patch} px",
            where="images",
            fix=f"resize them so that both sides are multiples of {patch}",
        )


@dataclass(frozen=True)
class PoseViTConfig:
    """ViTPose's backbone on crops of 256 x 192 px, patches of 16 px: 16 x 12 tokens.

    Attributes:
        drop_path: stochastic depth in training, rising linearly from 0 in the first block to this in the last.
    """

    width: int
    depth: int
    heads: int
    drop_path: float = 0.0
    patch: int = 16
    height: int = 256
    crop_width: int = 192

    @classmethod
    def huge(cls) -> PoseViTConfig:
        """ViT-H: CameraHMR, HMR 2.0, VIMO and the release of UniSH."""
        return cls(1280, 32, 16, 0.55)

    @classmethod
    def base(cls) -> PoseViTConfig:
        """ViT-B: what UniSH's text says. Its stochastic depth is a choice of ours."""
        return cls(768, 12, 12, 0.3)

    @classmethod
    def small(cls) -> PoseViTConfig:
        """ViT-S, a size of ours."""
        return cls(384, 12, 6, 0.1)

    @classmethod
    def tiny(cls) -> PoseViTConfig:
        """For tests: random weights, milliseconds."""
        return cls(32, 2, 2)


class PoseViT(nn.Module):
    """ViTPose's backbone (Xu et al. 2022, arXiv:2204.12484): no class token, a LayerNorm (eps 1e-6) at the end."""

    def __init__(self, config: PoseViTConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        patches = (config.height // config.patch) * (config.crop_width // config.patch)
        self.pos_embed = nn.Parameter(torch.empty(1, patches + 1, width))
        # Zero padding of 2 px leaves the grid at 16 x 12 and shifts every patch by 2 px.
        self.patch_embed = PatchEmbedding(width, config.patch, padding=2)
        rates = torch.linspace(0, config.drop_path, config.depth, device="cpu").tolist()
        self.blocks = nn.ModuleList([Block(width, config.heads, drop_path=rate) for rate in rates])
        self.last_norm = nn.LayerNorm(width, eps=1e-6)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        start_linear_layers(self)

    def forward(self, crops: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch patches channels"]:
        """Normalised tokens, row by row; `crops` are 256 x 192 px."""
        # The entry of the class token that is not there is added to every patch, as in the checkpoints' training.
        tokens = self.patch_embed(crops) + (self.pos_embed[:, 1:] + self.pos_embed[:, :1])
        for block in self.blocks:
            tokens = block(tokens)
        return self.last_norm(tokens)
