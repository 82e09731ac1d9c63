"""A staged world without textures, its truth and its view: the floor, two walls, a column, and two people who walk."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import trimesh

from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.render.raycast import Light, Mesh
from diorama.synthetic.simulate import WorldView
from diorama.synthetic.staging import Shot, stage
from diorama.synthetic.world import World, build_actors

KINDS = {"walk": "translating", "pan": "rotating", "static": "static"}
NOTHING = Scene(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32))


def box(size, centre):
    mesh = trimesh.creation.box(size, trimesh.transformations.translation_matrix(centre))
    return Mesh(np.asarray(mesh.vertices), np.asarray(mesh.faces))


@lru_cache(maxsize=4)
def simulated_world(camera="walk", frames=45, seed=7, kept=0):
    """(truth, view); `kept` > 0 is the number of people, made from the two by shifting copies."""
    staging = stage(seed, Shot(frames=frames, camera=camera))
    actors = build_actors(staging)
    scenery = (box((60, 60, 0.2), (0, 10, -0.1)), box((0.4, 60, 6), (-8, 10, 3)), box((60, 0.4, 6), (0, 25, 3)))
    scenery += (box((0.5, 0.5, 4), (1.5, 9, 2)),)
    world = World(staging, scenery, actors[: kept or None], Light())
    return truth_of(world), WorldView(world)


def truth_of(world):
    shot, T = world.staging.shot, world.staging.T_world_camera
    count = shot.frames
    cameras = Cameras(
        np.tile(world.staging.K, (count, 1, 1)), T, np.zeros((count, 1)), np.ones(count, bool), shot.width, shot.height,
        "given", KINDS[shot.camera],
    )  # fmt: skip
    people = tuple(actor.person() for actor in world.actors)
    return Reconstruction(shot.times, np.arange(count), np.zeros(count, bool), cameras, people, NOTHING, "exact")


def lengthened(person, count):
    """A person of whom nothing is hidden for `count` frames at 30 per second, by repeating his own."""
    rows = np.arange(count)
    longer = person.at(rows % len(person.rows))
    nothing = np.zeros_like(longer.covered)
    return replace(longer, rows=rows, times=rows / 30, covered=nothing, under=nothing)


def with_config(config, **parts):
    """A configuration with changed knobs: `with_config(EXACT, keypoints={"noise": 0.01})`; None drops a part."""
    changes = {}
    for name, knobs in parts.items():
        changes[name] = replace(getattr(config, name), **knobs) if isinstance(knobs, dict) else knobs
    return replace(config, **changes)
