"""From a data set's parameters to the truth: bodies are posed with the user's models and the world is turned upright."""

from __future__ import annotations

from collections.abc import Sequence as Rows
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int

from diorama.body import body_file, load_body
from diorama.body.model import PosedBody, ShapedBody
from diorama.body.smpl_files import read_smpl_arrays
from diorama.data.truth import BodyParameters, Parameters, Truth
from diorama.geometry.rotations import matrix_of, rotvec_of
from diorama.geometry.transforms import apply
from diorama.reconstruction import Person, Reconstruction, Scene

# Frames whose vertices are held at the same time (6890 x 3 doubles each: 10 MB).
_BLOCK = 64


def shaped_body(person: Person | BodyParameters) -> ShapedBody:
    """The rest body of a person; too many betas are cut, missing ones are zero.

    Raises:
        DioramaError: the user's file of this body model and gender is not there (the message says where it belongs).
    """
    model = load_body(person.body, person.gender) if person.body != "anny" else load_body(person.body)
    betas = torch.zeros(len(model.betas_names))
    given = torch.from_numpy(np.asarray(person.betas, np.float32))[: len(betas)]
    betas[: len(given)] = given
    return model.shaped(betas)


def posed_body(person: Person | BodyParameters, rows: slice | Rows[int] = slice(None)) -> PosedBody:
    """The posed body in chosen rows of the person's arrays, **without its translation** (float32; `transl` is to be
    added in float64, because a data set's world may be kilometres wide).

    Raises:
        DioramaError: as `shaped_body`.
    """
    shaped = shaped_body(person)
    turns, pose = (np.asarray(a[rows], np.float32) for a in (person.global_orient, person.body_pose))
    return shaped.posed(torch.from_numpy(turns), torch.from_numpy(pose), torch.zeros(len(turns), 3))


def surface(truth: Truth, id: int, rows: Int[np.ndarray, " n"], verts: Rows[int] | None = None) -> np.ndarray:
    """Vertices (n, verts, 3) in the project's world, metres, of a person in rows of that person's arrays.

    Args:
        verts: only these vertices, for instance the four of the feet.

    Raises:
        DioramaError: the body model's file is not there.
    """
    person = truth.reconstruction.person(id)
    if truth.extras.surface is not None:
        found = apply(truth.extras.T_world_dataset, truth.extras.surface(id, person.frames[rows]))
        return found if verts is None else found[:, list(verts)]
    chosen = None if verts is None else torch.as_tensor(list(verts))
    placed = posed_body(person, rows.tolist()).verts(subset=chosen).numpy()
    return placed.astype(np.float64) + person.transl[rows, None]


def moved(
    person: BodyParameters, T: Float[np.ndarray, "*n 4 4"], pelvis_rest: Float[np.ndarray, " 3"]
) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 3"]]:
    """`global_orient` and `transl` after the rigid move `T` (one, or one per row): a body turns about its rest pelvis
    J0, so R0' = R R0 and t' = R (t + J0) + translation - J0."""
    turned = rotvec_of(T[..., :3, :3] @ matrix_of(person.global_orient))
    return turned, apply(T, np.asarray(person.transl, np.float64) + pelvis_rest) - pelvis_rest


def truth_of(parameters: Parameters, provenance: dict[str, str]) -> Truth:
    """The truth that the parameters of a data set describe, in the project's world.

    Raises:
        DioramaError: a body model's file is not there.
    """
    T_world_dataset = parameters.extras.T_world_dataset
    cameras = parameters.cameras
    upright = replace(cameras, T_world_camera=T_world_dataset @ cameras.T_world_camera)
    people = tuple(_person(p, parameters, upright.T_world_camera) for p in parameters.people)
    nothing = Scene(np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32))
    reconstruction = Reconstruction(
        times=parameters.times,
        frame_index=parameters.frame_index,
        duplicate=np.zeros(len(parameters.times), bool),
        cameras=upright,
        people=people,
        scene=nothing,
        up=parameters.up,
        provenance=dict(provenance),
    )
    return Truth(reconstruction, tuple(p.labels for p in parameters.people), parameters.extras)


def _person(person: BodyParameters, parameters: Parameters, T_world_camera: Float[np.ndarray, "frames 4 4"]) -> Person:
    pelvis_rest = shaped_body(person).joints_rest[0].numpy().astype(np.float64)
    T = T_world_camera[person.frames] if person.in_camera else parameters.extras.T_world_dataset
    orient, transl = moved(person, T, pelvis_rest)
    count = len(person.frames)
    placed = Person(
        id=person.id, frames=person.frames, body=person.body, gender=person.gender,
        betas=np.asarray(person.betas, np.float64), global_orient=orient, body_pose=person.body_pose, transl=transl,
        joints_world=np.zeros((count, 24, 3)), contacts=np.zeros((count, 0), np.float32), contact_sites=(),
        observed=np.ones(count, bool), confidence=np.ones(count, np.float32),
    )  # fmt: skip
    return replace(placed, joints_world=_joints(placed, parameters))


def _joints(person: Person, parameters: Parameters) -> Float[np.ndarray, "n 24 3"]:
    if parameters.extras.surface is None:
        return posed_body(person).joints.numpy().astype(np.float64) + person.transl[:, None]
    regressor = read_smpl_arrays(body_file("smpl"), ("J_regressor",))["J_regressor"]
    blocks = np.array_split(person.frames, max(1, -(-len(person.frames) // _BLOCK)))
    joints = np.concatenate([regressor @ parameters.extras.surface(person.id, rows) for rows in blocks])
    return apply(parameters.extras.T_world_dataset, joints)
