"""Bodies over pictures: right place with and without distortion, nearer in front, the rest of the picture untouched."""

import numpy as np
import pytest
import trimesh

from diorama.geometry.cameras import intrinsics
from diorama.render.overlay import BodyLayer, Lens, draw_bodies

WIDTH, HEIGHT = 160, 120
GREY = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
NO_SITES = np.zeros((0, 3))


def lens(*k):
    return Lens(intrinsics(140.0, WIDTH, HEIGHT), np.array(k or (0.0,)), WIDTH, HEIGHT)


def layer(centre, colour=(250, 20, 20), radius=0.5, mesh=True, sites=NO_SITES):
    sphere = trimesh.creation.icosphere(4, radius)
    joints = np.array([centre, np.array(centre) + np.array([0, 0.8, 0])], float)
    if not mesh:
        return BodyLayer(colour, "", joints, (-1, 0), sites)
    vertices = np.asarray(sphere.vertices) + np.array(centre)
    return BodyLayer(colour, "", joints, (-1, 0), sites, vertices, np.asarray(sphere.faces))


def painted(picture):
    return (picture != GREY).any(-1)


@pytest.mark.parametrize("k", [(), (0.2, 0.05)])
def test_a_ball_covers_its_projection(k):
    view = lens(*k)
    one = layer((0.6, 0.4, 4.0))
    cover = painted(draw_bodies(GREY, [one], view))
    pixels = view.pixels(one.vertices)
    assert np.flatnonzero(cover.any(0))[[0, -1]] == pytest.approx([pixels[:, 0].min(), pixels[:, 0].max()], abs=1.6)
    assert np.flatnonzero(cover.any(1))[[0, -1]] == pytest.approx([pixels[:, 1].min(), pixels[:, 1].max()], abs=1.6)


def test_the_nearer_person_is_in_front_whatever_the_order():
    near, far = layer((0, 0, 3.0)), layer((0.2, 0, 5.0), (20, 20, 250), radius=1.0)
    a, b = (draw_bodies(GREY, order, lens()) for order in ([near, far], [far, near]))
    assert np.array_equal(a, b)
    middle = a[HEIGHT // 2, WIDTH // 2]
    assert middle[0] > middle[2]


def test_people_behind_or_beside_the_camera_draw_nothing():
    assert not painted(draw_bodies(GREY, [layer((0, 0, -3.0)), layer((30.0, 0, 3.0))], lens())).any()


def test_contacts_are_dotted_and_a_body_without_mesh_is_a_skeleton():
    site = np.array([[0.0, 0.5, 3.0]])
    picture = draw_bodies(GREY, [layer((0.8, 0, 3.0), mesh=False, sites=site)], lens())
    x, y = (lens().pixels(site)[0] - 0.5).round().astype(int)
    assert picture[y, x, 1] > 200
    cover = painted(picture)
    assert cover[HEIGHT // 2, WIDTH // 2 + 37] or cover.sum() > 30


def test_nobody_leaves_the_picture_as_it_is():
    assert np.array_equal(draw_bodies(GREY, [], lens()), GREY)
