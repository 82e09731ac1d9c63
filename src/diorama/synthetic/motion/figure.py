"""What planning must know of one person: skeleton, contact sites, outlines of the feet, and a thinned skin."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.joints import JOINT_INDEX, JOINT_NAMES, JOINT_PARENTS
from diorama.body.model import ShapedBody
from diorama.synthetic.feet import SIDES, pitched
from diorama.synthetic.walk import Skeleton

# One vertex in this many (all of the hands) is kept to ask whether a planned pose cuts into something.
_SKIN_STEP = 3
# Skin of the heel may sink in by this much when the foot lands on it, metres.
_HEEL_DEPTH = 0.003
# Directions (body X and Z) in which the outline of a foot's sole is taken.
_COMPASS = np.stack([np.sin(np.arange(8) * np.pi / 4), np.zeros(8), np.cos(np.arange(8) * np.pi / 4)], 1)
_UNDER = np.array([[0.0, -1.0, -0.35], [0.0, -1.0, 0.0], [0.0, -1.0, 0.35]])


@dataclass(frozen=True)
class Skin:
    """Vertices in the rest pose (metres) with blend weights; `owner` is the joint that moves each most."""

    rest: Float[np.ndarray, "verts 3"]
    weights: Float[np.ndarray, "verts 24"]
    owner: Int[np.ndarray, " verts"]

    def of(self, *joints: str) -> Skin:
        """Only the vertices that belong to some joints."""
        rows = np.isin(self.owner, [JOINT_INDEX[name] for name in joints])
        return Skin(self.rest[rows], self.weights[rows], self.owner[rows])


@dataclass(frozen=True)
class Figure:
    """One person's rest geometry; every array in metres and body axes (+X left, +Y up, +Z forward).

    Attributes:
        skeleton: joints and foot shapes.
        sites: offset of each contact site (`CONTACT_SITE_NAMES`) from the joint `site_owners` that carries it.
        outlines: per foot, points of the sole around ankle (offsets from it) and toes (offsets from the foot joint).
        stature: standing height.
    """

    skeleton: Skeleton
    sites: Float[np.ndarray, "9 3"]
    site_owners: tuple[int, ...]
    outlines: tuple[tuple[Float[np.ndarray, "a 3"], Float[np.ndarray, "b 3"]], ...]
    skin: Skin
    stature: float

    @classmethod
    def of(cls, shaped: ShapedBody) -> Figure:
        """From a body model's person."""
        skeleton = Skeleton.of(shaped)
        found = shaped.contact_sites.select(CONTACT_SITE_NAMES)
        owners = tuple(int(owner) for owner in found.owners)
        sites = found.rest.detach().double().numpy() - skeleton.joints[list(owners)]
        verts, table = shaped.verts_rest.detach().double().numpy(), shaped.model.skin
        outlines = tuple(_outline(verts, table.joints[:, 0].numpy(), skeleton.joints, side) for side in SIDES)
        return cls(skeleton, sites, owners, outlines, _thinned(shaped, verts), float(shaped.stature))

    def bone(self, parent: str, child: str) -> Float[np.ndarray, 3]:
        """Rest offset from one joint to another."""
        return self.skeleton.bone(parent, child)

    def length(self, *chain: str) -> float:
        """Summed lengths of the bones along joint names."""
        return sum(float(np.linalg.norm(self.bone(a, b))) for a, b in itertools.pairwise(chain))

    def site(self, name: str) -> Float[np.ndarray, 3]:
        """Offset of a contact site from its joint."""
        return self.sites[CONTACT_SITE_NAMES.index(name)]

    @cached_property
    def leg(self) -> float:
        """Length of the straight leg from hip to sole."""
        return self.skeleton.leg

    @cached_property
    def size(self) -> float:
        """Stature relative to an adult of 1.72 m."""
        return self.stature / 1.72

    @cached_property
    def heel_back(self) -> float:
        """How far the sole reaches behind the ankle."""
        return -float(min(outline[0][:, 2].min() for outline in self.outlines))

    @cached_property
    def toe_front(self) -> float:
        """How far the toes reach before the ankle."""
        balls = [foot.ball[2] for foot in self.skeleton.feet]
        return float(max(ball + outline[1][:, 2].max() for ball, outline in zip(balls, self.outlines, strict=True)))

    @cached_property
    def steepest_heel(self) -> float:
        """Most that a foot may be tipped on its heel site (radians, positive) before its skin sinks in too deep."""
        heels = self.skin.of("left_ankle").rest - self.skeleton.joints[JOINT_INDEX["left_ankle"]]
        tried = np.linspace(0.08, 0.30, 23)
        shape = self.skeleton.feet[0]
        depth = [(-(heels - shape.heel) @ pitched(np.array(shape.flat_pitch - t)).T[:, 1]).max() for t in tried]
        return float(tried[max(int(np.searchsorted(depth, _HEEL_DEPTH)) - 1, 0)])


def _outline(verts: np.ndarray, owner: np.ndarray, joints: np.ndarray, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Extreme points of the sole, as offsets from ankle and foot joint."""
    parts = []
    for name in (f"{side}_ankle", f"{side}_foot"):
        points = verts[owner == JOINT_INDEX[name]] - joints[JOINT_INDEX[name]]
        sole = points[points[:, 1] < points[:, 1].min() + 0.35 * np.ptp(points[:, 1])]
        extreme = {int(np.argmax(sole @ direction)) for direction in (*_COMPASS, *_UNDER)}
        # Above the sole the heel bulges farther back, which counts behind a riser.
        parts.append(np.concatenate([sole[sorted(extreme)], points[[np.argmin(points[:, 2])]]]))
    return parts[0], parts[1]


def _thinned(shaped: ShapedBody, verts: np.ndarray) -> Skin:
    table = shaped.model.skin
    weights = np.zeros((len(verts), len(JOINT_NAMES)))
    np.add.at(weights, (np.arange(len(verts))[:, None], table.joints.numpy()), table.weights.double().numpy())
    owner = table.joints[:, 0].numpy()
    hands = np.isin(owner, [JOINT_INDEX[f"{side}_{part}"] for side in SIDES for part in ("wrist", "hand")])
    rows = np.flatnonzero(hands | (np.arange(len(verts)) % _SKIN_STEP == 0))
    return Skin(verts[rows], weights[rows], owner[rows])


def pose_joints(
    rest: Float[np.ndarray, "24 3"],
    rotations: Float[np.ndarray, "frames 24 3 3"],
    pelvis: Float[np.ndarray, "frames 3"],
) -> tuple[Float[np.ndarray, "frames 24 3"], Float[np.ndarray, "frames 24 3 3"]]:
    """Joints and global rotations from local rotations (the first is the orientation) and the pelvis joint's place."""
    places, turns = [pelvis], [rotations[:, 0]]
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        places.append(places[parent] + turns[parent] @ (rest[joint] - rest[parent]))
        turns.append(turns[parent] @ rotations[:, joint])
    return np.stack(places, 1), np.stack(turns, 1)


def pose_skin(
    skin: Skin,
    rest: Float[np.ndarray, "24 3"],
    joints: Float[np.ndarray, "frames 24 3"],
    turns: Float[np.ndarray, "frames 24 3 3"],
) -> Float[np.ndarray, "frames verts 3"]:
    """Linear blend skinning."""
    shifts = joints - (turns @ rest[..., None])[..., 0]
    table = np.concatenate([skin.weights[:, :, None] * skin.rest[:, None, :], skin.weights[:, :, None]], 2)
    moves = np.concatenate([turns, shifts[..., None]], -1)
    return np.einsum("vjk,fjik->fvi", table, moves, optimize=True)
