"""Surface points of the people at keyframes: where the believed bodies are seen by the camera. Skin, not a scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body import load_body
from diorama.reconstruction import Cameras, Person, Scene
from diorama.render.rays import RayScene

# Keyframes of worlds without depth maps: one in so many rows.
_STEP = 15
# A vertex is seen if nothing is hit before this share of its distance.
_REACH = 0.997


def with_people_points(scene: Scene, people: Sequence[Person], cameras: Cameras) -> Scene:
    """The scene with some hundred points per person at every depth keyframe (without depth: every 15th row): vertices
    that the camera sees, not hidden by the own body or another one. The scene itself hides nothing."""
    rows = scene.depth_frames if scene.depth_frames is not None else np.arange(0, len(cameras.K), _STEP)
    parts = [part for row in rows for part in _seen(people, cameras, int(row))]
    if not parts:
        return scene
    points, ids, frames = (np.concatenate(column) for column in zip(*parts, strict=True))
    return replace(scene, people_points=points, people_points_id=ids, people_points_frame=frames)


def _seen(
    people: Sequence[Person], cameras: Cameras, row: int
) -> list[tuple[Float[np.ndarray, "n 3"], Int[np.ndarray, " n"], Int[np.ndarray, " n"]]]:
    """World points, id and row of everybody's seen vertices in one frame."""
    present = [person for person in people if row in person.frames]
    if not present:
        return []
    verts = [_verts(person, row) for person in present]
    models = [load_body(person.body, person.gender) for person in present]
    bodies = RayScene([(v, model.faces.numpy()) for v, model in zip(verts, models, strict=True)])
    centre = cameras.T_world_camera[row, :3, 3].astype(np.float32)
    out = []
    for person, model, own in zip(present, models, verts, strict=True):
        points = own[model.subset.numpy()]
        rays = points - centre
        points = points[bodies.first_hits(np.broadcast_to(centre, rays.shape), rays).distance > _REACH]
        out.append((points, np.full(len(points), person.id), np.full(len(points), row)))
    return out


def _verts(person: Person, row: int) -> Float[np.ndarray, "verts 3"]:
    at = np.flatnonzero(person.frames == row)
    arrays = (person.global_orient[at], person.body_pose[at], person.transl[at])
    shaped = load_body(person.body, person.gender).shaped(torch.from_numpy(np.asarray(person.betas, np.float32)))
    return shaped.posed(*(torch.from_numpy(np.asarray(a, np.float32)) for a in arrays)).verts()[0].numpy()
