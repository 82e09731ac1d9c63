"""MoGe-2: published names and shapes, a second implementation, known pinholes, and its files through the real loader."""

import dataclasses
import json
import logging
import os

import numpy as np
import pytest
import torch

import plain_moge
from diorama.errors import DioramaError
from diorama.networks.conv_stack import StackConfig, plane_of_view
from diorama.networks.focal_shift import view_plane
from diorama.networks.moge import MoGe2, MoGe2Config, MoGeOptions, token_grid
from diorama.networks.moge_metric import metric_maps
from diorama.networks.weight_files import write_safetensors
from key_lists import published, shapes_of
from random_weights import shaken

TINY = MoGe2Config.tiny()


@pytest.fixture(scope="module")
def network():
    return shaken(MoGe2(TINY))


@pytest.fixture(scope="module")
def exact():
    return shaken(MoGe2(TINY), double=True)


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(3, 3, 50, 84, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("name", "config", "values"),
    [
        ("moge2_vits", MoGe2Config.small(), 35_103_656),
        ("moge2_vitb", MoGe2Config.base(), 104_743_592),
        ("moge2_vitl", MoGe2Config.large(), 330_901_544),
    ],
)
def test_names_and_shapes_are_the_published_ones(name, config, values):
    shapes = shapes_of(lambda: MoGe2(config))
    assert shapes == published(name) and list(shapes) == list(published(name))
    assert sum(int(np.prod(shape)) for shape in shapes.values()) - 6 == values


def test_large_without_normals():
    shapes = shapes_of(lambda: MoGe2(MoGe2Config.large(normals=False)))
    assert len(shapes) == 483 and sum(int(np.prod(shape)) for shape in shapes.values()) - 6 == 326_209_221


@pytest.mark.parametrize("size", [(50, 84), (84, 50), (45, 45), (30, 110)])
@pytest.mark.parametrize("tokens", [6, 25, 40])
@torch.no_grad()
def test_a_second_implementation_agrees(exact, size, tokens):
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(tokens), dtype=torch.float64)
    found, plain = exact(images, tokens), plain_moge.forward(exact, images, tokens)
    assert set(found) == set(plain)
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7 * float(value.abs().max()))


@pytest.mark.parametrize(
    ("size", "tokens", "grid"),
    [
        ((480, 640), 1200, (30, 40)),
        ((1080, 1920), 3600, (45, 80)),
        ((100, 100), 3600, (60, 60)),
        ((10, 1000), 4, (1, 20)),
    ],
)
def test_token_grid(size, tokens, grid):
    assert token_grid(*size, tokens) == grid


def test_levels_span_the_range():
    assert [MoGe2Config.large().tokens(level) for level in (0, 3, 9)] == [1200, 2000, 3600]


@pytest.mark.parametrize(("rows", "columns"), [(3, 5), (8, 8), (7, 2)])
def test_a_grid_of_the_pictures_own_aspect_lies_on_the_view_plane(rows, columns):
    plane = plane_of_view(rows, columns, columns / rows, torch.device("cpu"))
    torch.testing.assert_close(plane.permute(1, 2, 0), view_plane(rows, columns, torch.device("cpu")))


@torch.no_grad()
def test_pictures_of_a_batch_do_not_see_each_other(exact, pictures):
    order, images = [2, 0, 1], pictures.double()
    together, mixed, alone = exact(images, 12), exact(images[order], 12), exact(images[1:2], 12)
    for name, value in together.items():
        torch.testing.assert_close(mixed[name], value[order])
        torch.testing.assert_close(alone[name][0], value[1])


def test_every_part_learns(pictures):
    network = shaken(MoGe2(TINY)).train()
    raw = network(pictures, 12)
    sum(value.square().mean() for value in raw.values()).backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == ["encoder.backbone.mask_token"]


def test_outputs_are_what_they_say(network, pictures):
    found = network.infer(pictures)
    valid, K, depth = found["mask"], found["K"], found["depth"]
    assert valid.any() and not valid.all()
    assert (depth[~valid] == torch.inf).all() and (found["normals"][~valid] == 0).all()
    assert (depth[valid] > 0).all() and (found["metric_scale"] > 0).all()
    torch.testing.assert_close(found["normals"][valid].norm(dim=-1), torch.ones(int(valid.sum())))
    y, x = torch.meshgrid(torch.arange(50) + 0.5, torch.arange(84) + 0.5, indexing="ij")
    for one in range(3):
        pixels = (found["points"][one] @ K[one].T)[valid[one]]
        shown = torch.stack([x, y], -1)[valid[one]]
        torch.testing.assert_close(pixels[:, :2] / pixels[:, 2:], shown, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(found["points"][valid][:, 2], depth[valid])


def pinhole_maps(fov, shift, scale, size=(40, 64)):
    """Raw maps of a slanted plane that lack `shift` of their depth, and are to be times `scale` metres."""
    height, width = size
    f = width / 2 / np.tan(np.radians(fov) / 2)
    y, x = np.mgrid[:height, :width] + 0.5
    ray = np.stack([(x - width / 2) / f, (y - height / 2) / f, np.ones_like(x)], -1)
    depth = 3 / (ray @ np.array([0.2, 0.5, 1.0]))
    points = ray * depth[..., None] - np.array([0, 0, shift])
    raw = {
        "points": torch.tensor(points[None], dtype=torch.float32),
        "mask": torch.ones(1, height, width),
        "normals": torch.zeros(1, height, width, 3),
        "metric_scale": torch.tensor([scale]),
    }
    return raw, torch.tensor(depth[None] * scale, dtype=torch.float32), f


@pytest.mark.parametrize("fov", [35.0, 60.0, 95.0])
@pytest.mark.parametrize("project", [True, False])
def test_exact_points_give_field_of_view_shift_and_metres_back(fov, project):
    raw, depth, f = pinhole_maps(fov, 0.7, 2.5)
    found = metric_maps(raw, MoGeOptions(project=project, tolerance=1e-10))
    torch.testing.assert_close(found["depth"], depth, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["K"][0], [[f, 0, 32], [0, f, 20], [0, 0, 1]], rtol=1e-4)
    x, y = found["points"][0, 3, 50, :2] / found["points"][0, 3, 50, 2]
    np.testing.assert_allclose([x, y], [(50.5 - 32) / f, (3.5 - 20) / f], rtol=1e-3)


def test_a_known_field_of_view_is_kept(network, pictures, monkeypatch):
    raw, depth, _ = pinhole_maps(60.0, 0.7, 2.5)
    half = np.hypot(40, 64) / 2
    for fov in (60.0, 50.0):
        f = 32 / np.tan(np.radians(fov) / 2)
        found = metric_maps(raw, MoGeOptions(tolerance=1e-10), torch.tensor([f / half], dtype=torch.float32))
        np.testing.assert_allclose(found["K"][0, 0, 0], f, rtol=1e-5)
        assert torch.allclose(found["depth"], depth, rtol=1e-3) == (fov == 60.0)
    given = network.infer(pictures, torch.tensor([40.0, 60.0, 80.0]))
    expected = 42 / np.tan(np.radians([20.0, 30.0, 40.0]))
    np.testing.assert_allclose(given["K"][:, 0, 0], expected, rtol=1e-5)
    torch.testing.assert_close(given["metric_scale"], network.infer(pictures)["metric_scale"])
    torch.testing.assert_close(network.infer(pictures[1], 60.0)["K"], given["K"][1])


def test_maps_of_another_size_are_the_same_maps(network, pictures):
    whole, half = network(pictures, 40), network(pictures, 40, size=(25, 42))
    torch.testing.assert_close(half["metric_scale"], whole["metric_scale"])
    assert half["points"].shape == (3, 25, 42, 3)


def test_nothing_valid(network):
    raw, *_ = pinhole_maps(60.0, 0.0, 1.0)
    found = metric_maps({**raw, "mask": torch.zeros(1, 40, 64)}, MoGeOptions())
    assert not found["mask"].any() and torch.isfinite(found["K"]).all() and (found["points"] == torch.inf).all()


@pytest.mark.parametrize("config", [TINY, MoGe2Config.small(), MoGe2Config.base(), MoGe2Config.large(normals=False)])
def test_a_configuration_comes_back_from_its_published_form(config):
    assert MoGe2Config.from_published(json.loads(json.dumps(config.published())), "here") == config


def test_a_published_file_is_built_from_what_is_in_it(network, pictures, tmp_path, caplog):
    path = tmp_path / "model.pt"
    network.save_published(path)
    with caplog.at_level(logging.WARNING):
        found = MoGe2.from_pretrained(path)
    assert "licence of the weights: MIT" in caplog.text
    assert found.config == TINY and not found.training
    for name, value in network.infer(pictures).items():
        assert torch.equal(found.infer(pictures)[name], value)
    assert MoGe2.from_pretrained(tmp_path).config == TINY


def test_a_folder_of_ours_comes_back_too(network, tmp_path):
    network.save(tmp_path / "ours", licence="CC0-1.0")
    found = MoGe2.from_pretrained(tmp_path / "ours")
    assert found.config == TINY
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in network.state_dict().items())


def test_int_layers_single_values_and_unknown_entries(tmp_path, caplog):
    stated = TINY.published()
    stated["encoder"]["intermediate_layers"] = 2
    stated["neck"]["dim_out"] = None
    stated["colour"] = "blue"
    with caplog.at_level(logging.WARNING):
        assert MoGe2Config.from_published(stated, "here") == TINY
    assert "colour" in caplog.text


def changed(**edits):
    return {**TINY.published(), **edits}


def without(name):
    return {key: value for key, value in TINY.published().items() if key != name}


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"encoder": "dinov2_vitl14", "num_res_blocks": 2}, "MoGe-1"),
        (changed(encoder={**TINY.published()["encoder"], "backbone": "dinov2_vitg14"}), "dinov2_vitg14"),
        (changed(encoder={**TINY.published()["encoder"], "intermediate_layers": [1, 7]}), "taps"),
        (changed(neck={**TINY.published()["neck"], "res_block_in_norm": "group_norm"}), "group_norm"),
        (changed(neck={**TINY.published()["neck"], "resamplers": "pixel_shuffle"}), "pixel_shuffle"),
        (changed(neck={**TINY.published()["neck"], "num_res_blocks": [1, 1]}), "levels"),
        (changed(remap_output="tanh"), "tanh"),
        (changed(num_tokens_range=[10, 5]), "range"),
        (changed(points_head=None), "points"),
        (without("num_tokens_range"), "num_tokens_range"),
    ],
)
def test_other_networks_are_refused_in_one_line(stated, words, network, tmp_path):
    torch.save({"model_config": stated, "model": network.state_dict()}, tmp_path / "model.pt")
    with pytest.raises(DioramaError, match=words) as caught:
        MoGe2.from_pretrained(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit_their_configuration(network, tmp_path):
    weights = {name: value for name, value in network.state_dict().items() if "normal_head" not in name}
    torch.save({"model_config": TINY.published(), "model": weights}, tmp_path / "model.pt")
    with pytest.raises(DioramaError, match=r"missing \(normal_head"):
        MoGe2.from_pretrained(tmp_path / "model.pt")


def test_bare_weights_need_their_configuration(network, tmp_path):
    write_safetensors(tmp_path / "w.safetensors", network.state_dict())
    with pytest.raises(DioramaError, match="do not fit"):
        MoGe2.from_pretrained(tmp_path / "w.safetensors")
    assert MoGe2.from_pretrained(tmp_path / "w.safetensors", config=TINY).config == TINY


def test_code_in_a_file_is_not_run(tmp_path):
    torch.save({"model_config": {"encoder": os.getcwd}, "model": {}}, tmp_path / "model.pt")
    with pytest.raises(DioramaError, match="could run code"):
        MoGe2.from_pretrained(tmp_path / "model.pt")


@pytest.mark.parametrize("remap", ["linear", "sinh", "sinh_exp"])
def test_other_remaps(remap, network, pictures):
    other = MoGe2(dataclasses.replace(TINY, remap=remap)).eval()
    other.load_state_dict(network.state_dict())
    exp, found = network(pictures, 12)["points"], other(pictures, 12)["points"]
    raw = torch.cat([exp[..., :2] / exp[..., 2:], exp[..., 2:].log()], -1)
    xy = raw[..., :2] if remap == "linear" else raw[..., :2].sinh()
    z = {"linear": raw[..., 2:], "sinh": raw[..., 2:].sinh(), "sinh_exp": exp[..., 2:]}[remap]
    torch.testing.assert_close(found, torch.cat([xy, z], -1), rtol=1e-4, atol=1e-5)


def test_heads_may_be_absent(pictures):
    network = MoGe2(dataclasses.replace(TINY, mask_head=None, normal_head=None, scale_dims=None)).eval()
    assert set(network(pictures, 12)) == {"points"}
    assert set(network.infer(pictures)) == {"points", "depth", "mask", "K"}


@pytest.mark.parametrize(
    ("image", "options", "words"),
    [
        (torch.zeros(0, 3, 8, 8), {}, "no pictures"),
        (torch.zeros(3, 8, 8), {"level": 11}, "level"),
        (torch.zeros(3, 8, 8), {"fov": 180.0}, "field of view"),
    ],
)
def test_wrong_pictures_and_options(network, image, options, words):
    with pytest.raises(DioramaError, match=words):
        network.infer(image, **options)


def test_stacks_have_a_value_per_level():
    with pytest.raises(ValueError, match="levels"):
        StackConfig((1, 1), (1, 1), (0, 0), (None, None), ())
