"""One segment of keyframes as a problem: what was seen there, and the world as it is believed at the moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import BodyModel
from diorama.body.unknown_person import stature_slope
from diorama.frontends.body_evidence import Evidence
from diorama.methods.josh.correspondences import Carried
from diorama.methods.josh.person_terms import Observed
from diorama.methods.josh.point_maps import PointMaps
from diorama.methods.placed_person import PlacedPerson

SITES = [f"contact/{name}" for name in CONTACT_SITE_NAMES]


@dataclass(frozen=True)
class KeyPerson:
    """One person at his keyframes `keys` (indices into the segment's, ascending).

    `evidence` has the keypoints of these rows (None: nobody tracked him), `contact` the probabilities of all sites,
    `lasting` those that a contact goes on from one row to the next, `height` px, `first_betas` the observed shape.
    """

    id: int
    model: BodyModel
    keys: Int[np.ndarray, " rows"]
    observed: Observed
    evidence: Evidence | None
    contact: Float[np.ndarray, "rows sites"]
    lasting: Float[np.ndarray, "steps sites"]
    height: Float[np.ndarray, " rows"]
    first_betas: Float[Tensor, "1 betas"]

    @cached_property
    def stature_slope(self) -> Float[Tensor, " betas"]:
        """Derivative of log(stature) at the observed shape."""
        return stature_slope(partial(stature_of, self.model), self.first_betas)


@dataclass(frozen=True)
class KeyProblem:
    """Everything a solve of one segment looks at.

    `first` is the first estimate of its world, `claims` are mean scales (logarithms) at which maps would be metric. Only
    cameras of the `kind` "translating" move, and static ones do not turn either.
    """

    maps: PointMaps
    times: Float[np.ndarray, " keys"]
    carried: Carried
    people: tuple[KeyPerson, ...]
    claims: Float[np.ndarray, " claims"]
    kind: str
    first: KeyWorld


@dataclass(frozen=True)
class KeyWorld:
    """What is believed: cameras (metres), corrections of the point maps, focal length relative to the first estimate, and
    the people at their keyframes, in the order of the problem's."""

    R_world_camera: Float[Tensor, "keys 3 3"]
    centres: Float[Tensor, "keys 3"]
    log_depth: Float[Tensor, "keys entries"]
    log_focal: float
    people: tuple[PlacedPerson, ...]

    def T_world_camera(self) -> Float[np.ndarray, "keys 4 4"]:
        """Camera poses as 4x4 matrices."""
        out = np.tile(np.eye(4), (len(self.centres), 1, 1))
        out[:, :3, :3], out[:, :3, 3] = self.R_world_camera.numpy(), self.centres.numpy()
        return out

    def with_people(self, people: tuple[PlacedPerson, ...]) -> KeyWorld:
        """The same world with other people."""
        return replace(self, people=people)


def stature_of(model: BodyModel, betas: Tensor) -> float:
    """Metres."""
    return float(model.stature(betas.float()))
