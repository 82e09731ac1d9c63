"""Keypoints and masks of people as other tools give them: npz per person, pictures of ids per frame or per person."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.body.joints import KEYPOINT_SETS
from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import About, Pixels, pixels_of, scale_to_source
from diorama.frontends.precomputed.checked_files import Arrays, files_of, ids_of_files, number_of, read_arrays, read_ids
from diorama.frontends.precomputed.timeline import Timeline
from diorama.observations import MaskStack, Track, Tracks

KEYPOINTS = ("frames", "keypoints", "joint_set", "boxes", "keypoints_3d", "overlap")
# The set of people of whom there are masks only; nothing is known of their joints.
_NO_JOINTS = "coco17"
_Window = tuple[tuple[int, int, int, int], Bool[np.ndarray, "h w"]]
_NOTHING: _Window = ((0, 0, 0, 0), np.zeros((0, 0), bool))


@dataclass
class _Masks:
    """Windows of every person's masks by row; all pictures have one size."""

    size: tuple[int, int] | None = None
    windows: dict[int, dict[int, _Window]] = field(default_factory=dict)

    def add(self, id: int, row: int, mask: Bool[np.ndarray, "height width"]) -> None:
        self.windows.setdefault(id, {})[row] = _window(mask)

    def stack(self, id: int, rows: Int[np.ndarray, " n"]) -> MaskStack | None:
        """The masks of these rows, empty where there is none; None for people without any mask."""
        if id not in self.windows or self.size is None:
            return None
        return MaskStack.encode([self.windows[id].get(int(row), _NOTHING) for row in rows], *self.size)


def read_tracks(folder: Path, timeline: Timeline, about: About) -> Tracks:
    """Everybody with keypoints (`keypoints/<id>.npz`), and everybody else with masks.

    Raises:
        DioramaError: a file is damaged or contradicts another one.
    """
    files_of(folder, "", ("about.json", "keypoints", "masks"))
    masks = _read_masks(folder / "masks", timeline)
    pixels = pixels_of(about, timeline)
    files = ids_of_files(folder / "keypoints")
    people, dropped = [], list(about.texts("dropped"))
    for id in sorted({*files, *masks.windows}):
        if id not in files:
            people += _masks_only(id, masks, timeline)
            continue
        track = _track(id, read_arrays(files[id], KEYPOINTS), masks, timeline, pixels)
        people.append(track)
        shown = [row for row, (_, mask) in masks.windows.get(id, {}).items() if mask.any()]
        unused = int((~np.isin(np.array(shown, int), track.frames)).sum())
        if unused:
            dropped.append(f"person {id}: {unused} masks in frames without keypoints")
    return Tracks(about.source(), tuple(people), tuple(dropped))


def _track(id: int, arrays: Arrays, masks: _Masks, timeline: Timeline, pixels: Pixels) -> Track:
    frames = timeline.increasing_rows(arrays.integers("frames", None), arrays.path)
    count, joint_set = len(frames), arrays.text("joint_set")
    if joint_set not in KEYPOINT_SETS:
        raise arrays.wrong("joint_set", f"is {joint_set!r}", f"use one of {', '.join(KEYPOINT_SETS)}")
    joints = len(KEYPOINT_SETS[joint_set])
    keypoints = arrays.numbers("keypoints", count, joints, 3)
    if not ((keypoints[..., 2] >= 0) & (keypoints[..., 2] <= 1)).all():
        raise arrays.wrong("keypoints", "has confidences outside of 0 to 1 in its third column")
    keypoints[..., :2] = pixels.points(keypoints[..., :2])
    stack = masks.stack(id, frames)
    return Track(
        id=id,
        frames=frames,
        boxes=_boxes(arrays, pixels) if "boxes" in arrays else _boxes_around(keypoints, stack, timeline),
        keypoints=keypoints,
        joint_set=joint_set,
        masks=stack,
        keypoints_3d=arrays.numbers("keypoints_3d", count, joints, 3) if "keypoints_3d" in arrays else None,
        overlap=arrays.flags("overlap", count) if "overlap" in arrays else None,
    )


def _boxes(arrays: Arrays, pixels: Pixels) -> Float[np.ndarray, "n 4"]:
    boxes = arrays.numbers("boxes", len(arrays.array("frames")), 4)
    if not (boxes[:, 2:] >= boxes[:, :2]).all():
        raise arrays.wrong("boxes", "holds a box that is not x0 y0 x1 y1")
    return pixels.points(boxes.reshape(-1, 2, 2)).reshape(-1, 4)


def _boxes_around(
    keypoints: Float[np.ndarray, "n joints 3"], masks: MaskStack | None, timeline: Timeline
) -> Float[np.ndarray, "n 4"]:
    """Boxes of the masks; of the keypoints (those with any confidence, if there are) where there is no mask."""
    known = keypoints[..., 2] > 0
    known = known | ~np.any(known, axis=1, keepdims=True)
    low = np.where(known.reshape(*known.shape, 1), keypoints[..., :2], np.inf).min(1, initial=np.inf)
    high = np.where(known.reshape(*known.shape, 1), keypoints[..., :2], -np.inf).max(1, initial=-np.inf)
    boxes = np.concatenate([low, high], 1)
    if masks is None:
        return boxes
    scale = np.tile([timeline.width / masks.width, timeline.height / masks.height], 2)
    seen = np.all(masks.windows[:, 2:] > masks.windows[:, :2], axis=1, keepdims=True)
    return np.where(seen, masks.windows * scale, boxes)


def _masks_only(id: int, masks: _Masks, timeline: Timeline) -> list[Track]:
    """Somebody without keypoints, in the frames that show him: his joints have no confidence."""
    rows = np.array(sorted(row for row, (_, mask) in masks.windows[id].items() if mask.any()), np.int64)
    stack = masks.stack(id, rows)
    if not len(rows) or stack is None:
        return []
    keypoints = np.zeros((len(rows), len(KEYPOINT_SETS[_NO_JOINTS]), 3))
    boxes = _boxes_around(keypoints, stack, timeline)
    keypoints[..., :2] = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    return [Track(id, rows, boxes, keypoints, _NO_JOINTS, stack)]


def _read_masks(folder: Path, timeline: Timeline) -> _Masks:
    """`<frame>.png` with ids as values, or `<id>/<frame>.png` with anything but 0 on the person."""
    masks = _Masks()
    together = [path for path in files_of(folder, ".png", folders=True) if not path.is_dir()]
    apart = ids_of_files(folder, suffix=".png", folders=True)
    if together and apart:
        raise DioramaError("both pictures and folders of people", where=folder, fix="keep one form")
    for row, path in _rows_of(together, timeline).items():
        ids = _read(path, masks, timeline)
        for id in np.unique(ids[ids > 0]):
            masks.add(int(id), row, ids == id)
    for id, inner in apart.items():
        for row, path in _rows_of(files_of(inner, ".png"), timeline).items():
            masks.add(id, row, _read(path, masks, timeline) > 0)
    return masks


def _rows_of(paths: list[Path], timeline: Timeline) -> dict[int, Path]:
    found: dict[int, Path] = {}
    for path in paths:
        row = int(timeline.rows(np.array([number_of(path, path.name)]), path)[0])
        if row in found:
            raise DioramaError("a second mask of one frame", where=path, fix="keep one of them")
        found[row] = path
    return found


def _read(path: Path, masks: _Masks, timeline: Timeline) -> Int[np.ndarray, "height width"]:
    ids = read_ids(path)
    size = (ids.shape[1], ids.shape[0])
    if masks.size is None:
        scale_to_source(size, timeline, path)
        masks.size = size
    if size != masks.size:
        raise DioramaError(f"{size} pixels where other masks have {masks.size}", where=path, fix="give one size to all")
    return ids


def _window(mask: Bool[np.ndarray, "height width"]) -> _Window:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return _NOTHING
    x0, y0, x1, y1 = int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
    return (x0, y0, x1, y1), mask[y0:y1, x0:x1].copy()
