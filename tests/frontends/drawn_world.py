"""A drawn world whose depth is known exactly: a ground with texture, a wall behind, a post before it."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from diorama.geometry.cameras import intrinsics, pixel_grid, undistort
from diorama.video import Video

WIDTH, HEIGHT = 480, 270
K = intrinsics(0.8 * WIDTH, WIDTH, HEIGHT)
K1 = -0.05


@cache
def texture(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).uniform(0, 255, (512, 512)).astype(np.float32)
    return cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 1.2), None, 20, 235, cv2.NORM_MINMAX)


def draw(T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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


def film(Ts: np.ndarray) -> tuple[DrawnVideo, list[np.ndarray]]:
    """The video and the exact depth of every frame."""
    drawn = [draw(T) for T in Ts]
    times = np.linspace(0, 1, len(Ts))
    video = DrawnVideo(
        Path("none.mp4"), "0", WIDTH, HEIGHT, 0, times, np.zeros(len(Ts), bool),
        pictures=tuple(picture for picture, _ in drawn),
    )  # fmt: skip
    return video, [depth for _, depth in drawn]
