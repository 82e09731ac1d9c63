"""Depth without shading is that of the renderer, whatever is near, far, behind, tiny or distorted."""

import numpy as np
import pytest
import trimesh

from diorama.geometry.cameras import intrinsics
from diorama.render.depth import depth_and_ids
from diorama.render.raycast import Mesh, render

WIDTH, HEIGHT = 128, 72
K = intrinsics(100.0, WIDTH, HEIGHT)
# A camera at height 1.5 m that looks along +Y.
T = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
CORNERS = np.array([[-50.0, -50, 0], [50, -50, 0], [50, 50, 0], [-50, 50, 0]])
FLOOR = Mesh(CORNERS, np.array([[0, 1, 2], [0, 2, 3]]))


def ball(centre, radius, id, detail=5):
    sphere = trimesh.creation.icosphere(detail, radius)
    return Mesh(np.asarray(sphere.vertices) + centre, np.asarray(sphere.faces), id)


WORLD = [
    FLOOR,
    ball([0.4, 5.0, 1.2], 0.8, 1, detail=6),  # 82,000 faces, most of them between pixel centres
    ball([-1.0, 3.0, 1.0], 0.3, 2),
    ball([0.0, -4.0, 1.0], 0.9, 3),  # behind
    ball([0.0, 0.0, 1.5], 30.0, 4),  # all around
]


@pytest.mark.parametrize("distortion", [None, np.array([-0.08, 0.01])])
@pytest.mark.parametrize("turn", [0.0, 0.4, 2.0])
def test_the_same_as_the_renderer(turn, distortion):
    cosine, sine = np.cos(turn), np.sin(turn)
    turned = np.array([[cosine, -sine, 0, 0], [sine, cosine, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ T
    depth, ids = depth_and_ids(WORLD, K, turned, WIDTH, HEIGHT, distortion=distortion)
    picture = render(WORLD, K, turned, WIDTH, HEIGHT, samples=1, distortion=distortion)
    assert np.array_equal(ids, picture.ids)
    assert depth == pytest.approx(picture.depth, abs=1e-4)
    assert len(np.unique(ids)) > 1


def test_an_empty_world_has_no_depth():
    depth, ids = depth_and_ids([], K, T, WIDTH, HEIGHT)
    assert not depth.any() and not ids.any() and depth.shape == (HEIGHT, WIDTH)
    depth, _ = depth_and_ids([ball([0.0, -4.0, 1.0], 0.9, 3)], K, T, WIDTH, HEIGHT)
    assert not depth.any()
