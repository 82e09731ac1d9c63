"""Group axioms of SO(3), the logarithm near zero and near pi, its derivative, and agreement with scipy."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from diorama.geometry.rotations import (
    exp_so3,
    log_so3,
    matrix_of,
    mean_rotation,
    nearest_rotation,
    right_jacobian_inverse,
    rotation_between,
    rotvec_of,
    skew,
)


def random_vectors(count=50, longest=np.pi - 1e-6, seed=0):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=(count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return axis * rng.uniform(0, longest, (count, 1))


def test_agrees_with_scipy():
    vectors = random_vectors()
    np.testing.assert_allclose(matrix_of(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12)


@pytest.mark.parametrize("longest", [1e-9, 1e-4, 1.0, np.pi - 1e-9])
def test_log_inverts_exp(longest):
    vectors = random_vectors(longest=longest)
    np.testing.assert_allclose(rotvec_of(matrix_of(vectors)), vectors, atol=1e-7)


def test_group_axioms():
    a, b = torch.from_numpy(matrix_of(random_vectors(seed=1))), torch.from_numpy(matrix_of(random_vectors(seed=2)))
    eye = torch.eye(3, dtype=torch.float64).expand_as(a)
    torch.testing.assert_close(a @ a.mT, eye)
    torch.testing.assert_close(torch.det(a @ b), torch.ones(50, dtype=torch.float64))
    torch.testing.assert_close(log_so3(a.mT), -log_so3(a))


def test_gradient_is_finite_at_zero():
    vector = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    log_so3(exp_so3(vector)).sum().backward()
    torch.testing.assert_close(vector.grad, torch.ones(3, dtype=torch.float64))


def test_right_jacobian_inverse_is_the_derivative_of_the_log():
    vectors = torch.from_numpy(random_vectors(10, longest=2.5))
    numeric = []
    for axis in torch.eye(3, dtype=torch.float64):
        ahead, behind = (log_so3(exp_so3(vectors) @ exp_so3(s * axis)) for s in (1e-6, -1e-6))
        numeric.append((ahead - behind) / 2e-6)
    torch.testing.assert_close(right_jacobian_inverse(vectors), torch.stack(numeric, -1), rtol=1e-5, atol=1e-6)


def test_rotation_between_directions():
    a, b = torch.from_numpy(random_vectors(seed=3)), torch.from_numpy(random_vectors(seed=4))
    turned = (rotation_between(a, b) @ a[..., None])[..., 0]
    normalise = torch.nn.functional.normalize
    torch.testing.assert_close(normalise(turned, dim=-1), normalise(b, dim=-1))
    opposite = rotation_between(a, -a)
    torch.testing.assert_close((opposite @ a[..., None])[..., 0], -a)


def test_skew_is_the_cross_product():
    a, b = torch.from_numpy(random_vectors(seed=5)), torch.from_numpy(random_vectors(seed=6))
    torch.testing.assert_close((skew(a) @ b[..., None])[..., 0], torch.linalg.cross(a, b))


def test_nearest_and_mean_rotation():
    rotations = torch.from_numpy(matrix_of(random_vectors(20, longest=0.2)))
    noisy = rotations + 0.01 * torch.randn(20, 3, 3, dtype=torch.float64)
    near = nearest_rotation(noisy)
    torch.testing.assert_close(near @ near.mT, torch.eye(3, dtype=torch.float64).expand_as(near))
    assert float((near - rotations).abs().max()) < 0.1
    same = mean_rotation(rotations[:1].expand(5, 3, 3))
    torch.testing.assert_close(same, rotations[0])
