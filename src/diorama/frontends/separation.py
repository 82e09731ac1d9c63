"""Overlapping people: each one is looked at again with the others' pixels erased, in turn, until the poses agree.

The pose network shows one person per crop and mixes two who overlap. It separates them perfectly once the pixels that
the other one explains are gone; so two rough halves are enough to start from, and the last frame's masks are better.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from diorama.frontends.blazepose import CROP, BlazePose, Picture, Pose, Region
from diorama.frontends.mask_sharing import LIMB_RADIUS, Claim, share_out
from diorama.frontends.person_colours import Colours, learn_colours
from diorama.frontends.silhouettes import (
    Canvas,
    Silhouette,
    bone_distance,
    erase,
    mask_overlap,
    silhouette_of,
    union_window,
)

EMPTY = Silhouette(0, 0, np.zeros((1, 1), np.float32))
# The joints that tell one body from another: nose, ears, shoulders, hips, knees.
MAIN_JOINTS = (0, 7, 8, 11, 12, 23, 24, 25, 26)


@dataclass(frozen=True)
class SeparationConfig:
    """When one found person is really two.

    Crops shifted sideways by `shifts` and scaled by `zoom` are tried; the two with the least common masks (at most
    `max_common` IoU) are separated in `rounds` rounds, and believed if both are people: presence, joints inside the
    own mask, an own mask of a fair size (`min_share` of the larger one), and skeletons `min_apart` of the size apart.
    """

    shifts: tuple[float, ...] = (-0.2, -0.1, 0.1, 0.2)
    zoom: float = 0.9
    max_common: float = 0.6
    rounds: int = 3
    min_presence: float = 0.8
    min_inside: float = 0.6
    min_share: float = 0.3
    min_apart: float = 0.12


@dataclass(frozen=True)
class Scene:
    """One picture, its canvas, and its colours on the canvas."""

    picture: Picture
    canvas: Canvas
    colours: UInt8[np.ndarray, "height width 3"]

    @classmethod
    def of(cls, rgb: UInt8[np.ndarray, "height width 3"], canvas: Canvas) -> Scene:
        picture = Picture(rgb)
        return cls(picture, canvas, canvas.colours(picture))


@dataclass(frozen=True)
class Sighting:
    """A person in one picture.

    Pose; own canvas mask (disjoint from those of people around); colours so far; `hidden`, the pixels of others that
    were erased when he was looked at.
    """

    pose: Pose
    mask: Silhouette
    colours: Colours
    hidden: Silhouette = EMPTY


@dataclass(frozen=True)
class Suspect:
    """Where to look for a person and what is known of him before looking."""

    region: Region
    mask: Silhouette
    colours: Colours


def look(networks: BlazePose, scene: Scene, region: Region, others: list[Silhouette]) -> tuple[Pose, Silhouette]:
    """The pose in `region` after the pixels of `others` are erased; and which canvas pixels that hid."""
    crop = scene.picture.cut(region, CROP)
    hidden = join_masks(others, scene.canvas)
    return networks.pose_of_crop(erase(crop, hidden.in_crop(region, scene.canvas)), region), hidden


def join_masks(masks: list[Silhouette], canvas: Canvas) -> Silhouette:
    """What is in any of the masks."""
    if not masks:
        return EMPTY
    window = union_window([m.window for m in masks], canvas)
    return Silhouette(window[0], window[1], np.max([m.on(window) for m in masks], axis=0))


def separate(
    networks: BlazePose,
    scene: Scene,
    suspects: list[Suspect],
    bystanders: list[Silhouette],
    rounds: int,
    ahead: Float[np.ndarray, "people people"] | None = None,
) -> list[Sighting]:
    """Poses and disjoint masks of people who may overlap, looking at each in turn without the others.

    Args:
        suspects: the people, nearest first, with masks from the frame before (or rough ones, or empty).
        bystanders: masks that are erased in every crop but stay as they are.
        rounds: how often everybody is looked at; later rounds leave out people whose surroundings did not change.
        ahead: [i, j] how sure i stands in front of j, 0..1.
    """
    ahead = np.zeros((len(suspects), len(suspects))) if ahead is None else ahead
    masks = [s.mask for s in suspects]
    poses: list[Pose] = []
    claims: list[Claim] = []
    for turn in range(rounds):
        for row, suspect in enumerate(suspects):
            others = [m for k, m in enumerate(masks) if k != row]
            if turn:
                order = np.delete(ahead[row], row)
                others = [uncovered(m, poses[row], a, scene.canvas) for m, a in zip(others, order, strict=True)]
                if not _changed(join_masks(others + bystanders, scene.canvas), claims[row]):
                    continue
            region = poses[row].next_region if turn else suspect.region
            pose, hidden = look(networks, scene, region, others + bystanders)
            own = silhouette_of(pose, scene.canvas)
            claim = Claim(own, hidden, suspect.mask, pose.keypoints, pose.region.size, suspect.colours)
            poses[row : row + 1], claims[row : row + 1] = [pose], [claim]
            masks[row] = Silhouette(own.x0, own.y0, own.values * (hidden.on(own.window) < 0.5))
        masks = share_out(claims, ahead, scene.colours, scene.canvas) if len(suspects) > 1 else masks
    return [
        Sighting(pose, mask, s.colours, claim.hidden)
        for pose, mask, s, claim in zip(poses, masks, suspects, claims, strict=True)
    ]


def _changed(hidden: Silhouette, claim: Claim, share: float = 0.04) -> bool:
    """Whether other pixels would be erased now than when the claim was made: more than `share` of the person's mask."""
    window = claim.mask.window
    differing = (hidden.on(window) > 0.5) != (claim.hidden.on(window) > 0.5)
    return int(differing.sum()) > share * max(claim.mask.area, 1)


def uncovered(mask: Silhouette, pose: Pose, ahead: float, canvas: Canvas) -> Silhouette:
    """`mask` of somebody, without what lies on the bones of `pose` if that person stands in front (`ahead` > 0.5)."""
    if ahead <= 0.5:
        return mask
    away = bone_distance(pose.keypoints, mask.window, canvas)
    return Silhouette(mask.x0, mask.y0, mask.values * (away > LIMB_RADIUS * pose.region.size * canvas.scale))


def pose_distance(one: Pose, other: Pose) -> float:
    """Mean distance of the main joints, relative to the larger crop."""
    rows = list(MAIN_JOINTS)
    apart = np.linalg.norm(one.keypoints[rows, :2] - other.keypoints[rows, :2], axis=1).mean()
    return float(apart / max(one.region.size, other.region.size))


def joints_inside(pose: Pose, mask: Silhouette, canvas: Canvas, hidden: Silhouette = EMPTY) -> float:
    """Share of the confident main joints in the picture that lie on the person's own mask; `hidden` ones are free."""
    rows = list(MAIN_JOINTS)
    points = pose.keypoints[rows]
    x, y = points[:, 0], points[:, 1]
    bounds = (canvas.width / canvas.scale, canvas.height / canvas.scale)
    used = (points[:, 2] > 0.5) & (x > 0) & (y > 0) & (x < bounds[0]) & (y < bounds[1])
    inside = mask.at(points[:, :2] * canvas.scale) > 0.5
    used &= inside | (hidden.at(points[:, :2] * canvas.scale) < 0.5)
    return float(inside[used].mean()) if used.sum() >= 3 else 0.0


def split_person(
    networks: BlazePose, scene: Scene, found: Sighting, bystanders: list[Silhouette], config: SeparationConfig
) -> tuple[Sighting, Sighting] | None:
    """Two people where `found` shows one, or None if it is one person after all."""
    seeds = _two_seeds(networks, scene, found, bystanders, config)
    if seeds is None:
        return None
    pair = separate(networks, scene, list(seeds), bystanders, config.rounds)
    return (pair[0], pair[1]) if are_two_people(pair[0], pair[1], scene.canvas, config) else None


def _two_seeds(
    networks: BlazePose, scene: Scene, found: Sighting, bystanders: list[Silhouette], config: SeparationConfig
) -> tuple[Suspect, Suspect] | None:
    base = found.pose.next_region
    looks = []
    for shift in config.shifts:
        region = Region(base.x + shift * base.size, base.y, base.size * config.zoom, base.angle)
        pose, hidden = look(networks, scene, region, bystanders)
        own = silhouette_of(pose, scene.canvas)
        own = Silhouette(own.x0, own.y0, own.values * (hidden.on(own.window) < 0.5))
        if pose.presence >= config.min_presence / 2 and own.area:
            looks.append((pose, own))
    looks.append((found.pose, found.mask))
    pairs = [
        (mask_overlap(looks[a][1], looks[b][1])[0], a, b) for a in range(len(looks)) for b in range(a + 1, len(looks))
    ]
    common, a, b = min(pairs, default=(1.0, 0, 0))
    if common > config.max_common:
        return None
    return _seed(looks[a], looks[b][1], scene), _seed(looks[b], looks[a][1], scene)


def _seed(seen: tuple[Pose, Silhouette], other: Silhouette, scene: Scene) -> Suspect:
    """What belongs to `seen` alone."""
    pose, mask = seen
    alone = Silhouette(mask.x0, mask.y0, mask.values * (other.on(mask.window) < 0.5))
    colours = learn_colours(Colours(), alone, pose.keypoints, scene.colours, scene.canvas)
    return Suspect(pose.region, alone, colours)


def are_two_people(one: Sighting, other: Sighting, canvas: Canvas, config: SeparationConfig) -> bool:
    """Whether both of a separated pair are people, and not the same one."""
    smaller, larger = sorted([one.mask.area, other.mask.area])
    return (
        min(one.pose.presence, other.pose.presence) >= config.min_presence
        and smaller >= config.min_share * larger
        and pose_distance(one.pose, other.pose) >= config.min_apart
        and min(joints_inside(s.pose, s.mask, canvas) for s in (one, other)) >= config.min_inside
    )
