"""BEDLAM: labels before the camera, cameras on Unreal's path, both in one world."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from worlds import tiny_motion, write_picture

from diorama.data import open_dataset
from diorama.data.bedlam_files import read_stagings
from diorama.data.unreal import camera_points, camera_rotation, world_points, yaw_rotation
from diorama.errors import DioramaError
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from plain_smpl import plain_smpl

FRAMES = 11
LABELLED = (0, 5, 10)
SCENE = "20221010_3_1000_batch01hand"
YAW = np.linspace(10, 80, FRAMES)
PITCH = np.linspace(-12, 5, FRAMES)
CENTRES_CM = np.stack([np.linspace(0, 100, FRAMES), np.full(FRAMES, -30.0), np.full(FRAMES, 170.0)], -1)
FOCAL_MM = 30.0
FOCAL_PX = FOCAL_MM / 36 * 1280


def test_unreals_axes():
    """Unreal: X forward, Y right, Z up, centimetres; the camera of zero angles looks along X."""
    np.testing.assert_allclose(camera_points(np.array([500.0, 100, 170])), [1, -1.7, 5])
    np.testing.assert_allclose(world_points(np.array([500.0, 100, 170])), [1, 5, 1.7])
    zero = np.zeros(1)
    level = camera_rotation(zero, zero, zero)[0]
    np.testing.assert_allclose(level @ camera_points(np.array([500.0, 100, 170])), [1, 5, 1.7], atol=1e-12)


@pytest.mark.parametrize(
    ("angles", "forward", "right"),
    [
        ((90, 0, 0), (1, 0, 0), (0, -1, 0)),  # yaw turns to the right
        ((0, 90, 0), (0, 0, 1), (1, 0, 0)),  # pitch looks up
        ((0, 0, 90), (0, 1, 0), (0, 0, -1)),  # roll puts the right side down
    ],
)
def test_unreals_rotator(angles, forward, right):
    R = camera_rotation(*(np.array([float(a)]) for a in angles))[0]
    np.testing.assert_allclose(R[:, 2], forward, atol=1e-12)
    np.testing.assert_allclose(R[:, 0], right, atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


def test_yaw_comes_last():
    rng = np.random.default_rng(0)
    yaw, pitch, roll = rng.uniform(-60, 60, (3, 20))
    rest = camera_rotation(np.zeros(20), pitch, roll)
    np.testing.assert_allclose(camera_rotation(yaw, pitch, roll), yaw_rotation(yaw) @ rest, atol=1e-12)


def cam_ext(pitch, translation):
    """World to camera of the labels: pitch only, in a world of camera axes (right, down, forward) without yaw."""
    T = np.eye(4)
    T[:3, :3] = Rotation.from_euler("x", -pitch, degrees=True).as_matrix()
    T[:3, 3] = translation
    return T


def camera_csv():
    rows = ["x,y,z,yaw,pitch,roll,focal_length,sensor_width,sensor_height,hfov"]
    for centre, yaw, pitch in zip(CENTRES_CM.tolist(), YAW.tolist(), PITCH.tolist(), strict=True):
        rows.append(",".join(repr(value) for value in (*centre, yaw, pitch, 0.0, FOCAL_MM, 36, 20.25, 60)))
    return "\n".join(rows) + "\n"


BE_SEQ = """Index,Type,Body,X,Y,Z,Yaw,Pitch,Roll,Comment
0,Comment,,,,,,,,generated
1,Group,,500.0,0.0,0.0,0.0,0.0,0.0,sequence_name=seq_000000;frames=11;hdri=sky
2,Body,rp_aaron_posed_002_1000,500.0,-120.0,0.0,90.0,0.0,0.0,start_frame=15;texture_body=skin
3,Body,rp_bella_posed_001_1003,430.0,60.0,0.0,-45.0,0.0,0.0,start_frame=0
4,Group,,500.0,0.0,0.0,0.0,0.0,0.0,sequence_name=seq_000001;frames=11
5,Body,rp_bella_posed_001_1003,430.0,60.0,0.0,-45.0,0.0,0.0,start_frame=7
"""


def write_scene(root, name=SCENE, pictures=True):
    scene = root / name
    (scene / "ground_truth" / "camera").mkdir(parents=True)
    (scene / "be_seq.csv").write_text(BE_SEQ)
    for sequence in ("seq_000000", "seq_000001"):
        (scene / "ground_truth" / "camera" / f"{sequence}_camera.csv").write_text(camera_csv())
        for frame in range(FRAMES if pictures else 0):
            write_picture(scene / "png" / sequence / f"{sequence}_{frame:04d}.png", 16, 9)
    return scene


def labels_table(motions, joints=23, size=(1280, 720), order=None):
    """Rows of two subjects in three frames of seq_000000, shuffled, and one row of another sequence."""
    rng = np.random.default_rng(3)
    K = np.array([[FOCAL_PX, 0, size[0] / 2], [0, FOCAL_PX, size[1] / 2], [0, 0, 1]])
    rows = [(subject, n) for n in range(len(LABELLED)) for subject in (0, 1)]
    rows = [rows[i] for i in (order or range(len(rows)))]
    width = 72 if joints == 23 else 165
    pose = np.zeros((len(rows) + 1, width))
    for row, (subject, n) in enumerate(rows):
        pose[row, :3] = motions[subject]["orient"][n]
        pose[row, 3 : 3 + 3 * joints] = motions[subject]["pose"][n, :joints].ravel()
    frames = [LABELLED[n] for _, n in rows]
    exts = [cam_ext(PITCH[frame], [0.1, 0.2, 0.3]) for frame in frames]
    return {
        "imgname": np.array([f"seq_000000/seq_000000_{f:04d}.png" for f in frames] + ["seq_000001/seq_000001_0000.png"]),
        "center": np.zeros((len(rows) + 1, 2)), "scale": np.ones(len(rows) + 1),
        "pose_cam": pose, "pose_world": pose,
        "shape": np.array([motions[s]["betas"] for s, _ in rows] + [np.zeros(10)]),
        "trans_cam": np.array([motions[s]["transl"][n] for s, n in rows] + [np.zeros(3)]),
        "cam_int": np.tile(K, (len(rows) + 1, 1, 1)), "cam_ext": np.array([*exts, np.eye(4)]),
        "gtkps": rng.normal(size=(len(rows) + 1, 44, 3)),
        "gender": np.array([("male", "female")[s] for s, _ in rows] + ["male"]),
        "sub": np.array([("rp_aaron", "rp_bella")[s] for s, _ in rows] + ["rp_bella"]),
    }  # fmt: skip


def motions(joints=24):
    return [tiny_motion(len(LABELLED), seed=n + 8, place=(n, 0, 5), joints=joints) for n in range(2)]


@pytest.fixture
def bedlam(tmp_path):
    write_scene(tmp_path)
    (tmp_path / "labels").mkdir()
    np.savez(tmp_path / "labels" / f"{SCENE}.npz", **labels_table(motions(), order=[3, 0, 5, 1, 4, 2]))
    return tmp_path


def test_sequences_are_those_of_the_table(bedlam):
    sequences = open_dataset("bedlam", bedlam)
    assert [s.name for s in sequences] == [f"{SCENE}_seq_000000", f"{SCENE}_seq_000001"]
    assert sequences[0].split == ("train", SCENE) and sequences[0].picture_turns == 0
    first, second = read_stagings(bedlam / SCENE / "be_seq.csv")
    assert [body.name for body in first.bodies] == ["rp_aaron_posed_002_1000", "rp_bella_posed_001_1003"]
    assert first.bodies[0].place.tolist() == [-1.2, 5.0, 0.0] and first.bodies[0].start_frame == 15
    assert first.bodies[1].yaw_degrees == -45 and [b.start_frame for b in second.bodies] == [7]


def test_rows_are_the_labelled_frames(bedlam):
    sequence = open_dataset("bedlam", bedlam)[0]
    found = sequence.parameters()
    assert found.frame_index.tolist() == list(LABELLED)
    np.testing.assert_allclose(found.times, np.array(LABELLED) / 30)
    assert [path.name for path in sequence.pictures] == [f"seq_000000_{n:04d}.png" for n in LABELLED]
    table = labels_table(motions())
    for person, subject in zip(found.people, (0, 1), strict=True):
        assert person.gender == ("male", "female")[subject] and person.in_camera
        np.testing.assert_array_equal(person.body_pose, motions()[subject]["pose"])
        np.testing.assert_allclose(person.transl, motions()[subject]["transl"] + [0.1, 0.2, 0.3])
    assert found.people[0].labels.keypoints.shape == (3, table["gtkps"].shape[1], 3)


def test_people_are_seen_where_the_labels_show_them_on_unreals_path(bedlam, bodies):
    """Camera-frame joints SMPL(pose_cam, shape, trans_cam) + cam_ext[:3, 3] by K, and the camera as Unreal placed it."""
    truth = open_dataset("bedlam", bedlam)[0].truth()
    world = truth.reconstruction
    zero = np.zeros(FRAMES)
    expected = camera_rotation(YAW, PITCH, zero)[list(LABELLED)]
    np.testing.assert_allclose(world.cameras.T_world_camera[:, :3, :3], expected, atol=1e-9)
    np.testing.assert_allclose(
        world.cameras.T_world_camera[:, :3, 3], world_points(CENTRES_CM)[list(LABELLED)], atol=1e-12
    )
    for person, motion in zip(world.people, motions(), strict=True):
        for row in range(len(LABELLED)):
            pose = (motion["orient"][row], motion["pose"][row], motion["transl"][row])
            camera_joints = plain_smpl(bodies[person.gender], motion["betas"], *pose)[0] + [0.1, 0.2, 0.3]
            ours = apply(invert(world.cameras.T_world_camera[row]), person.joints_world[row])
            np.testing.assert_allclose(ours, camera_joints, atol=2e-5)
            theirs = camera_joints[:, :2] / camera_joints[:, 2:] * FOCAL_PX + [640, 360]
            np.testing.assert_allclose(project(ours, world.cameras.K[row]), theirs, atol=0.05)
            moved = (person.global_orient[row], person.body_pose[row], person.transl[row])
            again = plain_smpl(bodies[person.gender], motion["betas"], *moved)[0]
            np.testing.assert_allclose(person.joints_world[row], again, atol=2e-5)


def test_smplx_labels_have_21_body_joints(bedlam):
    np.savez(bedlam / "labels" / f"{SCENE}.npz", **labels_table(motions(), joints=21))
    person = open_dataset("bedlam", bedlam)[0].parameters().people[1]
    assert person.body == "smplx" and (person.body_pose[:, 21:] == 0).all()
    np.testing.assert_array_equal(person.body_pose[:, :21], motions()[1]["pose"][:, :21])


def test_a_subject_twice_in_a_picture_is_two_people(bedlam):
    table = labels_table(motions())
    table["sub"][:] = "rp_aaron"
    np.savez(bedlam / "labels" / f"{SCENE}.npz", **table)
    people = open_dataset("bedlam", bedlam)[0].parameters().people
    assert [len(p.frames) for p in people] == [3, 3]
    np.testing.assert_array_equal(people[1].body_pose, motions()[1]["pose"])


@pytest.mark.parametrize("closeup", [False, True])
def test_without_labels_there_are_cameras_and_nobody(tmp_path, closeup):
    """The same point of the world on the stored picture and, for close-ups, on the one turned clockwise."""
    write_scene(tmp_path, SCENE + ("_closeup" if closeup else ""))
    sequence = open_dataset("bedlam", tmp_path)[0]
    world = sequence.truth().reconstruction
    assert world.people == () and len(world) == len(sequence.pictures) == FRAMES
    rotation = camera_rotation(YAW, PITCH, np.zeros(FRAMES))
    stored = np.random.default_rng(0).uniform([-1, -0.5, 4], [1, 0.5, 8], (9, 3))
    for row in (0, 7):
        point_world = stored @ rotation[row].T + world_points(CENTRES_CM)[row]
        ours = project(apply(invert(world.cameras.T_world_camera[row]), point_world), world.cameras.K[row])
        pixels = stored[:, :2] / stored[:, 2:] * FOCAL_PX + [640, 360]
        turned = np.stack([720 - pixels[:, 1], pixels[:, 0]], -1)
        np.testing.assert_allclose(ours, turned if closeup else pixels, atol=1e-6)
    assert sequence.picture_turns == int(closeup)
    assert (world.cameras.width, world.cameras.height) == ((720, 1280) if closeup else (1280, 720))


def test_an_incomplete_folder_says_what_is_missing(bedlam, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DioramaError, match=r"SCENE/be_seq\.csv"):
        open_dataset("bedlam", tmp_path / "empty")
    sequence = open_dataset("bedlam", bedlam)[0]
    (bedlam / SCENE / "png" / "seq_000000" / "seq_000000_0005.png").unlink()
    with pytest.raises(DioramaError, match=r"seq_000000_0005\.png"):
        _ = sequence.pictures
    camera = bedlam / SCENE / "ground_truth" / "camera" / "seq_000000_camera.csv"
    camera.write_text("\n".join(camera_csv().splitlines()[:5]))
    with pytest.raises(DioramaError, match=r"4 rows, but frame 10 has labels"):
        sequence.parameters()
    camera.write_text("x,y\n1,2\n")
    with pytest.raises(DioramaError, match="no number in column z"):
        sequence.parameters()
    camera.unlink()
    with pytest.raises(DioramaError, match=r"seq_000000_camera\.csv: the path of the camera"):
        sequence.parameters()


def test_labels_of_another_version_are_named(bedlam):
    table = labels_table(motions())
    del table["cam_ext"]
    np.savez(bedlam / "labels" / f"{SCENE}.npz", **table)
    with pytest.raises(DioramaError, match=rf"{SCENE}\.npz: no array 'cam_ext'"):
        open_dataset("bedlam", bedlam)[0].parameters()
