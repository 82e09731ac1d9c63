"""The floor under all feet that touch: a plane that is known, furniture and noise beside it, and where there is none."""

import numpy as np
import pytest

from diorama.methods.josh.floor import common_floor
from placed_people import pointed

PLANES = [(0.0, 0.0, 0.0), (0.0, 0.0, -1.7), (0.05, -0.08, 0.6)]


def people_on(plane, count=2, rows=60, seed=0, noise=0.0, spread=2.0):
    """People who stand anywhere on a plane, each foot flat; hands and all else are anywhere too."""
    rng, people = np.random.default_rng(seed), []
    for id in range(1, count + 1):
        sites = rng.uniform(-spread, spread, (rows, 9, 3)) + np.array([5.0, -3.0, 0.0])
        sites[:, :4, 2] = sites[:, :4, :2] @ plane[:2] + plane[2] + noise * rng.normal(size=(rows, 4))
        contacts = np.ones((rows, 9))
        people.append(pointed(sites, contacts, id))
    return people


def height_error(floor, plane):
    """Largest distance between two planes where people are, metres."""
    corners = np.array([[x, y] for x in (3, 7) for y in (-5, -1)])
    return np.abs(corners @ (floor[:2] - np.array(plane[:2])) + floor[2] - plane[2]).max()


@pytest.mark.parametrize("plane", PLANES)
def test_a_known_plane_comes_back(plane):
    """Slopes are drawn a little to level ground: less than a centimetre of height here."""
    floor = common_floor(people_on(plane))
    assert floor is not None and height_error(floor, plane) < (0.01 if plane[0] else 1e-9)


@pytest.mark.parametrize("plane", PLANES)
def test_furniture_and_wrong_contacts_do_not_move_it(plane):
    """A tenth of the feet that touch are on a chair, some are anywhere; noise of a centimetre."""
    people = people_on(plane, noise=0.01)
    rng = np.random.default_rng(1)
    for person in people:
        person.points[:5, :4, 2] += 0.45
        person.points[10:12, :4, 2] = rng.uniform(-1, 3, (2, 4))
    floor = common_floor(people)
    assert floor is not None and height_error(floor, plane) < 0.015


def test_feet_in_the_air_count_for_nothing():
    people = people_on((0.0, 0.0, 0.3))
    for person in people:
        person.points[::2, :4, 2] += 0.3
        person.contacts[::2, :4] = 0.5
    floor = common_floor(people)
    assert floor is not None and height_error(floor, (0.0, 0.0, 0.3)) < 1e-9


def test_the_world_may_be_moved():
    """Along the floor, and up: the same plane."""
    plane, move = (0.03, -0.02, 0.5), np.array([30.0, -12.0, 4.0])
    people = people_on(plane, noise=0.01)
    moved = [pointed(p.points + move, p.contacts, p.id) for p in people]
    one, other = common_floor(people), common_floor(moved)
    np.testing.assert_allclose(other[:2], one[:2], atol=1e-9)
    assert other[2] == pytest.approx(one[2] + move[2] - move[:2] @ one[:2], abs=1e-9)


def test_people_who_stand_in_one_place_stand_level():
    people = people_on((0.0, 0.0, 0.2), count=1, rows=10, noise=0.01, spread=0.1)
    floor = common_floor(people)
    assert floor is not None and np.abs(floor[:2]).max() < 0.004
    assert np.array([5.0, -3.0]) @ floor[:2] + floor[2] == pytest.approx(0.2, abs=6e-3)


def test_two_floors_are_none():
    lower, upper = people_on((0.0, 0.0, 0.0), count=1), people_on((0.0, 0.0, 0.8), count=1, seed=1)
    assert common_floor([*lower, *upper]) is None


def test_stairs_are_no_floor():
    (person,) = people_on((0.0, 0.0, 0.0), count=1)
    person.points[:, :4, 2] += 0.2 * (np.arange(60) // 10)[:, None] * np.array([1.0, -1.0, 1.0, -1.0])
    assert common_floor([person]) is None


@pytest.mark.parametrize("rows", [0, 1])
def test_without_feet_on_the_ground_there_is_none(rows):
    assert common_floor([]) is None
    assert common_floor(people_on((0.0, 0.0, 0.0), count=1, rows=rows)) is None
    in_the_air = people_on((0.0, 0.0, 0.0))
    for person in in_the_air:
        person.contacts[:, :4] = 0.4
    assert common_floor(in_the_air) is None
