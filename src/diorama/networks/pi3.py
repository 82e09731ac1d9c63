"""Pi3 (Wang et al. 2025, arXiv:2507.13347): pictures in any order to point maps, confidences and cameras.

UniSH's scene branch. No picture is the reference and nothing says which is first: permuting the pictures permutes the
results. Points and cameras are up to one scale and live in a world of the network's own choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle

from diorama.errors import DioramaError
from diorama.networks.blocks import Block, full_precision, start_linear_layers
from diorama.networks.camera_head import CameraHead
from diorama.networks.pretrained import LoadOptions, Published, load_network, save_network
from diorama.networks.rope import Rotary, grid_positions, rotary
from diorama.networks.vit import IMAGE_MEAN, IMAGE_STD, DinoConfig, DinoViT, check_sides

PI3_LICENCE = "CC BY-NC 4.0 (weights of Pi3: no commercial use)"


@dataclass(frozen=True)
class Pi3Config:
    """Sizes; the width and heads of the decoders are those of the encoder.

    Attributes:
        depth: blocks that alternate between a frame's tokens and all tokens of the clip (even: a frame).
        head_depth: blocks of each of the three decoders after them.
        camera_width: channels of the camera head.
        registers: learned tokens before each frame's patches.
        rope_base: base of the frequencies of the rotary positions.
    """

    encoder: DinoConfig
    depth: int
    head_depth: int = 5
    camera_width: int = 512
    registers: int = 5
    rope_base: float = 100.0

    @classmethod
    def full(cls) -> Pi3Config:
        """The published network: 959 M parameters."""
        return cls(DinoConfig.large(), 36)

    @classmethod
    def base(cls) -> Pi3Config:
        """ViT-B wide, a size of ours: 371 M parameters."""
        return cls(DinoConfig.base(), 24)

    @classmethod
    def small(cls) -> Pi3Config:
        """ViT-S wide, a size of ours: 61 M parameters."""
        return cls(DinoConfig.small(), 12, head_depth=3, camera_width=256)

    @classmethod
    def tiny(cls) -> Pi3Config:
        """For tests: random weights, milliseconds."""
        return cls(DinoConfig.tiny(), 4, head_depth=1, camera_width=32)

    @property
    def hidden_width(self) -> int:
        """Channels of `hidden`: the last two blocks beside each other."""
        return 2 * self.encoder.width


class SceneOutput(TypedDict):
    """What `Pi3.forward` returns.

    `local_points`: camera points of each pixel, up to the clip's scale. `conf`: logits. `T_world_camera`: cameras in
    the network's own world, same scale. `hidden`: tokens of the last two blocks, registers first.
    """

    local_points: Float[Tensor, "batch frames height width 3"]
    conf: Float[Tensor, "batch frames height width 1"]
    T_world_camera: Float[Tensor, "batch frames 4 4"]
    hidden: Float[Tensor, "batch frames tokens channels"]


class HeadDecoder(nn.Module):
    """Blocks within each frame between two linear layers; no norm at the end, neither LayerScale nor QK norm."""

    def __init__(self, width_in: int, width: int, width_out: int, heads: int, depth: int) -> None:
        super().__init__()
        self.projects = nn.Linear(width_in, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(depth)])
        self.linear_out = nn.Linear(width, width_out)

    def forward(self, tokens: Float[Tensor, "batch tokens in"], table: Rotary) -> Float[Tensor, "batch tokens out"]:
        tokens = self.projects(tokens)
        for block in self.blocks:
            tokens = block(tokens, table)
        return self.linear_out(tokens)


class PatchHead(nn.Module):
    """One linear layer from a patch's token to its pixels; output channel c owns input channels c * patch^2 and on."""

    def __init__(self, width: int, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.proj = nn.Linear(width, channels * patch * patch)

    def forward(
        self, tokens: Float[Tensor, "batch patches width"], rows: int, columns: int
    ) -> Float[Tensor, "batch pixel_rows pixel_columns channels"]:
        grid = self.proj(tokens).transpose(1, 2).unflatten(2, (rows, columns))
        return pixel_shuffle(grid, self.patch).permute(0, 2, 3, 1)


class Pi3(nn.Module):
    """See the module's text; parameter names and shapes of `Pi3Config.full()` are those of the published checkpoint."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: Pi3Config) -> None:
        super().__init__()
        self.config = config
        width, heads = config.encoder.width, config.encoder.heads
        self.register_token = nn.Parameter(torch.empty(1, 1, config.registers, width))
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).reshape(1, 3, 1, 1))
        self.encoder = DinoViT(config.encoder)
        blocks = [Block(width, heads, qk_norm=True, layer_scale=0.01) for _ in range(config.depth)]
        self.decoder = nn.ModuleList(blocks)
        patch, hidden = config.encoder.patch, config.hidden_width
        self.point_decoder = HeadDecoder(hidden, width, width, heads, config.head_depth)
        self.point_head = PatchHead(width, 3, patch)
        self.conf_decoder = HeadDecoder(hidden, width, width, heads, config.head_depth)
        self.conf_head = PatchHead(width, 1, patch)
        self.camera_decoder = HeadDecoder(hidden, width, config.camera_width, heads, config.head_depth)
        self.camera_head = CameraHead(config.camera_width)
        self._start()

    def _start(self) -> None:
        nn.init.normal_(self.register_token, std=1e-6)
        start_linear_layers(self)
        self.conf_decoder.load_state_dict(self.point_decoder.state_dict())

    def forward(self, images: Float[Tensor, "batch frames 3 height width"], *, release: bool = False) -> SceneOutput:
        """All frames of each clip at once.

        Args:
            images: RGB in [0, 1], both sides multiples of 14 px; they are normalised here.
            release: rotary angles are rounded to the tokens' type before their cosine, as in the published code; no
                difference in float32, and less exact in bfloat16, so not the default.

        Raises:
            DioramaError: no frames, or sides that patches do not fill.
        """
        rows, columns = self._grid(images)
        registers = self.config.registers
        hidden, table = self._hidden(images, rows, columns, release)
        frames = hidden.flatten(0, 1)
        shape = images.shape[:2]
        points = self.point_decoder(frames, table)[:, registers:]
        local_points = self._points(points, rows, columns).unflatten(0, shape)
        confidence = self.conf_decoder(frames, table)[:, registers:]
        cameras = self.camera_decoder(frames, table)[:, registers:]
        with full_precision(hidden):
            logits = self.conf_head(_as_in(self.conf_head, confidence), rows, columns)
            T_world_camera = self.camera_head(_as_in(self.camera_head, cameras))
        return {
            "local_points": local_points,
            "conf": logits.unflatten(0, shape),
            "T_world_camera": T_world_camera.unflatten(0, shape),
            "hidden": hidden,
        }

    def _grid(self, images: Tensor) -> tuple[int, int]:
        if images.shape[0] == 0 or images.shape[1] == 0:
            raise DioramaError("no frames", where="images", fix="give at least one")
        height, width = images.shape[-2:]
        check_sides(height, width, self.config.encoder.patch)
        return height // self.config.encoder.patch, width // self.config.encoder.patch

    def _hidden(self, images: Tensor, rows: int, columns: int, release: bool) -> tuple[Tensor, Rotary]:
        clips, frames = images.shape[:2]
        pictures = (images.flatten(0, 1) - self.image_mean) / self.image_std
        patches = self.encoder(pictures.to(self.register_token.dtype))
        registers = self.register_token.expand(clips, frames, -1, -1).flatten(0, 1)
        tokens = torch.cat([registers.to(patches.dtype), patches], 1)
        positions = grid_positions(rows, columns, registers=self.config.registers, device=images.device)
        channels = self.config.encoder.width // self.config.encoder.heads
        table = rotary(positions, channels, base=self.config.rope_base, dtype=tokens.dtype, rounded_angles=release)
        return self._alternate(tokens, clips, table), table

    def _alternate(self, tokens: Tensor, clips: int, table: Rotary) -> Tensor:
        """Even blocks within each frame, odd ones over the clip; the outputs of the last two, unnormalised."""
        by_frame = tokens.shape
        frames = by_frame[0] // clips
        clip_table = table.repeat(frames)
        kept = []
        for index, block in enumerate(self.decoder):
            if index % 2 == 0:
                tokens = block(tokens.reshape(by_frame), table)
            else:
                tokens = block(tokens.reshape(clips, frames * by_frame[1], by_frame[2]), clip_table)
            if index >= self.config.depth - 2:
                kept.append(tokens.reshape(clips, frames, *by_frame[1:]))
        return torch.cat(kept, -1)

    def _points(self, tokens: Tensor, rows: int, columns: int) -> Tensor:
        """Ray slopes (a, b) and the logarithm of depth d to (a z, b z, z) with z = exp(d)."""
        with full_precision(tokens):
            slopes, log_depth = self.point_head(_as_in(self.point_head, tokens), rows, columns).split([2, 1], -1)
            depth = log_depth.exp()
            return torch.cat([slopes * depth, depth], -1)

    def full_precision_parts(self) -> list[nn.Module]:
        """The heads that the release of UniSH runs in float32."""
        return [self.point_head, self.conf_head, self.camera_head]

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        config: Pi3Config | None = None,
        sha256: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Pi3:
        """Weights of a file, a folder or a repository of the Hugging Face hub (`owner/name`), in evaluation mode.

        A checkpoint of UniSH will do: its `pi3.` part is taken. What is read and what is refused:
        `diorama.networks.pretrained.load_network`.

        Raises:
            DioramaError: nothing there, a damaged or unsafe file, or weights that do not fit the network.
        """
        network = load_network(PUBLISHED_PI3, source, config, LoadOptions(revision, sha256, device, dtype))
        assert isinstance(network, Pi3)
        return network

    def save(self, folder: Path, *, licence: str) -> None:
        """Write weights and sizes into a folder for `from_pretrained`; `licence` is that of the weights."""
        save_network(self, PUBLISHED_PI3, folder, licence=licence)


def _as_in(module: nn.Module, tokens: Tensor) -> Tensor:
    """Tokens in the type of a module's parameters."""
    return tokens.to(next(module.parameters()).dtype)


def _scene_part(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pi3's weights, out of UniSH's if that is what they are."""
    scene = {name.removeprefix("pi3."): value for name, value in weights.items() if name.startswith("pi3.")}
    return scene or dict(weights)


PUBLISHED_PI3 = Published("pi3", Pi3, Pi3Config, Pi3Config.full, PI3_LICENCE, _scene_part)
