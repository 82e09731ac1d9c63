"""JOSH3R (Liu et al., ICLR 2026, section 3.4 and appendix H): a person's motion between two pictures, and where they stand.

It reads the tokens of MASt3R's last decoder block and a box per person and side. Written from a description of the paper and
the release; docs/josh3r_networks.md has shapes and sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from diorama.errors import DioramaError
from diorama.networks.blocks import full_precision
from diorama.networks.cross_block import CrossBlock, patch_table
from diorama.networks.hmr import rotation_of_6d
from diorama.networks.josh3r_parts import HumanFeatures, MlpHead, box_features
from diorama.networks.mast3r import MAST3R_LICENCE
from diorama.networks.pretrained import LoadOptions, Published, load_network, save_network

JOSH3R_LICENCE = (
    f"JOSH3R's repository has none; derived from MASt3R ({MAST3R_LICENCE}) and from SMPL (Max Planck Society)"
)


@dataclass(frozen=True)
class JOSH3RConfig:
    """Sizes.

    Attributes:
        width, heads: of MASt3R's decoder.
        features: channels of the box's convolutions.
        inner: of the heads.
        dropout: of the heads, in training.
        patch: of MASt3R, pixels.
    """

    width: int = 768
    heads: int = 12
    features: int = 256
    inner: int = 768
    dropout: float = 0.5
    patch: int = 16

    @classmethod
    def full(cls) -> JOSH3RConfig:
        """The release, for `MASt3RConfig.full()`: 65 M parameters."""
        return cls()

    @classmethod
    def small(cls) -> JOSH3RConfig:
        """For `MASt3RConfig.small()`."""
        return cls(256, 4, 128, 256)

    @classmethod
    def tiny(cls) -> JOSH3RConfig:
        """For `MASt3RConfig.tiny()`, for tests."""
        return cls(24, 2, 8, 16)


class HumanOutput(TypedDict):
    """One row per person and pair.

    `rel_trans`, `rel_rot6d`: the body's frame in the second picture, in the body's frame in the first (metres; first two
    rows of the rotation, see `rotation_of_rows`). `trans_1`, `trans_2`: the body's root in each picture's camera, metres.
    `scale_1`, `scale_2`: factors of MASt3R's points of either side.
    """

    rel_trans: Float[Tensor, "people 3"]
    rel_rot6d: Float[Tensor, "people 6"]
    trans_1: Float[Tensor, "people 3"]
    trans_2: Float[Tensor, "people 3"]
    scale_1: Float[Tensor, "people 1"]
    scale_2: Float[Tensor, "people 1"]


class JOSH3R(nn.Module):
    """See the module's text; names and shapes of `JOSH3RConfig.full()` are those of the release without MASt3R and SMPL.

    Computes in the type of its parameters (float32), whatever `torch.autocast` says: it is a small part of the cost.
    """

    def __init__(self, config: JOSH3RConfig) -> None:
        super().__init__()
        self.config = config
        width, inner, dropout = config.width, config.inner, config.dropout
        self.human_feat_extractor_1 = HumanFeatures(width, config.features)
        self.human_feat_extractor_2 = HumanFeatures(width, config.features)
        self.human_head_1 = MlpHead(width, 3, inner, dropout=dropout)
        self.human_head_2 = MlpHead(width, 3, inner, dropout=dropout)
        self.rel_trans_head = MlpHead(4 * width, 3, inner, neutral=True, dropout=dropout)
        self.rel_rot_head = MlpHead(4 * width, 6, inner, dropout=dropout)
        self.scene_head_1 = MlpHead(width, 1, inner, neutral=True, dropout=dropout)
        self.scene_head_2 = MlpHead(width, 1, inner, neutral=True, dropout=dropout)
        self.decoder_block_1 = CrossBlock(width, config.heads, eps=1e-5)
        self.decoder_block_2 = CrossBlock(width, config.heads, eps=1e-5)
        self.dec_norm = nn.LayerNorm(width, eps=1e-5)

    def forward(
        self,
        tokens_1: Float[Tensor, "pairs tokens width"],
        tokens_2: Float[Tensor, "pairs tokens width"],
        boxes_1: Float[Tensor, "people 4"],
        boxes_2: Float[Tensor, "people 4"],
        image_size: tuple[int, int],
        pair: Int[Tensor, " people"] | None = None,
    ) -> HumanOutput:
        """Any number of people per pair, none too.

        Args:
            tokens_1, tokens_2: of MASt3R's last decoder block, under its norm (`SideTokens.last`).
            boxes_1, boxes_2: x1, y1, x2, y2 in pixels of the pictures that MASt3R saw.
            image_size: (height, width) of those pictures, pixels.
            pair: the pair of every person; without it person i is in pair i.

        Raises:
            DioramaError: picture and tokens, or people and pairs do not fit.
        """
        grid = self._grid(tokens_1, image_size)
        if pair is None:
            pair = torch.arange(len(tokens_1), device=tokens_1.device)
        if not len(pair) == len(boxes_1) == len(boxes_2):
            raise DioramaError(
                f"{len(boxes_1)} and {len(boxes_2)} boxes for {len(pair)} people",
                where="boxes",
                fix="give every person a box per side, and `pair` where pairs do not have one person each",
            )
        kind = self.dec_norm.weight.dtype
        with full_precision(tokens_1):
            first = self._joined(tokens_1.to(kind)[pair], boxes_1, grid, image_size, self.human_feat_extractor_1)
            second = self._joined(tokens_2.to(kind)[pair], boxes_2, grid, image_size, self.human_feat_extractor_2)
            table = patch_table(grid, self.config.width // self.config.heads, first.device, tokens=1)
            # Each reads the other as it was.
            seen_1 = self.dec_norm(self.decoder_block_1(first, second, table, table))
            seen_2 = self.dec_norm(self.decoder_block_2(second, first, table, table))
            return self._read(seen_1[:, -1], seen_2[:, -1], seen_1[:, :-1].amax(1), seen_2[:, :-1].amax(1))

    def _read(self, human_1: Tensor, human_2: Tensor, scene_1: Tensor, scene_2: Tensor) -> HumanOutput:
        whole = torch.cat([human_1, human_2, scene_1, scene_2], -1)
        return {
            "rel_trans": self.rel_trans_head(whole),
            "rel_rot6d": self.rel_rot_head(whole),
            "trans_1": self.human_head_1(human_1),
            "trans_2": self.human_head_2(human_2),
            "scale_1": self.scene_head_1(scene_1).exp(),
            "scale_2": self.scene_head_2(scene_2).exp(),
        }

    @staticmethod
    def _joined(
        tokens: Tensor, boxes: Tensor, grid: tuple[int, int], image_size: tuple[int, int], extractor: HumanFeatures
    ) -> Tensor:
        """Scene tokens, then the human token."""
        maps = tokens.transpose(1, 2).unflatten(2, grid)
        return torch.cat([tokens, extractor(box_features(maps, boxes.float(), image_size))[:, None]], 1)

    def _grid(self, tokens: Tensor, image_size: tuple[int, int]) -> tuple[int, int]:
        grid = image_size[0] // self.config.patch, image_size[1] // self.config.patch
        if grid[0] * grid[1] != tokens.shape[1]:
            raise DioramaError(
                f"{tokens.shape[1]} tokens for a picture of {image_size[1]}x{image_size[0]} px",
                where="image_size",
                fix="give (height, width) of the picture that MASt3R saw",
            )
        return grid

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        config: JOSH3RConfig | None = None,
        sha256: str | None = None,
        device: str | torch.device = "cpu",
    ) -> JOSH3R:
        """Weights of a file, a folder or a repository of the Hugging Face hub (`owner/name`), in evaluation mode.

        The release's file holds MASt3R too: `MASt3R.from_pretrained` reads that part of it. What is read and what is
        refused: `diorama.networks.pretrained.load_network`. The licence is logged.

        Raises:
            DioramaError: nothing there, a damaged or unsafe file, or weights that do not fit the network.
        """
        network = load_network(PUBLISHED_JOSH3R, source, config, LoadOptions(revision, sha256, device))
        assert isinstance(network, JOSH3R)
        return network

    def save(self, folder: Path, *, licence: str) -> None:
        """Write weights and sizes into a folder for `from_pretrained`; `licence` is that of the weights."""
        save_network(self, PUBLISHED_JOSH3R, folder, licence=licence)


def rotation_of_rows(six: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """JOSH3R's 6D rotation: two **rows** after Gram-Schmidt, the third their cross product (HMR's are columns)."""
    return rotation_of_6d(six).transpose(-1, -2)


def rows_of_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 6"]:
    """The six numbers of a rotation: its first two rows."""
    return rotation[..., :2, :].flatten(-2)


def josh3r_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """JOSH3R's own tensors among the release's: without MASt3R's and the body model's buffers."""
    return {name: value for name, value in weights.items() if not name.startswith(("mast3r.", "smpl."))}


PUBLISHED_JOSH3R = Published("josh3r", JOSH3R, JOSH3RConfig, JOSH3RConfig.full, JOSH3R_LICENCE, josh3r_weights)
