"""Recipes for named points on a body: found once by geometry on an average mesh, then followed through shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body.joints import JOINT_INDEX
from diorama.body.model import LinearPoints, NamedPoints


@dataclass(frozen=True)
class RestGeometry:
    """What the rules look at: one average body in its T-pose (metres) and the joint that moves each vertex most."""

    verts: Float[np.ndarray, "verts 3"]
    joints: Float[np.ndarray, "24 3"]
    owners: Int[np.ndarray, " verts"]

    def joint(self, name: str) -> Float[np.ndarray, " 3"]:
        """Rest position of a joint."""
        return self.joints[JOINT_INDEX[name]]

    def owned_by(self, *names: str) -> Int[np.ndarray, " n"]:
        """Numbers of the vertices that one of these joints moves most."""
        return np.flatnonzero(np.isin(self.owners, [JOINT_INDEX[name] for name in names]))

    def nearest(self, candidates: Int[np.ndarray, " n"], target: Float[np.ndarray, " 3"], count: int = 1) -> list[int]:
        """The `count` candidates closest to a point."""
        distance = np.linalg.norm(self.verts[candidates] - target, axis=1)
        return candidates[np.argsort(distance, kind="stable")[:count]].tolist()

    def extreme(self, candidates: Int[np.ndarray, " n"], direction: Sequence[float] | Float[np.ndarray, " 3"]) -> int:
        """The candidate furthest along a direction."""
        return int(candidates[np.argmax(self.verts[candidates] @ np.asarray(direction))])


@dataclass(frozen=True)
class PointRecipe:
    """A point fixed to joint `owner`: mean of `vertices`, or joint `base`, or between them (by `share`)."""

    owner: str
    vertices: tuple[int, ...] = ()
    base: str = ""
    share: float = 1.0


def named_points(recipes: Mapping[str, PointRecipe], verts: LinearPoints, joints: LinearPoints) -> NamedPoints:
    """The recipes as points that are linear in the shape code, like the body they are taken from."""
    templates, directions = [], []
    for recipe in recipes.values():
        template, direction = torch.zeros(3), torch.zeros(len(verts.directions), 3)
        share = recipe.share if recipe.vertices else 0.0
        if recipe.vertices:
            chosen = verts.rows(recipe.vertices)
            template = template + share * chosen.template.mean(0)
            direction = direction + share * chosen.directions.mean(1)
        if recipe.base:
            index = JOINT_INDEX[recipe.base]
            template = template + (1 - share) * joints.template[index]
            direction = direction + (1 - share) * joints.directions[:, index]
        templates.append(template)
        directions.append(direction)
    owners = torch.tensor([JOINT_INDEX[recipe.owner] for recipe in recipes.values()])
    return NamedPoints(tuple(recipes), owners, LinearPoints(torch.stack(templates), torch.stack(directions, dim=1)))
