"""Masks: they go onto the canvas and back into crops, are carried along, and contested pixels find their owner."""

import numpy as np
import pytest
from toy_people import standing

from diorama.frontends.blazepose import Pose, Region
from diorama.frontends.mask_sharing import Claim, share_out, torso_cover
from diorama.frontends.person_colours import Colours, learn_colours
from diorama.frontends.silhouettes import Canvas, Flow, Silhouette, erase, mask_overlap, silhouette_of

EMPTY = Silhouette(0, 0, np.zeros((1, 1), np.float32))


def pose_in(region: Region, mask: np.ndarray, keypoints: np.ndarray) -> Pose:
    return Pose(region, keypoints, np.zeros((33, 3)), np.zeros(33), 1.0, mask.astype(np.float32), region)


def test_a_mask_returns_from_the_canvas():
    canvas = Canvas.of(1280, 720, 960)
    region = Region(600.0, 360.0, 400.0, 0.2)
    y, x = np.mgrid[:256, :256]
    mask = (np.abs(x - 128) < 30) & (np.abs(y - 128) < 100)
    back = silhouette_of(pose_in(region, mask, standing(600, 220, 300)), canvas).in_crop(region, canvas)
    assert (back == mask).mean() > 0.99


def test_a_mask_does_not_reach_far_from_the_bones():
    canvas = Canvas.of(640, 640, 640)
    region = Region(320.0, 320.0, 600.0)
    mask = silhouette_of(pose_in(region, np.ones((256, 256), bool), standing(320, 100, 440)), canvas)
    x0, _, x1, _ = mask.box()
    assert 200 < x0 < 250 and 390 < x1 < 440


def test_overlap_of_shifted_squares():
    one = Silhouette(0, 0, np.ones((10, 10), np.float32))
    iou, smaller = mask_overlap(one, one.moved(5, 0))
    assert iou == pytest.approx(1 / 3) and smaller == pytest.approx(0.5)


def test_values_outside_of_the_window_are_zero():
    mask = Silhouette(4, 2, np.ones((3, 3), np.float32))
    assert mask.on((0, 0, 12, 12)).sum() == 9
    assert list(mask.at(np.array([[4.5, 2.5], [3.9, 2.5], [-5.0, 0.0]]))) == [1, 0, 0]


def test_erasing_leaves_other_pixels_alone():
    crop = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    hidden = np.zeros((256, 256), bool)
    hidden[50:200, 60:120] = True
    out = erase(crop, hidden)
    assert np.array_equal(out[~hidden], crop[~hidden])
    assert out[hidden].std() < 0.3 * crop[hidden].std()


def test_flow_carries_a_mask_with_its_pixels():
    rng = np.random.default_rng(2)
    texture = np.kron(rng.integers(0, 255, (60, 60, 3), dtype=np.uint8), np.ones((4, 4, 1), np.uint8))
    flow = Flow()
    flow.remember(texture)
    mask = Silhouette(90, 100, np.ones((40, 30), np.float32))
    [moved] = flow.carry([mask], np.roll(texture, (3, 6), (0, 1)), 20)
    assert mask_overlap(moved, mask.moved(6, 3))[0] > 0.9


def two_claims(overlap_px: int):
    """A red and a blue person whose networks both claim a strip, and the picture in which that strip is blue."""
    colours = np.full((200, 200, 3), 128, np.uint8)
    left, right = (
        Silhouette(50, 20, np.zeros((160, 100), np.float32)),
        Silhouette(50, 20, np.zeros((160, 100), np.float32)),
    )
    left.values[:, 10 : 45 + overlap_px] = 1
    right.values[:, 45:90] = 1
    colours[20:180, 60:95], colours[20:180, 95:140] = (220, 20, 20), (20, 20, 220)
    return colours, left, right


def test_contested_pixels_go_by_colour():
    canvas = Canvas.of(200, 200, 200)
    colours, left, right = two_claims(10)
    a, b = standing(78, 20, 160), standing(117, 20, 160)
    red = learn_colours(Colours(), Silhouette(60, 20, np.ones((160, 30), np.float32)), a, colours, canvas)
    blue = learn_colours(Colours(), Silhouette(110, 20, np.ones((160, 30), np.float32)), b, colours, canvas)
    claims = [Claim(left, EMPTY, EMPTY, a, 200.0, red), Claim(right, EMPTY, EMPTY, b, 200.0, blue)]
    masks = share_out(claims, np.zeros((2, 2)), colours, canvas)
    assert mask_overlap(*masks)[0] == 0
    window = (95, 30, 105, 170)
    assert (masks[0].on(window) > 0.5).mean() < 0.05 and (masks[1].on(window) > 0.5).mean() > 0.95


def test_who_stands_in_front_keeps_what_lies_on_his_bones():
    canvas = Canvas.of(200, 200, 200)
    grey = np.full((200, 200, 3), 128, np.uint8)
    body = Silhouette(50, 20, np.zeros((160, 100), np.float32))
    body.values[:, 35:65] = 1
    a, b = standing(100, 20, 160), standing(103, 20, 160)
    claims = [Claim(body, EMPTY, EMPTY, k, 200.0, Colours()) for k in (a, b)]
    for front in (0, 1):
        ahead = np.zeros((2, 2))
        ahead[front, 1 - front] = 1
        areas = [m.area for m in share_out(claims, ahead, grey, canvas)]
        assert areas[front] > 0.6 * sum(areas)


def test_torso_cover_is_a_share():
    canvas = Canvas.of(200, 200, 200)
    person = standing(100, 20, 160)
    assert torso_cover(person, Silhouette(0, 0, np.ones((200, 200), np.float32)), canvas) == pytest.approx(1)
    assert torso_cover(person, Silhouette(0, 0, np.ones((200, 100), np.float32)), canvas) == pytest.approx(0.5, abs=0.1)
    assert torso_cover(person, EMPTY, canvas) == 0
