"""`--depth`: every format says the same; networks of known outputs give the depth they must; faults are one line."""

import dataclasses
import json
import logging
import os
import sys

import cv2
import numpy as np
import pytest
import torch

from diorama.errors import DioramaError
from diorama.frontends.depth_folder import DepthFolderConfig, read_depth_folder
from diorama.frontends.depth_keyframes import even_keyframes
from diorama.frontends.depth_source import DepthSource, parse_depth_source
from diorama.frontends.given_depth import observe_given_depth, prepare_given_depth, seen_depth
from diorama.frontends.moge_depth import MoGeDepthConfig, depth_edges, predict_depth
from diorama.networks.moge import MoGe2, MoGe2Config
from diorama.observations import ObservedCameras, Source
from diorama.video import open_video
from exr_files import write_exr
from random_weights import shaken
from tiny_videos import moving, write_video

FRAMES, WIDTH, HEIGHT = 7, 96, 64
MAP = (32, 48)  # rows, columns
KEYS = (1, 4)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return open_video(write_video(tmp_path_factory.mktemp("given") / "clip.mp4", moving(FRAMES, WIDTH, HEIGHT)))


def cameras_of(video, kind="static", focal=80.0):
    count = len(video)
    K = np.tile([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]], (count, 1, 1))
    T = np.tile(np.eye(4), (count, 1, 1))
    return ObservedCameras(Source("test"), kind, "assumed", K, np.zeros((count, 1)), T, np.ones(count, bool))


@pytest.fixture(scope="module")
def maps():
    """Whole millimetres, so that every format can hold them; some pixels are not known."""
    depth = np.random.default_rng(0).integers(500, 60_000, (len(KEYS), *MAP)) / 1000
    depth[:, 0, :5] = 0
    return depth.astype(np.float32)


def about(folder, **entries):
    (folder / "about.json").write_text(json.dumps(entries))


def as_npz(folder, maps, first=0):
    for key, depth in zip(KEYS, maps, strict=True):
        np.savez(folder / f"{key + first:06d}.npz", depth=depth)


def as_one(folder, maps, first=0):
    np.savez(folder / "depth.npz", frames=np.array(KEYS) + first, depth=maps)


def as_png(folder, maps, first=0):
    for key, depth in zip(KEYS, maps, strict=True):
        cv2.imwrite(str(folder / f"frame_{key + first}.png"), np.round(depth * 1000).astype(np.uint16))


def as_exr(folder, maps, first=0):
    for key, depth in zip(KEYS, maps, strict=True):
        write_exr(folder / f"{key + first:04d}.exr", {"Y": np.where(depth > 0, depth, np.inf).astype(np.float32)})


@pytest.mark.parametrize("write", [as_npz, as_one, as_png, as_exr])
@pytest.mark.parametrize("first", [0, 1])
def test_every_format_says_the_same(video, maps, tmp_path, write, first):
    write(tmp_path, maps, first)
    about(tmp_path, fov=60.0, first_number=first, **({"png_unit": 0.001} if write is as_png else {}))
    found = read_depth_folder(tmp_path, video, None, cameras_of(video))
    assert found.metric and found.frames.tolist() == list(KEYS) and found.depth.dtype == np.float32
    np.testing.assert_allclose(found.depth, maps, rtol=1e-6)
    np.testing.assert_array_equal(found.confidence, maps > 0)
    np.testing.assert_allclose(found.K[:, 0, 0], 24 / np.tan(np.radians(30)))
    assert found.source.model == tmp_path.name


def test_the_lens_of_the_files_then_of_about_then_of_the_cameras(video, maps, tmp_path, caplog):
    as_npz(tmp_path, maps)
    cameras = cameras_of(video)
    np.testing.assert_allclose(read_depth_folder(tmp_path, video, None, cameras).K[0, 0], [40, 0, 24])
    about(tmp_path, fov=90.0)
    with caplog.at_level(logging.WARNING):
        found = read_depth_folder(tmp_path, video, None, cameras)
    np.testing.assert_allclose(found.K[0], [[24, 0, 24], [0, 24, 16], [0, 0, 1]])
    assert "--fov 90.0" in caplog.text and "0.60 times" in found.source.notes[0]
    for key, depth in zip(KEYS, maps, strict=True):
        np.savez(tmp_path / f"{key:06d}.npz", depth=depth, K=[[41.0, 0, 23], [0, 41, 15], [0, 0, 1]])
    about(tmp_path, fov=90.0, pixel_centres="integer")
    np.testing.assert_allclose(read_depth_folder(tmp_path, video, None, cameras).K[1, 0], [41, 0, 23.5])


def test_large_maps_are_thinned_with_their_lens(video, tmp_path):
    """Of a plane the thinned maps are still that plane, up to half a pixel of the large ones."""
    x = np.arange(4 * WIDTH) + 0.5
    np.savez(tmp_path / "0.npz", depth=np.tile(2 + x / 100, (4 * HEIGHT, 1)))
    found = read_depth_folder(tmp_path, video, None, cameras_of(video), DepthFolderConfig(map_size=WIDTH))
    assert found.depth.shape == (1, HEIGHT, WIDTH)
    np.testing.assert_allclose(found.K[0], cameras_of(video).K[0])
    np.testing.assert_allclose(found.depth[0, 0], 2 + 4 * (np.arange(WIDTH) + 0.5) / 100, atol=0.51 / 100)


def test_few_of_many_maps_are_read_and_wanted_frames_first(video, tmp_path):
    for row in range(FRAMES):
        np.savez(tmp_path / f"{row}.npz", depth=np.full(MAP, 1.0 + row))
    (tmp_path / "3.npz").write_bytes(b"damaged, but not among those that are read")
    config, cameras = DepthFolderConfig(keyframes=2), cameras_of(video)
    assert read_depth_folder(tmp_path, video, None, cameras, config).frames.tolist() == [0, 6]
    wanted = read_depth_folder(tmp_path, video, None, cameras, keys=np.array([2, 5]))
    assert wanted.frames.tolist() == [2, 5] and wanted.depth[1, 0, 0] == 6
    with pytest.raises(DioramaError, match=r"3\.npz"):
        read_depth_folder(tmp_path, video, None, cameras, keys=np.array([90]))


def test_maps_of_other_shots_are_passed_over(video, maps, tmp_path):
    as_npz(tmp_path, maps)
    halves = dataclasses.replace(video, shots=((0, 3), (3, FRAMES)))
    for shot, row in ((0, 1), (1, 1)):
        part = halves.take_shot(shot)
        found = read_depth_folder(tmp_path, part, None, cameras_of(part))
        assert found.frames.tolist() == [row]
        np.testing.assert_array_equal(found.depth[0], maps[shot])


def refused(folder, video, words):
    with pytest.raises(DioramaError, match=words) as caught:
        read_depth_folder(folder, video, None, cameras_of(video))
    assert "\n" not in str(caught.value)


def test_faults_of_a_folder_are_one_line(video, maps, tmp_path):
    refused(tmp_path, video, "no depth maps of this shot")
    as_png(tmp_path, maps)
    refused(tmp_path, video, "png_unit")
    for entries, words in (
        ({"metric": False}, "metres"), ({"first_number": 0.5}, "first_number"), ({"png_unit": 0}, "png_unit"),
        ({"fov": 190, "png_unit": 0.001}, "fov"), ({"first_number": 3, "png_unit": 1}, "frame 1; the video has 3 to 9"),
        ({"unit": 0.001}, "unknown entry 'unit'"),
    ):  # fmt: skip
        about(tmp_path, **entries)
        refused(tmp_path, video, words)
    about(tmp_path, png_unit=0.001)
    np.savez(tmp_path / "000001.npz", depth=maps[0])
    refused(tmp_path, video, "two maps of one frame")
    (tmp_path / "000001.npz").unlink()
    cv2.imwrite(str(tmp_path / "frame_1.png"), np.zeros(MAP, np.uint8))
    refused(tmp_path, video, "8 bits")
    cv2.imwrite(str(tmp_path / "frame_1.png"), np.zeros((*MAP, 3), np.uint16))
    refused(tmp_path, video, "uint16 of shape")
    cv2.imwrite(str(tmp_path / "frame_1.png"), np.zeros((48, 48), np.uint16))
    refused(tmp_path, video, "do not show the whole")
    (tmp_path / "frame_1.png").rename(tmp_path / "frame.png")
    refused(tmp_path, video, "no frame number")
    (tmp_path / "frame.png").rename(tmp_path / "frame_1.tif")
    refused(tmp_path, video, "no file of this layout")


def test_negative_depth_is_refused(video, tmp_path):
    np.savez(tmp_path / "0.npz", depth=np.full(MAP, -1.0))
    refused(tmp_path, video, "negative")


def steady(z: float, scale: float) -> MoGe2:
    """A network that sees a wall at z, before it multiplies by the scale, and faces the camera, whatever the picture."""
    network = MoGe2(MoGe2Config.tiny())
    with torch.no_grad():
        for head, bias in (("points_head", [0, 0, np.log(z)]), ("mask_head", [5.0]), ("normal_head", [0, 0, -1.0])):
            last = getattr(network, head).output_blocks[4]
            last.weight.zero_()
            last.bias.copy_(torch.tensor(bias))
        network.scale_head[4].weight.zero_()
        network.scale_head[4].bias.fill_(float(np.log(scale)))
    return network.eval()


def test_a_network_of_known_outputs(video, tmp_path):
    steady(2.0, 1.5).save_published(tmp_path / "model.pt")
    config = MoGeDepthConfig(keyframes=3, map_size=48)
    cameras = cameras_of(video)
    found = predict_depth(video, cameras, tmp_path / "model.pt", config, progress=False)
    assert found.frames.tolist() == [0, 3, 6] and found.metric and found.source.licence == "MIT"
    assert found.depth.shape == (3, *MAP)
    np.testing.assert_allclose(found.depth, 3.0, rtol=1e-5)
    assert (found.confidence == 1).all()
    np.testing.assert_allclose(found.K[0], [[40, 0, 24], [0, 40, 16], [0, 0, 1]])
    given = prepare_given_depth(f"moge2:{tmp_path / 'model.pt'}")
    given = dataclasses.replace(given, moge=config)
    whole = observe_given_depth(video, None, cameras, given, progress=False)
    np.testing.assert_allclose(whole.points[:, 2], 3.0, rtol=1e-5)
    assert len(whole.points) == 3 * MAP[0] * MAP[1] and len(np.unique(whole.colors, axis=0)) > 10
    np.testing.assert_allclose(np.abs(whole.points[:, 0]).max(), 3.0 * 23.5 / 40, rtol=1e-5)
    travelling = observe_given_depth(
        video, None, cameras_of(video, "translating"), given, keys=np.array([2, 5]), progress=False
    )
    assert travelling.frames.tolist() == [2, 5] and not len(travelling.points)


def test_random_weights_give_a_depth_too(video, tmp_path):
    shaken(MoGe2(MoGe2Config.tiny())).save_published(tmp_path / "model.pt")
    for own in (False, True):
        config = MoGeDepthConfig(keyframes=2, map_size=48, own_fov=own)
        found = predict_depth(video, cameras_of(video), tmp_path / "model.pt", config, progress=False)
        assert np.isfinite(found.depth).all() and (found.depth >= 0).all()
        assert ((found.confidence == 0) | (found.depth > 0)).all()
        assert np.allclose(found.K[:, 0, 0], 40) or own
        assert "horizontal field of view" in found.source.notes[1]


def test_edges():
    depth = np.full((6, 9), 2.0, np.float32)
    depth[:, 5:] = 2.1  # a jump of 5 %
    depth[0, 0] = 0
    edges = depth_edges(depth, 0.04)
    expected = np.zeros((6, 9), bool)
    expected[:, 4:6] = True
    expected[:2, :2] = True
    expected[0, 0] = False
    np.testing.assert_array_equal(edges, expected)
    assert not depth_edges(depth, 0.06)[2:].any()


def test_keyframes_are_even_and_no_duplicates(video):
    assert even_keyframes(video, None, 3).tolist() == [0, 3, 6]
    assert even_keyframes(video, None, 99).tolist() == list(range(FRAMES))
    assert even_keyframes(video, np.array([2, 5]), 1).tolist() == [5]
    still = dataclasses.replace(video, duplicate=np.arange(FRAMES) % 2 == 1)
    assert even_keyframes(still, None, 99).tolist() == [0, 2, 4, 6]
    assert even_keyframes(still, np.array([1, 3]), 99).tolist() == [1, 3]


def test_which_depth_stays(video, maps, tmp_path):
    as_npz(tmp_path, maps)
    given = read_depth_folder(tmp_path, video, None, cameras_of(video))
    triangulated = dataclasses.replace(given, metric=False)
    empty = dataclasses.replace(
        triangulated, frames=given.frames[:0], depth=given.depth[:0], confidence=given.depth[:0], K=given.K[:0]
    )
    assert seen_depth(None, given).depth is given and seen_depth(None, given).prior is None
    assert seen_depth(empty, given).depth is given
    assert seen_depth(triangulated, given).depth is triangulated and seen_depth(triangulated, given).prior is given


def test_words_of_the_option(tmp_path):
    assert parse_depth_source(str(tmp_path)) == DepthSource("folder", str(tmp_path))
    assert parse_depth_source("moge2:a/b").option == "--depth moge2:a/b"
    (tmp_path / "model.pt").write_bytes(b"")
    for word, words in (
        (str(tmp_path / "none"), "no such folder"), (str(tmp_path / "model.pt"), "moge2:"), ("moge2:", "no weights"),
    ):  # fmt: skip
        with pytest.raises(DioramaError, match=words) as caught:
            parse_depth_source(word)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["{folder}/model.pt", "{folder}", "Ruicheng/moge-2-vits-normal"])
def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch, place):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(DioramaError) as caught:
        prepare_given_depth(f"moge2:{place.format(folder=tmp_path)}")
    text = str(caught.value)
    assert "\n" not in text
    for word in ("1324 MB", "MIT", "Ruicheng/moge-2-vitl-normal", "https://huggingface.co", "diorama[hub]"):
        assert word in text


def test_the_digest_follows_the_content(maps, tmp_path):
    as_npz(tmp_path, maps)
    before = prepare_given_depth(str(tmp_path)).digest
    assert prepare_given_depth(str(tmp_path)).digest == before
    os.rename(tmp_path / "000001.npz", tmp_path / "000002.npz")
    assert prepare_given_depth(str(tmp_path)).digest != before
