"""Long videos: segments of keyframes solved one after the other and joined by a small graph over scale and pose.

Segments share keyframes. Where two of them overlap, maps, cameras and people are the same things seen twice: that gives
the similarity between them. Scales follow from the maps' and from every segment's own; turns and shifts then follow one
after the other, and the overlap is faded over, so that nothing jumps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import torch
from jaxtyping import Float, Int

from diorama.geometry.alignment import umeyama
from diorama.geometry.rotations import exp_so3, log_so3
from diorama.geometry.transforms import apply, move_cameras
from diorama.methods.josh.key_problem import KeyWorld
from diorama.methods.placed_person import PlacedPerson


@dataclass(frozen=True)
class SegmentConfig:
    """JOSH, appendix B: segments of 100 frames. `overlap` frames are shared; deviations of the logarithm of the scale: of
    a link between two segments, and of a segment's own."""

    frames: int = 100
    overlap: int = 20
    link: float = 0.003
    own: float = 0.05


@dataclass(frozen=True)
class KeyResult:
    """All keyframes `rows` of a video: camera poses (metres), corrections of the maps, logarithm of the focal length
    relative to the first estimate, and everybody at his keyframes with one shape over the whole video."""

    rows: Int[np.ndarray, " keys"]
    T_world_camera: Float[np.ndarray, "keys 4 4"]
    log_depth: Float[np.ndarray, "keys entries"]
    log_focal: Float[np.ndarray, " keys"]
    people: dict[int, PlacedPerson]


def segments_of(rows: Int[np.ndarray, " keys"], config: SegmentConfig) -> list[tuple[int, int]]:
    """Half-open ranges of keyframe indices: each spans at most `frames` frames, neighbours share `overlap` frames and at
    least one keyframe. A short rest belongs to the last range."""
    if not len(rows) or rows[-1] - rows[0] <= config.frames + config.overlap:
        return [(0, len(rows))]
    out, start = [], 0
    while True:
        last = rows[start] + config.frames
        stop = max(int(np.searchsorted(rows, last, side="right")), start + 2)
        if rows[-1] - last <= config.overlap or stop >= len(rows):
            return [*out, (start, len(rows))]
        out.append((start, stop))
        # The next one shares the overlap, and less of it where it would not reach the keyframe behind a pause.
        first = max(rows[stop - 1] - config.overlap, rows[stop] - config.frames)
        start = min(max(int(np.searchsorted(rows, first)), start + 1), stop - 1)


def join(
    rows: Int[np.ndarray, " keys"], pieces: Sequence[tuple[int, int]], worlds: Sequence[KeyWorld], config: SegmentConfig
) -> KeyResult:
    """One world of all segments. People of several segments get the mean of their shapes, weighted by their rows."""
    scales = _scales(pieces, worlds, config)
    result = None
    for (start, stop), world, scale in zip(pieces, worlds, scales, strict=True):
        part = _scaled(rows[start:stop], world, float(np.exp(scale)))
        if result is None:
            result = part
            continue
        move = umeyama(*_shared_points(part, result), with_scale=False)
        result = _faded(result, _moved(part, move.rotation, move.translation))
    assert result is not None
    return replace(result, people=_with_one_shape(result.people, worlds))


def _scales(
    pieces: Sequence[tuple[int, int]], worlds: Sequence[KeyWorld], config: SegmentConfig
) -> Float[np.ndarray, " segments"]:
    """Logarithms of the factors on the segments: links between neighbours, and each near 0."""
    count = len(worlds)
    if count == 1:
        return np.zeros(1)
    links = []
    for n in range(count - 1):
        shared = pieces[n][1] - pieces[n + 1][0]
        links.append(_link(worlds[n + 1].log_depth[:shared].numpy(), worlds[n].log_depth[-shared:].numpy()))
    # Normal equations of sum (x_n+1 - x_n - link)^2 / link_sigma^2 + sum x^2 / own^2: tridiagonal.
    tie, own = 1 / config.link**2, 1 / config.own**2
    diagonal = np.full(count, own)
    diagonal[:-1] += tie
    diagonal[1:] += tie
    band = np.stack([np.concatenate([[0], np.full(count - 1, -tie)]), diagonal])
    right = np.zeros(count)
    right[1:] += tie * np.array(links)
    right[:-1] -= tie * np.array(links)
    return scipy.linalg.solveh_banded(band, right)


def _link(later: Float[np.ndarray, "keys entries"], earlier: Float[np.ndarray, "keys entries"]) -> float:
    """Logarithm of the factor from a segment to the one before it: at shared keyframes they have corrected the same maps.
    (Bodies and axes of cameras do not grow with a world: points on them would tell a factor too near to one.)"""
    both = earlier - later
    # A scale and nodes that undo it are the same correction.
    return float(np.median(both[:, 0] + both[:, 1:].mean(1)))


def _scaled(rows: np.ndarray, world: KeyWorld, scale: float) -> KeyResult:
    """A segment's world about its first camera, `scale` times as large."""
    T = world.T_world_camera()
    origin = T[0, :3, 3].copy()
    T = move_cameras(T, scale, np.eye(3), origin - scale * origin)
    log_depth = world.log_depth.numpy().copy()
    log_depth[:, 0] += np.log(scale)
    people = {}
    for person in world.people:
        pelvis, origin_t = person.pelvis_rest, torch.from_numpy(origin)
        moved = scale * (person.transl + pelvis - origin_t) + origin_t - pelvis
        people[person.id] = replace(person, transl=moved)
    return KeyResult(rows, T, log_depth, np.full(len(rows), world.log_focal), people)


def _shared_points(
    later: KeyResult, earlier: KeyResult
) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, "points 3"]]:
    """What both have seen: camera centres, points one metre along the cameras' axes, and people's joints."""
    both, mine, theirs = np.intersect1d(later.rows, earlier.rows, return_indices=True)
    corners = np.concatenate([np.zeros((1, 3)), np.eye(3)])
    parts = [[apply(r.T_world_camera[i], np.tile(corners, (len(both), 1, 1))).reshape(-1, 3)]
             for r, i in ((later, mine), (earlier, theirs))]  # fmt: skip
    for id in later.people.keys() & earlier.people.keys():
        one, other = later.people[id], earlier.people[id]
        _, a, b = np.intersect1d(one.frames, other.frames, return_indices=True)
        if len(a):
            parts[0].append(one.joints_world()[a].reshape(-1, 3))
            parts[1].append(other.joints_world()[b].reshape(-1, 3))
    return np.concatenate(parts[0]), np.concatenate(parts[1])


def _moved(part: KeyResult, rotation: np.ndarray, translation: np.ndarray) -> KeyResult:
    T = move_cameras(part.T_world_camera, 1.0, rotation, translation)
    return replace(part, T_world_camera=T, people={i: p.moved(rotation, translation) for i, p in part.people.items()})


def _faded(before: KeyResult, after: KeyResult) -> KeyResult:
    """Both as one; in the shared keyframes the weight moves from the earlier to the later one."""
    shared = np.intersect1d(before.rows, after.rows)
    share = (np.arange(len(shared)) + 1) / (len(shared) + 1)
    rows = np.union1d(before.rows, after.rows)
    old, new = np.isin(rows, before.rows), np.isin(rows, after.rows)
    weight = np.where(new, 1.0, 0.0)
    weight[old & new] = share
    spread = [np.searchsorted(r.rows, rows).clip(0, len(r.rows) - 1) for r in (before, after)]
    T = [r.T_world_camera[s] for r, s in zip((before, after), spread, strict=True)]
    w = torch.from_numpy(weight)
    blended = T[0].copy()
    blended[:, :3, 3] = (1 - weight[:, None]) * T[0][:, :3, 3] + weight[:, None] * T[1][:, :3, 3]
    one, other = (torch.from_numpy(t[:, :3, :3].copy()) for t in T)
    blended[:, :3, :3] = _between(one, other, w).numpy()
    columns = weight[:, None]
    log_depth = (1 - columns) * before.log_depth[spread[0]] + columns * after.log_depth[spread[1]]
    log_focal = (1 - weight) * before.log_focal[spread[0]] + weight * after.log_focal[spread[1]]
    people, weights = dict(before.people), dict(zip(rows.tolist(), weight.tolist(), strict=True))
    for id, person in after.people.items():
        people[id] = _faded_person(people[id], person, weights) if id in people else person
    return KeyResult(rows, blended, log_depth, log_focal, people)


def _between(one: torch.Tensor, other: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return one @ exp_so3(weight.reshape(-1, *(1,) * (one.ndim - 2)) * log_so3(one.mT @ other))


def _faded_person(before: PlacedPerson, after: PlacedPerson, weight_of: Mapping[int, float]) -> PlacedPerson:
    frames = np.union1d(before.frames, after.frames)
    at = [np.searchsorted(p.frames, frames).clip(0, len(p.frames) - 1) for p in (before, after)]
    there = [np.isin(frames, p.frames) for p in (before, after)]
    weight = np.where(there[0] & there[1], [weight_of[int(f)] for f in frames], there[1].astype(float))
    w = torch.from_numpy(weight)
    # His shape is another one in every segment, and with it his rest pose: pelvises are faded.
    pelvis = [p.transl[a] + p.pelvis_rest for p, a in zip((before, after), at, strict=True)]
    transl = (1 - w[:, None]) * pelvis[0] + w[:, None] * pelvis[1] - before.pelvis_rest
    rotations = _between(before.rotations[at[0]], after.rotations[at[1]], w)
    pick = np.where(weight > 0.5, 1, 0)
    arrays = {
        name: np.where(pick.reshape(-1, *(1,) * (getattr(before, name).ndim - 1)), getattr(after, name)[at[1]],
                       getattr(before, name)[at[0]])
        for name in ("confidence", "contacts")
    }  # fmt: skip
    return replace(before, frames=frames, transl=transl, rotations=rotations, **arrays)


def _with_one_shape(people: Mapping[int, PlacedPerson], worlds: Sequence[KeyWorld]) -> dict[int, PlacedPerson]:
    """Mean shapes; pelvises stay where they are."""
    out = {}
    for id, person in people.items():
        seen = [p for world in worlds for p in world.people if p.id == id]
        rows = torch.tensor([float(len(p.frames)) for p in seen], dtype=torch.float64)
        betas = (rows[:, None, None] * torch.stack([p.betas for p in seen])).sum(0) / rows.sum()
        shaped = replace(person, betas=betas)
        out[id] = replace(shaped, transl=person.transl + person.pelvis_rest - shaped.pelvis_rest)
    return out
