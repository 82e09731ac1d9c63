"""MoGe-2's convolutional pyramid: from the token grid up, doubling the resolution from level to level.

Its neck and its heads are such stacks. Names of parameters are those of the published checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

RESAMPLERS = ("conv_transpose", "bilinear")


@dataclass(frozen=True)
class StackConfig:
    """One stack; every entry has a value per level, `resamplers` one per step between levels.

    Attributes:
        dim_in: channels of the level's input.
        dim_res_blocks: width of the level.
        num_res_blocks: residual blocks of the level.
        dim_out: channels of a level's output; None passes the level on as it is.
        resamplers: how a level's map is doubled, see `RESAMPLERS`.

    Raises:
        ValueError: the entries' lengths do not fit, or a resampler is unknown.
    """

    dim_in: tuple[int, ...]
    dim_res_blocks: tuple[int, ...]
    num_res_blocks: tuple[int, ...]
    dim_out: tuple[int | None, ...]
    resamplers: tuple[str, ...]

    def __post_init__(self) -> None:
        counts = {len(part) for part in (self.dim_in, self.dim_res_blocks, self.num_res_blocks, self.dim_out)}
        if counts != {len(self.resamplers) + 1}:
            raise ValueError(f"a stack of {sorted(counts)} levels with {len(self.resamplers)} steps between them")
        if unknown := set(self.resamplers) - set(RESAMPLERS):
            raise ValueError(f"no resampler {sorted(unknown)[0]!r}; there are {', '.join(RESAMPLERS)}")


def conv3(channels: int, out: int) -> nn.Conv2d:
    """3 x 3 convolution that repeats the map's border."""
    return nn.Conv2d(channels, out, 3, padding=1, padding_mode="replicate")


class ResidualConvBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), without norms."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Identities stand where other models of the family have norms; the checkpoints count them.
        self.layers = nn.Sequential(
            nn.Identity(), nn.ReLU(), conv3(width, width), nn.Identity(), nn.ReLU(), conv3(width, width)
        )

    def forward(self, x: Float[Tensor, "batch width rows columns"]) -> Float[Tensor, "batch width rows columns"]:
        return x + self.layers(x)


def resampler(kind: str, channels: int, out: int) -> nn.Sequential:
    """Doubles a map's sides and ends in a 3 x 3 convolution."""
    if kind == "conv_transpose":
        return nn.Sequential(nn.ConvTranspose2d(channels, out, 2, stride=2), conv3(out, out))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), conv3(channels, out))


class ConvStack(nn.Module):
    """Per level: the input, through a 1 x 1 convolution, joins the running map; residual blocks; output; doubling."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        widths = config.dim_res_blocks
        pairs = list(zip(config.dim_in, widths, strict=True))
        self.input_blocks = nn.ModuleList([nn.Conv2d(channels, width, 1) for channels, width in pairs])
        self.resamplers = nn.ModuleList(
            [
                resampler(kind, width, finer)
                for kind, width, finer in zip(config.resamplers, widths[:-1], widths[1:], strict=True)
            ]
        )
        blocks = zip(widths, config.num_res_blocks, strict=True)
        self.res_blocks = nn.ModuleList(
            [nn.Sequential(*(ResidualConvBlock(width) for _ in range(count))) for width, count in blocks]
        )
        outs = zip(widths, config.dim_out, strict=True)
        self.output_blocks = nn.ModuleList(
            [nn.Identity() if out is None else nn.Conv2d(width, out, 1) for width, out in outs]
        )

    def forward(self, inputs: Sequence[Float[Tensor, "batch _ _ _"]]) -> list[Float[Tensor, "batch _ _ _"]]:
        """The levels' outputs, coarse to fine; `inputs` are one map per level, each with twice the sides of the last."""
        running, outputs = None, []
        for level, given in enumerate(inputs):
            joined = self.input_blocks[level](given)
            running = joined if running is None else running + joined
            running = self.res_blocks[level](running)
            outputs.append(self.output_blocks[level](running))
            if level < len(self.resamplers):
                running = self.resamplers[level](running)
        return outputs


def plane_of_view(
    rows: int, columns: int, aspect: float, device: torch.device, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "2 rows columns"]:
    """Places (u, v) of a grid's cells when half the picture's diagonal is 1.

    `aspect` is that of the picture, width / height, which the grid has only about.
    """
    across, down = aspect / (1 + aspect**2) ** 0.5, 1 / (1 + aspect**2) ** 0.5
    u, v = (_centres(half, count).to(device, dtype) for half, count in ((across, columns), (down, rows)))
    return torch.stack(torch.meshgrid(u, v, indexing="xy"))


def _centres(half: float, count: int) -> Tensor:
    end = half * (count - 1) / count
    return torch.linspace(-end, end, count, device="cpu", dtype=torch.float64)
