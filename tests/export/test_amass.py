"""An AMASS file puts the SMPL-X skeleton where the reconstruction has the person, at a whole rate, without pickles."""

import dataclasses

import numpy as np
import pytest

from diorama.body.joints import JOINT_PARENTS
from diorama.errors import DioramaError
from diorama.export.amass import SMPLX_REST_PELVIS, AmassConfig, read_amass, write_amass
from diorama.export.free_body import SMPL_REST_PELVIS
from diorama.export.options import ExportOptions
from diorama.geometry.rotations import matrix_of, resample_rotations, rotvec_of

# What the two kinds of readers ask for (the Blender add-on; the robot retargeters).
NEEDED = {"trans", "gender", "betas", "poses", "mocap_framerate", "mocap_frame_rate", "pose_body", "root_orient"}


def joints_of(motion, rest):
    """Joints of the 22 that the file poses, by plain recursion over the tree; `rest` has the SMPL joint order."""
    rotations = matrix_of(np.concatenate([motion.root_orient[:, None], motion.pose_body.reshape(-1, 21, 3)], 1))
    places, turns = [motion.trans + rest[0]], [rotations[:, 0]]
    for joint, parent in list(enumerate(JOINT_PARENTS))[1:22]:
        places.append(places[parent] + turns[parent] @ (rest[joint] - rest[parent]))
        turns.append(turns[parent] @ rotations[:, joint])
    return np.stack(places, 1)


def test_keys_shapes_and_types(world, tmp_path):
    path = write_amass(world, tmp_path)[0]
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    assert NEEDED | {"pose_hand", "pose_jaw", "pose_eye", "num_betas", "mocap_time_length"} <= set(arrays)
    count = len(arrays["trans"])
    shapes = {"poses": (count, 165), "pose_body": (count, 63), "trans": (count, 3), "betas": (16,)}
    assert {name: arrays[name].shape for name in shapes} == shapes
    np.testing.assert_array_equal(arrays["poses"][:, 3:66], arrays["pose_body"])
    assert str(arrays["gender"]) == "neutral" and str(arrays["surface_model_type"]) == "smplx"
    assert arrays["mocap_frame_rate"] == arrays["mocap_framerate"] == 30
    assert str(arrays["body_model"]) == "stick" and not arrays["betas"].any()
    np.testing.assert_array_equal(arrays["free_body_betas"], world.person(3).betas)


def test_joints_return(world, tmp_path):
    """At frames of the video that fall on the new grid, every joint is where it was (own rest pose)."""
    from asymmetric_world import stick_body

    person = world.person(3)
    whole = world.replace(times=np.arange(len(world)) / 24.0)
    motion = read_amass(write_amass(whole, tmp_path, ExportOptions(fps=48))[0])
    rest = stick_body().joints.at(stick_body().default_betas + 0.05).numpy()
    own = dataclasses.replace(motion, trans=motion.trans + SMPLX_REST_PELVIS - rest[0])
    found = joints_of(own, rest)[::2]
    np.testing.assert_allclose(found, person.joints_world[:, :22], atol=1e-5)
    assert motion.fps == 48 and len(motion.trans) == 2 * len(person.frames) - 1


def test_the_average_smplx_pelvis_is_where_ours_is(world, tmp_path):
    motion = read_amass(write_amass(world, tmp_path)[0])
    np.testing.assert_allclose(motion.trans[0] + SMPLX_REST_PELVIS, world.person(3).joints_world[0, 0], atol=1e-9)
    assert motion.start_seconds == world.times[0]


def test_long_gaps_split_and_short_ones_are_bridged(world, tmp_path):
    names = [path.name for path in write_amass(world, tmp_path)]
    assert names[:3] == ["person_003.npz", "person_005.npz", "person_005_part2.npz"]
    second = read_amass(tmp_path / "person_005_part2.npz")
    assert second.start_seconds == world.times[38]
    bridged = write_amass(world, tmp_path / "bridged", config=AmassConfig(bridge_seconds=2.0))
    assert len(bridged) == 6
    assert len(read_amass(bridged[1]).trans) == int((world.times[47] - world.times[8]) * 30) + 1


def test_resampling_follows_the_rotation_through_half_turns():
    times, at = np.arange(9) / 7.0, np.linspace(0, 8 / 7.0, 33)
    axis = np.array([0.6, 0.0, 0.8])
    wrapped = rotvec_of(matrix_of(5.5 * times[:, None] * axis))[:, None]
    found = matrix_of(resample_rotations(wrapped, times, at))[:, 0]
    np.testing.assert_allclose(found, matrix_of(5.5 * at[:, None] * axis), atol=1e-9)


def test_smpl_shape_is_kept(world, tmp_path):
    """SMPL-X's own translation stays; SMPL's pelvis lies elsewhere at rest, so there the place of the pelvis stays."""
    for body in ("smplx", "smpl"):
        smpl = dataclasses.replace(world.person(3), body=body, betas=np.arange(10.0), gender="female")
        paths = write_amass(world.replace(people=(smpl,)), tmp_path / body)
        assert len(paths) == 1
        with np.load(paths[0], allow_pickle=False) as file:
            np.testing.assert_array_equal(file["betas"], [*range(10), 0, 0, 0, 0, 0, 0])
            kept = smpl.transl[0] if body == "smplx" else smpl.joints_world[0, 0] - SMPLX_REST_PELVIS
            np.testing.assert_allclose(file["trans"][0], kept, atol=1e-9)
            assert str(file["gender"]) == "female" and body in str(file["transfer"]).lower().replace("-", "")


def test_the_free_body_loses_nothing_in_its_own_file(world, tmp_path):
    paths = {path.name: path for path in write_amass(world, tmp_path)}
    person = world.person(5)
    with np.load(paths["person_005_free_body.npz"], allow_pickle=False) as file:
        for name in ("global_orient", "body_pose", "transl", "betas", "contacts", "frames"):
            np.testing.assert_array_equal(file[name], getattr(person, name))
        np.testing.assert_array_equal(file["times"], world.times[person.frames])
        np.testing.assert_allclose(file["joints"], person.joints_world)
        assert str(file["body_model"]) == "stick"
    with np.load(paths["person_005_smpl24.npz"], allow_pickle=False) as file:
        assert file["poses"].shape == (len(person.frames), 72) and not file["betas"].any()
        np.testing.assert_array_equal(file["poses"][:, 3:], person.body_pose.reshape(-1, 69))
        assert "no SMPL shape was fitted" in str(file["transfer"])
        np.testing.assert_allclose(file["trans"] + SMPL_REST_PELVIS, person.joints_world[:, 0], atol=1e-9)


def test_a_rate_that_is_not_whole_is_refused(world, tmp_path):
    with pytest.raises(DioramaError, match="whole number"):
        write_amass(world, tmp_path, ExportOptions(fps=29.97))


def test_faults_are_one_line(world, tmp_path):
    world.person(3).global_orient[0] = np.nan
    with pytest.raises(DioramaError, match=r"person 3: .*finite"):
        write_amass(world, tmp_path)
    with pytest.raises(DioramaError, match="not an AMASS file"):
        read_amass(tmp_path / "nothing.npz")
