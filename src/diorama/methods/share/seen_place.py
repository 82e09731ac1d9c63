"""Where 2D keypoints put a posed body of known size: its pelvis before the camera, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body.detected import landmark_points
from diorama.body.joints import KEYPOINT_SETS
from diorama.body.model import ShapedBody
from diorama.geometry.cameras import undistort
from diorama.observations import ObservedBody, ObservedCameras, Track

# Keypoints below this confidence are guesses; a frame needs so many others.
_CONFIDENT, _FEWEST = 0.3, 6
_ROUNDS = 12


@dataclass(frozen=True)
class SeenPlaces:
    """The pelvis per row in the camera frame, metres; `known` where enough keypoints tell it."""

    pelvis: Float[np.ndarray, "n 3"]
    known: Bool[np.ndarray, " n"]


def seen_places(
    body: ObservedBody, shaped: ShapedBody, track: Track | None, cameras: ObservedCameras, sigma: float
) -> SeenPlaces:
    """Translations that bring the landmarks onto the keypoints, by Gauss-Newton with Geman-McClure weights.

    Args:
        body: its poses and first places.
        shaped: its shape.
        track: of the same person.
        cameras: whose lens the keypoints were seen with.
        sigma: deviation of keypoints as a share of the person's height in the picture.
    """
    rest = shaped.joints_rest[0].double().numpy()
    pelvis = np.asarray(body.transl, np.float64) + rest
    if track is None or track.joint_set not in KEYPOINT_SETS:
        return SeenPlaces(pelvis, np.zeros(len(pelvis), bool))
    _, mine, theirs = np.intersect1d(body.frames, track.frames, return_indices=True)
    marks = _landmarks(body, shaped, track.joint_set)[mine] - pelvis[mine][:, None]
    K = cameras.K[body.frames[mine]]
    seen = np.asarray(track.keypoints, np.float64)[theirs]
    flat = (seen[..., :2] - K[:, None, :2, 2]) / K[:, None, [0, 1], [0, 1]]
    flat = np.stack([undistort(f, d) for f, d in zip(flat, cameras.distortion[body.frames[mine]], strict=True)])
    good = (seen[..., 2] > _CONFIDENT) & np.isfinite(flat).all(-1) & np.isfinite(marks).all(-1)
    known = good.sum(1) >= _FEWEST
    found = _fitted(marks, np.nan_to_num(flat), good * np.clip(seen[..., 2], 0, 1), pelvis[mine], sigma)
    known &= np.isfinite(found).all(1) & (found[:, 2] > 0.3)
    out, told = pelvis.copy(), np.zeros(len(pelvis), bool)
    out[mine[known]], told[mine[known]] = found[known], True
    return SeenPlaces(out, told)


def _landmarks(body: ObservedBody, shaped: ShapedBody, joint_set: str) -> Float[np.ndarray, "n landmarks 3"]:
    arrays = (torch.from_numpy(np.asarray(a, np.float32)) for a in (body.global_orient, body.body_pose, body.transl))
    return landmark_points(shaped.posed(*arrays), joint_set)


def _fitted(
    marks: Float[np.ndarray, "n landmarks 3"], seen: Float[np.ndarray, "n landmarks 2"],
    weight: Float[np.ndarray, "n landmarks"], start: Float[np.ndarray, "n 3"], sigma: float,
) -> Float[np.ndarray, "n 3"]:  # fmt: skip
    """Pelvises, all rows at once; `marks` are relative to them, `seen` in focal lengths."""
    place = start.copy()
    tall = np.ptp(np.where(weight[..., None] > 0, marks, 0.0), axis=1).max(1)
    for turn in range(_ROUNDS):
        points = marks + place[:, None]
        z = np.maximum(points[..., 2:], 0.2)
        away = seen - points[..., :2] / z
        width = sigma * (tall / np.maximum(place[:, 2], 0.2))[:, None] * (4.0 if turn < _ROUNDS // 2 else 2.0)
        w = weight / (1 + (away**2).sum(-1) / width**2) ** 2
        slopes = (
            np.concatenate([np.broadcast_to(np.eye(2), (*z.shape[:2], 2, 2)), -(points[..., :2] / z)[..., None]], -1)
            / z[..., None]
        )
        A = np.einsum("nl,nlij,nlik->njk", w, slopes, slopes) + 1e-9 * np.eye(3)
        b = np.einsum("nl,nlij,nli->nj", w, slopes, away)
        place = place + np.linalg.solve(A, b[..., None])[..., 0]
        place[:, 2] = np.clip(place[:, 2], 0.5 * start[:, 2], 2.0 * start[:, 2])
    return place
