"""From keyframes to the frames between them: what was found at keyframes comes back there, and changes are linear in time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diorama.geometry.rotations import exp_so3, matrix_of
from diorama.geometry.transforms import apply, invert, rigid
from diorama.methods.josh.all_frames import all_cameras, all_people
from diorama.methods.josh.segments import KeyResult
from placed_people import pelvis_of, person_of

COUNT = 20
# Neither frames nor keyframes are evenly spaced; the first and the last frames are beyond the keyframes.
TIMES = np.cumsum(np.random.default_rng(4).uniform(0.02, 0.06, COUNT))
KEYS = np.array([2, 5, 6, 11, 17])
INSIDE = slice(2, 18)


def result_of(T, people=()):
    count = len(KEYS)
    return KeyResult(KEYS, T, np.zeros((count, 5)), np.zeros(count), {p.id: p for p in people})


def some_cameras(seed=0, size=0.3):
    """A path with turns, not smooth."""
    rng = np.random.default_rng(seed)
    return rigid(matrix_of(size * rng.normal(size=(COUNT, 3))), size * rng.normal(size=(COUNT, 3)))


def still():
    return np.tile(some_cameras(3)[:1], (COUNT, 1, 1))


def at_keys(person):
    """The person at the keyframes in which he is."""
    rows = np.flatnonzero(np.isin(person.frames, KEYS))
    names = ("frames", "transl", "rotations", "confidence", "contacts")
    return replace(person, **{n: getattr(person, n)[rows] for n in names})


def test_keyframes_have_what_was_found():
    before, found = some_cameras(), some_cameras(1)[KEYS]
    np.testing.assert_allclose(all_cameras(before, TIMES, result_of(found))[KEYS], found, atol=1e-12)


def test_cameras_of_constant_velocity_are_exact():
    """Steady motion and turning, before one camera that stood still: in seconds, not in frames."""
    before = still()
    u = TIMES - TIMES[0]
    moving = before @ rigid(matrix_of(u[:, None] * [0.4, -0.7, 0.2]), u[:, None] * [1.0, 0.3, -0.5])
    after = all_cameras(before, TIMES, result_of(moving[KEYS]))
    np.testing.assert_allclose(after[INSIDE], moving[INSIDE], atol=1e-9)


def test_the_change_of_the_nearest_keyframe_holds_beyond_the_ends():
    before, found = some_cameras(), some_cameras(1)[KEYS]
    after = all_cameras(before, TIMES, result_of(found))
    for rows, key in (([0, 1], 0), ([18, 19], -1)):
        change = invert(before[KEYS[key]]) @ found[key]
        np.testing.assert_allclose(after[rows], before[rows] @ change, atol=1e-12)


def test_the_motion_between_keyframes_is_that_of_the_first_estimate():
    """A change that is the same at all keyframes is that of all frames, however the camera shakes."""
    before, change = some_cameras(), some_cameras(7)[0]
    np.testing.assert_allclose(all_cameras(before, TIMES, result_of(before[KEYS] @ change)), before @ change, atol=1e-9)


def test_one_keyframe_moves_all():
    before, found = some_cameras(), some_cameras(1)[[4]]
    one = KeyResult(np.array([4]), found, np.zeros((1, 5)), np.zeros(1), {})
    np.testing.assert_allclose(all_cameras(before, TIMES, one), before @ invert(before[4]) @ found, atol=1e-9)


def somebody(frames=None, seed=0, turned=0.2):
    """In all frames or some, three to five metres before the cameras' world."""
    frames = np.arange(COUNT) if frames is None else np.asarray(frames)
    rng = np.random.default_rng(seed)
    return person_of(1, frames, rng.normal((0.2, 0.1, 4), 0.3, (len(frames), 3)), turned=turned, seed=seed)


def before_camera(person, T):
    """Pelvis and root as the camera sees them."""
    seen = T[person.frames]
    return apply(invert(seen), pelvis_of(person)), np.swapaxes(seen[:, :3, :3], 1, 2) @ person.rotations[:, 0].numpy()


def assert_people(found, wanted, rows=slice(None), tolerance=1e-9):
    np.testing.assert_allclose(pelvis_of(found)[rows], pelvis_of(wanted)[rows], atol=tolerance)
    torch.testing.assert_close(found.rotations[rows], wanted.rotations[rows], atol=tolerance, rtol=0)


@pytest.mark.parametrize("frames", [None, [1, 2, 3, 6, 7, 10, 11, 12, 18]])
def test_people_at_keyframes_are_those_that_were_found(frames):
    person, before, after = somebody(frames), some_cameras(), some_cameras(1, 0.25)
    keyed = at_keys(somebody(frames, seed=5))
    taller = replace(keyed, betas=person_of(1, [0], [[0, 0, 0.0]], stature=1.8).betas)
    keyed = replace(taller, transl=keyed.transl + keyed.pelvis_rest - taller.pelvis_rest)
    (found,) = all_people([person], before, after, TIMES, result_of(after[KEYS], [keyed]))
    rows = np.flatnonzero(np.isin(person.frames, KEYS))
    assert len(rows) < len(person.frames)
    np.testing.assert_array_equal(found.frames, person.frames)
    np.testing.assert_allclose(pelvis_of(found)[rows], pelvis_of(keyed), atol=1e-9)
    torch.testing.assert_close(found.rotations[rows], keyed.rotations, atol=1e-9, rtol=0)
    torch.testing.assert_close(found.betas, keyed.betas)


def test_who_is_in_no_keyframe_stays_before_his_cameras():
    person, before, after = somebody([3, 4, 9, 15, 16]), some_cameras(), some_cameras(1)
    (found,) = all_people([person], before, after, TIMES, result_of(after[KEYS]))
    for mine, wanted in zip(before_camera(found, after), before_camera(person, before), strict=True):
        np.testing.assert_allclose(mine, wanted, atol=1e-9)
    torch.testing.assert_close(found.rotations[:, 1:], person.rotations[:, 1:])


def test_nothing_changes_where_nothing_was_changed():
    person, T = somebody(), some_cameras()
    (found,) = all_people([person], T, T, TIMES, result_of(T[KEYS], [at_keys(person)]))
    assert_people(found, person)


def test_a_common_factor_of_all_distances_is_that_of_all_frames():
    """Somebody seen a tenth too far, near and far frames alike; and turned joints alike."""
    person, T = somebody(), some_cameras()
    turn = exp_so3(torch.tensor([0.1, 0.3, -0.2]).double())
    centre = T[person.frames, :3, 3]
    nearer = centre + 0.9 * (pelvis_of(person) - centre)
    wanted = replace(person, transl=torch.from_numpy(nearer) - person.pelvis_rest, rotations=person.rotations @ turn)
    (found,) = all_people([person], T, T, TIMES, result_of(T[KEYS], [at_keys(wanted)]))
    assert_people(found, wanted)


def test_people_of_constant_velocity_are_followed():
    """Steady steps and turns of somebody who had stood still."""
    T = still()
    standing = person_of(1, np.arange(COUNT), np.tile(T[0, :3, 3] + 4 * T[0, :3, 2], (COUNT, 1)))
    u = torch.from_numpy(TIMES - TIMES[0])
    turns = exp_so3(u[:, None, None] * torch.linspace(-1, 1, 72).reshape(1, 24, 3).double())
    drift = 0.1 * u[:, None] * torch.tensor([0.5, -0.6, 0.4]).double()
    moving = replace(standing, transl=standing.transl + drift, rotations=standing.rotations @ turns)
    (found,) = all_people([standing], T, T, TIMES, result_of(T[KEYS], [at_keys(moving)]))
    # The logarithm of the distance is linear, not the distance: less than a tenth of a millimetre here.
    assert_people(found, moving, INSIDE, tolerance=1e-4)
    torch.testing.assert_close(found.rotations[INSIDE], moving.rotations[INSIDE], atol=1e-9, rtol=0)


def test_beyond_the_keyframes_the_last_change_holds():
    """Frames before his first keyframe keep his own motion, at the distance that the keyframe found."""
    person, T = somebody(), still()
    keyed = at_keys(somebody(seed=9))
    (found,) = all_people([person], T, T, TIMES, result_of(T[KEYS], [keyed]))
    pelvis, seen = before_camera(person, T)[0], before_camera(found, T)[0]
    for rows, key in (([0, 1], 2), ([18, 19], 17)):
        factor = np.linalg.norm(seen[key]) / np.linalg.norm(pelvis[key])
        rest = np.tile(seen[key] - factor * pelvis[key], (2, 1))
        np.testing.assert_allclose(seen[rows] - factor * pelvis[rows], rest, atol=1e-9)
        change = person.rotations[key].mT @ found.rotations[key]
        torch.testing.assert_close(found.rotations[rows][:, 1:], (person.rotations[rows] @ change)[:, 1:])


def test_a_moved_world_is_moved_the_same():
    """Whatever the origin and axes of the first estimate are."""
    person, before, after = somebody(), some_cameras(), some_cameras(1)
    keyed = at_keys(somebody(seed=5))
    (found,) = all_people([person], before, after, TIMES, result_of(after[KEYS], [keyed]))
    R, t = matrix_of(np.array([[0.5, -1.0, 0.3]]))[0], np.array([3.0, -1.0, 2.0])
    move = rigid(R, t)
    turned = result_of(move @ after[KEYS], [keyed.moved(R, t)])
    np.testing.assert_allclose(
        all_cameras(move @ before, TIMES, turned), move @ all_cameras(before, TIMES, result_of(after[KEYS])), atol=1e-9
    )
    (other,) = all_people([person.moved(R, t)], move @ before, move @ after, TIMES, turned)
    assert_people(other, found.moved(R, t))
