"""Sizes of MoGe-2, and how the published checkpoints state them (`model_config`, the arguments of their constructor)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from diorama.errors import DioramaError
from diorama.networks.conv_stack import StackConfig
from diorama.networks.vit import DinoConfig

logger = logging.getLogger(__name__)

REMAPS = ("linear", "exp", "sinh", "sinh_exp")
FINEST_LEVEL = 9
_HEADS = ("points_head", "mask_head", "normal_head")
_TOP = ("encoder", "neck", *_HEADS, "scale_head", "remap_output", "num_tokens_range")
# Width, depth and heads by the published names; none of these has registers.
BACKBONES = {
    "dinov2_vits14": (384, 12, 6),
    "dinov2_vitb14": (768, 12, 12),
    "dinov2_vitl14": (1024, 24, 16),
}
_STACK = ("dim_in", "dim_out", "dim_res_blocks", "num_res_blocks", "resamplers")
# Entries of a stack that have one value in the published models, which is the one that is built here.
_FIXED = {"res_block_in_norm": "none", "res_block_hidden_norm": "none", "activation": "relu"}


def moge_backbone(width: int, depth: int, heads: int, *, table: int = 37) -> DinoConfig:
    """DINOv2 as MoGe's models have it: no registers, positions resized without antialias by (side + 0.1) / table."""
    return DinoConfig(width, depth, heads, 0, table=table, antialias=False, offset=0.1, mask_token=True)


@dataclass(frozen=True)
class MoGe2Config:
    """A MoGe-2 network.

    Attributes:
        backbone: the encoder's ViT.
        taps: blocks (from 0) whose outputs are projected and summed.
        feature: channels of that sum.
        neck, points_head, mask_head, normal_head: stacks; a head that is None is not there.
        scale_dims: widths of the scale's MLP, from the class token to 1; None: no metric scale.
        remap: how raw points become points, one of `REMAPS`: z or all of them through exp or sinh.
        num_tokens_range: fewest and most tokens of a picture, between which the levels 0 to 9 lie.

    Raises:
        ValueError: parts that do not fit each other.
    """

    backbone: DinoConfig
    taps: tuple[int, ...]
    feature: int
    neck: StackConfig
    points_head: StackConfig
    mask_head: StackConfig | None
    normal_head: StackConfig | None
    scale_dims: tuple[int, ...] | None
    remap: str = "exp"
    num_tokens_range: tuple[int, int] = (1200, 3600)

    def __post_init__(self) -> None:
        if not self.taps or list(self.taps) != sorted(set(self.taps)) or not 0 <= self.taps[0] <= self.taps[-1]:
            raise ValueError(f"taps {self.taps} are not blocks in ascending order")
        if self.taps[-1] >= self.backbone.depth:
            raise ValueError(f"taps {self.taps} of a backbone of {self.backbone.depth} blocks")
        if self.remap not in REMAPS:
            raise ValueError(f"no remap {self.remap!r}; there are {', '.join(REMAPS)}")
        if not 0 < self.num_tokens_range[0] <= self.num_tokens_range[1]:
            raise ValueError(f"a range of tokens from {self.num_tokens_range[0]} to {self.num_tokens_range[1]}")
        levels = {len(stack.dim_in) for stack in (self.neck, *self.heads().values())}
        if len(levels) > 1:
            raise ValueError("neck and heads have different numbers of levels")

    def heads(self) -> dict[str, StackConfig]:
        """The heads that are there, by their names in the checkpoint."""
        found = {name: getattr(self, name) for name in _HEADS}
        return {name: stack for name, stack in found.items() if stack is not None}

    def tokens(self, level: float) -> int:
        """Tokens of a picture at a level of resolution from 0 to 9."""
        fewest, most = self.num_tokens_range
        return int(fewest + level / FINEST_LEVEL * (most - fewest))

    @classmethod
    def large(cls, *, normals: bool = True) -> MoGe2Config:
        """ViT-L: `moge-2-vitl-normal`, and `moge-2-vitl` without normals."""
        return _published("dinov2_vitl14", (5, 11, 17, 23), 2, normals)

    @classmethod
    def base(cls) -> MoGe2Config:
        """ViT-B: `moge-2-vitb-normal`."""
        return _published("dinov2_vitb14", (5, 11), 1)

    @classmethod
    def small(cls) -> MoGe2Config:
        """ViT-S: `moge-2-vits-normal`."""
        return _published("dinov2_vits14", (5, 11), 1)

    @classmethod
    def tiny(cls) -> MoGe2Config:
        """For tests: random weights, milliseconds."""
        return _sized(moge_backbone(32, 3, 2, table=5), (1, 2), 1, (32, 16, 8, 8, 8), True, (4, 40))

    @classmethod
    def from_published(cls, entries: Mapping[str, Any], where: object) -> MoGe2Config:
        """The configuration that a checkpoint states; entries that nobody knows are passed over with a warning.

        Raises:
            DioramaError: another model of the family, or a part that no published MoGe-2 has.
        """
        encoder = entries.get("encoder")
        if not isinstance(encoder, Mapping) or "neck" not in entries or "points_head" not in entries:
            raise DioramaError(
                "not the configuration of a MoGe-2 network (MoGe-1 has another)", where=where, fix="give a MoGe-2 file"
            )
        _warn_of_unknown(entries, _TOP, where)
        try:
            return _read(entries, encoder, where)
        except (KeyError, TypeError, ValueError) as error:
            raise DioramaError(
                f"its configuration cannot be read ({error})", where=where, fix="give a published MoGe-2 file"
            ) from error

    def published(self) -> dict[str, Any]:
        """As the checkpoints state it; a backbone of no published size as a table."""
        sizes = (self.backbone.width, self.backbone.depth, self.backbone.heads)
        names = [name for name, known in BACKBONES.items() if moge_backbone(*known) == self.backbone]
        own = {**dict(zip(("width", "depth", "heads"), sizes, strict=True)), "table": self.backbone.table}
        stacks = {
            name: {**{key: list(value) for key, value in asdict(stack).items()}, **_FIXED}
            for name, stack in {"neck": self.neck, **self.heads()}.items()
        }
        return {
            "encoder": {
                "backbone": names[0] if names else own,
                "intermediate_layers": list(self.taps),
                "dim_out": self.feature,
            },
            **stacks,
            **({} if self.scale_dims is None else {"scale_head": {"dims": list(self.scale_dims)}}),
            "remap_output": self.remap,
            "num_tokens_range": list(self.num_tokens_range),
        }


def _published(backbone: str, taps: tuple[int, ...], blocks: int, normals: bool = True) -> MoGe2Config:
    vit = moge_backbone(*BACKBONES[backbone])
    return _sized(vit, taps, blocks, (vit.width, 256, 128, 64, 32), normals, (1200, 3600))


def _sized(
    vit: DinoConfig, taps: tuple[int, ...], blocks: int, widths: tuple[int, ...], normals: bool, tokens: tuple[int, int]
) -> MoGe2Config:  # fmt: skip
    doubled = ("conv_transpose", "conv_transpose", "conv_transpose", "bilinear")
    same: tuple[int | None, ...] = (None,) * 5

    def head(channels: int) -> StackConfig:
        return StackConfig(widths, widths, (0, 1, 1, 1, 0), (*same[:4], channels), doubled)

    neck = StackConfig((widths[0] + 2, 2, 2, 2, 2), widths, (0, blocks, blocks, blocks, 0), same, doubled)
    scale = (vit.width, vit.width, vit.width, 1)
    return MoGe2Config(
        vit, taps, widths[0], neck, head(3), head(1), head(3) if normals else None, scale, num_tokens_range=tokens
    )


def _read(entries: Mapping[str, Any], encoder: Mapping[str, Any], where: object) -> MoGe2Config:
    _warn_of_unknown(encoder, ("backbone", "intermediate_layers", "dim_out"), where)
    vit = _backbone(encoder["backbone"])
    layers = encoder["intermediate_layers"]
    taps = tuple(range(vit.depth - layers, vit.depth)) if isinstance(layers, int) else tuple(int(n) for n in layers)
    heads = {name: _stack(entries[name], where) if entries.get(name) else None for name in _HEADS}
    points = heads["points_head"]
    if points is None:
        raise ValueError("it has no head for points")
    scale = entries.get("scale_head")
    fewest, most = entries["num_tokens_range"]
    return MoGe2Config(
        backbone=vit,
        taps=taps,
        feature=int(encoder["dim_out"]),
        neck=_stack(entries["neck"], where),
        points_head=points,
        mask_head=heads["mask_head"],
        normal_head=heads["normal_head"],
        scale_dims=None if scale is None else tuple(int(width) for width in scale["dims"]),
        remap=str(entries["remap_output"]),
        num_tokens_range=(int(fewest), int(most)),
    )


def _backbone(stated: Any) -> DinoConfig:
    if isinstance(stated, Mapping):
        return moge_backbone(stated["width"], stated["depth"], stated["heads"], table=stated["table"])
    if stated not in BACKBONES:
        raise ValueError(f"backbone {stated!r}; known are {', '.join(BACKBONES)}")
    return moge_backbone(*BACKBONES[stated])


def _stack(entries: Mapping[str, Any], where: object) -> StackConfig:
    _warn_of_unknown(entries, (*_STACK, *_FIXED), where)
    for name, value in _FIXED.items():
        if entries.get(name, value) not in (value, None):
            raise ValueError(f"{name} is {entries[name]!r}, built is only {value!r}")
    widths = _per_level(entries["dim_res_blocks"], 1)
    count = len(widths)
    resamplers = entries["resamplers"]
    return StackConfig(
        dim_in=_per_level(entries["dim_in"], count),
        dim_res_blocks=widths,
        num_res_blocks=_per_level(entries["num_res_blocks"], count),
        dim_out=_per_level(entries.get("dim_out"), count),
        resamplers=(resamplers,) * (count - 1) if isinstance(resamplers, str) else tuple(resamplers),
    )


def _per_level(value: Any, count: int) -> tuple[Any, ...]:
    """One value stands for all levels."""
    return tuple(value) if isinstance(value, (list, tuple)) else (value,) * count


def _warn_of_unknown(entries: Mapping[str, Any], known: tuple[str, ...], where: object) -> None:
    if strange := sorted(str(name) for name in entries if name not in known):
        logger.warning("%s: entries %s of its configuration are not known and are not used", where, ", ".join(strange))
