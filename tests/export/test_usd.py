"""A USD file, read by OpenUSD itself, shows what the reconstruction says: places, sides, skin, lens, pixels, times."""

import numpy as np
import pytest
import torch
from laws import JOINTS_M, ROTATIONS, SECONDS, angle_between, world_rotations, z_up

import asymmetric_world
from asymmetric_world import FRAMES, HEIGHT, WIDTH
from diorama.export.options import ExportOptions
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert

pxr = pytest.importorskip("pxr", reason="pip install usd-core")
from pxr import Gf, Usd, UsdGeom, UsdSkel, UsdValidation  # noqa: E402

from diorama.export.usd import write_usd  # noqa: E402


@pytest.fixture
def stage(world, tmp_path):
    return Usd.Stage.Open(str(write_usd(world, tmp_path / "world.usdc")))


def code(stage, world, row):
    return (world.times[row] - world.times[0]) * stage.GetTimeCodesPerSecond()


def joint_poses(stage, id, time):
    """Joints in the world by UsdSkel, (24, 4, 4) with columns as we have them."""
    cache = UsdSkel.Cache()
    cache.Populate(UsdSkel.Root.Get(stage, f"/World/Person_{id:03d}"), Usd.PrimDefaultPredicate)
    query = cache.GetSkelQuery(UsdSkel.Skeleton.Get(stage, f"/World/Person_{id:03d}/Skeleton"))
    transforms = query.ComputeJointWorldTransforms(UsdGeom.XformCache(time))
    return np.swapaxes(np.array(transforms), 1, 2)


@pytest.mark.parametrize("id", [3, 5])
def test_joints_and_rotations_return(world, stage, id):
    person = world.person(id)
    for n in (0, 1, len(person.frames) // 2, len(person.frames) - 1):
        poses = joint_poses(stage, id, code(stage, world, person.frames[n]))
        np.testing.assert_allclose(poses[:, :3, 3], person.joints_world[n], atol=JOINTS_M)
        assert angle_between(poses[:, :3, :3], world_rotations(person)[n]) < ROTATIONS


def test_another_up_axis_and_unit(world, tmp_path):
    stage = Usd.Stage.Open(str(write_usd(world, tmp_path / "world.usda", ExportOptions(up="y", unit="cm"))))
    assert UsdGeom.GetStageUpAxis(stage) == "Y" and UsdGeom.GetStageMetersPerUnit(stage) == pytest.approx(0.01)
    film = UsdGeom.Camera.Get(stage, "/World/Camera").GetHorizontalApertureAttr().Get()
    assert film == pytest.approx(36, abs=1e-4), "36 mm in tenths of a centimetre"
    poses = joint_poses(stage, 3, code(stage, world, 4))
    np.testing.assert_allclose(z_up(poses[:, :3, 3]) / 100, world.person(3).joints_world[4], atol=JOINTS_M)
    np.testing.assert_allclose(pixels(stage, world, 4, 100), expected_pixels(world, 4), atol=0.01)


def test_skinned_vertices_agree_with_the_body_model(world, stage):
    person, n = world.person(5), 4
    shaped = asymmetric_world.stick_body().shaped(torch.from_numpy(person.betas).float())
    motion = (person.global_orient, person.body_pose, person.transl)
    expected = shaped.posed(*(torch.from_numpy(a[n : n + 1]).float() for a in motion)).verts()[0].numpy()
    time = code(stage, world, person.frames[n])
    root = UsdSkel.Root.Get(stage, "/World/Person_005")
    assert UsdSkel.BakeSkinning(root, Gf.Interval(time, time))
    found = np.array(UsdGeom.Mesh.Get(stage, "/World/Person_005/Body").GetPointsAttr().Get(time))
    np.testing.assert_allclose(found, expected, atol=JOINTS_M)


def expected_pixels(world, row):
    inside = apply(invert(world.cameras.T_world_camera[row]), world.person(3).joints_world[row])
    return project(inside, world.cameras.K[row])


def pixels(stage, world, row, scale=1.0):
    """Where OpenUSD's own projection of the camera puts the walker's joints."""
    time = code(stage, world, row)
    frustum = UsdGeom.Camera.Get(stage, "/World/Camera").GetCamera(time).frustum
    view = frustum.ComputeViewMatrix() * frustum.ComputeProjectionMatrix()
    shown = np.array([view.Transform(Gf.Vec3d(*map(float, place))) for place in joint_poses(stage, 3, time)[:, :3, 3]])
    return np.stack([(1 + shown[:, 0]) / 2 * WIDTH, (1 - shown[:, 1]) / 2 * HEIGHT], -1)


@pytest.mark.parametrize("row", [0, 13, 35])
def test_the_lens_of_every_frame_shows_joints_on_their_pixels(world, stage, row):
    np.testing.assert_allclose(pixels(stage, world, row), expected_pixels(world, row), atol=0.01)


def test_camera_poses_return_and_the_focal_length_moves(world, stage):
    camera = UsdGeom.Camera.Get(stage, "/World/Camera")
    for row in (0, 20, FRAMES - 1):
        pose = np.array(camera.ComputeLocalToWorldTransform(code(stage, world, row))).T
        np.testing.assert_allclose(pose[:3, 3], world.cameras.T_world_camera[row, :3, 3], atol=JOINTS_M)
        ours = world.cameras.T_world_camera[row, :3, :3] @ np.diag([1.0, -1, -1])
        assert angle_between(pose[:3, :3], ours) < ROTATIONS
    focal = camera.GetFocalLengthAttr()
    assert focal.GetNumTimeSamples() == FRAMES
    across = camera.GetHorizontalApertureAttr().Get()
    assert across == pytest.approx(0.36, abs=1e-6), "36 mm in tenths of a metre"
    assert focal.Get(code(stage, world, 9)) / across * WIDTH == pytest.approx(world.cameras.K[9, 0, 0], rel=1e-6)
    radial = camera.GetPrim().GetAttribute("diorama:radialDistortion").Get()
    np.testing.assert_allclose(radial, world.cameras.distortion[0])


@pytest.mark.parametrize("uneven", [False, True])
def test_times_return(world, tmp_path, uneven):
    world = world.replace(times=world.times + uneven * 0.01 * np.sin(np.arange(FRAMES)))
    stage = Usd.Stage.Open(str(write_usd(world, tmp_path / "world.usdc")))
    samples = np.array(UsdGeom.Camera.Get(stage, "/World/Camera").GetFocalLengthAttr().GetTimeSamples())
    start = stage.GetRootLayer().customLayerData["start_seconds"]
    np.testing.assert_allclose(samples / stage.GetTimeCodesPerSecond() + start, world.times, atol=SECONDS)
    assert uneven or np.array_equal(samples, np.arange(FRAMES))
    assert stage.GetEndTimeCode() == samples[-1]


def test_gaps_hide_the_person(world, stage):
    root, seen = UsdSkel.Root.Get(stage, "/World/Person_005"), set(world.person(5).frames.tolist())
    for row in range(FRAMES):
        visible = root.ComputeVisibility(code(stage, world, row) + 1e-6) == UsdGeom.Tokens.inherited
        assert visible == (row in seen)


def test_scene_points_and_colours(world, stage):
    points = UsdGeom.Points.Get(stage, "/World/Scene")
    np.testing.assert_allclose(np.array(points.GetPointsAttr().Get()), world.scene.points_world, atol=JOINTS_M)
    linear = np.array(points.GetDisplayColorAttr().Get())
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_array_equal(np.round(srgb * 255), world.scene.colors)


def test_contacts_stand_in_attributes(world, stage):
    prim, person = stage.GetPrimAtPath("/World/Person_003"), world.person(3)
    assert tuple(prim.GetAttribute("diorama:contactSites").Get()) == person.contact_sites
    np.testing.assert_allclose(prim.GetAttribute("diorama:contacts").Get(code(stage, world, 9)), person.contacts[9])


def faults(stage):
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    return [error.GetErrorAsString() for error in UsdValidation.ValidationContext(validators).Validate(stage)]


def test_the_compliance_check_of_openusd_passes(stage):
    assert faults(stage) == []


def test_the_check_is_awake(stage):
    stage.ClearDefaultPrim()
    stage.GetPrimAtPath("/World/Person_003/Body").RemoveAPI(UsdSkel.BindingAPI)
    assert len(faults(stage)) >= 2
