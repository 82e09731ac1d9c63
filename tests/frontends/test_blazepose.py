"""Laws of the two networks' adapters: crops go there and back, outputs are decoded to where they came from."""

import numpy as np
import pytest

from diorama.assets import cache_dir
from diorama.errors import DioramaError
from diorama.frontends.blazepose import (
    BLAZEPOSE_WHEEL,
    BlazePose,
    Picture,
    Region,
    decode_detections,
    decode_pose,
    detector_anchors,
    refine_with_heatmap,
)


@pytest.fixture(scope="session")
def networks():
    try:
        return BlazePose(threads=1)
    except DioramaError as error:
        pytest.skip(str(error))


def test_region_goes_to_the_picture_and_back():
    points = np.random.default_rng(0).uniform(-0.5, 1.5, (20, 2))
    region = Region(310.0, 205.5, 260.0, 0.7)
    assert np.allclose(region.to_crop(region.to_picture(points)), points)
    assert np.allclose(region.to_picture(np.array([[0.5, 0.5]])), [[310.0, 205.5]])


def test_region_from_points_puts_the_scale_point_above_the_middle():
    centre, scale = np.array([100.0, 120.0]), np.array([140.0, 90.0])
    region = Region.from_points(centre, scale)
    at = region.to_crop(scale[None])[0]
    assert at[0] == pytest.approx(0.5) and at[1] < 0.5
    assert region.size == pytest.approx(2.5 * 50.0)


def test_cut_without_turn_or_zoom_copies_pixels():
    pixels = np.random.default_rng(1).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    crop = Picture(pixels).cut(Region(30.0, 25.0, 32.0), 32)
    assert np.array_equal(crop, pixels[9:41, 14:46])


def test_cut_keeps_places_when_shrunk_and_turned():
    y, x = np.mgrid[:512, :512]
    blob = (255 * np.exp(-((x + 0.5 - 300) ** 2 + (y + 0.5 - 180) ** 2) / (2 * 20**2))).astype(np.uint8)
    region = Region(250.0, 220.0, 400.0, 0.4)
    crop = Picture(np.repeat(blob[..., None], 3, 2)).cut(region, 64)[..., 0].astype(float)
    centre = np.array([(crop.sum(0) @ (np.arange(64) + 0.5)), (crop.sum(1) @ (np.arange(64) + 0.5))]) / crop.sum()
    assert np.allclose(region.to_picture(centre[None] / 64), [[300, 180]], atol=1.0)


def test_anchors_are_cell_centres_of_three_grids():
    anchors = detector_anchors()
    assert anchors.shape == (2254, 2)
    assert np.allclose(anchors[0], 0.5 / 28) and np.allclose(anchors[1568], 0.5 / 14)
    assert np.allclose(anchors[-1], 6.5 / 7)


def test_detections_are_decoded_relative_to_their_anchor():
    raw, logits = np.zeros((2254, 12), np.float32), np.full(2254, -20.0, np.float32)
    row = 1568 + 2 * (14 * 3 + 5)  # first anchor of cell (5, 3) of the 14 x 14 grid
    raw[row] = [22.4, 0, 44.8, 44.8, 0, 0, 0, -67.2, 0, 0, 0, 0]
    logits[row] = 2.0
    found = decode_detections(raw, logits, 0.5)
    cell = np.array([5.5, 3.5]) / 14
    middle = cell + np.array([0.1, 0])
    assert len(found) == 1
    assert np.allclose(found.boxes[0], [*(middle - 0.1), *(middle + 0.1)], atol=1e-6)
    assert np.allclose(found.points[0, 1], cell - (0, 0.3), atol=1e-6)


def test_heatmap_moves_a_point_to_its_peak_and_leaves_doubtful_ones():
    heatmap = np.zeros((64, 64, 2))
    heatmap[30, 21, 0] = 0.9
    heatmap[30, 21, 1] = 0.2
    points = np.array([[20.3, 29.2], [20.3, 29.2]]) / 64
    refined = refine_with_heatmap(points, heatmap)
    assert np.allclose(refined[0] * 64, [21, 30])
    assert np.allclose(refined[1], points[1])


def test_pose_of_a_turned_crop_has_camera_axes():
    raw = np.zeros((39, 5), np.float32)
    raw[:, :2] = 128
    raw[34, :2] = (128, 28)
    world = np.tile(np.array([0.0, -0.5, 0.1], np.float32), (39, 1))  # above the hips, in the crop
    quarter = Region(400.0, 300.0, 256.0, np.pi / 2)  # the crop's up is the picture's right
    empty = np.zeros((256, 256), np.float32)
    pose = decode_pose(raw, 1.0, empty, np.full((64, 64, 39), -9.0, np.float32), world, quarter)
    assert np.allclose(pose.keypoints_3d[0], [0.5, 0.0, 0.1], atol=1e-6)
    assert np.allclose(pose.keypoints[0, :2], [400, 300])
    assert pose.next_region.angle == pytest.approx(np.pi / 2)
    assert pose.next_region.size == pytest.approx(250.0)


def test_a_blank_picture_shows_nobody(networks):
    picture = Picture(np.full((240, 320, 3), 127, np.uint8))
    assert len(networks.detect(picture, (0.0, -40.0, 320.0))) == 0
    assert networks.pose(picture, Region(160.0, 120.0, 200.0)).presence < 0.5


def test_the_licence_lies_beside_the_models(networks):
    folder = cache_dir() / f"{BLAZEPOSE_WHEEL.name}-{BLAZEPOSE_WHEEL.version}"
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf-8")
