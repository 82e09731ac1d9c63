"""The card of a known world tells what is known; it is plain JSON and one picture."""

import dataclasses
import json

import cv2
import numpy as np

from diorama.quality import draw_card, quality_card
from exact_world import exact_world


def test_card_of_the_truth_is_clean(tmp_path):
    world = exact_world("walk")
    card = quality_card(world.truth, world.observations, {"tracks": 1.0})
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["people_count"] == 2 and card["registered_frames"] == len(world.truth)
    assert card["keypoint_residual_px"] < 0.01
    assert card["foot_slide_mm"] < 0.1
    assert card["contact_height_mm"] < 3
    assert 20 < card["people"]["1"]["left_contact_percent"] < 90
    assert card["reprojection_px"] is None


def test_residuals_grow_with_the_noise():
    noisy = exact_world("walk", noise_px=4.0)
    card = quality_card(noisy.truth, noisy.observations, {})
    # Median length of a two-dimensional Gaussian of 4 px is 4.7 px.
    assert 4.2 < card["keypoint_residual_px"] < 5.2


def test_sliding_feet_are_seen():
    world = exact_world("walk")
    person = world.truth.people[0]
    drift = np.linspace(0, 0.45, len(person.frames))[:, None] * [1.0, 0, 0]
    sliding = dataclasses.replace(person, transl=person.transl + drift)
    card = quality_card(world.truth.replace(people=(sliding,)), world.observations, {})
    assert 9 < card["foot_slide_mm"] < 11.5


def test_picture_is_written(tmp_path):
    world = exact_world("walk")
    card = quality_card(world.truth, world.observations, {})
    picture = cv2.imread(str(draw_card(world.truth, card, tmp_path / "card.png", world.observations)))
    assert picture.shape == (900, 1500, 3)
    assert (picture < 128).any(axis=2).mean() > 0.005


def test_nobody(tmp_path):
    world = exact_world("walk")
    empty = world.truth.replace(people=())
    card = quality_card(empty, world.observations, {})
    assert card["people_count"] == 0
    assert draw_card(empty, card, tmp_path / "card.png").is_file()
