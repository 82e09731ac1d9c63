"""Procedural walking on the 24-joint skeleton: feet planted exactly, legs by inverse kinematics, arms swinging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from diorama.body.joints import JOINT_INDEX, JOINT_PARENTS
from diorama.body.model import ShapedBody
from diorama.geometry.rotations import rotvec_of
from diorama.synthetic.feet import FOOT_SITES, SIDES, FootMotion, Footprints, FootShape, Gait, upright, walk_foot

# Straighter than this share of its length, a leg's knee would snap from frame to frame.
FULL_LEG = 0.988
_GAIT = Gait()


@dataclass(frozen=True)
class WalkPath:
    """A walk at constant speed (m/s) along an arc: start (x, y; metres), first heading (radians from +X), curvature
    (1/m, left positive)."""

    start: tuple[float, float]
    heading: float
    speed: float = 1.2
    curvature: float = 0.0

    def heading_at(self, distance: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Direction after `distance` metres, radians."""
        return self.heading + self.curvature * distance

    def point_at(self, distance: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 2"]:
        """Place after `distance` metres."""
        half = self.curvature * distance / 2
        # A chord of an arc: np.sinc(x / pi) is sin(x) / x, safe at zero.
        chord = distance * np.sinc(half / np.pi)
        middle = self.heading + half
        return np.array(self.start) + chord[:, None] * np.stack([np.cos(middle), np.sin(middle)], 1)


@dataclass(frozen=True)
class Manner:
    """How somebody walks; angles in radians, lengths in metres. `phase` is that of the left foot at time 0."""

    phase: float = 0.0
    step_ratio: float = 0.41
    toe_out: float = 0.10
    track_width: float = 0.09
    arm_swing: float = 0.38
    arm_down: float = 1.28
    elbow: float = 0.35
    pelvis_yaw: float = 0.07
    pelvis_roll: float = 0.05
    sway: float = 0.018
    bob: float = 0.016
    lean: float = 0.04


PLAIN_MANNER = Manner()


@dataclass(frozen=True)
class Skeleton:
    """Rest joints (metres, body axes) and the feet's sites of one shaped body."""

    joints: Float[np.ndarray, "24 3"]
    feet: tuple[FootShape, FootShape]

    @classmethod
    def of(cls, shaped: ShapedBody) -> Skeleton:
        """From a body model's person."""
        joints = shaped.joints_rest.detach().double().numpy()
        sites = shaped.contact_sites.select(FOOT_SITES).rest.detach().double().numpy()
        feet = []
        for index, side in enumerate(SIDES):
            ankle, ball = joints[JOINT_INDEX[f"{side}_ankle"]], joints[JOINT_INDEX[f"{side}_foot"]]
            feet.append(FootShape(sites[index] - ankle, ball - ankle, sites[2 + index] - ball))
        return cls(joints, (feet[0], feet[1]))

    def bone(self, parent: str, child: str) -> Float[np.ndarray, 3]:
        """Rest offset from one joint to another."""
        return self.joints[JOINT_INDEX[child]] - self.joints[JOINT_INDEX[parent]]

    @property
    def leg(self) -> float:
        """Length of the straight leg from hip to sole, metres."""
        thigh, shin = self.bone("left_hip", "left_knee"), self.bone("left_knee", "left_ankle")
        return float(np.linalg.norm(thigh) + np.linalg.norm(shin) + self.feet[0].ankle_height)


@dataclass(frozen=True)
class Motion:
    """A moving body in SMPL terms over frames, world +Z up, and which contact sites (`sites`) touch something."""

    global_orient: Float[np.ndarray, "frames 3"]
    body_pose: Float[np.ndarray, "frames 23 3"]
    transl: Float[np.ndarray, "frames 3"]
    contacts: Bool[np.ndarray, "frames sites"]
    sites: tuple[str, ...]


def walk(
    skeleton: Skeleton,
    path: WalkPath,
    times: Float[np.ndarray, " frames"],
    manner: Manner = PLAIN_MANNER,
    gait: Gait = _GAIT,
) -> Motion:
    """Walk along a path. At time 0 the pelvis is at the path's start (but for its sway)."""
    period = cycle_seconds(skeleton, path.speed, manner)
    feet = tuple(
        walk_foot(times, _footprints(side, skeleton, path, times, period, manner, gait), skeleton.feet[side], gait)
        for side in range(2)
    )
    phase = times / period + manner.phase
    pelvis, orientation = _pelvis(skeleton, path, times, phase, manner, gait, feet)
    rotations = _upper_body(phase, manner, path.speed)
    rotations[:, 0] = orientation
    for side, foot in zip(SIDES, feet, strict=True):
        pose_leg(skeleton, side, pelvis, foot, rotations)
    contacts = np.stack([feet[0].heel_contact, feet[1].heel_contact, feet[0].toe_contact, feet[1].toe_contact], 1)
    rotvecs = rotvec_of(rotations)
    return Motion(rotvecs[:, 0], rotvecs[:, 1:], pelvis - skeleton.joints[0], contacts, FOOT_SITES)


def cycle_seconds(skeleton: Skeleton, speed: float, manner: Manner) -> float:
    """Duration of two steps in seconds; step length grows with the root of speed (Grieve and Gear 1966)."""
    stature = 1.92 * skeleton.leg
    return 2 * manner.step_ratio * stature * float(np.sqrt(speed / 1.35)) / speed


def _footprints(
    side: int, skeleton: Skeleton, path: WalkPath, times: np.ndarray, period: float, manner: Manner, gait: Gait
) -> Footprints:
    """Prints of one foot before, during and after `times`; the right foot is half a cycle behind the left."""
    offset = (manner.phase + 0.5 * side) * period
    first, last = np.floor((times[0] + offset) / period) - 1, np.ceil((times[-1] + offset) / period) + 2
    strikes = np.arange(first, last + 1) * period - offset
    distance = path.speed * (strikes + gait.middle * period)
    outward = 1 if side == 0 else -1
    heading = path.heading_at(distance)
    left = np.stack([-np.sin(heading), np.cos(heading)], 1)
    ground = path.point_at(distance) + outward * manner.track_width * left
    return Footprints(strikes, ground, heading + outward * manner.toe_out)


def _pelvis(
    skeleton: Skeleton, path: WalkPath, times: np.ndarray, phase: np.ndarray, manner: Manner, gait: Gait,
    feet: tuple[FootMotion, ...],
) -> tuple[Float[np.ndarray, "frames 3"], Float[np.ndarray, "frames 3 3"]]:  # fmt: skip
    """Pelvis position and orientation: it sways over the standing foot and bobs as high as both legs allow."""
    distance = path.speed * times
    heading = path.heading_at(distance)
    turn = 2 * np.pi * phase
    orientation = upright(heading) @ euler(
        np.full(len(times), manner.lean), -manner.pelvis_yaw * np.cos(turn), manner.pelvis_roll * np.sin(turn - 0.4)
    )
    left = np.stack([-np.sin(heading), np.cos(heading)], 1)
    # The left foot carries the body around phase `middle`.
    sway = manner.sway * np.cos(turn - 2 * np.pi * gait.middle)
    place = np.concatenate([path.point_at(distance) + sway[:, None] * left, np.zeros((len(times), 1))], 1)
    bob = manner.bob * np.cos(2 * turn - 4 * np.pi * gait.middle)
    place[:, 2] = bob + np.min(_highest_pelvis(skeleton, place, orientation, feet) - bob)
    return place, orientation


def _highest_pelvis(
    skeleton: Skeleton, place: np.ndarray, orientation: np.ndarray, feet: tuple[FootMotion, ...]
) -> Float[np.ndarray, " frames"]:
    """Per frame, the pelvis height (metres) at which one of the legs is stretched."""
    highest = []
    for side, foot in zip(SIDES, feet, strict=True):
        reach = FULL_LEG * sum(
            np.linalg.norm(skeleton.bone(f"{side}_{a}", f"{side}_{b}")) for a, b in (("hip", "knee"), ("knee", "ankle"))
        )
        hip = place + orientation @ skeleton.bone("pelvis", f"{side}_hip")
        across = np.linalg.norm((hip - foot.ankle)[:, :2], axis=1)
        highest.append(foot.ankle[:, 2] + np.sqrt(np.maximum(reach**2 - across**2, 0)) - hip[:, 2])
    return np.minimum(*highest)


def pose_leg(skeleton: Skeleton, side: str, pelvis: np.ndarray, foot: FootMotion, rotations: np.ndarray) -> None:
    """Fill the local rotations of hip, knee, ankle and foot so that the ankle is where `foot` wants it."""
    thigh_rest, shin_rest = skeleton.bone(f"{side}_hip", f"{side}_knee"), skeleton.bone(f"{side}_knee", f"{side}_ankle")
    root = rotations[:, 0]
    hip = pelvis + root @ skeleton.bone("pelvis", f"{side}_hip")
    forward = root[:, :, 2] + foot.foot[:, :, 2] * [1, 1, 0]
    knee, hinge = two_bones(hip, foot.ankle, forward, np.linalg.norm(thigh_rest), np.linalg.norm(shin_rest))
    thigh = aim(thigh_rest, knee - hip, hinge)
    shin = aim(shin_rest, foot.ankle - knee, hinge)
    chain = (root, thigh, shin, foot.foot, foot.toes)
    for name, parent, child in zip(("hip", "knee", "ankle", "foot"), chain, chain[1:], strict=False):
        rotations[:, JOINT_INDEX[f"{side}_{name}"]] = np.swapaxes(parent, 1, 2) @ child


def two_bones(
    root: Float[np.ndarray, "n 3"],
    end: Float[np.ndarray, "n 3"],
    forward: Float[np.ndarray, "n 3"],
    upper: float | np.floating,
    lower: float | np.floating,
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """Middle joint and hinge axis (unit, to the person's left) of a two-bone chain that bends towards `forward`."""
    span = end - root
    length = np.linalg.norm(span, axis=1, keepdims=True)
    along = span / length
    ahead = forward - (forward * along).sum(1, keepdims=True) * along
    ahead /= np.linalg.norm(ahead, axis=1, keepdims=True)
    cosine = np.clip((upper**2 + length**2 - lower**2) / (2 * upper * length), -1, 1)
    middle = root + upper * (cosine * along + np.sqrt(1 - cosine**2) * ahead)
    return middle, np.cross(ahead, along)


def aim(
    rest: Float[np.ndarray, 3],
    direction: Float[np.ndarray, "n 3"],
    hinge: Float[np.ndarray, "n 3"],
    rest_hinge: tuple[float, float, float] = (1.0, 0.0, 0.0),
) -> Float[np.ndarray, "n 3 3"]:
    """Rotations that take the bone `rest` to `direction` and `rest_hinge` as near as possible to `hinge`."""
    return _frame(direction, hinge) @ np.swapaxes(_frame(rest[None], np.array([rest_hinge])), 1, 2)


def _frame(direction: np.ndarray, axis: np.ndarray) -> Float[np.ndarray, "n 3 3"]:
    first = direction / np.linalg.norm(direction, axis=1, keepdims=True)
    third = np.cross(first, axis)
    third /= np.linalg.norm(third, axis=1, keepdims=True)
    return np.stack([first, np.cross(third, first), third], 2)


def _upper_body(phase: np.ndarray, manner: Manner, speed: float) -> Float[np.ndarray, "frames 24 3 3"]:
    """Local rotations of trunk, head and arms (legs stay identity): shoulders turn against the hips, arms swing."""
    turn = 2 * np.pi * phase
    zero = np.zeros_like(phase)
    out = np.tile(np.eye(3), (len(phase), len(JOINT_PARENTS), 1, 1))
    twist = 0.6 * manner.pelvis_yaw * np.cos(turn)
    for name in ("spine1", "spine2", "spine3"):
        out[:, JOINT_INDEX[name]] = euler(zero - 0.2 * manner.lean, twist, -manner.pelvis_roll / 3 * np.sin(turn - 0.4))
    for name in ("neck", "head"):
        out[:, JOINT_INDEX[name]] = euler(zero - 0.1 * manner.lean, -0.4 * twist, zero)
    for side, sign in zip(SIDES, (1, -1), strict=True):
        # Each arm is back when its own leg strikes.
        swing = -sign * manner.arm_swing * np.sqrt(speed / 1.2) * np.cos(turn) + 0.05
        down = Rotation.from_rotvec([0, 0, -sign * (manner.arm_down - 0.1)]).as_matrix()
        out[:, JOINT_INDEX[f"{side}_collar"]] = euler(zero, zero, zero - sign * 0.1)
        out[:, JOINT_INDEX[f"{side}_shoulder"]] = euler(-swing, zero, zero) @ down
        out[:, JOINT_INDEX[f"{side}_elbow"]] = euler(zero, -sign * (manner.elbow + 0.5 * swing), zero)
    return out


def euler(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Float[np.ndarray, "n 3 3"]:
    """Rotations Ry Rx Rz about body axes."""
    return Rotation.from_euler("YXZ", np.stack([y, x, z], 1)).as_matrix()
