"""An AMASS file puts the SMPL-X skeleton where the reconstruction has the person, at a whole rate, without pickles."""

import dataclasses

import numpy as np
import pytest

from diorama.body.joints import JOINT_PARENTS
from diorama.errors import DioramaError
from diorama.export.amass import SMPLX_REST_PELVIS, AmassConfig, read_amass, write_amass
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
    motion = read_amass(write_amass(whole, tmp_path, AmassConfig(fps=48))[0])
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
    assert names == ["person_003.npz", "person_005.npz", "person_005_part2.npz"]
    second = read_amass(tmp_path / "person_005_part2.npz")
    assert second.start_seconds == world.times[38]
    bridged = write_amass(world, tmp_path / "bridged", AmassConfig(bridge_seconds=2.0))
    assert len(bridged) == 2
    assert len(read_amass(bridged[1]).trans) == int((world.times[47] - world.times[8]) * 30) + 1


def test_resampling_follows_the_rotation_through_half_turns():
    times, at = np.arange(9) / 7.0, np.linspace(0, 8 / 7.0, 33)
    axis = np.array([0.6, 0.0, 0.8])
    wrapped = rotvec_of(matrix_of(5.5 * times[:, None] * axis))[:, None]
    found = matrix_of(resample_rotations(wrapped, times, at))[:, 0]
    np.testing.assert_allclose(found, matrix_of(5.5 * at[:, None] * axis), atol=1e-9)


def test_smpl_shape_is_kept(world, tmp_path):
    smpl = dataclasses.replace(world.person(3), body="smpl", betas=np.arange(10.0), gender="female")
    with np.load(write_amass(world.replace(people=(smpl,)), tmp_path)[0], allow_pickle=False) as file:
        np.testing.assert_array_equal(file["betas"], [*range(10), 0, 0, 0, 0, 0, 0])
        np.testing.assert_allclose(file["trans"][0], smpl.transl[0])
        assert str(file["gender"]) == "female"


def test_faults_are_one_line(world, tmp_path):
    world.person(3).global_orient[0] = np.nan
    with pytest.raises(DioramaError, match=r"person 3: .*finite"):
        write_amass(world, tmp_path)
    with pytest.raises(DioramaError, match="at least 1"):
        write_amass(world, tmp_path, AmassConfig(fps=0))
    with pytest.raises(DioramaError, match="not an AMASS file"):
        read_amass(tmp_path / "nothing.npz")
