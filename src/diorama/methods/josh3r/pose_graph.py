"""Camera path from motions over several baselines: a small pose graph, so that the drift of a chain is bounded by more
than one way from keyframe to keyframe."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.geometry.rotations import log_so3
from diorama.geometry.transforms import invert, rigid
from diorama.solver import Huber, LMConfig, RobustLoss, Variable, autodiff_term, solve


@dataclass(frozen=True)
class PoseGraphConfig:
    """Deviations that are usual for a pair, and beyond which (times `loss`'s scale) its pull stays constant.

    `unseen` times the deviations is how surely the camera stands still in a step that nobody is in.
    """

    metres: float = 0.03
    radians: float = 0.02
    loss: RobustLoss = Huber(2.0)  # noqa: RUF009 - frozen
    unseen: float = 100.0
    solver: LMConfig = field(default_factory=lambda: LMConfig(iterations=20))


def refined_path(
    path: Float[np.ndarray, "keys 4 4"],
    pairs: Int[np.ndarray, "pairs 2"],
    motions: Float[np.ndarray, "pairs 4 4"],
    seen: Bool[np.ndarray, " pairs"],
    config: PoseGraphConfig | None = None,
) -> Float[np.ndarray, "keys 4 4"]:
    """The path that agrees best with all motions; the first camera stays where it is.

    Args:
        path: where to start, from chaining.
        pairs: keyframes of each motion, first and second.
        motions: T_world_camera,first^-1 T_world_camera,second.
        seen: motions that somebody told.
        config: see `PoseGraphConfig`.
    """
    if len(path) < 2:
        return path
    config = config or PoseGraphConfig()
    edges = _edges(len(path), pairs, motions, seen, config)
    slots = torch.arange(len(path))
    turns, centres = Variable("turn", slots, rotations=True), Variable("centre", slots)
    start = {"turn": torch.tensor(path[:, None, :3, :3]), "centre": torch.tensor(path[:, :3, 3])}
    first, second = torch.from_numpy(pairs).T
    # The world as a whole is free; a first camera of deviation 1 stops it from floating and costs nothing.
    held = autodiff_term(
        "first", _away, [turns, centres], [slots[:1], slots[:1]], [start["turn"][:1], start["centre"][:1]]
    )
    told = autodiff_term(
        "motions", _disagreement, [turns, turns, centres, centres], [first, second, first, second], edges, config.loss
    )
    found = solve([turns, centres], start, [held, told], config.solver).values
    solved = rigid(found["turn"][:, 0].numpy(), found["centre"].numpy())
    return path[0] @ invert(solved[0]) @ solved


def _edges(
    keys: int,
    pairs: Int[np.ndarray, "pairs 2"],
    motions: Float[np.ndarray, "pairs 4 4"],
    seen: Bool[np.ndarray, " pairs"],
    config: PoseGraphConfig,
) -> list[Tensor]:
    """Rotation, translation, and 1 / deviation (radians, metres) of every pair. Unseen neighbours stand still, weakly;
    other unseen pairs say nothing."""
    motions = np.where(seen[:, None, None], motions, np.eye(4))
    neighbours = pairs[:, 1] - pairs[:, 0] == 1
    trust = np.where(seen, 1.0, np.where(neighbours, 1 / config.unseen, 0.0))
    weights = trust[:, None] / np.array([config.radians, config.metres])
    return [torch.tensor(part) for part in (motions[:, :3, :3], motions[:, :3, 3], weights)]


def _disagreement(
    turn_1: Tensor, turn_2: Tensor, centre_1: Tensor, centre_2: Tensor, rotation: Tensor, shift: Tensor, weights: Tensor
) -> Tensor:
    """Of one pair: (1, 6) in deviations."""
    turned = log_so3(rotation.T @ turn_1[0].T @ turn_2[0])
    moved = turn_1[0].T @ (centre_2 - centre_1) - shift
    return torch.cat([weights[0] * turned, weights[1] * moved])[None]


def _away(turn: Tensor, centre: Tensor, first_turn: Tensor, first_centre: Tensor) -> Tensor:
    return torch.cat([log_so3(first_turn[0].T @ turn[0]), centre - first_centre])[None]
