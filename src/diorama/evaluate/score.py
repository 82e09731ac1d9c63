"""One result against the truth of its sequence: every column that can be scored, and how much of the truth was found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Int

from diorama import metrics
from diorama.data.truth import Truth
from diorama.evaluate.matched import Pair, on_rows, pairs_of
from diorama.evaluate.person_scores import score_contacts, score_person
from diorama.evaluate.scores import Scores, Series, Trace
from diorama.evaluate.world_scores import score_cameras, score_depth, score_scale, score_scene
from diorama.geometry.alignment import Similarity, umeyama
from diorama.reconstruction import Reconstruction


def score(
    found: Reconstruction,
    truth: Truth,
    fps: float,
    *,
    rows: Int[np.ndarray, " found"] | None = None,
    dataset: str = "",
    scene_counts: bool = True,
) -> Scores:
    """Score a result.

    Args:
        found: the result, in a world of its own.
        truth: of the sequence; frames that its labels call invalid are not scored.
        fps: frames per second of the rows, for Jitter and Accel.
        rows: row of the sequence of each row of the result; None: they are the same.
        dataset: chooses the papers' conventions where they differ (ATE, depth).
        scene_counts: whether the papers score cameras, depth and scene of this sequence.

    Raises:
        ValueError: the result has other rows than the sequence.
    """
    count = len(truth.reconstruction)
    found, covered = on_rows(found, np.arange(len(found)) if rows is None else rows, count)
    pairs = pairs_of(found, truth)
    series = [part for pair in pairs for part in score_person(pair, found, truth, fps)]
    series += score_contacts(pairs)
    series += score_scale(found, truth, covered, pairs)
    cameras = scene_counts and truth.extras.cameras_known
    if cameras:
        series += score_cameras(found, truth, covered, dataset)
    if scene_counts:
        series += score_depth(found, truth, dataset)
    series += score_scene(found, truth, pairs, chamfer=scene_counts)
    series += _coverage(found, truth, pairs, covered)
    return Scores(tuple(part for part in series if len(part.values)), tuple(_traces(pairs, found, truth, covered)))


def _coverage(
    found: Reconstruction, truth: Truth, pairs: Sequence[Pair], covered: Bool[np.ndarray, " rows"]
) -> Iterator[Series]:
    """Shares of the true people, of their valid frames, and of the cameras."""
    valid = {labels.id: int(labels.valid.sum()) for labels in truth.labels}
    people = [id for id, frames in valid.items() if frames]
    scored = {pair.true.id: len(pair.mine) for pair in pairs}
    if people:
        yield Series("People", np.array([float(id in scored) for id in people]))
        frames = np.array([float(valid[id]) for id in people])
        yield Series("Frames", np.array([scored.get(id, 0) for id in people]) / frames, frames)
    if len(covered):
        yield Series("Cameras", (covered & found.cameras.registered).astype(np.float64))


def _traces(
    pairs: Sequence[Pair], found: Reconstruction, truth: Truth, covered: Bool[np.ndarray, " rows"]
) -> Iterator[Trace]:
    """Paths from above after one rigid alignment of all of them together, and errors after one of each."""
    times, known = truth.reconstruction.times, truth.extras.cameras_known
    paths = [(p.joints[0][:, 0], p.joints[1][:, 0]) for p in pairs]
    if known and covered.any():
        centres = tuple(w.cameras.T_world_camera[covered, :3, 3] for w in (found, truth.reconstruction))
        paths.append((centres[0], centres[1]))
    if not paths:
        return
    fit = umeyama(*(np.concatenate(side) for side in zip(*paths, strict=True)), with_scale=False)
    for pair, path in zip(pairs, paths, strict=False):
        mine, true = pair.joints
        local = metrics.pa_mpjpe(mine, true)
        yield _trace(f"person {pair.true.id}", times[pair.frames], path, fit, _rigid_errors(mine, true), local)
    if len(paths) > len(pairs):
        path = paths[-1]
        errors = _rigid_errors(path[0][:, None], path[1][:, None])
        yield _trace("camera", times[covered], path, fit, errors, np.zeros(0))


def _trace(
    name: str, times: np.ndarray, path: tuple[np.ndarray, np.ndarray], fit: Similarity, world: np.ndarray,
    local: np.ndarray,
) -> Trace:  # fmt: skip
    return Trace(name, np.asarray(times, np.float64), fit.apply(path[0])[:, :2], path[1][:, :2], world, local)


def _rigid_errors(mine: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean distance over the points of each frame, mm, after one rigid alignment of all frames."""
    fit = umeyama(mine.reshape(-1, 3), true.reshape(-1, 3), with_scale=False)
    return 1000 * np.linalg.norm(fit.apply(mine) - true, axis=-1).mean(1)
