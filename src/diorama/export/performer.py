"""A person ready to be drawn frame by frame, seen from any camera."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body.joints import JOINT_PARENTS
from diorama.body.model import PosedBody, ShapedBody
from diorama.errors import DioramaError
from diorama.export.skin import joint_transforms, person_color, shaped_person
from diorama.geometry.transforms import apply
from diorama.reconstruction import Person
from diorama.render.overlay import BodyLayer

logger = logging.getLogger(__name__)

# Frames that are posed together: what a body costs once is shared among them.
_BLOCK = 16


@dataclass(frozen=True)
class _Posed:
    """Some frames of a body around its own pelvis, so that places far from the origin lose no digits (world axes)."""

    vertices: Float[np.ndarray, "frames verts 3"]
    sites: Float[np.ndarray, "frames sites 3"]


@dataclass(frozen=True)
class Performer:
    """A person ready to be posed frame by frame; without a body model only joints are drawn."""

    person: Person
    rows: dict[int, int]
    colour: tuple[int, int, int]
    shaped: ShapedBody | None
    Ts_world_joint: Float[np.ndarray, "n 24 4 4"] | None
    touching: Bool[np.ndarray, "n sites"]
    verts: Int[np.ndarray, " kept"]
    faces: Int[np.ndarray, "faces 3"]
    _kept: dict[int, _Posed] = field(default_factory=dict)

    @classmethod
    def of(cls, person: Person, detail: float = 0.0) -> Performer:
        """Look the body model up.

        Args:
            detail: metres; what is smaller is not drawn (see `coarser`). 0 keeps the whole mesh.
        """
        shaped = Ts = None
        verts, faces = np.zeros(0, int), np.zeros((0, 3), int)
        try:
            shaped = shaped_person(person)
            Ts = joint_transforms(shaped, person)
            verts, faces = coarser(shaped.verts_rest.numpy(), shaped.model.faces.numpy(), detail)
        except DioramaError as error:
            logger.warning("person %d is drawn as a skeleton: %s", person.id, error)
        rows = {int(row): n for n, row in enumerate(person.frames)}
        return cls(person, rows, person_color(person.id), shaped, Ts, person.contacts > 0.5, verts, faces)

    def layer(self, row: int, T_camera_world: Float[np.ndarray, "4 4"]) -> BodyLayer:
        """What is drawn of this person in a frame."""
        n = self.rows[row]
        joints = apply(T_camera_world, np.asarray(self.person.joints_world[n], np.float64))
        label = f"{self.person.id}  {np.linalg.norm(joints[0]):.1f} m"
        if self.shaped is None or self.Ts_world_joint is None:
            return BodyLayer(self.colour, label, joints, JOINT_PARENTS, np.zeros((0, 3)))
        posed, m = self._posed(n // _BLOCK), n % _BLOCK
        pelvis = apply(T_camera_world, self.Ts_world_joint[n, 0, :3, 3])
        turn = T_camera_world[:3, :3].astype(np.float32)
        vertices = posed.vertices[m] @ turn.T + pelvis.astype(np.float32)
        sites = posed.sites[m][self._known(self.touching[n])] @ T_camera_world[:3, :3].T + pelvis
        return BodyLayer(self.colour, label, joints, JOINT_PARENTS, sites, vertices, self.faces)

    def _known(self, touching: Bool[np.ndarray, " sites"]) -> Bool[np.ndarray, " known"]:
        """Which of the sites that the body has touch something."""
        assert self.shaped is not None
        names = self.shaped.contact_sites.names
        pairs = zip(self.person.contact_sites, touching, strict=True)
        return np.array([on for name, on in pairs if name in names], bool)

    def _posed(self, block: int) -> _Posed:
        """A block of frames; the last one asked for is kept."""
        if block not in self._kept:
            self._kept.clear()
            self._kept[block] = self._pose(slice(block * _BLOCK, (block + 1) * _BLOCK))
        return self._kept[block]

    def _pose(self, frames: slice) -> _Posed:
        assert self.shaped is not None and self.Ts_world_joint is not None
        Ts = self.Ts_world_joint[frames]
        places = torch.from_numpy((Ts[..., :3, 3] - Ts[:, :1, :3, 3]).astype(np.float32))
        turns = torch.from_numpy(Ts[..., :3, :3].astype(np.float32))
        local = turns.clone()
        for joint, parent in enumerate(JOINT_PARENTS):
            if parent >= 0:
                local[:, joint] = turns[:, parent].mT @ turns[:, joint]
        posed = PosedBody(self.shaped, local, places, turns)
        names = [name for name in self.person.contact_sites if name in self.shaped.contact_sites.names]
        sites = posed.contact_sites(names).numpy() if names else np.zeros((len(Ts), 0, 3), np.float32)
        return _Posed(posed.verts(torch.from_numpy(self.verts)).numpy(), sites)


def coarser(
    vertices: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"], cell: float
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, "left 3"]]:
    """One vertex of every cube of side `cell` (metres), and the faces that are left between them; 0 keeps everything.

    Returns:
        Numbers of the vertices that are kept, and faces that count those.
    """
    if cell <= 0:
        return np.arange(len(vertices)), faces
    cubes = np.floor(vertices / cell).astype(np.int64)
    _, kept, cube_of = np.unique(cubes, axis=0, return_index=True, return_inverse=True)
    left = cube_of.reshape(-1)[faces]
    whole = (left[:, 0] != left[:, 1]) & (left[:, 1] != left[:, 2]) & (left[:, 2] != left[:, 0])
    return kept, left[whole]
