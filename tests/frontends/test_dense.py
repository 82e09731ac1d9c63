"""Dense depth of a drawn world whose depth is known exactly: a ground with texture, a wall behind, a post before it."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest

from diorama.frontends.dense import DenseConfig, pick_neighbours, triangulate_scene
from diorama.frontends.depth_fusion import FusionConfig, clean_edges
from diorama.frontends.ray_depth import RayDepth
from diorama.geometry.cameras import intrinsics, pixel_grid, undistort
from diorama.geometry.transforms import rigid
from diorama.observations import ObservedCameras, Source
from diorama.video import Video

WIDTH, HEIGHT, FRAMES = 480, 270, 17
K1 = -0.05


def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (512, 512)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.2), None, 20, 235, cv2.NORM_MINMAX)


def draw(T: np.ndarray, K: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """RGB picture and exact depth (0 for sky): ground y = 1.5, wall z = 12 up to 3 m height, post x 0.5..0.9 at z = 6."""
    plane = undistort((pixel_grid(WIDTH, HEIGHT) - K[:2, 2]) / K[0, 0], np.array([K1]))
    rays = np.concatenate([plane, np.ones((HEIGHT, WIDTH, 1))], -1) @ T[:3, :3].T
    origin = T[:3, 3]
    depth = np.full((HEIGHT, WIDTH), np.inf)
    grey = np.full((HEIGHT, WIDTH), 200.0, np.float32)
    for number, (axis, at) in enumerate([(1, 1.5), (2, 12.0), (2, 6.0)]):
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (at - origin[axis]) / rays[..., axis]
            hit = origin + distance[..., None] * rays
        inside = (distance > 0) & (distance < depth)
        if number == 0:
            inside &= hit[..., 2] < 12
        if number == 1:
            inside &= (hit[..., 1] < 1.5) & (hit[..., 1] > -1.5)
        if number == 2:
            inside &= (hit[..., 0] > 0.5) & (hit[..., 0] < 0.9) & (hit[..., 1] < 1.5)
        surface = hit[..., [0, 2]] if axis == 1 else hit[..., [0, 1]]
        u = np.nan_to_num(surface * 40).astype(np.float32) % 511
        value = cv2.remap(texture(number), u[..., 0], u[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        depth, grey = np.where(inside, distance, depth), np.where(inside, value, grey)
    return np.repeat(grey[..., None].round().astype(np.uint8), 3, 2), np.where(np.isfinite(depth), depth, 0)


@dataclass(frozen=True)
class DrawnVideo(Video):
    pictures: tuple = ()

    def frames(self, start=0, stop=None, *, step=1, max_size=None):
        stop = len(self) if stop is None else min(stop, len(self))
        yield from ((row, self.pictures[row]) for row in range(start, stop, step))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    K = intrinsics(0.8 * WIDTH, WIDTH, HEIGHT)
    u = np.linspace(0, 1, FRAMES)
    Ts = rigid(np.repeat(np.eye(3)[None], FRAMES, 0), np.stack([0.8 * u, 0 * u, 0.5 * u], 1))
    drawn = [draw(T, K) for T in Ts]
    video = DrawnVideo(
        tmp_path_factory.mktemp("d") / "none.mp4", "0", WIDTH, HEIGHT, 0, u, np.zeros(FRAMES, bool),
        pictures=tuple(picture for picture, _ in drawn),
    )  # fmt: skip
    points = np.stack([*np.random.default_rng(0).uniform(-2, 2, (2, 200)), np.full(200, 12.0)], 1)
    cameras = ObservedCameras(
        Source("truth"), "translating", "given", np.repeat(K[None], FRAMES, 0), np.full((FRAMES, 1), K1), Ts,
        np.ones(FRAMES, bool), points_world=points, colors=np.zeros((200, 3), np.uint8),
    )  # fmt: skip
    return video, cameras, [depth for _, depth in drawn]


CONFIG = DenseConfig(per_hundred=30, baselines=(0.01, 0.02, 0.04), reach=16)


@pytest.fixture(scope="module")
def result(world):
    video, cameras, _ = world
    return triangulate_scene(video, None, cameras, CONFIG, progress=False)


def test_depth_agrees_with_the_truth(world, result):
    truth = np.array([world[2][row][1::2, 1::2][: HEIGHT // 2, : WIDTH // 2] for row in result.frames])
    known = (result.depth > 0) & (truth > 0)
    error = np.abs(result.depth[known] / truth[known] - 1)
    assert np.median(error) < 0.01
    assert (error > 0.1).mean() < 0.01
    # of what is not sky, over all keyframes (those at the ends see less in common with others)
    assert known.sum() / (truth > 0).sum() > 0.5


def test_sky_gets_no_depth(world, result):
    truth = np.array([world[2][row][1::2, 1::2][: HEIGHT // 2, : WIDTH // 2] for row in result.frames])
    assert (result.depth[truth == 0] > 0).mean() < 0.01


def test_fused_points_lie_on_the_surfaces(result):
    x, y, z = result.points.astype(float).T
    ground, wall = np.abs(y - 1.5), np.abs(z - 12)
    post = np.where((x > 0.4) & (x < 1.0), np.abs(z - 6), np.inf)
    miss = np.minimum(np.minimum(ground, wall), post)
    assert len(result.points) > 3000
    assert np.median(miss) < 0.05
    assert (miss > 0.5).mean() < 0.02
    assert len(result.points) == len(result.colors) == len(result.points_confidence)
    assert result.points_confidence.min() >= 0 and result.points_confidence.max() <= 1
    assert np.isfinite(result.points).all()


def test_neighbours_come_with_growing_baselines(world):
    video, cameras, _ = world
    neighbours = pick_neighbours(video, cameras, 8, CONFIG)
    apart = [abs(row - 8) for row in neighbours]
    assert apart == sorted(apart) and len(set(neighbours)) == len(neighbours) and 8 not in neighbours


def test_a_camera_that_does_not_travel_has_no_scene(world):
    video, cameras, _ = world
    empty = triangulate_scene(video, None, replace(cameras, kind="rotating"), CONFIG, progress=False)
    assert len(empty.frames) == 0 and len(empty.points) == 0


def test_edges_go_and_slanted_planes_stay():
    inverse = np.linspace(0.1, 1.0, 60)[:, None] * np.ones((1, 80))
    inverse[20:40, 30:50] = 2.0
    slanted = RayDepth((1 / inverse).astype(np.float32), np.full(inverse.shape, 0.01, np.float32))
    kept = clean_edges(slanted, FusionConfig()).depth > 0
    assert not kept[30, 29] and not kept[30, 30]
    assert kept[5:15].mean() > 0.99 and kept[25:35, 33:47].all()
