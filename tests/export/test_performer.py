"""A person drawn from any camera is the body model's, in every frame, also far from the origin."""

import dataclasses

import numpy as np
import torch

from asymmetric_world import stick_body
from diorama.export.performer import Performer, coarser
from diorama.geometry.transforms import apply, invert


def test_vertices_and_touching_sites_are_those_of_the_body(world):
    person = world.person(3)
    performer = Performer.of(person)
    shaped = stick_body().to(dtype=torch.float64).shaped(torch.from_numpy(person.betas))
    motion = (person.global_orient, person.body_pose, person.transl)
    posed = shaped.posed(*(torch.from_numpy(array) for array in motion))
    verts, sites = posed.verts().numpy(), posed.contact_sites(person.contact_sites).numpy()
    for row in (0, 15, 16, 35, 2):
        T = invert(world.cameras.T_world_camera[row])
        layer = performer.layer(row, T)
        np.testing.assert_allclose(layer.vertices, apply(T, verts[row]), atol=2e-6)
        np.testing.assert_allclose(layer.contact_points, apply(T, sites[row][person.contacts[row] > 0.5]), atol=2e-6)


def test_far_from_the_origin_nothing_jitters(world):
    away, person = np.array([3000.0, -2000, 10]), world.person(3)
    far = dataclasses.replace(person, transl=person.transl + away, joints_world=person.joints_world + away)
    T = invert(world.cameras.T_world_camera[5])
    moved = T.copy()
    moved[:3, 3] -= T[:3, :3] @ away
    near_layer, far_layer = Performer.of(person).layer(5, T), Performer.of(far).layer(5, moved)
    np.testing.assert_allclose(far_layer.vertices, near_layer.vertices, atol=2e-6)


def test_a_coarser_mesh_stays_near_the_fine_one():
    """A sphere of thousands of faces: fewer are left, all near it, and it keeps its area and has no holes."""
    turn, rise = np.meshgrid(np.arange(80), np.arange(41), indexing="ij")
    angle, height = 2 * np.pi * turn / 80, np.pi * rise / 40
    points = np.stack([np.sin(height) * np.cos(angle), np.sin(height) * np.sin(angle), np.cos(height)], -1).reshape(
        -1, 3
    )
    a, b = np.meshgrid(np.arange(80), np.arange(40), indexing="ij")
    corner = [(a + da) % 80 * 41 + b + db for da, db in ((0, 0), (1, 0), (1, 1), (0, 1))]
    quads = np.stack(corner, -1).reshape(-1, 4)
    faces = np.concatenate([quads[:, [0, 3, 2]], quads[:, [0, 2, 1]]])
    kept, left = coarser(points, faces, 0.15)
    assert len(left) < len(faces) / 3
    corners = points[kept][left]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2
    assert abs(area - 4 * np.pi) < 0.1 * 4 * np.pi
    edges = np.sort(np.concatenate([left[:, [0, 1]], left[:, [1, 2]], left[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).mean() > 0.99
    whole = coarser(points, faces, 0.0)
    np.testing.assert_array_equal(whole[0], np.arange(len(points)))
    np.testing.assert_array_equal(whole[1], faces)
