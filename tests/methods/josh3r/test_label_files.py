"""Files of labels: back as they were, whoever is not seen has none, and what is damaged is one line."""

from dataclasses import fields, replace

import numpy as np
import pytest

from diorama.errors import DioramaError
from diorama.methods.josh3r.label_files import FORMAT, GAPS, labelled_clip, read_labels, write_labels
from diorama.methods.josh3r.labels import PairLabels
from diorama.observations import MaskStack, Source, Track, Tracks
from simulated_world import simulated_world

FRAMES = 24


@pytest.fixture(scope="module")
def result():
    from diorama.body.anny import load_free_body

    try:
        load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
    truth = simulated_world("walk", FRAMES)[0]
    models = [{"name": "fake", "licence": "CC BY-NC-SA 4.0"}]
    return truth.replace(provenance={"method": "josh", "models": models})


def tracks_of(result, rows=None):
    people = []
    for person in result.people:
        own = person.frames if rows is None else rows
        boxes = np.stack([np.array([row, 2, 40 + row, 60 + person.id], float) for row in own])
        masks = [((int(row), 2, int(row) + 5, 8), np.eye(6, 5, k=int(row) % 3) > 0) for row in own]
        stack = MaskStack.encode(masks, 96, 64)
        people.append(Track(person.id, own, boxes, np.zeros((len(own), 33, 3)), "blazepose33", stack))
    return Tracks(Source("fake"), tuple(people))


def test_what_was_written_is_read(result, tmp_path):
    tracks = tracks_of(result)
    clip = labelled_clip(result, tracks)
    write_labels(clip, tmp_path / "a.npz")
    again = read_labels(tmp_path / "a.npz")
    for part in fields(PairLabels):
        one, two = getattr(clip.labels, part.name), getattr(again.labels, part.name)
        assert one.dtype == two.dtype
        np.testing.assert_array_equal(one, two)
    for name in ("times", "frame_index", "K", "mask_id", "mask_frame"):
        np.testing.assert_array_equal(getattr(clip, name), getattr(again, name))
    assert again.about["models"][0]["licence"] == "CC BY-NC-SA 4.0" and again.about["method"] == "josh"
    assert (again.width, again.height) == (result.cameras.width, result.cameras.height)
    count = 0
    for track in tracks.people:
        for at, row in enumerate(track.frames):
            place = np.flatnonzero((again.mask_id == track.id) & (again.mask_frame == row))
            assert len(place) == 1
            np.testing.assert_array_equal(again.masks.full(int(place[0])), track.masks.full(at))
            count += 1
    assert len(again.masks) == count
    names = set(np.load(tmp_path / "a.npz").files)
    assert {f"pair_{part.name}" for part in fields(PairLabels)} < names and "json" in names


def test_pairs_are_up_to_ten_frames_apart_and_their_boxes_are_those_of_the_tracks(result):
    labels = labelled_clip(result, tracks_of(result)).labels
    apart = labels.frames[:, 1] - labels.frames[:, 0]
    assert set(apart) == set(GAPS)
    for side, boxes in enumerate((labels.boxes_1, labels.boxes_2)):
        np.testing.assert_array_equal(boxes[:, 0], labels.frames[:, side])
        np.testing.assert_array_equal(boxes[:, 3], 60 + labels.id)


def test_who_was_not_seen_has_no_label(result):
    first, *others = result.people
    filled = replace(first, observed=first.frames != 7)
    registered = np.arange(FRAMES) != 11
    duplicate = np.arange(FRAMES) == 15
    poor = result.replace(
        people=(filled, *others), duplicate=duplicate, cameras=replace(result.cameras, registered=registered)
    )
    labels = labelled_clip(poor, tracks_of(result)).labels
    assert not np.isin(labels.frames, (11, 15)).any() and np.isin(labels.frames, 7).any()
    assert not (labels.frames[labels.id == first.id] == 7).any()
    strangers = replace(tracks_of(result), people=tuple(replace(t, id=90 + t.id) for t in tracks_of(result).people))
    assert len(labelled_clip(result, strangers).labels.id) == 0


def test_nobody_is_a_file_too(result, tmp_path):
    write_labels(labelled_clip(result.replace(people=()), tracks_of(result)), tmp_path / "none.npz")
    clip = read_labels(tmp_path / "none.npz")
    assert len(clip.labels.id) == 0 and len(clip.masks) == 0 and len(clip.times) == FRAMES


@pytest.mark.parametrize("fault", ["missing", "text", "cut", "other", "shape", "frames", "nan", "masks", "version"])
def test_damage_is_one_line(result, tmp_path, fault):
    path = tmp_path / "a.npz"
    write_labels(labelled_clip(result, tracks_of(result)), path)
    arrays = dict(np.load(path))
    if fault == "missing":
        path.unlink()
    elif fault == "text":
        path.write_text("nothing")
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-400])
    else:
        if fault == "other":
            arrays = {"joints": np.zeros(3)}
        if fault == "version":
            text = arrays["json"].tobytes().decode().replace(FORMAT, "something else")
            arrays["json"] = np.frombuffer(text.encode(), np.uint8)
        if fault == "shape":
            arrays["pair_rel_trans"] = arrays["pair_rel_trans"][:-1]
        if fault == "frames":
            arrays["pair_frames"] = arrays["pair_frames"] + FRAMES
        if fault == "nan":
            arrays["pair_trans_1"] = np.full_like(arrays["pair_trans_1"], np.nan)
        if fault == "masks":
            arrays["mask_offsets"] = arrays["mask_offsets"][:-1]
        np.savez(path, **arrays)
    with pytest.raises(DioramaError) as caught:
        read_labels(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
