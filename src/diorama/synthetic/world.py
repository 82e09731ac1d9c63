"""A staged world: the street, the bodies and the cameras of one clip, ready to be rendered frame by frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.body.anny import FREE_BODY_NAME, load_free_body
from diorama.body.model import PosedBody, ShapedBody
from diorama.body.stature import betas_for_stature
from diorama.reconstruction import Person
from diorama.render.raycast import Light, Mesh, Picture, render
from diorama.synthetic.clothing import dress
from diorama.synthetic.staging import Role, Shot, Staging
from diorama.synthetic.street import build_street
from diorama.synthetic.walk import Motion, Skeleton, walk


@dataclass(frozen=True)
class Actor:
    """A person of a world: the body, its motion, and the colours of its vertices. `id` is that of the rendered ids."""

    id: int
    shaped: ShapedBody
    motion: Motion
    posed: PosedBody
    colours: Float[np.ndarray, "verts 3"]

    def mesh(self, row: int) -> Mesh:
        """The posed body of one frame."""
        rows = slice(row, row + 1)
        one = PosedBody(
            self.shaped, self.posed.local_rotations[rows], self.posed.joints[rows], self.posed.joint_rotations[rows]
        )
        faces = self.shaped.model.faces.numpy()
        return Mesh(one.verts()[0].numpy(), faces, self.id, self.colours, smooth=True)

    def person(self) -> Person:
        """The exact truth, as a reconstruction would tell it."""
        count = len(self.motion.transl)
        return Person(
            id=self.id, frames=np.arange(count), body=FREE_BODY_NAME, gender="neutral",
            betas=self.shaped.betas.numpy(), global_orient=self.motion.global_orient, body_pose=self.motion.body_pose,
            transl=self.motion.transl, joints_world=self.posed.joints.numpy(),
            contacts=self.motion.contacts.astype(np.float32), contact_sites=self.motion.sites,
            observed=np.ones(count, bool), confidence=np.ones(count, np.float32),
        )  # fmt: skip


@dataclass(frozen=True)
class World:
    """Everything that one clip shows."""

    staging: Staging
    scenery: tuple[Mesh, ...]
    actors: tuple[Actor, ...]
    light: Light

    def picture(self, row: int) -> Picture:
        """One rendered frame with its exact depth (metres) and ids (0 scenery, else the actor's)."""
        shot = self.staging.shot
        meshes = (*self.scenery, *(actor.mesh(row) for actor in self.actors))
        return render(
            meshes, self.staging.K, self.staging.T_world_camera[row], shot.width, shot.height, light=self.light
        )


def build_world(staging: Staging) -> World:
    """The world of a plan: the same on every machine up to rounding."""
    actors = build_actors(staging)
    rng = np.random.default_rng([staging.seed, 2])
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.1)
    light = replace(Light(), to_sun=(float(np.cos(azimuth)), float(np.sin(azimuth)), float(np.tan(height))))
    return World(staging, build_street(rng, _stage_ground(staging, actors)), actors, light)


def build_actors(staging: Staging) -> tuple[Actor, ...]:
    """The people of a plan, ids from 1."""
    return tuple(_actor(index + 1, role, staging.shot) for index, role in enumerate(staging.roles))


def _stage_ground(staging: Staging, actors: tuple[Actor, ...]) -> Float[np.ndarray, "n 2"]:
    """Ground points (every 10th frame) of people, of the camera, and of the lines of sight between them."""
    camera = staging.T_world_camera[::10, :2, 3]
    lines = [camera + share * (a.motion.transl[::10, :2] - camera) for a in actors for share in np.linspace(0, 1, 6)]
    return np.concatenate(lines)


def _actor(id: int, role: Role, shot: Shot) -> Actor:
    model = load_free_body()
    betas = betas_for_stature(
        model, role.stature, age=2 / 3, gender=role.gender, weight=role.weight, muscle=role.muscle
    )
    shaped = model.shaped(betas)
    motion = walk(Skeleton.of(shaped), role.path, shot.times, role.manner)
    arrays = (motion.global_orient, motion.body_pose, motion.transl)
    posed = shaped.posed(*(torch.from_numpy(a).to(betas.dtype) for a in arrays))
    return Actor(id, shaped, motion, posed, dress(shaped, role.outfit))


@dataclass(frozen=True)
class Rendered:
    """A frame by row; depth and ids are None unless asked for (they are large to pass between processes)."""

    row: int
    rgb: np.ndarray
    depth: Float[np.ndarray, "height width"] | None
    ids: Int[np.ndarray, "height width"] | None


def render_frames(
    staging: Staging, rows: Sequence[int], *, processes: int = 2, deep: Sequence[int] | None = None
) -> Iterator[Rendered]:
    """The frames `rows` in order; those in `deep` (all if None) come with depth and ids.

    Processes are spawned, so nothing is shared and the pictures do not depend on their number; 1 renders in place.
    """
    deep = rows if deep is None else deep
    tasks = [(row, row in set(deep)) for row in rows]
    if processes <= 1:
        world = build_world(staging)
        yield from (_rendered(world, *task) for task in tasks)
        return
    load_free_body()  # built here once, not by every process at the same time
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (staging,)) as pool:
        yield from pool.map(_render_task, tasks)


_worlds: list[World] = []


def _prepare(staging: Staging) -> None:
    """Build the world of a rendering process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _worlds[:] = [build_world(staging)]


def _render_task(task: tuple[int, bool]) -> Rendered:
    return _rendered(_worlds[0], *task)


def _rendered(world: World, row: int, deep: bool) -> Rendered:
    picture = world.picture(row)
    return Rendered(row, picture.rgb, picture.depth if deep else None, picture.ids if deep else None)


def person_masks(ids: Int[np.ndarray, "height width"], count: int) -> Bool[np.ndarray, "people height width"]:
    """Visible pixels of actors 1..count."""
    return ids[None] == np.arange(1, count + 1)[:, None, None]
