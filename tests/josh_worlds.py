"""Segments of the benchmark problem with the true world beside them, and worlds that are wrong in a way one knows."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.detected import as_detected
from diorama.body.unknown_person import stature_slope
from diorama.frontends.body_evidence import EvidenceConfig, gather_evidence
from diorama.methods.josh.checked import checked
from diorama.methods.josh.first_world import key_problem
from diorama.methods.josh.key_problem import KeyProblem, KeyWorld
from diorama.methods.josh.key_solve import KeyConfig, stature_of
from diorama.methods.josh.point_maps import point_maps
from diorama.methods.placed_person import place
from diorama.synthetic.josh_problem import josh_problem


@dataclass(frozen=True)
class Segment:
    """A problem and the truth: the world at the keyframes, and the poses of all cameras."""

    problem: KeyProblem
    true: KeyWorld
    T_world_camera: np.ndarray


def maps_of(seen, grid=(3, 2)):
    return point_maps(seen.depth, seen.depth_prior, seen.cameras, seen.tracks.people, (seen.width, seen.height), grid)


def true_scales(truth, seen):
    """Logarithms of true depth over the maps'."""
    known = seen.depth.depth > 0
    ratio = np.where(known, truth.scene.depth, np.nan) / np.where(known, seen.depth.depth, 1)
    return np.log(np.nanmedian(ratio, axis=(1, 2)))


def placed_people(seen, T_world_camera):
    """Everybody as he is observed, before these cameras, with the contacts that are labelled."""
    sets, people = {t.id: t.joint_set for t in seen.tracks.people}, []
    for body, contacts in zip(seen.bodies.people, seen.contacts.probability, strict=True):
        model = as_detected(load_body(body.body), sets[body.id])
        stature = float(model.stature(torch.from_numpy(np.asarray(body.betas, np.float32))))
        person = place(body, model, stature, T_world_camera, len(CONTACT_SITE_NAMES))
        people.append(replace(person, contacts=contacts))
    return people


def evidence_of(seen, T_world_camera):
    """Everybody's keypoints before known cameras, in metres."""
    cameras, out = replace(seen.cameras, T_world_camera=T_world_camera), {}
    for track in seen.tracks.people:
        found = gather_evidence(
            track, (), cameras, seen.times, seen.width, seen.height, EvidenceConfig(), silhouette=False
        )
        centre = torch.from_numpy(T_world_camera[track.frames, :3, 3].copy())
        out[track.id] = replace(found, cameras=replace(found.cameras, centre=centre))
    return out


def segment_of(problem, config=KeyConfig(), factor=1.0):  # noqa: B008
    """One segment of a problem that has its cameras; the cameras' centres `factor` times as far from the first one, and
    with them the maps: a first world of a wrong scale."""
    truth, seen = josh_problem(problem)
    _, exact = josh_problem(replace(problem, body_depth=0.0, body_lateral=0.0, pose_degrees=0.0, focal_factor=1.0))
    seen, T = checked(seen), truth.cameras.T_world_camera
    wrong = T.copy()
    wrong[:, :3, 3] = T[0, :3, 3] + factor * (T[:, :3, 3] - T[0, :3, 3])
    maps = maps_of(seen)
    found = key_problem(seen, maps, wrong, placed_people(seen, wrong), evidence_of(seen, wrong), config)
    people = tuple(placed_people(checked(exact), T))
    at_keys = tuple(_at(p, maps.rows) for p in people)
    log_depth = torch.zeros_like(found.first.log_depth)
    log_depth[:, 0] = torch.from_numpy(true_scales(truth, seen))
    R, c = (torch.from_numpy(a.copy()) for a in (T[maps.rows, :3, :3], T[maps.rows, :3, 3]))
    return Segment(found, KeyWorld(R, c, log_depth, 0.0, at_keys), T)


def _at(person, frames):
    rows = np.flatnonzero(np.isin(person.frames, frames))
    names = ("frames", "transl", "rotations", "confidence", "contacts")
    return replace(person, **{n: getattr(person, n)[rows] for n in names})


def shrunk(world, factor, *, bodies):
    """All of a world about its first camera: cameras, maps, places; and people's bodies too, if they are to shrink."""
    origin = world.centres[0]
    log_depth = world.log_depth.clone()
    log_depth[:, 0] += np.log(factor)
    people = []
    for person in world.people:
        pelvis = origin + factor * (person.transl + person.pelvis_rest - origin)
        smaller = replace(person, betas=_smaller(person, factor)) if bodies else person
        people.append(replace(smaller, transl=pelvis - smaller.pelvis_rest))
    centres = origin + factor * (world.centres - origin)
    return KeyWorld(world.R_world_camera, centres, log_depth, world.log_focal, tuple(people))


def _smaller(person, factor):
    """The shape whose stature is so many times as tall, by the entry that is stature and little else."""
    slope = stature_slope(lambda betas: stature_of(person.model, betas), person.betas)
    out, entry = person.betas.clone(), int(slope.argmax())
    out[0, entry] += (factor - 1) / float(slope[entry])
    return out
