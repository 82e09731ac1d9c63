"""What is known of cameras and point maps by themselves: where the world's origin is, gentle motion, metric claims."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.geometry.rotations import log_so3, right_jacobian_inverse, skew
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.solver import Block, GemanMcClure, Huber, Linearized, RobustLoss, Term, Values


@dataclass(frozen=True)
class CameraConfig:
    """Standard deviations: of the first camera (holds the world), of steps between keyframes (radians, and metres plus a
    share of the step), of the logarithms of the focal length, of a keyframe's scale about the mean of all, of the nodes
    of the correction, and of what a metric map claims about the scale.

    Steps hold keyframes that no match holds; where matches speak they are far weaker. Off-scale depth is common (JOSH's
    MASt3R on SLOPER4D: AbsRel 0.49), so a claim that contradicts people loses.
    """

    anchor: float = 1e-4
    step_turn: float = 0.05
    step_move: float = 0.15
    step_share: float = 0.5
    log_focal: float = 0.05
    keyframe_scale: float = 0.05
    nodes: float = 0.03
    metric: float = 0.1
    metric_loss: RobustLoss = GemanMcClure(1.5)  # noqa: RUF009 - frozen


def anchor_term(R_world_camera: Float[Tensor, "3 3"], centre: Float[Tensor, 3], sigma: float) -> Term:
    """The first camera stays: without it the whole world may turn and shift."""

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        away = log_so3(R_world_camera.mT @ values[CAMERA_ROTATIONS][0, 0])
        shift = values[CAMERA_CENTRES][0] - centre
        residual = torch.cat([away, shift])[None, None] / sigma
        if not with_jacobian:
            return Linearized(residual)
        turn, move = torch.zeros(1, 1, 6, 3, dtype=torch.float64), torch.zeros(1, 1, 6, 3, dtype=torch.float64)
        turn[0, 0, :3], move[0, 0, 3:] = right_jacobian_inverse(away) / sigma, torch.eye(3) / sigma
        first = torch.tensor([0])
        return Linearized(residual, [Block(CAMERA_ROTATIONS, first, turn), Block(CAMERA_CENTRES, first, move)])

    return Term("anchor", evaluate)


def step_term(
    R_world_camera: Float[Tensor, "keys 3 3"], centres: Float[Tensor, "keys 3"], config: CameraConfig
) -> Term:
    """Steps between neighbouring keyframes, near those of the first estimate: turn, and shift along the camera's axes."""
    rows = torch.arange(max(len(centres) - 1, 0))
    step = R_world_camera[:-1].mT @ R_world_camera[1:]
    shift = (R_world_camera[:-1].mT @ (centres[1:] - centres[:-1])[..., None])[..., 0]
    move = 1 / (config.step_move + config.step_share * shift.norm(dim=-1))[:, None]

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        R, c = values[CAMERA_ROTATIONS][:, 0], values[CAMERA_CENTRES]
        relative = R[:-1].mT @ R[1:]
        away = log_so3(step.mT @ relative)
        moved = (R[:-1].mT @ (c[1:] - c[:-1])[..., None])[..., 0]
        residual = torch.stack([away / config.step_turn, (moved - shift) * move], 1)
        if not with_jacobian or not len(rows):
            return Linearized(residual)
        later, zero = right_jacobian_inverse(away) / config.step_turn, torch.zeros_like(relative)
        down = move[..., None] * R[:-1].mT
        blocks = [
            Block(CAMERA_ROTATIONS, rows, torch.stack([-later @ relative.mT, move[..., None] * skew(moved)], 1)),
            Block(CAMERA_ROTATIONS, rows + 1, torch.stack([later, zero], 1)),
            Block(CAMERA_CENTRES, rows, torch.stack([zero, -down], 1)),
            Block(CAMERA_CENTRES, rows + 1, torch.stack([zero, down], 1)),
        ]
        return Linearized(residual, blocks)

    return Term("camera_steps", evaluate, Huber(2.0))


def depth_terms(
    first: Float[Tensor, "keys entries"], claims: Float[Tensor, " claims"], config: CameraConfig
) -> list[Term]:
    """Scales of keyframes about their mean, nodes about zero, and what metric maps claim about the mean scale.

    `first` are the first estimates of LOG_DEPTH: the scales' differences stay near them. `claims` are mean scales
    (logarithms) at which maps would be metric.
    """
    keys, entries = first.shape
    sigma = torch.full((entries - 1,), config.nodes, dtype=torch.float64)

    def nodes(values: Values, with_jacobian: bool) -> Linearized:
        residual = (values[LOG_DEPTH][:, 1:] / sigma)[..., None]
        if not with_jacobian:
            return Linearized(residual)
        jacobian = torch.cat([torch.zeros(entries - 1, 1, dtype=torch.float64), torch.diag(1 / sigma)], 1)
        block = Block(LOG_DEPTH, torch.arange(keys), jacobian[None, :, None].expand(keys, -1, -1, -1))
        return Linearized(residual, [block])

    def scales(values: Values, with_jacobian: bool) -> Linearized:
        away = values[LOG_DEPTH][:, 0] - first[:, 0]
        residual = ((away - away.mean()) / config.keyframe_scale)[None, :, None]
        if not with_jacobian:
            return Linearized(residual)
        centring = (torch.eye(keys, dtype=torch.float64) - 1 / keys) / config.keyframe_scale
        return Linearized(residual, _by_scales(centring[None, :, None], keys))

    def metric(values: Values, with_jacobian: bool) -> Linearized:
        residual = ((values[LOG_DEPTH][:, 0].mean() - claims) / config.metric)[None, :, None]
        if not with_jacobian:
            return Linearized(residual)
        each = torch.full((1, len(claims), 1, keys), 1 / (keys * config.metric), dtype=torch.float64)
        return Linearized(residual, _by_scales(each, keys))

    terms = [Term("depth_nodes", nodes), Term("depth_scales", scales, Huber(2.0))]
    return [*terms, Term("metric_claims", metric, config.metric_loss)] if len(claims) else terms


def _by_scales(jacobian: Float[Tensor, "1 groups 1 keys"], keys: int) -> list[Block]:
    """One block per keyframe: only the first entry of LOG_DEPTH."""
    first = torch.tensor([0])
    return [Block(LOG_DEPTH, torch.tensor([k]), jacobian[..., k : k + 1], first) for k in range(keys)]


def focal_term(sigma: float) -> Term:
    """The focal length stays near its first estimate."""

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        residual = (values[LOG_FOCAL] / sigma)[:, None]
        jacobian = torch.full((1, 1, 1, 1), 1 / sigma, dtype=torch.float64)
        return Linearized(residual, [Block(LOG_FOCAL, torch.tensor([0]), jacobian)] if with_jacobian else [])

    return Term("focal", evaluate)
