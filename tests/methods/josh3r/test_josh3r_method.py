"""JOSH3R whole: perfect predictions give the true world; windows; keyframes by the clock; bad and poor input."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.body.anny import load_free_body
from diorama.errors import DioramaError
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.patch_windows import window_of
from diorama.geometry.transforms import apply, invert
from diorama.methods.carried import shaped_bodies
from diorama.methods.josh3r.method import Josh3rConfig, reconstruct_josh3r
from diorama.methods.josh3r.pairs import pairs_of, people_in_pairs
from diorama.methods.josh3r.predicted import PairBatch, predicted_pairs
from diorama.methods.josh3r.scene_points import ScenePointsConfig
from diorama.methods.josh3r.sizes import SizesConfig
from diorama.networks.josh3r import JOSH3R, JOSH3RConfig
from diorama.networks.mast3r import MASt3R, MASt3RConfig
from diorama.networks.mast3r_head import DenseMaps
from diorama.observations import Bodies
from diorama.synthetic.simulate import PRESETS, simulate
from diorama.video import open_video
from random_weights import shaken
from simulated_world import simulated_world
from tiny_videos import moving, write_video

FRAMES = 34
CONFIG = Josh3rConfig(longest=96, points=ScenePointsConfig(every=3))


@pytest.fixture(scope="module")
def world():
    try:
        load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
    truth, view = simulated_world("walk", FRAMES)
    seen = simulate(truth, view, replace(PRESETS["exact"], grid=96), seed=0)
    return truth, replace(seen, depth=None, depth_prior=None, matches=None)


@pytest.fixture(scope="module")
def video(world, tmp_path_factory):
    truth, _ = world
    path = tmp_path_factory.mktemp("josh3r") / "clip.mp4"
    pictures = moving(FRAMES, truth.cameras.width, truth.cameras.height)
    return replace(open_video(write_video(path, pictures)), times=truth.times)


def perfect(truth, observations, config=CONFIG):
    """Answers from the truth, for pictures that do not matter; points 3 m in front of the camera, of half the size."""
    keys = keyframes(observations.times, observations.duplicate, config.interval)
    shaped = shaped_bodies(observations)
    people = people_in_pairs(observations, shaped, keys, pairs_of(len(keys), config.baselines), truth.cameras.K)

    def predictor(frames, plan):
        frames = list(frames)
        T = truth.cameras.T_world_camera[keys]
        first, second = pairs_of(len(keys), config.baselines)[people.pair].T
        bodies = [T[first] @ people.placed_1, T[second] @ people.placed_2]
        motions = invert(bodies[0]) @ bodies[1]
        six, count = torch.from_numpy(motions[:, :2, :3].reshape(-1, 6)), len(motions)
        human = {"rel_rot6d": six, "rel_trans": torch.from_numpy(motions[:, :3, 3])}
        human |= {f"trans_{side}": torch.zeros(count, 3) for side in (1, 2)}
        human |= {f"scale_{side}": torch.full((count, 1), 2.0) for side in (1, 2)}
        rows, columns = frames[0].shape[1:]
        points = torch.tensor([0.0, 0, 1.5]).expand(int(plan.dense.sum()), rows, columns, 3)
        maps = DenseMaps(points, torch.full(points.shape[:3], 2.0), None, None)
        yield PairBatch(np.arange(count), human, np.flatnonzero(plan.dense), maps)

    return predictor


def paths(*worlds):
    """Cameras in the first one's frame."""
    return [invert(w.cameras.T_world_camera[0]) @ w.cameras.T_world_camera for w in worlds]


@pytest.mark.parametrize("baselines", [(1,), (1, 2)])
def test_perfect_predictions_are_the_true_world_at_keyframes(world, video, baselines):
    truth, seen = world
    config = replace(CONFIG, baselines=baselines)
    found = reconstruct_josh3r(video, seen, config, perfect(truth, seen, config))
    keys = keyframes(seen.times, seen.duplicate, CONFIG.interval)
    poses = paths(found, truth)
    assert np.abs(poses[0][keys] - poses[1][keys]).max() < 1e-6
    # Between keyframes the camera is interpolated.
    assert np.linalg.norm(poses[0][:, :3, 3] - poses[1][:, :3, 3], axis=-1).max() < 0.05
    assert found.cameras.registered.all() and found.quality["steps_without_people"] == 0
    assert "CC BY-NC-SA" in found.provenance["licence"]


def test_points_are_scaled_and_carried_and_people_left_out(world, video):
    truth, seen = world
    found = reconstruct_josh3r(video, seen, CONFIG, perfect(truth, seen)).scene
    cameras = reconstruct_josh3r(video, seen, CONFIG, perfect(truth, seen)).cameras.T_world_camera
    keys = keyframes(seen.times, seen.duplicate, CONFIG.interval)
    places = apply(cameras[keys], np.broadcast_to([0, 0, 3.0], (len(keys), 3)))
    assert len(found.points_world) > 100
    away = np.linalg.norm(found.points_world[:, None] - places[::3], axis=-1).min(1)
    assert away.max() < 1e-5  # results keep points in float32
    everywhere = reconstruct_josh3r(
        video, replace(seen, tracks=None), CONFIG, perfect(truth, replace(seen, tracks=None))
    )
    assert len(everywhere.scene.points_world) > len(found.points_world)


def test_without_observed_cameras_and_tracks(world, video):
    truth, seen = world
    poor = replace(seen, cameras=None, tracks=None)
    found = reconstruct_josh3r(video, poor, CONFIG, perfect(truth, poor))
    poses = paths(found, truth)
    keys = keyframes(seen.times, seen.duplicate, CONFIG.interval)
    assert np.abs(poses[0][keys] - poses[1][keys]).max() < 1e-6
    assert found.cameras.focal_source == "assumed"
    assert np.allclose(found.cameras.K[:, 0, 0], np.median(seen.bodies.people[0].focal))


def test_whoever_is_seen_once_is_carried_but_does_not_vote(world, video):
    truth, seen = world
    first, *others = seen.bodies.people
    once = replace(first, **{name: getattr(first, name)[:1] for name in (
        "frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")})  # fmt: skip
    lone = replace(seen, bodies=Bodies(seen.bodies.source, (once, *others)))
    found = reconstruct_josh3r(video, lone, CONFIG, perfect(truth, lone))
    assert {person.id: len(person.frames) for person in found.people}[first.id] == 1
    nobody = replace(seen, bodies=Bodies(seen.bodies.source, (once,)))
    still = reconstruct_josh3r(video, nobody, CONFIG)  # no pair, so no weights are needed
    assert np.allclose(still.cameras.T_world_camera, still.cameras.T_world_camera[0])
    assert not still.cameras.registered.any() and still.quality["steps_without_people"] > 0


def test_a_stretch_without_people_is_not_registered(world, video):
    truth, seen = world
    cut = tuple(
        replace(b, **{name: getattr(b, name)[(b.frames < 10) | (b.frames > 20)] for name in (
            "frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")})
        for b in seen.bodies.people
    )  # fmt: skip
    gone = replace(seen, bodies=Bodies(seen.bodies.source, cut))
    found = reconstruct_josh3r(video, gone, CONFIG, perfect(truth, gone))
    assert found.cameras.registered[:6].all() and not found.cameras.registered[12:18].any()
    assert found.cameras.registered[-3:].all()


def test_the_world_is_upright_on_its_floor_with_contacts(world, video):
    truth, seen = world
    found = reconstruct_josh3r(video, seen, CONFIG, perfect(truth, seen))
    level = truth.cameras.T_world_camera[0, :3, :3] @ found.cameras.T_world_camera[0, :3, :3].T
    assert level[2, 2] > np.cos(np.radians(1.0))
    assert abs(found.cameras.T_world_camera[0, 2, 3] - truth.cameras.T_world_camera[0, 2, 3]) < 0.05
    for person, true in zip(found.people, truth.people, strict=True):
        assert person.contact_sites and (person.contacts > 0.5).any() and person.id == true.id
    assert len(found.scene.people_points) and found.up.startswith("estimated")


def test_sizes_come_from_told_heights_the_network_or_a_prior(world, video):
    """Bodies of the embedded front end do not know their size: the network's distance draws them to it."""
    truth, seen = world
    told = dict.fromkeys((p.id for p in truth.people), 1.9)
    blind = replace(seen, bodies=replace(seen.bodies, source=replace(seen.bodies.source, frontend="fit_bodies")))
    people = perfect(truth, seen)

    def far(frames, plan):
        for batch in people(frames, plan):
            human = batch.human | {f"trans_{side}": 1.1 * _pelvis(truth, seen, side) for side in (1, 2)}
            yield replace(batch, human=human)

    def statures(observations, sizes):
        found = reconstruct_josh3r(video, observations, replace(CONFIG, sizes=sizes), far)
        return found.quality["statures_m"]

    own = statures(seen, SizesConfig())
    network = SizesConfig(adult_sigma=1e3)
    for id, stature in statures(blind, network).items():
        assert stature == pytest.approx(1.1 * own[id], rel=1e-3)
    for stature in statures(blind, SizesConfig(distance_sigma=1e3)).values():
        assert stature == pytest.approx(1.70, rel=1e-3)
    assert set(statures(seen, SizesConfig(told)).values()) == {1.9}


def _pelvis(truth, seen, side):
    keys = keyframes(seen.times, seen.duplicate, CONFIG.interval)
    people = people_in_pairs(seen, shaped_bodies(seen), keys, pairs_of(len(keys), (1,)), truth.cameras.K)
    return torch.from_numpy((people.placed_1, people.placed_2)[side - 1][:, :3, 3].copy())


def test_networks_run_through(world, video):
    """Random weights: the path means nothing, but it is finite and rotations are rotations."""
    _, seen = world
    base, own = shaken(MASt3R(MASt3RConfig.tiny())), JOSH3R(JOSH3RConfig.tiny()).eval()
    for crop in (1.0, 0.5):
        config = replace(CONFIG, crop=crop, points=ScenePointsConfig(confidence=0.0, most=700))
        found = reconstruct_josh3r(video, seen, config, lambda f, plan: predicted_pairs(base, own, f, plan, batch=3))
        T = found.cameras.T_world_camera
        assert np.isfinite(T).all() and np.allclose(np.linalg.det(T[:, :3, :3]), 1)
        assert np.isfinite(found.scene.points_world).all() and 0 < len(found.scene.points_world) <= 700


def test_what_is_missing_is_said(world, video):
    _, seen = world
    with pytest.raises(DioramaError, match="JOSH3R's weights"):
        reconstruct_josh3r(video, seen, CONFIG)
    with pytest.raises(DioramaError, match="no pictures"):
        reconstruct_josh3r(None, seen, CONFIG)


@pytest.mark.parametrize("fps", [10, 25, 29.97, 60, 3])
def test_keyframes_keep_the_clock(fps):
    times = 7.0 + np.arange(200) / fps
    keys = keyframes(times, np.zeros(200, bool), 0.2)
    assert keys[0] == 0 and keys[-1] == 199 and (np.diff(keys) > 0).all()
    if fps > 5:
        assert np.abs(times[keys[:-1]] - 7.0 - 0.2 * np.arange(len(keys) - 1)).max() <= 0.5 / fps + 1e-9
    else:
        assert len(keys) == 200


def test_keyframes_pass_over_repeated_pictures_and_gaps():
    times = np.concatenate([np.arange(20), np.arange(60, 80)]) / 20
    duplicate = np.arange(40) % 4 == 0
    keys = keyframes(times, duplicate, 0.2)
    assert not duplicate[keys].any() and (np.diff(keys) > 0).all()
    assert keyframes(np.zeros(1), np.zeros(1, bool), 0.2).tolist() == [0]
    assert keyframes(np.zeros(0), np.zeros(0, bool), 0.2).tolist() == []


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (853, 480), (100, 101), (2000, 9), (7, 5)])
@pytest.mark.parametrize("crop", [1.0, 0.5])
def test_windows(size, crop):
    window = window_of(*size, crop=crop, longest=512)
    assert window.width % 16 == window.height % 16 == 0 and max(window.width, window.height) <= 512
    assert 0 <= window.left < window.right <= size[0] and 0 <= window.top < window.bottom <= size[1]
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    assert window.shown(picture).shape == (window.height, window.width, 3)
    corners = np.array([[window.left, window.top], [window.right, window.bottom]], float)
    assert np.allclose(window.to_window(corners), [[0, 0], [window.width, window.height]])
    places = np.random.default_rng(0).uniform(-50, 600, (9, 2))
    assert np.allclose(window.to_source(window.to_window(places)), places)
    if min(size) > 100:
        scale = window._scale()
        assert scale[0] == pytest.approx(scale[1], rel=0.01)
        assert (window.left + window.right) / 2 == pytest.approx(size[0] / 2, abs=1)


def test_windows_that_show_nothing_are_refused():
    with pytest.raises(DioramaError, match="no picture"):
        window_of(640, 480, crop=0.0, longest=512)
