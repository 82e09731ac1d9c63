"""UniSH whole: published names, a second implementation, symmetries, switches, metric outputs, gradients, bad input."""

import copy
import logging

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import plain_unish
from diorama.errors import DioramaError
from diorama.networks.alignnet import AlignNet, AlignNetConfig
from diorama.networks.hmr import HmrConfig, HmrHead, rotation_of_6d
from diorama.networks.unish import InferOptions, UniSH, UniSHConfig, _check, human_branch_weights
from diorama.networks.unish_metric import body_in_world, mean_distance, metric_scene, moved
from diorama.networks.vit import PoseViT, PoseViTConfig
from key_lists import published, shapes_of, under
from random_weights import clip, shaken

TINY = UniSHConfig.tiny()


@pytest.fixture(scope="module")
def network():
    return shaken(UniSH(TINY), double=True)


@pytest.fixture(scope="module")
def single():
    return shaken(UniSH(TINY))


def doubled(*tensors):
    return [tensor.double() for tensor in tensors]


def close(a, b, share=1e-9):
    assert a.shape == b.shape
    assert (a - b).abs().max() <= share * b.abs().max()


@pytest.fixture(scope="module")
def shapes():
    return shapes_of(lambda: UniSH(UniSHConfig.full()))


def test_published_names_and_shapes(shapes):
    ours, theirs = shapes, published("unish")
    assert ours == theirs
    assert under("pi3.", ours) == published("pi3")
    values = sum(torch.Size(shape).numel() for shape in ours.values())
    assert values == 1_637_210_554 + 6 + 2 * 157  # the lists' parameters, and the buffers


def test_camerahmr_is_the_human_branch(shapes):
    theirs = {name: torch.empty(shape, device="meta") for name, shape in published("camerahmr").items()}
    renamed = {name: tuple(value.shape) for name, value in human_branch_weights(theirs).items()}
    assert renamed == {name: shape for name, shape in shapes.items() if name.startswith(("backbone.", "human_head."))}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("camerahmr", HmrConfig(camera=True, keypoints=88)),
        ("hmr2", HmrConfig(conditioned=False, camera=True)),
        ("vimo", HmrConfig(conditioned=False, camera=True)),
    ],
)
def test_the_decoder_is_the_fields(name, config):
    assert shapes_of(lambda: HmrHead(config)) == under("smpl_head.", published(name))
    assert shapes_of(lambda: PoseViT(PoseViTConfig.huge())) == under("backbone.", published(name))


def test_agrees_with_plain_formulas(network):
    images, crops, boxes = doubled(*clip(1, 4, 28, 42))
    found = network(images, crops, boxes)
    weights = plain_unish.Weights(network.state_dict())
    scene = plain_unish.pi3(weights.at("pi3"), images[0], TINY.pi3.encoder.heads)
    heads = TINY.backbone.heads, TINY.human_head.heads
    token, rotations, betas = plain_unish.human(weights, crops[0], boxes[0], *heads)
    positions = torch.arange(4).double()
    scale, transl = plain_unish.align(weights.at("alignnet"), scene["hidden"], token, TINY.alignnet.heads, positions)
    T = torch.linalg.inv(scene["T_world_camera"][:1]) @ scene["T_world_camera"]
    close(found["local_points"][0], scene["local_points"], 1e-6)
    close(found["T_world_camera"][0], T, 1e-6)
    close(found["point_conf"][0], 1 / (1 + (-scene["conf"]).exp()), 1e-6)
    close(found["pose_camera"][0], rotations)
    close(found["betas_frames"][0], betas)
    close(found["betas"][0, 0], betas.mean(0))
    close(found["scale"][0], scale, 1e-6)
    close(found["transl_camera"][0], transl, 1e-6)


@pytest.mark.parametrize("fps", [2.0, 4.0, 6.0, 12.0, 25.0])
def test_positions_are_those_at_six_frames_per_second(network, fps):
    hidden, human = doubled(torch.randn(1, 9, 7, 128), torch.randn(1, 9, 64))
    scale, transl = network.alignnet(hidden, human, fps=fps)
    # round() of Python is half to even.
    positions = torch.tensor([float(round(index * 6 / fps)) for index in range(9)])
    weights = plain_unish.Weights(network.state_dict()).at("alignnet")
    expected = plain_unish.align(weights, hidden[0], human[0], TINY.alignnet.heads, positions)
    close(scale[0], expected[0], 1e-6)
    close(transl[0], expected[1], 1e-6)


def test_long_clips_are_stretched_only_as_released(network):
    hidden, human = doubled(torch.randn(1, 121, 6, 128), torch.randn(1, 121, 64))
    plain, stretched = network.alignnet(hidden, human), network.alignnet(hidden, human, release=True)
    assert (plain[1] - stretched[1]).abs().max() > 1e-6
    short = hidden[:, :120], human[:, :120]
    assert torch.equal(network.alignnet(*short)[1], network.alignnet(*short, release=True)[1])


@pytest.mark.parametrize(("frames", "fps"), [(121, 6.0), (61, 2.0), (148, 7.2)])
def test_the_released_stretch_is_linear_between_the_centres_of_120_positions(frames, fps):
    align = AlignNet(AlignNetConfig.tiny())
    table = align._table(frames, fps, torch.device("cpu"), torch.float64, True)
    positions = np.array([round(index * 6 / fps) for index in range(frames)])
    length = positions[-1] + 1
    places = ((positions + 0.5) * 120 / length - 0.5).clip(0, 119)
    for column, frequency in enumerate(100.0 ** (-np.arange(0, 32, 2) / 32)):
        for found, wave in ((table.cos, np.cos), (table.sin, np.sin)):
            expected = np.interp(places, np.arange(120), wave(np.arange(120) * frequency))
            np.testing.assert_allclose(found[:, 0, column].numpy(), expected, atol=2e-5)


def test_scale_and_places_move_with_the_frames_positions():
    """With one position for all (endless frames per second) AlignNet too knows no order."""
    align = shaken(AlignNet(AlignNetConfig(scene=32, human=16, width=32, heads=2, mlp=32)), double=True)
    hidden, human = doubled(torch.randn(2, 5, 8, 32), torch.randn(2, 5, 16))
    order = torch.tensor([3, 1, 4, 0, 2])
    scale, transl = align(hidden, human, fps=1e9)
    again, places = align(hidden[:, order], human[:, order], fps=1e9)
    close(again, scale)
    close(places, transl[:, order])
    assert (align(hidden[:, order], human[:, order])[0] - align(hidden, human)[0]).abs().max() > 1e-9


def test_a_batch_is_its_clips(network):
    parts = doubled(*clip(3, 2, 28, 42))
    together = network(*parts)
    measured = network.infer(*parts)
    for index in range(3):
        alone = [part[index : index + 1] for part in parts]
        for name, value in network(*alone).items():
            close(together[name][index : index + 1], value)
        for name, value in network.infer(*alone).items():
            close(measured[name][index : index + 1].double(), value.double(), 1e-5)


def test_one_frame(network):
    found = network.infer(*doubled(*clip(1, 1, 14, 14)))
    close(found["T_world_camera"][0, 0], torch.eye(4).double())
    assert found["betas"].shape == (1, 1, 10)


@pytest.mark.parametrize("config", [UniSHConfig.tiny(), UniSHConfig.small()], ids=["tiny", "small"])
def test_every_part_learns(config):
    torch.manual_seed(0)
    network = UniSH(config).train()
    found = network(*clip(1, 2, 28, 28))
    used = ("local_points", "conf", "T_world_camera", "pose_camera", "betas", "scale", "transl_camera")
    sum(found[name].square().mean() for name in used).backward()
    still = {name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().max() > 0}
    # Moving the network's world moves its first camera too, which is taken as the origin here.
    assert still == {"pi3.camera_head.fc_t.bias"}
    assert all(bool(value.grad.isfinite().all()) for value in network.parameters())


def test_crops_lose_their_margins(network):
    images, crops, boxes = doubled(*clip(1, 2, 14, 14))
    changed = crops.clone()
    changed[..., :32] = 0
    changed[..., 224:] = 1
    close(network(images, changed, boxes)["pose_camera"], network(images, crops, boxes)["pose_camera"])


def test_normalised_crops_are_normalised(network):
    images, crops, boxes = doubled(*clip(1, 2, 14, 14))
    mean, std = network.pi3.image_mean, network.pi3.image_std
    switched = network(images, crops, boxes, normalise_crops=True)
    close(switched["betas"], network(images, (crops - mean) / std, boxes)["betas"])
    assert (switched["betas"] - network(images, crops, boxes)["betas"]).abs().max() > 1e-6


def test_columns_of_six_numbers():
    R = torch.tensor(Rotation.random(30, random_state=0).as_matrix())
    six = torch.cat([2 * R[..., 0], 3 * R[..., 1] + R[..., 0]], -1)
    torch.testing.assert_close(rotation_of_6d(six), R)


def test_stochastic_depth_keeps_the_mean():
    torch.manual_seed(0)
    backbone = PoseViT(PoseViTConfig(32, 3, 2, drop_path=0.5)).double()
    block, tokens = backbone.blocks[-1], torch.randn(4000, 1, 32).double()
    residual = block._dropped(tokens) - tokens
    assert set(block._dropped(torch.ones(50, 1, 1)).unique().tolist()) == {0.0, 2.0}
    assert residual.mean(0).abs().max() < 0.1
    block.eval()
    assert block._dropped(tokens) is tokens


def test_geometry_stays_exact_under_autocast(single):
    """Products of transforms and points are no network: in bfloat16 cameras would not even be rotations."""
    with torch.autocast("cpu", torch.bfloat16):
        _, found, _, _ = infer_parts(single)
        raw = single(*clip(2, 3, 28, 42))["T_world_camera"]
    assert {value.dtype for value in found.values()} == {torch.float32, torch.bool} and raw.dtype == torch.float32
    for T in (found["T_world_camera"], raw):
        R = T[..., :3, :3]
        torch.testing.assert_close(R @ R.mT, torch.eye(3).expand_as(R), atol=1e-5, rtol=0)
    close(found["points_world"], moved(found["points_camera"], found["T_world_camera"]), 1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        turned, _ = body_in_world(torch.eye(3), torch.zeros(3), raw[0, 1])
    assert torch.equal(turned, raw[0, 1, :3, :3])


def infer_parts(network, **options):
    images, crops, _ = clip(2, 3, 28, 42)
    boxes = 30 * torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(7))
    return images, network.infer(images, crops, boxes, **options), crops, boxes


def test_infer_is_forward_made_metric(single):
    """Release: points, cameras and person times s / norm_factor; the shift goes to depth and to the person's z alone."""
    images, found, crops, boxes = infer_parts(single, release=True)
    raw = single(images, crops, boxes / found["focal_conditioning"][..., None])
    factor = found["metric_factor"]
    close(found["metric_factor"] * found["norm_factor"], raw["scale"], 1e-6)
    close(found["T_world_camera"][..., :3, 3], raw["T_world_camera"][..., :3, 3] * factor[..., None], 1e-5)
    close(found["T_world_camera"][..., :3, :3], raw["T_world_camera"][..., :3, :3], 1e-5)
    shift, scaled = found["shift"], raw["local_points"] * factor[..., None, None, None]
    close(found["depth"], scaled[..., 2] + shift[..., None, None], 1e-5)
    close(found["points_world"], moved(scaled, found["T_world_camera"]), 1e-5)
    transl = raw["transl_camera"] * factor[..., None]
    transl[..., 2] += shift
    close(found["transl_camera"], transl, 1e-5)


def test_points_are_the_depth_through_the_pinhole(single):
    """Projected with K, every point is at its pixel's centre; by default the world holds the same points."""
    _, found, _, _ = infer_parts(single)
    pixels = found["points_camera"] @ found["K"].mT[:, :, None]
    pixels = pixels[..., :2] / pixels[..., 2:]
    grid = torch.stack(torch.meshgrid(torch.arange(42) + 0.5, torch.arange(28) + 0.5, indexing="xy"), -1)
    torch.testing.assert_close(pixels, grid.expand_as(pixels), atol=1e-2, rtol=0)
    torch.testing.assert_close(found["points_world"], moved(found["points_camera"], found["T_world_camera"]))
    torch.testing.assert_close(found["points_camera"][..., 2], found["depth"])


def test_a_known_pinhole_comes_out_metric():
    """Maps of a true pinhole with a depth offset: K, offset and scale are found, and the valid points' mean is s."""
    height, width, f = 42, 56, 70.0
    depth = 2 + torch.rand(1, 2, height, width, generator=torch.Generator().manual_seed(3))
    x = (torch.arange(width) + 0.5 - width / 2) / f
    y = (torch.arange(height) + 0.5 - height / 2) / f
    rays = torch.stack([x.expand(height, width), y[:, None].expand(height, width), torch.ones(height, width)], -1)
    exact = rays * depth[..., None]
    offset = torch.tensor([0.0, 0.0, 0.4])
    T = torch.eye(4).repeat(1, 2, 1, 1)
    T[0, 1, :3, 3] = torch.tensor([1.0, 0, 0])
    hidden = torch.zeros(1, 2, 1, 1)
    scene = {"local_points": exact - offset, "conf": torch.ones(1, 2, height, width, 1), "T_world_camera": T}
    mask = torch.ones(1, 2, height, width, dtype=torch.bool)
    s = 3 * mean_distance(exact - offset, mask)
    found = metric_scene({**scene, "hidden": hidden}, mask, s, InferOptions())
    torch.testing.assert_close(found["metric_factor"], torch.tensor([[3.0]]))
    torch.testing.assert_close(found["K"][..., 0, 0], torch.full((1, 2), f), rtol=1e-4, atol=0)
    torch.testing.assert_close(found["shift"], torch.full((1, 2), 1.2), rtol=1e-3, atol=0)
    torch.testing.assert_close(found["points_camera"], 3 * exact, rtol=1e-3, atol=1e-3)
    assert found["T_world_camera"][0, 1, 0, 3] == 3
    assert found["valid"].all()


def test_a_known_focal_length_is_used_everywhere(single):
    focal = torch.full((2, 3), 40.0)
    _, found, _, _ = infer_parts(single, focal=focal)
    torch.testing.assert_close(found["K"][..., 0, 0], focal)
    torch.testing.assert_close(found["focal_conditioning"], focal)


def test_a_shared_focal_length_is_the_median(single):
    _, found, _, _ = infer_parts(single)
    _, shared, _, _ = infer_parts(single, options=InferOptions(shared_focal=True))
    middle = found["focal_conditioning"].median(1, keepdim=True).values
    torch.testing.assert_close(shared["focal_conditioning"], middle.expand(2, 3))


def test_nothing_confident_is_no_crash(single):
    _, found, _, _ = infer_parts(single, options=InferOptions(threshold=2.0))
    assert not found["valid"].any()
    close(found["metric_factor"], found["scale"], 1e-6)
    assert all(bool(value.isfinite().all()) for value in found.values())


def test_a_body_turned_about_its_pelvis_is_where_the_camera_saw_it():
    generator = torch.Generator().manual_seed(5)
    R, R_camera = torch.tensor(Rotation.random(2, random_state=1).as_matrix())
    T = torch.eye(4).double()
    T[:3, :3], T[:3, 3] = R_camera, torch.randn(3, generator=generator).double()
    transl, pelvis, vertex = torch.randn(3, 3, generator=generator).double()

    def posed(root, place):
        return root @ (vertex - pelvis) + pelvis + place

    expected = T[:3, :3] @ posed(R, transl) + T[:3, 3]
    torch.testing.assert_close(posed(*body_in_world(R, transl, T, pelvis)), expected)
    wrong = posed(*body_in_world(R, transl, T)) - expected
    torch.testing.assert_close(wrong, pelvis - R_camera @ pelvis)


class NoWaiting(TorchDispatchMode):
    """Fails at every operation that would have to wait for a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        waits = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "is_nonzero", "equal", "_linalg_svd")
        assert not any(func.__name__.startswith(name) for name in waits), func
        return func(*args, **(kwargs or {}))


def test_nothing_waits_for_the_device(single, monkeypatch):
    # The search may ask a CPU whether it is over; an accelerator is not asked.
    monkeypatch.setattr("diorama.networks.focal_shift._may_ask", lambda device: False)
    with NoWaiting():
        infer_parts(single)


def test_the_heads_query():
    """HMR 2.0's and VIMO's query is one zero, so only the crop decides; a conditioned one needs its box."""
    sizes = {"context": 32, "width": 64, "depth": 2, "heads": 2, "head_channels": 32, "mlp": 64}
    context = torch.randn(3, 12, 32)
    free = shaken(HmrHead(HmrConfig(conditioned=False, camera=True, keypoints=88, **sizes)))
    found = free(context)
    assert found.camera.shape == (3, 3) and found.keypoints.shape == (3, 88)
    assert torch.equal(found.token, free(context, torch.randn(3, 3)).token)
    conditioned = shaken(HmrHead(HmrConfig(**sizes)))
    assert conditioned(context, torch.zeros(3, 3)).camera is None
    with pytest.raises(ValueError, match="needs bbox_info"):
        conditioned(context)


def test_the_whole_network_does_the_published_work_and_waits_for_nothing():
    """1.94 TFLOP for one frame of 518x294 in the official modules (../shared/specs/unish.md, section 10).

    On the meta device there are no numbers, so nothing depends on one.
    """
    with torch.device("meta"):
        network = UniSH(UniSHConfig.full()).eval()
        parts = torch.empty(1, 1, 3, 294, 518), torch.empty(1, 1, 3, 256, 256), torch.empty(1, 1, 3)
    with FlopCounterMode(display=False) as counter:
        found = network.infer(*parts)
    assert counter.get_total_flops() / 1e12 == pytest.approx(1.94, abs=0.005)
    assert found["depth"].shape == (1, 1, 294, 518)
    assert found["transl_camera"].shape == (1, 1, 3)


def test_release_precision_rounds_weights_and_keeps_heads_exact():
    exact = shaken(UniSH(TINY))
    rounded = copy.deepcopy(exact).to_release_precision()
    for (name, a), b in zip(exact.named_parameters(), rounded.parameters(), strict=True):
        assert torch.equal(a.bfloat16(), b.bfloat16()) and torch.equal(b.bfloat16().float(), b.float()), name
    assert rounded.human_head.decpose.weight.dtype == rounded.pi3.camera_head.fc_t.weight.dtype == torch.float32
    assert rounded.pi3.decoder[0].mlp.fc1.weight.dtype == rounded.backbone.pos_embed.dtype == torch.bfloat16
    parts = clip(1, 2, 28, 28)
    found, expected = rounded(*parts, release=True), exact(*parts)
    for name in ("betas", "scale", "T_world_camera"):
        assert 0 < (found[name] - expected[name]).abs().max() < 0.2 * expected[name].abs().max()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda i, c, b: (i, c[..., :128, :128], b), "crops of 128x128 px"),
        (lambda i, c, b: (i[..., :13], c, b), "patches of 14 px"),
    ],
)
def test_parts_that_do_not_fit(single, change, message):
    with pytest.raises(DioramaError, match=message):
        single(*change(*clip(2, 3, 28, 28)))


@pytest.mark.parametrize("part", [0, 1, 2])
def test_clips_of_different_lengths(part):
    """Asked of the check itself, because the tests' types refuse such a call before it."""
    parts = list(clip(2, 3, 28, 28))
    parts[part] = parts[part][:, :2]
    with pytest.raises(DioramaError, match="one crop and one box per frame"):
        _check(*parts)


@pytest.mark.parametrize("size", ["full", "base", "small", "tiny"])
def test_presets_of_alignnet_are_those_of_the_whole(size):
    assert getattr(UniSHConfig, size)().alignnet == getattr(AlignNetConfig, size)()


def test_sizes_that_do_not_fit():
    with pytest.raises(ValueError, match=r"alignnet\.scene is 100"):
        UniSHConfig(TINY.pi3, TINY.backbone, TINY.human_head, AlignNetConfig(scene=100, human=64))


def test_the_library_is_silent(single, caplog):
    with caplog.at_level(logging.DEBUG):
        infer_parts(single)
    assert not caplog.records
