"""MASt3R's read-out of one side of a pair ("catmlp+dpt"): points and confidence by DPT, descriptors by an MLP per patch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import gelu, pixel_shuffle

from diorama.networks.dpt import Dpt

_SHORTEST = 1e-8


@dataclass(frozen=True)
class DenseMaps:
    """What one side of every pair says about its own picture's pixels.

    Attributes:
        points: in the camera of the pair's first picture, both sides; metres with the metric checkpoint.
        conf: of the points, from 1 up.
        desc: descriptors of length one; None where they were not asked for.
        desc_conf: of the descriptors, from 0 up.
    """

    points: Float[Tensor, "pairs height width 3"]
    conf: Float[Tensor, "pairs height width"]
    desc: Float[Tensor, "pairs height width channels"] | None
    desc_conf: Float[Tensor, "pairs height width"] | None


class PatchMlp(nn.Module):
    """Two linear layers with the exact GELU: all numbers of a patch's pixels from its token."""

    def __init__(self, tokens: int, outputs: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(tokens, 4 * tokens)
        self.fc2 = nn.Linear(4 * tokens, outputs)

    def forward(self, tokens: Float[Tensor, "pairs tokens channels"]) -> Float[Tensor, "pairs tokens outputs"]:
        return self.fc2(gelu(self.fc1(tokens)))


class PairHead(nn.Module):
    """One side's read-out.

    Args:
        encoder, decoder: channels of the tokens.
        widths, width: see `Dpt`.
        descriptor: numbers per descriptor; one more is its confidence.
    """

    def __init__(
        self, encoder: int, decoder: int, *, widths: Sequence[int], width: int, descriptor: int, patch: int
    ) -> None:
        super().__init__()
        self.patch = patch
        self.dpt = Dpt((encoder, decoder, decoder, decoder), widths, width, 4)
        self.head_local_features = PatchMlp(encoder + decoder, (descriptor + 1) * patch**2)

    def forward(
        self, taps: Sequence[Float[Tensor, "pairs tokens _"]], grid: tuple[int, int], *, descriptors: bool = True
    ) -> DenseMaps:
        """Maps from the encoder's tokens and those of three depths of the decoder; `descriptors` costs the MLP."""
        maps = _exact(self.dpt(taps, grid))
        points, conf = radial_points(maps[..., :3]), 1 + maps[..., 3].exp()
        if not descriptors:
            return DenseMaps(points, conf, None, None)
        return DenseMaps(points, conf, *self.local(taps, grid))

    def local(
        self, taps: Sequence[Float[Tensor, "pairs tokens _"]], grid: tuple[int, int]
    ) -> tuple[Float[Tensor, "pairs height width channels"], Float[Tensor, "pairs height width"]]:
        """Only descriptors and their confidences, a third of the cost."""
        numbers = self.head_local_features(torch.cat([taps[0], taps[-1]], -1))
        local = _exact(pixel_shuffle(numbers.transpose(1, 2).unflatten(2, grid), self.patch))
        return unit(local[..., :-1]), local[..., -1].exp()


def radial_points(raw: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3"]:
    """DUSt3R's points: direction of the three numbers, distance exp(length) - 1."""
    length = torch.linalg.vector_norm(raw, dim=-1, keepdim=True)
    return raw / length.clamp_min(_SHORTEST) * torch.expm1(length)


def unit(vectors: Float[Tensor, "*batch channels"]) -> Float[Tensor, "*batch channels"]:
    """Vectors of length one."""
    return vectors / torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)


def _exact(maps: Tensor) -> Tensor:
    """Channels last, at least float32: exponentials follow."""
    return maps.permute(0, 2, 3, 1).to(torch.promote_types(maps.dtype, torch.float32))
