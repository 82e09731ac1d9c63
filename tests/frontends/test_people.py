"""From tracker to `Tracks`: short and doubtful tracks go, pieces are joined, left and right stay apart; real clips."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from toy_people import ToyNetworks, ToyVideo, Walker

from diorama.assets import cache_dir
from diorama.errors import DioramaError
from diorama.frontends.blazepose import BlazePose
from diorama.frontends.identities import ARMS, LEGS, Fragment, LinkingConfig, join_fragments, repair_swaps
from diorama.frontends.people import (
    PeopleConfig,
    main_parts,
    min_track_frames,
    person_box,
    select,
    stack_masks,
    track_people,
)
from diorama.frontends.silhouettes import Canvas, Silhouette
from diorama.observations import MaskStack, Tracks
from diorama.records import load_record, save_record
from diorama.video import open_video

RED, BLUE = (230, 30, 30), (30, 30, 230)


@pytest.fixture(scope="session")
def networks():
    try:
        return BlazePose(threads=2)
    except DioramaError as error:
        pytest.skip(str(error))


def fragment(frames, x=100.0, speed=2.0, confirmed=1, chances=1, colour=0) -> Fragment:
    frames = np.asarray(frames)
    middle = np.stack([x + speed * frames, np.full(len(frames), 200.0)], 1)
    colours = np.zeros((3, 512))
    colours[:, colour] = 1
    return Fragment(
        frames=frames,
        keypoints=np.concatenate([np.repeat(middle[:, None], 33, 1), np.ones((len(frames), 33, 1))], 2),
        keypoints_3d=np.zeros((len(frames), 33, 3)),
        boxes=np.concatenate([middle - np.array([20, 80]), middle + np.array([20, 80])], 1),
        masks=tuple(MaskStack.encode([((0, 0, 2, 2), np.eye(2, dtype=bool))], 64, 36) for _ in frames),
        overlap=np.zeros(len(frames), bool),
        sizes=np.full(len(frames), 200.0),
        colours=colours,
        confirmed=confirmed,
        chances=chances,
    )


def test_pieces_of_one_walk_are_joined_in_order():
    pieces = [fragment(range(40, 60)), fragment(range(0, 15)), fragment(range(20, 33))]
    [whole] = join_fragments(pieces, LinkingConfig())
    assert (np.diff(whole.frames) > 0).all() and len(whole.frames) == 48 and len(whole.masks) == 48


@pytest.mark.parametrize(
    "later",
    [
        fragment(range(20, 30), x=400.0),
        fragment(range(60, 70)),
        fragment(range(20, 30), colour=300),
        fragment(range(10, 30)),
    ],
    ids=["elsewhere", "too late", "other colours", "at the same time"],
)
def test_pieces_of_different_people_are_not_joined(later):
    assert len(join_fragments([fragment(range(0, 15)), later], LinkingConfig())) == 2


def test_short_and_unconfirmed_tracks_are_dropped_with_reasons():
    long, short = fragment(range(50)), fragment(range(4), x=300.0)
    ghost = fragment(range(20, 45), x=500.0, confirmed=0, chances=3)
    flicker = fragment(range(3, 49, 4), x=700.0)
    kept, dropped = select([short, ghost, long, flicker], 50, 360, PeopleConfig())
    assert [len(f.frames) for f in kept] == [50]
    assert len(dropped) == 3 and "too short (4 of at least 10" in dropped[0]
    assert "seen in 12 of 45" in dropped[1] and "0 of 3" in dropped[2]


@pytest.mark.parametrize(
    ("lengths", "frames", "least"),
    [([100, 4], 100, 10), ([5], 100, 5), ([5, 2], 100, 5), ([2], 100, 3), ([1], 1, 1), ([2], 2, 2), ([], 50, 3)],
)
def test_least_length_depends_on_what_there_is(lengths, frames, least):
    assert min_track_frames(lengths, frames, PeopleConfig()) == least


def test_far_smaller_people_are_dropped_only_beside_larger_ones():
    small = fragment(range(30))
    large = dataclasses.replace(small, boxes=small.boxes + np.array([-60, -240, 60, 240.0]))
    assert len(select([small], 30, 1200, PeopleConfig())[0]) == 1
    kept, dropped = select([small, large], 30, 1200, PeopleConfig())
    assert kept == [large] and "far smaller" in dropped[0]


def test_boxes_hold_mask_and_believed_joints_inside_the_picture():
    keypoints = np.zeros((33, 3))
    keypoints[:, :2] = (50, 60)
    keypoints[0] = (700, 20, 0.9)
    keypoints[1] = (5, 5, 0.1)
    assert np.allclose(person_box(keypoints, (20.0, 20.0, 30.0, 45.0), 0.5, (640, 360)), [40, 20, 640, 90])


def test_small_islands_are_not_part_of_a_mask():
    values = np.zeros((50, 50), np.float32)
    values[5:40, 5:20], values[45:47, 45:47] = 1, 1
    assert main_parts(Silhouette(0, 0, values)).area == 35 * 15


def test_single_masks_are_stacked_losslessly():
    rng = np.random.default_rng(0)
    pictures = [rng.random((9, 7)) > 0.5 for _ in range(4)]
    single = tuple(MaskStack.encode([((3 + k, 2, 10 + k, 11), m)], 64, 36) for k, m in enumerate(pictures))
    stack = stack_masks(single, Canvas(64, 36, 0.1))
    assert len(stack) == 4
    for row, mask in enumerate(pictures):
        assert np.array_equal(stack.window(row), mask)
        assert stack.full(row).sum() == mask.sum()


def gait(count: int) -> np.ndarray:
    """3D joints, metres: left and right a hand's breadth apart and swinging."""
    rng = np.random.default_rng(1)
    joints = np.tile(rng.normal(0, 0.3, (1, 33, 3)), (count, 1, 1))
    joints[:, :, 0] = np.where(np.arange(33) % 2, 0.12, -0.12)
    return joints + 0.02 * np.sin(np.arange(count) / 4)[:, None, None]


def test_short_exchanges_of_left_and_right_are_undone():
    truth = gait(40)
    broken = truth.copy()
    left, right = LEGS
    for row in (11, 12, 25):
        broken[row, [*left, *right]] = truth[row, [*right, *left]]
    keypoints, repaired = repair_swaps(broken.copy(), broken, np.arange(40))
    assert np.allclose(repaired, truth) and np.allclose(keypoints, truth)


def test_people_who_turn_round_are_believed():
    truth = gait(40)
    turned = truth.copy()
    for left, right in (ARMS, LEGS):
        turned[20:, [*left, *right]] = truth[20:, [*right, *left]]
    turned[20:, :, 2] += 0.02
    assert np.allclose(repair_swaps(turned, turned, np.arange(40))[1][:5], truth[:5])


def test_one_frame_is_enough(tmp_path):
    video = ToyVideo((Walker(RED, 100.0, 300.0),), 1)
    tracks = track_people(video, progress=False, networks=ToyNetworks([RED]))
    [person] = tracks.people
    assert len(person.frames) == 1
    save_record(tracks, tmp_path / "tracks.npz")
    again = load_record(Tracks, tmp_path / "tracks.npz")
    assert np.array_equal(again.people[0].masks.full(0), person.masks.full(0))


@pytest.mark.parametrize("first", [0, 8, 11, 14, 25])
def test_five_frames_of_a_person_are_kept(first):
    video = ToyVideo((Walker(RED, 100.0, 300.0, first=first, last=first + 4),), 30)
    [person] = track_people(video, progress=False, networks=ToyNetworks([RED])).people
    assert list(person.frames) == list(range(first, first + 5))


def test_nobody_is_no_fault():
    assert track_people(ToyVideo((), 5), progress=False, networks=ToyNetworks([RED])).people == ()


def test_without_files_and_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    assert cache_dir() == tmp_path
    with pytest.raises(DioramaError, match="diorama models --from WHEEL"):
        track_people(ToyVideo((), 1), progress=False)


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    both = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both))


def matched_share(track, frames: list[int], boxes: list[list[float]]) -> float:
    rows = {int(f): k for k, f in enumerate(track.frames)}
    pairs = [(track.boxes[rows[f]], np.array(box)) for f, box in zip(frames, boxes, strict=True) if f in rows]
    return sum(intersection_over_union(a, b) >= 0.5 for a, b in pairs) / len(frames)


@pytest.mark.slow
def test_the_four_near_pedestrians_are_four_tracks(street_clip, networks):
    marked = json.loads(Path(__file__).with_name("josh_demo2_boxes.json").read_text(encoding="utf-8"))
    tracks = track_people(open_video(street_clip), progress=False, networks=networks)
    owners = {
        name: [t.id for t in tracks.people if matched_share(t, marked["frames"], boxes) >= 0.9]
        for name, boxes in marked["people"].items()
    }
    found = [ids[0] for ids in owners.values() if ids]
    assert len(set(found)) == len(found) == 4, owners
    assert len(tracks.people) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["juggle_clip", "skating_clip"])
def test_one_person_is_one_track(name, networks, request):
    video = open_video(request.getfixturevalue(name))
    tracks = track_people(video, progress=False, networks=networks)
    [person] = tracks.people
    assert len(person.frames) >= 0.95 * len(video)
