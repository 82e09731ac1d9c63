"""An exact world to be evaluated, and the same world moved, disturbed, or seen with errors."""

from dataclasses import replace

import numpy as np
import torch

from diorama.body import load_body
from diorama.body.model import move_body
from diorama.evaluate.found_scene import found_scene
from diorama.geometry.rotations import matrix_of
from diorama.geometry.transforms import apply, move_cameras, rigid
from diorama.reconstruction import Scene
from diorama.synthetic.simulate.exact_view import look
from simulated_world import simulated_world

FRAMES = 28
KEYFRAMES = np.arange(0, FRAMES, 6)
GRID = (96, 54)


def evaluated_world():
    """The truth of `simulated_world` with depth maps and scene points."""
    truth, view = simulated_world("walk", FRAMES)
    shown = look(view, KEYFRAMES, *GRID)
    lens = truth.cameras
    K = lens.K[KEYFRAMES] * np.array([GRID[0] / lens.width, GRID[1] / lens.height, 1.0])[:, None]
    nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
    truth = truth.replace(scene=Scene(*nothing, shown.depth.astype(np.float32), K, KEYFRAMES))
    points = found_scene(truth).points
    scene = replace(
        truth.scene, points_world=points, colors=np.zeros((len(points), 3), np.uint8), confidence=np.ones(len(points))
    )
    return truth.replace(scene=scene)


def people_pixels(rows=KEYFRAMES):
    """Where depth maps of these rows show people."""
    _, view = simulated_world("walk", FRAMES)
    return look(view, rows, *GRID).ids > 0


def moved(world, turn=(0.0, 0.0, 2.0), shift=(5.0, -3.0, 0.0)):
    """The same world after a rigid move."""
    R, t = matrix_of(np.array(turn)), np.array(shift)
    people = []
    for person in world.people:
        rest = load_body(person.body).shaped(torch.from_numpy(np.asarray(person.betas, np.float32))).joints_rest[0]
        arrays = (torch.from_numpy(np.asarray(a, np.float64)) for a in (person.global_orient, person.transl))
        orient, transl = move_body(*arrays, rest.double(), torch.from_numpy(R), torch.from_numpy(t))
        people.append(
            replace(
                person,
                global_orient=orient.numpy(),
                transl=transl.numpy(),
                joints_world=person.joints_world @ R.T + t,
            )
        )
    lens = replace(world.cameras, T_world_camera=move_cameras(world.cameras.T_world_camera, 1.0, R, t))
    scene = replace(world.scene, points_world=apply(rigid(R, t), world.scene.points_world))
    return world.replace(people=tuple(people), cameras=lens, scene=scene)


def shifted(person, offsets):
    """A person whose every frame is moved by its offset (n, 3)."""
    offsets = np.broadcast_to(np.asarray(offsets, np.float64), (len(person.frames), 3))
    return replace(person, transl=person.transl + offsets, joints_world=person.joints_world + offsets[:, None])


def with_people(world, change):
    """The world with every person changed by a function."""
    return world.replace(people=tuple(change(person) for person in world.people))


def only_rows(person, rows):
    """A person in some of his rows."""
    names = ("frames", "global_orient", "body_pose", "transl", "joints_world", "contacts", "observed", "confidence")
    return replace(person, **{name: getattr(person, name)[rows] for name in names})
