"""From UniSH's raw outputs to a metric scene: scale, focal length and shift of depth, the person's place in the world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diorama.networks.blocks import full_precision
from diorama.networks.camera_head import rigid
from diorama.networks.focal_shift import RELEASE_TOLERANCE, recover_focal_shift, view_plane
from diorama.networks.pi3 import SceneOutput


@dataclass(frozen=True)
class InferOptions:
    """What is done around the networks.

    Attributes:
        normalise_crops: crops are normalised as CameraHMR's were (ImageNet). The release shows its human branch values
            in [0, 1], so its weights presumably want those: off. Turn it on for a branch that comes from CameraHMR.
        threshold: pixels count where the confidence is above it (release: 0.1).
        tolerance: when the search for focal length and shift ends. To convergence, which costs a few evaluations more;
            the release's early stop leaves up to a few per cent on maps that fit no pinhole well.
        shared_focal: the median of the frames' focal lengths for all of them. Off, because the lens may zoom and
            training conditioned each frame on its own; right for most videos.
        world_from_depth: world points are the shifted, pinhole-consistent camera points seen from the camera. The
            release's are the scaled raw points, so that its depth and its world disagree by the shift.
    """

    normalise_crops: bool = False
    threshold: float = 0.1
    tolerance: float = 1e-10
    shared_focal: bool = False
    world_from_depth: bool = True

    @classmethod
    def release(cls) -> InferOptions:
        """What the release of January 2026 does."""
        return cls(tolerance=RELEASE_TOLERANCE, world_from_depth=False)


class MetricScene(TypedDict):
    """A clip in metres; the world is the first camera. The tables are those of `UniSH.infer`."""

    K: Float[Tensor, "batch frames 3 3"]
    T_world_camera: Float[Tensor, "batch frames 4 4"]
    depth: Float[Tensor, "batch frames height width"]
    points_camera: Float[Tensor, "batch frames height width 3"]
    points_world: Float[Tensor, "batch frames height width 3"]
    valid: Bool[Tensor, "batch frames height width"]
    shift: Float[Tensor, "batch frames"]
    metric_factor: Float[Tensor, "batch 1"]
    norm_factor: Float[Tensor, "batch 1"]


def recovered(
    points: Float[Tensor, "batch frames height width 3"],
    mask: Bool[Tensor, "batch frames height width"],
    options: InferOptions,
    focal: Float[Tensor, "batch frames"] | None = None,
) -> tuple[Float[Tensor, "batch frames"], Float[Tensor, "batch frames"], Bool[Tensor, "batch frames height width"]]:
    """Focal lengths in half diagonals, shifts, and the mask without the pixels that end up behind the camera."""
    found, shift = recover_focal_shift(points, mask, focal=focal, tolerance=options.tolerance)
    if focal is None and options.shared_focal:
        found = found.median(1, keepdim=True).values.expand_as(found)
        _, shift = recover_focal_shift(points, mask, focal=found, tolerance=options.tolerance)
    return found, shift, mask & (points[..., 2] + shift[..., None, None] > 0)


def mean_distance(
    points: Float[Tensor, "batch frames height width 3"], mask: Bool[Tensor, "batch frames height width"]
) -> Float[Tensor, "batch 1"]:
    """Mean distance of a clip's valid points from their cameras (norm_factor); 1 where none is valid."""
    distance = torch.where(mask, points.norm(dim=-1), points.new_zeros(())).sum((1, 2, 3))
    count = mask.sum((1, 2, 3))
    return torch.where(count > 0, distance / count.clamp_min(1), torch.ones_like(distance))[:, None]


def metric_scene(
    scene: SceneOutput,
    mask: Bool[Tensor, "batch frames height width"],
    scale: Float[Tensor, "batch 1"],
    options: InferOptions,
    focal: Float[Tensor, "batch frames"] | None = None,
) -> MetricScene:
    """Scale a clip by s / norm_factor, find focal length and shift again, and lift depth through the pinhole.

    Args:
        scene: outputs of the scene branch, cameras already in the first camera's frame.
        mask: valid pixels, from the first recovery.
        scale: s of AlignNet.
        options: see `InferOptions`.
        focal: known focal lengths in half diagonals.
    """
    raw = scene["local_points"]
    height, width = raw.shape[2:4]
    distance = mean_distance(raw, mask)
    factor = scale / distance
    points = raw * factor[..., None, None, None]
    found, shift, mask = recovered(points, mask, options, focal)
    depth = points[..., 2] + shift[..., None, None]
    plane = view_plane(height, width, raw.device)
    ones = torch.ones_like(plane[..., :1]).expand(*found.shape, -1, -1, -1)
    rays = torch.cat([plane / found[..., None, None, None], ones], -1)
    points_camera = rays * depth[..., None]
    T = scene["T_world_camera"]
    T_metric = rigid(T[..., :3, :3], T[..., :3, 3] * factor[..., None])
    return {
        "K": intrinsics(found, height, width),
        "T_world_camera": T_metric,
        "depth": depth,
        "points_camera": points_camera,
        "points_world": moved(points_camera if options.world_from_depth else points, T_metric),
        "valid": mask,
        "shift": shift,
        "metric_factor": factor,
        "norm_factor": distance,
    }


def half_diagonal(height: int, width: int) -> float:
    """Half the diagonal of a picture in pixels, the unit of recovered focal lengths."""
    return (height**2 + width**2) ** 0.5 / 2


def intrinsics(focal: Float[Tensor, "*batch"], height: int, width: int) -> Float[Tensor, "*batch 3 3"]:
    """K in pixels of focal lengths in half diagonals; the centre of the picture is the principal point."""
    f = focal * half_diagonal(height, width)
    zero, one = torch.zeros_like(f), torch.ones_like(f)
    rows = [[f, zero, one * (width / 2)], [zero, f, one * (height / 2)], [zero, zero, one]]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def moved(
    points: Float[Tensor, "*batch height width 3"], T: Float[Tensor, "*batch 4 4"]
) -> Float[Tensor, "*batch height width 3"]:
    """Every map of points moved by its own transform."""
    with full_precision(points):
        flat = points.flatten(-3, -2) @ T[..., :3, :3].mT + T[..., None, :3, 3]
    return flat.unflatten(-2, points.shape[-3:-1])


def body_in_world(
    root: Float[Tensor, "*batch 3 3"],
    transl: Float[Tensor, "*batch 3"],
    T_world_camera: Float[Tensor, "*batch 4 4"],
    pelvis: Float[Tensor, "*batch 3"] | None = None,
) -> tuple[Float[Tensor, "*batch 3 3"], Float[Tensor, "*batch 3"]]:
    """Root rotation and translation of a body in the world.

    Args:
        root: rotation of the root in the camera's frame.
        transl: SMPL translation in the camera's frame, metres.
        T_world_camera: metric cameras.
        pelvis: J0(betas), the rest place of the joint about which the root turns (docs/conventions.md): the body is
            then where the camera saw it. None is the release's form, which leaves it out and is wrong by R J0 - J0.
    """
    turn, origin = T_world_camera[..., :3, :3], T_world_camera[..., :3, 3]
    about = torch.zeros_like(transl) if pelvis is None else pelvis
    with full_precision(transl):
        return turn @ root, (turn @ (transl + about)[..., None])[..., 0] + origin - about
