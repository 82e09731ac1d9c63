"""Who of the found people is who of the true ones, and in which rows the two can be compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from diorama.data.truth import Truth
from diorama.geometry.transforms import apply, invert
from diorama.metrics import pa_mpjpe
from diorama.reconstruction import Person, Reconstruction
from diorama.synthetic.compare import common_rows, match_people


@dataclass(frozen=True)
class Pair:
    """A true person and who was found for him; `mine` and `theirs` are rows of the two that show the same valid frames."""

    found: Person
    true: Person
    mine: Int[np.ndarray, " n"]
    theirs: Int[np.ndarray, " n"]

    @property
    def frames(self) -> Int[np.ndarray, " n"]:
        """Rows of the sequence that are compared."""
        return self.true.frames[self.theirs]

    @property
    def joints(self) -> tuple[Float[np.ndarray, "n 24 3"], Float[np.ndarray, "n 24 3"]]:
        """Found and true joints in their two worlds, metres."""
        rows = self.found.joints_world[self.mine], self.true.joints_world[self.theirs]
        return np.asarray(rows[0], np.float64), np.asarray(rows[1], np.float64)


def pairs_of(found: Reconstruction, truth: Truth) -> list[Pair]:
    """Everybody who was found, with the rows that the benchmark scores; each found person stands for one true one.

    People are the same if they are seen at the same place of the picture. Where the true camera is not known there is no
    such place: then those whose poses are most alike over time (PA-MPJPE) are the same.
    """
    if truth.extras.cameras_known:
        matched = match_people(found, truth.reconstruction)
    else:
        matched = _match_by_pose(found, truth.reconstruction)
    pairs = [_pair(person, true, truth.labels_of(true.id).valid) for person, true in matched]
    return [pair for pair in pairs if len(pair.mine)]


def _pair(found: Person, true: Person, valid: Bool[np.ndarray, " n"]) -> Pair:
    mine, theirs = common_rows(found, true)
    return Pair(found, true, mine[valid[theirs]], theirs[valid[theirs]])


def _match_by_pose(found: Reconstruction, truth: Reconstruction) -> list[tuple[Person, Person]]:
    cost = np.full((len(found.people), len(truth.people)), 1e6)
    for i, person in enumerate(found.people):
        for k, true in enumerate(truth.people):
            mine, theirs = common_rows(person, true)
            if len(mine):
                alike = pa_mpjpe(person.joints_world[mine], true.joints_world[theirs]).mean()
                # A few lucky frames do not make a match: the longer of two tracks is preferred.
                cost[i, k] = alike * len(true.frames) / len(mine)
    rows = zip(*linear_sum_assignment(cost), strict=True)
    return [(found.people[i], truth.people[k]) for i, k in rows if cost[i, k] < 1e6]


def in_cameras(
    points: Float[np.ndarray, "n points 3"], world: Reconstruction, frames: Int[np.ndarray, " n"]
) -> Float[np.ndarray, "n points 3"]:
    """World points of frames as the cameras of these frames see them."""
    return apply(invert(world.cameras.T_world_camera[frames]), points)


def on_rows(
    found: Reconstruction, rows: Int[np.ndarray, " found"], count: int
) -> tuple[Reconstruction, Bool[np.ndarray, " rows"]]:
    """A result of some rows of a sequence (`rows`, increasing) told in all `count` rows, and which of them it covers.

    Cameras of other rows repeat the nearest one and are not registered; they are not scored.

    Raises:
        ValueError: a row that the sequence does not have.
    """
    if len(rows) != len(found) or (len(rows) and not 0 <= rows.min() <= rows.max() < count):
        raise ValueError(f"the result has rows outside the {count} of the sequence")
    covered = np.isin(np.arange(count), rows)
    if covered.all():
        return found, covered
    nearest = np.abs(np.arange(count)[:, None] - rows[None]).argmin(1)
    lens = found.cameras
    cameras = replace(
        lens, K=lens.K[nearest], T_world_camera=lens.T_world_camera[nearest], distortion=lens.distortion[nearest],
        registered=lens.registered[nearest] & covered,
    )  # fmt: skip
    people = tuple(replace(person, frames=rows[person.frames]) for person in found.people)
    depth_frames = found.scene.depth_frames
    scene = replace(found.scene, depth_frames=None if depth_frames is None else rows[depth_frames])
    moved = found.replace(
        times=found.times[nearest], frame_index=np.arange(count), duplicate=found.duplicate[nearest], cameras=cameras,
        people=people, scene=scene,
    )  # fmt: skip
    return moved, covered
