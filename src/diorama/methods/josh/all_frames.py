"""From keyframes to all frames: what the keyframes' solve changed, carried over to the frames between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float

from diorama.geometry.rotations import exp_so3, log_so3, matrix_of, rotvec_of
from diorama.geometry.transforms import invert, rigid
from diorama.methods.josh.segments import KeyResult
from diorama.methods.placed_person import PlacedPerson


def all_cameras(
    before: Float[np.ndarray, "frames 4 4"], times: Float[np.ndarray, " frames"], found: KeyResult
) -> Float[np.ndarray, "frames 4 4"]:
    """Camera poses of all frames: each keyframe's change in its camera's own frame, linear in time between keyframes.

    The first estimate's motion between two keyframes is kept; where it has none of its own, this is plain interpolation.
    """
    change = invert(before[found.rows]) @ found.T_world_camera
    turn, shift = rotvec_of(change[:, :3, :3]), change[:, :3, 3]
    at = times[found.rows]
    interpolated = [np.stack([np.interp(times, at, column) for column in a.T], 1) for a in (turn, shift)]
    return before @ rigid(matrix_of(interpolated[0]), interpolated[1])


def all_people(
    people: Sequence[PlacedPerson],
    before: Float[np.ndarray, "frames 4 4"],
    after: Float[np.ndarray, "frames 4 4"],
    times: Float[np.ndarray, " frames"],
    found: KeyResult,
) -> list[PlacedPerson]:
    """Everybody in all frames: each keyframe's change of a body before its camera, linear in time between keyframes.

    People without a keyframe keep their place before their cameras.
    """
    return [_person(p, before, after, times, found.people.get(p.id)) for p in people]


def _person(
    person: PlacedPerson, before: np.ndarray, after: np.ndarray, times: np.ndarray, keyed: PlacedPerson | None
) -> PlacedPerson:
    R0, c0 = (torch.from_numpy(a.copy()) for a in (before[person.frames, :3, :3], before[person.frames, :3, 3]))
    R1, c1 = (torch.from_numpy(a.copy()) for a in (after[person.frames, :3, :3], after[person.frames, :3, 3]))
    pelvis = ((person.transl + person.pelvis_rest - c0)[:, None] @ R0)[:, 0]
    root = R0.mT @ person.rotations[:, 0]
    rotations = torch.cat([root[:, None], person.rotations[:, 1:]], 1)
    shaped = person
    if keyed is not None and len(keyed.frames):
        _, mine, theirs = np.intersect1d(person.frames, keyed.frames, return_indices=True)
        shaped = replace(person, betas=keyed.betas)
        seen = ((keyed.transl[theirs] + keyed.pelvis_rest - c1[mine])[:, None] @ R1[mine])[:, 0]
        new_root = R1[mine].mT @ keyed.rotations[theirs, 0]
        new = torch.cat([new_root[:, None], keyed.rotations[theirs, 1:]], 1)
        at, now = times[person.frames[mine]], times[person.frames]
        # Places change by a factor along the ray and a turn of the ray: near and far frames alike.
        pelvis = (
            pelvis * torch.exp(_interpolated(torch.log(seen.norm(dim=1) / pelvis[mine].norm(dim=1)), at, now))[:, None]
        )
        pelvis = pelvis + _interpolated(seen - pelvis[mine], at, now)
        turn = _interpolated(log_so3(rotations[mine].mT @ new), at, now)
        rotations = rotations @ exp_so3(turn)
    transl = (R1 @ pelvis[..., None])[..., 0] + c1 - shaped.pelvis_rest
    rotations = torch.cat([(R1 @ rotations[:, 0])[:, None], rotations[:, 1:]], 1)
    return replace(shaped, transl=transl, rotations=rotations)


def _interpolated(value: torch.Tensor, at: np.ndarray, now: np.ndarray) -> torch.Tensor:
    """Linear in time, constant beyond the ends."""
    flat = value.reshape(len(value), -1).numpy()
    columns = [np.interp(now, at, column) for column in flat.T]
    return torch.from_numpy(np.stack(columns, 1)).reshape(len(now), *value.shape[1:])
