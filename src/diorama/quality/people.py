"""Figures per person: landmark residuals, sliding, sinking and floating of feet, speed, jitter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body import load_body
from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.joints import BLAZEPOSE_33
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.metrics import floating, foot_slide_by_contacts, jitter, penetration
from diorama.observations import Track
from diorama.reconstruction import Person, Reconstruction

MIN_CONFIDENCE = 0.3


@dataclass(frozen=True)
class PersonFigures:
    """Series over the person's frames, for the card and its picture."""

    id: int
    frames: np.ndarray
    residual_px: Float[np.ndarray, " n"]
    residual_percent: Float[np.ndarray, " n"]
    foot_sites: Float[np.ndarray, "n 4 3"]
    foot_contacts: Bool[np.ndarray, "n 4"]
    steps_mm: Float[np.ndarray, " pairs"]
    sinking_mm: Float[np.ndarray, " n"]
    floating_mm: Float[np.ndarray, " contact_frames"]
    speed: float
    jitter: float

    @property
    def contact_share(self) -> dict[str, float]:
        """Share of frames in which heel or toe of each foot is in contact."""
        left, right = self.foot_contacts[:, [0, 2]].any(1), self.foot_contacts[:, [1, 3]].any(1)
        return {"left": float(left.mean()), "right": float(right.mean())}


def person_figures(reconstruction: Reconstruction, person: Person, track: Track | None) -> PersonFigures:
    """Everything measurable without truth about one person."""
    model = as_detected(load_body(person.body), track.joint_set if track else "")
    arrays = (
        torch.from_numpy(np.asarray(a, np.float32)) for a in (person.global_orient, person.body_pose, person.transl)
    )
    posed = model.shaped(torch.from_numpy(np.asarray(person.betas, np.float32))).posed(*arrays)
    feet = posed.contact_sites(FOOT_SITE_NAMES).double().numpy()
    columns = [person.contact_sites.index(name) for name in FOOT_SITE_NAMES]
    contacts = person.contacts[:, columns] > 0.5
    residual_px, residual_percent = _residuals(
        reconstruction, person, posed.landmarks(BLAZEPOSE_33).double().numpy(), track
    )
    times = reconstruction.times[person.frames]
    resting = contacts.any(1)
    return PersonFigures(
        id=person.id,
        frames=person.frames,
        residual_px=residual_px,
        residual_percent=residual_percent,
        foot_sites=feet,
        foot_contacts=contacts,
        steps_mm=foot_slide_by_contacts(feet, contacts),
        sinking_mm=penetration(feet),
        floating_mm=floating(feet)[resting],
        speed=_speed(person.joints_world[:, 0], times),
        jitter=_jitter(person.joints_world, times),
    )


def _residuals(
    reconstruction: Reconstruction, person: Person, landmarks: np.ndarray, track: Track | None
) -> tuple[np.ndarray, np.ndarray]:
    """Per frame, the median distance between projected and detected landmarks, px and % of the person's height."""
    if track is None or track.joint_set != "blazepose33":
        empty = np.full(len(person.frames), np.nan)
        return empty, empty
    rows = np.searchsorted(track.frames, person.frames)
    cameras = reconstruction.cameras
    inside = apply(invert(cameras.T_world_camera[person.frames]), landmarks)
    pixels = project(inside, cameras.K[person.frames], cameras.distortion[person.frames])
    seen = track.keypoints[rows]
    distance = np.linalg.norm(pixels - seen[..., :2], axis=-1)
    distance = np.where(seen[..., 2] >= MIN_CONFIDENCE, distance, np.nan)
    usable = np.isfinite(distance).any(1)
    median = np.full(len(distance), np.nan)
    median[usable] = np.nanmedian(distance[usable], axis=1)
    height = np.linalg.norm(seen[..., :2].max(1) - seen[..., :2].min(1), axis=-1)
    steady = np.array([np.percentile(height[max(i - 15, 0) : i + 16], 75) for i in range(len(height))])
    return median, 100 * median / np.maximum(steady, 1)


def _jitter(joints: np.ndarray, times: np.ndarray) -> float:
    """Mean jitter, 10 m/s^3; NaN for fewer than four frames."""
    return float(jitter(joints, 1 / float(np.median(np.diff(times)))).mean()) if len(times) > 3 else float("nan")


def _speed(pelvis: np.ndarray, times: np.ndarray) -> float:
    """Median ground speed over steps of about a third of a second, m/s."""
    step = max(1, int(np.searchsorted(times - times[0], 0.33)))
    if len(pelvis) <= step:
        return float("nan")
    moved = np.linalg.norm((pelvis[step:] - pelvis[:-step])[:, :2], axis=1)
    return float(np.median(moved / (times[step:] - times[:-step])))
