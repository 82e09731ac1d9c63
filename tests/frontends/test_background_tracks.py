"""Tracks of the background: they follow a picture that moves by a known shift, and leave people out."""

import cv2
import numpy as np

from diorama.frontends.background_mask import people_mask
from diorama.frontends.background_tracks import TrackingConfig, _Tracker, find_corners
from diorama.observations import Source, Track, Tracks


def noise_picture(seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (400, 600)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def tracked(shift: tuple[float, float], count: int = 12, config: TrackingConfig | None = None):
    picture, tracker = noise_picture(), _Tracker(config or TrackingConfig(max_points=150))
    for row in range(count):
        move = np.array([[1, 0, shift[0] * row], [0, 1, shift[1] * row]], np.float64)
        frame = cv2.warpAffine(picture, move, (320, 240), flags=cv2.INTER_CUBIC)
        tracker.add(row, frame, np.zeros((240, 320), bool))
    return tracker.result((320, 240))


def test_points_follow_a_known_shift():
    found = tracked((-1.5, -0.75))
    one, two = found.between(0, 10)
    assert len(one) > 60
    np.testing.assert_allclose(np.median(two - one, axis=0), [-15, -7.5], atol=0.05)
    assert np.percentile(np.linalg.norm(two - one + [15, 7.5], axis=1), 90) < 0.3


def test_anchors_tell_a_still_picture_from_a_moving_one():
    still, moving = tracked((0, 0), 25), tracked((-2, 0), 25)
    assert still.anchor_shift.max() < 0.05 and still.anchor_share.min() > 0.9
    assert (moving.anchor_shift > 5).all()


def test_table_is_sorted_and_ids_are_not_reused():
    found = tracked((-4, 0), 20)
    assert (np.diff(found.row) >= 0).all()
    for row in found.rows:
        names, _ = found.at(int(row))
        assert (np.diff(names) > 0).all()
    assert found.track.max() >= 150


def test_corners_avoid_people_and_points_taken():
    people = np.zeros((400, 600), bool)
    people[:, 300:] = True
    taken = np.array([[100.0, 100.0]], np.float32)
    corners = find_corners(noise_picture(), people, taken, TrackingConfig())
    assert len(corners) > 50
    assert corners[:, 0].max() < 300
    assert np.linalg.norm(corners - taken, axis=1).min() >= 8


def test_people_without_masks_count_with_their_boxes():
    track = Track(1, np.array([3]), np.array([[100.0, 50.0, 200.0, 150.0]]), np.zeros((1, 17, 3)), "coco")
    tracks = Tracks(Source("test"), (track,))
    mask = people_mask(tracks, 3, (200, 100), (400, 200), 0.0)
    assert mask[25:75, 50:100].all() and mask.sum() == 50 * 50
    assert not people_mask(tracks, 2, (200, 100), (400, 200), 0.0).any()
    assert people_mask(tracks, 3, (200, 100), (400, 200), 0.02).sum() > mask.sum()
    assert not people_mask(None, 3, (200, 100), (400, 200), 0.02).any()
