"""Depth where nobody measured any: the ground plane of the embedded static path, and people upright on it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from diorama.geometry.transforms import apply, invert
from diorama.methods.josh.method import reconstruct_josh
from diorama.observations import Depth, Observations, Source
from diorama.reconstruction import Reconstruction
from diorama.render.rays import camera_rays
from diorama.video import Video

# Longer side of the maps, keyframes, and how far the plane reaches, metres.
_SIDE, _KEYS, _REACH = 240, 6, 25.0


def plane_depth(video: Video | None, observations: Observations) -> Depth | None:
    """Maps of the plane z = 0 of JOSH's world of the standing camera; a person's pixels are as far as his pelvis there.
    None if nobody is there to measure by."""
    world = reconstruct_josh(video, observations)
    if not world.people:
        return None
    rows = np.unique(np.linspace(0, len(world) - 1, _KEYS).astype(int))
    factor = _SIDE / max(observations.width, observations.height)
    width, height = (max(1, round(side * factor)) for side in (observations.width, observations.height))
    per = np.array([[width / observations.width], [height / observations.height], [1.0]])
    K = per * world.cameras.K[rows]
    maps = np.stack([_plane(world, int(row), K[index], (width, height)) for index, row in enumerate(rows)])
    for index, row in enumerate(rows):
        for track in observations.tracks.people if observations.tracks else ():
            at = np.flatnonzero(track.frames == row)
            if len(at) and track.masks is not None and (z := _pelvis_depth(world, track.id, int(row))) > 0:
                maps[index][track.masks.full(int(at[0]), (width, height))] = z
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    source = Source("ground plane of the embedded static path", notes=("not measured",))
    return Depth(source, rows, maps, np.where(maps > 0, 0.5, 0.0), K, True, *nothing)


def _plane(
    world: Reconstruction, row: int, K: Float[np.ndarray, "3 3"], size: tuple[int, int]
) -> Float[np.ndarray, "height width"]:
    """Depth of the floor, 0 beyond its reach."""
    rays = camera_rays(K, *size, world.cameras.distortion[row]).astype(np.float64)
    T = world.cameras.T_world_camera[row]
    down = -(rays @ T[:3, :3].T)[..., 2]
    depth = np.where(down > 1e-6, T[2, 3] / np.maximum(down, 1e-6), np.inf)
    return np.where(depth < _REACH, depth, 0.0)


def _pelvis_depth(world: Reconstruction, id: int, row: int) -> float:
    for person in world.people:
        at = np.flatnonzero(person.frames == row)
        if person.id == id and len(at):
            pelvis = person.joints_world[at[0], 0]
            return float(apply(invert(world.cameras.T_world_camera[row]), pelvis[None])[0, 2])
    return 0.0
