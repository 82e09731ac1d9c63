"""Rendered depth is that of closed forms; ids, occlusion, shadows and pixel centres are where they belong."""

import numpy as np
import pytest
import trimesh

from diorama.geometry.cameras import distort, intrinsics, pixel_grid, project, unproject
from diorama.geometry.transforms import apply
from diorama.render.raycast import Light, Mesh, render
from diorama.render.rays import RayScene, camera_rays
from diorama.render.textures import Texture, noise

WIDTH, HEIGHT = 120, 80
K = intrinsics(100.0, WIDTH, HEIGHT)
# A camera at height 1.5 m that looks along +Y.
T = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
CORNERS = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
FLOOR = Mesh(CORNERS, np.array([[0, 1, 2], [0, 2, 3]]))


def ball(centre, radius, id, smooth=True):
    sphere = trimesh.creation.icosphere(5, radius)
    return Mesh(np.asarray(sphere.vertices) + centre, np.asarray(sphere.faces), id, smooth=smooth)


def test_depth_of_a_plane():
    picture = render([FLOOR], K, T, WIDTH, HEIGHT)
    below = (pixel_grid(WIDTH, HEIGHT)[..., 1] - K[1, 2]) / K[1, 1]
    expected = np.where((below > 0) & (1.5 / np.maximum(below, 1e-9) < 50), 1.5 / np.maximum(below, 1e-9), 0)
    sides = np.abs((pixel_grid(WIDTH, HEIGHT)[..., 0] - K[0, 2]) / K[0, 0]) * expected < 49
    assert picture.depth[sides] == pytest.approx(expected[sides], rel=1e-5)
    assert (picture.ids == 0).all()


def test_depth_and_outline_of_a_sphere():
    centre, radius = np.array([0.4, 5.0, 1.2]), 0.8
    picture = render([ball(centre, radius, 3)], K, T, WIDTH, HEIGHT)
    rays = camera_rays(K, WIDTH, HEIGHT).astype(float)
    towards = T[:3, :3].T @ (centre - T[:3, 3])
    a, b, c = (rays**2).sum(-1), rays @ towards, towards @ towards - radius**2
    root = b**2 - a * c
    expected = (b - np.sqrt(np.maximum(root, 0))) / a
    inside, outside = root > 0.05 * root.max(), root < -0.02 * root.max()
    assert (picture.ids[inside] == 3).all() and (picture.ids[outside] == 0).all()
    assert picture.depth[inside] == pytest.approx(expected[inside], abs=0.003)
    assert (picture.depth[outside] == 0).all()


def test_depth_unprojects_onto_the_surface_and_projects_back():
    picture = render([FLOOR, ball([0.4, 5.0, 1.2], 0.8, 1)], K, T, WIDTH, HEIGHT)
    y, x = np.nonzero(picture.depth)
    pixels = pixel_grid(WIDTH, HEIGHT)[y, x]
    points_camera = unproject(pixels, picture.depth[y, x].astype(float), K)
    points = apply(T, points_camera)
    floor = picture.ids[y, x] == 0
    assert np.abs(points[floor, 2]).max() < 1e-3
    assert np.linalg.norm(points[~floor] - [0.4, 5.0, 1.2], axis=1) == pytest.approx(0.8, abs=0.003)
    assert project(points_camera, K) == pytest.approx(pixels, abs=1e-6)


def test_the_nearer_mesh_hides_the_other():
    near, far = ball([0, 4.0, 1.5], 0.5, 1), ball([0, 6.0, 1.5], 1.2, 2)
    picture = render([far, near], K, T, WIDTH, HEIGHT)
    alone = render([near], K, T, WIDTH, HEIGHT)
    assert (picture.ids[alone.ids == 1] == 1).all() and (picture.ids == 2).any()


def test_lens_distortion_moves_rays():
    k = np.array([0.12, -0.03])
    rays = camera_rays(K, WIDTH, HEIGHT, k)[..., :2].astype(float)
    assert distort(rays, k) * 100 + K[:2, 2] == pytest.approx(pixel_grid(WIDTH, HEIGHT), abs=1e-3)


def test_the_sun_makes_shadows():
    light = Light(to_sun=(0.0, 0.0, 1.0), sun_radius=0.0)
    lid = Mesh(np.array([[-1.0, 3, 3], [1, 3, 3], [1, 6, 3], [-1, 6, 3]]), FLOOR.faces, 5)
    picture = render([FLOOR, lid], K, T, WIDTH, HEIGHT, light=light)
    open_air = render([FLOOR], K, T, WIDTH, HEIGHT, light=light)
    points = apply(T, unproject(pixel_grid(WIDTH, HEIGHT), picture.depth.astype(float), K))
    floor = (picture.ids == 0) & (picture.depth > 0)
    under = floor & (np.abs(points[..., 0]) < 0.9) & (points[..., 1] > 3.1) & (points[..., 1] < 5.9)
    beside = floor & (np.abs(points[..., 0]) > 1.1)
    assert under.sum() > 50
    assert picture.rgb[under].mean() < 0.75 * open_air.rgb[under].mean()
    assert np.array_equal(picture.rgb[beside], open_air.rgb[beside])


def test_edges_are_smoothed_and_centres_are_not():
    scene = [FLOOR, ball([0.4, 5.0, 1.2], 0.8, 1)]
    rough, fine = (render(scene, K, T, WIDTH, HEIGHT, samples=n) for n in (1, 2))
    assert np.array_equal(rough.depth, fine.depth) and np.array_equal(rough.ids, fine.ids)
    changed = (rough.rgb != fine.rgb).any(-1)
    assert 0 < changed.mean() < 0.2


def test_an_empty_scene_is_sky():
    picture = render([], K, T, WIDTH, HEIGHT)
    assert not picture.depth.any() and picture.rgb.min() > 100
    assert not RayScene([]).occluded(np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)).any()


def test_rendering_is_deterministic():
    tile = Texture.from_picture(np.repeat(0.5 + 0.1 * noise(np.random.default_rng(1), 64, 8)[..., None], 3, 2), 2.0)
    floor = Mesh(CORNERS, FLOOR.faces, uv=CORNERS[:, :2], textures=(tile,))
    assert np.array_equal(render([floor], K, T, 60, 40).rgb, render([floor], K, T, 60, 40).rgb)


def test_texture_repeats_and_is_read_at_texel_centres():
    rng = np.random.default_rng(0)
    picture = rng.random((8, 8, 3)).astype(np.float32)
    texture = Texture.from_picture(picture, metres=4.0)
    column, row = rng.integers(0, 8, (2, 30))
    uv = ((np.stack([column, row], 1) + 0.5) / 2).astype(np.float32)
    tiny = np.full((30, 2), 1e-5, np.float32)
    assert texture.sample(uv, tiny, tiny) == pytest.approx(picture[row, column], abs=0.004)
    assert texture.sample(uv - 12, tiny, tiny) == pytest.approx(picture[row, column], abs=0.02)


def test_a_texture_far_away_is_its_mean():
    picture = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    texture = Texture.from_picture(picture, metres=1.0)
    uv = np.random.default_rng(1).random((20, 2)).astype(np.float32)
    wide = np.tile(np.array([[1.5, 0.0]], np.float32), (20, 1))
    blurred = texture.sample(uv, wide, wide[:, ::-1].copy())
    assert blurred == pytest.approx(np.tile(picture.mean((0, 1)), (20, 1)), abs=0.01)


def test_a_texture_tile_must_be_square():
    with pytest.raises(ValueError, match="power-of-two"):
        Texture.from_picture(np.zeros((10, 10, 3), np.float32), 1.0)
