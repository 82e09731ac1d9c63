"""Meshes to colour, depth and ids by ray casting: sun with shadows, sky light, haze, four samples at edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from diorama.render.rays import Hits, RayScene, camera_rays
from diorama.render.sensor import Sensor, exposed
from diorama.render.textures import Texture

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh in the world, metres. Its colour is `colours` per vertex (0-1) times all `textures` at `uv`.

    Textures after the first are centred on mid grey (twice their value multiplies). `smooth` shades with interpolated
    vertex normals. `id` 0 is scenery, people have ids from 1.
    """

    vertices: Float[np.ndarray, "verts 3"]
    faces: Int[np.ndarray, "faces 3"]
    id: int = 0
    colours: Float[np.ndarray, "verts 3"] | None = None
    uv: Float[np.ndarray, "verts 2"] | None = None
    textures: tuple[Texture, ...] = ()
    smooth: bool = False


@dataclass(frozen=True)
class Light:
    """Sun (direction towards it), its colour, the sky's light from above, bounce from below, and the air.

    `haze_metres` is the distance at which 63 % of a surface's colour is lost; `sun_radius` softens shadows (radians).
    """

    to_sun: Colour = (0.45, -0.35, 0.82)
    sun: Colour = (1.05, 0.99, 0.88)
    sky_light: Colour = (0.40, 0.44, 0.52)
    ground_light: Colour = (0.24, 0.22, 0.20)
    zenith: Colour = (0.25, 0.45, 0.80)
    horizon: Colour = (0.72, 0.80, 0.90)
    haze_metres: float = 450.0
    sun_radius: float = 0.02
    shadow_samples: int = 2


@dataclass(frozen=True)
class Picture:
    """A rendered frame; `depth` is z along the optical axis in metres (0: nothing), `ids` those of the meshes.

    `normals`, if asked for, are the unit normals of the faces whose depth is seen, on the camera's side; 0 for nothing.
    """

    rgb: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]
    ids: Int[np.ndarray, "height width"]
    normals: Float[np.ndarray, "height width 3"] | None = None


@dataclass(frozen=True)
class _Shaded:
    colour: np.ndarray
    hits: Hits
    lit: np.ndarray


def render(
    meshes: Sequence[Mesh],
    K: Float[np.ndarray, "3 3"],
    T_world_camera: Float[np.ndarray, "4 4"],
    width: int,
    height: int,
    *,
    light: Light = Light(),
    samples: int = 2,
    distortion: Float[np.ndarray, " k"] | None = None,
    normals: Literal["camera", "world"] | None = None,
    sensor: Sensor | None = None,
) -> Picture:
    """What a camera sees. Pixels at edges of objects, faces and shadows get `samples` x `samples` rays for colour;
    depth, ids and normals are those of the pixel's centre.

    `normals` asks for normals along the camera's axes (OpenCV) or the world's; `sensor` adds its noise to the colours.
    """
    scene = RayScene([(mesh.vertices, mesh.faces) for mesh in meshes])
    frame = _Frame(tuple(meshes), scene, K, T_world_camera, light)
    directions = camera_rays(K, width, height, distortion)
    first = frame.shade(directions.reshape(-1, 3))
    colour = first.colour.reshape(height, width, 3)
    if samples > 1:
        edge = _edges(first, height, width)
        offsets = (np.arange(samples) + 0.5) / samples - 0.5
        steps = np.array([[dx / K[0, 0], dy / K[1, 1], 0] for dy in offsets for dx in offsets], np.float32)
        fine = frame.shade((directions[edge][None] + steps[:, None]).reshape(-1, 3)).colour
        colour[edge] = fine.reshape(samples**2, -1, 3).mean(0)
    if sensor is not None:
        colour = exposed(colour, sensor)
    ids = np.array([0, *(mesh.id for mesh in meshes)], np.int32)[first.hits.mesh + 1]
    return Picture(
        _to_srgb(colour),
        first.hits.distance.reshape(height, width),
        ids.reshape(height, width),
        _seen_normals(first.hits.normal.reshape(height, width, 3), directions, T_world_camera[:3, :3], normals),
    )


def _seen_normals(
    normal_world: np.ndarray, directions_camera: np.ndarray, rotation: np.ndarray, frame: str | None
) -> Float[np.ndarray, "height width 3"] | None:
    """Face normals turned to the camera's side, along the axes of `frame`."""
    if frame is None:
        return None
    rotation = rotation.astype(np.float32)
    normal_camera = normal_world @ rotation
    behind = (normal_camera * directions_camera).sum(-1, keepdims=True) > 0
    return np.where(behind, np.float32(-1), np.float32(1)) * (normal_camera if frame == "camera" else normal_world)


def _edges(first: _Shaded, height: int, width: int) -> Bool[np.ndarray, "height width"]:
    """Pixels beside a change of mesh, a crease, a jump of depth, or a shadow's border."""
    mesh, lit = first.hits.mesh.reshape(height, width), first.lit.reshape(height, width)
    depth, normal = first.hits.distance.reshape(height, width), first.hits.normal.reshape(height, width, 3)
    edge = np.zeros((height, width), bool)
    for a, b in (((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
                 ((slice(None), slice(1, None)), (slice(None), slice(None, -1)))):  # fmt: skip
        jump = np.abs(depth[a] - depth[b]) > 0.08 * np.minimum(depth[a], depth[b]) + 0.02
        crease = (normal[a] * normal[b]).sum(-1) < 0.5
        change = (mesh[a] != mesh[b]) | (jump & crease) | (np.abs(lit[a] - lit[b]) > 0.3)
        edge[a] |= change
        edge[b] |= change
    return edge


@dataclass(frozen=True)
class _Frame:
    """One view of a scene: everything that shading a bundle of rays needs."""

    meshes: tuple[Mesh, ...]
    scene: RayScene
    K: np.ndarray
    T_world_camera: np.ndarray
    light: Light

    def shade(self, directions_camera: Float[np.ndarray, "rays 3"]) -> _Shaded:
        """Linear colour of camera rays (z = 1)."""
        rotation = self.T_world_camera[:3, :3].astype(np.float32)
        centre = self.T_world_camera[:3, 3].astype(np.float32)
        directions = directions_camera @ rotation.T
        hits = self.scene.first_hits(np.broadcast_to(centre, directions.shape), directions)
        colour = _sky(directions, self.light)
        lit = np.ones(len(directions), np.float32)
        hit = np.flatnonzero(hits.mesh >= 0)
        points = centre + hits.distance[hit, None] * directions[hit]
        albedo, normals = self._surface(hits, hit, directions[hit])
        normals *= np.where((normals * directions[hit]).sum(1, keepdims=True) > 0, np.float32(-1), np.float32(1))
        lit[hit] = self._sunlight(points, normals)
        shaded = albedo * _irradiance(normals, lit[hit], self.light)
        clear = np.exp(-np.linalg.norm(points - centre, axis=1, keepdims=True) / np.float32(self.light.haze_metres))
        colour[hit] = clear * shaded + (1 - clear) * np.array(self.light.horizon, np.float32)
        return _Shaded(colour, hits, lit)

    def _sunlight(self, points: np.ndarray, normals: np.ndarray) -> Float[np.ndarray, " rays"]:
        """Share 0-1 of the sun that each point sees."""
        to_sun = np.array(self.light.to_sun) / np.linalg.norm(self.light.to_sun)
        side = np.cross(to_sun, [0.0, 0.0, 1.0] if abs(to_sun[2]) < 0.99 else [1.0, 0.0, 0.0])
        side /= np.linalg.norm(side)
        share = np.zeros(len(points), np.float32)
        facing = np.flatnonzero(normals @ to_sun.astype(np.float32) > 0)
        # 2 mm off the surface: float32 hits lie up to that far inside at 60 m.
        origins = points[facing] + np.float32(0.002) * normals[facing]
        count = self.light.shadow_samples
        for offset in (np.arange(count) + 0.5) / count * 2 - 1:
            direction = (to_sun + self.light.sun_radius * offset * side).astype(np.float32)
            share[facing] += ~self.scene.occluded(origins, np.broadcast_to(direction, origins.shape))
        return share / count

    def _surface(self, hits: Hits, hit: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Albedo and normal at the hits (indices `hit`)."""
        albedo = np.full((len(hit), 3), 0.6, np.float32)
        normals = hits.normal[hit].copy()
        for index, mesh in enumerate(self.meshes):
            rows = np.flatnonzero(hits.mesh[hit] == index)
            if not len(rows):
                continue
            at = hit[rows]
            corners = mesh.faces[hits.face[at]]
            weights = np.stack([1 - hits.u[at] - hits.v[at], hits.u[at], hits.v[at]], 1)
            if mesh.colours is not None:
                albedo[rows] = _mix(weights, mesh.colours[corners])
            if mesh.textures and mesh.uv is not None:
                albedo[rows] = (albedo[rows] if mesh.colours is not None else 1) * self._texture(
                    mesh, corners, weights, hits, at, directions[rows]
                )
            if mesh.smooth:
                smooth = _mix(weights, _vertex_normals(mesh)[corners])
                normals[rows] = smooth / np.maximum(np.linalg.norm(smooth, axis=1, keepdims=True), 1e-12)
        return albedo, normals

    def _texture(
        self, mesh: Mesh, corners: np.ndarray, weights: np.ndarray, hits: Hits, at: np.ndarray, directions: np.ndarray
    ) -> np.ndarray:
        """Product of the mesh's textures, each filtered over the pixel's footprint (ray differentials, Igehy 1999)."""
        assert mesh.uv is not None
        uv_corners = mesh.uv[corners].astype(np.float32)
        to_uv = _uv_gradient(mesh)[hits.face[at]]
        normal, distance = hits.normal[at], hits.distance[at, None]
        slope = (normal * directions).sum(1, keepdims=True)
        slope = np.where(np.abs(slope) < 1e-3, np.float32(1e-3), slope)
        steps = []
        for axis in range(2):
            step = (self.T_world_camera[:3, axis] / self.K[axis, axis]).astype(np.float32)
            moved = distance * (step - directions * ((normal @ step)[:, None] / slope))
            steps.append(np.einsum("nij,nj->ni", to_uv, moved))
        uv = _mix(weights, uv_corners)
        out = mesh.textures[0].sample(uv, *steps)
        for texture in mesh.textures[1:]:
            out *= 2 * texture.sample(uv, *steps)
        return out


def _mix(weights: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Barycentric mean: weights (n,3), corners (n,3,c) -> (n,c)."""
    corners = corners.astype(np.float32, copy=False)
    return weights[:, :1] * corners[:, 0] + weights[:, 1:2] * corners[:, 1] + weights[:, 2:] * corners[:, 2]


def _uv_gradient(mesh: Mesh) -> Float[np.ndarray, "faces 2 3"]:
    """Per face the matrix that takes a step in its plane (metres) to a step in uv."""
    assert mesh.uv is not None
    corners, uv = mesh.vertices[mesh.faces], mesh.uv[mesh.faces]
    sides = corners[:, 1:] - corners[:, :1]
    uv_sides = np.swapaxes(uv[:, 1:] - uv[:, :1], 1, 2)
    # The pseudo-inverse of two sides, written out: rows dual to the sides within the face's plane.
    gram = sides @ np.swapaxes(sides, 1, 2)
    determinant = np.maximum(gram[:, 0, 0] * gram[:, 1, 1] - gram[:, 0, 1] ** 2, 1e-30)
    adjugate = np.stack([gram[:, 1, 1], -gram[:, 0, 1], -gram[:, 1, 0], gram[:, 0, 0]], 1).reshape(-1, 2, 2)
    return (uv_sides @ (adjugate / determinant[:, None, None]) @ sides).astype(np.float32)


def _vertex_normals(mesh: Mesh) -> Float[np.ndarray, "verts 3"]:
    return vertex_normals(mesh.vertices, mesh.faces)


def vertex_normals(
    vertices: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"]
) -> Float[np.ndarray, "verts 3"]:
    """Unit normals at vertices, weighted by the area of the faces around them."""
    vertices = vertices.astype(np.float32, copy=False)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    total = np.stack(
        [np.bincount(faces.ravel(), np.repeat(face[:, k], 3), minlength=len(vertices)) for k in range(3)], 1
    )
    return (total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-20)).astype(np.float32)


def _irradiance(normals: np.ndarray, lit: np.ndarray, light: Light) -> Float[np.ndarray, "rays 3"]:
    to_sun = np.array(light.to_sun, np.float32) / np.float32(np.linalg.norm(light.to_sun))
    upward = (normals[:, 2:] + 1) / 2
    ambient = upward * np.array(light.sky_light, np.float32) + (1 - upward) * np.array(light.ground_light, np.float32)
    direct = np.maximum(normals @ to_sun, 0) * lit
    return ambient + direct[:, None] * np.array(light.sun, np.float32)


def _sky(directions: np.ndarray, light: Light) -> Float[np.ndarray, "rays 3"]:
    up = np.clip(directions[:, 2] / np.linalg.norm(directions, axis=1), 0, 1)[:, None] ** np.float32(0.6)
    return (1 - up) * np.array(light.horizon, np.float32) + up * np.array(light.zenith, np.float32)


def _to_srgb(colour: np.ndarray) -> UInt8[np.ndarray, "height width 3"]:
    return (np.clip(colour, 0, 1) ** np.float32(1 / 2.2) * 255 + 0.5).astype(np.uint8)
