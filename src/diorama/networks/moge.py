"""MoGe-2 (Wang et al. 2025, arXiv:2507.02546): metric points, depth, mask and normals of one picture.

Written from a description of the release. `MoGe2.forward` is the network alone; `MoGe2.infer` adds focal length, shift and
metric scale. docs/moge.md has shapes and switches. The published weights are MIT (`diorama.networks.moge_files`).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from diorama.errors import DioramaError
from diorama.networks.blocks import full_precision
from diorama.networks.conv_stack import ConvStack, plane_of_view
from diorama.networks.moge_config import FINEST_LEVEL, MoGe2Config
from diorama.networks.moge_files import MOGE_LICENCE
from diorama.networks.moge_metric import RELEASE, MoGeMaps, MoGeOptions, MoGeOutput, focal_of_degrees, metric_maps
from diorama.networks.pretrained import LoadOptions, Published, load_network, save_network
from diorama.networks.vit import IMAGE_MEAN, IMAGE_STD, DinoViT
from diorama.networks.weight_files import read_beside_weights

__all__ = ["MoGe2", "MoGe2Config", "MoGeMaps", "MoGeOptions", "MoGeOutput", "token_grid"]


def token_grid(height: int, width: int, tokens: int) -> tuple[int, int]:
    """Rows and columns of about so many tokens with about the picture's aspect (the release since July 2025 rounds)."""
    aspect = width / height
    return max(1, round((tokens / aspect) ** 0.5)), max(1, round((tokens * aspect) ** 0.5))


class MoGeEncoder(nn.Module):
    """DINOv2; the outputs of some blocks, each through the last norm and a 1 x 1 convolution of its own, are summed."""

    image_mean: Tensor
    image_std: Tensor

    def __init__(self, config: MoGe2Config) -> None:
        super().__init__()
        self.taps = config.taps
        self.backbone = DinoViT(config.backbone)
        self.output_projections = nn.ModuleList(
            [nn.Conv2d(config.backbone.width, config.feature, 1) for _ in config.taps]
        )
        self.register_buffer("image_mean", torch.tensor(IMAGE_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(IMAGE_STD).view(1, 3, 1, 1))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], rows: int, columns: int
    ) -> tuple[Float[Tensor, "batch feature rows columns"], Float[Tensor, "batch channels"]]:
        """The token grid's features, and the class token of the last of the blocks."""
        patch = self.backbone.config.patch
        size = (rows * patch, columns * patch)
        resized = interpolate(_widened(images), size, mode="bilinear", align_corners=False, antialias=True)
        normed = ((resized - self.image_mean) / self.image_std).to(self.backbone.cls_token.dtype)
        tokens = self.backbone.taps(normed, self.taps)
        maps = [
            projection(found[:, 1:].mT.unflatten(-1, (rows, columns)))
            for projection, found in zip(self.output_projections, tokens, strict=True)
        ]
        return torch.stack(maps).sum(0), tokens[-1][:, 0]


def scale_mlp(dims: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    layers: list[nn.Module] = []
    for width, out in pairwise(dims):
        layers += [nn.Linear(width, out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class MoGe2(nn.Module):
    """The network; `config` has its sizes.

    Heads that the configuration lacks are None.
    """

    def __init__(self, config: MoGe2Config) -> None:
        super().__init__()
        self.config = config
        self.encoder = MoGeEncoder(config)
        self.neck = ConvStack(config.neck)
        self.points_head = ConvStack(config.points_head)
        self.mask_head = None if config.mask_head is None else ConvStack(config.mask_head)
        self.normal_head = None if config.normal_head is None else ConvStack(config.normal_head)
        self.scale_head = None if config.scale_dims is None else scale_mlp(config.scale_dims)

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], tokens: int, *, size: tuple[int, int] | None = None
    ) -> MoGeOutput:
        """Raw maps, differentiable.

        Args:
            images: RGB in [0, 1], any size.
            tokens: about how many patches a picture is cut into.
            size: (height, width) of the maps; that of the pictures if not given. Other sizes must have their aspect.
        """
        height, width = images.shape[-2:]
        rows, columns = token_grid(height, width, tokens)
        feature, class_token = self.encoder(images, rows, columns)
        levels = self._levels(feature, rows, columns, width / height)
        wanted = (height, width) if size is None else size
        out: MoGeOutput = {"points": self._points(_resized(self.points_head(levels)[-1], wanted))}
        if self.mask_head is not None:
            out["mask"] = _resized(self.mask_head(levels)[-1], wanted)[..., 0].sigmoid()
        if self.normal_head is not None:
            out["normals"] = normalize(_resized(self.normal_head(levels)[-1], wanted), dim=-1)
        if self.scale_head is not None:
            out["metric_scale"] = _widened(self.scale_head(class_token)[:, 0]).exp()
        return out

    def _levels(self, feature: Tensor, rows: int, columns: int, aspect: float) -> list[Tensor]:
        """The neck's maps: places in the picture enter at every level, the feature at the coarsest."""
        planes = [
            plane_of_view(rows << level, columns << level, aspect, feature.device, feature.dtype).expand(
                len(feature), -1, -1, -1
            )
            for level in range(len(self.config.neck.dim_in))
        ]
        return self.neck([torch.cat([feature, planes[0]], 1), *planes[1:]])

    def _points(self, raw: Float[Tensor, "batch height width 3"]) -> Float[Tensor, "batch height width 3"]:
        xy, z = raw[..., :2], raw[..., 2:]
        match self.config.remap:
            case "exp":
                z = z.exp()
                return torch.cat([xy * z, z], -1)
            case "sinh":
                return raw.sinh()
            case "sinh_exp":
                return torch.cat([xy.sinh(), z.exp()], -1)
            case _:
                return raw

    @torch.no_grad()
    def infer(
        self,
        image: Float[Tensor, "*batch 3 height width"],
        fov: float | Float[Tensor, "*batch"] | None = None,
        *,
        tokens: int | None = None,
        level: float = FINEST_LEVEL,
        size: tuple[int, int] | None = None,
        options: MoGeOptions = RELEASE,
    ) -> MoGeMaps:
        """Metric maps of a picture, or of a batch of them. Square pixels and a centred principal point are assumed.

        Args:
            image: RGB in [0, 1].
            fov: known horizontal field of view, degrees, for all pictures or each. The network does not see it: only
                focal length and shift follow it, the scale does not.
            tokens: about how many patches a picture is cut into; else `level` says it.
            level: resolution from 0 (fast) to 9, within the checkpoint's range of tokens.
            size: as in `forward`.
            options: see `MoGeOptions`.

        Raises:
            DioramaError: not a picture, or a field of view or level outside its range.
        """
        _check(image, fov, level)
        images = image.reshape(-1, *image.shape[-3:])
        if not len(images):
            raise DioramaError("no pictures", where="image", fix="give one at least")
        count = self.config.tokens(level) if tokens is None else tokens
        raw = self(images, count, size=size)
        height, width = raw["points"].shape[1:3]
        focal = None
        if fov is not None:
            degrees = torch.as_tensor(fov, dtype=torch.float32, device=images.device).expand(image.shape[:-3])
            focal = focal_of_degrees(degrees.reshape(-1), height, width)
        with full_precision(images):
            maps = metric_maps(raw, options, focal)
        batch = image.shape[:-3]
        return {name: value.reshape(batch + value.shape[1:]) for name, value in maps.items()}  # type: ignore[return-value]

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path,
        *,
        revision: str | None = None,
        config: MoGe2Config | None = None,
        sha256: str | None = None,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> MoGe2:
        """Weights of a file, a folder or a repository of the Hugging Face hub (`owner/name`), in evaluation mode.

        The network is built from the configuration in the checkpoint (`model_config`), or in our config.json beside it.
        What is read and what is refused: `diorama.networks.pretrained.load_network`.

        Raises:
            DioramaError: nothing there, a damaged or unsafe file, another model, or weights that do not fit.
        """
        network = load_network(PUBLISHED_MOGE2, source, config, LoadOptions(revision, sha256, device, dtype))
        assert isinstance(network, MoGe2)
        return network

    def save(self, folder: Path, *, licence: str) -> None:
        """Write weights and sizes into a folder for `from_pretrained`; `licence` is that of the weights."""
        save_network(self, PUBLISHED_MOGE2, folder, licence=licence)

    def save_published(self, path: Path) -> None:
        """Write one file as the release has it: `model_config` beside the weights."""
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"model_config": self.config.published(), "model": self.state_dict()}, path)


def _widened(values: Tensor) -> Tensor:
    """At least float32: what is resized or goes through exp is not in half precision."""
    return values if values.dtype == torch.float64 else values.float()


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """The head's map at the wanted size, channels last."""
    return interpolate(_widened(maps), size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


def _check(image: Tensor, fov: float | Tensor | None, level: float) -> None:
    if image.ndim < 3 or image.shape[-3] != 3 or not image.is_floating_point():
        raise DioramaError(
            f"{tuple(image.shape)} of {image.dtype} is no picture", where="image", fix="give RGB in [0, 1], 3 x h x w"
        )
    if not 0 <= level <= FINEST_LEVEL:
        raise DioramaError(f"no level {level:g}", where="level", fix=f"give 0 to {FINEST_LEVEL}")
    if fov is not None and not bool(((torch.as_tensor(fov) > 0) & (torch.as_tensor(fov) < 180)).all()):
        raise DioramaError("not a field of view", where=f"fov {fov}", fix="give degrees, such as 60")


def _inside(path: Path) -> MoGe2Config | None:
    stated = read_beside_weights(path, "model_config")
    return MoGe2Config.from_published(stated, path) if isinstance(stated, dict) else None


PUBLISHED_MOGE2 = Published("moge2", MoGe2, MoGe2Config, MoGe2Config.large, MOGE_LICENCE, dict, _inside)
