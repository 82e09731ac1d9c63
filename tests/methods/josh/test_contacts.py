"""Contacts at all frames from labels and from motion: what each of them says alone, and both together."""

import numpy as np
import pytest

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.methods.contact_detection import ContactConfig
from diorama.methods.josh.contacts import with_contacts
from diorama.methods.placing_trusted import label_contacts, with_first_contacts
from diorama.observations import ContactLabels, Observations, Source
from placed_people import person_of, pointed

COUNT = 40
TIMES = np.arange(COUNT) / 25
CAMERA = np.tile([0.0, -4.0, 1.6], (COUNT, 1))
LEFT, RIGHT, HANDS = [0, 2], [1, 3], [4, 5]
LEVEL = np.zeros(3)
CONFIG = ContactConfig()


def walker():
    """Sites of somebody whose left foot rests in the first half and swings in the second, the right one the other way
    round; the right hand moves at a metre a second, all else rests."""
    sites = np.tile(np.array([[0, 0, 0], [0.2, 0, 0], [0, 0.2, 0], [0.2, 0.2, 0], [0.3, 0.3, 0.9], [-0.3, 0.3, 0.9],
                              [0, 0.1, 0.5], [0.2, 0.1, 0.5], [0, -0.1, 0.9]], float), (COUNT, 1, 1))  # fmt: skip
    u = np.linspace(0, 1, COUNT // 2)
    swing = np.stack([1.2 * u, 0 * u, 0.4 * u * (1 - u)], 1)[:, None]
    sites[20:, LEFT] += swing
    sites[:20, RIGHT] += swing - swing[-1]
    sites[:, 5, 0] += TIMES
    return sites


def contacts_of(labels=None, sites=None, floor=LEVEL, lift=0.0):
    sites = walker() if sites is None else sites
    up = np.array([0, 0, lift])
    return with_contacts(pointed(sites + up), labels, CAMERA + up, TIMES, floor, CONFIG).contacts


def labels_of(value=0.5, **rows):
    labels = np.full((COUNT, len(CONTACT_SITE_NAMES)), value)
    for name, column in rows.items():
        labels[:, CONTACT_SITE_NAMES.index(name)] = column
    return labels


def test_motion_alone_tells_resting_feet():
    found = contacts_of()
    middle = np.r_[3:17, 23:37]
    resting = np.arange(COUNT)[middle, None] < 20
    assert ((found[middle][:, LEFT].max(1, keepdims=True) > 0.5) == resting).all()
    assert ((found[middle][:, RIGHT].max(1, keepdims=True) > 0.5) == ~resting).all()
    assert ((found >= 0) & (found <= 1)).all()


def test_a_label_of_half_says_nothing_of_a_foot():
    found, alone = contacts_of(labels_of()), contacts_of()
    certain = np.clip(alone, 1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3)))
    np.testing.assert_allclose(found[:, :4], certain[:, :4], atol=1e-9)


def test_a_surer_label_makes_a_surer_contact():
    values = np.linspace(0, 1, 9)
    found = np.stack([contacts_of(labels_of(v)) for v in values])
    assert (np.diff(found, axis=0) >= -1e-12).all()
    assert (np.diff(found, axis=0)[2:6, :, :4] > 1e-6).all()


def test_neither_witness_outvotes_the_other_when_that_is_sure():
    """A foot that certainly swings does not touch though a label says so, nor the contrary; one that may, does."""
    alone = contacts_of()[:, :4]
    for label in (0.0, 1.0):
        found = contacts_of(labels_of(label))[:, :4]
        sure = (alone > 0.96) | (alone < 0.04)
        assert sure.any() and ((found > 0.5) == (alone > 0.5))[sure].all()
        assert ((found > 0.5) == bool(label))[np.abs(alone - 0.5) < 0.3].all()


def test_hands_touch_where_labels_say_so_and_they_rest():
    """Whatever their height is: tables and walls. Without a label nothing but feet touches furniture."""
    found = contacts_of(labels_of(0.9))
    still, moving = found[3:-3, HANDS].T
    assert (still > 0.8).all() and (moving < 0.3).all()
    assert (contacts_of(labels_of(0.9, left_palm=0.0))[:, 4] == 0).all()
    assert (contacts_of()[:, 4:] < 0.05).all()


@pytest.mark.parametrize("labels", [None, labels_of(0.8)], ids=["motion", "labels"])
def test_the_floor_may_be_anywhere(labels):
    """A world that is moved with its floor; one without a floor has the lowest foot around as its ground."""
    expected = contacts_of(labels)
    np.testing.assert_allclose(contacts_of(labels, floor=np.array([0, 0, 3.0]), lift=3.0), expected, atol=1e-9)
    np.testing.assert_allclose(contacts_of(labels, floor=None, lift=3.0), expected, atol=1e-9)
    slope, sites = np.array([0.1, -0.05, 0.4]), walker()
    sites[..., 2] += sites[..., :2] @ slope[:2] + slope[2]
    person, camera = pointed(sites), CAMERA.copy()
    camera[:, 2] += camera[:, :2] @ slope[:2] + slope[2]
    kept = camera.copy()
    found = with_contacts(person, labels, camera, TIMES, slope, CONFIG)
    np.testing.assert_allclose(found.contacts, expected, atol=1e-9)
    np.testing.assert_array_equal(camera, kept)


def test_a_foot_in_the_air_at_rest_touches_nothing():
    sites = walker()
    sites[:, RIGHT] = sites[:1, RIGHT] + [0, 0, 0.3]
    assert (contacts_of(sites=sites)[5:15, 1] < 0.05).all() and (contacts_of(sites=sites)[5:15, 3] < 0.05).all()


def test_stairs_without_a_floor_have_their_ground_at_every_step():
    """Every second a step higher: the lowest foot within half a second is the ground."""
    sites = np.tile(walker()[:1], (COUNT, 1, 1))
    sites[:, [5], :] = sites[:1, [5], :]
    sites[20:, :, 2] += 0.2
    found = contacts_of(sites=sites, floor=None)
    assert (found[2:18, :4].max(1) > 0.5).all() and (found[34:, :4].max(1) > 0.5).all()
    assert (contacts_of(sites=sites)[34:, :4] < 0.5).all()


def test_one_frame_is_enough():
    person = pointed(walker()[:1])
    for labels in (None, labels_of(0.9)[:1]):
        found = with_contacts(person, labels, CAMERA[:1], TIMES[:1], None, CONFIG).contacts
        assert np.isfinite(found).all() and (found[0, LEFT] > 0.5).all()


def observations_of(labels):
    return Observations(64, 48, TIMES, np.arange(COUNT), np.zeros(COUNT, bool), contacts=labels)


def test_labels_find_their_rows_and_sites():
    """Sites in any order, some of them, and some that nobody knows; frames in any order, some without a label."""
    frames, rng = np.array([7, 3, 9]), np.random.default_rng(0)
    probability = rng.uniform(0.1, 0.9, (3, 3))
    labels = ContactLabels(
        Source("c"), (4, 1), (np.array([0]), frames), ("seat", "nose", "left_toe"), (np.ones((1, 3)), probability)
    )
    person = person_of(1, [1, 3, 4, 7, 9, 11], np.zeros((6, 3)))
    found = label_contacts(person, observations_of(labels))
    expected = np.zeros((6, len(CONTACT_SITE_NAMES)))
    for row, label in ((1, 1), (3, 0), (4, 2)):
        expected[row, CONTACT_SITE_NAMES.index("seat")] = probability[label, 0]
        expected[row, CONTACT_SITE_NAMES.index("left_toe")] = probability[label, 2]
    np.testing.assert_array_equal(found, expected)


def test_labels_that_are_no_probabilities():
    bad = np.array([[np.nan, 2.0, -1.0]])
    sites = ("seat", "left_heel", "right_heel")
    labels = ContactLabels(Source("c"), (1,), (np.array([0]),), sites, (bad,))
    found = label_contacts(person_of(1, [0], np.zeros((1, 3))), observations_of(labels))
    assert [found[0, CONTACT_SITE_NAMES.index(n)] for n in sites] == [0, 1, 0]


@pytest.mark.parametrize(
    "labels", [None, ContactLabels(Source("c"), (5,), (np.array([0]),), ("seat",), (np.ones((1, 1)),))]
)
def test_who_was_not_looked_at_has_no_labels(labels):
    """Then the lower foot stands, in the direction of up."""
    assert label_contacts(person_of(1, [0], np.zeros((1, 3))), observations_of(labels)) is None
    sites = walker()
    sites[:20, RIGHT, 2], sites[20:, LEFT, 2] = 0.1, 0.1
    turned = sites[..., [2, 0, 1]]
    for points, up in ((sites, [0, 0, 1.0]), (turned, [1.0, 0, 0])):
        found = with_first_contacts(pointed(points), observations_of(labels), np.array(up)).contacts
        assert (found[:20, LEFT] > 0.5).all() and (found[20:, RIGHT] > 0.5).all()
        assert (found[20:, LEFT] == 0).all() and (found[:20, RIGHT] == 0).all() and (found[:, 4:] == 0).all()
