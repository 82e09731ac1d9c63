"""Networks with random weights at which every part has an effect, as fresh ones have not (tiny LayerScale and tokens)."""

import torch
from torch import nn


def shaken(network: nn.Module, seed: int = 0, *, double: bool = False) -> nn.Module:
    """The network in evaluation mode with every parameter and mean moved by noise."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point() and not name.endswith(("image_mean", "image_std")):
                value += 0.1 * torch.randn(value.shape, generator=generator)
    return (network.double() if double else network).eval()


def clip(clips: int, frames: int, height: int, width: int, seed: int = 0):
    """Pictures, crops and conditioning boxes with values as they occur."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(clips, frames, 3, height, width, generator=generator)
    crops = torch.rand(clips, frames, 3, 256, 256, generator=generator)
    boxes = torch.randn(clips, frames, 3, generator=generator)
    return images, crops, boxes
