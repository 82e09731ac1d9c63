"""Rendered normals are unit, face the camera, agree with the gradients of depth, and turn with the world."""

import numpy as np
import pytest
import trimesh

from diorama.geometry.cameras import intrinsics, pixel_grid, unproject
from diorama.render.raycast import Mesh, render
from diorama.synthetic.camera_moves import look_at

WIDTH, HEIGHT = 160, 120
K = intrinsics(150.0, WIDTH, HEIGHT)
BALL = trimesh.creation.icosphere(6, 1.0)
CENTRE = np.array([0.3, 4.0, 1.0])
SCENE = [
    Mesh(np.asarray(BALL.vertices) + CENTRE, np.asarray(BALL.faces), 1, smooth=True),
    Mesh(np.array([[-40.0, -40, -4], [40, -40, -4], [40, 40, 4], [-40, 40, 4]]), np.array([[0, 1, 2], [0, 2, 3]])),
]
T = np.eye(4)
T[:3, 3] = [0.2, -1.0, 1.8]
T[:3, :3] = look_at(T[None, :3, 3], CENTRE[None])[0]


@pytest.fixture(scope="module")
def picture():
    return render(SCENE, K, T, WIDTH, HEIGHT, normals="camera")


def test_unit_and_on_the_side_of_the_camera(picture):
    seen = picture.depth > 0
    assert np.linalg.norm(picture.normals[seen], axis=1) == pytest.approx(1, abs=1e-5)
    assert not picture.normals[~seen].any() and not seen.all()
    points = unproject(pixel_grid(WIDTH, HEIGHT), picture.depth.astype(float), K)
    assert ((points * picture.normals).sum(-1)[seen] <= 0).all()


def test_normal_to_the_gradients_of_depth(picture):
    points = unproject(pixel_grid(WIDTH, HEIGHT), picture.depth.astype(float), K)
    across, down = points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1]
    slope = np.cross(down, across)
    slope /= np.maximum(np.linalg.norm(slope, axis=-1, keepdims=True), 1e-12)
    ids, seen = picture.ids, picture.depth > 0
    inside = np.all([(ids[1:-1, 1:-1] == b) for b in (ids[1:-1, 2:], ids[1:-1, :-2], ids[2:, 1:-1], ids[:-2, 1:-1])], 0)
    inside &= seen[1:-1, 2:] & seen[1:-1, :-2] & seen[2:, 1:-1] & seen[:-2, 1:-1]
    normals = picture.normals[1:-1, 1:-1]
    inside &= (ids[1:-1, 1:-1] == 0) | (normals[..., 2] < -0.3)  # not the outline of the ball
    cosine = (slope * normals).sum(-1)[inside]
    assert inside.sum() > 6000
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 8  # facets, and the chord at the outline
    ground = cosine[ids[1:-1, 1:-1][inside] == 0]
    assert ground.min() > 0.9999


def test_world_and_camera_axes_differ_by_the_rotation(picture):
    world = render(SCENE, K, T, WIDTH, HEIGHT, normals="world")
    assert world.normals @ T[:3, :3] == pytest.approx(picture.normals, abs=1e-5)
    ground = world.normals[(world.ids == 0) & (world.depth > 0)]
    assert ground == pytest.approx(np.tile(np.array([0, -0.1, 1]) / np.hypot(1, 0.1), (len(ground), 1)), abs=1e-5)
    assert render(SCENE, K, T, WIDTH, HEIGHT).normals is None
