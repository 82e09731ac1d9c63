"""Metric depth of keyframes by MoGe-2, with the cameras' own focal lengths."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.frontends.depth_keyframes import even_keyframes
from diorama.networks.moge import MoGe2, MoGeMaps, MoGeOptions
from diorama.networks.moge_files import MOGE_LICENCE
from diorama.networks.moge_metric import metric_maps
from diorama.networks.unish_metric import half_diagonal
from diorama.observations import Depth, ObservedCameras, Source
from diorama.progress import progress_bar
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MoGeDepthConfig:
    """How keyframes are looked at.

    Attributes:
        keyframes: at most so many.
        picture_size: longer side of the pictures that the network is given, px.
        map_size: longer side of the maps, px.
        level: resolution from 0 to 9; 9 cuts a picture into 3600 patches.
        edge: relative jump of depth in 3 x 3 pixels at which a pixel is an edge and not trusted (the release's 0.04).
        tolerance: end of the search for the shift; to the optimum, where the release stops at 1e-3.
        own_fov: the field of view is found in every picture alone. Off: that of the cameras, which bodies were fitted
            with, so that both are in one place.
    """

    keyframes: int = 6
    picture_size: int = 1920
    map_size: int = 480
    level: float = 9
    edge: float = 0.04
    tolerance: float = 1e-10
    own_fov: bool = False


def predict_depth(
    video: Video, cameras: ObservedCameras, weights: Path, config: MoGeDepthConfig = MoGeDepthConfig(), *,
    keys: Int[np.ndarray, " keys"] | None = None, progress: bool = True,
) -> Depth:  # fmt: skip
    """Depth in metres at keyframes, 0 where the network sees none; edges have confidence 0. Without points.

    Args:
        video: the shot.
        cameras: their focal lengths.
        weights: file or folder of MoGe-2's weights.
        config: how it is done.
        keys: frames to choose among; all of the shot if not given.
        progress: show a progress bar.

    Raises:
        DioramaError: the weights cannot be read.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = MoGe2.from_pretrained(weights, device=device)
    rows = even_keyframes(video, keys, config.keyframes)
    width, height = video.working_size(config.map_size)
    depth = np.zeros((len(rows), height, width), np.float32)
    confidence, own_fov = np.zeros_like(depth), []
    scale = np.array([width / video.width, height / video.height, 1.0])
    K = scale[:, None] * cameras.K[rows]
    for index, picture in enumerate(_pictures(video, rows, config, progress)):
        image = torch.from_numpy(picture).to(device).permute(2, 0, 1) / 255
        maps, degrees = _looked_at(network, image, K[index], (height, width), config)
        known = maps["mask"][0] & maps["depth"][0].isfinite()
        depth[index] = torch.where(known, maps["depth"][0], 0.0).cpu().numpy()
        confidence[index] = (depth[index] > 0) & ~depth_edges(depth[index], config.edge)
        K[index, [0, 1], [0, 1]] = maps["K"][0, [0, 1], [0, 1]].cpu().numpy()
        own_fov.append(degrees)
    used = [_degrees(float(focal), width) for focal in K[:, 0, 0]]
    notes = ("metres", *_lens_notes(own_fov, used))
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    source = Source("MoGe-2", weights.name, MOGE_LICENCE, notes)
    return Depth(source, rows, depth, confidence, K, True, *nothing)


def _lens_notes(own: list[float], used: list[float]) -> tuple[str, ...]:
    seen = [degrees for degrees in own if np.isfinite(degrees)]
    alone = f"{np.median(seen):.1f}" if seen else "none"
    return (f"horizontal field of view {np.median(used):.1f} degrees; the pictures alone tell {alone}",) if used else ()


def _degrees(focal: float, width: int) -> float:
    """Horizontal field of view; NaN of what is no focal length, as maps of no pinhole give."""
    return float(np.degrees(2 * np.arctan2(width / 2, focal))) if focal > 0 else float("nan")


def _pictures(
    video: Video, rows: Int[np.ndarray, " keys"], config: MoGeDepthConfig, progress: bool
) -> Iterator[np.ndarray]:
    if not len(rows):
        return
    wanted, stop = set(rows.tolist()), int(rows[-1]) + 1
    frames = video.frames(int(rows[0]), stop, max_size=config.picture_size)
    for row, picture in progress_bar(frames, desc="depth", total=stop - int(rows[0]), show=progress):
        if row in wanted:
            yield picture


@torch.no_grad()
def _looked_at(
    network: MoGe2, image: Tensor, K: Float[np.ndarray, "3 3"], size: tuple[int, int], config: MoGeDepthConfig
) -> tuple[MoGeMaps, float]:
    """Maps of one picture (with a batch axis), and the field of view in degrees that the picture alone tells."""
    raw = network(image[None], network.config.tokens(config.level), size=size)
    options = MoGeOptions(tolerance=config.tolerance)
    alone = metric_maps(raw, options)
    degrees = _degrees(float(alone["K"][0, 0, 0]), size[1])
    if config.own_fov and np.isfinite(degrees):
        return alone, degrees
    focal = torch.tensor([K[0, 0] / half_diagonal(*size)], dtype=torch.float32, device=image.device)
    return metric_maps(raw, options, focal), degrees


def depth_edges(depth: Float[np.ndarray, "height width"], tolerance: float) -> Bool[np.ndarray, "height width"]:
    """Pixels with known depth in whose 3 x 3 neighbourhood it varies by more than `tolerance` of their own, or ends."""
    known = depth > 0
    filled = np.where(known, depth, np.float32(np.inf)).astype(np.float32)
    square = np.ones((3, 3), np.uint8)
    nearest, farthest = cv2.erode(filled, square), cv2.dilate(filled, square)
    with np.errstate(invalid="ignore"):
        return known & ~(farthest - nearest <= tolerance * filled)
