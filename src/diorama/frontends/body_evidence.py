"""A person's track and the cameras as tensors for the fit: undistorted landmarks, limb directions, mask distances.

The fit's frame has the axes of the cameras' world and its origin at the camera of each frame, so that no scale is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from diorama.body.image_terms import CameraRows, DistanceFields
from diorama.body.joints import BLAZEPOSE_33, KEYPOINT_SETS
from diorama.errors import DioramaError
from diorama.geometry.cameras import undistort
from diorama.geometry.rotations import rotation_between
from diorama.observations import ObservedCameras, Track

# Limbs whose directions the detector's 3D landmarks give, with its standard deviation in radians, measured on rendered
# walkers seen from behind and from the side: trunk 6 degrees, upper arms 10-15, thighs 15-22, hip line 24 (it is drawn
# too narrow and turned), shins 17-30 and forearms 13-40. The foot's direction (45-80 degrees off) is not used.
LIMB_SIGMA: dict[tuple[str, str], float] = {
    ("left_shoulder", "right_shoulder"): 0.2,
    ("left_hip", "right_hip"): 0.5,
    ("left_hip", "left_shoulder"): 0.15,
    ("right_hip", "right_shoulder"): 0.15,
    ("left_shoulder", "left_elbow"): 0.3,
    ("left_elbow", "left_wrist"): 0.5,
    ("right_shoulder", "right_elbow"): 0.3,
    ("right_elbow", "right_wrist"): 0.5,
    ("left_hip", "left_knee"): 0.4,
    ("left_knee", "left_ankle"): 0.5,
    ("right_hip", "right_knee"): 0.4,
    ("right_knee", "right_ankle"): 0.5,
    ("left_ear", "right_ear"): 0.3,
}
LIMBS: tuple[tuple[str, str], ...] = tuple(LIMB_SIGMA)


# Distances are measured on a grid this many times finer than the one that is kept: a person's outline is thin.
FINER = 4


@dataclass(frozen=True)
class EvidenceConfig:
    """Standard deviations. `keypoint_sigma` is a fraction of the person's height in the picture: the detector's error on
    rendered people is 1-2 % of height, its frame-to-frame noise less; crowded face and finger landmarks count less.
    `direction_factor` multiplies the deviations of `LIMB_SIGMA`."""

    keypoint_sigma: float = 0.007
    face_factor: float = 2.5
    finger_factor: float = 3.0
    direction_factor: float = 1.0
    crown_sigma: float = 0.01
    silhouette_sigma: float = 0.02
    silhouette_margin: float = 0.01
    min_confidence: float = 0.3
    grid: int = 64


@dataclass(frozen=True)
class Evidence:
    """Everything the fit looks at for one person; rows follow the track. `names` are the points of the body that the
    keypoints show, the crown last."""

    names: tuple[str, ...]
    times: Float[Tensor, " frames"]
    cameras: CameraRows
    seen: Float[Tensor, "frames landmarks 2"]
    sigma_px: Float[Tensor, "frames landmarks"]
    confidence: Float[Tensor, "frames joints"]
    directions_world: Float[Tensor, "frames limbs 3"]
    direction_sigma: Float[Tensor, "frames limbs"]
    height_px: Float[Tensor, " frames"]
    fields: DistanceFields | None
    silhouette_sigma_px: Float[Tensor, " frames"]

    def rows(self, cut: slice | Int[Tensor, " n"]) -> Evidence:
        """The evidence of some rows."""
        fields = self.fields
        if fields is not None:
            fields = DistanceFields(fields.distance[cut], fields.origin[cut], fields.cell[cut])
        return Evidence(
            self.names, self.times[cut], self.cameras.rows(cut), self.seen[cut], self.sigma_px[cut], self.confidence[cut],
            self.directions_world[cut], self.direction_sigma[cut], self.height_px[cut], fields,
            self.silhouette_sigma_px[cut],
        )  # fmt: skip


def point_names(joint_set: str) -> tuple[str, ...]:
    """Names of the points of an `UnknownPerson` that a detector's keypoints show.

    Raises:
        DioramaError: nobody has said what these keypoints are.
    """
    if joint_set not in KEYPOINT_SETS:
        known = ", ".join(KEYPOINT_SETS)
        raise DioramaError("no such set of keypoints", where=joint_set, fix=f"give keypoints of one of {known}")
    names = KEYPOINT_SETS[joint_set]
    return tuple(f"joint/{name}" for name in names) if joint_set == "smpl24" else names


def gather_evidence(
    track: Track, others: tuple[Track, ...], cameras: ObservedCameras, times: Float[np.ndarray, " frames"],
    width: int, height: int, config: EvidenceConfig, *, silhouette: bool = True,
) -> Evidence:  # fmt: skip
    """Evidence of one track; `others` are the people whose masks may hide him."""
    rows = track.frames
    K, distortion = cameras.K[rows], cameras.distortion[rows]
    R_world_camera = torch.from_numpy(cameras.T_world_camera[rows, :3, :3].copy())
    focal = torch.from_numpy(K[:, 0, 0].copy())
    normalised = _normalise(track.keypoints[..., :2].astype(np.float64), K, distortion)
    confidence = torch.from_numpy(np.clip(np.nan_to_num(track.keypoints[..., 2].astype(np.float64)), 0, 1))
    height_px = _apparent_height(track)
    crown, crown_sigma = crown_from_mask(track, height_px, (width, height), config)
    crown_seen = _normalise(crown[:, None], K, distortion)
    names = point_names(track.joint_set)
    unseen = ~torch.from_numpy(np.isfinite(normalised).all(-1))
    sigma = _keypoint_sigma(names, confidence, height_px, config).masked_fill(unseen, torch.inf)
    sigma = torch.cat([sigma, crown_sigma[:, None]], 1)
    directions, direction_sigma = _directions(track, normalised, confidence, R_world_camera, config)
    fields, silhouette_sigma = _mask_fields(
        track if silhouette else replace(track, masks=None), others, K, height_px, (width, height), config
    )
    return Evidence(
        (*names, "head_top"),
        torch.from_numpy(times[rows].copy()),
        CameraRows(R_world_camera.mT.contiguous(), torch.zeros(len(rows), 3, dtype=torch.float64), focal),
        torch.from_numpy(np.nan_to_num(np.concatenate([normalised, crown_seen], 1), posinf=0, neginf=0))
        * focal[:, None, None],
        sigma,
        confidence,
        directions,
        direction_sigma,
        height_px,
        fields,
        silhouette_sigma,
    )


def _normalise(pixels: np.ndarray, K: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Pinhole coordinates (x / z, y / z) of pixels (F, P, 2)."""
    xy = (pixels - K[:, None, :2, 2]) / K[:, [0, 1], [0, 1]][:, None]
    return undistort(xy, np.broadcast_to(distortion[:, None], (*xy.shape[:2], distortion.shape[1])))


def _apparent_height(track: Track) -> Tensor:
    """Height of a standing person in pixels: longest extent of the landmarks, steadied over the track."""
    points = track.keypoints[..., :2]
    known: np.ndarray = np.all(np.isfinite(points), axis=2)
    highest = np.where(known[..., None], points, -np.inf).max(1)
    lowest = np.where(known[..., None], points, np.inf).min(1)
    extent = np.linalg.norm(np.where(known.sum(1)[:, None] > 0, highest - lowest, 0), axis=1)
    reach = 15
    steady = [np.percentile(extent[max(0, i - reach) : i + reach + 1], 75) for i in range(len(extent))]
    return torch.from_numpy(np.maximum(np.array(steady, np.float64), 20.0))


def _keypoint_sigma(names: tuple[str, ...], confidence: Tensor, height_px: Tensor, config: EvidenceConfig) -> Tensor:
    factor = torch.ones(len(names), dtype=torch.float64)
    for index, name in enumerate(names):
        if name in BLAZEPOSE_33[:11]:
            factor[index] = config.face_factor
        if name.endswith(("pinky", "index", "thumb")) and "foot" not in name:
            factor[index] = config.finger_factor
    sigma = config.keypoint_sigma * height_px[:, None] * factor / confidence.clamp_min(0.05)
    return torch.where(confidence < config.min_confidence, torch.full_like(sigma, torch.inf), sigma)


def crown_from_mask(
    track: Track, height_px: Float[Tensor, " frames"], size: tuple[int, int], config: EvidenceConfig
) -> tuple[Float[np.ndarray, "frames 2"], Float[Tensor, " frames"]]:
    """The highest mask pixel near the head (px) and its deviation; infinite where it is not seen, lies at the picture's
    border, is far from where the face says a crown is, or where somebody else may be the one who is seen there."""
    crown = np.zeros((len(track.frames), 2))
    sigma = torch.full((len(track.frames),), torch.inf, dtype=torch.float64)
    if track.masks is None or track.joint_set != "blazepose33":
        return crown, sigma
    scale = np.array([size[0] / track.masks.width, size[1] / track.masks.height])
    for row in range(len(track.frames)):
        tall = float(height_px[row])
        head = track.keypoints[row, :11, :2].mean(0)
        if not np.isfinite(head).all():
            continue
        x0, y0, *_ = track.masks.windows[row]
        window = track.masks.window(row)
        left, right = ((head[0] + side * 0.04 * tall) / scale[0] - x0 for side in (-1, 1))
        columns = window[:, max(int(left), 0) : max(int(np.ceil(right)), 0)]
        lines = np.flatnonzero(columns.any(1))
        if not len(lines) or (track.overlap is not None and track.overlap[row]):
            continue
        top = (y0 + lines[0]) * scale[1]
        above = (head[1] - top) / tall
        if top > 2 and 0.03 < above < 0.15 and track.keypoints[row, :11, 2].mean() > config.min_confidence:
            crown[row] = head[0], top
            sigma[row] = config.crown_sigma * tall
    return crown, sigma


def _directions(
    track: Track, normalised: np.ndarray, confidence: Tensor, R_world_camera: Tensor, config: EvidenceConfig
) -> tuple[Tensor, Tensor]:
    """Limb directions in world axes. The detector sees its crop as if the camera looked straight at it, so its 3D
    landmarks are turned from the optical axis to the ray through the person."""
    order = {name: i for i, name in enumerate(BLAZEPOSE_33)}
    start, end = [order[a] for a, _ in LIMBS], [order[b] for _, b in LIMBS]
    if track.keypoints_3d is None or track.joint_set != "blazepose33":
        shape = (len(track.frames), len(LIMBS))
        return torch.ones(*shape, 3, dtype=torch.float64), torch.full(shape, torch.inf, dtype=torch.float64)
    points = torch.from_numpy(track.keypoints_3d.astype(np.float64))
    centre = torch.from_numpy(np.median(normalised[:, 11:], 1))
    ray = torch.cat([centre, torch.ones(len(centre), 1, dtype=torch.float64)], 1)
    forward = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).expand_as(ray)
    turn = R_world_camera @ rotation_between(forward, ray)
    limbs = torch.nn.functional.normalize(points[:, end] - points[:, start], dim=-1) @ turn.mT
    weakest = torch.minimum(confidence[:, start], confidence[:, end])
    base = torch.tensor(list(LIMB_SIGMA.values()), dtype=torch.float64)
    sigma = config.direction_factor * base / weakest.clamp_min(0.05)
    return limbs, torch.where(weakest < config.min_confidence, torch.full_like(sigma, torch.inf), sigma)


def _mask_fields(
    track: Track, others: tuple[Track, ...], K: np.ndarray, height_px: Tensor, size: tuple[int, int],
    config: EvidenceConfig,
) -> tuple[DistanceFields | None, Tensor]:  # fmt: skip
    """Distance to where the person may be seen: his own mask, anybody else's mask (he may be behind), or outside."""
    if track.masks is None:
        return None, torch.full((len(track.frames),), torch.inf, dtype=torch.float64)
    fields, origins, cells = [], [], []
    for row, frame in enumerate(track.frames):
        x0, y0, x1, y1 = track.boxes[row]
        side = 1.6 * max(x1 - x0, y1 - y0, 8.0)
        corner = np.array([(x0 + x1 - side) / 2, (y0 + y1 - side) / 2])
        fine = side / (FINER * config.grid)
        allowed = _allowed(track, row, int(frame), others, corner, fine, size, FINER * config.grid)
        distance = (
            cv2.distanceTransform((~allowed).astype(np.uint8), cv2.DIST_L2, 5) if allowed.any() else 0.0 * allowed
        )
        coarse = cv2.resize(distance.astype(np.float32), (config.grid, config.grid), interpolation=cv2.INTER_AREA)
        margin = config.silhouette_margin * float(height_px[row])
        fields.append((coarse * fine - margin).clip(0).astype(np.float64))
        origins.append(corner - K[row, :2, 2])
        cells.append(side / config.grid)
    stack = DistanceFields(*(torch.from_numpy(np.array(a)) for a in (fields, origins, cells)))
    return stack, config.silhouette_sigma * height_px


def _allowed(
    track: Track, row: int, frame: int, others: tuple[Track, ...], corner: np.ndarray, cell: float,
    size: tuple[int, int], grid: int,
) -> np.ndarray:  # fmt: skip
    axis = (np.arange(grid) + 0.5) * cell
    columns, rows = corner[0] + axis, corner[1] + axis
    outside = (columns < 0) | (columns >= size[0])
    allowed = outside[None, :] | ((rows < 0) | (rows >= size[1]))[:, None]
    seen: list[tuple[Track, int]] = [(track, row)]
    for other in others:
        hit = np.flatnonzero(other.frames == frame)
        if len(hit) and other.masks is not None:
            seen.append((other, int(hit[0])))
    for person, index in seen:
        assert person.masks is not None
        allowed |= sample_mask(person, index, columns, rows, size)
    return allowed


def sample_mask(
    track: Track,
    row: int,
    columns: Float[np.ndarray, " width"],
    rows: Float[np.ndarray, " height"],
    size: tuple[int, int],
) -> np.ndarray:
    """The mask of one row at pixel positions columns x rows of the source picture."""
    masks = track.masks
    assert masks is not None
    x0, y0, x1, y1 = masks.windows[row]
    if x1 <= x0 or y1 <= y0:
        return np.zeros((len(rows), len(columns)), bool)
    column: Int[np.ndarray, " width"] = np.floor(columns * masks.width / size[0]).astype(int) - x0
    line: Int[np.ndarray, " height"] = np.floor(rows * masks.height / size[1]).astype(int) - y0
    inside = ((line >= 0) & (line < y1 - y0))[:, None] & ((column >= 0) & (column < x1 - x0))[None]
    window = masks.window(row)
    return window[line.clip(0, y1 - y0 - 1)[:, None], column.clip(0, x1 - x0 - 1)[None]] & inside
