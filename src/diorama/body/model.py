"""The parametric body in stages: BodyModel -> ShapedBody -> PosedBody -> vertices. What is unknown cannot be asked.

Convention of every model here, SMPL's: 24 joints, zero pose a T-pose (+Y up, facing +Z, the person's left at +X),
`global_orient` acts about the rest pelvis J0 and `transl` comes last, so the pelvis lies at J0 + transl. The rest
origin is the model's own; J0 is in general neither zero nor the same for two shapes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.joints import JOINT_NAMES, JOINT_PARENTS
from diorama.body.kinematics import attach, attached_point_jacobians, forward_kinematics
from diorama.body.phenotypes import corner_weights
from diorama.geometry.rotations import exp_so3, log_so3


@dataclass(frozen=True)
class LinearPoints:
    """Points that depend linearly on the shape code: `template + sum_k code_k directions_k`, metres."""

    template: Float[Tensor, "points 3"]
    directions: Float[Tensor, "codes points 3"]

    def at(self, code: Float[Tensor, " codes"]) -> Float[Tensor, "points 3"]:
        """The points for one shape code."""
        return self.template + torch.tensordot(code, self.directions, dims=1)

    def rows(self, index: Sequence[int] | Int[Tensor, " n"]) -> LinearPoints:
        """Only some of the points."""
        chosen = torch.as_tensor(index, device=self.template.device)
        return LinearPoints(self.template[chosen], self.directions[:, chosen])

    def to(self, *, dtype: torch.dtype, device: torch.device | str) -> LinearPoints:
        """The same points in another precision or on another device."""
        return LinearPoints(self.template.to(device, dtype), self.directions.to(device, dtype))


@dataclass(frozen=True)
class NamedPoints:
    """A named list of points, each fixed to one joint: landmarks or contact sites of a body model."""

    names: tuple[str, ...]
    owners: Int[Tensor, " points"]
    positions: LinearPoints


@dataclass(frozen=True)
class RigidPoints:
    """Rest positions (metres, rest frame) of points fixed to joints (`owners`) of one shaped body."""

    names: tuple[str, ...]
    owners: Int[Tensor, " points"]
    rest: Float[Tensor, "points 3"]

    def select(self, names: Sequence[str]) -> RigidPoints:
        """Only the named points, in the order asked for."""
        index = [self.names.index(name) for name in names]
        return RigidPoints(tuple(names), self.owners[index], self.rest[index])


@dataclass(frozen=True)
class Skin:
    """Linear blend skinning: the joints that move each vertex and their weights, which sum to 1."""

    joints: Int[Tensor, "verts influences"]
    weights: Float[Tensor, "verts influences"]


@dataclass(frozen=True)
class BodyModel:
    """A family of bodies: shape, skeleton, skin, and the points that the rest of the house asks for by name.

    Attributes:
        name: "anny", "smpl", "smplh" or "smplx".
        betas_names: what each shape number means.
        default_betas: an average adult.
        faces: (faces, 3) triangles, outward normals counter-clockwise.
        verts, joints: linear in the shape code.
        skin: linear blend skinning weights on the 24 joints.
        landmarks, contact_sites: see `landmarks.py` and `contact_sites.py`.
        subset: some hundred vertices spread evenly over the outside, for fitting.
        corner_codes: shape codes of the phenotype grid's corners (free body); None if the betas are the code (SMPL).
        pose_directions: pose correctives, one row per entry of (R_1..23 - I) (SMPL); None if there are none.
    """

    name: str
    betas_names: tuple[str, ...]
    default_betas: Float[Tensor, " betas"]
    faces: Int[Tensor, "faces 3"]
    verts: LinearPoints
    joints: LinearPoints
    skin: Skin
    landmarks: NamedPoints
    contact_sites: NamedPoints
    subset: Int[Tensor, " subset"]
    corner_codes: Float[Tensor, "corners codes"] | None = None
    pose_directions: Float[Tensor, "207 verts 3"] | None = None

    joint_names = JOINT_NAMES
    joint_parents = JOINT_PARENTS

    def shape_code(self, betas: Float[Tensor, " betas"]) -> Float[Tensor, " codes"]:
        """The numbers in which the shape is linear."""
        if self.corner_codes is None:
            return betas
        return corner_weights(betas) @ self.corner_codes

    def shaped(self, betas: Float[Tensor, " betas"] | None = None) -> ShapedBody:
        """The body of one person (`default_betas` if not told)."""
        betas = self.default_betas if betas is None else betas
        return ShapedBody(model=self, betas=betas, code=self.shape_code(betas))

    def stature(self, betas: Float[Tensor, " betas"]) -> Float[Tensor, ""]:
        """Standing height in metres, from the soles to the top of the head in the T-pose; differentiable."""
        shaped = self.shaped(betas)
        feet = shaped.contact_sites.select(("left_heel", "right_heel", "left_toe", "right_toe"))
        return shaped.landmarks.select(("head_top",)).rest[0, 1] - feet.rest[:, 1].mean()

    def to(self, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu") -> BodyModel:
        """The same model in another precision or on another device."""

        def moved(points: NamedPoints) -> NamedPoints:
            positions = points.positions.to(dtype=dtype, device=device)
            return NamedPoints(points.names, points.owners.to(device), positions)

        return replace(
            self,
            default_betas=self.default_betas.to(device, dtype),
            faces=self.faces.to(device),
            verts=self.verts.to(dtype=dtype, device=device),
            joints=self.joints.to(dtype=dtype, device=device),
            skin=Skin(self.skin.joints.to(device), self.skin.weights.to(device, dtype)),
            landmarks=moved(self.landmarks),
            contact_sites=moved(self.contact_sites),
            subset=self.subset.to(device),
            corner_codes=None if self.corner_codes is None else self.corner_codes.to(device, dtype),
            pose_directions=None if self.pose_directions is None else self.pose_directions.to(device, dtype),
        )


@dataclass(frozen=True)
class ShapedBody:
    """One person's body in the rest pose. Vertices are computed only when asked for."""

    model: BodyModel
    betas: Float[Tensor, " betas"]
    code: Float[Tensor, " codes"]

    @cached_property
    def joints_rest(self) -> Float[Tensor, "24 3"]:
        """Joints in the rest pose, metres; the first is J0."""
        return self.model.joints.at(self.code)

    @cached_property
    def verts_rest(self) -> Float[Tensor, "verts 3"]:
        """Vertices in the rest pose, metres."""
        return self.model.verts.at(self.code)

    @cached_property
    def landmarks(self) -> RigidPoints:
        """The named landmarks (`joints.LANDMARK_NAMES`) of this body."""
        return self._rigid(self.model.landmarks)

    @cached_property
    def contact_sites(self) -> RigidPoints:
        """The named contact sites (`contact_sites.CONTACT_SITE_NAMES`) of this body."""
        return self._rigid(self.model.contact_sites)

    @property
    def stature(self) -> Float[Tensor, ""]:
        """Standing height, metres."""
        return self.model.stature(self.betas)

    def _rigid(self, points: NamedPoints) -> RigidPoints:
        return RigidPoints(points.names, points.owners, points.positions.at(self.code))

    def posed(
        self,
        global_orient: Float[Tensor, "frames 3"],
        body_pose: Float[Tensor, "frames 23 3"],
        transl: Float[Tensor, "frames 3"],
    ) -> PosedBody:
        """Pose from rotation vectors (radians, relative to the parent joint) and translation (metres)."""
        return self.posed_by_matrices(exp_so3(torch.cat([global_orient[:, None], body_pose], dim=1)), transl)

    def posed_by_matrices(
        self, local_rotations: Float[Tensor, "frames 24 3 3"], transl: Float[Tensor, "frames 3"]
    ) -> PosedBody:
        """Pose from local rotation matrices; the first is the global orientation."""
        joints, rotations = forward_kinematics(local_rotations, self.joints_rest, transl)
        return PosedBody(self, local_rotations, joints, rotations)


@dataclass(frozen=True)
class PosedBody:
    """A body over frames: joints are there, points and vertices on demand. World frame of the pose, metres."""

    shaped: ShapedBody
    local_rotations: Float[Tensor, "frames 24 3 3"]
    joints: Float[Tensor, "frames 24 3"]
    joint_rotations: Float[Tensor, "frames 24 3 3"]

    def points(self, points: RigidPoints) -> Float[Tensor, "frames points 3"]:
        """Points fixed to joints, for example `posed.points(shaped.landmarks.select(names))`."""
        return attach(self.joints, self.joint_rotations, self.shaped.joints_rest, points.owners, points.rest)

    def landmarks(self, names: Sequence[str] | None = None) -> Float[Tensor, "frames points 3"]:
        """All landmarks, or the named ones."""
        chosen = self.shaped.landmarks
        return self.points(chosen if names is None else chosen.select(names))

    def contact_sites(self, names: Sequence[str] | None = None) -> Float[Tensor, "frames points 3"]:
        """All contact sites, or the named ones."""
        chosen = self.shaped.contact_sites
        return self.points(chosen if names is None else chosen.select(names))

    def point_jacobians(
        self, points: RigidPoints
    ) -> tuple[Float[Tensor, "frames points 3"], Float[Tensor, "frames points 3 24 3"]]:
        """Points and their derivatives by right perturbations of all local rotations (see `kinematics`)."""
        placed = self.points(points)
        jacobian = attached_point_jacobians(self.joints, self.joint_rotations, points.owners, placed)
        return placed, jacobian

    def verts(self, subset: Sequence[int] | Int[Tensor, " n"] | None = None) -> Float[Tensor, "frames verts 3"]:
        """Skinned vertices, all or a subset of their numbers."""
        model = self.shaped.model
        if subset is None:
            rest, skin, correctives = self.shaped.verts_rest, model.skin, model.pose_directions
        else:
            chosen = torch.as_tensor(subset, device=model.faces.device)
            rest = model.verts.rows(chosen).at(self.shaped.code)
            skin = Skin(model.skin.joints[chosen], model.skin.weights[chosen])
            correctives = None if model.pose_directions is None else model.pose_directions[:, chosen]
        parts = [self._skinned(rest, skin, correctives, rows) for rows in _blocks(len(self.joints), len(rest))]
        return torch.cat(parts).contiguous()

    def _skinned(
        self, rest: Float[Tensor, "verts 3"], skin: Skin, correctives: Tensor | None, rows: slice
    ) -> Float[Tensor, "frames verts 3"]:
        """One product: vertex = sum_j w_j (G_j rest + shift_j), so the table of w_j (rest, 1) serves all frames."""
        rotations, joints = self.joint_rotations[rows], self.joints[rows]
        shifts = joints - (rotations @ self.shaped.joints_rest[..., None])[..., 0]
        weights = _dense_weights(skin)
        table = torch.cat([weights[:, :, None] * rest[:, None, :], weights[:, :, None]], dim=2).flatten(1)
        moves = torch.cat([rotations, shifts[..., None]], dim=-1).permute(0, 2, 1, 3).flatten(2)
        placed = (moves.flatten(0, 1) @ table.T).reshape(len(joints), 3, -1).transpose(1, 2)
        if correctives is None:
            return placed
        eye = torch.eye(3, dtype=rest.dtype, device=rest.device)
        feature = (self.local_rotations[rows, 1:] - eye).reshape(len(joints), -1)
        offsets = torch.tensordot(feature, correctives, dims=1)
        turns = (weights @ rotations.reshape(len(joints), -1, 9)).reshape(len(joints), -1, 3, 3)
        return placed + (turns * offsets[..., None, :]).sum(-1)


def _dense_weights(skin: Skin) -> Float[Tensor, "verts 24"]:
    dense = skin.weights.new_zeros(len(skin.weights), len(JOINT_NAMES))
    return dense.scatter_add(1, skin.joints, skin.weights)


def _blocks(frames: int, verts: int) -> Iterator[slice]:
    """Rows of frames whose blended transforms stay below about 200 MB."""
    step = max(1, 2_000_000 // max(verts, 1))
    for start in range(0, max(frames, 1), step):
        yield slice(start, start + step)


def move_body(
    global_orient: Float[Tensor, "frames 3"],
    transl: Float[Tensor, "frames 3"],
    pelvis_rest: Float[Tensor, " 3"],
    rotation: Float[Tensor, "3 3"],
    translation: Float[Tensor, " 3"],
) -> tuple[Float[Tensor, "frames 3"], Float[Tensor, "frames 3"]]:
    """Body parameters after the world is moved by x' = rotation x + translation.

    A body turns about its rest pelvis J0, not about the origin: R0' = R R0, t' = R (t + J0) + translation - J0.

    Args:
        global_orient: rotation vectors, radians.
        transl: metres.
        pelvis_rest: J0 of the shaped body, `shaped.joints_rest[0]`.
        rotation, translation: of the world.
    """
    moved = (transl + pelvis_rest) @ rotation.T + translation - pelvis_rest
    return log_so3(rotation @ exp_so3(global_orient)), moved
