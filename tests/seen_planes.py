"""A room of planes seen by cameras, exactly, and a stand-in for MASt3R that knows it."""

from __future__ import annotations

import gc
import weakref
from dataclasses import dataclass

import numpy as np
import torch

from diorama.frontends.patch_windows import Window
from diorama.geometry.cameras import pixel_grid
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import rigid
from diorama.networks.mast3r import FrameTokens, MASt3R, MASt3RConfig, SideTokens
from diorama.networks.mast3r_head import DenseMaps

# Normals and offsets: the floor, the wall ahead, two walls aside; y is down, as in the first camera.
PLANES = (((0, 1, 0), 1.5), ((0, 0, 1), 7.0), ((1, 0, 0), 3.5), ((-1, 0, 0), 3.0))


@dataclass(frozen=True)
class Room:
    """Cameras in the room; `focal` in pixels of the source picture of `size` (width, height)."""

    T_world_camera: np.ndarray
    focal: float
    size: tuple[int, int]

    def seen(self, frame: int, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in the camera and in the world behind source pixels (..., 2)."""
        flat = (pixels - np.array(self.size) / 2) / self.focal
        rays = np.concatenate([flat, np.ones((*flat.shape[:-1], 1))], -1)
        T = self.T_world_camera[frame]
        depth = np.full(flat.shape[:-1], np.inf)
        for normal, offset in PLANES:
            along = rays @ T[:3, :3].T @ np.array(normal, float)
            away = offset - T[:3, 3] @ np.array(normal, float)
            with np.errstate(divide="ignore"):
                found = np.where(along * away > 0, away / along, np.inf)
            depth = np.minimum(depth, found)
        points = rays * depth[..., None]
        return points, points @ T[:3, :3].T + T[:3, 3]


def walking(count: int, step: float = 0.08) -> np.ndarray:
    """Cameras that go aside and turn a little; the first is the origin."""
    along = np.arange(count)[:, None]
    turn = matrix_of(along * np.array([0.003, -0.012, 0.001]))
    return rigid(turn, along * np.array([step, -0.1 * step, 0.3 * step]))


class Oracle(MASt3R):
    """Answers for the room, whatever the pictures: the k-th picture that is encoded is camera `rows[k]`.

    Descriptors are waves over the place in the room, so that one place looks alike from everywhere.
    """

    def __init__(self, room: Room, rows: np.ndarray, window: Window, confidence: float = 5.0) -> None:
        super().__init__(MASt3RConfig.tiny())
        self.room, self.rows, self.window, self.confidence = room, rows, window, confidence
        self.encoded, self.decoded, self.most_held = 0, 0, 0
        self.alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
        drawn = np.random.default_rng(0)
        self.waves, self.phase = drawn.normal(0, 2.0, (3, 32)), drawn.uniform(0, 6.3, 32)

    def encode(self, images: torch.Tensor) -> FrameTokens:
        grid = (images.shape[2] // 16, images.shape[3] // 16)
        numbers = self.encoded + torch.arange(len(images), dtype=torch.float32)
        self.encoded += len(images)
        tokens = numbers[:, None, None].expand(-1, grid[0] * grid[1], 1).clone()
        self.alive.add(tokens)
        gc.collect()
        self.most_held = max(self.most_held, sum(len(batch) for batch in self.alive))
        return FrameTokens(tokens, grid)

    def decode(self, first: FrameTokens, second: FrameTokens) -> tuple[SideTokens, SideTokens]:
        self.decoded += len(first.tokens)
        both = (first.tokens, second.tokens)
        return SideTokens((both[0], *both[::-1], both[0]), first.grid), SideTokens(
            (both[1], *both, both[1]), first.grid
        )

    def maps(self, side: SideTokens, which: int, *, descriptors: bool = True) -> DenseMaps:
        assert which == 1, "only points in the own camera are wanted"
        points = torch.from_numpy(np.stack([self._seen(frame)[0] for frame in self._frames(side)])).float()
        conf = torch.full(points.shape[:3], self.confidence)
        desc, desc_conf = self.descriptors(side, 1) if descriptors else (None, None)
        return DenseMaps(points, conf, desc, desc_conf)

    def descriptors(self, side: SideTokens, which: int) -> tuple[torch.Tensor, torch.Tensor]:
        places = np.stack([self._seen(frame)[1] for frame in self._frames(side)])
        waves = np.cos(places @ self.waves + self.phase)
        waves = torch.from_numpy(waves / np.linalg.norm(waves, axis=-1, keepdims=True)).float()
        return waves, torch.full(waves.shape[:3], 2.0)

    def _frames(self, side: SideTokens) -> list[int]:
        return [int(self.rows[int(number)]) for number in side.taps[0][:, 0, 0]]

    def _seen(self, frame: int) -> tuple[np.ndarray, np.ndarray]:
        return self.room.seen(frame, self.window.to_source(pixel_grid(self.window.width, self.window.height)))
