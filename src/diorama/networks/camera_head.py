"""From the tokens of a picture to its camera: Pi3's camera head, and the nearest rotation without an SVD."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import normalize, relu

from diorama.networks.blocks import full_precision


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The proper rotation R that maximises trace(R^T M): what U diag(1, 1, det(U V^T)) V^T of the SVD gives.

    It is the largest eigenvector of a symmetric 4x4 matrix, read as a quaternion (Davenport's q-method); 30 squarings
    of the shifted matrix leave nothing else. Unlike an SVD that waits for nothing on a GPU, and its gradient is finite
    at rotations, where the singular values are equal. A zero matrix gives the identity.
    """
    # float64 settles eigenvalues that differ by 1e-8 of their size; Apple's devices have none.
    wide = torch.float32 if matrix.device.type == "mps" else torch.float64
    with full_precision(matrix):
        power = _davenport(matrix.to(wide))
        for _ in range(30):
            power = power @ power
            power = power / power.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        largest = power.diagonal(dim1=-2, dim2=-1).argmax(-1)[..., None, None]
        column = power.gather(-1, largest.expand(*power.shape[:-1], 1))[..., 0]
        return _rotation_of_quaternion(normalize(column, dim=-1)).to(matrix.dtype)


def _davenport(m: Tensor) -> Tensor:
    """q^T K q = trace(R(q)^T M), shifted to be positive and to prefer the identity for a zero matrix."""
    trace = m.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    turn = torch.stack([m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]], -1)
    eye = torch.eye(3, dtype=m.dtype, device=m.device)
    top = torch.cat([trace, turn[..., None, :]], -1)
    low = torch.cat([turn[..., :, None], m + m.mT - trace * eye], -1)
    k = torch.cat([top, low], -2)
    # Frobenius norms bound eigenvalues; the sum of squares is kept off zero for its gradient.
    bound = ((k * k).sum((-2, -1)) + 1e-24).sqrt()[..., None, None]
    identity = torch.zeros_like(k)
    identity[..., 0, 0] = 1e-12
    return k + bound * torch.eye(4, dtype=m.dtype, device=m.device) + identity


def _rotation_of_quaternion(q: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    w, x, y, z = q.unbind(-1)
    rows = [
        [w * w + x * x - y * y - z * z, 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), w * w - x * x + y * y - z * z, 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), w * w - x * x - y * y + z * z],
    ]
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def rigid_inverse(T: Float[Tensor, "*batch 4 4"]) -> Float[Tensor, "*batch 4 4"]:
    """Inverse of a rotation and translation."""
    turn = T[..., :3, :3].mT
    with full_precision(T):
        return rigid(turn, -(turn @ T[..., :3, 3:])[..., 0])


def in_first_camera(T: Float[Tensor, "*batch frames 4 4"]) -> Float[Tensor, "*batch frames 4 4"]:
    """Cameras of a clip with the first one as the world."""
    with full_precision(T):
        return rigid_inverse(T[..., :1, :, :]) @ T


def rigid(rotation: Float[Tensor, "*batch 3 3"], translation: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 4 4"]:
    """A 4x4 transform of its parts."""
    top = torch.cat([rotation, translation[..., None]], -1)
    low = torch.zeros_like(top[..., :1, :])
    low[..., 3] = 1
    return torch.cat([top, low], -2)


class ResidualUnit(nn.Module):
    """Three linear layers with ReLU, and the identity around them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv1 = nn.Linear(width, width)
        self.res_conv2 = nn.Linear(width, width)
        self.res_conv3 = nn.Linear(width, width)

    def forward(self, tokens: Float[Tensor, "batch patches width"]) -> Float[Tensor, "batch patches width"]:
        return tokens + relu(self.res_conv3(relu(self.res_conv2(relu(self.res_conv1(tokens))))))


class CameraHead(nn.Module):
    """Patch tokens of each picture to `T_world_camera`: two residual units, mean over patches, two layers, read-outs.

    The nine rotation numbers are the rows of a 3x3 matrix; each row is brought to length 1, then the nearest rotation
    is taken. The translation is used as it is.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.res_conv = nn.ModuleList([ResidualUnit(width), ResidualUnit(width)])
        self.more_mlps = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.fc_t = nn.Linear(width, 3)
        self.fc_rot = nn.Linear(width, 9)

    def forward(self, tokens: Float[Tensor, "batch patches width"]) -> Float[Tensor, "batch 4 4"]:
        for unit in self.res_conv:
            tokens = unit(tokens)
        picture = self.more_mlps(tokens.mean(1))
        rows = normalize(self.fc_rot(picture).unflatten(-1, (3, 3)), dim=-1)
        return rigid(nearest_rotation(rows), self.fc_t(picture))
