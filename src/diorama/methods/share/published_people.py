"""People as published: each at the first and the last keyframe that show him, all other frames by Eq. 9."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.methods.share.config import ShareConfig
from diorama.methods.share.key_maps import KeyMaps
from diorama.methods.share.people import InFront
from diorama.methods.share.placed_keys import KeyPlaces
from diorama.methods.share.published import AnchorConfig, anchor_to_points, smoothed


def published_places(person: InFront, maps: KeyMaps, config: ShareConfig) -> tuple[KeyPlaces, Float[np.ndarray, "n 3"]]:
    """The two keyframes and the pelvis in all rows; the smoothed path of who is in no map.

    Frames before the first and after the last keyframe get the offset of those between. The points are those of the maps'
    own lens (Eq. 1), as published; the meshes are not.
    """
    present = [
        key for key in np.flatnonzero(np.isin(maps.rows, person.rows)) if _mine(maps, int(key), person.id).sum() > 0
    ]
    rest = person.shaped.joints_rest[0].double().numpy()
    if not present:
        smooth = smoothed(person.pelvis, config.anchor.sigma, config.anchor.reach)
        return KeyPlaces(np.zeros(0, np.int64), np.zeros((0, 3)), np.zeros(0, np.int64)), smooth
    keys = present[0], present[-1]
    first, last = (int(np.searchsorted(person.rows, maps.rows[key])) for key in keys)
    clouds = [maps.points(int(key), _mine(maps, int(key), person.id), own_K=True) for key in keys]
    inside = slice(first, last + 1)
    transl = person.pelvis - rest
    verts = np.stack([person.verts(at) - transl[at] for at in (first, last)])
    roots = np.repeat(rest[None], last + 1 - first, 0)
    found = anchor_to_points(roots, verts, transl[inside], clouds[0], clouds[1], config.anchor)
    path = smoothed(person.pelvis, config.anchor.sigma, config.anchor.reach)
    within = found.transl + rest
    offset = (within[[0, -1]] - _smooth_inside(person, inside, config.anchor)[[0, -1]]).mean(0)
    path = path + offset
    path[inside] = within
    at = np.unique(np.array([first, last]))
    return KeyPlaces(at, path[at], np.array([len(cloud) for cloud in clouds[: len(at)]])), path


def _mine(maps: KeyMaps, key: int, id: int) -> np.ndarray:
    return maps.solid[key] & (maps.owner[key] == id)


def _smooth_inside(person: InFront, inside: slice, config: AnchorConfig) -> Float[np.ndarray, "m 3"]:
    return smoothed(person.pelvis[inside], config.sigma, config.reach)
