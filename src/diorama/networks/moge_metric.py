"""From MoGe-2's raw maps to metric points: focal length, shift, pinhole, scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NotRequired, TypedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diorama.networks.focal_shift import RELEASE_TOLERANCE, recover_focal_shift, view_plane
from diorama.networks.unish_metric import half_diagonal, intrinsics


@dataclass(frozen=True)
class MoGeOptions:
    """What is done around the network; the defaults are the release's.

    Attributes:
        project: points lie on the pixels' rays at the found depth; else they keep the predicted x and y.
        apply_mask: points and depth are +inf and normals 0 where the mask does not hold.
        threshold: pixels count where the mask's probability is above it.
        tolerance: when the search for focal length and shift ends. The release's early stop can leave some per cent on
            maps that fit no pinhole well; 1e-10 goes to the optimum.
    """

    project: bool = True
    apply_mask: bool = True
    threshold: float = 0.5
    tolerance: float = RELEASE_TOLERANCE


RELEASE = MoGeOptions()


class MoGeOutput(TypedDict):
    """The network's maps: points affine in z and up to scale, `mask` a probability, `normals` of length 1.

    Parts whose head the network lacks are not there; `metric_scale` is what points become metres by.
    """

    points: Float[Tensor, "batch height width 3"]
    mask: NotRequired[Float[Tensor, "batch height width"]]
    normals: NotRequired[Float[Tensor, "batch height width 3"]]
    metric_scale: NotRequired[Float[Tensor, " batch"]]


class MoGeMaps(TypedDict):
    """Metric maps in the camera's frame (x right, y down, z forward).

    `K` px of the maps, pixel centres at half integers; `mask` where there is a depth; normals and scale as in
    `MoGeOutput`. Where a network has no metric scale, lengths are up to scale.
    """

    points: Float[Tensor, "*batch height width 3"]
    depth: Float[Tensor, "*batch height width"]
    mask: Bool[Tensor, "*batch height width"]
    K: Float[Tensor, "*batch 3 3"]
    normals: NotRequired[Float[Tensor, "*batch height width 3"]]
    metric_scale: NotRequired[Float[Tensor, "*batch"]]


def focal_of_degrees(fov: Tensor, height: int, width: int) -> Tensor:
    """Focal lengths in half diagonals of horizontal fields of view in degrees."""
    return width / 2 / torch.tan(torch.deg2rad(fov.float()) / 2) / half_diagonal(height, width)


def metric_maps(raw: MoGeOutput, options: MoGeOptions, focal: Float[Tensor, " batch"] | None = None) -> MoGeMaps:
    """Metric maps of raw ones.

    Args:
        raw: the network's maps.
        options: see `MoGeOptions`.
        focal: known focal lengths in half diagonals; else they are found in the maps.
    """
    points = raw["points"].float()
    height, width = points.shape[1:3]
    mask = raw["mask"] > options.threshold if "mask" in raw else torch.ones_like(points[..., 0], dtype=torch.bool)
    found, shift = recover_focal_shift(points, mask, focal=focal, tolerance=options.tolerance)
    depth = points[..., 2] + shift[:, None, None]
    mask = mask & (depth > 0)
    if options.project:
        xy = view_plane(height, width, depth.device) / found[:, None, None, None] * depth[..., None]
    else:
        xy = points[..., :2]
    scale = raw.get("metric_scale")
    factor = torch.ones_like(found) if scale is None else scale.float()
    depth = depth * factor[:, None, None]
    points = torch.cat([xy * factor[:, None, None, None], depth[..., None]], -1)
    if options.apply_mask:
        far = torch.full((), torch.inf, device=depth.device)
        depth, points = torch.where(mask, depth, far), torch.where(mask[..., None], points, far)
    maps: MoGeMaps = {"points": points, "depth": depth, "mask": mask, "K": intrinsics(found, height, width)}
    if "normals" in raw:
        normals = raw["normals"].float()
        maps["normals"] = torch.where(mask[..., None], normals, 0.0) if options.apply_mask else normals
    if scale is not None:
        maps["metric_scale"] = factor
    return maps
