"""A textured street as meshes: paved ground, house fronts on three sides, kiosks, boxes, posts, trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from diorama.render.raycast import Mesh
from diorama.render.textures import Texture
from diorama.synthetic import pictures

# Nothing stands within this distance (metres) of where people or the camera go.
_FREE = 1.3


@dataclass(frozen=True)
class StreetConfig:
    """Size of the street in metres (it runs along +Y, the camera starts near the origin) and how much stands in it."""

    left: float = -9.0
    right: float = 10.0
    end: float = 34.0
    height: float = 12.0
    boxes: int = 16
    posts: int = 7
    trees: int = 5


def build_street(
    rng: np.random.Generator,
    keep_free: Float[np.ndarray, "n 2"],
    config: StreetConfig = StreetConfig(),
) -> tuple[Mesh, ...]:
    """All static meshes; `keep_free` are ground points (metres) that furniture must not touch."""
    posters = [Texture.from_picture(pictures.poster(rng), 2.0) for _ in range(8)]
    bark = Texture.from_picture(pictures.grey_noise(rng, 256, 16, 4, 0.22), 0.7)
    foliage = Texture.from_picture(pictures.leaves(rng), 3.0)
    meshes = [_ground(rng), *_houses(rng, config)]
    taken = [keep_free]
    for index in range(config.boxes):
        size = rng.uniform((0.4, 0.4, 0.5), (1.6, 1.6, 2.4))
        place = _free_place(rng, np.concatenate(taken), config, reach=float(np.hypot(*size[:2])) / 2)
        taken.append(place[None])
        meshes.append(box(place, size, float(rng.uniform(0, np.pi)), posters[index % len(posters)]))
    for _ in range(config.posts):
        place = _free_place(rng, np.concatenate(taken), config)
        taken.append(place[None])
        meshes.append(cylinder(place, float(rng.uniform(0.05, 0.12)), float(rng.uniform(2.5, 5.5)), bark))
    for _ in range(config.trees):
        place = _free_place(rng, np.concatenate(taken), config)
        taken.append(place[None])
        height = float(rng.uniform(2.2, 3.2))
        meshes += [cylinder(place, 0.16, height, bark), crown(rng, place, height, foliage)]
    return merged(meshes)


def merged(meshes: list[Mesh]) -> tuple[Mesh, ...]:
    """Scenery with the same textures as one mesh: the renderer's cost grows with their number."""
    groups: dict[tuple[int, ...], list[Mesh]] = {}
    for mesh in meshes:
        groups.setdefault((*map(id, mesh.textures), mesh.smooth), []).append(mesh)
    return tuple(_joined(group) for group in groups.values())


def _joined(group: list[Mesh]) -> Mesh:
    starts = np.cumsum([0, *(len(mesh.vertices) for mesh in group[:-1])])
    faces = np.concatenate([mesh.faces + start for mesh, start in zip(group, starts, strict=True)])
    uv = np.concatenate([mesh.uv for mesh in group if mesh.uv is not None])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in group]), faces, uv=uv, textures=group[0].textures,
        smooth=group[0].smooth,
    )  # fmt: skip


def _ground(rng: np.random.Generator) -> Mesh:
    """Three tiles of unrelated periods and directions: no two places look alike."""
    layers = (
        Texture.from_picture(pictures.paving(rng, 2048), 8.0, 0.12),
        Texture.from_picture(pictures.grey_noise(rng, 1024, 16, 6, 0.16), 5.3, 0.7, faint=True),
        Texture.from_picture(pictures.grey_noise(rng, 512, 12, 5, 0.12), 41.0, 0.3, faint=True),
    )
    half = 60.0
    corners = np.array([[-half, -half, 0], [half, -half, 0], [half, half, 0], [-half, half, 0]])
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), uv=corners[:, :2], textures=layers)


def _houses(rng: np.random.Generator, config: StreetConfig) -> list[Mesh]:
    """Fronts of 8-12 m along both sides and the end, each standing forward or back a little."""
    lines = (
        (np.array([config.left, -12.0]), np.array([0.0, 1.0]), config.end + 16, np.array([-1.0, 0.0])),
        (np.array([config.right, -12.0]), np.array([0.0, 1.0]), config.end + 16, np.array([1.0, 0.0])),
        (
            np.array([config.left - 4, config.end]),
            np.array([1.0, 0.0]),
            config.right - config.left + 8,
            np.array([0.0, 1.0]),
        ),
    )
    fronts = [Texture.from_picture(pictures.facade(rng), 16.0) for _ in range(5)]
    out: list[Mesh] = []
    for start, along, length, back in lines:
        at = 0.0
        while at < length:
            width = float(rng.uniform(8, 12))
            corner = start + at * along + float(rng.uniform(0, 1.5)) * back
            depth = 6.0
            centre = corner + along * width / 2 + back * depth / 2
            size = np.abs(along) * width + np.abs(back) * depth
            height = config.height + float(rng.uniform(-3, 4))
            texture = fronts[len(out) % len(fronts)]
            out.append(box(centre, np.array([*size, height]), 0.0, texture, shift=float(rng.uniform(0, 16))))
            at += width
    return out


def _free_place(
    rng: np.random.Generator, taken: Float[np.ndarray, "n 2"], config: StreetConfig, reach: float = 0.3
) -> Float[np.ndarray, " 2"]:
    """A random ground point away from all others; the farthest of 40 tries if none is free."""
    low, high = (config.left + 1.5, 2.0), (config.right - 1.5, config.end - 2)
    tries = rng.uniform(low, high, (40, 2))
    distance = np.linalg.norm(tries[:, None] - taken[None], axis=2).min(1)
    free = np.flatnonzero(distance > _FREE + reach)
    return tries[free[0]] if len(free) else tries[np.argmax(distance)]


def box(
    centre: Float[np.ndarray, " 2"],
    size: Float[np.ndarray, " 3"],
    yaw: float,
    texture: Texture,
    shift: float = 0.0,
) -> Mesh:
    """A box on the ground, textured in metres: u runs around it, v from the ground up (row 0 of a tile is its top)."""
    x, y, z = size / np.array([2, 2, 1])
    corners = np.array([[-x, -y], [x, -y], [x, y], [-x, y]])
    cosine, sine = np.cos(yaw), np.sin(yaw)
    corners = corners @ np.array([[cosine, sine], [-sine, cosine]]) + centre
    vertices, uv, faces = [], [], []
    for side in range(4):
        a, b = corners[side], corners[(side + 1) % 4]
        width = float(np.linalg.norm(b - a))
        start = shift + 1.7 * side
        vertices += [[*a, 0], [*b, 0], [*b, z], [*a, z]]
        uv += [[start, 0], [start + width, 0], [start + width, -z], [start, -z]]
    vertices += [[*c, z] for c in corners]
    uv += [list(c - centre) for c in corners]
    for first in range(0, 20, 4):
        faces += [[first, first + 1, first + 2], [first, first + 2, first + 3]]
    return Mesh(np.array(vertices), np.array(faces), uv=np.array(uv), textures=(texture,))


def cylinder(centre: Float[np.ndarray, " 2"], radius: float, height: float, texture: Texture) -> Mesh:
    """A post without a lid."""
    angle = np.linspace(0, 2 * np.pi, 13)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1) * radius + centre
    vertices = np.concatenate([np.c_[ring, np.zeros(13)], np.c_[ring, np.full(13, height)]])
    uv = np.concatenate([np.c_[angle * radius, np.zeros(13)], np.c_[angle * radius, np.full(13, height)]])
    quads = np.arange(12)[:, None]
    faces = np.concatenate([quads + np.array(corner) for corner in ([0, 1, 14], [0, 14, 13])])
    return Mesh(vertices, faces, uv=uv, textures=(texture,))


def crown(rng: np.random.Generator, place: Float[np.ndarray, " 2"], height: float, texture: Texture) -> Mesh:
    """A lumpy ball of leaves on top of a trunk."""
    rows, columns = 14, 25
    polar, around = np.meshgrid(
        np.linspace(0.02, np.pi - 0.02, rows), np.linspace(0, 2 * np.pi, columns), indexing="ij"
    )
    lumps = rng.normal(0, 0.12, (rows, columns))
    lumps[:, -1] = lumps[:, 0]
    radius = float(rng.uniform(1.0, 1.6)) * (1 + lumps)
    ball = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], -1)
    vertices = (radius[..., None] * ball).reshape(-1, 3) + np.array([*place, height + 0.6])
    uv = np.stack([around * 1.3, polar * 1.3], -1).reshape(-1, 2)
    return Mesh(vertices, _grid_faces(rows, columns), uv=uv, textures=(texture,), smooth=True)


def _grid_faces(rows: int, columns: int) -> Int[np.ndarray, "faces 3"]:
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).reshape(-1, 1)
    return np.concatenate([corner + np.array(f) for f in ([0, columns, columns + 1], [0, columns + 1, 1])])
