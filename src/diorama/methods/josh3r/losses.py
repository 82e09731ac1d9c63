"""The losses of JOSH3R's training, one function each; all weigh 1 in the release, and `total` is their sum.

The paper names none of them; they are those of the release. Where its description leaves a choice (norm or entries), the
docstring says which was taken. Rows are people in pairs; "body frame" is that of `chaining`: origin at the pelvis.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float
from torch import Tensor

FEET = (7, 8, 10, 11)  # left and right ankle, left and right foot
LEFT, RIGHT = (7, 10), (8, 11)
_NEAREST = 1e-3  # metres, added to distances that are divided by


@dataclass(frozen=True)
class Losses:
    """One number each."""

    rel_trans: Float[Tensor, ""]
    rel_rot: Float[Tensor, ""]
    trans_1: Float[Tensor, ""]
    trans_2: Float[Tensor, ""]
    contact_scale_1: Float[Tensor, ""]
    contact_scale_2: Float[Tensor, ""]
    contact_static: Float[Tensor, ""]
    depth_1: Float[Tensor, ""]
    depth_2: Float[Tensor, ""]

    def total(self) -> Float[Tensor, ""]:
        """Their sum."""
        return torch.stack([getattr(self, part.name) for part in fields(self)]).sum()


def rel_trans_loss(predicted: Float[Tensor, "people 3"], label: Float[Tensor, "people 3"]) -> Float[Tensor, ""]:
    """Mean absolute error of the entries, metres."""
    return (predicted - label).abs().mean()


def rel_rot_loss(predicted: Float[Tensor, "people 6"], label: Float[Tensor, "people 6"]) -> Float[Tensor, ""]:
    """Mean squared error of the six numbers."""
    return (predicted - label).square().mean()


def trans_loss(predicted: Float[Tensor, "people 3"], label: Float[Tensor, "people 3"]) -> Float[Tensor, ""]:
    """Mean error of the root's place as a share of its distance (Euclidean norms; 1 mm is added to the distance)."""
    return (_length(predicted - label) / (_length(label) + _NEAREST)).mean()


def contact_scale_loss(
    scale: Float[Tensor, "people 1"],
    points: Float[Tensor, "people height width 3"],
    joints: Float[Tensor, "people 24 3"],
    valid: Bool[Tensor, "people height width"] | None = None,
) -> Float[Tensor, ""]:
    """Mean distance of ankles and feet to the nearest scaled scene point; only the scale learns from it.

    Args:
        scale: factor of the points.
        points: MASt3R's, in the camera in which the joints are.
        joints: of the label, camera, metres.
        valid: points that count (the scene, not people); all without it. A person without one costs nothing.
    """
    if not len(points):
        return scale.sum()
    feet, cloud = joints[:, FEET], points.detach().flatten(1, 2)
    # The nearest is sought without derivatives, so that no table of distances is kept.
    with torch.no_grad():
        distances = torch.cdist(feet.to(cloud.dtype), scale[:, None] * cloud)
        if valid is not None:
            distances.masked_fill_(~valid.flatten(1)[:, None], torch.inf)
        least, nearest = distances.min(-1)
    place = cloud.gather(1, nearest[..., None].expand(-1, -1, 3))
    return _mean_where(_length(feet - scale[:, None] * place), least.isfinite(), len(FEET) * len(points))


def contact_static_loss(
    rel_trans: Float[Tensor, "people 3"],
    rotation: Float[Tensor, "people 3 3"],
    joints_1: Float[Tensor, "people 24 3"],
    joints_2: Float[Tensor, "people 24 3"],
    contact: Bool[Tensor, " people"] | None = None,
) -> Float[Tensor, ""]:
    """Mean way of the foot that moves less: somebody who walks stands on one of them.

    Args:
        rel_trans, rotation: the predicted motion.
        joints_1, joints_2: in the body frames of the two pictures, metres.
        contact: people who touch the ground in both; all without it.
    """
    moved = joints_2 @ rotation.transpose(-1, -2) + rel_trans[:, None]
    way = _length(moved - joints_1)
    least = torch.minimum(way[:, RIGHT].mean(1), way[:, LEFT].mean(1))
    return least.mean() if contact is None else _mean_where(least, contact)


def depth_loss(
    scale: Float[Tensor, "people 1"],
    points: Float[Tensor, "people height width 3"],
    label: Float[Tensor, "people height width 3"],
    valid: Bool[Tensor, "people height width"],
) -> Float[Tensor, ""]:
    """Mean error of the scaled points as a share of their distance, where there is a label; 0 where there is none."""
    error = _length(scale[:, :, None, None] * points.detach() - label) / (_length(label) + _NEAREST)
    return _mean_where(error, valid)


def _length(vectors: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch"]:
    """Euclidean, with derivative 0 at 0."""
    return torch.linalg.vector_norm(vectors, dim=-1)


def _mean_where(values: Tensor, kept: Tensor, count: int | None = None) -> Tensor:
    """Mean of the kept values, 0 without any; `count` divides instead of their number."""
    total = torch.where(kept, values, torch.zeros_like(values)).sum()
    return total / (kept.sum().clamp_min(1) if count is None else count)
