"""Sequences of the synthetic suites: exact in every part, the same for the same spec, and rendered as they are."""

import dataclasses

import numpy as np
import pytest
import torch

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.errors import DioramaError
from diorama.geometry.cameras import pixel_grid, project, unproject
from diorama.geometry.transforms import apply, invert
from diorama.reconstruction import load
from diorama.render.rays import RayScene
from diorama.synthetic.filming import CAMERAS
from diorama.synthetic.layouts import PRESETS
from diorama.synthetic.rendering import render_sequence, stream_frames
from diorama.synthetic.sequences import SequenceSpec, bare_scenery, build_sequence, simulated
from diorama.synthetic.suites import RENDERED_1, STANDARD_1, suite

SMALL = SequenceSpec("small", "room", "standing", 2, 5, frames=24, width=160, height=90, distorted=True)


@pytest.fixture(scope="module")
def sequence():
    return build_sequence(SMALL)


def test_the_truth_is_consistent_with_itself(sequence):
    truth = sequence.truth
    assert len(truth) == 24 and len(truth.people) == 2 and truth.cameras.kind == "rotating"
    for person, actor in zip(truth.people, sequence.actors, strict=True):
        assert person.contact_sites == CONTACT_SITE_NAMES
        arrays = (torch.from_numpy(a).float() for a in (person.global_orient, person.body_pose, person.transl))
        assert torch.allclose(actor.shaped.posed(*arrays).joints, torch.from_numpy(person.joints_world), atol=1e-4)
        pelvis = apply(invert(truth.cameras.T_world_camera), person.joints_world[:, 0].astype(np.float64))
        pixels = project(pelvis, truth.cameras.K, truth.cameras.distortion)
        assert (pixels > 0).all() and (pixels < [160, 90]).all()
        assert float(truth.quality["statures_m"][str(person.id)]) == pytest.approx(float(actor.shaped.stature))


def test_nobody_and_no_contact_is_inside_of_anything(sequence):
    for actor in sequence.actors:
        sites = actor.posed.contact_sites(CONTACT_SITE_NAMES).double().numpy()
        assert sequence.layout.penetration(sites).max() < 0.005
        held = actor.motion.contacts[1:] & actor.motion.contacts[:-1]
        steps = np.linalg.norm(np.diff(sites, axis=0), axis=-1)[held]
        assert held.any() and steps.max() < 1e-4


def test_depth_lies_on_the_scenery_and_scene_points_on_the_layout(sequence):
    depth, ids = sequence.depth_and_ids(7, 96, 54)
    grid = pixel_grid(96, 54) * np.array([160 / 96, 90 / 54])
    K = sequence.K[7]
    points = apply(sequence.T_world_camera[7], unproject(grid, depth, K, sequence.distortion))[(ids == 0) & (depth > 0)]
    inside = sequence.layout.penetration(points)
    assert inside.max() < 2e-3 and len(points) > 1000
    assert set(np.unique(ids)) <= {0, 1, 2} and (ids > 0).any()
    assert sequence.layout.penetration(sequence.truth.scene.points_world.astype(np.float64)).max() < 2e-3


def test_the_same_spec_is_the_same_sequence_and_another_seed_another(sequence):
    again = build_sequence.__wrapped__(SMALL)
    other = build_sequence(dataclasses.replace(SMALL, seed=6))
    np.testing.assert_array_equal(again.T_world_camera, sequence.T_world_camera)
    np.testing.assert_array_equal(again.actors[1].motion.transl, sequence.actors[1].motion.transl)
    assert np.abs(other.T_world_camera - sequence.T_world_camera).max() > 0.01
    assert SMALL.key != dataclasses.replace(SMALL, seed=6).key


def test_observations_of_a_sequence_are_kept_with_its_depth(tmp_path):
    truth, seen = simulated(SMALL, tmp_path)
    files = list(tmp_path.iterdir())
    assert len(files) == 1 and SMALL.key in files[0].name
    again = simulated(SMALL, tmp_path)[1]
    np.testing.assert_array_equal(seen.tracks.people[0].keypoints, again.tracks.people[0].keypoints)
    assert {t.id for t in seen.tracks.people} <= {p.id for p in truth.people}
    with pytest.raises(DioramaError, match="no such preset of errors"):
        simulated(SMALL, tmp_path, errors="none")


def test_rendered_folder_holds_the_video_and_its_truth(tmp_path):
    spec = dataclasses.replace(SMALL, frames=4)
    made = render_sequence(spec, tmp_path / "clip", processes=1, progress=False)
    written = made.video.stat().st_mtime_ns
    truth = load(tmp_path / "clip" / "truth")
    sequence = build_sequence(spec)
    np.testing.assert_array_equal(truth.people[0].transl, sequence.truth.people[0].transl)
    with np.load(tmp_path / "clip" / "frames" / "000002.npz") as file:
        depth, ids, normals = file["depth"], file["ids"], file["normals"]
    bare, who = sequence.depth_and_ids(2, 160, 90)
    assert depth.shape == ids.shape == (90, 160) and normals.shape == (90, 160, 3)
    both = (who == ids) & (bare > 0) & (depth > 0)
    # Looks change nothing but what lies behind the layout (ceilings, trees).
    assert both.mean() > 0.6 and np.abs(depth - bare)[both & (ids > 0)].max() < 1e-3
    with np.load(tmp_path / "clip" / "keypoints.npz") as file:
        xy, visible = file["xy"], file["visible"]
    assert xy.shape == (2, 4, 17, 2) and visible.any() and not visible.all()
    # A second run finds it finished.
    render_sequence(spec, tmp_path / "clip", processes=1, progress=False)
    assert made.video.stat().st_mtime_ns == written


def test_streamed_frames_do_not_depend_on_which_are_asked_for():
    spec = dataclasses.replace(SMALL, frames=6)
    [one] = stream_frames(spec, [3])
    alone = [frame for frame in stream_frames(spec, [2, 3]) if frame.row == 3]
    np.testing.assert_array_equal(one.rgb, alone[0].rgb)


def test_bare_scenery_is_the_ground_of_its_layout(sequence):
    rays = RayScene([(mesh.vertices, mesh.faces) for mesh in bare_scenery(sequence.layout)])
    xy = np.random.default_rng(0).uniform(-3, 3, (200, 2))
    start = np.c_[xy, np.full(200, 9.0)].astype(np.float32)
    down = np.tile(np.array([0, 0, -1], np.float32), (200, 1))
    tops = [np.where(s.covers(xy), s.top, -np.inf) for s in sequence.layout.slabs]
    highest = np.max([sequence.layout.floor_height(xy), *tops], axis=0)
    np.testing.assert_allclose(9 - rays.first_hits(start, down).distance, highest, atol=1e-4)


def test_suites_are_as_they_were_promised():
    assert len(STANDARD_1) >= 12 and len(RENDERED_1) >= 6
    assert {spec.preset for spec in STANDARD_1} == set(PRESETS)
    assert {spec.camera for spec in STANDARD_1} == set(CAMERAS)
    assert {spec.people for spec in STANDARD_1} == {1, 2, 3, 4}
    names = [spec.name for spec in (*STANDARD_1, *RENDERED_1)]
    assert len({spec.key for spec in (*STANDARD_1, *RENDERED_1)}) == len(names)
    with pytest.raises(DioramaError, match="no such suite"):
        suite("easy")


@pytest.mark.parametrize(
    ("wrong", "words"), [({"preset": "moon"}, "preset"), ({"camera": "bird"}, "camera"), ({"people": 9}, "1 to 6")]
)
def test_impossible_specs_are_refused(wrong, words):
    with pytest.raises(DioramaError, match=words):
        dataclasses.replace(SMALL, **wrong)
