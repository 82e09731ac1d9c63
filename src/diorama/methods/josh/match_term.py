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
    """Some sides as they were seen, with the points along the last axis: sums over x, y, z are fast that way."""

    source: Tensor
    target: Tensor
    focal: tuple[Tensor, Tensor]  # (sides,) of the source, of the target; px
    pixel: Tensor  # (sides, 2, points)
    depth: Tensor
    nodes: Tensor  # (sides, points, nodes)
    seen: Tensor  # (sides, 2, points)
    seen_depth: Tensor
    seen_nodes: Tensor
    weight_2d: Tensor
    weight_3d: Tensor


class _Now(NamedTuple):
    """Some sides at present values."""

    sides: _Sides
    relative: Tensor  # (sides, 3, 3): R_j' R_i
    to_camera: Tensor  # (sides, 3, 3): R_j'
    shift: Tensor  # (sides, 3): R_j' (c_i - c_j)
    source_point: Tensor  # (sides, 3, points): X
    turned: Tensor  # R_j' R_i X
    point: Tensor  # Y
    zoomed: Tensor  # (sides,) focal length of the target, px
    pixels: Tensor  # (sides, 2, points): where Y is seen, px
    seen_depth: Tensor  # (sides, points)
    seen_ray: Tensor  # (sides, 3, points)
    flat: Tensor  # (sides, 2, points) in deviations
    solid: Tensor  # (sides, 3, points) in deviations: over the depth it is measured at, Y / z_j - ray_j


class _Slopes(NamedTuple):
    """One loss linearised. `pull` is the weighted residual, `along` its sum with the derivatives by Y; the others are
    derivatives at the chosen points, by Y (sides, 3, components, chosen), and by what else the residual depends on."""

    weight: Tensor  # (sides, points)
    along: Tensor  # (sides, 3, points)
    own_focal: Tensor  # (sides,): gradient by the logarithm of the focal length with Y fixed
    own_depth: Tensor | None  # (sides, points): gradient by the logarithm of the target's depth
    by_point: Tensor
    by_focal: Tensor  # (sides, components, chosen)
    by_depth: Tensor | None


def match_term(
    carried: Carried, focal: Float[Tensor, " keys"], longer_side: float, config: MatchConfig
) -> CondensedTerm:
    """Both losses of all sides; `focal` px are the keyframes' first estimates."""
    portions = list(_portions(carried.to(config.device), focal.float().to(config.device), config))
    scale_2d = 1 / (config.sigma_2d * longer_side)
    kept: list[tuple[tuple[Tensor, ...], list[_Now]]] = []

    def carry(values: Values) -> list[_Now]:
        """All sides at these values; the last ones are kept, since a step that is taken is linearised next."""
        key = tuple(values[name] for name in _NAMES)
        if not (kept and all(a is b for a, b in zip(kept[0][0], key, strict=True))):
            kept.clear()
            moved = _moved(values, config.device)
            kept.append((key, [_carry(sides, moved, scale_2d, config) for sides in portions]))
        return kept[0][1]

    def cost(values: Values) -> Tensor:
        total = torch.zeros((), dtype=torch.float64, device=config.device)
        for now in carry(values):
            total = total + config.weight_2d * _sum(now.sides.weight_2d, config.loss_2d, now.flat)
            total = total + config.weight_3d * _sum(now.sides.weight_3d, config.loss_3d, now.solid)
        return total.to("cpu")

    def condense(values: Values) -> Iterator[Condensed]:
        for now in carry(values):
            cut = _cut(now.sides.weight_2d, config.stride)
            if config.weight_2d:
                yield _normal(now, _slopes_2d(now, scale_2d, cut, config), cut)
            if config.weight_3d:
                yield _normal(now, _slopes_3d(now, cut, config), cut)

    return CondensedTerm("matches", cost, condense)


_NAMES = (CAMERA_ROTATIONS, CAMERA_CENTRES, LOG_DEPTH, LOG_FOCAL)


def _moved(values: Values, device: str) -> dict[str, Tensor]:
    return {name: values[name].to(device=device, dtype=torch.float32) for name in _NAMES}


def _sum(weight: Tensor, loss: RobustLoss, residual: Tensor) -> Tensor:
    return (weight * loss.rho((residual**2).sum(1))).sum(dtype=torch.float64)


def _half(carried: Carried) -> Tensor:
    """The 3D loss has one distance per match: even matches are measured in one keyframe, odd ones in the other."""
    forward = (carried.source < carried.target).long()
    odd = torch.arange(carried.weight.shape[1], device=forward.device)[None] % 2
    return carried.depth_weight * (odd != forward[:, None])


def _portions(carried: Carried, focal: Tensor, config: MatchConfig) -> Iterator[_Sides]:
    """Sides in portions that bound the memory."""
    sides, points = carried.weight.shape
    step = max(1, config.block // max(points * (carried.nodes.shape[2] + 12), 1))
    for start in range(0, sides if points else 0, step):
        part = Carried(*(getattr(carried, name)[start : start + step] for name in carried.__dataclass_fields__))
        yield _Sides(
            part.source, part.target, (focal[part.source], focal[part.target]), part.pixel.mT.contiguous(), part.depth,
            part.nodes, part.seen.mT.contiguous(), part.seen_depth, part.seen_nodes, part.weight, _half(part),
        )  # fmt: skip


def _carry(sides: _Sides, values: Values, scale_2d: float, config: MatchConfig) -> _Now:
    R, c = values[CAMERA_ROTATIONS][:, 0], values[CAMERA_CENTRES]
    to_camera = R[sides.target].mT
    relative = to_camera @ R[sides.source]
    shift = (to_camera @ (c[sides.source] - c[sides.target])[..., None])[..., 0]
    log_zoom = values[LOG_FOCAL][0, 0]
    depth = _depth(sides.depth, sides.nodes, sides.source, values)
    source_point = _rays(sides.pixel, sides.focal[0], torch.exp(-log_zoom)) * depth[:, None]
    turned = relative @ source_point
    point = turned + shift[..., None]
    zoomed = sides.focal[1] * torch.exp(log_zoom)
    pixels = zoomed[:, None, None] * point[:, :2] / point[:, 2:].clamp_min(_NEAREST)
    seen_depth = _depth(sides.seen_depth, sides.seen_nodes, sides.target, values)
    seen_ray = _rays(sides.seen, sides.focal[1], torch.exp(-log_zoom))
    flat, solid = (pixels - sides.seen) * scale_2d, (point / seen_depth[:, None] - seen_ray) / config.sigma_3d
    return _Now(
        sides, relative, to_camera, shift, source_point, turned, point, zoomed, pixels, seen_depth, seen_ray, flat, solid
    )  # fmt: skip


def _rays(pixel: Tensor, focal: Tensor, zoom: Tensor) -> Tensor:
    xy = pixel * (zoom / focal)[:, None, None]
    return torch.cat([xy, torch.ones_like(xy[:, :1])], 1)


def _depth(depth: Tensor, nodes: Tensor, keys: Tensor, values: Values) -> Tensor:
    log_depth = values[LOG_DEPTH][keys]
    return depth * torch.exp(log_depth[:, :1] + (nodes @ log_depth[:, 1:, None])[..., 0])


def _slopes_2d(now: _Now, scale_2d: float, cut: slice, config: MatchConfig) -> _Slopes:
    weight = config.weight_2d * now.sides.weight_2d * config.loss_2d.weight((now.flat**2).sum(1))
    pull = weight[:, None] * now.flat
    near = now.point[:, 2].clamp_min(_NEAREST)
    f = now.zoomed[:, None] * scale_2d / near
    # A point that is kept in front of the camera keeps its depth.
    inward = -now.point[:, :2] / near[:, None] * (f * (now.point[:, 2] > _NEAREST))[:, None]
    along = torch.cat([pull * f[:, None], (pull * inward).sum(1, keepdim=True)], 1)
    f, zero = f[:, cut], torch.zeros_like(f[:, cut])
    by_point = torch.stack([torch.stack([f, zero], 1), torch.stack([zero, f], 1), inward[..., cut]], 1)
    own_focal = (pull * now.pixels).sum((1, 2)) * scale_2d
    return _Slopes(weight, along, own_focal, None, by_point, now.pixels[..., cut] * scale_2d, None)


def _slopes_3d(now: _Now, cut: slice, config: MatchConfig) -> _Slopes:
    weight = config.weight_3d * now.sides.weight_3d * config.loss_3d.weight((now.solid**2).sum(1))
    pull = weight[:, None] * now.solid
    inverse = 1 / (config.sigma_3d * now.seen_depth)
    along = pull * inverse[:, None]
    own_focal = (pull[:, :2] * now.seen_ray[:, :2]).sum((1, 2)) / config.sigma_3d
    by_point = torch.eye(3, device=inverse.device)[None, :, :, None] * inverse[:, None, None, cut]
    by_focal = now.seen_ray[..., cut] * torch.tensor([1.0, 1.0, 0.0], device=inverse.device)[:, None] / config.sigma_3d
    by_depth = -now.point[..., cut] * inverse[:, None, cut]
    return _Slopes(weight, along, own_focal, -(along * now.point).sum(1), by_point, by_focal, by_depth)


def _normal(now: _Now, slopes: _Slopes, cut: slice) -> Condensed:
    """Summed normal equations: gradient from all matches, Hessian from the chosen ones."""
    sides, along = now.sides, slopes.along
    outer = along @ torch.cat([now.point, now.source_point[:, :2]], 1).mT
    turn = outer[:, (2, 0, 1), (1, 2, 0)] - outer[:, (1, 2, 0), (2, 0, 1)]
    focal = slopes.own_focal - (outer[..., 3:] * now.relative[..., :2]).sum((1, 2))
    pose = torch.cat([turn, along.sum(2), focal[:, None]], 1)
    depths = [_with_nodes((along * now.turned).sum(1), sides.nodes)]
    if slopes.own_depth is not None:
        depths.append(_with_nodes(slopes.own_depth, sides.seen_nodes))
    return _spread(now, pose, torch.cat(depths, 1), *_hessian(now, slopes, cut))


def _hessian(now: _Now, slopes: _Slopes, cut: slice) -> tuple[Tensor, Tensor, Tensor]:
    """Pose and focal length (7 entries), these by the depths, and the depths; the two depths are factors times nodes, so
    that a residual's components are summed before the nodes come in."""
    weight, g = slopes.weight, slopes.by_point
    root = (weight[:, cut] * _boost(weight, cut)).clamp_min(0).sqrt()[:, None]
    by_focal = slopes.by_focal - ((now.relative[..., :2] @ now.source_point[:, :2, cut])[:, :, None] * g).sum(1)
    turn = torch.linalg.cross(now.point[:, :, None, cut].expand_as(g), g, dim=1)
    pose = torch.cat([turn, g, by_focal[:, None]], 1) * root[:, None]
    factors = [(g * now.turned[:, :, None, cut]).sum(1) * root]
    nodes = [_one_and(now.sides.nodes[:, cut])]
    if slopes.by_depth is not None:
        factors.append(slopes.by_depth * root)
        nodes.append(_one_and(now.sides.seen_nodes[:, cut]))
    beside = [(pose * factor[:, None]).sum(2) @ n for factor, n in zip(factors, nodes, strict=True)]
    depths = [
        torch.cat([n.mT @ ((a * b).sum(1)[..., None] * m) for b, m in zip(factors, nodes, strict=True)], 2)
        for a, n in zip(factors, nodes, strict=True)
    ]
    pose = pose.flatten(2)
    return pose @ pose.mT, torch.cat(beside, 2), torch.cat(depths, 1)


def _one_and(nodes: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(nodes[..., :1]), nodes], -1)


def _cut(weight: Tensor, stride: int) -> slice:
    """Every `stride`-th match where there are many; an odd stride, since even and odd matches differ in the 3D loss."""
    return slice(0, None, stride | 1 if weight.shape[1] >= 16 * stride else 1)


def _boost(weight: Tensor, cut: slice) -> Tensor:
    """Makes the chosen matches weigh as much as all of their side."""
    return (weight.sum(1) / weight[:, cut].sum(1).clamp_min(1e-12))[:, None]


def _with_nodes(by_scale: Tensor, nodes: Tensor) -> Tensor:
    return torch.cat([by_scale.sum(1, keepdim=True), (by_scale[:, None] @ nodes)[:, 0]], 1)


def _spread(now: _Now, pose: Tensor, depths: Tensor, by_pose: Tensor, beside: Tensor, by_depths: Tensor) -> Condensed:
    """From (w, t, focal) to the rotations and centres of both cameras: w = R w_i - w_j, t = R_j'(c_i - c_j) + [s]x R w_i."""
    R, down = now.relative, now.to_camera
    eye, zero = torch.eye(3, device=R.device).expand_as(R), torch.zeros_like(R)
    full = R.new_zeros(len(R), 7, 13)
    full[:, :3, :12] = torch.cat([R, zero, -eye, zero], 2)
    full[:, 3:6, :12] = torch.cat([skew(now.shift) @ R, down, zero, -down], 2)
    full[:, 6, 12] = 1
    gradient = torch.cat([(full.mT @ pose[..., None])[..., 0], depths], 1)
    beside = full.mT @ beside
    top = torch.cat([full.mT @ by_pose @ full, beside], 2)
    hessian = torch.cat([top, torch.cat([beside.mT, by_depths], 2)], 1)
    source, target = now.sides.source.cpu(), now.sides.target.cpu()
    ends = [Span(name, rows, 3) for rows in (source, target) for name in (CAMERA_ROTATIONS, CAMERA_CENTRES)]
    entries = 1 + now.sides.nodes.shape[2]
    keys = (source, target)[: depths.shape[1] // entries]
    spans = [*ends, Span(LOG_FOCAL, torch.zeros_like(source), 1), *(Span(LOG_DEPTH, rows, entries) for rows in keys)]
    return Condensed(gradient.cpu(), hessian.cpu(), spans)
