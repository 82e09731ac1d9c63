"""Everybody in front of the standing camera: posed bodies, what keypoints say of their places, and what maps say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import ShapedBody
from diorama.methods.josh.checked import finite_rows
from diorama.methods.placed_person import PlacedPerson, place
from diorama.methods.placing_trusted import refocused
from diorama.methods.share.config import ShareConfig
from diorama.methods.share.key_maps import KeyMaps
from diorama.methods.share.placed_keys import KeyPlaces, chosen_keys, cloud_of, placed
from diorama.methods.share.seen_place import SeenPlaces, seen_places
from diorama.observations import Observations, ObservedBody


@dataclass(frozen=True)
class InFront:
    """One person before the camera, as he came: `pelvis` in metres; `seen` by keypoints."""

    body: ObservedBody
    shaped: ShapedBody
    pelvis: Float[np.ndarray, "n 3"]
    seen: SeenPlaces

    @property
    def id(self) -> int:
        return self.body.id

    @property
    def rows(self) -> Int[np.ndarray, " n"]:
        """Frames of the video."""
        return np.asarray(self.body.frames)

    def verts(self, at: int) -> Float[np.ndarray, "verts 3"]:
        """The mesh in one of his rows, metres."""
        return self._posed(at).verts()[0].double().numpy()

    def _posed(self, at: int):
        parts = (self.body.global_orient, self.body.body_pose, self.body.transl)
        return self.shaped.posed(*(torch.from_numpy(np.asarray(part[at : at + 1], np.float32)) for part in parts))

    def at(self, pelvis: Float[np.ndarray, "n 3"], observations: Observations) -> PlacedPerson:
        """The person with another path, the camera being the world."""
        eye = np.tile(np.eye(4), (len(observations.times), 1, 1))
        model = self.shaped.model
        stature = float(model.stature(self.shaped.betas))
        person = place(self.body, model, stature, eye, len(CONTACT_SITE_NAMES))
        transl = torch.from_numpy(pelvis) - person.pelvis_rest
        return PlacedPerson(
            person.id, person.model, person.frames, person.betas, transl, person.rotations, person.confidence,
            person.contacts, person.gender,
        )  # fmt: skip


def people_in_front(observations: Observations, config: ShareConfig) -> list[InFront]:
    """Everybody with a body in at least one frame, at the cameras' focal length."""
    assert observations.cameras is not None
    tracks = {track.id: track for track in observations.tracks.people} if observations.tracks else {}
    out = []
    for body in map(finite_rows, refocused(observations)):
        if not len(body.frames):
            continue
        betas = torch.from_numpy(np.asarray(body.betas, np.float32))
        shaped = load_body(body.body, body.gender).shaped(betas)
        pelvis = np.asarray(body.transl, np.float64) + shaped.joints_rest[0].double().numpy()
        seen = seen_places(body, shaped, tracks.get(body.id), observations.cameras, config.keypoint_sigma)
        out.append(InFront(body, shaped, pelvis, seen))
    return out


def key_places(
    person: InFront, maps: KeyMaps, scene: Float[np.ndarray, "height width"] | None, config: ShareConfig
) -> KeyPlaces:
    """Where the maps put a person, keyframe by keyframe; `scene` is the merged depth, if each map is to be scaled by it."""
    align = config.align
    keys = chosen_keys(maps, person.id, person.rows, config.keyframes, align.fewest)
    at, found, counts = [], [np.zeros((0, 3))], []
    for key in keys:
        row = int(np.searchsorted(person.rows, maps.rows[key]))
        cloud = cloud_of(maps, int(key), person.id, scene, align)
        told = person.seen.pelvis[row, :2] / person.seen.pelvis[row, 2] if person.seen.known[row] else None
        place = placed(person.verts(row), person.shaped, person.pelvis[row], cloud, told, align)
        if np.isfinite(place).all() and place[2] > 0:
            at.append(row)
            found.append(place[None])
            counts.append(len(cloud.points))
    return KeyPlaces(np.array(at, np.int64), np.concatenate(found), np.array(counts, np.int64))


def disagreement(person: InFront, keys: KeyPlaces) -> float:
    """Median logarithm of (distance by size in the picture) / (distance in the maps); NaN where nothing tells."""
    told = person.seen.known[keys.at]
    if not told.any():
        return float("nan")
    at = keys.at[told]
    return float(np.median(np.log(person.seen.pelvis[at, 2] / keys.pelvis[told, 2])))
