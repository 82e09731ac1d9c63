"""Gravity, floor and contacts of a world whose scale is known: +Z up, feet on z = 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy.spatial import KDTree

from diorama.body.contact_sites import FOOT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX
from diorama.geometry.ground import fit_plane, rotation_to_z_up
from diorama.geometry.transforms import apply, invert, move_cameras
from diorama.methods.contact_detection import ContactConfig
from diorama.methods.ground_plane import Ground, fit_ground, upright_direction
from diorama.methods.josh.contacts import with_contacts
from diorama.methods.josh.floor import common_floor, levelling
from diorama.methods.placed_person import PlacedPerson
from diorama.methods.placing_trusted import label_contacts
from diorama.observations import Observations

# Points within this many metres of a foot tell the ground there; farther ones where they are few (far people, holes).
_AROUND = (0.7, 1.5, 3.0)
_FEWEST = 50
# Deviation of ground points from their plane, metres, and how often they are chosen anew.
_ROUGH, _ROUNDS = 0.03, 5
# Height of the first camera where nothing tells the floor, metres.
_EYE = 1.0


@dataclass(frozen=True)
class UprightWorld:
    """Cameras of all rows and people with contacts; `source` says where up comes from, `figures` are for the card."""

    T_world_camera: Float[np.ndarray, "frames 4 4"]
    people: list[PlacedPerson]
    source: str
    figures: dict[str, float]


def upright(
    T: Float[np.ndarray, "frames 4 4"],
    people: list[PlacedPerson],
    points: Float[np.ndarray, "points 3"],
    seen: Observations,
) -> UprightWorld:
    """Turn and lift a metric world, in which axes and origin mean nothing: the result does not depend on them.

    Up is the normal of the ground around feet, else that of the main level plane of the scene below the cameras, else the
    bodies' own, without people the cameras'. z = 0 is where feet touch; without people the plane, else 1 m below the
    first camera, which stands above the origin.

    Args:
        T: cameras of all rows.
        people: at all their rows.
        points: of the static scene.
        seen: for times and labelled contacts.
    """
    first = invert(T[0])
    T, points = first @ T, apply(first, points)
    people = [person.moved(first[:3, :3], first[:3, 3]) for person in people]
    up, spread = up_of_people(people, T)
    ground = ground_below(people, points, up, T[:, :3, 3])
    turn = rotation_to_z_up(ground.normal if ground else up)
    lift = np.array([0.0, 0.0, -_height(people, turn, ground)])
    T, people = _moved(T, people, turn, lift)
    touching = _touching(people, T, seen, np.zeros(3))
    floor = common_floor(touching)
    figures = {
        "up_spread_deg": spread,
        "ground_points": ground.points if ground else 0,
        "floor_correction_deg": _tilt(floor),
        "feet_above_ground_m": float(-ground.offset - lift[2]) if ground and people else float("nan"),
    }
    if floor is not None:
        T, people = _moved(T, people, *_correction(floor, people, ground))
    people = _touching(people, T, seen, None if floor is None else np.zeros(3))
    return UprightWorld(T, people, _source(people, ground), figures)


def _correction(
    floor: Float[np.ndarray, 3], people: list[PlacedPerson], ground: Ground | None
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, 3]]:
    """Feet say how high the floor is; how it lies only where no ground was seen, which knows it better."""
    if ground is None:
        return levelling(floor, people)
    middle = np.concatenate([_feet(person)[..., :2].reshape(-1, 2) for person in people]).mean(0)
    return np.eye(3), np.array([0.0, 0.0, -(middle @ floor[:2] + floor[2])])


def _source(people: list[PlacedPerson], ground: Ground | None) -> str:
    if ground:
        return "estimated: ground around feet" if people else "estimated: the main level plane"
    return "estimated: upright bodies" if people else "assumed: the mean of the cameras' own up"


def up_of_people(people: list[PlacedPerson], T: Float[np.ndarray, "frames 4 4"]) -> tuple[Float[np.ndarray, 3], float]:
    """The robust mean of everybody's axis, ankles to neck, and its spread in degrees; else the cameras' up."""
    if not people:
        up = -T[:, :3, 1].mean(0)
        return up / np.linalg.norm(up), float("nan")
    # Near the origin, where single precision has all its digits.
    joints = np.concatenate([replace(person, transl=0 * person.transl).joints_world() for person in people])
    ankles = joints[:, [JOINT_INDEX["left_ankle"], JOINT_INDEX["right_ankle"]]].mean(1)
    axis = joints[:, JOINT_INDEX["neck"]] - ankles
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return upright_direction(axis, np.concatenate([person.confidence for person in people]))


def ground_below(
    people: list[PlacedPerson], points: Float[np.ndarray, "points 3"], up: Float[np.ndarray, 3],
    centres: Float[np.ndarray, "frames 3"],
) -> Ground | None:  # fmt: skip
    """The plane around everybody's feet, else the main level plane below the cameras."""
    if people and len(points):
        feet = np.concatenate([_feet(person).reshape(-1, 3) for person in people])
        away, _ = KDTree(feet).query(points, distance_upper_bound=_AROUND[-1])
        for reach in _AROUND:
            near = points[away < reach]
            if len(near) >= _FEWEST and (found := fit_ground(near, up, centres)):
                return _refined(found, near)
    found = fit_ground(points, up, centres)
    return found and _refined(found, points)


def _refined(ground: Ground, points: Float[np.ndarray, "points 3"]) -> Ground:
    """The plane through all points near it, so that it does not depend on which of them were tried first."""
    normal, offset = ground.normal, ground.offset
    for _ in range(_ROUNDS):
        close = points[np.abs(points @ normal - offset) < 3 * _ROUGH]
        if len(close) < _FEWEST:
            return ground
        normal, offset = fit_plane(close, normal, sigma=_ROUGH)
    return Ground(normal, offset, ground.points, ground.spread)


def _feet(person: PlacedPerson) -> Float[np.ndarray, "n feet 3"]:
    return person.sites_world()[:, : len(FOOT_SITE_NAMES)]


def _height(people: list[PlacedPerson], turn: Float[np.ndarray, "3 3"], ground: Ground | None) -> float:
    """Of the floor along up: the median over rows of everybody's lowest foot point, else the plane's."""
    if people:
        lowest = [(_feet(person) @ turn[2]).min(1) for person in people]
        return float(np.median(np.concatenate(lowest)))
    return ground.offset if ground else -_EYE


def _moved(
    T: Float[np.ndarray, "frames 4 4"], people: list[PlacedPerson], turn: Float[np.ndarray, "3 3"],
    shift: Float[np.ndarray, 3],
) -> tuple[Float[np.ndarray, "frames 4 4"], list[PlacedPerson]]:  # fmt: skip
    return move_cameras(T, 1.0, turn, shift), [person.moved(turn, shift) for person in people]


def _touching(
    people: list[PlacedPerson], T: Float[np.ndarray, "frames 4 4"], seen: Observations,
    floor: Float[np.ndarray, 3] | None,
) -> list[PlacedPerson]:  # fmt: skip
    return [
        with_contacts(
            person,
            label_contacts(person, seen),
            T[person.frames, :3, 3],
            seen.times[person.frames],
            floor,
            ContactConfig(),
        )
        for person in people
    ]


def _tilt(floor: Float[np.ndarray, 3] | None) -> float:
    return float("nan") if floor is None else float(np.degrees(np.arctan(np.hypot(floor[0], floor[1]))))
