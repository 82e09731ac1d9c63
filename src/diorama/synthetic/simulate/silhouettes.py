"""Boxes and masks of people: the exact ones with uncertain borders."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from diorama.synthetic.simulate.exact_view import Frames
from diorama.synthetic.simulate.noise import stream
from diorama.synthetic.simulate.seen_person import SeenPerson

# A border's displacement changes over this share of the standing height: the width of a limb.
_SMOOTH = 0.06
_REACH = 3.0


@dataclass(frozen=True)
class MaskConfig:
    """Errors of silhouettes. The defaults make none beyond the pixels of the grid.

    Attributes:
        border: standard deviation of the border's place, as a share of the standing height in the picture.
        box: standard deviation of each side of a box, as a share of the box's longer side.
    """

    border: float = 0.0
    box: float = 0.0


def observed_boxes(
    person: SeenPerson, config: MaskConfig, size: tuple[int, int], seed: int
) -> Float[np.ndarray, "n 4"]:
    """Boxes x0 y0 x1 y1 around the whole body (hidden parts too), cut at the picture's border of `size`."""
    sides = person.box[:, 2:] - person.box[:, :2]
    moved = stream(seed, "boxes", person.id).normal(size=person.box.shape) * config.box * sides.max(1, keepdims=True)
    box = np.clip(person.box + moved, 0, np.tile(np.array(size, float), 2))
    return np.concatenate([np.minimum(box[:, :2], box[:, 2:]), np.maximum(box[:, :2], box[:, 2:])], 1)


def observed_masks(
    person: SeenPerson, frames: Frames, config: MaskConfig, picture_width: int, seed: int
) -> list[tuple[tuple[int, int, int, int], np.ndarray]]:
    """Per row the window (grid pixels) and the visible pixels in it; an empty window where nothing is visible."""
    rng = stream(seed, "masks", person.id)
    pixels = frames.of(person.rows).ids == person.id
    tall = person.height * frames.size[0] / picture_width
    return [_one_mask(pixels[n], float(tall[n]), config.border, rng) for n in range(len(pixels))]


def _one_mask(
    mask: Bool[np.ndarray, "height width"], tall: float, border: float, rng: np.random.Generator
) -> tuple[tuple[int, int, int, int], Bool[np.ndarray, "h w"]]:
    window = _window(mask, int(np.ceil(_REACH * border * tall)))
    if window is None:
        return (0, 0, 0, 0), np.zeros((0, 0), bool)
    x0, y0, x1, y1 = window
    cut = mask[y0:y1, x0:x1]
    if border > 0:
        moved = border * tall * _smooth_noise(rng, cut.shape, _SMOOTH * tall)
        cut = signed_distance(cut, rng.random(cut.shape)) + moved > 0
    return window, cut


def _window(mask: Bool[np.ndarray, "height width"], margin: int) -> tuple[int, int, int, int] | None:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return None
    x0, y0 = max(int(columns[0]) - margin, 0), max(int(rows[0]) - margin, 0)
    return x0, y0, min(int(columns[-1]) + 1 + margin, mask.shape[1]), min(int(rows[-1]) + 1 + margin, mask.shape[0])


def signed_distance(
    mask: Bool[np.ndarray, "height width"], within: Float[np.ndarray, "height width"]
) -> Float[np.ndarray, "height width"]:
    """Pixels to the mask's border, positive inside; the picture's own border is none.

    Where in a pixel the border runs is not known: `within` (0-1) says it, so that borders that move by less than a pixel
    still move some pixels.
    """
    if mask.all():
        return np.full(mask.shape, np.inf)
    inside = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
    outside = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 5)
    return np.where(mask, inside - 1 + within, 1 - outside - within)


def _smooth_noise(rng: np.random.Generator, shape: tuple[int, int], pixels: float) -> Float[np.ndarray, "height width"]:
    """Gaussian noise of unit variance, blurred over `pixels`."""
    # Wider than asked for: the filter knows nothing beyond the border.
    pad = int(np.ceil(3 * pixels))
    noise = rng.normal(size=(shape[0] + 2 * pad, shape[1] + 2 * pad))
    if pixels < 0.3:
        return noise[pad : pad + shape[0], pad : pad + shape[1]]
    blurred = cv2.GaussianBlur(noise, (0, 0), pixels)[pad : pad + shape[0], pad : pad + shape[1]]
    # The variance that a normalised Gaussian kernel of this width leaves.
    taps = np.exp(-0.5 * (np.arange(-int(4 * pixels) - 1, int(4 * pixels) + 2) / pixels) ** 2)
    return blurred / ((taps / taps.sum()) ** 2).sum()
