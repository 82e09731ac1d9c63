"""Parts of JOSH3R: features of a person's box to one token, and heads with batch norms. Names are the release's."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import grid_sample, relu

BINS = 7  # samples per side of a box


def box_features(
    maps: Float[Tensor, "people channels rows columns"],
    boxes: Float[Tensor, "people 4"],
    image_size: tuple[int, int],
) -> Float[Tensor, "people channels 7 7"]:
    """7 x 7 bilinear samples of a person's box, its corners included; outside the picture the border goes on.

    Args:
        maps: tokens of the whole picture as a grid.
        boxes: x1, y1, x2, y2 in pixels; they may lie outside.
        image_size: height and width of the picture in pixels.
    """
    height, width = image_size
    size = boxes.new_tensor([width, height])
    corners = boxes.unflatten(-1, (2, 2)) / size * 2 - 1
    steps = torch.linspace(0, 1, BINS, device=boxes.device, dtype=boxes.dtype)[:, None]
    # One end exactly at each corner, the same numbers from both ends.
    places = corners[:, :1] * (1 - steps) + corners[:, 1:] * steps
    x = places[:, None, :, 0].expand(-1, BINS, -1)
    y = places[:, :, None, 1].expand(-1, -1, BINS)
    grid = torch.stack([x, y], -1).to(maps.dtype)
    return grid_sample(maps, grid, mode="bilinear", padding_mode="border", align_corners=False)


class HumanFeatures(nn.Module):
    """A box's samples to the human token: three convolutions and a linear layer, each with a batch norm."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, inner, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, inner, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(inner)
        self.fc1 = nn.Linear(inner * BINS**2, width)
        self.bn_fc1 = nn.BatchNorm1d(width)

    def forward(self, samples: Float[Tensor, "people channels 7 7"]) -> Float[Tensor, "people channels"]:
        maps = relu(self.bn1(self.conv1(samples)))
        maps = relu(self.bn2(self.conv2(maps)))
        maps = relu(self.bn3(self.conv3(maps)))
        return self.bn_fc1(self.fc1(maps.flatten(1)))


class ResidualLayers(nn.Module):
    """Linear, batch norm, ReLU, dropout, linear, batch norm; added to what came in."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.norm1 = nn.BatchNorm1d(width)
        self.dropout = nn.Dropout(dropout)
        self.linear2 = nn.Linear(width, width)
        self.norm2 = nn.BatchNorm1d(width)

    def forward(self, numbers: Float[Tensor, "people width"]) -> Float[Tensor, "people width"]:
        return numbers + self.norm2(self.linear2(self.dropout(relu(self.norm1(self.linear1(numbers))))))


class MlpHead(nn.Module):
    """Numbers of a token to few numbers.

    Args:
        neutral: the last layer has no bias and starts at zero, so that a new head says 0.
    """

    def __init__(self, width: int, outputs: int, inner: int, *, neutral: bool = False, dropout: float = 0.5) -> None:
        super().__init__()
        last = nn.Linear(inner, outputs, bias=not neutral)
        if neutral:
            nn.init.zeros_(last.weight)
        self.head_layers = nn.Sequential(
            nn.Sequential(nn.Linear(width, inner), nn.BatchNorm1d(inner), nn.ReLU()),
            nn.Sequential(ResidualLayers(inner, dropout), nn.ReLU(), nn.Dropout(dropout)),
            nn.Sequential(ResidualLayers(inner, dropout), nn.ReLU(), nn.Dropout(dropout)),
            last,
        )

    def forward(self, numbers: Float[Tensor, "people width"]) -> Float[Tensor, "people outputs"]:
        return self.head_layers(numbers)
