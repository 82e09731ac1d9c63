"""What was seen in a video, before anybody decides what it means: tracks, bodies, depth, matches, contacts, cameras.

All frame numbers are rows of the `Video`; pixels are those of the upright source picture; every part names its source.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8


@dataclass(frozen=True)
class Source:
    """Who made a part of the observations: front end, model, licence of the model, and what it assumed."""

    frontend: str
    model: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MaskStack:
    """One binary mask per row, run-length coded inside a window of a mask picture of size `width` x `height`.

    The mask picture covers the whole upright source picture (it may have fewer pixels). Row n has the window
    `windows[n]` = (x0, y0, x1, y1) in mask pixels, and the runs `counts[offsets[n]:offsets[n + 1]]`, row-major,
    starting with a run of zeros.
    """

    width: int
    height: int
    windows: Int[np.ndarray, "frames 4"]
    counts: Int[np.ndarray, " runs"]
    offsets: Int[np.ndarray, " frames_plus_one"]

    def __len__(self) -> int:
        return len(self.windows)

    def window(self, row: int) -> Bool[np.ndarray, "height width"]:
        """The mask inside its window."""
        x0, y0, x1, y1 = self.windows[row]
        runs = self.counts[self.offsets[row] : self.offsets[row + 1]]
        values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return values.reshape(y1 - y0, x1 - x0)

    def full(self, row: int, size: tuple[int, int] | None = None) -> Bool[np.ndarray, "height width"]:
        """The mask as a picture, resampled (nearest) to `size` = (width, height) if given."""
        out = np.zeros((self.height, self.width), bool)
        x0, y0, x1, y1 = self.windows[row]
        out[y0:y1, x0:x1] = self.window(row)
        if size is None or size == (self.width, self.height):
            return out
        columns = ((np.arange(size[0]) + 0.5) * self.width / size[0]).astype(int)
        rows = ((np.arange(size[1]) + 0.5) * self.height / size[1]).astype(int)
        return out[rows[:, None], columns[None]]

    @classmethod
    def encode(cls, masks: list[tuple[tuple[int, int, int, int], np.ndarray]], width: int, height: int) -> MaskStack:
        """From ((x0, y0, x1, y1), bool array of that window) per row."""
        runs = [_run_lengths(mask) for _, mask in masks]
        offsets = np.cumsum([0, *(len(r) for r in runs)]).astype(np.int64)
        counts = np.concatenate(runs) if runs else np.zeros(0, np.int32)
        windows = np.array([window for window, _ in masks], np.int32).reshape(-1, 4)
        return cls(width, height, windows, counts.astype(np.int32), offsets)


def _run_lengths(mask: np.ndarray) -> np.ndarray:
    flat = np.asarray(mask, bool).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(flat)]])
    runs = np.diff(bounds)
    return np.concatenate([[0], runs]) if len(flat) and flat[0] else runs


@dataclass(frozen=True)
class Track:
    """One person over the frames in which he is seen.

    `keypoints` are x px, y px, confidence 0-1 in the joint set `joint_set`; `keypoints_3d` are metres relative to the
    hips' centre along the camera's axes (blind to stature); `overlap` flags frames where another person covers or
    touches this one.
    """

    id: int
    frames: Int[np.ndarray, " frames"]
    boxes: Float[np.ndarray, "frames 4"]
    keypoints: Float[np.ndarray, "frames joints 3"]
    joint_set: str
    masks: MaskStack | None = None
    keypoints_3d: Float[np.ndarray, "frames joints 3"] | None = None
    overlap: Bool[np.ndarray, " frames"] | None = None


@dataclass(frozen=True)
class Tracks:
    """All people of a shot; `dropped` says in words who was seen but not kept, and why."""

    source: Source
    people: tuple[Track, ...]
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True)
class ObservedBody:
    """Camera-frame body of one person in SMPL terms, in metres, given the focal length (`focal` px) that it assumed."""

    id: int
    frames: Int[np.ndarray, " frames"]
    body: str
    gender: str
    betas: Float[np.ndarray, " betas"]
    global_orient: Float[np.ndarray, "frames 3"]
    body_pose: Float[np.ndarray, "frames joints 3"]
    transl: Float[np.ndarray, "frames 3"]
    focal: Float[np.ndarray, " frames"]
    residual_px: Float[np.ndarray, " frames"]
    confidence: Float[np.ndarray, " frames"]


@dataclass(frozen=True)
class Bodies:
    """Camera-frame bodies of all people."""

    source: Source
    people: tuple[ObservedBody, ...]


@dataclass(frozen=True)
class Depth:
    """Depth along the optical axis at keyframes; 0 where unknown. `metric` is false when in units of the cameras.

    Maps lie on the pixel grid of the video itself: unproject them with `K` and the distortion of the frame's camera.
    """

    source: Source
    frames: Int[np.ndarray, " frames"]
    depth: Float[np.ndarray, "frames height width"]
    confidence: Float[np.ndarray, "frames height width"]
    K: Float[np.ndarray, "frames 3 3"]
    metric: bool
    points: Float[np.ndarray, "points 3"]
    colors: UInt8[np.ndarray, "points 3"]
    points_confidence: Float[np.ndarray, " points"]


@dataclass(frozen=True)
class Matches:
    """Pixel correspondences between frames; row m joins `xy_i[m]` in `frames_i[m]` with `xy_j[m]` in `frames_j[m]`.

    `frames_i` < `frames_j`; pixels as they are seen (distortion is not taken out); confidence 0-1.
    """

    source: Source
    frames_i: Int[np.ndarray, " matches"]
    frames_j: Int[np.ndarray, " matches"]
    xy_i: Float[np.ndarray, "matches 2"]
    xy_j: Float[np.ndarray, "matches 2"]
    confidence: Float[np.ndarray, " matches"]

    @property
    def frames(self) -> Int[np.ndarray, " frames"]:
        """The frames that have a match, ascending."""
        return np.union1d(self.frames_i, self.frames_j)


@dataclass(frozen=True)
class ContactLabels:
    """Per person and frame, the probability 0-1 that each named site touches the scene."""

    source: Source
    ids: tuple[int, ...]
    frames: tuple[Int[np.ndarray, " _"], ...]
    sites: tuple[str, ...]
    probability: tuple[Float[np.ndarray, "_ sites"], ...]


@dataclass(frozen=True)
class ObservedCameras:
    """Cameras in a world of their own: arbitrary origin and axes, and unit length unless `metric`.

    `kind` is "translating", "rotating" or "static"; `focal_source` is "recovered", "assumed" or "given"; `evidence`
    holds the figures on which these were decided; `points_world` are sparse triangulated points (may be empty).
    """

    source: Source
    kind: str
    focal_source: str
    K: Float[np.ndarray, "frames 3 3"]
    distortion: Float[np.ndarray, "frames k"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    registered: Bool[np.ndarray, " frames"]
    metric: bool = False
    points_world: Float[np.ndarray, "points 3"] = field(default_factory=lambda: np.zeros((0, 3)))
    colors: UInt8[np.ndarray, "points 3"] = field(default_factory=lambda: np.zeros((0, 3), np.uint8))
    reprojection_px: float = float("nan")
    evidence: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observations:
    """Everything seen in one shot. Parts that nobody looked for are None.

    `depth_prior` is a second, metric depth of another source, for methods that check one by the other.
    """

    width: int
    height: int
    times: Float[np.ndarray, " frames"]
    frame_index: Int[np.ndarray, " frames"]
    duplicate: Bool[np.ndarray, " frames"]
    tracks: Tracks | None = None
    bodies: Bodies | None = None
    depth: Depth | None = None
    matches: Matches | None = None
    contacts: ContactLabels | None = None
    cameras: ObservedCameras | None = None
    depth_prior: Depth | None = None
