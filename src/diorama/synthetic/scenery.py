"""A layout as textured meshes: the floor and every slab exactly, and around the arena what makes it a place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from diorama.render.raycast import Light, Mesh
from diorama.render.textures import Texture
from diorama.synthetic import pictures, surfaces
from diorama.synthetic.free_space import Zone, arena_of
from diorama.synthetic.layout import Layout, Slab
from diorama.synthetic.pictures import Picture
from diorama.synthetic.street import box, crown, cylinder, merged

# How far the floor goes (metres from the origin), and how deep boxes go into it: on a slope no corner hangs in the air.
_HORIZON, _SUNK = 60.0, 0.5
_SKYLIGHT = 0.9


@dataclass(frozen=True)
class _Look:
    """A painter of tiles, the metres that a tile covers, and how many different ones there are."""

    paint: Callable[[np.random.Generator], Picture]
    metres: float
    count: int = 1

    def textures(self, rng: np.random.Generator) -> list[Texture]:
        return [Texture.from_picture(self.paint(rng), self.metres) for _ in range(self.count)]


_WOOD, _CLOTH, _BILLS = _Look(surfaces.joinery, 1.6, 3), _Look(surfaces.cloth, 1.2, 2), _Look(pictures.poster, 2.0, 5)
_STONE, _FRONTS, _PAPER = (
    _Look(surfaces.stone, 1.5, 2),
    _Look(pictures.facade, 16.0, 5),
    _Look(surfaces.papered, 4.0, 4),
)
_HOARDINGS = _Look(pictures.poster, 7.0, 5)
_LOOKS = {"step": _STONE, "obstacle": _WOOD, "seat": _CLOTH, "bed": _CLOTH, "table": _WOOD, "clutter": _BILLS}
# What differs between the presets: walls, and what stands on grass and in yards.
_PLACES = {
    "street": {"wall": _FRONTS, "seat": _WOOD},
    "room": {"wall": _PAPER},
    "slope": {"clutter": _Look(surfaces.stone, 1.5, 4), "seat": _WOOD},
    "clutter": {"seat": _WOOD},
}
_FLOORS = {
    "street": _Look(lambda rng: pictures.paving(rng, 2048), 8.0),
    "stairs": _Look(lambda rng: pictures.paving(rng, 1024, (8, 13)), 5.0),
    "room": _Look(surfaces.boards, 3.2),
    "slope": _Look(surfaces.meadow, 6.0),
    "clutter": _Look(surfaces.concrete, 5.0),
}


def build_scenery(layout: Layout, rng: np.random.Generator) -> tuple[Mesh, ...]:
    """All static meshes (id 0) of a layout.

    Inside the arena the surfaces are those of the layout exactly; trees, hoardings and houses stand outside of it, and
    a room has a ceiling with openings 5 cm below the tops of its walls.
    """
    meshes = [_floor(layout, rng), *_slabs(layout, rng)]
    if layout.name == "room":
        meshes.append(_ceiling(layout, rng))
    else:
        meshes += _surroundings(layout, rng)
    return merged(meshes)


def daylight(layout: Layout, rng: np.random.Generator) -> Light:
    """Sun 35-63 degrees high, anywhere around; in a room steeper, with brighter light from the walls."""
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.1)
    if layout.name != "room":
        return replace(Light(), to_sun=(float(np.cos(azimuth)), float(np.sin(azimuth)), float(np.tan(height))))
    return replace(
        Light(),
        to_sun=(float(np.cos(azimuth)), float(np.sin(azimuth)), float(np.tan(height + 0.2))),
        sky_light=(0.66, 0.64, 0.60),
        ground_light=(0.46, 0.43, 0.40),
    )


def _floor(layout: Layout, rng: np.random.Generator) -> Mesh:
    """Three tiles of unrelated periods and directions: no two places look alike."""
    look = _FLOORS.get(layout.name, _FLOORS["clutter"])
    layers = (
        Texture.from_picture(look.paint(rng), look.metres, 0.12),
        Texture.from_picture(pictures.grey_noise(rng, 512, 16, 5, 0.14), 0.66 * look.metres, 0.7, faint=True),
        Texture.from_picture(pictures.grey_noise(rng, 512, 12, 5, 0.12), 41.0, 0.3, faint=True),
    )
    ground = np.array([[-1.0, -1], [1, -1], [1, 1], [-1, 1]]) * _HORIZON
    corners = np.c_[ground, layout.floor_height(ground)]
    return Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), uv=ground, textures=layers)


def _slabs(layout: Layout, rng: np.random.Generator) -> list[Mesh]:
    """Every box, with one of the looks of its kind."""
    looks = {**_LOOKS, "wall": _STONE, **_PLACES.get(layout.name, {})}
    textures = {kind: looks[kind].textures(rng) for kind in sorted({slab.kind for slab in layout.slabs})}
    return [
        slab_mesh(slab, textures[slab.kind][i % len(textures[slab.kind])], rng) for i, slab in enumerate(layout.slabs)
    ]


def slab_mesh(slab: Slab, texture: Texture, rng: np.random.Generator) -> Mesh:
    """The faces of a box; they go on below its base, into the ground. Its tile starts anywhere around it."""
    x, y, z = slab.size
    shift = float(rng.uniform(0, texture.metres))
    mesh = box(np.array(slab.base[:2]), np.array([x, y, z + _SUNK]), slab.yaw, texture, shift)
    assert mesh.uv is not None
    uv = mesh.uv.copy()
    uv[:16, 1] += _SUNK  # the tile's lower edge at the base
    uv[16:] += shift
    return replace(mesh, vertices=mesh.vertices + np.array([0, 0, slab.base[2] - _SUNK]), uv=uv)


def _ceiling(layout: Layout, rng: np.random.Generator) -> Mesh:
    """Panels of a chequer whose openings let the sun in."""
    zone = arena_of(layout)
    texture = Texture.from_picture(surfaces.concrete(rng), 5.0)
    height = min(wall.top for wall in layout.of_kind("wall")) - 0.05
    xs, ys = (np.arange(zone.low[k], zone.high[k], _SKYLIGHT) for k in range(2))
    vertices, faces = [], []
    for i, x in enumerate(xs):
        for j, y in enumerate(ys):
            if i % 3 == 1 and j % 3 == 1:
                continue
            x1, y1 = min(x + _SKYLIGHT, zone.high[0]), min(y + _SKYLIGHT, zone.high[1])
            faces += [[len(vertices) + k for k in corner] for corner in ((0, 1, 2), (0, 2, 3))]
            vertices += [[x, y, height], [x1, y, height], [x1, y1, height], [x, y1, height]]
    corners = np.array(vertices)
    return Mesh(corners, np.array(faces), uv=corners[:, :2].copy(), textures=(texture,))


def _surroundings(layout: Layout, rng: np.random.Generator) -> list[Mesh]:
    """Trees outside of the arena, and around stairs and yards houses or hoardings."""
    arena = arena_of(layout)
    bark = Texture.from_picture(pictures.grey_noise(rng, 256, 16, 4, 0.22), 0.7)
    foliage = Texture.from_picture(pictures.leaves(rng), 3.0)
    meshes: list[Mesh] = []
    for _ in range(int(rng.integers(12, 20))):
        place = _outside(rng, layout, arena, 2.2)
        height, base = float(rng.uniform(2.2, 3.4)), float(layout.floor_height(place[None])[0])
        for part in (cylinder(place, 0.16, height, bark), crown(rng, place, height, foliage)):
            meshes.append(replace(part, vertices=part.vertices + np.array([0, 0, base - 0.1])))
    if layout.name in ("stairs", "clutter"):
        look, height = (_FRONTS, (8.0, 14.0)) if layout.name == "stairs" else (_HOARDINGS, (2.2, 3.4))
        meshes += _ring(rng, arena, look.textures(rng), height)
    return meshes


def _outside(rng: np.random.Generator, layout: Layout, arena: Zone, reach: float) -> Float[np.ndarray, " 2"]:
    """A ground point that stays `reach` metres away from the arena and from all slabs."""
    far = Zone((arena.low[0] - 9, arena.low[1] - 9), (arena.high[0] + 9, arena.high[1] + 9))
    for _ in range(200):
        xy = far.draw(rng)
        if not arena.contains(xy, -reach).any() and not any(slab.covers(xy).any() for slab in layout.slabs):
            return xy[0]
    return np.array([arena.low[0] - 9.0, arena.low[1] - 9.0])


def _ring(rng: np.random.Generator, arena: Zone, textures: list[Texture], height: tuple[float, float]) -> list[Mesh]:
    """Fronts or panels on four sides, 9-12 m outside of the arena."""
    out: list[Mesh] = []
    for axis in range(2):
        for side in (-1, 1):
            at = arena.low[axis] - 10
            while at < arena.high[axis] + 10:
                width = float(rng.uniform(6, 10))
                border = arena.high[1 - axis] if side > 0 else arena.low[1 - axis]
                across = border + side * float(rng.uniform(11, 13))
                centre = np.array([at + width / 2, across])[[axis, 1 - axis]]
                size = np.array([*np.array([width, 2.0])[[axis, 1 - axis]], rng.uniform(*height)])
                out.append(box(centre, size, 0.0, textures[len(out) % len(textures)], float(rng.uniform(0, 16))))
                at += width
    return out
