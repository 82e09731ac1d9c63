"""MASt3R (Leroy et al. 2024, arXiv:2406.09756): two pictures to points in the first one's camera, and descriptors.

A siamese encoder, and two decoders that look at each other. Every frame is encoded once, whatever the number of its pairs,
and heads run where points are wanted: `encode`, `decode`, `maps`. docs/josh3r_networks.md has shapes and sources.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from diorama.errors import DioramaError
from diorama.networks.blocks import Block, full_precision, start_linear_layers
from diorama.networks.cross_block import CrossBlock, patch_table
from diorama.networks.mast3r_head import DenseMaps, PairHead
from diorama.networks.pretrained import LoadOptions, Published, load_network, save_network
from diorama.networks.vit import PatchEmbedding, check_sides

MAST3R_LICENCE = "CC BY-NC-SA 4.0 (MASt3R, Naver; its training sets have terms of their own)"


@dataclass(frozen=True)
class MASt3RConfig:
    """Sizes.

    Attributes:
        widths, width: of DPT's maps, see `Dpt`.
        descriptor: numbers per descriptor.

    Raises:
        ValueError: the decoder has too few blocks for DPT's three depths.
    """

    encoder_width: int
    encoder_depth: int
    encoder_heads: int
    decoder_width: int
    decoder_depth: int
    decoder_heads: int
    widths: tuple[int, int, int, int] = (96, 192, 384, 768)
    width: int = 256
    descriptor: int = 24
    patch: int = 16

    def __post_init__(self) -> None:
        if len({*self.hooks, 0}) < 4:
            raise ValueError(f"a decoder of {self.decoder_depth} blocks has no three depths")

    @classmethod
    def full(cls) -> MASt3RConfig:
        """The published metric checkpoint: ViT-L encoder, two base decoders; 689 M parameters."""
        return cls(1024, 24, 16, 768, 12, 12)

    @classmethod
    def small(cls) -> MASt3RConfig:
        """A size of ours: ViT-S encoder, decoders of 6 blocks."""
        return cls(384, 12, 6, 256, 6, 4, widths=(48, 96, 192, 256), width=128)

    @classmethod
    def tiny(cls) -> MASt3RConfig:
        """For tests: random weights, milliseconds."""
        return cls(32, 2, 2, 24, 4, 2, widths=(8, 8, 12, 16), width=8, descriptor=6)

    @property
    def hooks(self) -> tuple[int, int, int]:
        """The decoder blocks (from 1) whose tokens DPT reads besides the encoder's: a half, three quarters, all."""
        return self.decoder_depth // 2, self.decoder_depth * 3 // 4, self.decoder_depth


@dataclass(frozen=True)
class FrameTokens:
    """Encoded frames of one size; `grid` is (rows, columns) of patches."""

    tokens: Float[Tensor, "frames tokens width"]
    grid: tuple[int, int]

    def rows(self, frames: Int[Tensor, " n"] | Bool[Tensor, " n"]) -> FrameTokens:
        """Some of the frames, in the given order."""
        return FrameTokens(self.tokens[frames], self.grid)


@dataclass(frozen=True)
class SideTokens:
    """One side of decoded pairs: the encoder's tokens, and the decoder's at three depths, the last under its norm."""

    taps: tuple[Tensor, ...]
    grid: tuple[int, int]

    @property
    def last(self) -> Float[Tensor, "pairs tokens width"]:
        """What JOSH3R reads."""
        return self.taps[3]

    def rows(self, pairs: Int[Tensor, " n"] | Bool[Tensor, " n"]) -> SideTokens:
        """Some of the pairs, in the given order."""
        return SideTokens(tuple(tap[pairs] for tap in self.taps), self.grid)


class PairOutput(TypedDict):
    """Points of both pictures in the first one's camera; see `DenseMaps`. `tokens`: after the last decoder block."""

    pts3d_1: Float[Tensor, "pairs height1 width1 3"]
    pts3d_2: Float[Tensor, "pairs height2 width2 3"]
    conf_1: Float[Tensor, "pairs height1 width1"]
    conf_2: Float[Tensor, "pairs height2 width2"]
    desc_1: Float[Tensor, "pairs height1 width1 channels"]
    desc_2: Float[Tensor, "pairs height2 width2 channels"]
    desc_conf_1: Float[Tensor, "pairs height1 width1"]
    desc_conf_2: Float[Tensor, "pairs height2 width2"]
    tokens_1: Float[Tensor, "pairs tokens1 width"]
    tokens_2: Float[Tensor, "pairs tokens2 width"]


class MASt3R(nn.Module):
    """See the module's text; names and shapes of `MASt3RConfig.full()` are those of the published checkpoint.

    Under `torch.autocast` encoder and decoders run in its type, the heads in that of their parameters.
    """

    def __init__(self, config: MASt3RConfig) -> None:
        super().__init__()
        self.config = config
        wide, narrow = config.encoder_width, config.decoder_width
        self.mask_token = nn.Parameter(torch.zeros(1, 1, narrow))  # of the pre-training; nothing reads it
        self.patch_embed = PatchEmbedding(wide, config.patch)
        self.enc_blocks = nn.ModuleList([Block(wide, config.encoder_heads) for _ in range(config.encoder_depth)])
        self.enc_norm = nn.LayerNorm(wide, eps=1e-6)
        self.decoder_embed = nn.Linear(wide, narrow)
        self.dec_blocks = _decoder(config)
        self.dec_norm = nn.LayerNorm(narrow, eps=1e-6)
        self.dec_blocks2 = _decoder(config)
        self.downstream_head1 = _head(config)
        self.downstream_head2 = _head(config)
        start_linear_layers(self)

    def encode(self, images: Float[Tensor, "frames 3 height width"]) -> FrameTokens:
        """Tokens of single frames.

        Args:
            images: RGB in [-1, 1], sides multiples of 16 px.

        Raises:
            DioramaError: other sides.
        """
        height, width = images.shape[-2:]
        check_sides(height, width, self.config.patch)
        grid = height // self.config.patch, width // self.config.patch
        table = patch_table(grid, self.config.encoder_width // self.config.encoder_heads, images.device)
        tokens = self.patch_embed(images)
        for block in self.enc_blocks:
            tokens = block(tokens, table)
        return FrameTokens(self.enc_norm(tokens), grid)

    def decode(self, first: FrameTokens, second: FrameTokens) -> tuple[SideTokens, SideTokens]:
        """Both sides of pairs: frame i of `first` with frame i of `second`. The order matters."""
        channels = self.config.decoder_width // self.config.decoder_heads
        table1, table2 = (patch_table(side.grid, channels, side.tokens.device) for side in (first, second))
        tokens1, tokens2 = self.decoder_embed(first.tokens), self.decoder_embed(second.tokens)
        taps1, taps2 = [first.tokens], [second.tokens]
        for number, (block1, block2) in enumerate(zip(self.dec_blocks, self.dec_blocks2, strict=True), 1):
            tokens1, tokens2 = block1(tokens1, tokens2, table1, table2), block2(tokens2, tokens1, table2, table1)
            if number in self.config.hooks:
                taps1.append(tokens1)
                taps2.append(tokens2)
        taps1[3], taps2[3] = self.dec_norm(tokens1), self.dec_norm(tokens2)
        return SideTokens((*taps1,), first.grid), SideTokens((*taps2,), second.grid)

    def maps(self, side: SideTokens, which: int, *, descriptors: bool = True) -> DenseMaps:
        """Points, confidences and descriptors of side 1 or 2 (`which`); a third of the cost is descriptors."""
        with full_precision(side.last):
            head, taps = self._read_by(side, which)
            return head(taps, side.grid, descriptors=descriptors)

    def descriptors(
        self, side: SideTokens, which: int
    ) -> tuple[Float[Tensor, "pairs height width channels"], Float[Tensor, "pairs height width"]]:
        """Only the descriptors of side 1 or 2 (`which`) and their confidences, for matches."""
        with full_precision(side.last):
            head, taps = self._read_by(side, which)
            return head.local(taps, side.grid)

    def _read_by(self, side: SideTokens, which: int) -> tuple[PairHead, list[Tensor]]:
        head = {1: self.downstream_head1, 2: self.downstream_head2}[which]
        kind = next(head.parameters()).dtype
        return head, [tap.to(kind) for tap in side.taps]

    def forward(
        self, image1: Float[Tensor, "pairs 3 height1 width1"], image2: Float[Tensor, "pairs 3 height2 width2"]
    ) -> PairOutput:
        """All of every pair; frames that are in several pairs are cheaper through `encode` and `decode`.

        Args:
            image1, image2: RGB in [-1, 1], sides multiples of 16 px.

        Raises:
            DioramaError: other sides.
        """
        side1, side2 = self.decode(self.encode(image1), self.encode(image2))
        maps1, maps2 = self.maps(side1, 1), self.maps(side2, 2)
        assert maps1.desc is not None and maps1.desc_conf is not None
        assert maps2.desc is not None and maps2.desc_conf is not None
        return {
            "pts3d_1": maps1.points,
            "pts3d_2": maps2.points,
            "conf_1": maps1.conf,
            "conf_2": maps2.conf,
            "desc_1": maps1.desc,
            "desc_2": maps2.desc,
            "desc_conf_1": maps1.desc_conf,
            "desc_conf_2": maps2.desc_conf,
            "tokens_1": side1.last,
            "tokens_2": side2.last,
        }

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        config: MASt3RConfig | None = None,
        sha256: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> MASt3R:
        """Weights of a file, a folder or a repository of the Hugging Face hub (`owner/name`), in evaluation mode.

        A file of JOSH3R, which holds MASt3R's weights too, will do. What is read and what is refused:
        `diorama.networks.pretrained.load_network`. The licence (CC BY-NC-SA 4.0) is logged.

        Raises:
            DioramaError: nothing there, a damaged or unsafe file, or weights that do not fit the network.
        """
        network = load_network(PUBLISHED_MAST3R, source, config, LoadOptions(revision, sha256, device, dtype))
        assert isinstance(network, MASt3R)
        return network

    def save(self, folder: Path, *, licence: str) -> None:
        """Write weights and sizes into a folder for `from_pretrained`; `licence` is that of the weights."""
        save_network(self, PUBLISHED_MAST3R, folder, licence=licence)


def _decoder(config: MASt3RConfig) -> nn.ModuleList:
    blocks = [CrossBlock(config.decoder_width, config.decoder_heads, eps=1e-6) for _ in range(config.decoder_depth)]
    return nn.ModuleList(blocks)


def _head(config: MASt3RConfig) -> PairHead:
    return PairHead(
        config.encoder_width,
        config.decoder_width,
        widths=config.widths,
        width=config.width,
        descriptor=config.descriptor,
        patch=config.patch,
    )


_TIED = re.compile(r"(downstream_head[12]\.dpt\.scratch\.layer)(?:(\d)_rn|_rn\.(\d))\.weight")


def mast3r_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MASt3R's tensors in a file of its own or of JOSH3R (`mast3r.`), both names of the tied ones.

    Raises:
        DioramaError: the two names of a tied tensor hold different numbers.
    """
    prefix = "mast3r."
    inside = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    found = inside or dict(weights)
    for first, second in _tied_names(found):
        whole = found.get(first, found.get(second))
        assert whole is not None
        if not _alike(found.setdefault(first, whole), found.setdefault(second, whole)):
            raise DioramaError(
                "two names of one tensor, with different numbers", where=first, fix="get the original file"
            )
    return found


def _tied_names(names: Mapping[str, Tensor]) -> set[tuple[str, str]]:
    """The two names of every tensor of which at least one is there."""
    found = set()
    for match in filter(None, map(_TIED.fullmatch, names)):
        number = int(match[2]) if match[2] else int(match[3]) + 1
        found.add((f"{match[1]}{number}_rn.weight", f"{match[1]}_rn.{number - 1}.weight"))
    return found


def _alike(first: Tensor, second: Tensor) -> bool:
    return first is second or first.device.type == "meta" or torch.equal(first, second)


PUBLISHED_MAST3R = Published("mast3r", MASt3R, MASt3RConfig, MASt3RConfig.full, MAST3R_LICENCE, mast3r_weights)
