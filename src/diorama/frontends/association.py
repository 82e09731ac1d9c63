"""Who is who: followed people, distances between people, candidates and masks, and assignments by them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment

from diorama.frontends.blazepose import Pose, Region
from diorama.frontends.mask_sharing import torso_cover
from diorama.frontends.separation import MAIN_JOINTS, Sighting, Suspect
from diorama.frontends.silhouettes import Canvas, Silhouette


@dataclass(frozen=True)
class Seen:
    """One person in one frame."""

    row: int
    sighting: Sighting
    overlap: bool


@dataclass
class Person:
    """A person while he is followed.

    `velocity` is px per frame; `count` the frames in which he was seen, `missed` those since; `confirmed` says in how
    many of the `chances` that the detector had it found him too.
    """

    id: int
    sighting: Sighting
    born: int
    velocity: Float[np.ndarray, " 2"] = field(default_factory=lambda: np.zeros(2))
    missed: int = 0
    count: int = 0
    next_probe: int = 0
    chances: int = 0
    confirmed: int = 0
    ended: str = ""

    @property
    def centre(self) -> Float[np.ndarray, " 2"]:
        return body_centre(self.sighting.pose)

    def predicted(self, canvas: Canvas) -> Suspect:
        """Where and how to look for the person in the next frame (one more for every frame missed)."""
        dx, dy = self.velocity * (1 + self.missed)
        near = self.sighting.pose.next_region
        mask = self.sighting.mask.moved(dx * canvas.scale, dy * canvas.scale)
        return Suspect(replace(near, x=near.x + dx, y=near.y + dy), mask, self.sighting.colours)


def body_centre(pose: Pose) -> Float[np.ndarray, " 2"]:
    """Mean of the main joints, px: steadier than the hips alone."""
    return pose.keypoints[list(MAIN_JOINTS), :2].mean(0)


def body_height(pose: Pose) -> float:
    """Extent of the joints, px, along the longer side."""
    return float(np.ptp(pose.keypoints[:, :2], axis=0).max())


def touching_groups(touch: Bool[np.ndarray, "people people"]) -> list[list[int]]:
    """Rows of people who touch each other (also by way of others); every row is in exactly one group."""
    groups: list[list[int]] = []
    left = set(range(len(touch)))
    while left:
        group, front = set(), {min(left)}
        while front:
            group |= front
            front = {k for row in front for k in range(len(touch)) if touch[row, k]} - group
        left -= group
        groups.append(sorted(group))
    return groups


def assign(cost: Float[np.ndarray, "rows columns"], limit: float) -> list[tuple[int, int]]:
    """Pairs (row, column) of least total cost, none of them above `limit`."""
    if not cost.size:
        return []
    rows, columns = linear_sum_assignment(np.minimum(cost, 10 * limit))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if cost[r, c] <= limit]


def candidate_to_pose(points: Float[np.ndarray, "4 2"], region: Region, pose: Pose) -> float:
    """How far a candidate is from a followed person: hips and shoulders, relative to the larger crop."""
    hips, shoulders = pose.keypoints[[23, 24], :2].mean(0), pose.keypoints[[11, 12], :2].mean(0)
    apart = max(np.linalg.norm(points[0] - hips), np.linalg.norm(points[2] - shoulders))
    return float(apart / max(region.size, pose.next_region.size))


def in_front(one: Sighting, other: Sighting, canvas: Canvas) -> float:
    """Sign that `one` stands before `other` (-1.3 to 1.3): covers the other's torso; a little: stands lower."""
    size = max(one.pose.region.size, other.pose.region.size)
    feet = [float(s.pose.keypoints[27:33, 1].max()) for s in (one, other)]
    covers = torso_cover(other.pose.keypoints, one.mask, canvas) - torso_cover(one.pose.keypoints, other.mask, canvas)
    return float(np.clip(10 * covers, -1, 1) + 0.3 * np.clip(10 * (feet[0] - feet[1]) / size, -1, 1))


def masks_touch(one: Silhouette, other: Silhouette, margin: float) -> bool:
    """Whether two masks come closer than `margin` canvas pixels (up to rounding)."""
    boxes = one.box(), other.box()
    if boxes[0] is None or boxes[1] is None:
        return False
    reach = int(np.ceil(margin))
    x0, y0 = np.floor(np.maximum(boxes[0][:2], boxes[1][:2])).astype(int) - reach
    x1, y1 = np.ceil(np.minimum(boxes[0][2:], boxes[1][2:])).astype(int) + reach
    if x0 >= x1 or y0 >= y1:
        return False
    window = (int(x0), int(y0), int(x1), int(y1))
    mask = (one.on(window) > 0.5).astype(np.uint8)
    grown = cv2.dilate(mask, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) > 0
    return bool((grown & (other.on(window) > 0.5)).any())
