"""Points of bodies in the world: vertices, and the four points of the feet by which sliding and floating are told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from diorama.body import load_body
from diorama.data.posing import posed_body, surface
from diorama.data.truth import Truth
from diorama.reconstruction import Person

# Left toe and heel, right toe and heel: the field's four vertices of SMPL (WHAM, GVHMR, JOSH), and our sites.
SMPL_FEET = (3216, 3387, 6617, 6787)
FOOT_SITES = ("left_toe", "left_heel", "right_toe", "right_heel")
_SMPL_VERTS = 6890
Rows = Int[np.ndarray, " n"]


def feet_of(person: Person, rows: Rows) -> Float[np.ndarray, "n 4 3"]:
    """Toe and heel of both feet in rows of a person, world, metres: SMPL's vertices; heel and toe sites of other bodies.

    Raises:
        DioramaError: the body model is not here.
    """
    posed = posed_body(person, rows.tolist())
    local = posed.verts(SMPL_FEET) if _is_smpl(person) else posed.contact_sites(FOOT_SITES)
    return local.numpy().astype(np.float64) + person.transl[rows, None]


def true_feet(truth: Truth, id: int, rows: Rows) -> Float[np.ndarray, "n 4 3"]:
    """As `feet_of`, of a true person, whose surface may come from elsewhere than the parameters.

    Raises:
        DioramaError: the body model is not here.
    """
    person = truth.reconstruction.person(id)
    if truth.extras.surface is not None:
        return surface(truth, id, rows, SMPL_FEET)
    return feet_of(person, rows)


def verts_of(person: Person, rows: Rows) -> Float[np.ndarray, "n verts 3"]:
    """All vertices in rows of a person, world, metres.

    Raises:
        DioramaError: the body model is not here.
    """
    return posed_body(person, rows.tolist()).verts().numpy().astype(np.float64) + person.transl[rows, None]


def same_surface(person: Person, truth: Truth, other: Person) -> bool:
    """Whether vertices of a found and a true person are the same points of a body.

    Raises:
        DioramaError: a body model is not here.
    """
    if truth.extras.surface is not None:
        return _is_smpl(person)
    both = _is_smpl(person), _is_smpl(other)
    return all(both) or person.body == other.body


def _is_smpl(person: Person) -> bool:
    """SMPL and SMPL-H: one mesh."""
    return len(load_body(person.body, person.gender).skin.joints) == _SMPL_VERTS


def blocks(rows: Rows, size: int = 64) -> Sequence[Rows]:
    """The rows in pieces whose vertices fit into memory."""
    return np.array_split(rows, max(1, -(-len(rows) // size)))
