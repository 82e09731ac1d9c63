"""A GLB file, played by an independent player, shows what the reconstruction says: places, sides, pixels, times."""

import dataclasses

import numpy as np
import pytest
import torch
from gltf_play import Player
from laws import ROTATIONS, angle_between, world_rotations

import asymmetric_world
from diorama.body.anny import load_free_body
from diorama.body.joints import JOINT_INDEX, JOINT_NAMES
from diorama.errors import DioramaError
from diorama.export.glb import write_glb
from diorama.export.gltf_buffer import read_glb
from diorama.export.options import ExportOptions
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert


@pytest.fixture
def player(world, tmp_path):
    return Player(read_glb(write_glb(world, tmp_path / "world.glb")))


def z_up(points):
    """From glTF's world (+Y up) to ours (+Z up)."""
    x, y, z = np.moveaxis(np.asarray(points), -1, 0)
    return np.stack([x, -z, y], -1)


def seconds(world, row):
    return world.times[row] - world.times[0]


@pytest.mark.parametrize("id", [3, 5])
def test_joints_are_where_the_reconstruction_says(world, player, id):
    person = world.person(id)
    for n in (0, 1, len(person.frames) // 2, len(person.frames) - 1):
        time = seconds(world, person.frames[n])
        found = z_up([player.place(f"{name}_{id}", time) for name in JOINT_NAMES])
        np.testing.assert_allclose(found, person.joints_world[n], atol=1e-5)


@pytest.mark.parametrize("id", [3, 5])
def test_skinned_vertices_agree_with_the_body_model(world, player, id):
    person, n = world.person(id), 4
    shaped = asymmetric_world.stick_body().shaped(torch.from_numpy(person.betas).float())
    motion = (person.global_orient, person.body_pose, person.transl)
    expected = shaped.posed(*(torch.from_numpy(a[n : n + 1]).float() for a in motion)).verts()[0].numpy()
    found = z_up(player.skinned(f"person_{id}_body", seconds(world, person.frames[n])))
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_the_raised_hand_lands_on_its_pixel(world, player):
    person, cameras = world.person(3), world.cameras
    extras = player.glb.document["cameras"][0]["extras"]
    for n in (0, 13, 35):
        hand = player.place("left_hand_3", seconds(world, n))
        shown = player.pixel(hand, seconds(world, n))
        joint = person.joints_world[n : n + 1, JOINT_INDEX["left_hand"]]
        inside = apply(invert(cameras.T_world_camera[n]), joint)
        mean_K = cameras.K.mean(0)
        mean_K[:2, 2] = cameras.width / 2, cameras.height / 2
        np.testing.assert_allclose(shown, project(inside, mean_K)[0], atol=0.02)
        # With the frame's own lens out of the extras, the pixel is that of the video.
        ratio = np.array(extras["focal_px"][n]) / cameras.K[:, [0, 1], [0, 1]].mean(0)
        own = (shown - mean_K[:2, 2]) * ratio + extras["principal_point_px"][0]
        np.testing.assert_allclose(own, project(inside, cameras.K[n])[0], atol=0.02)


def test_sides_and_axes_without_our_own_formulas(player):
    """Seen by the camera, the walker goes right, the raised hand is above the head and farther than the right hand."""
    hand, other, head = (player.place(f"{name}_3", 0.5) for name in ("left_hand", "right_hand", "head"))
    assert hand[1] > head[1] + 0.2
    camera = player.transform(player.node("camera"), 0.5)
    depth = [-np.linalg.solve(camera, [*point, 1])[2] for point in (hand, other)]
    assert depth[0] > depth[1] + 0.3 > 0
    assert player.pixel(hand, 0.5)[1] < player.pixel(head, 0.5)[1]
    assert player.place("pelvis_3", 1.4)[0] > player.place("pelvis_3", 0.0)[0] + 1.5
    assert 1.2 < camera[1, 3] < 1.8


def test_gaps_hide_the_person(world, player):
    seen = set(world.person(5).frames.tolist())
    for row in range(len(world)):
        scale = np.linalg.det(player.transform(player.node("pelvis_5"), seconds(world, row) + 1e-4)[:3, :3])
        assert scale == pytest.approx(1.0 if row in seen else 0.0, abs=1e-6)


def test_key_times_are_those_of_the_video(world, player):
    keys = player.tracks[player.node("camera"), "translation"][0]
    start = player.nodes[0]["extras"]["start_seconds"]
    step = np.spacing(np.float32(keys.max())) / 2
    np.testing.assert_allclose(keys + start, world.times, atol=float(step))


def test_quaternions_do_not_jump(player):
    rotations = [values for (_, path), (_, values, _) in player.tracks.items() if path == "rotation"]
    assert len(rotations) > 5
    for values in rotations:
        assert (np.sum(values[1:] * values[:-1], 1) > 0).all()
        np.testing.assert_allclose(np.linalg.norm(values, axis=1), 1, atol=1e-6)


def test_scene_points_and_colors(world, player):
    node = player.nodes[player.node("scene")]
    primitive = player.glb.document["meshes"][node["mesh"]]["primitives"][0]
    points = player.glb.array(primitive["attributes"]["POSITION"])
    np.testing.assert_allclose(points, world.scene.points_world, atol=1e-6)
    linear = player.glb.array(primitive["attributes"]["COLOR_0"])[:, :3] / 65535
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_array_equal(np.round(srgb * 255), world.scene.colors)


def test_contacts_stand_in_the_extras(world, player):
    about = player.nodes[player.node("person_5")]["extras"]
    assert about["frames"] == world.person(5).frames.tolist()
    assert about["contacts"]["sites"] == list(asymmetric_world.SITES)
    np.testing.assert_allclose(about["contacts"]["probability"], world.person(5).contacts)


def test_one_frame_and_nobody(world, tmp_path):
    empty = world.replace(
        people=(), scene=world.scene.__class__(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0))
    )
    document = read_glb(write_glb(empty, tmp_path / "empty.glb")).document
    assert document["cameras"] and "meshes" not in document


def test_faults_are_one_line(world, tmp_path):
    person = world.people[0]
    person.transl[3] = np.nan
    with pytest.raises(DioramaError, match=r"person 3: .*not finite"):
        write_glb(world, tmp_path / "nan.glb")
    with pytest.raises(DioramaError, match=r"not a readable GLB"):
        read_glb(tmp_path / "nan.glb")
    (tmp_path / "file").write_text("")
    with pytest.raises(DioramaError, match="cannot write"):
        write_glb(world.replace(people=()), tmp_path / "file" / "world.glb")


@pytest.mark.slow
def test_the_free_body_agrees_with_its_model(tmp_path):
    try:
        body = load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
    free = asymmetric_world.asymmetric_world(body)
    player, person, n = Player(read_glb(write_glb(free, tmp_path / "free.glb"))), free.person(3), 20
    motion = (person.global_orient, person.body_pose, person.transl)
    expected = body.shaped().posed(*(torch.from_numpy(a[n : n + 1]).float() for a in motion)).verts()[0].numpy()
    found = z_up(player.skinned("person_3_body", seconds(free, person.frames[n])))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_models_under_a_licence_are_told(world, tmp_path):
    smpl = dataclasses.replace(world.people[0], body="smpl")
    path = write_glb(world.replace(people=(smpl,)), tmp_path / "smpl.glb")
    assert "smpl" in read_glb(path).document["asset"]["copyright"]
    assert read_glb(path).document["asset"]["generator"].startswith("diorama ")


@pytest.mark.parametrize("fps", [None, 60.0])
def test_rotations_return_at_any_rate(world, tmp_path, fps):
    """Every joint's turn in the world, at the frames of the video; at another rate those that fall on its grid."""
    player = Player(read_glb(write_glb(world, tmp_path / "world.glb", ExportOptions(fps=fps))))
    person, turns = world.person(3), world_rotations(world.person(3))
    for n in (0, 17, 35) if fps is None else (0,):
        time = seconds(world, person.frames[n])
        found = np.stack([player.transform(player.node(f"{name}_3"), time)[:3, :3] for name in JOINT_NAMES])
        back = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
        assert angle_between(back @ found, turns[n]) < ROTATIONS
    keys = player.tracks[player.node("camera"), "translation"][0]
    assert len(keys) == len(world) if fps is None else np.allclose(np.diff(keys), 1 / fps, atol=1e-6)
