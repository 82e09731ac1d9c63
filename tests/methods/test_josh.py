"""The default method on worlds whose truth is known: seen without error it must give them back."""

import dataclasses

import numpy as np
import pytest
import torch
import trimesh

from diorama.body import load_body
from diorama.frontends.bodies import fit_bodies
from diorama.geometry.cameras import pixel_grid, unproject
from diorama.methods.depth_units import depth_in_camera_units
from diorama.methods.josh.method import JoshConfig, reconstruct_josh
from diorama.methods.people_surface import with_people_points
from diorama.methods.placing import PlacingConfig
from diorama.methods.scale import ScaleConfig
from diorama.metrics import foot_slide_by_contacts, pa_mpjpe
from diorama.observations import Depth, Source
from diorama.quality.people import person_figures
from diorama.synthetic.compare import compare_with_truth
from exact_world import UNIT, exact_world


@pytest.fixture(scope="module")
def walk():
    world = exact_world("walk")
    observations = world.observations
    bodies = fit_bodies(observations, progress=False)
    return dataclasses.replace(observations, bodies=bodies), world.truth


def test_exact_landmarks_give_exact_poses(walk):
    observations, truth = walk
    for body, person in zip(observations.bodies.people, truth.people, strict=True):
        assert body.id == person.id
        assert float(np.median(body.residual_px)) < 2.0


def test_world_is_given_back_when_one_stature_is_told(walk):
    observations, truth = walk
    config = JoshConfig(placing=PlacingConfig(scale=ScaleConfig(stature={1: 1.58})))
    found = reconstruct_josh(None, observations, config)
    errors = compare_with_truth(found, truth)
    assert errors["people_matched"] == 2
    assert errors["ate_cm"] < 1e-6
    assert errors["scale_error_percent"] < 3.0
    assert errors["pa_mpjpe_mm"] < 35
    assert errors["root_error_percent"] < 3.0
    assert errors["contact_precision"] > 0.95
    assert errors["contact_recall"] > 0.95
    assert "given stature of person 1" in found.quality["scale_source"]


def test_gravity_floor_and_feet(walk):
    observations, truth = walk
    found = reconstruct_josh(None, observations)
    tilt = found.cameras.T_world_camera[:, :3, :3] @ np.swapaxes(truth.cameras.T_world_camera[:, :3, :3], 1, 2)
    up = tilt[:, :, 2]
    assert np.degrees(np.arccos(up[:, 2].clip(-1, 1))).max() < 1.0
    for person in found.people:
        feet = person.contacts[:, :4] > 0.5
        figures = person_figures(found, person, None)
        assert np.median(foot_slide_by_contacts(figures.foot_sites, feet)) < 5
        assert np.median(np.abs(figures.foot_sites[..., 2][feet])) < 0.02
        assert np.percentile(figures.sinking_mm, 95) < 30


def test_without_people_the_cameras_still_come(walk):
    observations, _ = walk
    alone = dataclasses.replace(observations, bodies=None, tracks=None)
    found = reconstruct_josh(None, alone)
    assert found.people == () and len(found) == len(alone.times)
    assert found.up.startswith("assumed")
    assert found.cameras.T_world_camera[:, 2, 3].min() > 0


def test_static_camera_people_stand_on_the_floor():
    world = exact_world("static")
    seen = dataclasses.replace(world.observations, bodies=fit_bodies(world.observations, progress=False))
    found = reconstruct_josh(
        None, seen, JoshConfig(placing=PlacingConfig(scale=ScaleConfig(stature={1: 1.58, 2: 1.86})))
    )
    assert np.ptp(found.cameras.T_world_camera, axis=0).max() < 1e-9
    for person, true in zip(found.people, world.truth.people, strict=True):
        assert pa_mpjpe(person.joints_world, true.joints_world).mean() < 45
        lowest = person.joints_world[:, [10, 11], 2].min(1)
        assert 0 < np.median(lowest) < 0.12


def test_peoples_points_are_what_the_camera_sees_of_them(walk):
    _, truth = walk
    scene = with_people_points(truth.scene, truth.people, truth.cameras)
    assert set(scene.people_points_id) == {1, 2}
    assert set(scene.people_points_frame) == {0, 15, 30}
    person = truth.people[0]
    shaped = load_body(person.body).shaped(torch.from_numpy(person.betas))
    arrays = (torch.from_numpy(a[:1]).float() for a in (person.global_orient, person.body_pose, person.transl))
    mesh = trimesh.Trimesh(shaped.posed(*arrays).verts()[0].numpy(), shaped.model.faces.numpy(), process=False)
    points = scene.people_points[(scene.people_points_frame == 0) & (scene.people_points_id == person.id)]
    centre = truth.cameras.T_world_camera[0, :3, 3]
    assert 120 < len(points) < 350
    # Seen from the camera, nothing of the body lies before them; behind most of them something does (not at the outline).
    to_camera = (centre - points) / np.linalg.norm(centre - points, axis=1, keepdims=True)
    assert not mesh.ray.intersects_any(points + 0.02 * to_camera, to_camera).any()
    assert mesh.ray.intersects_any(points - 0.001 * to_camera, -to_camera).mean() > 0.8


def test_metric_maps_are_brought_to_the_cameras_unit(walk):
    observations, truth = walk
    rows = np.array([0, 20, 40])
    pixels = pixel_grid(96, 54) * 10
    rays = unproject(pixels, np.ones((54, 96)), truth.cameras.K[0])
    T = truth.cameras.T_world_camera[rows]
    down = np.einsum("fij,hwj->fhwi", T[:, :3, :3], rays)[..., 2]
    ground = np.where(down < -0.05, -T[:, 2, 3][:, None, None] / down, 0).astype(np.float32)
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    maps = Depth(Source("network"), rows, ground, np.ones_like(ground), truth.cameras.K[rows] / 10, True, *nothing)
    seen = depth_in_camera_units(maps, observations.cameras, (960, 540))
    assert not seen.metric
    known = ground > 0
    np.testing.assert_allclose(np.median(seen.depth[known] / ground[known]), UNIT, rtol=0.01)
    assert depth_in_camera_units(seen, observations.cameras, (960, 540)) is seen
    alone = dataclasses.replace(observations.cameras, points_world=np.zeros((0, 3)), colors=np.zeros((0, 3), np.uint8))
    assert depth_in_camera_units(maps, alone, (960, 540)) is None
