"""MASt3R: published names, a second implementation, independence of a batch, one encoding per frame, gradients, bad input."""

import logging

import pytest
import torch

import plain_mast3r
from diorama.errors import DioramaError
from diorama.networks.cross_block import CrossAttention, patch_table
from diorama.networks.dpt import Fusion, doubled
from diorama.networks.mast3r import MASt3R, MASt3RConfig, mast3r_weights
from diorama.networks.rope import rotary, rotate
from diorama.networks.weight_files import write_safetensors
from key_lists import published, shapes_of
from random_weights import shaken

TINY = MASt3RConfig.tiny()
SIZE = (48, 80)  # 3 x 5 patches: odd where DPT halves


@pytest.fixture(scope="module")
def network():
    return shaken(MASt3R(TINY), double=True)


def pictures(count, height=SIZE[0], width=SIZE[1], seed=0):
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(count, 3, height, width, generator=generator, dtype=torch.float64) - 1


def close(ours, theirs, share=1e-6):
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= share * theirs.abs().max()


def test_published_names_and_shapes():
    ours = shapes_of(lambda: MASt3R(MASt3RConfig.full()))
    assert ours == published("mast3r")
    assert sum(torch.Size(shape).numel() for shape in ours.values()) == 695_274_376


def test_a_second_implementation_agrees(network):
    first, second = pictures(1), pictures(1, 32, 48, seed=1)
    with torch.no_grad():
        ours = network(first, second)
        theirs = plain_mast3r.mast3r(network.state_dict(), TINY, (first[0], second[0]))
    assert ours.keys() == theirs.keys()
    for name in ours:
        close(ours[name][0], theirs[name])


def test_what_maps_promise(network):
    with torch.no_grad():
        out = network(pictures(2), pictures(2, seed=1))
    assert out["pts3d_1"].shape == (2, *SIZE, 3) and out["desc_2"].shape == (2, *SIZE, TINY.descriptor)
    assert out["conf_1"].min() >= 1 and out["desc_conf_2"].min() >= 0
    assert torch.allclose(out["desc_1"].norm(dim=-1), torch.ones(2, *SIZE, dtype=torch.float64))


def test_pairs_do_not_see_each_other(network):
    first, second = pictures(3), pictures(3, seed=1)
    with torch.no_grad():
        together = network(first, second)
        alone = network(first[1:2], second[1:2])
    for name in together:
        close(together[name][1:2], alone[name], 1e-9)


def test_parts_make_the_whole_and_frames_are_encoded_once(network):
    frames, pairs = pictures(4), torch.tensor([[0, 1], [1, 2], [2, 3]])
    count = {"encoder": 0, "decoder": 0}
    handles = [
        network.enc_norm.register_forward_hook(
            lambda _, __, out: count.__setitem__("encoder", count["encoder"] + len(out))
        ),
        network.dec_blocks[0].register_forward_hook(
            lambda _, __, out: count.__setitem__("decoder", count["decoder"] + len(out))
        ),
    ]
    with torch.no_grad():
        encoded = network.encode(frames)
        side1, side2 = network.decode(encoded.rows(pairs[:, 0]), encoded.rows(pairs[:, 1]))
        kept = network.maps(side1.rows(torch.tensor([2])), 1)
        bare = network.maps(side1.rows(torch.tensor([2])), 1, descriptors=False)
    for handle in handles:
        handle.remove()
    assert count == {"encoder": 4, "decoder": 3}
    with torch.no_grad():
        whole = network(frames[2:3], frames[3:4])
    close(kept.points, whole["pts3d_1"], 1e-9)
    close(bare.points, whole["pts3d_1"], 1e-9)
    close(side2.last[2:], whole["tokens_2"], 1e-9)
    assert bare.desc is None


def test_gradients_reach_every_parameter_that_is_read():
    network = shaken(MASt3R(TINY)).train()
    out = network(pictures(1).float(), pictures(1, seed=1).float())
    sum(value.square().mean() for value in out.values()).backward()
    idle = {name for name, parameter in network.named_parameters() if parameter.grad is None}
    assert all(name == "mask_token" or "refinenet4.resConfUnit1" in name for name in idle)
    assert "mask_token" in idle


def test_turns_depend_on_differences_of_positions_and_stay_rotations():
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn(2, 1, 1, 6, 16, generator=generator)
    places = torch.randint(-5, 40, (6, 2), generator=generator).float()
    at, moved = (rotary(p, 16) for p in (places, places + torch.tensor([-1.0, 7.0])))
    before = rotate(query, at) @ rotate(key, at).transpose(-1, -2)
    after = rotate(query, moved) @ rotate(key, moved).transpose(-1, -2)
    assert torch.allclose(before, after, atol=1e-4)
    assert torch.allclose(rotate(query, at).norm(dim=-1), query.norm(dim=-1), atol=1e-5)
    back = rotary(-places, 16)
    assert torch.allclose(rotate(rotate(query, at), back), query, atol=1e-5)


def test_the_human_token_is_at_minus_one():
    table = patch_table((2, 3), 16, torch.device("cpu"), tokens=1)
    positions = torch.tensor([[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [-1, -1]]).float()
    assert torch.equal(table.sin, rotary(positions, 16).sin)
    assert torch.equal(table.cos[0], torch.ones(2, 4))  # the first patch does not turn


def test_a_memory_of_one_token_is_what_is_seen():
    layer = CrossAttention(16, 2)
    tokens, memory = torch.randn(1, 6, 16), torch.randn(1, 1, 16)
    seen = layer(tokens, memory, patch_table((2, 3), 8, tokens.device), patch_table((1, 1), 8, tokens.device))
    assert torch.allclose(seen, layer.proj(layer.projv(memory)).expand(1, 6, 16), atol=1e-6)


def test_a_convolution_of_one_pixel_may_go_before_the_doubling():
    fusion, maps = Fusion(4), torch.randn(2, 4, 3, 5)
    refined = fusion.resConfUnit2(maps)
    assert torch.allclose(fusion(maps), fusion.out_conv(doubled(refined)), atol=1e-6)


def test_tied_tensors_are_one_and_a_file_may_hold_either_name(tmp_path, caplog):
    network = shaken(MASt3R(TINY))
    state = network.state_dict()
    for left_out in ("layer1_rn.weight", "layer_rn.3.weight"):
        kept = {f"mast3r.{name}": value for name, value in state.items() if not name.endswith(left_out)}
        write_safetensors(tmp_path / "model.safetensors", kept)
        with caplog.at_level(logging.WARNING):
            again = MASt3R.from_pretrained(tmp_path, config=TINY, dtype=torch.bfloat16)
        assert "CC BY-NC-SA" in caplog.text
        scratch = again.downstream_head1.dpt.scratch
        assert scratch.layer1_rn.weight is scratch.layer_rn[0].weight
        assert {value.dtype for value in again.parameters()} == {torch.bfloat16}
        assert torch.equal(scratch.layer1_rn.weight, state["downstream_head1.dpt.scratch.layer1_rn.weight"].bfloat16())
    broken = state | {"downstream_head2.dpt.scratch.layer_rn.1.weight": torch.zeros(8, 8, 3, 3)}
    with pytest.raises(DioramaError, match="two names"):
        mast3r_weights(broken)


def test_saved_and_loaded(tmp_path):
    network = shaken(MASt3R(TINY))
    network.save(tmp_path, licence="ours")
    again = MASt3R.from_pretrained(tmp_path)
    assert again.config == TINY
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("size", [(40, 80), (48, 8)])
def test_pictures_that_patches_do_not_fill_are_refused(network, size):
    with pytest.raises(DioramaError, match="patches of 16"):
        network.encode(pictures(1, *size))


def test_portrait_pictures_and_bfloat16():
    network = shaken(MASt3R(TINY)).bfloat16()
    with torch.no_grad():
        out = network(pictures(1, 80, 48).bfloat16(), pictures(1, 80, 48, seed=1).bfloat16())
    assert out["pts3d_1"].shape == (1, 80, 48, 3) and out["pts3d_1"].dtype == torch.float32
