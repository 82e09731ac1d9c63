"""Pose of one camera from known points: robust Gauss-Newton on pixels, with radial distortion."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import invert, rigid


def refine_pose(
    points_world: Float[np.ndarray, "n 3"],
    xy: Float[np.ndarray, "n 2"],
    T_world_camera: Float[np.ndarray, "4 4"],
    focal: float,
    k1: float,
    centre: Float[np.ndarray, 2],
    *,
    scale_px: float = 1.0,
    iterations: int = 15,
) -> tuple[Float[np.ndarray, "4 4"], Float[np.ndarray, " n"]]:
    """Pose with the least Geman-McClure cost near a first guess, and each point's distance from its pixel (px)."""
    T = invert(T_world_camera)
    scale = 8 * scale_px
    for _ in range(iterations):
        residual, jacobian = pose_residuals(points_world, xy, T, focal, k1, centre)
        weight = 1 / (1 + (residual**2).sum(1) / scale**2) ** 2
        normal = np.einsum("n,nri,nrj->ij", weight, jacobian, jacobian)
        step = -np.linalg.solve(
            normal + 1e-9 * np.trace(normal) * np.eye(6), np.einsum("n,nri,nr->i", weight, jacobian, residual)
        )
        turn = matrix_of(step[:3])
        T = rigid(turn @ T[:3, :3], turn @ T[:3, 3] + step[3:])
        if scale == scale_px and np.abs(step).max() < 1e-8:
            break
        scale = max(scale_px, scale / 2)
    residual, _ = pose_residuals(points_world, xy, T, focal, k1, centre)
    return invert(T), np.linalg.norm(residual, axis=1)


def project_points(
    points_world: Float[np.ndarray, "n 3"], T_world_camera: Float[np.ndarray, "4 4"], focal: float, k1: float,
    centre: Float[np.ndarray, 2],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " n"]]:  # fmt: skip
    """Pixels and depths of world points; pixels behind the camera mean nothing."""
    camera = (points_world - T_world_camera[:3, 3]) @ T_world_camera[:3, :3]
    plane = camera[:, :2] / np.maximum(camera[:, 2:], 1e-6)
    radial = 1 + k1 * (plane**2).sum(1, keepdims=True)
    return focal * radial * plane + centre, camera[:, 2]


def pose_residuals(
    points_world: np.ndarray, xy: np.ndarray, T: np.ndarray, focal: float, k1: float, centre: np.ndarray
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n 2 6"]]:
    """Pixel residuals under the camera-from-world transform `T`, and their derivative by a left rigid step."""
    x, y, z = (points_world @ T[:3, :3].T + T[:3, 3]).T
    z = np.maximum(z, 1e-6)
    u, v = x / z, y / z
    squared = u * u + v * v
    radial = 1 + k1 * squared
    zero = np.zeros_like(u)
    du = np.stack([-u * v, 1 + u * u, -v, 1 / z, zero, -u / z], 1)
    dv = np.stack([-1 - v * v, u * v, u, zero, 1 / z, -v / z], 1)
    growth = 2 * k1 * (u[:, None] * du + v[:, None] * dv)
    jacobian = focal * np.stack(
        [radial[:, None] * du + u[:, None] * growth, radial[:, None] * dv + v[:, None] * growth], 1
    )
    return focal * np.stack([radial * u, radial * v], 1) + centre - xy, jacobian


def point_jacobians(
    points_world: Float[np.ndarray, "n 3"], T: Float[np.ndarray, "4 4"], focal: float, k1: float
) -> tuple[Float[np.ndarray, "n 2 3"], Float[np.ndarray, "n 2 3"]]:
    """Derivatives of pixels by the world points, and by (focal, k1, k2) at k2 = 0, under the camera-from-world `T`."""
    still = np.zeros((len(points_world), 2))
    pixel, jacobian = pose_residuals(points_world, still, T, focal, k1, np.zeros(2))
    x, y, z = (points_world @ T[:3, :3].T + T[:3, 3]).T
    plane = np.stack([x / z, y / z], 1)
    squared = (plane**2).sum(1, keepdims=True)
    by_k1 = focal * plane * squared
    return jacobian[:, :, 3:] @ T[:3, :3], np.stack([pixel / focal, by_k1, by_k1 * squared], 2)
