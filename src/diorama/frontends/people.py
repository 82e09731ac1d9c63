"""The people of a video: tracked, separated where they overlap, cleaned in time; the front end `Tracks` comes from."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.frontends.association import Person, Seen
from diorama.frontends.blazepose import JOINT_SET, BlazePose
from diorama.frontends.identities import Fragment, LinkingConfig, join_fragments, repair_swaps
from diorama.frontends.mask_sharing import LIMB_RADIUS
from diorama.frontends.person_detection import DetectionConfig
from diorama.frontends.separation import SeparationConfig, Sighting
from diorama.frontends.silhouettes import Canvas, Silhouette
from diorama.frontends.tracking import Tracker, TrackingConfig
from diorama.observations import MaskStack, Source, Track, Tracks
from diorama.progress import progress_bar

logger = logging.getLogger(__name__)

# Factor on the confidence of joints that were erased from the person's crop.
GUESSED = 0.25


@dataclass(frozen=True)
class PeopleConfig:
    """How people are found and followed.

    Pictures are shrunk to `max_size` px (longer side), masks to `mask_size`. A track is kept if it has at least
    `min_frames` frames, or half of the shot's frames where the shot is short, but never fewer than `min_frames_ever`
    unless the shot itself is shorter (a person who is there for five frames only is kept if no longer track exists);
    if he was seen in `min_density` of the frames from his first to his last; and if the detector confirmed him
    (`TrackingConfig.min_confirmed`). `threads` are those of the networks.
    """

    max_size: int = 1920
    mask_size: int = 960
    min_frames: int = 10
    min_frames_ever: int = 3
    min_density: float = 0.5
    threads: int = 2
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    separation: SeparationConfig = field(default_factory=SeparationConfig)
    linking: LinkingConfig = field(default_factory=LinkingConfig)


@runtime_checkable
class FrameSource(Protocol):
    """What is needed of a `Video`."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def times(self) -> Float[np.ndarray, " frames"]: ...
    def frames(
        self, start: int = 0, stop: int | None = None, *, max_size: int | None = None
    ) -> Iterator[tuple[int, UInt8[np.ndarray, "height width 3"]]]: ...


def track_people(
    video: FrameSource,
    config: PeopleConfig = PeopleConfig(),
    *,
    progress: bool = True,
    networks: BlazePose | None = None,
) -> Tracks:
    """Everybody in the video as one track each; ids 1, 2, ... from the most prominent person on.

    Raises:
        DioramaError: the networks' files are neither cached nor can be fetched.
    """
    networks = networks or BlazePose(config.threads)
    fragments, canvas, ignored = _follow(video, config, networks, progress)
    pieces = join_fragments(fragments, config.linking)
    kept, dropped = select(pieces, len(video.times), min(video.width, video.height), config)
    dropped += [f"{ignored} sightings of people far smaller than the others"] if ignored else []
    people = [_track(number, fragment, canvas, (video.width, video.height)) for number, fragment in enumerate(kept, 1)]
    for reason in dropped:
        logger.debug("dropped: %s", reason)
    source = Source("blazepose tiles + separation", "BlazePose full (mediapipe 0.10.21)", "Apache-2.0")
    return Tracks(source, tuple(people), tuple(dropped))


def _follow(
    video: FrameSource, config: PeopleConfig, networks: BlazePose, progress: bool
) -> tuple[list[Fragment], Canvas, int]:
    """Run the tracker over all frames; frames are streamed, of each person only small records stay."""
    width = round(video.width * min(1.0, config.max_size / max(video.width, video.height)))
    scale = width / video.width
    tracker: Tracker | None = None
    records: dict[int, dict[int, _Record]] = {}
    stream = progress_bar(video.frames(max_size=config.max_size), desc="people", total=len(video.times), show=progress)
    for row, rgb in stream:
        if tracker is None:
            canvas = Canvas.of(rgb.shape[1], rgb.shape[0], config.mask_size)
            tracker = Tracker(networks, canvas, config.tracking, config.detection, config.separation)
        for key, seen in tracker.step(row, rgb):
            # A later look at an earlier frame, apart from somebody found since, replaces the first one.
            records.setdefault(key, {})[seen.row] = _Record.of(seen, tracker.canvas, scale)
    if tracker is None:
        return [], Canvas.of(video.width, video.height, config.mask_size), 0
    ends = {p.id: p for p in tracker.past + tracker.people}
    fragments = [_fragment(list(rows.values()), ends[key]) for key, rows in records.items()]
    return fragments, tracker.canvas, tracker.ignored_small


@dataclass(frozen=True)
class _Record:
    """One person in one frame, small: px of the upright source picture, run-length mask."""

    row: int
    keypoints: Float[np.ndarray, "33 3"]
    keypoints_3d: Float[np.ndarray, "33 3"]
    box: Float[np.ndarray, " 4"]
    mask: MaskStack
    overlap: bool
    size: float

    @classmethod
    def of(cls, seen: Seen, canvas: Canvas, scale: float) -> _Record:
        pose = seen.sighting.pose
        keypoints = pose.keypoints / [scale, scale, 1]
        mask = main_parts(seen.sighting.mask)
        if seen.overlap:
            keypoints[guessed_joints(seen.sighting, mask, canvas), 2] *= GUESSED
        size = (canvas.width / canvas.scale / scale, canvas.height / canvas.scale / scale)
        box = person_box(keypoints, mask.box(), canvas.scale * scale, size)
        window = _tight(mask, canvas)
        runs = MaskStack.encode([(window, mask.on(window) > 0.5)], canvas.width, canvas.height)
        return cls(
            seen.row, keypoints.astype(np.float32), pose.keypoints_3d.astype(np.float32), box, runs, seen.overlap,
            pose.region.size / scale,
        )  # fmt: skip


def guessed_joints(sighting: Sighting, mask: Silhouette, canvas: Canvas) -> Bool[np.ndarray, " joints"]:
    """Joints of a person beside others that the network can only have guessed, however sure it sounds.

    They are covered by somebody else, or lie off the person's own `mask` by more than a limb's radius.
    """
    pose = sighting.pose
    points = pose.keypoints[:, :2] * canvas.scale
    reach = int(np.ceil(LIMB_RADIUS * pose.region.size * canvas.scale))
    x0, y0, x1, y1 = mask.window
    window = (x0 - reach, y0 - reach, x1 + reach, y1 + reach)
    near = cv2.dilate(mask.on(window), np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    return (Silhouette(window[0], window[1], near).at(points) < 0.5) | (sighting.hidden.at(points) > 0.5)


def _tight(mask: Silhouette, canvas: Canvas) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(v) for v in mask.box() or (0, 0, 1, 1))
    x0, y0 = min(max(x0, 0), canvas.width - 1), min(max(y0, 0), canvas.height - 1)
    return x0, y0, max(min(x1, canvas.width), x0 + 1), max(min(y1, canvas.height), y0 + 1)


def main_parts(mask: Silhouette, share: float = 0.05) -> Silhouette:
    """Without islands smaller than `share` of the whole."""
    binary = (mask.values > 0.5).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(binary, connectivity=8)
    if count <= 2:
        return mask
    large = stats[:, cv2.CC_STAT_AREA] >= share * binary.sum()
    large[0] = False
    return Silhouette(mask.x0, mask.y0, mask.values * large[labels])


def person_box(
    keypoints: Float[np.ndarray, "33 3"],
    mask_box: tuple[float, float, float, float] | None,
    scale: float,
    size: tuple[float, float],
    min_confidence: float = 0.3,
) -> Float[np.ndarray, " 4"]:
    """Around the mask and the believed joints, px, inside of the picture of `size` = (width, height)."""
    points = keypoints[keypoints[:, 2] >= min_confidence, :2]
    points = points if len(points) or mask_box else keypoints[:, :2]
    corners = np.array(mask_box).reshape(2, 2) / scale if mask_box else np.zeros((0, 2))
    everything = np.concatenate([points, corners])
    low, high = np.clip(everything.min(0), 0, size), np.clip(everything.max(0), 0, size)
    return np.concatenate([low, high])


def _fragment(rows: list[_Record], person: Person) -> Fragment:
    rows = sorted(rows, key=lambda r: r.row)
    return Fragment(
        frames=np.array([r.row for r in rows]),
        keypoints=np.stack([r.keypoints for r in rows]),
        keypoints_3d=np.stack([r.keypoints_3d for r in rows]),
        boxes=np.stack([r.box for r in rows]),
        masks=tuple(r.mask for r in rows),
        overlap=np.array([r.overlap for r in rows]),
        sizes=np.array([r.size for r in rows]),
        colours=person.sighting.colours.histograms,
        ended=person.ended,
        confirmed=person.confirmed,
        chances=person.chances,
    )


def select(
    fragments: list[Fragment], frames: int, shorter_side: int, config: PeopleConfig
) -> tuple[list[Fragment], list[str]]:
    """Fragments long enough to keep, most prominent first (heights summed over frames); words about the others."""
    least = min_track_frames([len(f.frames) for f in fragments], frames, config)
    # As at birth (`TrackingConfig.min_height`), now that all sizes are known.
    tallest = max((_extent(f) for f in fragments), default=0.0)
    lowest = min(config.tracking.min_height * shorter_side, tallest / config.tracking.much_taller)
    kept: list[Fragment] = []
    dropped: list[str] = []
    for f in sorted(fragments, key=lambda f: int(f.frames[0])):
        if why := _fault(f, least, lowest, config):
            x, y = (f.boxes[:, :2] + f.boxes[:, 2:]).mean(0) / 2
            dropped.append(f"frames {f.frames[0]}-{f.frames[-1]} near ({x:.0f}, {y:.0f}): {why}")
        else:
            kept.append(f)
    return sorted(kept, key=lambda f: -_prominence(f)), dropped


def _extent(fragment: Fragment) -> float:
    """Median over the frames of the longer side of the box, px."""
    return float(np.median((fragment.boxes[:, 2:] - fragment.boxes[:, :2]).max(axis=1)))


def _fault(fragment: Fragment, least: int, lowest: float, config: PeopleConfig) -> str:
    """Why a fragment is not kept, in words; empty if it is."""
    count = len(fragment.frames)
    if count < least:
        return f"too short ({count} of at least {least} frames)" + (f", {fragment.ended}" if fragment.ended else "")
    if _extent(fragment) < lowest:
        return f"far smaller than the others ({_extent(fragment):.0f} px)"
    span = int(fragment.frames[-1] - fragment.frames[0]) + 1
    if count < config.min_density * span:
        return f"seen in {count} of {span} frames only"
    if fragment.confirmed < config.tracking.min_confirmed * fragment.chances:
        return f"the detector saw it in {fragment.confirmed} of {fragment.chances} looks"
    return ""


def min_track_frames(lengths: list[int], frames: int, config: PeopleConfig) -> int:
    """The least number of frames of a kept track, given all tracks' lengths and the number of frames of the shot."""
    least = min(config.min_frames, max(1, (frames + 1) // 2))
    floor = min(config.min_frames_ever, frames)
    longest = max(lengths, default=0)
    return max(floor, min(least, longest))


def _prominence(fragment: Fragment) -> float:
    return float((fragment.boxes[:, 3] - fragment.boxes[:, 1]).sum())


def _track(number: int, fragment: Fragment, canvas: Canvas, size: tuple[int, int]) -> Track:
    keypoints, keypoints_3d = repair_swaps(fragment.keypoints, fragment.keypoints_3d, fragment.frames)
    return Track(
        id=number,
        frames=fragment.frames.astype(np.int64),
        boxes=fragment.boxes.astype(np.float64),
        keypoints=keypoints.astype(np.float64),
        joint_set=JOINT_SET,
        masks=stack_masks(fragment.masks, canvas),
        keypoints_3d=keypoints_3d.astype(np.float64),
        overlap=fragment.overlap,
    )


def stack_masks(masks: tuple[MaskStack, ...], canvas: Canvas) -> MaskStack:
    """Single masks as one stack."""
    lengths = [len(m.counts) for m in masks]
    return MaskStack(
        canvas.width,
        canvas.height,
        np.concatenate([m.windows for m in masks]),
        np.concatenate([m.counts for m in masks]),
        np.cumsum([0, *lengths]).astype(np.int64),
    )
