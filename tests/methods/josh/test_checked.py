"""What JOSH makes of rows in any order, twice, of no frame, or of no numbers; and of cameras that do not travel."""

from dataclasses import replace

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.methods.josh.checked import checked, finite_rows
from diorama.observations import MaskStack
from precomputed_folders import FRAMES, every_part


def lawful(seed=0):
    """A small set of observations that holds every part, with nothing wrong in it."""
    seen = every_part(seed)
    depth, prior = (replace(d, depth=d.depth + np.float32(0.5)) for d in (seen.depth, seen.depth_prior))
    return replace(seen, depth=depth, depth_prior=prior)


PER_ROW = {
    "bodies": ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence"),
    "tracks": ("frames", "boxes", "keypoints", "keypoints_3d", "overlap"),
    "depth": ("frames", "depth", "confidence", "K"),
}


def with_rows(part, kind, rows):
    """A part of one person or the depth with its rows in another order, or some of them twice."""
    changes = {name: getattr(part, name)[rows] for name in PER_ROW[kind]}
    if kind == "tracks":
        windows = [(tuple(int(x) for x in part.masks.windows[n]), part.masks.window(int(n))) for n in rows]
        changes["masks"] = MaskStack.encode(windows, part.masks.width, part.masks.height)
    return replace(part, **changes)


def mapped(seen, kind, change):
    """The observations with every person of a part, or the depth, changed."""
    part = getattr(seen, kind)
    if kind == "depth":
        return replace(seen, depth=change(part))
    return replace(seen, **{kind: replace(part, people=tuple(change(p) for p in part.people))})


def one_of(seen, kind):
    part = getattr(seen, kind)
    return part if kind == "depth" else part.people[0]


def assert_rows(found, wanted, kind):
    for name in PER_ROW[kind]:
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name), err_msg=name)
    if kind == "tracks":
        assert len(found.masks) == len(wanted.masks)
        for n in range(len(wanted.frames)):
            np.testing.assert_array_equal(found.masks.full(n), wanted.masks.full(n))


def test_what_is_lawful_stays_as_it_is():
    seen = lawful()
    found = checked(seen)
    for kind in PER_ROW:
        for one, other in zip(
            *(getattr(s, kind).people if kind != "depth" else (s.depth,) for s in (found, seen)), strict=True
        ):
            wanted = replace(other, residual_px=np.zeros(5)) if kind == "bodies" else other
            assert_rows(one, wanted, kind)
    assert found.matches is seen.matches and found.times is seen.times
    np.testing.assert_array_equal(found.cameras.T_world_camera, seen.cameras.T_world_camera)
    np.testing.assert_array_equal(found.depth_prior.depth, seen.depth_prior.depth)
    for one, other in zip(found.contacts.probability, seen.contacts.probability, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", PER_ROW)
def test_rows_come_in_the_order_of_their_frames(kind):
    seen = checked(lawful())
    rows = np.array([2, 0, 3, 1, 4])
    rows = rows[rows < len(one_of(seen, kind).frames)]
    assert_rows(one_of(checked(mapped(seen, kind, lambda p: with_rows(p, kind, rows))), kind), one_of(seen, kind), kind)


@pytest.mark.parametrize("kind", PER_ROW)
def test_of_frames_that_are_given_twice_the_first_row_counts(kind):
    seen = checked(lawful())
    count = len(one_of(seen, kind).frames)

    def twice(part):
        more = with_rows(part, kind, np.r_[np.arange(count), [1, 0, count - 1]])
        name = {"bodies": "transl", "tracks": "keypoints", "depth": "depth"}[kind]
        values = getattr(more, name).copy()
        values[count:] = 1.5
        return replace(more, **{name: values})

    assert_rows(one_of(checked(mapped(seen, kind, twice)), kind), one_of(seen, kind), kind)


@pytest.mark.parametrize("kind", PER_ROW)
def test_rows_of_no_frame_are_left_out(kind):
    seen = checked(lawful())
    frames = one_of(seen, kind).frames
    wrong = np.array([-1, *frames[1:-1], FRAMES])
    found = one_of(checked(mapped(seen, kind, lambda p: replace(p, frames=wrong))), kind)
    assert_rows(found, with_rows(one_of(seen, kind), kind, np.arange(1, len(frames) - 1)), kind)
    nobody = checked(mapped(seen, kind, lambda p: replace(p, frames=np.arange(len(frames)) + FRAMES)))
    assert nobody.depth is None if kind == "depth" else getattr(nobody, kind).people == ()


def test_checking_twice_changes_nothing_more():
    rng = np.random.default_rng(0)
    seen = mapped(lawful(), "bodies", lambda p: with_rows(p, "bodies", rng.permutation(5)))
    seen.bodies.people[0].transl[3] = np.nan
    seen.depth.depth[1, :3] = np.inf
    seen.cameras.T_world_camera[4] = np.nan
    seen = replace(seen, times=np.array([0.0, 0.04, 0.04, 0.08, 0.12, 0.16]))
    once = checked(seen)
    again = checked(once)
    for kind in PER_ROW:
        assert_rows(one_of(again, kind), one_of(once, kind), kind)
    np.testing.assert_array_equal(again.times, once.times)
    np.testing.assert_array_equal(again.cameras.T_world_camera, once.cameras.T_world_camera)


@pytest.mark.parametrize("kind", ["static", "rotating", "translating"])
def test_cameras_that_do_not_travel_are_in_one_place(kind):
    seen = lawful()
    cameras = replace(seen.cameras, kind=kind)
    found = checked(replace(seen, cameras=cameras)).cameras.T_world_camera
    np.testing.assert_array_equal(found[:, :3, :3], cameras.T_world_camera[:, :3, :3])
    centres = cameras.T_world_camera[:, :3, 3]
    if kind == "translating":
        np.testing.assert_array_equal(found[:, :3, 3], centres)
    else:
        np.testing.assert_allclose(found[:, :3, 3], np.tile(centres.mean(0), (FRAMES, 1)), atol=1e-12)


def spoilt_cameras(seen):
    T, K = seen.cameras.T_world_camera.copy(), seen.cameras.K.copy()
    T[0, 0, 3] = np.nan
    T[1, :3, :3] *= 1.2
    T[3, :3, :3] = -T[3, :3, :3]
    K[5, 1, 1] = 0.0
    return replace(seen.cameras, T_world_camera=T, K=K)


def test_cameras_that_are_none_are_those_of_the_nearest_frame():
    """No number, another scale, a mirror, no lens: frames 2 and 4 are left."""
    seen = lawful()
    found = checked(replace(seen, cameras=spoilt_cameras(seen))).cameras
    near = [2, 2, 2, 2, 4, 4]
    np.testing.assert_array_equal(found.T_world_camera, seen.cameras.T_world_camera[near])
    np.testing.assert_array_equal(found.K, seen.cameras.K[near])
    assert list(np.flatnonzero(found.registered)) == [4]


def test_what_is_left_of_a_broken_part():
    """Single numbers of maps and bodies, and bodies behind the camera."""
    seen = lawful()
    depth, body = seen.depth, seen.bodies.people[0]
    depth.depth[0, 2, :4] = np.nan, np.inf, -1.0, 1e30
    depth.K[1] = np.nan
    body.transl[1, 2] = -2.0
    body.global_orient[3, 0] = np.inf
    body.confidence[4] = np.nan
    found = checked(seen)
    expected = depth.depth.copy()
    expected[0, 2, :4] = 0
    np.testing.assert_array_equal(found.depth.depth, expected)
    # A lens that is none is the camera's, at the size of the map.
    scale = np.array([[24 / seen.width], [16 / seen.height], [1.0]])
    np.testing.assert_allclose(found.depth.K[1], scale * seen.cameras.K[depth.frames[1]])
    np.testing.assert_array_equal(found.bodies.people[0].frames, [0, 2, 4])
    assert found.bodies.people[0].confidence[-1] == 0
    assert not len(finite_rows(replace(body, betas=np.full(10, np.nan))).frames)


def test_matches_join_two_frames_of_the_video():
    seen = lawful()
    matches = seen.matches
    for name, values in (
        ("frames_j", [1, 0, 4]), ("frames_i", [0, 0, -1]), ("frames_j", [1, 2, FRAMES]),
        ("xy_i", [[1, 1], [np.nan, 1], [2, 2]]), ("xy_j", [[1, 1], [1e7, 1], [2, 2]]), ("confidence", [0.5, 0.0, 0.5]),
        ("confidence", [0.5, np.nan, 0.5]),
    ):  # fmt: skip
        found = checked(replace(seen, matches=replace(matches, **{name: np.array(values)}))).matches
        assert len(found.frames_i) == 2, name
    nothing = replace(matches, frames_i=matches.frames_j)
    assert checked(replace(seen, matches=nothing)).matches is None


def test_contacts_are_probabilities():
    seen = lawful()
    values = seen.contacts.probability[0]
    values[0], values[1] = [np.nan, 3.0], [-2.0, np.inf]
    np.testing.assert_array_equal(checked(seen).contacts.probability[0][:2], [[0, 1], [0, 0]])


@pytest.mark.parametrize(
    ("times", "steps"),
    [
        ((0, 1, 1, 2, 3, 4), (1, 0.1, 1, 1, 1)),
        ((0, 0, 0, 0, 0, 0), (1 / 300,) * 5),
        ((0, 1, 2, 3, 4, 4), (1, 1, 1, 1, 0.1)),
    ],
)
def test_times_grow(times, steps):
    found = checked(replace(lawful(), times=np.array(times, float))).times
    np.testing.assert_allclose(np.diff(found), steps)
    assert found[0] == times[0]


def fewer_cameras(seen):
    names = ("K", "distortion", "T_world_camera", "registered")
    return replace(seen, cameras=replace(seen.cameras, **{n: getattr(seen.cameras, n)[:4] for n in names}))


def body_twice(seen):
    return replace(seen, bodies=replace(seen.bodies, people=seen.bodies.people[:1] * 2))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: replace(s, times=np.array([0, 1, np.nan, 3, 4, 5])), "times"),
        (lambda s: replace(s, times=np.array([0.0, 1, 3, 2, 4, 5])), "times"),
        (
            lambda s: replace(s, times=np.zeros(0), frame_index=np.zeros(0, int), duplicate=np.zeros(0, bool)),
            "no frames",
        ),
        (fewer_cameras, "4 cameras for 6"),
        (lambda s: replace(s, cameras=replace(s.cameras, K=np.zeros((FRAMES, 3, 3)))), "no camera"),
        (body_twice, "one id"),
    ],
)
def test_contradictions_are_one_clear_error(change, word):
    with pytest.raises(DioramaError, match=word):
        checked(change(lawful()))
