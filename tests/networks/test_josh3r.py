"""JOSH3R: published names, a second implementation, several people per pair, symmetries, gradients, bad input."""

import logging

import pytest
import torch

import plain_mast3r
from diorama.errors import DioramaError
from diorama.networks.josh3r import JOSH3R, JOSH3RConfig, josh3r_weights, rotation_of_rows, rows_of_rotation
from diorama.networks.josh3r_parts import MlpHead, box_features
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from diorama.networks.weight_files import write_safetensors
from key_lists import published, shapes_of
from random_weights import shaken

TINY = JOSH3RConfig.tiny()
SIZE = (48, 80)
BOXES_1 = torch.tensor([[10.0, 5, 40, 44], [-12.0, 0, 30, 60], [60.0, 2, 79, 40]])
BOXES_2 = BOXES_1 + torch.tensor([3.0, -2, 6, 1])


def spread(network):
    """Variances of batch norms away from 1, and positive."""
    network = shaken(network)
    generator = torch.Generator().manual_seed(5)
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return spread(JOSH3R(TINY)).double()


def tokens(pairs, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, pairs, 15, TINY.width, generator=generator, dtype=torch.float64)


def close(ours, theirs, share=5e-6):
    """Angles of positions are float32."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= share * theirs.abs().max()


def test_published_names_and_shapes():
    ours, theirs = shapes_of(lambda: JOSH3R(JOSH3RConfig.full())), published("josh3r")
    file = {name: torch.empty(shape, device="meta") for name, shape in theirs.items()}
    file |= {f"mast3r.{name}": torch.empty(shape, device="meta") for name, shape in published("mast3r").items()}
    assert ours == {name: tuple(value.shape) for name, value in josh3r_weights(file).items()}
    assert len(ours) == 325
    assert sum(torch.Size(shape).numel() for shape in ours.values()) == 65_451_314


def test_one_file_holds_both_networks(tmp_path, caplog):
    mine, base = spread(JOSH3R(TINY)), shaken(MASt3R(MASt3RConfig.tiny()))
    file = dict(mine.state_dict()) | {f"mast3r.{name}": value for name, value in base.state_dict().items()}
    file["smpl.parents"] = torch.arange(24)
    write_safetensors(tmp_path / "josh3r.safetensors", file)
    with caplog.at_level(logging.WARNING):
        again = JOSH3R.from_pretrained(tmp_path / "josh3r.safetensors", config=TINY)
    assert "SMPL" in caplog.text
    assert all(torch.equal(value, mine.state_dict()[name]) for name, value in again.state_dict().items())
    MASt3R.from_pretrained(tmp_path / "josh3r.safetensors", config=MASt3RConfig.tiny())
    write_safetensors(tmp_path / "more.safetensors", file | {"head.weight": torch.zeros(1)})
    with pytest.raises(DioramaError, match=r"1 unknown \(head.weight\)"):
        JOSH3R.from_pretrained(tmp_path / "more.safetensors", config=TINY)


def test_a_second_implementation_agrees(network):
    first, second = tokens(3)
    with torch.no_grad():
        ours = network(first, second, BOXES_1.double(), BOXES_2.double(), SIZE)
    for person in range(3):
        theirs = plain_mast3r.josh3r(
            network.state_dict(), TINY, (first[person], second[person]), (BOXES_1[person], BOXES_2[person]), SIZE
        )
        assert ours.keys() == theirs.keys()
        for name in ours:
            close(ours[name][person], theirs[name])


def test_people_of_a_pair_share_tokens_and_do_not_see_each_other(network):
    first, second = tokens(2)
    pair = torch.tensor([1, 0, 1])
    with torch.no_grad():
        together = network(first, second, BOXES_1, BOXES_2, SIZE, pair)
        alone = network(first[1:], second[1:], BOXES_1[2:], BOXES_2[2:], SIZE)
        nobody = network(first, second, BOXES_1[:0], BOXES_2[:0], SIZE, pair[:0])
    for name in together:
        close(together[name][2:], alone[name], 1e-9)
        assert nobody[name].shape == (0, *together[name].shape[1:])


def test_boxes_scale_with_the_picture(network):
    """Only shares of the picture's sides count: a picture of twice the patches and half the patch size is the same."""
    generator = torch.Generator().manual_seed(1)
    maps = torch.randn(3, 4, 3, 5, generator=generator)
    assert torch.allclose(box_features(maps, BOXES_1, SIZE), box_features(maps, 2 * BOXES_1, (96, 160)), atol=1e-6)


def test_box_features_of_a_linear_map_are_the_places():
    columns = (torch.arange(5) * 16 + 8.0).expand(1, 1, 3, 5)
    inside = torch.tensor([[8.0, 8, 72, 40]])
    found = box_features(columns, inside, SIZE)[0, 0]
    assert torch.allclose(found, torch.linspace(8, 72, 7).expand(7, 7), atol=1e-4)
    outside = torch.tensor([[-50.0, 0, -20, 48]])
    assert torch.allclose(box_features(columns, outside, SIZE), torch.tensor(8.0))


def test_a_new_network_says_no_motion_and_scale_one():
    network = JOSH3R(TINY).eval()
    first, second = tokens(3)
    with torch.no_grad():
        out = network(first.float(), second.float(), BOXES_1, BOXES_2, SIZE)
    assert torch.equal(out["rel_trans"], torch.zeros(3, 3))
    assert torch.equal(out["scale_1"], torch.ones(3, 1)) and torch.equal(out["scale_2"], torch.ones(3, 1))


def test_gradients_reach_every_parameter():
    network = spread(JOSH3R(TINY)).train()
    first, second = tokens(3)
    out = network(first.float(), second.float(), BOXES_1, BOXES_2, SIZE)
    sum(value.square().sum() for value in out.values()).backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_dropout_stands_where_it_belongs():
    head = MlpHead(4, 2, 8, dropout=1.0).train()
    head(torch.randn(5, 4)).sum().backward()
    assert torch.equal(head.head_layers[3].weight.grad, torch.zeros(2, 8))


def test_rotations_of_rows():
    six = torch.randn(50, 6, dtype=torch.float64)
    rotations = rotation_of_rows(six)
    assert torch.allclose(rotations @ rotations.transpose(-1, -2), torch.eye(3, dtype=torch.float64).expand(50, 3, 3))
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(50, dtype=torch.float64))
    assert torch.allclose(rotation_of_rows(rows_of_rotation(rotations)), rotations)
    assert torch.allclose(rotations[:, 0], six[:, :3] / six[:, :3].norm(dim=-1, keepdim=True))


def test_what_does_not_fit_is_refused(network):
    first, second = tokens(2)
    with pytest.raises(DioramaError, match="15 tokens"):
        network(first, second, BOXES_1[:2], BOXES_2[:2], (64, 80))
    with pytest.raises(DioramaError, match="3 and 3 boxes for 2 people"):
        network(first, second, BOXES_1, BOXES_2, SIZE)
