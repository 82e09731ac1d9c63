"""DPT's read-out (Ranftl et al. 2021, arXiv:2103.13413) as DUSt3R and MASt3R use it: tokens of four depths to a picture.

Names of parameters are those of MASt3R's checkpoint. Each 1x1 convolution after a doubling is done before it: both are
linear, and a doubling's weights sum to one, so that only the rounding differs and the cost is a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu


def doubled(maps: Float[Tensor, "batch channels rows columns"]) -> Float[Tensor, "batch channels rows2 columns2"]:
    """Twice as large, bilinear, corner pixels onto corner pixels."""
    return interpolate(maps, scale_factor=2.0, mode="bilinear", align_corners=True)


class ResidualConv(nn.Module):
    """ReLU and 3x3 convolution, twice, added to what came in."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.conv2(relu(self.conv1(relu(maps))))


class Fusion(nn.Module):
    """A coarser map, joined by a finer one, refined and doubled. (The coarsest has nothing to join: its first unit idles.)"""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(width, width, 1)
        self.resConfUnit1 = ResidualConv(width)
        self.resConfUnit2 = ResidualConv(width)

    def forward(self, maps: Tensor, finer: Tensor | None = None) -> Tensor:
        if finer is not None:
            maps = maps + self.resConfUnit1(finer)
        return doubled(self.out_conv(self.resConfUnit2(maps)))


class Scratch(nn.Module):
    """The part with the same width at all four sizes. The checkpoint names the first convolutions twice."""

    def __init__(self, widths: Sequence[int], width: int) -> None:
        super().__init__()
        layers = [nn.Conv2d(entry, width, 3, padding=1, bias=False) for entry in widths]
        for number, layer in enumerate(layers, 1):
            setattr(self, f"layer{number}_rn", layer)
        self.layer_rn = nn.ModuleList(layers)
        for number in range(1, 5):
            setattr(self, f"refinenet{number}", Fusion(width))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        finer = [layer(entry) for layer, entry in zip(self.layer_rn, maps, strict=True)]
        path = self.get_submodule("refinenet4")(finer[3])
        for number in (3, 2, 1):
            entry = finer[number - 1]
            # A side that is odd at this size was rounded up when it was halved.
            path = path[..., : entry.shape[-2], : entry.shape[-1]]
            path = self.get_submodule(f"refinenet{number}")(path, entry)
        return path


class Dpt(nn.Module):
    """Tokens of four depths to maps of 16 times the grid.

    Args:
        tokens: channels of the tokens at the four depths.
        widths: channels of their maps, which have 4, 2, 1 and 1/2 times the grid's sides.
        width: channels of the joined map.
        outputs: channels of the result.
    """

    def __init__(self, tokens: Sequence[int], widths: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        self.scratch = Scratch(widths, width)
        half = width // 2
        self.head = nn.Sequential(
            nn.Conv2d(width, half, 3, padding=1),
            nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True),
            nn.Conv2d(half, half, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(half, outputs, 1),
        )
        resized: list[list[nn.Module]] = [
            [nn.ConvTranspose2d(widths[0], widths[0], 4, stride=4)],
            [nn.ConvTranspose2d(widths[1], widths[1], 2, stride=2)],
            [],
            [nn.Conv2d(widths[3], widths[3], 3, stride=2, padding=1)],
        ]
        entries = [nn.Conv2d(channels, entry, 1) for channels, entry in zip(tokens, widths, strict=True)]
        self.act_postprocess = nn.ModuleList(
            [nn.Sequential(first, *rest) for first, rest in zip(entries, resized, strict=True)]
        )

    def forward(
        self, taps: Sequence[Float[Tensor, "batch tokens _"]], grid: tuple[int, int]
    ) -> Float[Tensor, "batch outputs height width"]:
        maps = [tap.transpose(1, 2).unflatten(2, grid) for tap in taps]
        return self.head(self.scratch([layer(entry) for layer, entry in zip(self.act_postprocess, maps, strict=True)]))
