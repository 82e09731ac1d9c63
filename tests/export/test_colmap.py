"""COLMAP's own library loads the model, in both forms, and shows the scene's points where the result does."""

import dataclasses
import shutil

import numpy as np
import pycolmap
import pytest

from asymmetric_world import FRAMES, HEIGHT, WIDTH
from diorama.errors import DioramaError
from diorama.export.colmap import write_colmap
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert


def loaded(world, folder, form, options=DEFAULTS):
    """The model out of the files of one form alone."""
    files = [path for path in write_colmap(world, folder, options) if path.suffix == form]
    alone = folder / form[1:]
    alone.mkdir()
    for path in files:
        shutil.copy(path, alone / path.name)
    return pycolmap.Reconstruction(str(alone))


@pytest.mark.parametrize("form", [".txt", ".bin"])
@pytest.mark.parametrize("radial", [[0.05, -0.02], [0.03], [0.0], [0.05, -0.02, 0.01]])
def test_points_fall_on_their_pixels(world, tmp_path, form, radial):
    world = world.replace(cameras=dataclasses.replace(world.cameras, distortion=np.tile(radial, (FRAMES, 1))))
    model = loaded(world, tmp_path, form)
    assert model.num_images() == FRAMES and model.num_points3D() == len(world.scene.points_world)
    points = np.array([model.points3D[n + 1].xyz for n in range(0, len(world.scene.points_world), 37)])
    np.testing.assert_allclose(points, world.scene.points_world[::37], atol=1e-7)
    cameras = world.cameras
    for row in (0, 17, FRAMES - 1):
        image = model.images[row + 1]
        assert image.name == f"frame_{world.frame_index[row]:06d}.png"
        inside = apply(invert(cameras.T_world_camera[row]), world.scene.points_world[::37])
        seen = inside[:, 2] > 0.5
        expected = project(inside[seen], cameras.K[row], cameras.distortion[row])
        found = np.array([image.project_point(point) for point in points[seen]])
        assert seen.sum() > 20
        # Far outside the picture a strong lens folds, and COLMAP shows nothing.
        inner = np.all((expected > -100) & (expected < [WIDTH + 100, HEIGHT + 100]), 1)
        np.testing.assert_allclose(found[inner].astype(float), expected[inner], atol=1e-4)


def test_camera_poses_and_colours(world, tmp_path):
    model = loaded(world, tmp_path, ".bin")
    for row in (0, 30):
        pose = invert(world.cameras.T_world_camera[row])[:3]
        np.testing.assert_allclose(model.images[row + 1].cam_from_world().matrix(), pose, atol=1e-9)
    assert model.points3D[3601].color.tolist() == world.scene.colors[3600].tolist()


def test_frames_of_one_lens_share_a_camera(world, tmp_path):
    fixed = dataclasses.replace(world.cameras, K=np.tile(world.cameras.K[0], (FRAMES, 1, 1)))
    model = loaded(world.replace(cameras=fixed), tmp_path, ".txt")
    assert model.num_cameras() == 1 and (model.cameras[1].width, model.cameras[1].height) == (WIDTH, HEIGHT)


def test_axes_and_unit(world, tmp_path):
    """In a +Y up world of centimetres the pictures are the same."""
    model = loaded(world, tmp_path, ".bin", ExportOptions(up="y", unit="cm"))
    point, plain = model.points3D[3650].xyz, world.scene.points_world[3649]
    np.testing.assert_allclose(point, [100 * plain[0], 100 * plain[2], -100 * plain[1]], atol=1e-6)
    inside = apply(invert(world.cameras.T_world_camera[5]), plain[None])
    expected = project(inside, world.cameras.K[5], world.cameras.distortion[5])[0]
    np.testing.assert_allclose(model.images[6].project_point(point), expected, atol=1e-6)


def test_a_lens_beyond_the_models_is_refused(world, tmp_path):
    strange = dataclasses.replace(world.cameras, distortion=np.full((FRAMES, 4), 0.01))
    with pytest.raises(DioramaError, match="4 radial coefficients"):
        write_colmap(world.replace(cameras=strange), tmp_path)
