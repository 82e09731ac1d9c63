"""The two BlazePose networks as plain functions on pictures: a person detector and a single-person pose network.

The files come out of one pinned wheel (Apache-2.0) and are run with ai-edge-litert; nothing of that package is
imported. Coordinates are pixels of the picture with pixel centres at half integers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from jaxtyping import Float, UInt8

from diorama.assets import WheelSource, fetch_wheel_files

BLAZEPOSE_WHEEL = WheelSource(
    name="mediapipe",
    version="0.10.21",
    filename="mediapipe-0.10.21-cp312-cp312-manylinux_2_28_x86_64.whl",
    sha256="956eb1ebc275c629e61b085b2cab89c3a5b9e93bad1bb107348d98dafb5a4bb5",
    megabytes=35.6,
    licence="Apache-2.0",
    pip_arguments=(
        "--python-version", "3.12", "--implementation", "cp", "--abi", "cp312", "--platform", "manylinux_2_28_x86_64",
    ),
    members={
        "pose_detection.tflite": (
            "mediapipe/modules/pose_detection/pose_detection.tflite",
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
        ),
        "pose_landmark_full.tflite": (
            "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
        ),
        "LICENSE": (
            "mediapipe-0.10.21.dist-info/LICENSE",
            "8707eef0533987efc5b155d64761eeb6e20793f50b9bd1a68dad1cf4719d0ed8",
        ),
    },
)  # fmt: skip

JOINT_SET = "blazepose33"
JOINTS = 33
# Rows of the network's 39 points: the 33 joints, then two points that say where the next crop lies, then spares.
AUX_CENTRE, AUX_SCALE = 33, 34
CROP = 256
DETECTOR_SIZE = 224
# The crop is this much larger than the circle through the scale point, so that stretched limbs stay inside.
CROP_MARGIN = 1.25


@dataclass(frozen=True)
class Region:
    """A square of the picture, turned by `angle` radians (picture axes, clockwise on the screen), centre (x, y) px."""

    x: float
    y: float
    size: float
    angle: float = 0.0

    @classmethod
    def from_points(cls, centre: Float[np.ndarray, " 2"], scale: Float[np.ndarray, " 2"]) -> Region:
        """The crop of a person whose hips are at `centre` and whose body's circle passes through `scale` (above)."""
        dx, dy = float(scale[0] - centre[0]), float(scale[1] - centre[1])
        return cls(
            float(centre[0]), float(centre[1]), 2 * CROP_MARGIN * float(np.hypot(dx, dy)), float(np.arctan2(dx, -dy))
        )

    @property
    def rotation(self) -> Float[np.ndarray, "2 2"]:
        """Turns crop axes into picture axes."""
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.array([[c, -s], [s, c]])

    def to_picture(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """From crop units (0..1 from left to right and top to bottom) to picture px."""
        return (points - 0.5) * self.size @ self.rotation.T + (self.x, self.y)

    def to_crop(self, points: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
        """Inverse of `to_picture`."""
        return (points - (self.x, self.y)) @ self.rotation / self.size + 0.5

    def affine(self, resolution: int, scale: float = 1.0) -> Float[np.ndarray, "2 3"]:
        """OpenCV's matrix (integer pixel centres) from crop pixels to the pixels of a picture shrunk by `scale`."""
        corners = self.to_picture(np.array([[0.5, 0.5], [1.5, 0.5], [0.5, 1.5]]) / resolution) * scale - 0.5
        return np.stack([corners[1] - corners[0], corners[2] - corners[0], corners[0]], axis=1)


class Picture:
    """One RGB picture with halved copies made when first needed, so that small crops of large people do not alias."""

    def __init__(self, pixels: UInt8[np.ndarray, "height width 3"]) -> None:
        self.levels = [np.ascontiguousarray(pixels)]

    @property
    def width(self) -> int:
        return self.levels[0].shape[1]

    @property
    def height(self) -> int:
        return self.levels[0].shape[0]

    def level(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        while len(self.levels) <= number:
            last = self.levels[-1]
            # Odd sizes lose their last row or column, so that a level is exactly half of the one below.
            even = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
            self.levels.append(cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA))
        return self.levels[number]

    def cut(self, region: Region, resolution: int) -> UInt8[np.ndarray, "height width 3"]:
        """The square `region` resampled to `resolution` pixels; black outside of the picture."""
        number = int(np.clip(np.log2(max(region.size / resolution, 1.0)), 0, 4))
        matrix = region.affine(resolution, 0.5**number)
        return cv2.warpAffine(
            self.level(number), matrix, (resolution, resolution), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        )


@dataclass(frozen=True)
class Candidates:
    """What the detector saw, px: boxes xyxy of heads, points (hips' centre and scale, shoulders' centre and scale)."""

    scores: Float[np.ndarray, " people"]
    boxes: Float[np.ndarray, "people 4"]
    points: Float[np.ndarray, "people 4 2"]

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, rows: np.ndarray) -> Candidates:
        return Candidates(self.scores[rows], self.boxes[rows], self.points[rows])

    def region(self, row: int) -> Region:
        return Region.from_points(self.points[row, 0], self.points[row, 1])

    @classmethod
    def join(cls, parts: list[Candidates]) -> Candidates:
        if not parts:
            return cls(np.zeros(0), np.zeros((0, 4)), np.zeros((0, 4, 2)))
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("scores", "boxes", "points")))


@dataclass(frozen=True)
class Pose:
    """One person as the pose network sees him in a crop.

    `keypoints` x px, y px, confidence; `keypoints_3d` metres from the hips' centre along the camera's axes; `depths`
    px relative to the hips, as the network guesses; `presence` the probability that the crop shows a person; `mask`
    the probability per crop pixel of belonging to him; `next_region` where the network would look again.
    """

    region: Region
    keypoints: Float[np.ndarray, "33 3"]
    keypoints_3d: Float[np.ndarray, "33 3"]
    depths: Float[np.ndarray, " 33"]
    presence: float
    mask: Float[np.ndarray, "256 256"]
    next_region: Region


def sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))


def detector_anchors() -> Float[np.ndarray, "anchors 2"]:
    """Centres (x, y), in units of the input, of the detector's anchors, in the order of its output."""
    rows = []
    # (cells per side, anchors per cell): strides 8 and 16 carry two sizes, the three layers of stride 32 six.
    for cells, repeats in ((28, 2), (14, 2), (7, 6)):
        y, x = np.mgrid[:cells, :cells]
        grid = (np.stack([x, y], axis=-1).reshape(-1, 2) + 0.5) / cells
        rows.append(np.repeat(grid, repeats, axis=0))
    return np.concatenate(rows)


def decode_detections(
    raw: Float[np.ndarray, "anchors 12"], logits: Float[np.ndarray, " anchors"], min_score: float
) -> Candidates:
    """Candidates in units of the detector's input (0..1) from its two outputs; no suppression."""
    scores = sigmoid(logits.astype(np.float64))
    rows = np.flatnonzero(scores >= min_score)
    centres = detector_anchors()[rows]
    values = raw[rows].astype(np.float64).reshape(-1, 6, 2) / DETECTOR_SIZE
    middle, half = values[:, 0] + centres, values[:, 1] / 2
    boxes = np.concatenate([middle - half, middle + half], axis=1)
    return Candidates(scores[rows], boxes, values[:, 2:] + centres[:, None])


def refine_with_heatmap(
    points: Float[np.ndarray, "points 2"], heatmap: Float[np.ndarray, "cells cells points"], radius: int = 3
) -> Float[np.ndarray, "points 2"]:
    """Move points (crop units) to the centre of mass of their heatmap (probabilities) nearby, where it is sure.

    Cell i stands for the coordinate i / cells, without a half: so measured on real people against mirrored crops
    (bias -0.2 crop px; with a half cell 3.6 px).
    """
    cells = heatmap.shape[0]
    out = points.copy()
    for k, (x, y) in enumerate(points * cells):
        column, row = int(x), int(y)
        if not (0 <= column < cells and 0 <= row < cells):
            continue
        x0, y0 = max(column - radius, 0), max(row - radius, 0)
        window = heatmap[y0 : row + radius + 1, x0 : column + radius + 1, k]
        if window.max() < 0.5:
            continue
        total = window.sum()
        out[k, 0] = (window.sum(0) @ np.arange(x0, x0 + window.shape[1]) / total) / cells
        out[k, 1] = (window.sum(1) @ np.arange(y0, y0 + window.shape[0]) / total) / cells
    return out


class BlazePose:
    """Both networks, loaded once. `threads` is the number of CPU threads of the interpreter."""

    def __init__(self, threads: int = 2, files: dict[str, Path] | None = None) -> None:
        files = files or fetch_wheel_files(BLAZEPOSE_WHEEL)
        self.detector = _Network(files["pose_detection.tflite"], threads)
        self.landmarker = _Network(files["pose_landmark_full.tflite"], threads)

    def detect(self, picture: Picture, tile: tuple[float, float, float], min_score: float = 0.5) -> Candidates:
        """Candidates (picture px) in the square `tile` = (x0, y0, size) of the picture; no suppression."""
        x0, y0, size = tile
        crop = picture.cut(Region(x0 + size / 2, y0 + size / 2, size), DETECTOR_SIZE)
        raw, logits = self.detector.run(crop.astype(np.float32) / 127.5 - 1)
        found = decode_detections(raw[0], logits[0, :, 0], min_score)
        offset = np.array([x0, y0])
        return Candidates(found.scores, found.boxes * size + np.tile(offset, 2), found.points * size + offset)

    def pose(self, picture: Picture, region: Region) -> Pose:
        """The pose of the person in the middle of `region`."""
        return self.pose_of_crop(picture.cut(region, CROP), region)

    def pose_of_crop(self, crop: UInt8[np.ndarray, "256 256 3"], region: Region) -> Pose:
        """As `pose`, of a crop that the caller has cut (and perhaps altered)."""
        raw, presence, mask, heatmap, world = self.landmarker.run(crop.astype(np.float32) / 255)
        return decode_pose(
            raw.reshape(39, 5), presence.item(), mask[0, :, :, 0], heatmap[0], world.reshape(39, 3), region
        )


def decode_pose(
    raw: Float[np.ndarray, "39 5"],
    presence: float,
    mask: Float[np.ndarray, "256 256"],
    heatmap: Float[np.ndarray, "64 64 39"],
    world: Float[np.ndarray, "39 3"],
    region: Region,
) -> Pose:
    """The pose network's outputs (mask and heatmap as logits) in picture px and camera axes."""
    points = raw[:, :2].astype(np.float64) / CROP
    refined = points.copy()
    refined[:JOINTS] = refine_with_heatmap(points[:JOINTS], sigmoid(heatmap[..., :JOINTS].astype(np.float64)))
    confidence = sigmoid(raw[:JOINTS, 3].astype(np.float64)) * sigmoid(raw[:JOINTS, 4].astype(np.float64))
    pixels = region.to_picture(refined)
    around = region.rotation
    world_camera = world[:JOINTS].astype(np.float64)
    world_camera[:, :2] = world_camera[:, :2] @ around.T
    return Pose(
        region,
        np.concatenate([pixels[:JOINTS], confidence[:, None]], axis=1),
        world_camera,
        raw[:JOINTS, 2].astype(np.float64) / CROP * region.size,
        float(presence),
        sigmoid(mask).astype(np.float32),
        Region.from_points(pixels[AUX_CENTRE], pixels[AUX_SCALE]),
    )


class _Network:
    """A .tflite file whose outputs are returned in the order of the file."""

    def __init__(self, path: Path, threads: int) -> None:
        self.interpreter = Interpreter(str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        self.outputs = [detail["index"] for detail in self.interpreter.get_output_details()]

    def run(self, values: Float[np.ndarray, "height width 3"]) -> list[np.ndarray]:
        self.interpreter.set_tensor(self.input, values[None])
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(index) for index in self.outputs]
