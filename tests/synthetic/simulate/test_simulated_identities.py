"""Who is who: missed frames, exchanged, broken, late and lost tracks, in all parts alike."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from diorama.synthetic.simulate import PRESETS, simulate
from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.identities import IdentityConfig, plan_identities
from diorama.synthetic.simulate.seen_person import touching_pairs
from simulated_world import lengthened

SEEDS = range(200)


@pytest.fixture(scope="module")
def pair(exact):
    """Two people for 600 frames (20 s), nothing covered."""
    return [lengthened(person, 600) for person in exact.people]


def planned(people, touching=None, seed=0, **knobs):
    return plan_identities(people, touching or {}, IdentityConfig(**knobs), seed)


def test_without_faults_ids_are_true(pair):
    one, other = planned(pair)
    assert (one.id, other.id) == (1, 2) and one.main == 1
    assert len(one.rows) == 600 and set(one.true_ids) == {1}


def test_missed_frames_come_in_bursts(pair):
    found = [planned(pair, seed=s, missed=0.1, missed_seconds=0.5)[0].rows for s in SEEDS]
    assert np.mean([1 - len(rows) / 600 for rows in found]) == pytest.approx(0.1, rel=0.1)
    gaps = np.concatenate([np.diff(rows)[np.diff(rows) > 1] - 1 for rows in found]) / 30
    assert gaps.mean() == pytest.approx(0.5, rel=0.15)


def test_people_who_meet_exchange_ids(pair):
    meeting = {row: {(1, 2)} for row in (*range(100, 120), *range(300, 310))}
    one, other = planned(pair, meeting, swap=1.0)
    expected = np.where((np.arange(600) >= 120) & (np.arange(600) < 310), 2, 1)
    assert np.array_equal(one.true_ids, expected) and np.array_equal(other.true_ids, 3 - expected)
    swapped = [planned(pair, meeting, seed=s, swap=0.3)[0].true_ids for s in SEEDS]
    assert np.mean([(ids[200] == 2) for ids in swapped]) == pytest.approx(0.3, abs=0.08)
    assert all((planned(pair, seed=s, swap=1.0)[0].true_ids == 1).all() for s in range(5))


def test_tracks_break(pair):
    plans = [planned(pair, seed=s, splits=6.0, split_seconds=0.4) for s in SEEDS]
    assert np.mean([len(plan) for plan in plans]) == pytest.approx(2 + 2 * 6 / 3, rel=0.1)
    for plan in plans[:20]:
        assert [i.id for i in plan] == list(range(1, len(plan) + 1))
        for id in (1, 2):
            pieces = sorted((i for i in plan if i.main == id), key=lambda i: i.rows[0])
            assert all(set(i.true_ids) == {id} for i in pieces)
            for before, after in itertools.pairwise(pieces):
                assert after.rows[0] - before.rows[-1] >= 12


def test_late_and_lost_people(pair):
    first = np.array([planned(pair, seed=s, late=0.5, late_seconds=2.0)[0].rows[0] for s in SEEDS])
    assert (first > 0).mean() == pytest.approx(0.5, abs=0.1) and 50 < first.max() <= 60
    last = np.array([planned(pair, seed=s, lost=0.5)[0].rows[-1] for s in SEEDS])
    assert (last < 599).mean() == pytest.approx(0.5, abs=0.1) and last.min() >= 299


def test_covered_people_are_not_detected(pair):
    covered = np.zeros((600, 33), bool)
    covered[100:200] = True
    covered[200:300, :16] = True
    one, _ = planned([replace(pair[0], covered=covered), pair[1]], unseen=0.5)
    assert set(range(600)) - set(one.rows) == set(range(100, 200))


def test_who_touches_whom():
    ids = np.zeros((3, 4, 6), np.int16)
    ids[0, :, :2], ids[0, :, 3:5] = 1, 2
    ids[1, :, :2], ids[1, :, 2:4], ids[1, :, 4:] = 1, 3, 2
    ids[2, :2], ids[2, 2:] = 2, 1
    frames = Frames(np.array([5, 7, 9]), np.ones_like(ids, np.float32), ids)
    assert touching_pairs(frames) == {7: {(1, 3), (2, 3)}, 9: {(1, 2)}}


def test_all_parts_tell_the_same_story(exact):
    """Rows of tracks, bodies and contacts of each observed id are the same, and belong to the same person."""
    faults = IdentityConfig(missed=0.1, splits=40.0, late=0.5, lost=0.5, shortest=5)
    seen = simulate(exact.truth, exact.view, replace(PRESETS["exact"], identities=faults), 2)
    clean = simulate(exact.truth, exact.view, PRESETS["exact"], 2)
    assert len(seen.tracks.people) > 2 and all(len(t.frames) >= 5 for t in seen.tracks.people)
    for track, body, id, frames, labels in zip(
        seen.tracks.people, seen.bodies.people, seen.contacts.ids, seen.contacts.frames, seen.contacts.probability,
        strict=True,
    ):  # fmt: skip
        assert track.id == body.id == id
        assert np.array_equal(track.frames, body.frames) and np.array_equal(track.frames, frames)
        whose = [n for n, t in enumerate(clean.tracks.people)
                 if np.array_equal(t.keypoints[track.frames], track.keypoints)]  # fmt: skip
        assert len(whose) == 1
        assert np.array_equal(clean.bodies.people[whose[0]].transl[track.frames], body.transl)
        assert np.array_equal(clean.contacts.probability[whose[0]][track.frames], labels)
        assert np.array_equal(clean.tracks.people[whose[0]].masks.full(int(track.frames[0])), track.masks.full(0))


def test_short_tracks_are_dropped_and_named(exact):
    faults = IdentityConfig(splits=100.0, shortest=8)
    seen = simulate(exact.truth, exact.view, replace(PRESETS["exact"], identities=faults), 0)
    assert seen.tracks.dropped and all("frames" in reason for reason in seen.tracks.dropped)


def test_exchanged_people_keep_the_shape_of_their_id_and_their_place(exact):
    """After an exchange the body of one id stands where the other person stands, in the first one's size."""
    from diorama.synthetic.simulate.bodies import BodyConfig, observed_body, trace_body
    from diorama.synthetic.simulate.identities import Identity

    traces = {p.id: trace_body(p, (960, 540), np.full(60, 700.0), BodyConfig(), 0) for p in exact.people}
    mixed = Identity(1, np.arange(60), np.where(np.arange(60) < 40, 1, 2))
    body = observed_body(mixed, traces, exact.truth.cameras, "blazepose33")
    whole = observed_body(Identity(1, np.arange(60), np.full(60, 1)), traces, exact.truth.cameras, "blazepose33")
    assert np.array_equal(body.betas, whole.betas)
    assert body.transl[:40] == pytest.approx(whole.transl[:40], abs=1e-9)
    one, other = exact.people
    ratio = one.stature / other.stature
    assert body.transl[40:] - whole.transl[:1] == pytest.approx(ratio * other.pelvis[40:] - one.pelvis[:1], abs=1e-5)
