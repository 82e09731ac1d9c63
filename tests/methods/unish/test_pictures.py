"""Pictures and crops: what is cut out is where the box says, at the full picture's detail; the video is read once."""

import numpy as np
import pytest

from diorama.geometry.cameras import pixel_grid
from diorama.methods.unish.pictures import CROP, cut, read_windows, squares_of
from diorama.methods.unish.windows import Layout, WindowConfig, layout_of, sample_rows, spans_of
from diorama.observations import MaskStack, Observations, Source, Track, Tracks
from diorama.video import open_video
from tiny_videos import moving, write_video


def ramp(width, height):
    """A picture whose red tells the column and whose green tells the row."""
    pixels = pixel_grid(width, height)
    scaled = pixels / np.array([width, height]) * 250
    return np.concatenate([scaled, np.full((height, width, 1), 200.0)], -1).round().astype(np.uint8)


@pytest.mark.parametrize("side", [40.0, 150.0, 280.0])
def test_a_crop_shows_the_square_in_the_working_pictures_proportions(side):
    layout = layout_of(1000, 550, 518)
    crop = cut(ramp(1000, 550), np.array([259.0, 147.0, side]), layout)
    places = np.array([259.0, 147.0]) + (pixel_grid(CROP, CROP) / CROP - 0.5) * side
    wanted = places / np.array(layout.working) * 250
    # Blur and interpolation leave ramps alone; numbers were rounded twice.
    np.testing.assert_allclose(crop[8:-8, 8:-8, :2], wanted[8:-8, 8:-8], atol=1.6)


def test_outside_of_the_picture_is_black():
    layout = layout_of(200, 200, 518)
    crop = cut(ramp(200, 200), np.array([0.0, 259.0, 200.0]), layout)
    assert (crop[:, : CROP // 2 - 2] == 0).all() and (crop[:, CROP // 2 + 2 :, 2] == 200).all()
    assert not cut(ramp(200, 200), np.array([-500.0, 259.0, 100.0]), layout).any()
    assert not cut(ramp(200, 200), np.array([900.0, 259.0, 100.0]), layout).any()


def test_fine_patterns_do_not_alias():
    """Stripes of a pixel are grey at a tenth of the size, not black or white or moire."""
    stripes = np.zeros((2000, 2000, 3), np.uint8)
    stripes[:, ::2] = 255
    layout = Layout((2000, 2000), (518, 518))
    crop = cut(stripes, np.array([259.0, 259.0, 500.0]), layout)
    assert np.abs(crop[8:-8, 8:-8].astype(float) - 127.5).max() < 3


def track(rows, boxes, masks=None):
    return Track(3, np.asarray(rows), np.asarray(boxes, float), np.zeros((len(rows), 33, 3)), "blazepose33", masks)


def test_squares_hold_the_masks_and_boxes_where_there_is_no_mask():
    masks = MaskStack.encode(
        [((10, 5, 30, 45), np.ones((40, 20), bool)), ((0, 0, 4, 4), np.zeros((4, 4), bool))], 96, 54
    )
    seen = track([0, 1], [[0, 0, 1, 1], [100, 200, 500, 400]], masks)
    layout = layout_of(1920, 1080, 518)
    squares = squares_of(seen, layout)
    # The mask's pixels are 20 source pixels wide; 10 px of margin; 518 of 1920 px.
    working = 518 / 1920
    np.testing.assert_allclose(
        squares[0], np.array([400.0, 500.0 * 1920 / 518 * 294 / 1080, 820 * 1.0]) * working, rtol=1e-2
    )
    np.testing.assert_allclose(squares[1], np.array([300.0, 300.0, 420.0]) * working, rtol=2e-2)


def test_windows_show_each_row_once_and_people_where_they_are(tmp_path):
    video = open_video(write_video(tmp_path / "clip.mp4", moving(40)))
    seen = track(np.arange(10, 25), np.tile([20.0, 10.0, 60.0, 50.0], (15, 1)))
    observations = Observations(
        video.width, video.height, video.times, np.arange(40), video.duplicate, tracks=Tracks(Source("test"), (seen,))
    )
    rows = sample_rows(video.times, 12.5)
    config = WindowConfig(frames=8, overlap=2, longest=56)
    spans, layout = spans_of(len(rows), config), layout_of(video.width, video.height, 56)
    windows = list(read_windows(video, observations, rows, spans, layout, 12.5))
    pictures = dict(video.frames())
    for (first, end), window in zip(spans, windows, strict=True):
        np.testing.assert_array_equal(window.rows, rows[first:end])
        assert window.images.shape == (8, *layout.working[::-1], 3)
        # Nearly all of the picture is texture; its mean tells the frame.
        means = [pictures[row].mean() for row in window.rows]
        np.testing.assert_allclose(window.images.mean((1, 2, 3)), means, atol=1.0)
        for person in window.people:
            np.testing.assert_array_equal(person.seen, np.isin(window.rows, seen.frames))
            assert (person.crops.any((1, 2, 3)) == person.seen).all()
            assert ((window.owners == -3).any((1, 2)) == person.seen).all()
            assert not person.boxes[~person.seen].any()
    assert [len(window.people) for window in windows].count(1) >= 1


def test_a_picture_cut_down_evenly_shows_the_same_person():
    """The same lens with less above and below: the same pixels of him, as far from the axis."""
    tall, flat = Layout((200, 180), (100, 90)), Layout((200, 100), (100, 50))
    picture = np.random.default_rng(0).integers(0, 256, (180, 200, 3), dtype=np.uint8)
    box = np.array([80.0, 60.0, 110.0, 130.0])
    crops, boxes = [], []
    for layout, above in ((tall, 0), (flat, 40)):
        (square,) = squares_of(track([0], [box - [0, above, 0, above]]), layout)
        crops.append(cut(picture[above : above + layout.source[1]], square, layout))
        boxes.append(np.append(square[:2] - np.array(layout.working) / 2, square[2]))
    np.testing.assert_allclose(boxes[0], boxes[1], atol=1e-9)
    np.testing.assert_array_equal(crops[0], crops[1])
