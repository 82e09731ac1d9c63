"""The network's SMPL bodies in the world: on the user's SMPL file, or shown on the free body where there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body import body_file, load_body
from diorama.body.anny import FREE_BODY_NAME
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.joints import KEYPOINT_SETS, LANDMARK_NAMES
from diorama.body.model import BodyModel, ShapedBody
from diorama.body.rerig import rest_joints_cm
from diorama.body.stature import betas_for_stature
from diorama.errors import DioramaError
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply
from diorama.methods.placed_person import PlacedPerson
from diorama.methods.unish.joined import Joined, JoinedPerson
from diorama.observations import Observations, Track

# Where SMPL's rest pelvis lies on average (specification of bodies); shapes of adults move it by a centimetre or two.
SMPL_PELVIS = rest_joints_cm()[0] / 100
# Landmarks that tell a size best: far from each other and well detected.
_WIDE = tuple(f"{side}_{part}" for side in ("left", "right") for part in ("shoulder", "hip", "knee", "ankle"))
_CONFIDENT, _FEWEST = 0.5, 6
# Statures that the free body can have with average phenotypes, metres.
_SMALLEST, _TALLEST = 0.8, 2.1
_ASSUMED = 1.7
# Bodies of another size have other proportions, so the size is found again with them.
_ROUNDS = 3


@dataclass(frozen=True)
class ShownPeople:
    """People at their samples in the world of the cameras; `about` is what the result says of each one's body, by id."""

    people: list[PlacedPerson]
    about: dict[str, dict[str, Any]]


def smpl_is_here() -> bool:
    """Whether the user has an SMPL file."""
    try:
        body_file("smpl")
    except DioramaError:
        return False
    return True


def shown_people(
    world: Joined, rows: Int[np.ndarray, " samples"], K: Float[np.ndarray, "samples 3 3"], seen: Observations,
    stature: Mapping[int, float],
) -> ShownPeople:  # fmt: skip
    """Everybody at the samples where he is seen.

    Args:
        rows: of the samples.
        K: at the samples, in source pixels.
        seen: whose tracks tell the free body's size.
        stature: told heights by id, metres; only the free body can have them.
    """
    with_smpl = smpl_is_here()
    tracks = {track.id: track for track in seen.tracks.people} if seen.tracks else {}
    people, about = [], {}
    for person in world.people:
        T, at = world.T_world_camera[person.seen], rows[person.seen]
        if with_smpl:
            model = load_body("smpl")
            betas = torch.from_numpy(person.betas)[None]
            rest = model.shaped(betas[0].float()).joints_rest[0].double().numpy()
            source = "SMPL, by the user's file"
        else:
            model, rest = load_body(FREE_BODY_NAME), SMPL_PELVIS
            size, source = _size(person, model, at, K[person.seen], tracks.get(person.id), stature)
            betas = betas_for_stature(model, size).double()[None]
        people.append(_placed(person, model, betas, rest, T, at))
        about[str(person.id)] = {
            "smpl_betas": person.betas.tolist(), "smpl_pelvis_rest_m": rest.tolist(), "shown_on": source,
        }  # fmt: skip
    return ShownPeople(people, about)


def _placed(
    person: JoinedPerson, model: BodyModel, betas: torch.Tensor, rest: Float[np.ndarray, 3],
    T: Float[np.ndarray, "n 4 4"], rows: Int[np.ndarray, " n"],
) -> PlacedPerson:  # fmt: skip
    """The pelvis where SMPL has it, the rotations unchanged: a body turns about its pelvis."""
    pelvis = apply(T, person.transl[person.seen] + rest)
    rotations = person.rotations[person.seen].copy()
    rotations[:, 0] = T[:, :3, :3] @ rotations[:, 0]
    placed = PlacedPerson(
        id=person.id, model=model, frames=rows, betas=betas, transl=torch.from_numpy(pelvis),
        rotations=torch.from_numpy(rotations), confidence=np.ones(len(rows)),
        contacts=np.zeros((len(rows), len(CONTACT_SITE_NAMES))),
    )  # fmt: skip
    return replace(placed, transl=placed.transl - placed.pelvis_rest)


def _size(
    person: JoinedPerson, model: BodyModel, rows: np.ndarray, K: np.ndarray, track: Track | None,
    stature: Mapping[int, float],
) -> tuple[float, str]:  # fmt: skip
    """Metres of the free body, and in words where they come from."""
    if person.id in stature:
        return stature[person.id], "the free body, of the stature that was told"
    size = float(model.stature(model.default_betas))
    for _ in range(_ROUNDS):
        size = min(max(size, _SMALLEST), _TALLEST)
        ratio = _seen_size(person, model.shaped(betas_for_stature(model, size)), rows, K, track) if track else np.nan
        if not np.isfinite(ratio):
            return _ASSUMED, f"the free body, its stature assumed ({_ASSUMED} m: no keypoints)"
        size *= ratio
    found, size = size, min(max(size, _SMALLEST), _TALLEST)
    words = "" if size == found else f" ({found:.2f} m, which no body has)"
    return size, f"the free body, its stature by keypoints at the network's distance{words}"


def _seen_size(person: JoinedPerson, body: ShapedBody, rows: np.ndarray, K: np.ndarray, track: Track) -> float:
    """How much larger the keypoints are than those of the body in the network's pose and place: the median over frames;
    NaN without keypoints."""
    names = [name for name in KEYPOINT_SETS.get(track.joint_set, ()) if name in _WIDE and name in LANDMARK_NAMES]
    if len(names) < _FEWEST:
        return float("nan")
    columns = [KEYPOINT_SETS[track.joint_set].index(name) for name in names]
    keypoints = np.asarray(track.keypoints, np.float64)[np.searchsorted(track.frames, rows)][:, columns]
    shaped = as_detected(body.model, track.joint_set).shaped(body.betas)
    transl = person.transl[person.seen] + SMPL_PELVIS - shaped.joints_rest[0].double().numpy()
    rotations = torch.from_numpy(person.rotations[person.seen]).float()
    marks = shaped.posed_by_matrices(rotations, torch.from_numpy(transl).float()).landmarks(names)
    pixels = project(marks.double().numpy(), K)
    known = (keypoints[..., 2] > _CONFIDENT) & np.isfinite(pixels).all(-1)
    enough = known.sum(1) >= _FEWEST
    if not enough.any():
        return float("nan")
    spread = [_spread(points[enough], known[enough]) for points in (keypoints[..., :2], pixels)]
    return float(np.median(spread[0] / np.maximum(spread[1], 1e-9)))


def _spread(points: Float[np.ndarray, "n points 2"], known: Bool[np.ndarray, "n points"]) -> Float[np.ndarray, " n"]:
    """Root of the summed squared distances from the mean."""
    share = known[..., None] / known.sum(1)[:, None, None]
    points = np.where(known[..., None], points, 0.0)
    away = (points - (share * points).sum(1, keepdims=True)) * known[..., None]
    return np.sqrt((away**2).sum((1, 2)))
