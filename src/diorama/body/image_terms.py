"""What the pictures say about a person: 2D landmarks, directions of limbs, and the silhouette, as residual terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import skew
from diorama.solver import Block, GemanMcClure, Huber, Linearized, RobustLoss, Term, Values

# Variables of unknown cameras: rotations (rows, 1, 3, 3) camera -> world, centres (rows, 3) m, and the logarithm of the
# focal length relative to the first estimate (1, 1).
CAMERA_ROTATIONS, CAMERA_CENTRES, LOG_FOCAL = "camera_rotations", "camera_centres", "log_focal"


@dataclass(frozen=True)
class CameraRows:
    """The cameras at the rows of one person: rotation world -> camera, centre in metres, focal length px.

    With `unknown`, row n is the row `unknown[n]` of the solver's cameras; what is given here is then where they started.
    """

    R_camera_world: Float[Tensor, "frames 3 3"]
    centre: Float[Tensor, "frames 3"]
    focal: Float[Tensor, " frames"]
    unknown: Int[Tensor, " frames"] | None = None

    def at(self, values: Values) -> tuple[Tensor, Tensor, Tensor]:
        """Rotation world -> camera, centre, and focal length of the present values."""
        if self.unknown is None:
            return self.R_camera_world, self.centre, self.focal
        rotation = values[CAMERA_ROTATIONS][self.unknown, 0].mT
        return rotation, values[CAMERA_CENTRES][self.unknown], self.focal * torch.exp(values[LOG_FOCAL][0, 0])

    def to_camera(self, values: Values, points_world: Float[Tensor, "frames points 3"]) -> Tensor:
        """Camera-frame points (F, P, 3)."""
        rotation, centre, _ = self.at(values)
        return (points_world - centre[:, None]) @ rotation.mT

    def blocks(
        self, by_camera: Float[Tensor, "frames points components 3"], points_camera: Tensor, by_world: Tensor
    ) -> list[Block]:
        """Derivatives by the unknown cameras, given those by the camera-frame and world points; none of known cameras.

        A turn R <- R exp(w) takes p to p - w x p, a shift of the centre takes it back.
        """
        if self.unknown is None:
            return []
        turn = by_camera @ skew(points_camera)
        return [Block(CAMERA_ROTATIONS, self.unknown, turn), Block(CAMERA_CENTRES, self.unknown, -by_world)]

    def rows(self, cut: slice | Int[Tensor, " n"]) -> CameraRows:
        """Some of the rows."""
        unknown = None if self.unknown is None else self.unknown[cut]
        return CameraRows(self.R_camera_world[cut], self.centre[cut], self.focal[cut], unknown)


def _project(points_camera: Tensor, focal: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels relative to the principal point (F, P, 2) and their derivative by the camera point (F, P, 2, 3)."""
    depth = points_camera[..., 2:].clamp_min(0.1)
    xy = points_camera[..., :2] / depth
    scale = (focal[:, None, None] / depth)[..., None]
    eye = torch.eye(2, dtype=xy.dtype).expand(*xy.shape, 2)
    return xy * focal[:, None, None], scale * torch.cat([eye, -xy[..., None]], -1)


def keypoint_term(
    person: UnknownPerson,
    cameras: CameraRows,
    names: Sequence[str],
    seen: Float[Tensor, "frames points 2"],
    sigma_px: Float[Tensor, "frames points"],
    loss: RobustLoss = GemanMcClure(3.0),  # noqa: B008 - frozen
) -> Term:
    """2D landmarks: projected point minus seen point over its standard deviation; `seen` is undistorted and relative to
    the principal point, px. A landmark that was not seen has an infinite `sigma_px`."""
    index = person.index(names)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        points_camera = cameras.to_camera(values, posed.position[:, index])
        rotation, _, focal = cameras.at(values)
        pixels, by_camera = _project(points_camera, focal)
        residual = (pixels - seen) / sigma_px[..., None]
        if not with_jacobian:
            return Linearized(residual)
        by_camera = by_camera / sigma_px[..., None, None]
        by_world = by_camera @ rotation[:, None]
        blocks = person.blocks(posed, by_world, index) + cameras.blocks(by_camera, points_camera, by_world)
        if cameras.unknown is not None:
            by_focal = (pixels / sigma_px[..., None])[..., None]
            blocks.append(Block(LOG_FOCAL, torch.zeros_like(cameras.unknown), by_focal))
        return Linearized(residual, blocks)

    return Term("keypoints", evaluate, loss)


def direction_term(
    person: UnknownPerson,
    pairs: Sequence[tuple[str, str]],
    seen_world: Float[Tensor, "frames pairs 3"],
    sigma: Float[Tensor, "frames pairs"],
    loss: RobustLoss = Huber(1.5),  # noqa: B008 - frozen
) -> Term:
    """Directions between landmarks: unit vector from the first to the second, minus the seen one, over `sigma` (rad).

    Lengths are left out on purpose: the detector's 3D landmarks do not know how tall somebody is.
    """
    start, end = person.index([a for a, _ in pairs]), person.index([b for _, b in pairs])

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        bone = posed.position[:, end] - posed.position[:, start]
        length = bone.norm(dim=-1, keepdim=True).clamp_min(1e-6)
        unit = bone / length
        residual = (unit - seen_world) / sigma[..., None]
        if not with_jacobian:
            return Linearized(residual)
        eye = torch.eye(3, dtype=unit.dtype)
        outer = (eye - unit[..., None] * unit[..., None, :]) / (length * sigma[..., None])[..., None]
        return Linearized(residual, person.turning_blocks(posed, outer, end, start))

    return Term("directions", evaluate, loss)


@dataclass(frozen=True)
class DistanceFields:
    """Per frame, the distance in pixels to the person's mask (0 inside) on a small grid, with its placing in the picture.

    Cell (i, j) of frame f has its centre at `origin[f] + cell[f] * (j + 0.5, i + 0.5)`, relative to the principal point.
    """

    distance: Float[Tensor, "frames height width"]
    origin: Float[Tensor, "frames 2"]
    cell: Float[Tensor, " frames"]

    def sample(self, pixels: Float[Tensor, "frames points 2"]) -> tuple[Tensor, Tensor]:
        """Distance (F, P) and its gradient (F, P, 2), bilinear; clamped to the border of the grid."""
        height, width = self.distance.shape[1:]
        at = (pixels - self.origin[:, None]) / self.cell[:, None, None] - 0.5
        x = at[..., 0].clamp(0, width - 1.001)
        y = at[..., 1].clamp(0, height - 1.001)
        column, row = x.long(), y.long()
        u, v = x - column, y - row
        flat = self.distance.flatten(1)
        a, b, c, d = (flat.gather(1, (row + i) * width + column + j) for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
        value = (1 - v) * ((1 - u) * a + u * b) + v * ((1 - u) * c + u * d)
        gradient = torch.stack([(1 - v) * (b - a) + v * (d - c), (1 - u) * (c - a) + u * (d - b)], -1)
        return value, gradient / self.cell[:, None, None]


def silhouette_term(
    person: UnknownPerson,
    cameras: CameraRows,
    names: Sequence[str],
    fields: DistanceFields,
    sigma_px: Float[Tensor, " frames"],
    loss: RobustLoss = GemanMcClure(3.0),  # noqa: B008 - frozen
) -> Term:
    """The body stays inside its mask: distance of projected points from the mask, over `sigma_px`.

    One-sided: clothes and bags make masks larger than bodies, so uncovered mask is no fault of the body. Frames
    without a usable mask have an infinite `sigma_px`. Only for cameras that are known.
    """
    assert cameras.unknown is None
    index: Int[Tensor, " points"] = person.index(names)

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        pixels, by_camera = _project(cameras.to_camera(values, posed.position[:, index]), cameras.focal)
        distance, gradient = fields.sample(pixels)
        residual = (distance / sigma_px[:, None])[..., None]
        if not with_jacobian:
            return Linearized(residual)
        by_pixel = gradient[..., None, :] / sigma_px[:, None, None, None]
        by_world = by_pixel @ by_camera @ cameras.R_camera_world[:, None]
        return Linearized(residual, person.blocks(posed, by_world, index))

    return Term("silhouette", evaluate, loss)
