"""People in all frames before known cameras: an exact walk stays, planted feet hold, and pictures tell the rest."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.geometry.rotations import exp_so3, log_so3
from diorama.methods.josh.checked import checked
from diorama.methods.josh.every_frame import (
    EveryFrameConfig,
    FrameScene,
    no_scene,
    refine_frames,
    scene_values,
)
from diorama.methods.josh.key_problem import KeyWorld
from diorama.methods.josh.key_solve import KeyConfig, scene_contacts
from diorama.methods.josh.person_terms import Observed, PriorConfig
from diorama.synthetic.josh_problem import EXACT_PROBLEM, josh_problem
from josh_worlds import evidence_of, maps_of, placed_people
from placed_people import pelvis_of

# A second of a walk, 30 frames a second; every sixth one is a keyframe.
WALK = replace(
    EXACT_PROBLEM,
    keyframes=6,
    frames_between=5,
    people=1,
    action="walking",
    matches=10,
    window=1,
    depth_step=4,
    mask_step=4,
)
FEET = slice(0, 4)
CONFIG = EveryFrameConfig()
FLOOR = no_scene(floor=True)


class Walk:
    """The walker as he is, and what was seen of him."""

    def __init__(self):
        truth, seen = josh_problem(WALK)
        self.seen, self.T = checked(seen), truth.cameras.T_world_camera
        (self.person,) = placed_people(self.seen, self.T)
        self.evidence = evidence_of(self.seen, self.T)
        self.count = len(self.seen.times)

    def observed(self, person):
        """What a front end would say of somebody who is there."""
        R, c = (torch.from_numpy(a.copy()) for a in (self.T[person.frames, :3, :3], self.T[person.frames, :3, 3]))
        pelvis = ((person.transl + person.pelvis_rest - c)[:, None] @ R)[:, 0]
        trust = torch.ones(len(person.frames)).double()
        return Observed(pelvis, R.mT @ person.rotations[:, 0], person.rotations[:, 1:], trust)

    def refined(self, person, *, observed=None, evidence=True, scene=FLOOR, config=CONFIG, floor=(0.0, 0.0, 0.0)):
        """The person after refinement, and the floor; he is observed as he is at first, or as `observed`, or not (False)."""
        said = {} if observed is False else {person.id: self.observed(person if observed is None else observed)}
        seen = self.evidence if evidence else {}
        (found,), ground = refine_frames(
            [person], said, seen, np.array(floor), scene, self.seen.times, PriorConfig(), config
        )
        return found, ground

    def error(self, person):
        """Mean distance of the joints from the true ones, metres."""
        return np.linalg.norm(person.joints_world() - self.person.joints_world(), axis=-1).mean()

    def slides(self, person):
        """Steps of planted feet from frame to frame, metres."""
        sites, touching = person.sites_world()[:, FEET], self.person.contacts[:, FEET] > 0.5
        both = touching[1:] & touching[:-1]
        assert both.sum() > 20
        return np.linalg.norm(np.diff(sites, axis=0), axis=-1)[both]

    def heights(self, person):
        """Of planted feet, metres."""
        return person.sites_world()[:, FEET, 2][self.person.contacts[:, FEET] > 0.5]


@pytest.fixture(scope="module")
def walk():
    return Walk()


def blended(person, keys, times):
    """The person at some frames, straight lines and shortest turns between them."""
    transl = np.stack([np.interp(times, times[keys], column) for column in person.transl.numpy()[keys].T], 1)
    rotations = person.rotations.clone()
    for a, b in itertools.pairwise(keys):
        step = log_so3(person.rotations[a].mT @ person.rotations[b])
        share = torch.arange(b - a + 1)[:, None, None] / (b - a)
        rotations[a : b + 1] = person.rotations[a] @ exp_so3(share * step)
    return replace(person, transl=torch.from_numpy(transl), rotations=rotations)


def shaken(person, metres, seed=0):
    rng = np.random.default_rng(seed)
    return replace(person, transl=person.transl + torch.from_numpy(rng.normal(0, metres, (len(person.frames), 3))))


def test_an_exact_walk_stays_put(walk):
    """Priors of smooth motion move it a centimetre; planted feet not at all."""
    assert np.abs(walk.slides(walk.person)).max() < 1e-4
    found, floor = walk.refined(walk.person)
    assert walk.error(found) < 0.015
    assert walk.slides(found).max() < 2e-4 and np.abs(walk.heights(found)).max() < 0.01
    assert np.abs(floor).max() < 0.01
    assert found.betas.equal(walk.person.betas) and found.contacts is walk.person.contacts


@pytest.mark.parametrize("observed", [None, False], ids=["observed pose", "pose prior"])
def test_planted_feet_hold_though_the_body_shakes(walk, observed):
    """Three centimetres of noise in every frame: feet slid by seven."""
    shaky = shaken(walk.person, 0.03)
    found, _ = walk.refined(shaky, observed=observed)
    assert walk.slides(shaky).mean() > 0.05
    assert walk.slides(found).max() < 5e-4
    assert walk.error(found) < 0.6 * walk.error(shaky)
    assert np.abs(walk.heights(found)).max() < 0.01


def test_only_contacts_hold_feet(walk):
    """The same walk with no contact labelled is free to slide, as it is if the term is left out."""
    shaky = shaken(walk.person, 0.03)
    nobody = replace(shaky, contacts=np.zeros_like(shaky.contacts))
    for person, config in ((nobody, CONFIG), (shaky, replace(CONFIG, contact_static=0.0))):
        found, _ = walk.refined(person, config=config)
        assert walk.slides(found).mean() > 5e-4


@pytest.mark.parametrize("observed", [None, False], ids=["observed pose", "pose prior"])
def test_frames_between_keyframes_follow_their_keypoints(walk, observed):
    """Keyframes of half a second know nothing of the step between them: keypoints and contacts do, though the blended
    body passes for the observed one."""
    keys = np.array([0, 15, 30])
    blend = blended(walk.person, keys, walk.seen.times)
    assert walk.error(blend) > 0.035 and walk.slides(blend).max() > 0.02
    found, _ = walk.refined(blend, observed=observed)
    assert walk.error(found) < (0.4 if observed is None else 0.75) * walk.error(blend)
    assert walk.slides(found).max() < 5e-4
    # Without pictures it stays about what it was.
    blind, _ = walk.refined(blend, evidence=False, observed=observed)
    assert walk.error(blind) > 0.8 * walk.error(blend)


def test_the_step_between_keyframes_is_the_seen_one(walk):
    """The swinging foot is where the picture shows it."""
    blend = blended(walk.person, np.array([0, 15, 30]), walk.seen.times)
    found, _ = walk.refined(blend)
    sites = [p.sites_world()[:, FEET] for p in (blend, found, walk.person)]
    away = [np.linalg.norm(s - sites[2], axis=-1) for s in sites[:2]]
    swinging = away[0] > 0.08
    assert swinging.sum() > 10
    assert np.median(away[1][swinging]) < 0.35 * np.median(away[0][swinging])


def test_who_stands_above_the_floor_comes_down(walk):
    raised = replace(walk.person, transl=walk.person.transl + torch.tensor([0.0, 0.0, 0.05]).double())
    found, _ = walk.refined(raised, evidence=False)
    assert np.abs(walk.heights(found)).max() < 0.015
    # Without a floor nothing says so.
    free, _ = walk.refined(raised, evidence=False, scene=no_scene(floor=False))
    assert walk.heights(free).mean() > 0.04


def above(person, floor):
    """Heights of all foot sites above a floor, metres."""
    sites = person.sites_world()[:, FEET]
    return sites[..., 2] - sites[..., :2] @ floor[:2] - floor[2]


def test_nothing_sinks(walk):
    """Feet that touch nothing may be above the floor, not below it."""
    nothing = np.zeros_like(walk.person.contacts)
    for lift in (-0.1, 0.1):
        shift = torch.tensor([0.0, 0.0, lift]).double()
        other = replace(walk.person, transl=walk.person.transl + shift, contacts=nothing)
        found, floor = walk.refined(other, evidence=False)
        if lift < 0:
            # The floor is no surer than he is: both give way.
            assert above(other, np.zeros(3)).min() < -0.09 and above(found, floor).min() > -0.01
        else:
            np.testing.assert_array_equal(floor, np.zeros(3))
            assert np.median(above(found, floor) - above(other, floor)) == pytest.approx(0, abs=0.01)


def test_the_floor_comes_to_the_feet(walk):
    """In the first stretch, unless people stand on none in common."""
    start = (0.0, 0.0, 0.04)
    found, floor = walk.refined(walk.person, floor=start)
    touching = walk.person.contacts[:, FEET] > 0.5
    assert np.abs(above(found, floor)[touching]).max() < 0.01
    assert np.abs(above(walk.person, floor)[touching]).mean() < 0.015
    _, none = walk.refined(walk.person, floor=start, scene=no_scene(floor=False))
    np.testing.assert_array_equal(none, start)


def scene_of(walk, person):
    """Contacts with the exact maps of the keyframes, as the method has them."""
    maps = maps_of(walk.seen)
    R, c = (torch.from_numpy(a.copy()) for a in (walk.T[maps.rows, :3, :3], walk.T[maps.rows, :3, 3]))
    log_depth = torch.zeros(len(maps.rows), 1 + maps.nodes).double()
    contacts = scene_contacts(person, maps, KeyWorld(R, c, log_depth, 0.0, ()), KeyConfig())
    assert contacts is not None and len(contacts) > 3
    values = scene_values(walk.T[maps.rows], log_depth.numpy())
    return FrameScene(False, True, {person.id: contacts}, torch.from_numpy(maps.focal.copy()), values)


@pytest.mark.parametrize("stretch", [300, 10])
def test_without_a_floor_feet_lie_on_the_scene_at_keyframes(walk, stretch):
    """Also where the video goes in stretches: rows of contacts are the person's own."""
    raised = replace(walk.person, transl=walk.person.transl + torch.tensor([0.0, 0.0, 0.05]).double())
    scene, config = scene_of(walk, raised), replace(CONFIG, stretch=stretch, overlap=2)
    found, _ = walk.refined(raised, evidence=False, scene=scene, config=config)
    contacts = scene.contacts[1]
    touching = found.sites_world()[contacts.row, contacts.site, 2]
    assert np.abs(touching).max() < 0.02
    free, _ = walk.refined(raised, evidence=False, scene=replace(scene, contacts={}), config=config)
    assert free.sites_world()[contacts.row, contacts.site, 2].mean() > 0.03


def test_long_videos_in_stretches_are_the_same_without_jumps(walk):
    """Three stretches of twelve frames against one: a centimetre, and no more acceleration."""
    shaky = shaken(walk.person, 0.01)
    whole, _ = walk.refined(shaky, observed=walk.person)
    parts, _ = walk.refined(shaky, observed=walk.person, config=replace(CONFIG, stretch=12, overlap=4))
    assert np.linalg.norm(pelvis_of(parts) - pelvis_of(whole), axis=1).max() < 0.015
    sharpest = [np.linalg.norm(np.diff(pelvis_of(p), 2, axis=0), axis=1).max() for p in (whole, parts)]
    assert sharpest[1] < sharpest[0] + 0.003
    assert walk.slides(parts).max() < 2e-3


def rows_of(person, rows):
    names = ("frames", "transl", "rotations", "confidence", "contacts")
    return replace(person, **{n: getattr(person, n)[rows] for n in names})


def test_the_floor_is_that_of_the_first_stretch(walk):
    """Otherwise what was done before would stand on another one."""
    parts, floor = walk.refined(walk.person, config=replace(CONFIG, stretch=12, overlap=4))
    first = rows_of(walk.person, np.arange(12))
    evidence = {1: walk.evidence[1].rows(slice(0, 12))}
    (_,), expected = refine_frames(
        [first], {1: walk.observed(first)}, evidence, np.zeros(3), FLOOR, walk.seen.times[:12], PriorConfig(), CONFIG
    )
    np.testing.assert_allclose(floor, expected, atol=1e-9)
    assert np.abs(above(parts, floor)[walk.person.contacts[:, FEET] > 0.5]).max() < 0.015


def test_frames_in_which_he_is_not_are_no_contact(walk):
    """A foot may go anywhere while nobody sees it: over a pause of more than three frames nothing is held."""
    kept = np.r_[np.arange(0, 9), np.arange(17, 31)]
    part = rows_of(walk.person, kept)
    standing = replace(part, contacts=np.ones_like(part.contacts) * (np.arange(9) < 4))
    evidence = {1: walk.evidence[1].rows(torch.from_numpy(kept))}
    said = {1: walk.observed(part)}
    (found,), _ = refine_frames([standing], said, evidence, np.zeros(3), FLOOR, walk.seen.times, PriorConfig(), CONFIG)
    np.testing.assert_array_equal(found.frames, part.frames)
    moved = np.linalg.norm(found.sites_world()[9, FEET] - found.sites_world()[8, FEET], axis=-1)
    wanted = np.linalg.norm(part.sites_world()[9, FEET] - part.sites_world()[8, FEET], axis=-1)
    assert wanted.max() > 0.1 and moved.max() > 0.7 * wanted.max()


def test_people_are_refined_each_by_themselves(walk):
    """The first of two is as if he were alone, in any order."""
    shaky = shaken(walk.person, 0.02)
    other = replace(shaken(walk.person, 0.02, seed=5), id=2)
    said = {p.id: walk.observed(p) for p in (shaky, other)}
    evidence = {1: walk.evidence[1], 2: walk.evidence[1]}
    scene = no_scene(floor=False)
    run = lambda people: refine_frames(  # noqa: E731
        people, said, evidence, np.zeros(3), scene, walk.seen.times, PriorConfig(), replace(CONFIG, iterations=40)
    )[0]
    alone, both, turned = run([shaky])[0], run([shaky, other]), run([other, shaky])
    assert [p.id for p in both] == [1, 2] and [p.id for p in turned] == [2, 1]
    for found in (both[0], turned[1]):
        np.testing.assert_allclose(pelvis_of(found), pelvis_of(alone), atol=2e-3)
