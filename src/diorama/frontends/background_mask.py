"""Which pixels of a frame show people (and a margin around them), so that others may be taken for background."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool

from diorama.observations import Track, Tracks


def people_mask(
    tracks: Tracks | None, row: int, size: tuple[int, int], source_size: tuple[int, int], margin: float
) -> Bool[np.ndarray, "height width"]:
    """True on people in frame `row`, as a picture of `size` = (width, height), grown by `margin` of the longer side.

    People without masks count with their boxes, which are in pixels of the source picture of `source_size`.
    """
    out = np.zeros((size[1], size[0]), np.uint8)
    for person in tracks.people if tracks is not None else ():
        at = int(np.searchsorted(person.frames, row))
        if at < len(person.frames) and person.frames[at] == row:
            _add(out, person, at, size, source_size)
    if out.any():
        reach = 2 * round(margin * max(size)) + 1
        out = cv2.dilate(out, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return out.astype(bool)


def _add(out: np.ndarray, person: Track, at: int, size: tuple[int, int], source_size: tuple[int, int]) -> None:
    if person.masks is not None:
        out |= person.masks.full(at, size).astype(np.uint8)
        return
    if not np.isfinite(person.boxes[at]).all():
        return
    scale = np.array([size[0] / source_size[0], size[1] / source_size[1]] * 2)
    x0, y0, x1, y1 = np.clip(np.round(person.boxes[at] * scale), 0, [*size, *size]).astype(int)
    out[y0:y1, x0:x1] = 1
