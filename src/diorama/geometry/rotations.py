"""Rotations on SO(3): rotation vectors <-> matrices, differentiable and safe at zero and at pi."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def skew(vector: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Cross-product matrix: `skew(a) @ b == cross(a, b)`."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(*vector.shape[:-1], 3, 3)


def exp_so3(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotation matrix of a rotation vector (radians), Rodrigues' formula with a series near zero."""
    squared = (rotvec * rotvec).sum(-1)[..., None, None]
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sin_over = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    cos_over = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / safe)
    cross = skew(rotvec)
    eye = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return eye + sin_over * cross + cos_over * (cross @ cross)


def log_so3(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3"]:
    """Rotation vector (radians, length <= pi) of a rotation matrix; exact at zero, stable near pi.

    Goes through the quaternion whose largest component is computed first, so no division by a small number occurs.
    """
    quaternion = _quaternion_wxyz(matrix)
    quaternion = torch.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    w, xyz = quaternion[..., :1], quaternion[..., 1:]
    squared = (xyz * xyz).sum(-1, keepdim=True)
    small = squared < 1e-16
    sine = torch.where(small, torch.ones_like(squared), squared).sqrt()
    factor = torch.where(small, 2 / w.clamp_min(0.5), 2 * torch.atan2(sine, w) / sine)
    return factor * xyz


def right_jacobian_inverse(rotvec: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """Derivative of log(R exp(w)) by w at w = 0, for R = exp(rotvec) (Sola et al. 2018, arXiv:1812.01537, Eq. 144)."""
    squared = (rotvec * rotvec).sum(-1)[..., None, None]
    small = squared < 1e-8
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    factor = torch.where(small, 1 / 12 + squared / 720, 1 / safe - (1 + angle.cos()) / (2 * angle * angle.sin()))
    cross = skew(rotvec)
    return torch.eye(3, dtype=rotvec.dtype, device=rotvec.device) + 0.5 * cross + factor * (cross @ cross)


def _quaternion_wxyz(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    m = matrix
    t = m.diagonal(dim1=-2, dim2=-1)
    x, y, z = t.unbind(-1)
    squares = torch.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], -1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    s = squares
    rows = [[s[..., 0], a, b, c], [a, s[..., 1], d, e], [b, d, s[..., 2], f], [c, e, f, s[..., 3]]]
    table = torch.stack([torch.stack(row, -1) for row in rows], -2)
    best = squares.argmax(-1)[..., None, None].expand(*squares.shape[:-1], 1, 4)
    return torch.nn.functional.normalize(table.gather(-2, best)[..., 0, :], dim=-1)


def rotation_between(a: Float[Tensor, "*batch 3"], b: Float[Tensor, "*batch 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The smallest rotation that takes the direction of `a` to that of `b` (opposite directions: any half turn)."""
    a, b = torch.nn.functional.normalize(a, dim=-1), torch.nn.functional.normalize(b, dim=-1)
    axis = torch.linalg.cross(a, b)
    sine, cosine = axis.norm(dim=-1, keepdim=True), (a * b).sum(-1, keepdim=True)
    fallback = torch.linalg.cross(a, torch.eye(3, dtype=a.dtype, device=a.device)[a.abs().argmin(-1)])
    axis = torch.where(sine < 1e-9, fallback, axis)
    return exp_so3(torch.nn.functional.normalize(axis, dim=-1) * torch.atan2(sine, cosine))


def nearest_rotation(matrix: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 3 3"]:
    """The rotation closest to a 3x3 matrix in the Frobenius norm."""
    u, _, vt = torch.linalg.svd(matrix)
    sign = torch.det(u @ vt)
    fix = torch.ones_like(matrix[..., 0])
    fix[..., 2] = sign
    return (u * fix[..., None, :]) @ vt


def mean_rotation(matrices: Float[Tensor, "n 3 3"], weights: Float[Tensor, " n"] | None = None) -> Float[Tensor, "3 3"]:
    """Chordal mean of rotations."""
    weighted = matrices if weights is None else matrices * weights[:, None, None]
    return nearest_rotation(weighted.sum(0))


def matrix_of(rotvec: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """`exp_so3` for numpy arrays, float64 inside."""
    return exp_so3(torch.from_numpy(np.asarray(rotvec, np.float64))).numpy()


def rotvec_of(matrix: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """`log_so3` for numpy arrays, float64 inside."""
    return log_so3(torch.from_numpy(np.asarray(matrix, np.float64))).numpy()


def resample_rotations(
    rotvecs: Float[np.ndarray, "frames joints 3"], times: Float[np.ndarray, " frames"], at: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m joints 3"]:
    """Rotation vectors at the times `at`, along the shortest turn between neighbouring frames."""
    if len(times) == 1:
        return np.repeat(rotvecs, len(at), 0)
    left = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    share = np.clip((at - times[left]) / (times[left + 1] - times[left]), 0, 1)[:, None, None]
    rotations = matrix_of(rotvecs)
    step = rotvec_of(np.swapaxes(rotations[:-1], -1, -2) @ rotations[1:])
    return rotvec_of(rotations[left] @ matrix_of(share * step[left]))
