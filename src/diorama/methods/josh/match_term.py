"""The 2D and 3D correspondence losses (JOSH, Eq. 2-4) with analytic normal equations, pair by pair.

A point of keyframe i is X = sigma_i z [x, y, 1] and appears in keyframe j at Y = R_j' (R_i X + c_i - c_j). (The paper's
Eq. 1 multiplies the camera's translation by sigma too; a point map's scale cannot move its camera.) All its derivatives
by the two cameras go through the six numbers of dY = w x Y + t, so that a pair's normal equations are summed over its
matches in those, and turned into the two cameras' own afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.geometry.rotations import skew
from diorama.methods.josh.correspondences import Carried
from diorama.solver import Condensed, CondensedTerm, GemanMcClure, RobustLoss, Span, Values

# (keyframes, 1 + nodes): logarithm of each keyframe's scale, and the nodes of its correction.
LOG_DEPTH = "log_depth"
# Points are kept this far in front of the camera that they are carried to, metres.
_NEAREST = 0.05


@dataclass(frozen=True)
class MatchConfig:
    """`sigma_2d` is a share of the picture's longer side (0.001: one pixel in 1000), `sigma_3d` of the depth.

    The 3D distance is divided by the depth of the point that it is measured to: in metres it rewards worlds that shrink.
    The Hessian is summed over every `stride`-th match (the gradient over all): matches of a pair are many and alike.
    """

    weight_2d: float = 1.0
    weight_3d: float = 1.0
    sigma_2d: float = 0.0012
    sigma_3d: float = 0.05
    loss_2d: RobustLoss = GemanMcClure(3.0)  # noqa: RUF009 - frozen
    loss_3d: RobustLoss = GemanMcClure(3.0)  # noqa: RUF009 - frozen
    effective: float = 150.0
    stride: int = 6
    block: int = 4_000_000
    device: str = "cpu"


class _Sides(NamedTuple):
    """Some sides at present values; shapes (sides, points, ...)."""

    carried: Carried
    turned: Tensor  # R_j' R_i X
    shift: Tensor  # (sides, 3): R_j' (c_i - c_j)
    point: Tensor  # Y
    by_focal: Tensor  # dY by the logarithm of the focal length
    relative: Tensor  # (sides, 3, 3): R_j' R_i
    to_camera: Tensor  # (sides, 3, 3): R_j'
    seen_depth: Tensor
    seen_ray: Tensor  # (sides, points, 3)


def match_term(
    carried: Carried, focal: Float[Tensor, " keys"], longer_side: float, config: MatchConfig
) -> CondensedTerm:
    """Both losses of all sides; `focal` px are the keyframes' first estimates."""
    carried, focal = carried.to(config.device), focal.float().to(config.device)
    scale_2d = 1 / (config.sigma_2d * longer_side)

    def cost(values: Values) -> Tensor:
        values = _moved(values, config.device)
        total = values[LOG_DEPTH].new_zeros((), dtype=torch.float64)
        for sides in _blocks(carried, config):
            now = _carry(sides, focal, values)
            flat = (_project(now, focal, values) - sides.seen) * scale_2d
            total = total + config.weight_2d * _sum(sides.weight, config.loss_2d, flat)
            solid = _apart(now) / config.sigma_3d
            total = total + config.weight_3d * _sum(_half(sides), config.loss_3d, solid)
        return total.to("cpu")

    def condense(values: Values) -> Iterator[Condensed]:
        values = _moved(values, config.device)
        for sides in _blocks(carried, config):
            yield from _condensed(_carry(sides, focal, values), focal, values, scale_2d, config)

    return CondensedTerm("matches", cost, condense)


def _moved(values: Values, device: str) -> dict[str, Tensor]:
    names = (CAMERA_ROTATIONS, CAMERA_CENTRES, LOG_DEPTH, LOG_FOCAL)
    return {name: values[name].to(device=device, dtype=torch.float32) for name in names}


def _sum(weight: Tensor, loss: RobustLoss, residual: Tensor) -> Tensor:
    return (weight * loss.rho((residual**2).sum(-1))).sum(dtype=torch.float64)


def _half(sides: Carried) -> Tensor:
    """The 3D loss has one distance per match: even matches are measured in one keyframe, odd ones in the other."""
    forward = (sides.source < sides.target).long()
    odd = torch.arange(sides.weight.shape[1], device=forward.device)[None] % 2
    return sides.depth_weight * (odd != forward[:, None])


def _blocks(carried: Carried, config: MatchConfig) -> Iterator[Carried]:
    """Sides in portions that bound the memory."""
    sides, points = carried.weight.shape
    step = max(1, config.block // max(points * (carried.nodes.shape[2] + 12), 1))
    for start in range(0, sides if points else 0, step):
        cut = slice(start, start + step)
        yield Carried(*(getattr(carried, name)[cut] for name in carried.__dataclass_fields__))


def _carry(sides: Carried, focal: Tensor, values: Values) -> _Sides:
    R, c = values[CAMERA_ROTATIONS][:, 0], values[CAMERA_CENTRES]
    to_camera = R[sides.target].mT
    relative = to_camera @ R[sides.source]
    shift = (to_camera @ (c[sides.source] - c[sides.target])[..., None])[..., 0]
    zoom = torch.exp(-values[LOG_FOCAL][0, 0])
    points = (
        _rays(sides.pixel, focal[sides.source], zoom)
        * _depth(sides.depth, sides.nodes, sides.source, values)[..., None]
    )
    turned = points @ relative.mT
    by_focal = -points[..., :2] @ relative[:, :, :2].mT
    seen_depth = _depth(sides.seen_depth, sides.seen_nodes, sides.target, values)
    seen_ray = _rays(sides.seen, focal[sides.target], zoom)
    return _Sides(
        sides, turned, shift, turned + shift[:, None], by_focal, relative, to_camera, seen_depth, seen_ray
    )  # fmt: skip


def _rays(pixel: Tensor, focal: Tensor, zoom: Tensor) -> Tensor:
    xy = pixel * (zoom / focal)[:, None, None]
    return torch.cat([xy, torch.ones_like(xy[..., :1])], -1)


def _depth(depth: Tensor, nodes: Tensor, keys: Tensor, values: Values) -> Tensor:
    log_depth = values[LOG_DEPTH][keys]
    return depth * torch.exp(log_depth[:, :1] + (nodes @ log_depth[:, 1:, None])[..., 0])


def _project(now: _Sides, focal: Tensor, values: Values) -> Tensor:
    f = focal[now.carried.target] * torch.exp(values[LOG_FOCAL][0, 0])
    return f[:, None, None] * now.point[..., :2] / now.point[..., 2:].clamp_min(_NEAREST)


def _apart(now: _Sides) -> Tensor:
    """3D distance over the depth it is measured at: Y / z_j - ray_j."""
    return now.point / now.seen_depth[..., None] - now.seen_ray


def _condensed(now: _Sides, focal: Tensor, values: Values, scale_2d: float, config: MatchConfig) -> Iterator[Condensed]:
    """Normal equations of some sides: of the 2D loss, then of the 3D loss."""
    if config.weight_2d:
        pixels, weight = _project(now, focal, values), now.carried.weight
        flat = (pixels - now.carried.seen) * scale_2d
        weight = config.weight_2d * weight * config.loss_2d.weight((flat**2).sum(-1))
        near = now.point[..., 2].clamp_min(_NEAREST)
        f = (focal[now.carried.target] * torch.exp(values[LOG_FOCAL][0, 0]))[:, None] * scale_2d / near
        zero, xy = torch.zeros_like(f), now.point[..., :2] / near[..., None]
        # A point that is kept in front of the camera keeps its depth.
        along = f * (now.point[..., 2] > _NEAREST)
        gradients = [torch.stack([f, zero, -along * xy[..., 0]], -1), torch.stack([zero, f, -along * xy[..., 1]], -1)]
        yield _normal(now, flat, gradients, pixels * scale_2d, weight, None, config.stride)
    if config.weight_3d:
        solid = _apart(now) / config.sigma_3d
        weight = config.weight_3d * _half(now.carried) * config.loss_3d.weight((solid**2).sum(-1))
        inverse = 1 / (config.sigma_3d * now.seen_depth)
        gradients = [axis * inverse[..., None] for axis in torch.eye(3, device=inverse.device)]
        by_depth = -now.point * inverse[..., None]
        by_focal = now.seen_ray * torch.tensor([1.0, 1.0, 0.0], device=inverse.device) / config.sigma_3d
        yield _normal(now, solid, gradients, by_focal, weight, by_depth, config.stride)


def _normal(
    now: _Sides, residual: Tensor, gradients: list[Tensor], by_focal: Tensor, weight: Tensor, by_depth: Tensor | None,
    stride: int,
) -> Condensed:  # fmt: skip
    """Summed normal equations; `gradients[k]` is d residual_k / dY, `by_focal` its own derivative by the focal length,
    `by_depth` that by the logarithm of the target's depth. Hessian from every `stride`-th match."""
    pull = torch.stack([weight * residual[..., k] for k in range(len(gradients))], -1)
    along = torch.stack([pull[..., k, None] * g for k, g in enumerate(gradients)]).sum(0)
    by_scale = (along * now.turned).sum(-1)
    focal = (along * now.by_focal).sum(-1) + (pull * by_focal).sum(-1)
    parts = [torch.linalg.cross(now.point, along).sum(1), along.sum(1), *_with_nodes(by_scale, now.carried.nodes)]
    if by_depth is not None:
        parts += _with_nodes((pull * by_depth).sum(-1), now.carried.seen_nodes)
    gradient = torch.cat([*parts, focal.sum(1, keepdim=True)], 1)
    cut = _cut(now, weight, stride)
    root = (weight[:, cut] * _boost(weight, cut)).clamp_min(0).sqrt()
    rows = [
        _row(now, g[:, cut], by_focal[:, cut, k], None if by_depth is None else by_depth[:, cut, k], cut)
        * root[..., None]
        for k, g in enumerate(gradients)
    ]
    jacobian = torch.cat(rows, 1)
    return _spread(now, gradient, jacobian.mT @ jacobian, by_depth is not None)


def _cut(now: _Sides, weight: Tensor, stride: int) -> slice:
    """Every `stride`-th match where there are many; an odd stride, since even and odd matches differ in the 3D loss."""
    return slice(0, None, stride | 1 if weight.shape[1] >= 16 * stride else 1)


def _boost(weight: Tensor, cut: slice) -> Tensor:
    """Makes the chosen matches weigh as much as all of their side."""
    return (weight.sum(1) / weight[:, cut].sum(1).clamp_min(1e-12))[:, None]


def _with_nodes(by_scale: Tensor, nodes: Tensor) -> list[Tensor]:
    return [by_scale.sum(1, keepdim=True), (by_scale[:, None] @ nodes)[:, 0]]


def _row(now: _Sides, g: Tensor, by_focal: Tensor, by_depth: Tensor | None, cut: slice) -> Tensor:
    """One residual component's derivatives side by side (sides, chosen, entries)."""
    scale = (g * now.turned[:, cut]).sum(-1, keepdim=True)
    parts = [torch.linalg.cross(now.point[:, cut], g), g, scale, scale * now.carried.nodes[:, cut]]
    if by_depth is not None:
        parts += [by_depth[..., None], by_depth[..., None] * now.carried.seen_nodes[:, cut]]
    return torch.cat([*parts, ((g * now.by_focal[:, cut]).sum(-1) + by_focal)[..., None]], -1)


def _spread(now: _Sides, gradient: Tensor, hessian: Tensor, both_depths: bool) -> Condensed:
    """From (w, t, ...) to the rotations and centres of both cameras: w = R w_i - w_j, t = R_j'(c_i - c_j) + [s]x R w_i."""
    sides, entries = gradient.shape
    R, down = now.relative, now.to_camera
    eye, zero = torch.eye(3, device=R.device).expand_as(R), torch.zeros_like(R)
    turn = torch.cat([R, zero, -eye, zero], 2)
    move = torch.cat([skew(now.shift) @ R, down, zero, -down], 2)
    rest = entries - 6
    full = R.new_zeros(sides, entries, 12 + rest)
    full[:, :3, :12], full[:, 3:6, :12] = turn, move
    full[:, 6:, 12:] = torch.eye(rest, device=R.device)
    source, target = now.carried.source.cpu(), now.carried.target.cpu()
    nodes = now.carried.nodes.shape[2]
    spans = [Span(CAMERA_ROTATIONS, source, 3), Span(CAMERA_CENTRES, source, 3), Span(CAMERA_ROTATIONS, target, 3)]
    spans += [Span(CAMERA_CENTRES, target, 3), Span(LOG_DEPTH, source, 1 + nodes)]
    spans += [Span(LOG_DEPTH, target, 1 + nodes)] if both_depths else []
    spans.append(Span(LOG_FOCAL, torch.zeros_like(source), 1))
    gradient = (full.mT @ gradient[..., None])[..., 0]
    return Condensed(gradient.cpu(), (full.mT @ hessian @ full).cpu(), spans)
