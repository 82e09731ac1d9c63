"""Symmetric Chamfer distance of a rigid mesh and a point set as a function of the mesh's shift, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

# Leaves of this size are the fastest for a few thousand points.
_LEAF = 32
# Nearer than this a direction means nothing, metres.
_TINY = 1e-9


@dataclass(frozen=True)
class Chamfer:
    """Mean over vertices of the distance to the nearest point, plus mean over points of that to the nearest vertex: not
    squared (SHARE, Eq. 5; the paper's text leaves the form open, its release has this one).

    The mesh only shifts, so both trees are built once: points look for vertices where these were, shifted back.

    Attributes:
        verts: of the mesh before any shift, metres.
        points: of the map, metres.
    """

    verts: Float[np.ndarray, "verts 3"]
    points: Float[np.ndarray, "points 3"]
    _of_verts: KDTree = field(init=False, repr=False)
    _of_points: KDTree = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_of_verts", KDTree(self.verts, leafsize=_LEAF, balanced_tree=False))
        object.__setattr__(self, "_of_points", KDTree(self.points, leafsize=_LEAF, balanced_tree=False))

    def __call__(self, shift: Float[np.ndarray, 3]) -> tuple[float, Float[np.ndarray, 3]]:
        """Value and gradient. Nearest neighbours do not change for a small shift, so the gradient is exact."""
        moved, back = self.verts + shift, self.points - shift
        away, nearest = self._of_points.query(moved)
        far, of_mesh = self._of_verts.query(back)
        pulled = (moved - self.points[nearest]) / np.maximum(away, _TINY)[:, None]
        pushed = (self.verts[of_mesh] - back) / np.maximum(far, _TINY)[:, None]
        return float(away.mean() + far.mean()), pulled.mean(0) + pushed.mean(0)

    def thinned(self, count: int, seed: int) -> Chamfer:
        """At most `count` random vertices and points."""
        rng = np.random.default_rng(seed)
        return Chamfer(*(_some(part, count, rng) for part in (self.verts, self.points)))


def _some(rows: Float[np.ndarray, "n 3"], count: int, rng: np.random.Generator) -> Float[np.ndarray, "m 3"]:
    return rows if len(rows) <= count else rows[np.sort(rng.choice(len(rows), count, replace=False))]
