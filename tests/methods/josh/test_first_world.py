"""The problem of a segment's keyframes: scales of its maps, contacts that last, and whose rows are whose."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

import josh_worlds
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.checked import checked
from diorama.methods.josh.first_world import contact_scales, key_problem, lasting, person_at, triangulated_scales
from diorama.methods.josh.key_solve import KeyConfig, key_contacts, scene_contacts
from diorama.observations import Matches, Source
from diorama.synthetic.josh_problem import EXACT_PROBLEM, JoshProblem, josh_problem
from josh_worlds import placed_people, true_scales
from placed_people import pelvis_of, person_of
from plane_maps import plane_maps

SMALL = {"keyframes": 5, "matches": 150, "people": 2, "depth_step": 8, "mask_step": 4}
FACTORS = replace(EXACT_PROBLEM, depth_scale=0.7, depth_keyframes=0.2, **SMALL)
# Feet on open ground: nothing else is near them that could be taken for it.
WALKING = replace(FACTORS, action="walking", depth_step=4)
CONFIG = KeyConfig()


def maps_of(seen, keys=None):
    return josh_worlds.maps_of(seen) if keys is None else josh_worlds.maps_of(seen).of(np.asarray(keys))


def true_people(truth, seen, frames=None):
    """Everybody as he is, with the contacts that are labelled; in some frames only."""
    people = placed_people(seen, truth.cameras.T_world_camera)
    return people if frames is None else [person_at(p, np.flatnonzero(np.isin(p.frames, frames))) for p in people]


def exact(problem=FACTORS):
    truth, seen = josh_problem(problem)
    return truth, checked(seen)


def test_triangulated_matches_tell_every_map_s_scale():
    truth, seen = exact()
    true = true_scales(truth, seen)
    assert np.ptp(true) > 0.2
    maps, T = maps_of(seen), truth.cameras.T_world_camera
    np.testing.assert_allclose(triangulated_scales(seen.matches, maps, T), true, atol=5e-4)
    # Cameras of another unit have maps of another unit; where the world's origin is does not matter.
    other = T.copy()
    other[:, :3, 3] *= 3.0
    moved = invert(T[2]) @ other
    np.testing.assert_allclose(triangulated_scales(seen.matches, maps, moved), true + np.log(3.0), atol=5e-4)


def test_scales_of_some_keyframes_are_those_of_these():
    truth, seen = exact()
    keys = [0, 2, 3]
    found = triangulated_scales(seen.matches, maps_of(seen, keys), truth.cameras.T_world_camera[keys])
    np.testing.assert_allclose(found, true_scales(truth, seen)[keys], atol=5e-4)


def test_a_quarter_of_wrong_matches_leaves_the_median():
    truth, seen = exact()
    rng, matches = np.random.default_rng(0), seen.matches
    wrong = rng.random(len(matches.frames_i)) < 0.25
    xy = np.where(wrong[:, None], rng.uniform(0, 280, (len(wrong), 2)), matches.xy_j)
    found = triangulated_scales(replace(matches, xy_j=xy), maps_of(seen), truth.cameras.T_world_camera)
    np.testing.assert_allclose(found, true_scales(truth, seen), atol=0.04)


def matches_of(matches, rows):
    names = ("frames_i", "frames_j", "xy_i", "xy_j", "confidence")
    return replace(matches, **{n: getattr(matches, n)[rows] for n in names})


def test_without_parallax_or_matches_no_scale_is_told():
    truth, seen = exact()
    maps, T = maps_of(seen), truth.cameras.T_world_camera
    still = np.tile(T[:1], (5, 1, 1))
    turning = T.copy()
    turning[:, :3, 3] = T[0, :3, 3]
    wide = np.flatnonzero(seen.matches.frames_j - seen.matches.frames_i == 4)
    some = [matches_of(seen.matches, wide[:count]) for count in (20, 60)]
    assert np.isfinite(triangulated_scales(some[1], maps, T)).any()
    for matches, cameras in ((seen.matches, turning), (None, T), (some[0], T)):
        assert np.isnan(triangulated_scales(matches, maps, cameras)).all()
    # Rays of different pixels from one place meet there: at no depth.
    assert not np.isfinite(triangulated_scales(seen.matches, maps, still)).any()


@pytest.mark.parametrize(("depth", "told"), [(4.0, True), (8.0, False)])
def test_rays_that_are_nearly_parallel_tell_no_depth(depth, told):
    """A step of a tenth of a metre: 25 and 12 milliradians."""
    maps = plane_maps([(0.0, 0.0, 1.0, depth / 2)] * 2)
    T = np.tile(np.eye(4), (2, 1, 1))
    T[1, 0, 3] = 0.1
    points = np.random.default_rng(0).uniform((-0.5, -0.3, depth), (0.5, 0.3, depth), (60, 3))
    xy = [maps.focal[k] * (points - T[k, :3, 3])[:, :2] / depth + maps.centre[k] for k in (0, 1)]
    matches = Matches(Source("m"), np.zeros(60, int), np.ones(60, int), *xy, np.ones(60))
    found = triangulated_scales(matches, maps, T)
    np.testing.assert_allclose(found, np.full(2, np.log(2.0) if told else np.nan), atol=1e-6)


def test_contacts_of_people_tell_the_scale_of_all_maps():
    truth, seen = exact(replace(FACTORS, depth_keyframes=0.0))
    problem = key_problem(seen, maps_of(seen), truth.cameras.T_world_camera, true_people(truth, seen), {}, CONFIG)
    # As if nothing were known yet.
    first = replace(problem.first, log_depth=torch.zeros_like(problem.first.log_depth))
    found = contact_scales(problem.people, problem.maps, first, CONFIG)
    assert np.ptp(found) == 0
    np.testing.assert_allclose(found, true_scales(truth, seen), atol=0.03)
    nobody = contact_scales((), problem.maps, first.with_people(()), CONFIG)
    assert np.isnan(nobody).all()


@pytest.mark.parametrize(("kind", "matches"), [("translating", True), ("translating", False), ("rotating", True)])
def test_the_first_world_is_the_given_one_with_scales_that_fit(kind, matches):
    """By matches where cameras travel, else by contacts: here both say the truth, and claims are those of map and prior."""
    truth, seen = exact(replace(FACTORS, depth_keyframes=0.0, prior_keyframes=0.0))
    seen = replace(seen, cameras=replace(seen.cameras, kind=kind), matches=seen.matches if matches else None)
    T, people = truth.cameras.T_world_camera, true_people(truth, seen)
    problem = key_problem(seen, maps_of(seen), T, people, {}, CONFIG)
    np.testing.assert_allclose(problem.first.T_world_camera(), T)
    np.testing.assert_allclose(problem.first.log_depth[:, 0], true_scales(truth, seen), atol=0.03)
    assert (problem.first.log_depth[:, 1:] == 0).all() and problem.first.log_focal == 0
    np.testing.assert_allclose(sorted(problem.claims), [0.0, -np.log(0.7)], atol=1e-3)
    assert problem.kind == kind and (problem.carried.pairs > 0) == matches


def test_maps_that_nothing_says_anything_about_keep_their_own_claim():
    truth, seen = exact(replace(FACTORS, people=0))
    seen = replace(seen, matches=None)
    T = truth.cameras.T_world_camera
    metric = key_problem(seen, maps_of(seen), T, [], {}, CONFIG)
    assert (metric.first.log_depth == 0).all() and not len(metric.claims)
    unknown = key_problem(replace(seen, depth=replace(seen.depth, metric=False)), maps_of(seen), T, [], {}, CONFIG)
    maps = unknown.maps
    depth = np.median(maps.depth[maps.background]) * np.exp(float(unknown.first.log_depth[0, 0]))
    assert depth == pytest.approx(8.0, rel=1e-5)


@pytest.mark.parametrize("frames", [[0, 1, 2, 3, 4], [1, 2, 4], [3], []])
@pytest.mark.parametrize("keys", [[0, 1, 2, 3, 4], [0, 2, 4]])
def test_rows_of_people_are_their_keyframes(frames, keys):
    """Somebody who is not in every keyframe: each row has the keyframe, place, contacts and contact points of its frame."""
    truth, seen = exact(WALKING)
    T, maps = truth.cameras.T_world_camera, maps_of(seen, keys)
    first, other = true_people(truth, seen), true_people(truth, seen, frames)
    problem = key_problem(seen, maps, T, [first[0], *other[1:]], {}, CONFIG)
    expected = [f for f in frames if f in keys]
    assert [p.id for p in problem.people] == ([1, 2] if expected else [1])
    for person, placed in zip(problem.people, problem.first.people, strict=True):
        whole = first[person.id - 1]
        rows = maps.rows[person.keys]
        assert list(rows) == (expected if person.id == 2 else keys)
        np.testing.assert_array_equal(placed.frames, rows)
        np.testing.assert_allclose(person.observed.pelvis, apply(invert(T[rows]), pelvis_of(whole)[rows]), atol=1e-9)
        np.testing.assert_array_equal(person.contact, whole.contacts[rows])
        torch.testing.assert_close(T_rotations(T[rows]) @ person.observed.orient, whole.rotations[rows, 0])
        contacts = key_contacts(person, placed, problem, problem.first, replace(CONFIG, contact_static=0.0))
        np.testing.assert_array_equal(contacts.key, person.keys[contacts.row])
        assert_touching(contacts, maps, problem.first, whole.sites_world(), rows)


def T_rotations(T):
    return torch.from_numpy(T[:, :3, :3].copy())


def assert_touching(contacts, maps, world, sites, rows):
    """In an exact world the scene's contact points are where the sites are."""
    key = contacts.key.numpy()
    depth = contacts.depth.numpy() * np.exp(world.log_depth[key, 0].numpy())
    flat = contacts.pixel.numpy() / maps.focal[key, None]
    points = apply(world.T_world_camera()[key], np.concatenate([flat, np.ones((len(key), 1))], 1) * depth[:, None])
    np.testing.assert_allclose(points, sites[rows[contacts.row], contacts.site], atol=0.06)


@pytest.mark.parametrize("frames", [[0, 1, 2, 3, 4], [1, 2, 4], [3]])
def test_contacts_of_all_frames_have_rows_of_the_person(frames):
    """`scene_contacts`: rows are his own, whatever frames he is in and whichever of them are keyframes."""
    truth, seen = exact(WALKING)
    maps = maps_of(seen, [0, 2, 3, 4])
    problem = key_problem(seen, maps, truth.cameras.T_world_camera, [], {}, CONFIG)
    person = true_people(truth, seen, frames)[1]
    contacts = scene_contacts(person, maps, problem.first, CONFIG)
    assert contacts is not None and len(contacts)
    np.testing.assert_array_equal(person.frames[contacts.row], maps.rows[contacts.key])
    assert (person.contacts[contacts.row, contacts.site] > 0.5).all()
    assert_touching(contacts, maps, problem.first, person.sites_world(), np.arange(len(person.frames)))
    absent = person_at(person, np.flatnonzero(person.frames == 1))
    assert scene_contacts(absent, maps, problem.first, CONFIG) is None


def test_a_contact_lasts_while_it_never_pauses():
    """Against a loop: the least probability of all frames between two keyframes, unless nobody saw him for a while."""
    frames = np.array([0, 1, 2, 3, 4, 8, 9, 10, 30, 31])
    times = np.arange(40) * 0.1
    contacts = np.random.default_rng(0).uniform(0.3, 1.0, (10, len(CONTACT_SITE_NAMES)))
    contacts[:, 0] = 0.9
    person = person_of(1, frames, np.zeros((10, 3)), contacts=contacts)
    rows = np.array([0, 3, 4, 6, 7, 9])
    expected = np.zeros((5, len(CONTACT_SITE_NAMES)))
    for step, (start, stop) in enumerate(itertools.pairwise(rows)):
        for site in range(expected.shape[1]):
            least = min(contacts[row, site] for row in range(start, stop + 1))
            pause = max(times[frames[r + 1]] - times[frames[r]] for r in range(start, stop))
            expected[step, site] = least if least > 0.5 and pause < 0.45 else 0.0
    assert (expected[:4, 0] > 0).all() and (expected[4] == 0).all() and (expected[:4, 1:] == 0).any()
    np.testing.assert_array_equal(lasting(person, rows, times), expected)
    assert lasting(person, np.array([4]), times).shape == (0, len(CONTACT_SITE_NAMES))


def test_an_unknown_prior_is_no_claim():
    truth, seen = exact(JoshProblem(cameras="exact", prior_keyframes=None, depth_metric=False, **SMALL))
    problem = key_problem(seen, maps_of(seen), truth.cameras.T_world_camera, true_people(truth, seen), {}, CONFIG)
    assert not len(problem.claims)
