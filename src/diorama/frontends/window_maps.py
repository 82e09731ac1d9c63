"""Maps of the window that a network saw, as maps of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from diorama.frontends.depth_fusion import FusionConfig, clean_edges
from diorama.frontends.patch_windows import Window
from diorama.frontends.ray_depth import RayDepth
from diorama.geometry.cameras import pixel_grid

# Depths below this (metres) are not of a scene.
_NEAREST = 1e-3
# Share of known pixels from which on a pixel between them is known.
_WHOLE = 0.999


@dataclass(frozen=True)
class WindowSampling:
    """Where the pixels of a map of the whole picture lie among the window's, and which lie in it."""

    places: Float[np.ndarray, "height width 2"]
    inside: Bool[np.ndarray, "height width"]


def sampling_of(window: Window, source: tuple[int, int], size: tuple[int, int]) -> WindowSampling:
    """For maps of `size` (width, height) of a picture of the size `source`."""
    per = np.array(source) / np.array(size)
    shown = window.to_window(pixel_grid(*size) * per)
    inside = np.asarray(((shown >= 0) & (shown <= np.array([window.width, window.height]))).all(-1))
    return WindowSampling((shown - 0.5).astype(np.float32), inside)


def sampled(
    depth: Float[np.ndarray, "rows columns"], trust: Float[np.ndarray, "rows columns"], at: WindowSampling, bend: float
) -> tuple[Float[np.ndarray, "height width"], Float[np.ndarray, "height width"]]:
    """Depth (0 unknown) and confidence 0 to 1 of the whole picture.

    Between pixels 1 / depth is bilinear, which is exact on planes. Where it bends by more than `bend` of itself (at the
    edge of something) nothing is trusted.

    Args:
        depth: along the axis.
        trust: from 0 up; 0 where it is not trusted.
        at: see `sampling_of`.
    """
    known = np.isfinite(depth) & (depth > _NEAREST)
    inverse = np.where(known, 1 / np.where(known, depth, 1), 0)
    share, near, confidence = (_remapped(values, at) for values in (known, inverse, np.where(known, trust, 0)))
    good = at.inside & (share > _WHOLE)
    found = np.where(good, 1 / np.where(good, near, 1), 0).astype(np.float32)
    smooth = clean_edges(RayDepth(found, np.zeros_like(found)), FusionConfig(edge_bend=bend, min_speck=1)).depth > 0
    trusted = smooth & (_remapped(known & (trust > 0), at) > _WHOLE)
    return found, np.where(trusted, confidence / (1 + confidence), 0).astype(np.float32)


def _remapped(values: np.ndarray, at: WindowSampling) -> Float[np.ndarray, "height width"]:
    picture = np.ascontiguousarray(values, np.float32)
    x, y = at.places[..., 0], at.places[..., 1]
    return cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
