"""Points land on their pixels, the nearest in front, as a loop over all points has them."""

import numpy as np

from diorama.geometry.cameras import intrinsics, project
from diorama.render.overlay import Lens
from diorama.render.splats import splat

LENS = Lens(intrinsics(60.0, 64, 40), np.zeros(0), 64, 40)
PAPER = (9, 8, 7)


def drawn(points, colors, size, depth=np.inf):
    picture, depths = np.full((40, 64, 3), PAPER, np.uint8), np.full((40, 64), depth, np.float32)
    splat(picture, depths, points.astype(np.float32), colors, LENS, size=size)
    return picture, depths


def by_loop(points, colors, size):
    picture, depths = np.full((40, 64, 3), PAPER, np.uint8), np.full((40, 64), np.inf, np.float32)
    pixels = project(points, LENS.K)
    for place, (x, y), color in zip(points, pixels, colors, strict=True):
        if not (0 <= x < 64 and 0 <= y < 40):
            continue
        for row in range(int(y), min(int(y) + size, 40)):
            for column in range(int(x), min(int(x) + size, 64)):
                if place[2] < depths[row, column]:
                    depths[row, column], picture[row, column] = place[2], color
    return picture, depths


def test_as_a_loop_over_all_points():
    rng = np.random.default_rng(1)
    points = rng.uniform([-3, -2, 1], [3, 2, 4], (3000, 3)).astype(np.float32).astype(float)
    colors = rng.integers(0, 255, (3000, 3)).astype(np.uint8)
    for size in (1, 2, 3):
        picture, depths = drawn(points, colors, size)
        expected, deep = by_loop(points, colors, size)
        # Two points in one of 65,536 depths may change places.
        assert (np.abs(picture.astype(int) - expected).max(-1) > 0).mean() < 2e-3
        np.testing.assert_array_equal(np.isfinite(depths), np.isfinite(deep))
        np.testing.assert_allclose(depths[np.isfinite(deep)], deep[np.isfinite(deep)], atol=1e-3)


def test_what_lies_behind_stays_behind():
    point, red = np.array([[0.0, 0, 2]]), np.array([[255, 0, 0]], np.uint8)
    assert (drawn(point, red, 1, depth=1.5)[0] == PAPER).all()
    assert (drawn(point, red, 1)[0][20, 32] == [255, 0, 0]).all()
    assert (drawn(-point, red, 1)[0] == PAPER).all(), "behind the camera"
    assert (drawn(point[:0], red[:0], 2)[0] == PAPER).all()
