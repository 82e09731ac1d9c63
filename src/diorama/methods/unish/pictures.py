"""Windows of a video: working pictures, and for every person crops of the full picture; one pass, few kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.errors import DioramaError
from diorama.methods.unish.windows import Layout
from diorama.observations import Observations, Track
from diorama.video import Video

CROP = 256
# The release grows masks by 10 px on every side of its (full HD) pictures.
_MARGIN = 10 / 1920


@dataclass(frozen=True)
class SeenPerson:
    """One person in a window; where he is not `seen`, crops and boxes are zero. `boxes` are (cx - W/2, cy - H/2, size) of
    the crop's square in working pixels."""

    id: int
    seen: Bool[np.ndarray, " frames"]
    boxes: Float[np.ndarray, "frames 3"]
    crops: UInt8[np.ndarray, "frames 256 256 3"] | None


@dataclass(frozen=True)
class Window:
    """What the network is shown: `rows` of the video, `fps` of the samples, people who are seen in any of them,
    `owners` the id of the person on each pixel of the working picture (0: nobody; -id: in the box of a person without a
    mask); pictures are None without a video."""

    rows: Int[np.ndarray, " frames"]
    fps: float
    layout: Layout
    people: tuple[SeenPerson, ...]
    owners: Int[np.ndarray, "frames height width"]
    images: UInt8[np.ndarray, "frames height width 3"] | None


@dataclass(frozen=True)
class _Picture:
    image: np.ndarray
    crops: dict[int, np.ndarray]


def read_windows(
    video: Video | None,
    seen: Observations,
    rows: Int[np.ndarray, " samples"],
    spans: Sequence[tuple[int, int]],
    layout: Layout,
    fps: float,
) -> Iterator[Window]:
    """The windows in their order. The video is decoded once; only the pictures of one window are kept.

    Raises:
        DioramaError: the video ends earlier than it did when it was scanned.
    """
    squares = {track.id: squares_of(track, layout) for track in _tracks(seen)}
    pictures = _pictures(video, seen, rows, squares, layout) if video is not None else iter(())
    kept: dict[int, _Picture] = {}
    for first, end in spans:
        kept = {at: picture for at, picture in kept.items() if at >= first}
        while video is not None and first + len(kept) < end:
            found = next(pictures, None)
            if found is None:
                raise DioramaError("fewer pictures than before", where=video.path, fix="run again in another folder")
            kept[found[0]] = found[1]
        yield _window(seen, rows[first:end], squares, layout, fps, [kept[at] for at in sorted(kept)])


def _tracks(seen: Observations) -> tuple[Track, ...]:
    return tuple(track for track in seen.tracks.people if len(track.frames)) if seen.tracks else ()


def _at(track: Track, row: int) -> int:
    """Where a row is in a track; -1: nowhere."""
    at = int(np.searchsorted(track.frames, row))
    return at if at < len(track.frames) and track.frames[at] == row else -1


def _pictures(
    video: Video, seen: Observations, rows: np.ndarray, squares: dict[int, np.ndarray], layout: Layout
) -> Iterator[tuple[int, _Picture]]:
    for at, (row, picture) in enumerate(video.frames_at(rows)):
        image = _resized(picture, layout)
        places = {track.id: _at(track, row) for track in _tracks(seen)}
        crops = {id: cut(picture, squares[id][place], layout) for id, place in places.items() if place >= 0}
        yield at, _Picture(image, crops)


def _resized(picture: np.ndarray, layout: Layout) -> np.ndarray:
    """The working picture: means of areas where it is smaller (the release picks pixels), bilinear where larger."""
    smaller = max(picture.shape[:2]) > max(layout.working)
    return cv2.resize(picture, layout.working, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _window(
    seen: Observations, rows: np.ndarray, squares: dict[int, np.ndarray], layout: Layout, fps: float,
    pictures: list[_Picture],
) -> Window:  # fmt: skip
    people = []
    for track in _tracks(seen):
        places = np.array([_at(track, int(row)) for row in rows])
        if (places >= 0).any():
            people.append(_person(track, places, squares[track.id], layout, pictures))
    images = np.stack([picture.image for picture in pictures]) if pictures else None
    return Window(rows, fps, layout, tuple(people), _owners(seen, rows, layout), images)


def _person(
    track: Track, places: np.ndarray, squares: np.ndarray, layout: Layout, pictures: list[_Picture]
) -> SeenPerson:
    present = places >= 0
    boxes = np.where(present[:, None], squares[places], 0.0)
    boxes[present, :2] -= np.array(layout.working) / 2
    crops = None
    if pictures:
        crops = np.zeros((len(places), CROP, CROP, 3), np.uint8)
        for at in np.flatnonzero(present):
            crops[at] = pictures[at].crops[track.id]
    return SeenPerson(track.id, present, boxes, crops)


def _owners(seen: Observations, rows: np.ndarray, layout: Layout) -> Int[np.ndarray, "frames height width"]:
    """Ids by masks; boxes, where there are none, do not say which pixels are the person's."""
    out = np.zeros((len(rows), layout.working[1], layout.working[0]), np.int32)
    for track in _tracks(seen):
        for index, row in enumerate(rows):
            place = _at(track, int(row))
            if place < 0:
                continue
            if track.masks is not None:
                out[index][track.masks.full(place, layout.working)] = track.id
            else:
                x0, y0, x1, y1 = np.round(track.boxes[place] / np.tile(layout.source_per_working, 2)).astype(int)
                out[index, max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = -track.id
    return out


def squares_of(track: Track, layout: Layout) -> Float[np.ndarray, "frames 3"]:
    """Centre and side of the squares around a person in working pixels: the mask's extent (the box where it is empty)
    and a margin, as long as the longer side."""
    corners = np.array([_extent(track, at, layout.source) for at in range(len(track.frames))])
    grow = _MARGIN * max(layout.source)
    corners = (corners + np.array([-grow, -grow, grow, grow])) / np.tile(layout.source_per_working, 2)
    sides = (corners[:, 2:] - corners[:, :2]).max(1)
    return np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, sides[:, None]], 1)


def _extent(track: Track, at: int, source: tuple[int, int]) -> Float[np.ndarray, 4]:
    """Corners (x0, y0, x1, y1) in source pixels."""
    if track.masks is not None:
        y, x = np.nonzero(track.masks.window(at))
        if len(y):
            first = track.masks.windows[at, :2]
            corners = np.array([x.min(), y.min(), x.max() + 1, y.max() + 1]) + np.tile(first, 2)
            return corners * np.tile([source[0] / track.masks.width, source[1] / track.masks.height], 2)
    return np.asarray(track.boxes[at], np.float64)


def cut(
    picture: UInt8[np.ndarray, "height width 3"], square: Float[np.ndarray, 3], layout: Layout
) -> UInt8[np.ndarray, "256 256 3"]:
    """The square (centre, side in working pixels) out of the full picture, black outside of it.

    Seen with the working picture's proportions, as the network is in the release, but with the full picture's detail:
    blurred first where pixels of the crop are coarser than those of the picture.
    """
    per = square[2] / CROP * layout.source_per_working
    corner = (square[:2] - square[2] / 2) * layout.source_per_working
    first = np.clip(np.floor(corner - 3 * per).astype(int), 0, None)
    end = np.ceil(corner + (CROP + 3) * per).astype(int)
    part = picture[first[1] : max(end[1], 0), first[0] : max(end[0], 0)]
    if not part.size:
        return np.zeros((CROP, CROP, 3), np.uint8)
    if per.max() > 1:
        # A Gaussian that leaves what the coarser grid can hold.
        part = cv2.GaussianBlur(part, (0, 0), sigmaX=0.4 * float(per[0]), sigmaY=0.4 * float(per[1]))
    # OpenCV counts from the centre of the first pixel.
    shift = corner - first + 0.5 * per - 0.5
    matrix = np.array([[per[0], 0, shift[0]], [0, per[1], shift[1]]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(part, matrix, (CROP, CROP), flags=flags), np.uint8)
