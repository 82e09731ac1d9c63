"""Where people touch the scene: search of the scene's contact points, and the contact scene loss (JOSH, Eq. 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.body.image_terms import CAMERA_CENTRES, CAMERA_ROTATIONS, LOG_FOCAL
from diorama.body.unknown_person import UnknownPerson
from diorama.geometry.rotations import skew
from diorama.methods.josh.match_term import LOG_DEPTH
from diorama.methods.josh.point_maps import PointMaps
from diorama.solver import Block, GemanMcClure, Linearized, RobustLoss, Term, Values


@dataclass(frozen=True)
class ContactConfig:
    """The search and the deviations.

    The scene's contact point is looked for among the `nearest` background pixels around the projected site, not farther
    than `reach` heights of the person. Both must lie within `prior_metres` in the metric prior (the paper's 0.2 m), plus
    `prior_share` of the depth, because a prior's error on people grows with it; and the pixels within `depth_share` of the
    body's own depth.

    "surface": distance from the plane through those pixels, which also sees the ground under a foot that hides it;
    deviation `sigma` m. "point": the paper's 3D distance from the nearest pixel, with deviations along and across the ray.
    """

    kind: Literal["surface", "point"] = "surface"
    sigma: float = 0.02
    sigma_along: float = 0.05
    sigma_across: float = 0.1
    loss: RobustLoss = GemanMcClure(3.0)  # noqa: RUF009 - frozen
    least_probability: float = 0.5
    nearest: int = 40
    fewest: int = 8
    leverage: float = 0.08
    reach: float = 0.3
    prior_metres: float = 0.2
    prior_share: float = 0.03
    depth_share: float = 0.08


@dataclass(frozen=True)
class SceneContacts:
    """Contacts of one person: site `site[m]` in his row `row[m]` with a point of keyframe `key[m]`, at pixel `pixel[m]`
    (without distortion, relative to the principal point) and uncorrected depth `depth[m]`.

    The residual is `across[m] @ (site - scene point)` in the camera frame of the keyframe, in deviations. A contact that
    lasts ties the site in one row to the scene point of another keyframe too (Eq. 6).
    """

    row: Int[Tensor, " contacts"]
    key: Int[Tensor, " contacts"]
    site: Int[Tensor, " contacts"]
    pixel: Float[Tensor, "contacts 2"]
    depth: Float[Tensor, " contacts"]
    nodes: Float[Tensor, "contacts nodes"]
    across: Float[Tensor, "contacts components 3"]

    def __len__(self) -> int:
        return len(self.row)

    def of(self, chosen: Tensor) -> SceneContacts:
        """Some of them."""
        return SceneContacts(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


def find_scene_contacts(
    sites_camera: Float[np.ndarray, "rows sites 3"],
    probability: Float[np.ndarray, "rows sites"],
    keys: Int[np.ndarray, " rows"],
    height: Float[np.ndarray, " rows"],
    maps: PointMaps,
    log_depth: Float[np.ndarray, "keys entries"],
    log_focal: float,
    config: ContactConfig,
) -> SceneContacts:
    """Scene points of all probable contacts of one person.

    Args:
        sites_camera: the sites now, metres, in the frames of his keyframes `keys`.
        height: of the person in source pixels.
        log_depth, log_focal: the present corrections.
    """
    row, site = np.nonzero((probability > config.least_probability) & (sites_camera[..., 2] > 0.1))
    key, point = keys[row], sites_camera[row, site]
    straight = point[:, :2] / point[:, 2:] * (maps.focal[key] * np.exp(log_focal))[:, None]
    # Distortion bends the picture by less than the search reaches: the site's pixel is taken as if there were none.
    picture = straight + maps.centre[key]
    inside = ((picture >= 0) & (picture < np.array(maps.size))).all(1)
    row, site, key, point, straight, picture = (a[inside] for a in (row, site, key, point, straight, picture))
    correction = log_depth[key, 0] + (maps.weights(picture) * log_depth[key, 1:]).sum(1)
    near = _Near.around(picture, key, height[row], point[:, 2] * np.exp(-correction), maps, config)
    depth, normal, pixel = _surface(near, straight, maps, key, log_focal, config)
    good = np.isfinite(depth) & (depth > 0)
    weight = np.sqrt(probability[row, site])
    across = _across(normal, point, weight, config)
    nodes = maps.weights(pixel + maps.centre[key])
    arrays = row, key, site, pixel, np.where(good, depth, 1), nodes, across
    return SceneContacts(*(torch.from_numpy(np.ascontiguousarray(a[good])) for a in arrays))


@dataclass(frozen=True)
class _Near:
    """Background pixels around sites: straight pixels relative to the principal point, depth, distance, and whether used."""

    pixel: Float[np.ndarray, "n near 2"]
    depth: Float[np.ndarray, "n near"]
    distance: Float[np.ndarray, "n near"]
    used: Bool[np.ndarray, "n near"]

    @classmethod
    def around(
        cls, picture: np.ndarray, key: np.ndarray, height: np.ndarray, expected: np.ndarray, maps: PointMaps,
        config: ContactConfig,
    ) -> _Near:  # fmt: skip
        """Of the background within a window that fits the person's height, the pixels nearest to every site whose depth
        fits him. (Those that do not fit must not take the places: on slanted ground most of the nearest are such.)

        `expected` is the body's depth in the map's own unit.
        """
        lines, columns = maps.depth.shape[1:]
        place = maps.cells(picture) - 0.5
        reach = np.maximum(config.reach * height * columns / maps.size[0], 2.0)
        most = int(np.ceil(min(reach.max(initial=2.0), 60)))
        step = np.arange(-most, most + 1)
        y, x = (a.ravel() for a in np.meshgrid(step, step, indexing="ij"))
        cell = np.round(place).astype(int)[:, None] + np.stack([x, y], -1)[None]
        distance = np.linalg.norm(cell - place[:, None], axis=-1)
        inside = ((cell >= 0) & (cell < np.array([columns, lines]))).all(-1) & (distance <= reach[:, None])
        cell = np.where(inside[..., None], cell, 0)
        inside &= maps.background[key[:, None], cell[..., 1], cell[..., 0]]
        inside &= _fits(cell, expected, maps, picture, key, config)
        distance = np.where(inside, distance, np.inf)
        count = min(config.nearest, distance.shape[1])
        order = np.argpartition(distance, count - 1, axis=1)[:, :count] if len(distance) else np.zeros((0, count), int)
        items = np.arange(len(picture))[:, None]
        cell, distance = cell[items, order], distance[items, order]
        depth = maps.depth[key[:, None], cell[..., 1], cell[..., 0]].astype(np.float64)
        source = (cell + 0.5) * np.array([maps.size[0] / columns, maps.size[1] / lines])
        flat = maps.straight(source.reshape(-1, 2), np.repeat(key, count)).reshape(source.shape)
        return cls(flat, depth, distance, np.isfinite(distance))


def _fits(
    cell: np.ndarray, expected: np.ndarray, maps: PointMaps, picture: np.ndarray, key: np.ndarray, config: ContactConfig
) -> Bool[np.ndarray, "n cells"]:
    """Which pixels have a depth that fits the person's: by the body, and by the metric prior where it has both."""
    depth = maps.depth[key[:, None], cell[..., 1], cell[..., 0]].astype(np.float64)
    fits = np.abs(depth / np.maximum(expected, 1e-6)[:, None] - 1) < config.depth_share
    if maps.prior is not None and len(key):
        at = np.clip(maps.cells(picture).astype(int), 0, np.array(maps.prior.shape[:0:-1]) - 1)
        person = maps.prior[key, at[:, 1], at[:, 0]][:, None].astype(np.float64)
        scene = maps.prior[key[:, None], cell[..., 1], cell[..., 0]].astype(np.float64)
        close = np.abs(scene - person) < config.prior_metres + config.prior_share * person
        fits &= close | (person <= 0) | (scene <= 0)
    return fits


def _surface(
    near: _Near, straight: np.ndarray, maps: PointMaps, key: np.ndarray, log_focal: float, config: ContactConfig
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n 3"], Float[np.ndarray, "n 2"]]:
    """Depth of the scene point, the surface's normal in the camera frame, and the point's pixel; NaN where too little is
    seen. On a plane 1 / z is linear in the picture, so the plane through the pixels comes from a robust linear fit."""
    offset = near.pixel - straight[:, None]
    spread = np.maximum(np.where(near.used, np.abs(offset).max(-1), 0).max(1, initial=0), 1e-9)[:, None, None]
    design = np.concatenate([np.ones((*near.depth.shape, 1)), offset / spread], -1)
    inverse = 1 / np.maximum(near.depth, 1e-9)
    weight = near.used.astype(np.float64)
    middle = np.ones(len(key))
    some = near.used.any(1)
    middle[some] = np.nanmedian(np.where(near.used[some], inverse[some], np.nan), axis=1)
    scaled = inverse / middle[:, None]
    ridge = np.diag([1e-9, 1e-4, 1e-4])
    for _ in range(4):
        normal = np.einsum("nk,nki,nkj->nij", weight, design, design) + ridge
        fit = np.linalg.solve(normal, np.einsum("nk,nki,nk->ni", weight, design, scaled)[..., None])[..., 0]
        away = np.abs(np.einsum("nki,ni->nk", design, fit) - scaled)
        weight = near.used / (1 + (away / 0.02) ** 2) ** 2
    # Variance of the fit at the site, in variances of a pixel: large where the pixels lie on a line or all on one side.
    normal = np.einsum("nk,nki,nkj->nij", weight, design, design) + ridge
    leverage = np.linalg.inv(normal)[:, 0, 0]
    enough = ((weight > 0.25).sum(1) >= config.fewest) & (leverage < config.leverage)
    fit = fit * middle[:, None]
    fit[:, 1:] /= spread[:, 0]
    focal = (maps.focal[key] * np.exp(log_focal))[:, None]
    plane = np.concatenate([fit[:, 1:] * focal, (fit[:, 0] - (fit[:, 1:] * straight).sum(1))[:, None]], 1)
    plane /= np.maximum(np.linalg.norm(plane, axis=1, keepdims=True), 1e-12)
    if config.kind == "surface":
        return np.where(enough & (fit[:, 0] > 0), 1 / np.maximum(fit[:, 0], 1e-9), np.nan), plane, straight
    if not len(key):
        return np.zeros(0), plane, straight
    first = np.where(near.used, near.distance, np.inf).argmin(1)
    items = np.arange(len(key))
    found = np.where(near.used.any(1), near.depth[items, first], np.nan)
    return found, plane, near.pixel[items, first]


def _across(
    normal: np.ndarray, point: np.ndarray, weight: np.ndarray, config: ContactConfig
) -> Float[np.ndarray, "n components 3"]:
    """What the difference of the two points is multiplied with."""
    if config.kind == "surface":
        return (weight / config.sigma)[:, None, None] * normal[:, None]
    ray = point / np.maximum(np.linalg.norm(point, axis=1, keepdims=True), 1e-9)
    outer = ray[:, :, None] * ray[:, None]
    spread = (np.eye(3) - outer) / config.sigma_across + outer / config.sigma_along
    return weight[:, None, None] * spread


def with_lasting(
    contacts: SceneContacts, kept: Float[np.ndarray, "steps sites"], keys: Int[np.ndarray, " rows"]
) -> SceneContacts:
    """Also the same site in the neighbouring rows, while its contact lasts (Eq. 6, body against scene).

    `kept[n, s]` is the probability that site s touches from row n to row n + 1 without a pause.
    """
    parts = [contacts]
    for shift in (-1, 1):
        row = contacts.row + shift
        inside = (row >= 0) & (row < len(keys))
        step = torch.minimum(contacts.row, row).clamp(0, max(len(kept) - 1, 0))
        lasts = torch.from_numpy(kept)[step, contacts.site] if len(kept) else torch.zeros(len(row))
        chosen = torch.nonzero(inside & (lasts > 0.5))[:, 0]
        other = contacts.of(chosen)
        parts.append(SceneContacts(row[chosen], *(getattr(other, n) for n in list(other.__dataclass_fields__)[1:])))
    return SceneContacts(*(torch.cat([getattr(p, n) for p in parts]) for n in contacts.__dataclass_fields__))


def scene_contact_term(
    person: UnknownPerson,
    sites: Sequence[str],
    contacts: SceneContacts,
    focal: Float[Tensor, " keys"],
    loss: RobustLoss,
    weight: float = 1.0,
) -> Term:
    """Eq. 5: sites in contact lie on the scene. `focal` px are the keyframes' first estimates."""
    index = person.index(sites)[contacts.site]
    turning = person.turning(index)
    ray = torch.cat([contacts.pixel / focal[contacts.key, None], torch.ones(len(contacts), 1, dtype=torch.float64)], 1)
    across = weight**0.5 * contacts.across

    def evaluate(values: Values, with_jacobian: bool) -> Linearized:
        posed = person.points(values, with_jacobian)
        R = values[CAMERA_ROTATIONS][contacts.key, 0]
        from_camera = posed.position[contacts.row, index] - values[CAMERA_CENTRES][contacts.key]
        site = (from_camera[:, None] @ R)[:, 0]
        log_depth = values[LOG_DEPTH][contacts.key]
        depth = contacts.depth * torch.exp(log_depth[:, 0] + (contacts.nodes * log_depth[:, 1:]).sum(1))
        zoom = torch.cat([torch.exp(-values[LOG_FOCAL]).expand(1, 2), torch.ones(1, 1, dtype=torch.float64)], 1)
        scene = ray * zoom * depth[:, None]
        residual = (across @ (site - scene)[..., None])[..., 0][:, None]
        if not with_jacobian:
            return Linearized(residual)
        assert posed.by_rotations is not None
        by_world = (across @ R.mT)[:, None]
        turn = posed.by_rotations[contacts.row, index, :, :turning][:, None]
        by_scene = -(across @ scene[..., None])[:, None]
        ones = torch.cat([torch.ones(len(contacts), 1, dtype=torch.float64), contacts.nodes], 1)
        bent = scene * torch.tensor([1.0, 1.0, 0.0], dtype=torch.float64)
        blocks = [
            Block(person.transl, contacts.row, by_world),
            Block(person.rotations, contacts.row, by_world @ turn),
            Block(CAMERA_ROTATIONS, contacts.key, (across @ skew(site))[:, None]),
            Block(CAMERA_CENTRES, contacts.key, -by_world),
            Block(LOG_DEPTH, contacts.key, by_scene * ones[:, None, None]),
            Block(LOG_FOCAL, torch.zeros_like(contacts.key), (across @ bent[..., None])[:, None]),
        ]
        if person.shape_is_free and posed.by_betas is not None:
            shape = posed.by_betas[contacts.row, index][:, None]
            blocks.append(Block(person.betas, torch.zeros_like(contacts.row), by_world @ shape))
        return Linearized(residual, blocks)

    return Term("contact_scene", evaluate, loss)
