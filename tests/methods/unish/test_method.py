"""UniSH from a video to a reconstruction: a room without a network, then a tiny network on a small video."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.body.detected import as_detected
from diorama.body.joints import BLAZEPOSE_33
from diorama.body.smpl import load_smpl
from diorama.errors import DioramaError
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.methods.unish import people as unish_people
from diorama.methods.unish.method import UnishConfig, reconstruct_unish
from diorama.methods.unish.people import SMPL_PELVIS
from diorama.methods.unish.windows import WindowConfig
from diorama.observations import MaskStack, Source, Tracks
from diorama.reconstruction import load
from gauged_windows import BETAS, HEIGHT, WIDTH, Person, Room, RoomBranch
from smpl_like import smpl_like_arrays

CONFIG = UnishConfig(windows=WindowConfig(longest=56))
STATURE = 1.82


@pytest.fixture(autouse=True)
def _without_smpl(monkeypatch):
    monkeypatch.setattr(unish_people, "smpl_is_here", lambda: False)


def with_keypoints(room, body, stature=STATURE):
    """The room with keypoints of free bodies of a stature that walk as its people do."""
    detected = as_detected(body, "blazepose33")
    shaped = detected.shaped(unish_people.betas_for_stature(body, stature))
    K = np.array([[room.focal, 0, WIDTH / 2], [0, room.focal, HEIGHT / 2], [0, 0, 1]])
    found = {}
    for person in room.people:
        times = room.times[person.tracked]
        rotations = torch.from_numpy(person.rotations(times)).float()
        transl = torch.from_numpy(person.pelvis(times)).float() - shaped.joints_rest[0]
        points = shaped.posed_by_matrices(rotations, transl).landmarks(BLAZEPOSE_33).double().numpy()
        pixels = project(apply(invert(room.cameras(times)), points), K)
        found[person.id] = np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], 2)
    return replace(room, keypoints=found)


def room_of(body, frames=160, tracked=None):
    tracked = np.arange(frames) if tracked is None else tracked
    return with_keypoints(Room(frames, people=(Person(1, tracked),)), body)


def world_of(room, **branch):
    branch = RoomBranch(room, rest=SMPL_PELVIS, **branch)
    return reconstruct_unish(None, room.observations(), CONFIG, branch=branch)


def test_the_world_is_the_true_one(free_body):
    """Up, floor, size, cameras, people, scene; only the heading is free."""
    room = room_of(free_body)
    world = world_of(room)
    samples = np.flatnonzero(world.cameras.registered)
    truth = room.cameras(room.times)
    level = truth[0, :3, :3] @ world.cameras.T_world_camera[0, :3, :3].T
    assert level[2, 2] > np.cos(np.radians(0.1))
    lift = truth[0, :3, 3] - level @ world.cameras.T_world_camera[0, :3, 3]
    centres = world.cameras.T_world_camera[:, :3, 3] @ level.T + lift
    np.testing.assert_allclose(centres[samples], truth[samples, :3, 3], atol=1e-3)
    # Between samples the curve is a little off.
    np.testing.assert_allclose(centres, truth[:, :3, 3], atol=2e-3)
    person = world.people[0]
    np.testing.assert_array_equal(person.frames, np.arange(160))
    np.testing.assert_array_equal(person.observed, world.cameras.registered)
    pelvis = person.joints_world[:, 0] @ level.T + lift
    np.testing.assert_allclose(pelvis[samples], room.people[0].pelvis(room.times[samples]), atol=2e-3)
    np.testing.assert_allclose(pelvis, room.people[0].pelvis(room.times), atol=1e-2)
    assert world.quality["statures_m"]["1"] == pytest.approx(STATURE, abs=0.01)
    on_floor = np.abs(world.scene.points_world @ level[2] + lift[2])
    assert (on_floor < 1e-2).mean() > 0.2
    np.testing.assert_allclose(world.cameras.K[:, 0, 0], room.focal, rtol=1e-6)
    assert world.people[0].body == "anny" and any("free body" in told for told in world.quality["warnings"])


def test_smpl_parameters_stay_in_the_result(free_body):
    """Shape and rest pelvis are told, rotations are SMPL's: so SMPL's own translation can be had back."""
    room = room_of(free_body, frames=40)
    world = world_of(room)
    person, about = world.people[0], world.provenance["bodies"]["1"]
    np.testing.assert_allclose(about["smpl_betas"], BETAS, atol=1e-9)
    rest_shown = free_body.shaped(torch.from_numpy(person.betas).float()).joints_rest[0].double().numpy()
    smpl = person.transl + rest_shown - np.array(about["smpl_pelvis_rest_m"])
    at = np.flatnonzero(world.cameras.registered)
    camera = invert(world.cameras.T_world_camera[at])
    seen = apply(camera, smpl[at] + SMPL_PELVIS) - SMPL_PELVIS
    true = apply(invert(room.cameras(room.times[at])), room.people[0].pelvis(room.times[at])) - SMPL_PELVIS
    np.testing.assert_allclose(seen, true, atol=1e-6)


@pytest.mark.parametrize("branch", [{"first_camera": True}, {"gauge": 1e-12}])
def test_the_world_does_not_depend_on_which_camera_is_first(free_body, branch):
    room = room_of(free_body)
    one, other = world_of(room), world_of(room, **branch)
    np.testing.assert_allclose(other.people[0].joints_world, one.people[0].joints_world, atol=1e-4)
    np.testing.assert_allclose(other.cameras.T_world_camera, one.cameras.T_world_camera, atol=1e-4)
    np.testing.assert_allclose(other.scene.points_world, one.scene.points_world, atol=1e-3)


def test_people_have_rows_only_where_they_are_tracked(free_body):
    tracked = np.r_[20:50, 100:140]
    room = with_keypoints(Room(160, people=(Person(1, tracked), Person(7, np.arange(60, 62)))), free_body)
    world = world_of(room, gauge=0.2)
    np.testing.assert_array_equal(world.people[0].frames, tracked)
    # A person between two samples is nowhere seen.
    assert [person.id for person in world.people] == ([1] if 60 % 5 else [1, 7])
    assert np.isfinite(world.people[0].joints_world).all()
    assert set(np.unique(world.scene.people_points_id)) <= {1, 7}
    assert set(world.scene.people_points_frame) <= set(np.flatnonzero(world.cameras.registered))


def test_a_told_stature_is_taken(free_body):
    room = room_of(free_body, frames=20)
    config = replace(CONFIG, stature={1: 1.5})
    world = reconstruct_unish(None, room.observations(), config, branch=RoomBranch(room))
    assert world.quality["statures_m"]["1"] == pytest.approx(1.5, abs=1e-3)


def test_nobody_is_a_scene_with_a_guessed_scale(tmp_path):
    room = Room(90)
    world = reconstruct_unish(None, room.observations(), CONFIG, branch=RoomBranch(room))
    assert not world.people and len(world.scene.points_world) and "guess" in world.provenance["scale_source"]
    heights = world.cameras.T_world_camera[:, 2, 3]
    np.testing.assert_allclose(heights, room.cameras(room.times)[:, 2, 3], atol=0.02)
    again = load(world.save(tmp_path / "world"))
    np.testing.assert_array_equal(again.scene.depth, world.scene.depth)


def test_one_frame_is_a_world(free_body):
    room = room_of(free_body, frames=1)
    world = world_of(room, gauge=0.1)
    assert len(world) == 1 and len(world.people[0].frames) == 1 and world.quality["windows"] == 1
    assert np.isfinite(world.people[0].joints_world).all()


def test_depth_maps_fit_their_cameras_and_points(free_body):
    room = room_of(free_body, frames=100)
    scene = world_of(room).scene
    assert scene.depth.shape[1:] == (28, 56) and len(scene.depth) == len(scene.depth_frames) == len(scene.depth_K)
    assert (np.diff(scene.depth_frames) > 0).all()
    K = scene.depth_K[0] * np.array([WIDTH / 56, HEIGHT / 28, 1])[:, None]
    np.testing.assert_allclose(K[[0, 1], [0, 1]], room.focal, rtol=1e-6)


def test_weights_have_to_be_named(free_body):
    with pytest.raises(DioramaError, match=r"6\.5 GB, CC BY-NC 4\.0"):
        reconstruct_unish(None, Room(3).observations(), CONFIG)


def test_smpl_bodies_turn_about_their_own_pelvis(monkeypatch, tmp_path):
    """With the user's file the pelvis is where SMPL has it for this person's shape."""
    np.savez(tmp_path / "smpl.npz", **smpl_like_arrays())
    model = load_smpl(tmp_path / "smpl.npz")
    monkeypatch.setattr(unish_people, "smpl_is_here", lambda: True)
    monkeypatch.setattr(unish_people, "load_body", lambda name: model)
    rest = model.shaped(torch.from_numpy(BETAS).float()).joints_rest[0].double().numpy()
    room = Room(60, people=(Person(1, np.arange(60)),))
    world = reconstruct_unish(None, room.observations(), CONFIG, branch=RoomBranch(room, rest=rest))
    person, at = world.people[0], np.flatnonzero(world.cameras.registered)
    assert person.body == "smpl" and not world.quality["warnings"]
    np.testing.assert_allclose(person.betas, BETAS, atol=1e-9)
    seen = apply(invert(world.cameras.T_world_camera[at]), person.joints_world[at, 0])
    true = apply(invert(room.cameras(room.times[at])), room.people[0].pelvis(room.times[at]))
    np.testing.assert_allclose(seen, true, atol=1e-5)


def test_peoples_points_are_those_of_their_masks(free_body):
    """A column of pixels with depth around the person belongs to him; what is far behind him does not."""
    room = room_of(free_body, frames=20)
    observations = room.observations()
    masks = MaskStack.encode([((0, 0, 32, 18), np.ones((18, 32), bool))] * 20, 32, 18)
    track = replace(observations.tracks.people[0], masks=masks)
    observations = replace(observations, tracks=Tracks(Source("room"), (track,)))
    branch = RoomBranch(room, rest=SMPL_PELVIS)

    def near(windows):
        (world,) = branch(windows)
        away = world.people[0].transl[:, 2, None, None] + np.linspace(-1.0, 3.0, world.depth.shape[2])
        return [replace(world, depth=np.broadcast_to(away, world.depth.shape).astype(np.float32).copy())]

    near.needs_pictures, near.together, near.credit = False, 1, {}
    world = reconstruct_unish(None, observations, CONFIG, branch=near)
    scene, person = world.scene, world.people[0]
    assert len(scene.people_points) > 100 and set(scene.people_points_id) == {1} and not len(scene.points_world)
    pelvis = person.joints_world[scene.people_points_frame, 0]
    assert np.linalg.norm(scene.people_points - pelvis, axis=1).max() < 1.3 + 0.25


def test_who_is_only_seen_between_samples_is_told():
    room = Room(60, people=(Person(4, np.array([11, 12])),))
    world = reconstruct_unish(None, room.observations(), CONFIG, branch=RoomBranch(room))
    assert not world.people and "person 4" in world.quality["dropped"][0]
