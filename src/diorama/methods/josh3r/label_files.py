"""Labels of a clip in one `.npz`: JOSH3R's training reads them, a JOSH result and its tracks give them.

docs/josh3r.md lists the arrays; the format is fixed, and has a version.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.methods.josh3r.labels import PairLabels, pair_labels
from diorama.methods.josh3r.pairs import pairs_of
from diorama.observations import MaskStack, Tracks
from diorama.reconstruction import Reconstruction

FORMAT, VERSION = "diorama josh3r labels", 1
# Frames between the two pictures of a pair (JOSH, appendix H).
GAPS = tuple(range(1, 11))
_NAMES = tuple(part.name for part in fields(PairLabels))
_WIDTHS = {"frames": (2,), "boxes_1": (4,), "boxes_2": (4,), "rel_rot6d": (6,), "id": (), "contact": ()}
_WIDTHS |= {name: (3,) for name in ("rel_trans", "trans_1", "trans_2")}
_WIDTHS |= {name: (24, 3) for name in _NAMES if name.startswith("joints")}
_FIX = "write the labels again"


@dataclass(frozen=True)
class LabelledClip:
    """A video's labels.

    Attributes:
        width, height: of the upright source picture, pixels.
        times: of all frames, seconds; `frame_index` their numbers in the video file.
        K: of all frames, pixels of the source picture.
        labels: rows of people in pairs; `frames` are rows of `times`.
        mask_id, mask_frame: person and row of every mask of a person, `masks` the masks in the same order.
        about: whose labels: video, method, licences of the models they were made with.
    """

    width: int
    height: int
    times: Float[np.ndarray, " frames"]
    frame_index: Int[np.ndarray, " frames"]
    K: Float[np.ndarray, "frames 3 3"]
    labels: PairLabels
    mask_id: Int[np.ndarray, " masks"]
    mask_frame: Int[np.ndarray, " masks"]
    masks: MaskStack
    about: dict[str, Any]


def labelled_clip(result: Reconstruction, tracks: Tracks, gaps: tuple[int, ...] = GAPS) -> LabelledClip:
    """Labels of a metric result: everybody who was seen, with a box, in both frames of a pair.

    Frames that repeat a picture, rows of people that were filled in, and frames whose camera is not registered have no label.

    Args:
        result: of JOSH, in the paper.
        tracks: whose ids are those of the result's people; boxes and masks.
        gaps: frames between the pictures of pairs.
    """
    people = {person.id: person for person in result.people}
    chosen = [track for track in tracks.people if track.id in people]
    usable = result.cameras.registered & ~result.duplicate
    boxes = {}
    for track in chosen:
        person = people[track.id]
        boxes[track.id] = np.full((len(result), 4), np.nan)
        boxes[track.id][track.frames] = track.boxes
        seen = np.zeros(len(result), bool)
        seen[person.frames[person.observed]] = True
        boxes[track.id][~(seen & usable)] = np.nan
    masked = [track for track in chosen if track.masks is not None]
    provenance = result.provenance
    about = {name: provenance[name] for name in ("video", "method", "models", "diorama") if name in provenance}
    return LabelledClip(
        result.cameras.width, result.cameras.height, result.times, result.frame_index, result.cameras.K,
        pair_labels(result, pairs_of(len(result), gaps), boxes),
        np.concatenate([np.zeros(0, np.int64), *(np.full(len(track.frames), track.id) for track in masked)]),
        np.concatenate([np.zeros(0, np.int64), *(track.frames for track in masked)]),
        _joined_masks([track.masks for track in masked if track.masks is not None], result), about,
    )  # fmt: skip


def _joined_masks(stacks: list[MaskStack], result: Reconstruction) -> MaskStack:
    if not stacks:
        return MaskStack.encode([], result.cameras.width, result.cameras.height)
    sizes = {(stack.width, stack.height) for stack in stacks}
    if len(sizes) > 1:
        raise DioramaError("masks of several sizes", where="tracks", fix="give the masks of one front end")
    starts = np.cumsum([0, *(len(stack.counts) for stack in stacks)])
    offsets = [stack.offsets[1:] + start for stack, start in zip(stacks, starts, strict=False)]
    return MaskStack(
        stacks[0].width, stacks[0].height, np.concatenate([stack.windows for stack in stacks]),
        np.concatenate([stack.counts for stack in stacks]), np.concatenate([[0], *offsets]).astype(np.int64),
    )  # fmt: skip


def write_labels(clip: LabelledClip, path: Path) -> None:
    """Write the labels of a clip into one compressed file, which appears when it is whole."""
    about = {"format": FORMAT, "version": VERSION, "width": clip.width, "height": clip.height, "about": clip.about}
    arrays = {f"pair_{name}": getattr(clip.labels, name) for name in _NAMES}
    arrays |= {
        "times": clip.times, "frame_index": clip.frame_index, "K": clip.K, "mask_id": clip.mask_id,
        "mask_frame": clip.mask_frame, "mask_size": np.array([clip.masks.width, clip.masks.height]),
        "mask_windows": clip.masks.windows, "mask_counts": clip.masks.counts, "mask_offsets": clip.masks.offsets,
    }  # fmt: skip
    text = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, json=text, **arrays)  # type: ignore[arg-type]


def read_labels(path: Path) -> LabelledClip:
    """What `write_labels` wrote.

    Raises:
        DioramaError: the file is missing or damaged, of another kind or version, or its arrays contradict each other.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = dict(file)
        about = json.loads(arrays["json"].tobytes())
        if not isinstance(about, dict) or (about.get("format"), about.get("version")) != (FORMAT, VERSION):
            raise DioramaError(f"not {FORMAT}, version {VERSION}", where=path, fix=_FIX)
        clip = _clip(about, arrays)
    except (OSError, zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, EOFError, IndexError) as error:
        raise DioramaError(f"not a readable file of labels ({error})", where=path, fix=_FIX) from error
    if fault := _fault(clip):
        raise DioramaError(fault, where=path, fix=_FIX)
    return clip


def _clip(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> LabelledClip:
    width, height = (int(side) for side in arrays["mask_size"])
    return LabelledClip(
        int(about["width"]), int(about["height"]), arrays["times"], arrays["frame_index"], arrays["K"],
        PairLabels(*(arrays[f"pair_{name}"] for name in _NAMES)), arrays["mask_id"], arrays["mask_frame"],
        MaskStack(width, height, arrays["mask_windows"], arrays["mask_counts"], arrays["mask_offsets"]),
        dict(about["about"]),
    )  # fmt: skip


def _fault(clip: LabelledClip) -> str | None:
    """What contradicts itself, in words."""
    frames, rows, masks = len(clip.times), len(clip.labels.id), len(clip.mask_id)
    for name in _NAMES:
        array = getattr(clip.labels, name)
        if array.shape != (rows, *_WIDTHS[name]) or not np.isfinite(array).all():
            return f"pair_{name} has the shape {array.shape}, or numbers that are not finite"
    if rows and not (clip.labels.frames.min() >= 0 and clip.labels.frames.max() < frames):
        return "pairs of frames that the clip does not have"
    if clip.K.shape != (frames, 3, 3) or clip.frame_index.shape != (frames,):
        return "times, frame numbers and K are not of one length"
    lengths = {masks, len(clip.mask_frame), len(clip.masks.windows), len(clip.masks.offsets) - 1}
    if len(lengths) > 1 or clip.masks.offsets[-1] != len(clip.masks.counts):
        return "masks, their frames and runs are not of one length"
    return None
