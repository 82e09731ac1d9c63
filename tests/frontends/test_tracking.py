"""The tracker in a toy world: crossings, gaps, duplicates, and the small laws it is made of."""

import numpy as np
import pytest
from toy_people import ToyNetworks, ToyVideo, Walker, standing

from diorama.frontends.association import assign, masks_touch, touching_groups
from diorama.frontends.blazepose import Candidates
from diorama.frontends.people import PeopleConfig, track_people
from diorama.frontends.person_detection import DetectionConfig, merge_candidates, tiles
from diorama.frontends.silhouettes import Silhouette

RED, BLUE, YELLOW = (230, 30, 30), (30, 30, 230), (230, 220, 40)


def track(video, **network):
    networks = ToyNetworks([w.colour for w in video.walkers], **network)
    return track_people(video, PeopleConfig(), progress=False, networks=networks)


def follows(person, walker) -> float:
    """Share of the person's frames in which the box is the walker's (centres within 8 px)."""
    middle = person.boxes[:, [0, 2]].mean(1)
    return float((np.abs(middle - (walker.x + walker.speed * person.frames)) < 8).mean())


def test_one_walker_is_one_track_with_his_box():
    walker = Walker(RED, 100.0, 300.0, 4.0)
    tracks = track(ToyVideo((walker,)))
    [person] = tracks.people
    assert person.id == 1 and list(person.frames) == list(range(30)) and not tracks.dropped
    assert np.abs(person.boxes - [walker.box(k) for k in range(30)]).max() < 3
    assert not person.overlap.any()
    mask = person.masks.full(7)
    x0, y0, x1, y1 = walker.box(7)
    assert mask[y0 + 3 : y1 - 3, x0 + 3 : x1 - 3].all() and mask.sum() < 1.1 * (x1 - x0) * (y1 - y0)


def test_crossing_walkers_keep_their_identities():
    behind, front = Walker(RED, 150.0, 290.0, 6.0), Walker(BLUE, 480.0, 310.0, -5.0)
    tracks = track(ToyVideo((behind, front), 50))
    assert len(tracks.people) == 2
    owners = [max((behind, front), key=lambda w, p=p: follows(p, w)) for p in tracks.people]
    assert {w.colour for w in owners} == {RED, BLUE}
    for person, walker in zip(tracks.people, owners, strict=True):
        assert follows(person, walker) > 0.9
        assert len(person.frames) > 38
    assert any(p.overlap.any() for p in tracks.people)


def test_a_double_detection_is_one_person():
    tracks = track(ToyVideo((Walker(RED, 100.0, 300.0, 4.0), Walker(BLUE, 500.0, 300.0))), double=True)
    assert len(tracks.people) == 2


def test_a_person_who_comes_late_and_leaves_early():
    tracks = track(ToyVideo((Walker(RED, 100.0, 300.0), Walker(BLUE, 400.0, 300.0, 2.0, first=9, last=34)), 45))
    late = next(p for p in tracks.people if p.frames[0] > 0)
    assert late.frames[0] == 9 and late.frames[-1] == 34


def test_a_gap_does_not_break_a_track():
    walker = Walker(RED, 100.0, 300.0, 3.0, last=17)
    back = Walker(RED, 100.0, 300.0, 3.0, first=24)
    [person] = track(ToyVideo((walker, back), 45)).people
    assert set(range(18)) <= set(person.frames) and set(range(24, 45)) <= set(person.frames)


class LateEyes(ToyNetworks):
    """Does not see one colour before the detector has run some times."""

    def __init__(self, colours, late, runs):
        super().__init__(colours)
        self.all, self.late, self.runs = colours, late, runs

    def detect(self, picture, tile, min_score=0.5):
        self.runs -= tile[2] >= picture.width
        self.colours = self.all if self.runs < 0 else [c for c in self.all if c != self.late]
        return super().detect(picture, tile, min_score)


@pytest.mark.parametrize(("distance", "first"), [(46.0, 0), (200.0, 17)])
def test_a_person_found_late_beside_another_is_followed_back_with_him(distance, first):
    red, blue = Walker(RED, 100.0, 300.0, 4.0), Walker(BLUE, 100.0 + distance, 306.0, 4.0)
    video = ToyVideo((red, blue), 60)
    tracks = track_people(video, PeopleConfig(), progress=False, networks=LateEyes([RED, BLUE], BLUE, 3))
    assert len(tracks.people) == 2
    late = max(tracks.people, key=lambda p: follows(p, blue))
    assert follows(late, blue) > 0.95
    # Beside nobody, only the frames since the detector last ran are searched.
    assert abs(int(late.frames[0]) - first) <= 1 and late.frames[-1] == 59


def test_small_people_beside_a_large_one_are_left_alone_with_a_word():
    tracks = track(ToyVideo((Walker(RED, 100.0, 300.0, height=240.0), Walker(BLUE, 500.0, 200.0, height=48.0))))
    assert len(tracks.people) == 1 and "smaller" in tracks.dropped[-1]


def test_touching_groups_are_connected_components():
    touch = np.eye(5, dtype=bool)
    touch[0, 3] = touch[3, 0] = touch[3, 4] = touch[4, 3] = True
    assert sorted(touching_groups(touch)) == [[0, 3, 4], [1], [2]]
    assert touching_groups(np.zeros((0, 0), bool)) == []


def test_assignment_is_one_to_one_and_within_the_limit():
    cost = np.array([[0.1, 0.2, 9.0], [0.15, 0.9, 9.0]])
    assert sorted(assign(cost, 1.0)) == [(0, 1), (1, 0)]
    assert assign(cost, 0.12) == [] or all(cost[r, c] <= 0.12 for r, c in assign(cost, 0.12))


@pytest.mark.parametrize(("gap", "margin", "touch"), [(0, 1, True), (4, 3, False), (4, 6, True)])
def test_masks_touch_within_a_margin(gap, margin, touch):
    one = Silhouette(10, 10, np.ones((8, 8), np.float32))
    assert masks_touch(one, one.moved(8 + gap, 0), margin) is touch


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1080, 1920), (480, 270), (333, 331)])
def test_tiles_cover_the_picture(width, height):
    config = DetectionConfig()
    squares = tiles(width, height, config)
    for size in {s[2] for s in squares}:
        seen = np.zeros((height, width), bool)
        for x, y, s in squares:
            if s == size:
                seen[max(round(y), 0) : round(y + s), max(round(x), 0) : round(x + s)] = True
        assert seen.all()


def test_candidates_on_one_person_are_averaged_and_neighbours_kept():
    hips_and_shoulders = np.array([[100.0, 200], [100, 100], [100, 140], [100, 100]])
    points = hips_and_shoulders[None] + np.array([0.0, 4.0, 60.0])[:, None, None]
    found = Candidates(np.array([0.5, 0.9, 0.7]), np.zeros((3, 4)), points)
    merged = merge_candidates(found, 0.12)
    assert len(merged) == 2 and list(merged.scores) == [0.9, 0.7]
    assert 101 < merged.points[0, 0, 0] < 104


def test_standing_is_upright():
    keypoints = standing(50.0, 10.0, 100.0)
    assert keypoints[0, 1] < keypoints[11, 1] < keypoints[23, 1] < keypoints[27, 1]
