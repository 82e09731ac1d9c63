"""The scene branch: published names, a second implementation, symmetry under the frames' order, gradients, bad input."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

import plain_unish
from diorama.errors import DioramaError
from diorama.networks.camera_head import nearest_rotation, rigid_inverse
from diorama.networks.pi3 import Pi3, Pi3Config
from diorama.networks.rope import grid_positions, rotary, rotate
from diorama.networks.vit import DinoConfig, DinoViT
from key_lists import published, shapes_of, under
from random_weights import clip, shaken

TINY = Pi3Config.tiny()


@pytest.fixture(scope="module")
def network():
    return shaken(Pi3(TINY), double=True)


def close(a, b, share=1e-9):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= share * b.abs().max()


def test_published_names_and_shapes():
    assert shapes_of(lambda: Pi3(Pi3Config.full())) == published("pi3")


@pytest.mark.parametrize(("size", "name"), [("small", "moge2_vits"), ("base", "moge2_vitb"), ("large", "moge2_vitl")])
def test_the_encoder_is_moges_too(size, name):
    sizes = getattr(DinoConfig, size)()
    plain = DinoConfig(sizes.width, sizes.depth, sizes.heads, registers=0, mask_token=True)
    assert shapes_of(lambda: DinoViT(plain)) == under("encoder.backbone.", published(name))


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 14, 14), (3, 28, 56), (2, 70, 28)])
def test_agrees_with_plain_formulas(network, frames, height, width):
    images = clip(1, frames, height, width)[0].double()
    found = network(images)
    expected = plain_unish.pi3(plain_unish.Weights(network.state_dict()), images[0], TINY.encoder.heads)
    for name, value in expected.items():
        # The table of positions is resized in float32 on both sides.
        close(found[name][0], value, 1e-6)


def test_permuting_frames_permutes_everything(network):
    images = clip(1, 4, 28, 42)[0].double()
    order = torch.tensor([2, 0, 3, 1])
    straight, shuffled = network(images), network(images[:, order])
    for name in straight:
        close(shuffled[name], straight[name][:, order])


def test_frames_see_each_other_and_clips_do_not(network):
    images = clip(2, 2, 28, 28)[0].double()
    changed = images.clone()
    changed[0, 1] = 1 - changed[0, 1]
    before, after = network(images), network(changed)
    assert (before["local_points"][0, 0] - after["local_points"][0, 0]).abs().max() > 1e-6
    close(after["local_points"][1], before["local_points"][1])


def test_a_batch_is_its_clips(network):
    images = clip(3, 2, 28, 42)[0].double()
    together = network(images)
    for index in range(3):
        for name, value in network(images[index : index + 1]).items():
            close(together[name][index : index + 1], value)


def test_shapes_signs_and_rotations(network):
    found = network(clip(2, 3, 28, 42)[0].double())
    assert found["local_points"].shape == (2, 3, 28, 42, 3)
    assert found["conf"].shape == (2, 3, 28, 42, 1)
    assert found["hidden"].shape == (2, 3, 5 + 2 * 3, TINY.hidden_width)
    assert (found["local_points"][..., 2] > 0).all()
    R = found["T_world_camera"][..., :3, :3]
    close(R @ R.mT, torch.eye(3).double().expand_as(R))
    assert (torch.linalg.det(R) > 0).all()


@pytest.mark.parametrize("config", [Pi3Config.tiny(), Pi3Config.small()], ids=["tiny", "small"])
def test_every_parameter_learns(config):
    torch.manual_seed(0)
    network = Pi3(config).train()
    found = network(clip(1, 2, 28, 28)[0])
    sum(found[name].square().mean() for name in ("local_points", "conf", "T_world_camera")).backward()
    still = {name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().max() > 0}
    assert still == set()
    assert all(bool(value.grad.isfinite().all()) for value in network.parameters())


def test_confidence_starts_as_the_points_decoder():
    network = Pi3(TINY)
    for a, b in zip(network.point_decoder.parameters(), network.conf_decoder.parameters(), strict=True):
        assert torch.equal(a, b) and a is not b


@pytest.mark.parametrize(("height", "width"), [(13, 28), (28, 30), (7, 7), (0, 14)])
def test_sides_that_patches_do_not_fill(network, height, width):
    with pytest.raises(DioramaError, match="patches of 14 px"):
        network(torch.zeros(1, 1, 3, height, width, dtype=torch.float64))


def test_no_frames(network):
    with pytest.raises(DioramaError, match="no frames"):
        network(torch.zeros(1, 0, 3, 14, 14, dtype=torch.float64))


def test_autocast_stays_near():
    network = shaken(Pi3(TINY))
    images = clip(1, 2, 28, 28)[0]
    exact = network(images)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network(images)
    assert rough["conf"].dtype == rough["local_points"].dtype == torch.float32
    for name in ("conf", "T_world_camera"):
        assert 0 < (rough[name] - exact[name]).abs().max() < 0.1 * exact[name].abs().max()


def test_whole_network_needs_no_numbers():
    """On the meta device nothing can be waited for: no branch of the published network depends on a value."""
    with torch.device("meta"):
        network = Pi3(Pi3Config.full()).eval()
        found = network(torch.empty(1, 2, 3, 294, 518))
    assert found["hidden"].shape == (1, 2, 782, 2048)
    assert found["T_world_camera"].shape == (1, 2, 4, 4)


def test_positions_of_another_grid():
    """By size, and by MoGe's factor: both give as many entries as there are patches, and nearly the same numbers."""
    sizes = DinoConfig.tiny()
    by_size = shaken(DinoViT(sizes))
    by_factor = DinoViT(DinoConfig(sizes.width, sizes.depth, sizes.heads, antialias=False, offset=0.1))
    by_factor.load_state_dict(by_size.state_dict())
    for height, width in [(14, 14), (28, 70), (518, 28), (532, 28)]:
        a, b = by_size._positions(height // 14, width // 14), by_factor._positions(height // 14, width // 14)
        assert a.shape == b.shape == (1, (height // 14) * (width // 14) + 1, sizes.width)
        assert torch.equal(a[:, 0], by_size.pos_embed[:, 0])
    assert by_size._positions(37, 37) is by_size.pos_embed


def test_turning_depends_on_differences_of_positions():
    generator = torch.Generator().manual_seed(1)
    q, k = torch.randn(2, 1, 1, 1, 64, generator=generator, dtype=torch.float64).unbind(0)
    positions = torch.randint(0, 30, (50, 2), generator=generator).float()
    table = rotary(positions, 64, dtype=torch.float64)
    products = (rotate(q.expand(1, 1, 50, 64), table) * rotate(k.expand(1, 1, 50, 64), table)).sum(-1)
    # Angles are float32.
    torch.testing.assert_close(products, (q * k).sum(-1).expand(1, 1, 50), atol=1e-5, rtol=0)
    start, end = positions, positions + torch.tensor([3.0, 5.0])
    products = rotate(q.expand(1, 1, 50, 64), rotary(start, 64, dtype=torch.float64)) * rotate(
        k.expand(1, 1, 50, 64), rotary(end, 64, dtype=torch.float64)
    )
    torch.testing.assert_close(products.sum(-1), products.sum(-1)[..., :1].expand(1, 1, 50), atol=1e-5, rtol=0)


def test_registers_are_not_turned():
    positions = grid_positions(2, 3, registers=5, device=torch.device("cpu"))
    assert positions[5:].tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    tokens = torch.randn(1, 1, 11, 8)
    assert torch.equal(rotate(tokens, rotary(positions, 8))[:, :, :5], tokens[:, :, :5])


def test_rounded_angles_differ_only_in_low_precision():
    positions = grid_positions(21, 37, registers=5, device=torch.device("cpu"))
    exact, rounded = rotary(positions, 64), rotary(positions, 64, rounded_angles=True)
    assert torch.equal(exact.cos, rounded.cos)
    low = rotary(positions, 64, dtype=torch.bfloat16, rounded_angles=True)
    assert 0.01 < (low.cos.float() - exact.cos).abs().max() < 0.2


def test_nearest_rotation_is_the_svds():
    generator = torch.Generator().manual_seed(2)
    matrix = torch.randn(500, 3, 3, generator=generator)
    u, _, vt = np.linalg.svd(matrix.double().numpy())
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    np.testing.assert_allclose(nearest_rotation(matrix).numpy(), u @ vt, atol=2e-6)


def test_nearest_rotation_keeps_rotations_and_has_gradients_there():
    R = torch.tensor(Rotation.random(20, random_state=3).as_matrix())
    R[0] = torch.eye(3)
    R.requires_grad_()
    torch.testing.assert_close(nearest_rotation(R), R.detach(), atol=1e-12, rtol=0)
    direction = torch.randn(R.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((nearest_rotation(R) * direction).sum(), R)
    # The derivative of the projection at a rotation: R times the skew part of R^T D.
    inner = R.detach().mT @ direction
    torch.testing.assert_close(gradient, R.detach() @ (inner - inner.mT) / 2, atol=1e-9, rtol=0)


def test_nearest_rotation_of_nothing_is_the_identity():
    torch.testing.assert_close(nearest_rotation(torch.zeros(2, 3, 3)), torch.eye(3).repeat(2, 1, 1))


def test_inverse_of_a_transform():
    T = torch.eye(4).double().repeat(5, 1, 1)
    T[:, :3, :3] = torch.tensor(Rotation.random(5, random_state=5).as_matrix())
    T[:, :3, 3] = torch.randn(5, 3, generator=torch.Generator().manual_seed(6)).double()
    torch.testing.assert_close(rigid_inverse(T) @ T, torch.eye(4).double().repeat(5, 1, 1))
