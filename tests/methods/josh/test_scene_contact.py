"""The search of the scene's contact points on planes that are known, and the residual it leads to."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import exp_so3
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.methods.josh.scene_contact import (
    ContactConfig,
    SceneContacts,
    find_scene_contacts,
    scene_contact_term,
    with_lasting,
)
from diorama.solver import Squared
from plane_maps import GROUND, SIZE, plane_depth, plane_maps

CONFIG = ContactConfig()
# Heights in pixels of a person some four metres away.
TALL = 170.0
# Side of a pixel of the maps in source pixels.
CELL = 4.0
SITES = ["a", "b", "c"]


def found_on(maps, sites, probability=None, keys=None, config=CONFIG, log_depth=None, log_focal=0.0, tall=TALL):
    """Contacts of sites (rows, sites, 3) before the cameras; row n is keyframe n unless told otherwise."""
    sites = np.asarray(sites, float)
    rows = len(sites)
    probability = np.ones(sites.shape[:2]) if probability is None else np.asarray(probability, float)
    keys = np.arange(rows) if keys is None else np.asarray(keys)
    log_depth = np.zeros((len(maps.rows), 1 + maps.nodes)) if log_depth is None else log_depth
    return find_scene_contacts(sites, probability, keys, np.full(rows, tall), maps, log_depth, log_focal, config)


def scene_points(contacts, maps, log_depth=None, log_focal=0.0):
    """The scene's contact points before their cameras."""
    key = contacts.key.numpy()
    log_depth = np.zeros((len(maps.rows), 1 + maps.nodes)) if log_depth is None else log_depth
    depth = contacts.depth.numpy() * np.exp(log_depth[key, 0] + (contacts.nodes.numpy() * log_depth[key, 1:]).sum(1))
    flat = contacts.pixel.numpy() / (maps.focal[key] * np.exp(log_focal))[:, None]
    return np.concatenate([flat, np.ones((len(key), 1))], 1) * depth[:, None]


def on_plane(plane, flat, above=0.0):
    """A point of a plane seen in the direction (x, y, 1), `above` metres towards the camera along the normal."""
    normal, ray = np.array(plane[:3]), np.array([*flat, 1.0])
    towards = -np.sign(plane[3])
    return ray * plane[3] / (normal @ ray) + towards * above * normal


def hidden_disc(maps, pixel, radius, key=0):
    """The maps with a person over a disc of source pixels of one keyframe."""
    height, width = maps.depth.shape[1:]
    y, x = np.mgrid[:height, :width] + 0.5
    away = np.hypot(x * SIZE[0] / width - pixel[0], y * SIZE[1] / height - pixel[1])
    background = maps.background.copy()
    background[key] &= away > radius
    return replace(maps, background=background)


def source_pixel(maps, point, key=0):
    return maps.focal[key] * point[:2] / point[2] + maps.centre[key]


@pytest.mark.parametrize("above", [0.0, 0.03, -0.05])
@pytest.mark.parametrize("radius", [0.0, 12.0, 28.0])
def test_the_contact_lies_on_the_plane_under_a_foot_that_hides_it(above, radius):
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05), above)
    maps = hidden_disc(maps, source_pixel(maps, foot), radius) if radius else maps
    contacts = found_on(maps, [[foot]])
    assert len(contacts) == 1
    (point,) = scene_points(contacts, maps)
    assert point @ GROUND[:3] == pytest.approx(GROUND[3], abs=1e-4)
    # It is what the camera sees through the site.
    np.testing.assert_allclose(point / point[2], foot / foot[2], atol=1e-9)
    # The distance from the plane, however slanted it is seen, in deviations.
    (residual,) = (contacts.across.numpy()[0] @ (foot - point)).reshape(-1)
    assert abs(residual) == pytest.approx(abs(above) / CONFIG.sigma, abs=0.02)


def test_the_paper_s_contact_is_the_nearest_pixel():
    """kind "point": a 3D distance along and across the ray from the nearest pixel of the background."""
    config = replace(CONFIG, kind="point")
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.053))
    maps = hidden_disc(maps, source_pixel(maps, foot), 14.0)
    contacts = found_on(maps, [[foot]], config=config)
    y, x = np.nonzero(maps.background[0])
    pixels = np.stack([x + 0.5, y + 0.5], 1) * CELL
    nearest = pixels[np.linalg.norm(pixels - source_pixel(maps, foot), axis=1).argmin()]
    np.testing.assert_allclose(contacts.pixel.numpy()[0] + maps.centre[0], nearest, atol=1e-9)
    true = plane_depth(maps, np.array(GROUND), nearest[None], 0)
    assert float(contacts.depth[0]) == pytest.approx(float(true[0]), rel=1e-6)
    across, ray = contacts.across.numpy()[0], foot / np.linalg.norm(foot)
    np.testing.assert_allclose(across @ ray, ray / config.sigma_along, atol=1e-9)
    side = np.cross(ray, [0, 1, 0])
    np.testing.assert_allclose(across @ side, side / config.sigma_across, atol=1e-9)


def test_corrections_of_the_map_move_its_contact():
    """A map of 0.8 of the world, with the right scale as its correction; and another focal length."""
    maps = plane_maps([GROUND])
    small = replace(maps, depth=np.float32(0.8) * maps.depth)
    foot = on_plane(GROUND, (-0.15, 0.1), 0.01)
    scaled = np.zeros((1, 1 + maps.nodes))
    scaled[0, 0] = -np.log(0.8)
    (plain,), (corrected,) = (
        scene_points(found_on(maps, [[foot]]), maps),
        scene_points(found_on(small, [[foot]], log_depth=scaled), small, scaled),
    )
    np.testing.assert_allclose(corrected, plain, atol=1e-5)
    # Half of it as the scale, half as that of all nodes.
    scaled[0] = -np.log(0.8) / 2
    np.testing.assert_allclose(
        scene_points(found_on(small, [[foot]], log_depth=scaled), small, scaled)[0], plain, atol=1e-5
    )
    zoom = np.log(1.1)
    zoomed = replace(maps, focal=maps.focal / 1.1)
    again = found_on(zoomed, [[foot]], log_focal=zoom)
    np.testing.assert_allclose(scene_points(again, zoomed, log_focal=zoom)[0], plain, atol=1e-5)
    np.testing.assert_allclose(again.across, found_on(maps, [[foot]]).across, atol=1e-4)


def test_probability_weighs_and_decides():
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05), 0.02)
    assert not len(found_on(maps, [[foot]], [[0.5]]))
    sure, likely = (found_on(maps, [[foot]], [[p]]).across.numpy() for p in (1.0, 0.64))
    np.testing.assert_allclose(likely, 0.8 * sure)


WALL_BEHIND = (0.0, 0.0, 1.0, 8.5)


@pytest.mark.parametrize(("prior", "count"), [(None, 1), ("near", 0), ("far", 1), ("unknown", 1)])
def test_the_metric_prior_leaves_out_a_wall_behind_the_person(prior, count):
    """A hand half a metre before a wall that lies within its reach and within the share of its depth."""
    maps = plane_maps([WALL_BEHIND])
    hand = np.array([0.3, -0.2, 8.0])
    maps = hidden_disc(maps, source_pixel(maps, hand), 10.0)
    assert abs(8.5 / 8.0 - 1) < CONFIG.depth_share and CONFIG.prior_metres + 8.0 * CONFIG.prior_share < 0.5
    if prior is not None:
        person = {"near": 8.0, "far": 8.4, "unknown": 0.0}[prior]
        maps = replace(maps, prior=np.where(maps.background, np.float32(8.5), np.float32(person)))
    assert len(found_on(maps, [[hand]], tall=90.0)) == count


def test_what_does_not_fit_the_body_s_own_depth_is_left_out():
    """A table before the person: of the two surfaces around a foot, its own."""
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05))
    column = int(source_pixel(maps, foot)[0] / CELL)
    maps.depth[0, :, column + 2 :] = 0.7 * foot[2]
    (point,) = scene_points(found_on(maps, [[foot]]), maps)
    assert point @ GROUND[:3] == pytest.approx(GROUND[3], abs=2e-3)
    assert not len(found_on(plane_maps([GROUND]), [[0.8 * foot]]))
    loose = replace(CONFIG, depth_share=np.inf)
    assert len(found_on(plane_maps([GROUND]), [[0.8 * foot]], config=loose)) == 1


def test_some_pixels_of_another_surface_do_not_move_the_contact():
    """A quarter of the pixels around a foot, seven percent nearer: within the share of the depth that is looked at."""
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05))
    column = int(source_pixel(maps, foot)[0] / CELL)
    maps.depth[0, :, column + 3 :] *= np.float32(0.93)
    (point,) = scene_points(found_on(maps, [[foot]]), maps)
    assert point @ GROUND[:3] == pytest.approx(GROUND[3], abs=5e-3)


def test_a_surface_seen_on_one_side_only_is_not_continued():
    """Leverage: a plane from pixels on one side may be wrong where the site is; around it, it may not."""
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05))
    x = (source_pixel(maps, foot)[0] / CELL - 0.5) - np.arange(120)
    for near, seen in ((3.0, np.abs(x) > 3), (0.0, x > 3)):
        cut = replace(maps, background=maps.background & seen[None, None])
        assert len(found_on(cut, [[foot]])) == (1 if near else 0)
        assert len(found_on(cut, [[foot]], config=replace(CONFIG, leverage=np.inf))) == 1


def test_too_few_pixels_are_no_surface():
    maps = plane_maps([GROUND])
    foot = on_plane(GROUND, (0.1, 0.05))
    centre = (source_pixel(maps, foot) / CELL).astype(int)
    for size, count in ((1, 1), (0, 0)):
        # Nine pixels, or eight less the one that is right under the site.
        few = np.zeros_like(maps.background)
        few[0, centre[1] - 1 : centre[1] + 2, centre[0] - 1 : centre[0] + 2] = True
        few[0, centre[1], centre[0] : centre[0] + 2] = bool(size)
        config = replace(CONFIG, leverage=np.inf)
        assert len(found_on(replace(maps, background=few), [[foot]], config=config)) == count


def test_a_surface_out_of_reach_is_not_found():
    """0.3 of the person's height: 51 and 120 pixels."""
    wall, hand = (0.0, 0.0, 1.0, 4.0), np.array([0.2, -0.1, 4.0])
    maps = plane_maps([wall])
    maps = hidden_disc(maps, source_pixel(maps, hand), 60.0)
    assert not len(found_on(maps, [[hand]], tall=170.0))
    assert len(found_on(maps, [[hand]], tall=400.0)) == 1


def test_sites_that_no_camera_sees_touch_nothing():
    maps = plane_maps([(0.0, 0.0, 1.0, 4.0)])
    outside = [[4.0, 0, 4.0], [0, -3.0, 4.0], [0.0, 0.0, -4.0], [0.0, 0.0, 0.05]]
    contacts = found_on(maps, [[*outside, [0.0, 0.1, 4.0]]], config=replace(CONFIG, depth_share=np.inf))
    assert list(contacts.site) == [4]


PLANES = [(0.0, np.cos(t), np.sin(t), d) for t, d in ((0.35, 1.5), (0.3, 1.2), (0.4, 1.7), (0.35, 1.1), (0.3, 1.4))]


def rows_of(planes, keys):
    """Three feet per keyframe, each on the keyframe's own ground."""
    return np.array(
        [[on_plane(planes[k], flat, 0.01) for flat in ((-0.1, 0.1), (0.05, 0.05), (0.2, 0.12))] for k in keys]
    )


@pytest.mark.parametrize("keys", [[0, 1, 2, 3, 4], [1, 3, 4], [0, 4], [2]])
def test_rows_of_people_and_keyframes_never_drift_apart(keys):
    """People who are not in every keyframe, and rows in which nothing touches: each contact is that of its keyframe."""
    maps = plane_maps(PLANES, rows=[3, 5, 8, 9, 20])
    sites, touching = rows_of(PLANES, keys), np.random.default_rng(1).random((len(keys), 3)) > 0.4
    touching[len(keys) // 3] = False
    touching[-1] = True
    contacts = found_on(maps, sites, touching, keys)
    assert [(int(r), int(s)) for r, s in zip(contacts.row, contacts.site, strict=True)] == list(
        zip(*np.nonzero(touching), strict=True)
    )
    np.testing.assert_array_equal(contacts.key, np.array(keys)[contacts.row])
    for n, point in enumerate(scene_points(contacts, maps)):
        plane, site = PLANES[int(contacts.key[n])], sites[contacts.row[n], contacts.site[n]]
        assert point @ plane[:3] == pytest.approx(plane[3], abs=1e-4)
        assert float(contacts.across[n, 0] @ torch.from_numpy(site - point)) ** 2 == pytest.approx(0.25, abs=0.02)


def test_contacts_that_last_are_tied_to_the_neighbours_too():
    """Against two loops, with a person in some keyframes only."""
    maps, keys = plane_maps(PLANES), np.array([0, 1, 3, 4])
    touching = np.array([[1, 1, 0], [0, 1, 1], [1, 0, 1], [1, 1, 1]], float)
    contacts = found_on(maps, rows_of(PLANES, keys), touching, keys)
    kept = np.array([[0.9, 0.8, 0.2], [0.5, 0.1, 0.6], [0.7, 0.0, 1.0]])
    expected = set()
    for row, site in zip(*np.nonzero(touching), strict=True):
        expected.add((row, keys[row], site))
        if row > 0 and kept[row - 1, site] > 0.5:
            expected.add((row - 1, keys[row], site))
        if row < 3 and kept[row, site] > 0.5:
            expected.add((row + 1, keys[row], site))
    found = with_lasting(contacts, kept, keys)
    triples = list(zip(*(getattr(found, n).tolist() for n in ("row", "key", "site")), strict=True))
    assert len(triples) == len(set(triples)) and set(triples) == expected
    # The scene's point stays that of the keyframe where it was found.
    before = {(int(k), int(s)): n for n, (k, s) in enumerate(zip(contacts.key, contacts.site, strict=True))}
    for n, (_, key, site) in enumerate(triples):
        for name in ("pixel", "depth", "nodes", "across"):
            torch.testing.assert_close(getattr(found, name)[n], getattr(contacts, name)[before[key, site]])


def test_one_row_has_no_neighbours():
    maps = plane_maps(PLANES[:1])
    contacts = found_on(maps, rows_of(PLANES, [0]))
    assert len(with_lasting(contacts, np.zeros((0, 3)), np.array([0]))) == 3


def person_at(points):
    """A person whose sites are where they should be: one joint, no turns."""
    person = UnknownPerson(0, SITES, torch.zeros(3).long(), lambda b: (torch.zeros(24, 3).double(), points), 1)
    values = {
        person.transl: torch.zeros(1, 3).double(),
        person.rotations: torch.eye(3).double().expand(1, 24, 3, 3).clone(),
        person.betas: torch.zeros(1, 1).double(),
    }
    return person, values


def term_of(maps, sites_camera, R, centre, **options):
    """The contact scene loss of sites that a camera sees, as the solver has it, and its values."""
    person, values = person_at(torch.from_numpy(sites_camera @ R.numpy().T + centre.numpy()))
    log_depth = options.get("log_depth", np.zeros((1, 1 + maps.nodes)))
    contacts = found_on(maps, [sites_camera], **options)
    values |= {
        CAMERA_ROTATIONS: R[None, None], CAMERA_CENTRES: centre[None], LOG_DEPTH: torch.from_numpy(log_depth),
        LOG_FOCAL: torch.full((1, 1), options.get("log_focal", 0.0)).double(),
    }  # fmt: skip
    return scene_contact_term(person, SITES, contacts, torch.from_numpy(maps.focal), Squared()), values, contacts


@pytest.mark.parametrize("kind", ["surface", "point"])
def test_sites_on_the_surface_pull_at_nothing(kind):
    """Wherever the camera is, with corrections of scale and focal length: residual and gradient are zero."""
    R, centre = exp_so3(torch.tensor([0.3, -1.2, 0.5]).double()), torch.tensor([2.0, -1.0, 3.0]).double()
    maps = plane_maps([GROUND])
    maps = replace(maps, depth=np.float32(0.8) * maps.depth, focal=maps.focal / 1.1)
    log_depth = np.full((1, 1 + maps.nodes), -np.log(0.8) / 2)
    flats = [(-0.1, 0.1), (0.05, 0.05), (0.2, 0.12)]
    sites = np.array([on_plane(GROUND, flat) for flat in flats])
    if kind == "point":
        # On the pixels of the map themselves.
        cells = np.floor((np.array(flats) * 400 + maps.centre) / CELL) + 0.5
        sites = np.array([on_plane(GROUND, flat) for flat in (cells * CELL - maps.centre) / 400])
    config = replace(CONFIG, kind=kind)
    term, values, contacts = term_of(maps, sites, R, centre, log_depth=log_depth, log_focal=np.log(1.1), config=config)
    assert len(contacts) == 3
    part = term.function(values, True)
    assert float(part.residual.abs().max()) < 2e-3
    for block in part.blocks:
        pull = (block.jacobian * part.residual[..., None]).sum((0, 1, 2))
        assert float(pull.abs().max()) < 5e-2 * max(1.0, float(block.jacobian.abs().max())) * 2e-2, block.variable


def test_a_site_above_the_surface_is_pulled_down_to_it():
    """The residual of a site h above is h / sigma, and the step that brings it to zero is h along the normal."""
    R, centre = exp_so3(torch.tensor([0.3, -1.2, 0.5]).double()), torch.tensor([2.0, -1.0, 3.0]).double()
    maps, height = plane_maps([GROUND]), 0.04
    sites = np.array([on_plane(GROUND, flat, height) for flat in ((-0.1, 0.1), (0.05, 0.05), (0.2, 0.12))])
    term, values, _ = term_of(maps, sites, R, centre)
    part = term.function(values, True)
    np.testing.assert_allclose(part.residual.abs().numpy(), height / CONFIG.sigma, rtol=1e-2)
    (by_place,) = [b.jacobian for b in part.blocks if b.variable.startswith("transl")]
    step = np.linalg.lstsq(by_place.reshape(3, 3).numpy(), -part.residual.reshape(3).numpy(), rcond=1e-2)[0]
    np.testing.assert_allclose(step, R.numpy() @ np.array(GROUND[:3]) * height, atol=1e-3)


def test_nobody_touching_is_no_contact():
    maps = plane_maps(PLANES)
    for keys in ([], [0, 2]):
        contacts = found_on(
            maps, np.tile([0, 0, 4.0], (len(keys), 3, 1)), np.zeros((len(keys), 3)), np.array(keys, int)
        )
        assert len(contacts) == 0 and isinstance(contacts, SceneContacts)
        assert len(with_lasting(contacts, np.zeros((max(len(keys) - 1, 0), 3)), np.array(keys, int))) == 0
