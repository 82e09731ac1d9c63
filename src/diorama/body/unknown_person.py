"""One person as unknowns of a solve, and the points of his body with their derivatives.

Rotations and translation are in any frame with fixed axes, called world here. Rotation 0 is `global_orient`, 1-23 are
`body_pose`; all change as R <- R exp(w).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.kinematics import attach, attached_point_jacobians, forward_kinematics
from diorama.body.model import BodyModel
from diorama.solver import Block, Linearized, Term, Values, Variable

Rest = Callable[[Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class PosedPoints:
    """Points (F, P, 3) in metres with derivatives by the 24 rotations (72 entries) and by the shape."""

    position: Float[Tensor, "frames points 3"]
    by_rotations: Float[Tensor, "frames points 3 72"] | None = None
    by_betas: Float[Tensor, "frames points 3 betas"] | None = None


@dataclass
class UnknownPerson:
    """Variables `transl`, `rotations`, `betas` of one person over the rows of his track.

    `rest(betas)` gives the rest positions of the 24 joints and of the named points, each riding on the joint
    `owner[p]`. `first_slot` keeps people apart in the solver's band. Joints of `fixed_joints` do not turn: body
    landmarks do not show the hands' rotation.
    """

    id: int
    point_names: Sequence[str]
    owner: Int[Tensor, " points"]
    rest: Rest
    frames: int
    first_slot: int = 0
    fixed_joints: Sequence[int] = (22, 23)
    free_betas: Float[Tensor, " betas"] | None = None
    _kept: dict[str, tuple[tuple[Tensor, ...], object]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, model: BodyModel, id: int, frames: int, first_slot: int = 0, surface_step: int = 12) -> UnknownPerson:
        """A person of a body model.

        Points: its landmarks by name, its contact sites as `contact/<site>`, its joints as `joint/<name>`, and every
        `surface_step`-th vertex of the fitting subset (0: none) as `surface/<n>`, on the joint that moves it most.
        """
        chosen = model.subset[::surface_step] if surface_step else model.subset[:0]
        main = model.skin.weights[chosen].argmax(1, keepdim=True)
        marks, sites = model.landmarks.positions, model.contact_sites.positions
        parts = [model.joints, marks, sites, model.joints, model.verts.rows(chosen)]
        template = torch.cat([part.template for part in parts]).double()
        directions = torch.cat([part.directions for part in parts], 1).double()
        # Its mesh is not looked at: only what shapes are made of is needed in this precision.
        coded = replace(model, corner_codes=None if model.corner_codes is None else model.corner_codes.double())

        def rest(betas: Tensor) -> tuple[Tensor, Tensor]:
            both = template + torch.tensordot(coded.shape_code(betas), directions, dims=1)
            return both[:24], both[24:]

        names = [
            *model.landmarks.names,
            *(f"contact/{name}" for name in model.contact_sites.names),
            *(f"joint/{name}" for name in JOINT_NAMES),
            *(f"surface/{n}" for n in range(len(chosen))),
        ]
        surface_owner = model.skin.joints[chosen].gather(1, main)[:, 0]
        owner = torch.cat([model.landmarks.owners, model.contact_sites.owners, torch.arange(24), surface_owner])
        return cls(id, names, owner, rest, frames, first_slot)

    def surface_of(self, joints: Sequence[int]) -> list[str]:
        """Names of the surface points that ride on these joints."""
        pairs = zip(self.point_names, self.owner.tolist(), strict=True)
        return [name for name, owner in pairs if name.startswith("surface/") and owner in joints]

    @property
    def transl(self) -> str:
        return f"transl_{self.id}"

    @property
    def rotations(self) -> str:
        return f"rotations_{self.id}"

    @property
    def betas(self) -> str:
        return f"betas_{self.id}"

    def variables(self) -> list[Variable]:
        """What the solver may move."""
        slots = self.first_slot + torch.arange(self.frames)
        free = torch.ones(24, 3, dtype=torch.float64)
        free[list(self.fixed_joints)] = 0
        moving = [
            Variable(self.transl, slots),
            Variable(self.rotations, slots, rotations=True, free=free.reshape(-1)),
        ]
        return [*moving, Variable(self.betas, free=self.free_betas)] if self.shape_is_free else moving

    @property
    def shape_is_free(self) -> bool:
        """Whether any shape entry may move; if none may, the shape is a constant and costs nothing."""
        return self.free_betas is None or bool(self.free_betas.any())

    def index(self, names: Sequence[str]) -> Int[Tensor, " n"]:
        """Positions of point names."""
        return torch.tensor([list(self.point_names).index(name) for name in names])

    def turning(self, index: Int[Tensor, " points"]) -> int:
        """How many of the rotations' tangent entries, from the first on, can move any of these points: joints come after
        their parents."""
        return 3 * (1 + int(self.owner[index].max())) if len(index) else 0

    def points(self, values: Values, with_jacobian: bool) -> PosedPoints:
        """All named points. Kept until a value changes, since many terms ask for the same points in turn."""
        key = (values[self.transl], values[self.rotations], values[self.betas])
        kept = self._kept.get("points")
        if kept and all(a is b for a, b in zip(kept[0], key, strict=True)):
            posed = kept[1]
            assert isinstance(posed, PosedPoints)
            if posed.by_rotations is not None or not with_jacobian:
                return posed
        posed = self._pose(*key, with_jacobian)
        self._kept["points"] = (key, posed)
        return posed

    def blocks(
        self, posed: PosedPoints, outer: Float[Tensor, "frames points components 3"], index: Int[Tensor, " points"]
    ) -> list[Block]:
        """Blocks of a residual per frame whose derivative by the points `index` is `outer`; one robust group a point."""
        return [
            Block(self.transl, torch.arange(self.frames), outer),
            *self.turning_blocks(posed, outer, index, index[:0]),
        ]

    def turning_blocks(
        self, posed: PosedPoints, outer: Tensor, plus: Int[Tensor, " points"], minus: Int[Tensor, " others"]
    ) -> list[Block]:
        """Blocks by rotations and shape of a residual of the points `plus`, less the points `minus` if there are any."""
        assert posed.by_rotations is not None
        rows = torch.arange(self.frames)
        turning = posed.by_rotations[..., : self.turning(torch.cat([plus, minus]))]
        turn = turning[:, plus] - (turning[:, minus] if len(minus) else 0)
        blocks = [Block(self.rotations, rows, outer @ turn)]
        if self.shape_is_free:
            assert posed.by_betas is not None
            shape = posed.by_betas[:, plus] - (posed.by_betas[:, minus] if len(minus) else 0)
            blocks.append(Block(self.betas, torch.zeros_like(rows), outer @ shape))
        return blocks

    def rest_of(self, betas: Float[Tensor, "1 betas"]) -> tuple[Tensor, Tensor]:
        """Rest joints (24, 3) and points (P, 3); kept while the shape stays the same."""
        kept = self._kept.get("rest")
        if not kept or kept[0][0] is not betas:
            kept = ((betas,), self.rest(betas[0]))
            self._kept["rest"] = kept
        return kept[1]  # type: ignore[return-value]

    def _pose(self, transl: Tensor, rotations: Tensor, betas: Tensor, with_jacobian: bool) -> PosedPoints:
        joints_rest, points_rest = self.rest_of(betas)
        joints, frames = forward_kinematics(rotations, joints_rest, transl)
        position = attach(joints, frames, joints_rest, self.owner, points_rest)
        if not with_jacobian:
            return PosedPoints(position)
        by_rotations = attached_point_jacobians(joints, frames, self.owner, position).flatten(-2)
        if not self.shape_is_free:
            return PosedPoints(position, by_rotations)
        joints_by, points_by = self.rest_slope(betas)
        return PosedPoints(position, by_rotations, rest_jacobians(frames, self.owner, joints_by, points_by))

    def rest_slope(self, betas: Tensor, step: float = 1e-3) -> tuple[Tensor, Tensor]:
        """Derivatives of the rest joints (24, 3, B) and points (P, 3, B) by the shape.

        Central differences: shapes are smooth or piecewise linear, and there are few of them.
        """
        kept = self._kept.get("rest_derivative")
        if kept and kept[0][0] is betas:
            return kept[1]  # type: ignore[return-value]
        steps = step * torch.eye(betas.shape[1], dtype=betas.dtype)
        moved = torch.func.vmap(self.rest)(torch.cat([betas + steps, betas - steps]))
        joints, points = (((m[: len(steps)] - m[len(steps) :]) / (2 * step)).movedim(0, -1).contiguous() for m in moved)
        self._kept["rest_derivative"] = ((betas,), (joints, points))
        return joints, points


def stature_slope(stature: Callable[[Tensor], float], first: Tensor) -> Float[Tensor, " betas"]:
    """Derivative of log(stature) at the shape `first` (1, B); statures are linear in the shape."""
    steps = 0.02 * torch.eye(first.shape[1], dtype=first.dtype)
    slope = [(stature(first[0] + step) - stature(first[0] - step)) / 0.04 for step in steps]
    return torch.tensor(slope, dtype=first.dtype) / stature(first[0])


def in_statures(term: Term, person: UnknownPerson, slope: Float[Tensor, " betas"], first: Tensor) -> Term:
    """A term whose residual is a length, divided by how much taller the person has become than with the shape `first`.

    Lengths in metres reward a world that shrinks, people and all: every slide and every gap becomes smaller. Relative to
    the people nothing is gained. `slope` is the `stature_slope` at `first`; statures are linear in the shape.
    """
    if not person.shape_is_free:
        return term

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        part = term.function(values, with_jacobian)
        taller = 1 + (slope * (values[person.betas] - first)[0]).sum()
        residual = part.residual / taller
        if not with_jacobian or not len(residual):
            return Linearized(residual, part.blocks)
        blocks = [Block(b.variable, b.rows, b.jacobian / taller, b.first) for b in part.blocks]
        shared = torch.zeros(len(residual), dtype=torch.long)
        blocks.append(Block(person.betas, shared, -residual[..., None] * slope / taller))
        return Linearized(residual, blocks)

    return Term(term.name, evaluate, term.loss)


def rest_jacobians(
    joint_rotations: Float[Tensor, "frames 24 3 3"],
    owner: Int[Tensor, " points"],
    joints_rest_by: Float[Tensor, "24 3 betas"],
    points_rest_by: Float[Tensor, "points 3 betas"],
) -> Float[Tensor, "frames points 3 betas"]:
    """Derivative of attached points by the shape: for fixed rotations, kinematics is linear in rest positions."""
    moved = [joints_rest_by[0].expand(len(joint_rotations), 3, joints_rest_by.shape[-1])]
    for joint in range(1, len(JOINT_PARENTS)):
        parent = JOINT_PARENTS[joint]
        offset = joints_rest_by[joint] - joints_rest_by[parent]
        moved.append(moved[parent] + joint_rotations[:, parent] @ offset)
    offsets = points_rest_by - joints_rest_by[owner]
    return torch.stack(moved, 1)[:, owner] + joint_rotations[:, owner] @ offsets
