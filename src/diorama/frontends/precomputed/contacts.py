"""Contact labels of another tool: per named site, or per vertex of the body as DECO and BSTRO give them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.body import load_body
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import BodyModel
from diorama.errors import DioramaError
from diorama.frontends.precomputed.about import About
from diorama.frontends.precomputed.checked_files import Arrays, ids_of_files, read_arrays
from diorama.frontends.precomputed.people import GENDERS, MODELS, word
from diorama.frontends.precomputed.timeline import Timeline
from diorama.observations import Bodies, ContactLabels

CONTACTS = ("frames", "sites", "probability", "vertices", "body", "gender")


def read_contacts(folder: Path, timeline: Timeline, about: About, bodies: Bodies | None) -> ContactLabels:
    """The labels of all `<id>.npz`; those per vertex become labels of all contact sites.

    Raises:
        DioramaError: a file is damaged, people have different sites, or a body model's file is needed and not here.
    """
    frames, probability, named = [], [], {}
    files = ids_of_files(folder)
    for id, path in files.items():
        arrays = read_arrays(path, CONTACTS)
        rows = timeline.increasing_rows(arrays.integers("frames", None), path)
        sites, found = _labels(id, arrays, len(rows), about, bodies)
        named[sites] = path
        frames.append(rows)
        probability.append(found)
    if len(named) > 1:
        one, other = list(named.values())[:2]
        raise DioramaError(f"other sites than in {one.name}", where=other, fix="give the same sites of everybody")
    sites = next(iter(named), CONTACT_SITE_NAMES)
    return ContactLabels(about.source(), tuple(files), tuple(frames), sites, tuple(probability))


def _labels(
    id: int, arrays: Arrays, count: int, about: About, bodies: Bodies | None
) -> tuple[tuple[str, ...], Float[np.ndarray, "n sites"]]:
    if ("vertices" in arrays) == ("probability" in arrays):
        raise arrays.wrong("probability", "or vertices has to be there, and not both")
    if "vertices" in arrays:
        model = load_body(*_model_of(id, arrays, about, bodies))
        labels = arrays.shares("vertices", count, len(model.verts.template))
        return CONTACT_SITE_NAMES, contacts_of_sites(labels, site_vertices(model, about.number("radius")))
    sites = arrays.texts("sites")
    strange = [site for site in sites if site not in CONTACT_SITE_NAMES]
    if strange or len(set(sites)) < len(sites):
        what = f"has {strange[0]!r}" if strange else "names a site twice"
        raise arrays.wrong("sites", what, f"the sites are {', '.join(CONTACT_SITE_NAMES)}")
    return sites, arrays.shares("probability", count, len(sites))


def _model_of(id: int, arrays: Arrays, about: About, bodies: Bodies | None) -> tuple[str, str]:
    """Whose vertices these are: as the file says, then `about.json`, then as the person's body is."""
    for body in bodies.people if bodies else ():
        if body.id == id and "body" not in arrays and "body" not in about:
            return body.body, body.gender
    return word(arrays, about, "body", MODELS), word(arrays, about, "gender", GENDERS)


def site_vertices(model: BodyModel, radius: float) -> Bool[np.ndarray, "sites verts"]:
    """Which vertices stand for which contact site (`CONTACT_SITE_NAMES`): those within `radius` metres of the site on
    the average body in its rest pose, and the nearest one in any case."""
    rest = model.shaped()
    sites = rest.contact_sites.select(CONTACT_SITE_NAMES).rest.double().numpy()
    distance = np.linalg.norm(sites[:, None] - rest.verts_rest.double().numpy()[None], axis=2)
    return distance <= np.maximum(radius, distance.min(1, keepdims=True))


def contacts_of_sites(
    vertices: Float[np.ndarray, "n verts"], belongs: Bool[np.ndarray, "sites verts"]
) -> Float[np.ndarray, "n sites"]:
    """A site touches as surely as the surest of its vertices."""
    members: list[Int[np.ndarray, " m"]] = [np.flatnonzero(row) for row in belongs]
    return np.stack([vertices[:, index].max(1) for index in members], 1)
