"""Damage to whole parts of observations, for tests of robustness: pairs without a true match, people who are hardly ever
seen, numbers that are none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from diorama.observations import ContactLabels, Depth, MaskStack, Observations, ObservedBody, Track
from diorama.synthetic.simulate.noise import stream


def random_pairs(observations: Observations, count: int, seed: int) -> Observations:
    """All matches of `count` pairs of frames, drawn at random, lie anywhere in both pictures; confidences stay."""
    matches = observations.matches
    if matches is None or not len(matches.frames_i) or count < 1:
        return observations
    rng = stream(seed, "random pairs")
    pairs, of = np.unique(np.stack([matches.frames_i, matches.frames_j], 1), axis=0, return_inverse=True)
    chosen = rng.choice(len(pairs), min(count, len(pairs)), replace=False)
    struck = np.isin(of.reshape(-1), chosen)[:, None]
    size = (observations.width, observations.height)
    ends = [np.where(struck, rng.random(xy.shape) * size, xy) for xy in (matches.xy_i, matches.xy_j)]
    return replace(observations, matches=replace(matches, xy_i=ends[0], xy_j=ends[1]))


def seen_only(observations: Observations, id: int, kept: Bool[np.ndarray, " frames"]) -> Observations:
    """The person `id` is observed in no other frames than the `kept` ones; in none at all he is not there."""
    out = observations
    if out.tracks is not None:
        people = [_cut_track(p, kept[p.frames]) if p.id == id else p for p in out.tracks.people]
        out = replace(out, tracks=replace(out.tracks, people=tuple(p for p in people if len(p.frames))))
    if out.bodies is not None:
        bodies = [_cut_body(p, kept[p.frames]) if p.id == id else p for p in out.bodies.people]
        out = replace(out, bodies=replace(out.bodies, people=tuple(p for p in bodies if len(p.frames))))
    if out.contacts is not None:
        out = replace(out, contacts=_cut_contacts(out.contacts, id, kept))
    return out


def _cut_track(track: Track, rows: Bool[np.ndarray, " n"]) -> Track:
    masks = track.masks
    if masks is not None:
        masks = MaskStack.encode([_window(masks, int(n)) for n in np.flatnonzero(rows)], masks.width, masks.height)
    return replace(
        track, frames=track.frames[rows], boxes=track.boxes[rows], keypoints=track.keypoints[rows], masks=masks,
        keypoints_3d=None if track.keypoints_3d is None else track.keypoints_3d[rows],
        overlap=None if track.overlap is None else track.overlap[rows],
    )  # fmt: skip


def _window(masks: MaskStack, row: int) -> tuple[tuple[int, int, int, int], Bool[np.ndarray, "height width"]]:
    x0, y0, x1, y1 = (int(value) for value in masks.windows[row])
    return (x0, y0, x1, y1), masks.window(row)


def _cut_body(body: ObservedBody, rows: Bool[np.ndarray, " n"]) -> ObservedBody:
    names = ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return replace(body, **{name: getattr(body, name)[rows] for name in names})


def _cut_contacts(labels: ContactLabels, id: int, kept: Bool[np.ndarray, " frames"]) -> ContactLabels:
    parts = []
    for one, frames, probability in zip(labels.ids, labels.frames, labels.probability, strict=True):
        rows = kept[frames] if one == id else np.ones(len(frames), bool)
        if rows.any():
            parts.append((one, frames[rows], probability[rows]))
    return replace(
        labels, ids=tuple(p[0] for p in parts), frames=tuple(p[1] for p in parts),
        probability=tuple(p[2] for p in parts),
    )  # fmt: skip


def with_nans(observations: Observations, share: float, seed: int) -> Observations:
    """A share of the depth maps' pixels and of the keypoints' coordinates is NaN; their confidences stay as they are."""
    if share <= 0:
        return observations
    out = observations
    for part in ("depth", "depth_prior"):
        depth: Depth | None = getattr(out, part)
        if depth is not None:
            out = replace(out, **{part: replace(depth, depth=_holed(depth.depth, share, stream(seed, "nan", part)))})
    if out.tracks is None:
        return out
    people = []
    for track in out.tracks.people:
        keypoints = track.keypoints.copy()
        keypoints[..., :2] = _holed(keypoints[..., :2], share, stream(seed, "nan", "keypoints", track.id))
        people.append(replace(track, keypoints=keypoints))
    return replace(out, tracks=replace(out.tracks, people=tuple(people)))


def _holed(values: Float[np.ndarray, "*shape"], share: float, rng: np.random.Generator) -> Float[np.ndarray, "*shape"]:
    return np.where(rng.random(values.shape) < share, np.nan, values).astype(values.dtype)
