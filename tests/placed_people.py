"""People of the free body at places and in poses that a test chooses."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from diorama.body.anny import load_free_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.stature import betas_for_stature
from diorama.geometry.rotations import exp_so3
from diorama.methods.placed_person import PlacedPerson


def person_of(id, frames, pelvis, *, stature=1.7, turned=0.0, seed=0, contacts=None):
    """Somebody with his pelvis at `pelvis` (n, 3) in his frames; all joints turned at random by `turned` radians."""
    frames, body = np.asarray(frames), load_free_body()
    betas = betas_for_stature(body, stature).double()[None]
    generator = torch.Generator().manual_seed(seed)
    vectors = turned * torch.randn(len(frames), 24, 3, generator=generator, dtype=torch.float64)
    if contacts is None:
        contacts = np.zeros((len(frames), len(CONTACT_SITE_NAMES)))
    person = PlacedPerson(
        id, body, frames, betas, torch.zeros(len(frames), 3).double(), exp_so3(vectors), np.ones(len(frames)), contacts
    )
    return replace(person, transl=torch.from_numpy(np.array(pelvis, float)) - person.pelvis_rest)


def pelvis_of(person):
    """(n, 3) in the world."""
    return (person.transl + person.pelvis_rest).numpy()


@dataclass(frozen=True)
class Pointed(PlacedPerson):
    """Somebody whose contact sites are said, whatever his body is."""

    points: np.ndarray = field(default_factory=lambda: np.zeros((0, 9, 3)))

    def sites_world(self):
        return self.points


def pointed(points, contacts=None, id=1):
    """Somebody with these contact sites (n, 9, 3)."""
    person = person_of(id, np.arange(len(points)), np.zeros((len(points), 3)), contacts=contacts)
    return Pointed(*(getattr(person, name) for name in PlacedPerson.__dataclass_fields__), points=np.array(points))
