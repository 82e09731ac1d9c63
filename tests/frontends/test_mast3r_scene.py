"""MASt3R as a front end: maps and matches of a known room are exact, each keyframe is encoded once, memory is bounded, people
are left out; sums are those of pair by pair; JOSH finds the cameras."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.errors import DioramaError
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.descriptor_matches import MatchingConfig, masked, reciprocal_matches
from diorama.frontends.mast3r_pairs import KeyframeMap, PairMatches, PairsConfig, Shown, seen_pairs
from diorama.frontends.mast3r_scene import (
    MASt3RSceneConfig,
    observe_mast3r_scene,
    prepare_mast3r_scene,
    window_pairs,
)
from diorama.frontends.patch_windows import window_of
from diorama.frontends.point_focal import focal_of_points
from diorama.frontends.scene_source import SceneSource, parse_scene_source
from diorama.geometry.cameras import pixel_grid, project
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.chained import chained_cameras
from diorama.methods.josh.method import reconstruct_josh
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from diorama.observations import Observations, Source, Track, Tracks
from diorama.video import open_video
from random_weights import shaken
from seen_planes import Oracle, Room, walking
from tiny_networks import RANDOM_LICENCE, mast3r_weights
from tiny_videos import moving, write_video

SIZE, FRAMES, FOCAL = (160, 120), 31, 140.0
# Every fifth frame is a keyframe. The height of the shown picture is cut from 72 to 64 px.
CONFIG = MASt3RSceneConfig(SceneSource("owner/name"), longest=96, map_size=96, window=3)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return open_video(write_video(tmp_path_factory.mktemp("scene") / "room.mp4", moving(FRAMES, *SIZE)))


@pytest.fixture(scope="module")
def looked(video):
    """(network, scene)"""
    network = oracle(video)
    return network, observe_mast3r_scene(video, None, CONFIG, network, progress=False)


def oracle(video, config=CONFIG, **given):
    keys = keyframes(video.times, video.duplicate, config.interval)
    window = window_of(*SIZE, crop=1.0, longest=config.longest)
    return Oracle(Room(walking(FRAMES), FOCAL, SIZE), keys, window, **given)


def person(box, frames=FRAMES):
    rows = np.arange(frames)
    track = Track(1, rows, np.tile(np.array(box, float), (frames, 1)), np.zeros((frames, 33, 3)), "blazepose33")
    return Tracks(Source("fake"), (track,))


def observations_of(video, scene):
    rows = np.arange(len(video))
    return Observations(*SIZE, video.times, rows, video.duplicate, depth=scene.depth, matches=scene.matches)


def test_depth_lens_and_matches_of_a_known_room(looked):
    network, scene = looked
    depth, room = scene.depth, network.room
    assert depth.frames.tolist() == network.rows.tolist() and depth.metric and depth.depth.shape[1:] == (72, 96)
    np.testing.assert_allclose(depth.K[:, 0, 0], 0.6 * FOCAL, rtol=1e-3)
    assert scene.focal_source == "recovered" and np.allclose(depth.K[:, :2, 2], [48, 36])
    for index, row in enumerate(depth.frames):
        truth = room.seen(int(row), pixel_grid(96, 72) / 0.6)[0][..., 2]
        trusted = depth.confidence[index] > 0
        assert trusted.mean() > 0.75 and (depth.confidence[index] <= 1).all()
        away = np.abs(depth.depth[index] / truth - 1)[trusted]
        assert np.quantile(away, 0.95) < 1e-3 and away.max() < 0.05, "but for creases"
        # What the network was not shown is not known.
        assert (depth.depth[index][:2] == 0).all() and (depth.depth[index][-2:] == 0).all()
    matches = scene.matches
    assert (matches.frames_i < matches.frames_j).all() and (matches.confidence <= 1).all()
    pairs, counts = np.unique(np.stack([matches.frames_i, matches.frames_j]), axis=1, return_counts=True)
    assert pairs.shape[1] == len(window_pairs(len(network.rows), 3)) and counts.max() <= CONFIG.per_pair
    assert counts.min() > 30
    for i, j in pairs.T:
        own = (matches.frames_i == i) & (matches.frames_j == j)
        places = room.seen(int(i), matches.xy_i[own].astype(float))[1]
        K = np.array([[FOCAL, 0, SIZE[0] / 2], [0, FOCAL, SIZE[1] / 2], [0, 0, 1.0]])
        seen = project(apply(invert(room.T_world_camera[j]), places), K)
        # The nearest shown pixel, up to half of one (of 5/3 px) each way.
        assert np.median(np.linalg.norm(seen - matches.xy_j[own], axis=1)) < 1.0


def test_josh_finds_the_cameras_of_the_room(video, looked):
    network, scene = looked
    seen = observations_of(video, scene)
    truth = network.room.T_world_camera
    for cameras in (chained_cameras(seen), reconstruct_josh(None, seen).cameras):
        assert cameras.kind == "translating"
        found = invert(cameras.T_world_camera[0]) @ cameras.T_world_camera
        assert np.linalg.norm(found[:, :3, 3] - truth[:, :3, 3], axis=1).max() < 0.1  # of 2.5 m, by pictures of 96 px
        assert np.abs(found[:, :3, :3] - truth[:, :3, :3]).max() < 0.01


def test_every_keyframe_is_encoded_once_and_let_go(looked):
    network, _ = looked
    keys = len(network.rows)
    assert network.encoded == keys and network.decoded == 2 * len(window_pairs(keys, CONFIG.window))
    network = Oracle(network.room, np.arange(24) % FRAMES, network.window)
    frames = (Shown(torch.zeros(3, 64, 96), torch.zeros(64, 96, dtype=torch.bool)) for _ in range(24))
    maps = list(seen_pairs(network, frames, window_pairs(24, 3), PairsConfig(2, None)))
    assert [found.key for found in maps] == list(range(24))
    assert network.most_held <= 3 + 2 * 2, "tokens of the window and of two batches, however long the video is"


def test_people_have_no_depth_that_counts_and_no_matches(video):
    box = (60, 20, 100, 110)
    scene = observe_mast3r_scene(video, person(box), CONFIG, oracle(video), progress=False)
    x, y = np.moveaxis(pixel_grid(96, 72) / 0.6, -1, 0)
    inside = (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])
    assert (scene.depth.confidence[:, inside] == 0).all() and (scene.depth.confidence[:, ~inside] > 0).mean() > 0.6
    for xy in (scene.matches.xy_i, scene.matches.xy_j):
        assert not ((xy > box[:2]) & (xy < box[2:])).all(1).any()


def test_a_told_lens_is_kept(video):
    scene = observe_mast3r_scene(video, None, replace(CONFIG, focal=99.0), oracle(video), progress=False)
    assert scene.focal_source == "given" and np.allclose(scene.depth.K[:, 0, 0], 0.6 * 99)


def test_long_videos_have_keyframes_farther_apart(video):
    few = replace(CONFIG, keyframes=4)
    network = oracle(video, replace(CONFIG, interval=float(video.times[-1] - video.times[0]) / 3))
    scene = observe_mast3r_scene(video, None, few, network, progress=False)
    assert len(scene.depth.frames) == 4 and scene.depth.frames[[0, -1]].tolist() == [0, FRAMES - 1]


def test_sums_are_those_of_pair_by_pair():
    """A network of random weights: batches, and the mean over pairs, against one pair at a time."""
    network, matching = shaken(MASt3R(MASt3RConfig.tiny())), MatchingConfig(stride=4)
    pictures = 2 * torch.rand(5, 3, 32, 48, generator=torch.Generator().manual_seed(1)) - 1
    people = torch.zeros(5, 32, 48, dtype=torch.bool)
    people[1:, :20, 10:30] = True
    pairs = window_pairs(5, 2)
    frames = [Shown(picture, covered) for picture, covered in zip(pictures, people, strict=True)]
    found = list(seen_pairs(network, frames, pairs, PairsConfig(3, matching)))
    maps = {part.key: part for part in found if isinstance(part, KeyframeMap)}
    assert sorted(maps) == [0, 1, 2, 3, 4]
    total = {key: [0.0, 0.0, 0.0] for key in range(5)}
    matched = set()
    for i, j in pairs:
        for a, b in ((i, j), (j, i)):
            with torch.no_grad():
                out = network(pictures[[a]], pictures[[b]])
            conf, q_1 = masked(out["conf_1"], out["desc_conf_1"], people[[a]])
            _, q_2 = masked(out["conf_2"], out["desc_conf_2"], people[[b]])
            weight = (conf[0] - 0.999).numpy()
            for place, value in enumerate((weight[..., None] * out["pts3d_1"][0].numpy(), weight, weight**2)):
                total[int(a)][place] = total[int(a)][place] + value
            one = reciprocal_matches(out["desc_1"], out["desc_2"], q_1, q_2, matching)
            for xy_a, xy_b in zip(one.xy_1.tolist(), one.xy_2.tolist(), strict=True):
                ends = (xy_a, xy_b) if a < b else (xy_b, xy_a)
                matched.add((int(i), int(j), *ends[0], *ends[1]))
    for key, (points, weight, square) in total.items():
        np.testing.assert_allclose(maps[key].points, points / weight[..., None], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(maps[key].confidence, square / weight, rtol=1e-4)
    parts = [part for part in found if isinstance(part, PairMatches)]
    told = {
        (int(i), int(j), *one, *two)
        for part in parts
        for i, j, one, two in zip(part.first, part.second, part.xy_1.tolist(), part.xy_2.tolist(), strict=True)
    }
    assert len(told) == sum(len(part.first) for part in parts), "each match once"
    # Batches round differently, which decides between descriptors that are almost equal.
    assert len(told ^ matched) <= 0.05 * len(matched) and len(matched) > 20


@pytest.mark.parametrize("frames", [1, 2])
@pytest.mark.parametrize("size", [(96, 64), (64, 96), (90, 50)])
def test_short_and_odd_videos_through_the_real_loading_code(tmp_path, frames, size):
    place = mast3r_weights(tmp_path / "mast3r")
    video = open_video(write_video(tmp_path / "a.mp4", moving(frames, *size)))
    config = replace(prepare_mast3r_scene(f"mast3r:{tmp_path}"), longest=96)
    scene = observe_mast3r_scene(video, None, config, progress=False)
    depth = scene.depth
    assert depth.source.licence == RANDOM_LICENCE and "mast3r" in str(place) and config.stamp
    assert depth.frames.tolist() == list(range(frames)) and depth.depth.shape[1:] == (size[1], size[0])
    assert np.isfinite(depth.depth).all() and np.isfinite(depth.K).all() and (depth.K[:, 0, 0] > 0).all()
    assert scene.matches is None or frames > 1


@pytest.mark.parametrize("word", ["mast3r:", "mast3r:no/such/file", "folder", "moge2:a/b"])
def test_what_is_no_source_is_one_line(word):
    with pytest.raises(DioramaError, match="--scene") as caught:
        parse_scene_source(word)
    assert "CC BY-NC-SA 4.0" in str(caught.value) and "GB" in str(caught.value) and "\n" not in str(caught.value)


def test_the_focal_length_of_points_does_not_mind_liars():
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 9, (48, 64))
    flat = (pixel_grid(64, 48) - [32, 24]) / 55.0
    points = np.concatenate([flat, np.ones((48, 64, 1))], -1) * depth[..., None]
    assert focal_of_points(points, np.ones((48, 64))) == pytest.approx(55, rel=1e-6)
    lying, liars = points.copy(), rng.uniform(size=(48, 64)) < 0.2
    lying[liars, :2] *= 1.5
    assert focal_of_points(lying, np.ones((48, 64))) == pytest.approx(55, rel=0.02)
    weight = np.ones((48, 64))
    weight[liars] = 0
    assert focal_of_points(lying, weight) == pytest.approx(55, rel=1e-6)
    assert focal_of_points(points, np.zeros((48, 64))) is None
    assert focal_of_points(-points, np.ones((48, 64))) is None
