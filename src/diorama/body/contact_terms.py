"""Feet on the ground: sites in contact lie on the floor and stay where they are; nothing sinks below it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from diorama.body.unknown_person import PosedPoints, UnknownPerson
from diorama.solver import Block, Huber, Linearized, RobustLoss, Term, Values

FLOOR = "floor"  # (1, 3): slopes along x and y, height at the origin; z = a x + b y + d


def height_above_floor(
    points_world: Float[Tensor, "frames points 3"], floor: Float[Tensor, "1 3"]
) -> Float[Tensor, "frames points"]:
    """Vertical distance from the floor, metres."""
    return points_world[..., 2] - points_world[..., :2] @ floor[0, :2] - floor[0, 2]


def _height_blocks(
    person: UnknownPerson, posed: PosedPoints, index: Tensor, floor: Tensor, scale: Float[Tensor, "frames points"]
) -> list[Block]:
    points = posed.position[:, index]
    normal = torch.cat([-floor[0, :2], torch.ones(1, dtype=torch.float64)])
    outer = scale[..., None, None] * normal
    by_floor = (
        -scale[..., None, None] * torch.cat([points[..., :2], torch.ones_like(points[..., :1])], -1)[..., None, :]
    )
    shared = torch.zeros(person.frames, dtype=torch.long)
    return [*person.blocks(posed, outer, index), Block(FLOOR, shared, by_floor)]


def floor_contact_term(
    person: UnknownPerson,
    points: Sequence[str],
    contact: Float[Tensor, "frames points"],
    sigma: float,
    loss: RobustLoss = Huber(2.0),  # noqa: B008 - frozen
) -> Term:
    """Height of contact points above the floor over `sigma` metres, weighted by the probability of contact."""
    index, weight = person.index(points), contact.sqrt() / sigma

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        residual = (height_above_floor(posed.position[:, index], values[FLOOR]) * weight)[..., None]
        if not with_jacobian:
            return Linearized(residual)
        return Linearized(residual, _height_blocks(person, posed, index, values[FLOOR], weight))

    return Term("floor_contact", evaluate, loss)


def no_sinking_term(person: UnknownPerson, points: Sequence[str], sigma: float) -> Term:
    """Depth of points below the floor over `sigma` metres; nothing above it."""
    index = person.index(points)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        height = height_above_floor(posed.position[:, index], values[FLOOR])
        residual = (height.clamp_max(0) / sigma)[..., None]
        if not with_jacobian:
            return Linearized(residual)
        active = (height < 0).double() / sigma
        return Linearized(residual, _height_blocks(person, posed, index, values[FLOOR], active))

    return Term("no_sinking", evaluate)


def static_contact_term(
    person: UnknownPerson,
    points: Sequence[str],
    lasting: Float[Tensor, "steps points"],
    sigma: float,
    loss: RobustLoss = Huber(2.0),  # noqa: B008 - frozen
) -> Term:
    """Displacement of a point between neighbouring rows over `sigma` metres, weighted by the probability that its contact
    lasts from one row to the next (JOSH, Eq. 6, body against body)."""
    touching = lasting.any(0)
    index = person.index(points)[touching]
    weight = lasting[:, touching].sqrt() / sigma
    rows, turning = torch.arange(max(person.frames - 1, 0)), person.turning(index)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        points = posed.position[:, index]
        residual = (points[1:] - points[:-1]) * weight[..., None]
        if not with_jacobian or not len(rows):
            return Linearized(residual)
        assert posed.by_rotations is not None
        w, turn = weight[..., None, None], posed.by_rotations[:, index, :, :turning]
        eye = w * torch.eye(3, dtype=torch.float64)
        blocks = [
            Block(person.transl, rows, -eye),
            Block(person.transl, rows + 1, eye),
            Block(person.rotations, rows, -w * turn[:-1]),
            Block(person.rotations, rows + 1, w * turn[1:]),
        ]
        if person.shape_is_free and posed.by_betas is not None:
            shape = posed.by_betas[:, index]
            blocks.append(Block(person.betas, torch.zeros_like(rows), w * (shape[1:] - shape[:-1])))
        return Linearized(residual, blocks)

    return Term("static_contact", evaluate, loss)
