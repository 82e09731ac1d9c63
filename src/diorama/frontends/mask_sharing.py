"""Whose pixel is it? Masks of people who overlap are made disjoint by weighing all that speaks for either."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from diorama.frontends.person_colours import Colours, body_parts, colour_bins
from diorama.frontends.silhouettes import Canvas, Silhouette, bone_distance, union_window

# Pixels this close to a bone (relative to the crop's size) lie on the limb, whatever the clothes.
LIMB_RADIUS = 0.03


def torso_cover(keypoints: Float[np.ndarray, "33 3"], by: Silhouette, canvas: Canvas) -> float:
    """Share of a person's torso (shoulders to hips) that the mask of somebody else covers."""
    corners = np.clip(keypoints[[11, 12, 24, 23], :2] * canvas.scale, -4000, 4000)
    x0, y0 = np.floor(corners.min(0)).astype(int)
    x1, y1 = np.ceil(corners.max(0)).astype(int) + 1
    torso = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(torso, [(corners - (x0, y0)).astype(np.int32)], (1,))
    covered = (by.on((int(x0), int(y0), int(x1), int(y1))) > 0.5) & (torso > 0)
    return float(covered.sum() / max(int(torso.sum()), 1))


@dataclass(frozen=True)
class Claim:
    """What speaks for one person's owning a pixel.

    The network's mask, and where its crop was erased; the mask carried over from the frame before; bones; colours.
    """

    mask: Silhouette
    hidden: Silhouette
    before: Silhouette
    keypoints: Float[np.ndarray, "33 3"]
    size: float
    colours: Colours


def share_out(
    claims: list[Claim],
    ahead: Float[np.ndarray, "people people"],
    colours: UInt8[np.ndarray, "height width 3"],
    canvas: Canvas,
) -> list[Silhouette]:
    """Disjoint masks: each pixel that somebody claims goes to whom network, colours and skeleton together favour.

    The network's word counts only where its crop showed the pixel; where it was erased it is neutral, so that a pixel
    that once went to the wrong person can come back by its colour, or by occlusion: what lies on the bones of a person
    who stands in front of another one (`ahead[i, j]`: i before j, 0..1) can hardly be the other one's. And what was
    somebody's one frame ago probably still is.
    """
    window = union_window([claim.mask.window for claim in claims], canvas)
    x0, y0, x1, y1 = window
    bins = colour_bins(colours[y0:y1, x0:x1])
    seen = np.stack([claim.mask.on(window) * (claim.hidden.on(window) < 0.5) for claim in claims])
    erased = np.stack([claim.hidden.on(window) > 0.5 for claim in claims])
    odds = np.log((seen + 0.02) / (1.02 - seen))
    favour = np.where(erased, 0.0, odds)
    for row, claim in enumerate(claims):
        parts = body_parts(claim.keypoints, window, canvas)
        likelihood = np.clip(claim.colours.log_density(bins, parts), -8, -1)
        away = bone_distance(claim.keypoints, window, canvas) / (claim.size * canvas.scale)
        favour[row] += cv2.blur(likelihood, (3, 3)) - 15 * np.clip(away - LIMB_RADIUS, 0, 0.2)
        favour[row] += 5 * ahead[row].max() * (away < LIMB_RADIUS)
        favour[row] += 2 * (claim.before.on(window) > 0.5)
    winner = favour.argmax(0)
    anybody = seen.max(0)
    return [Silhouette(x0, y0, np.where(winner == row, anybody, 0).astype(np.float32)) for row in range(len(claims))]
