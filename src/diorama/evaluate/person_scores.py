"""One found person against the true one: motion in the world, pose, feet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

from diorama import metrics
from diorama.data.posing import surface
from diorama.data.truth import Truth
from diorama.errors import DioramaError
from diorama.evaluate.matched import Pair, in_cameras
from diorama.evaluate.scores import Series
from diorama.evaluate.surfaces import blocks, feet_of, same_surface, true_feet, verts_of
from diorama.geometry.alignment import has_extent
from diorama.reconstruction import Reconstruction

CONTACT_TOLERANCE = 2
# Feet that stand still at heights farther apart than this (m, 5th to 95th percentile) do not stand on one floor.
_LEVEL = 0.10


def score_person(pair: Pair, found: Reconstruction, truth: Truth, fps: float) -> Iterator[Series]:
    """All series of one person; what cannot be scored is left out."""
    mine, true = pair.joints
    yield Series("WA-MPJPE", metrics.wa_mpjpe(mine, true))
    yield Series("W-MPJPE", metrics.w_mpjpe(mine, true))
    if has_extent(true[:, 0]):
        yield Series("RTE", metrics.rte(mine, true))
    yield Series("PA-MPJPE", metrics.pa_mpjpe(mine, true))
    # The prediction alone; frames that are not scored are left out, so that a gap is a jump, as in the published code.
    yield Series("Jitter", metrics.jitter(mine, fps))
    if truth.extras.cameras_known:
        yield from _in_camera(pair, found, truth, fps)
        yield from _surface(pair, found, truth)
    yield from _feet(pair, truth)


def _in_camera(pair: Pair, found: Reconstruction, truth: Truth, fps: float) -> Iterator[Series]:
    """Figures along the camera's axes, in front of both sides' own cameras."""
    mine = in_cameras(pair.joints[0], found, pair.frames)
    true = in_cameras(pair.joints[1], truth.reconstruction, pair.frames)
    yield Series("MPJPE", metrics.mpjpe(mine, true))
    yield Series("Accel", metrics.accel_error(mine, true, fps, pelvis=(1, 2), trim=True))
    yield Series("MRPE", metrics.mrpe(mine, true))


def _surface(pair: Pair, found: Reconstruction, truth: Truth) -> Iterator[Series]:
    """Vertex errors, where both bodies have the same vertices and their files are here."""
    try:
        if not same_surface(pair.found, truth, pair.true):
            return
    except DioramaError:
        return
    pve, v2v = [], []
    for part in blocks(np.arange(len(pair.mine))):
        mine, theirs, frames = pair.mine[part], pair.theirs[part], pair.frames[part]
        verts = in_cameras(verts_of(pair.found, mine), found, frames)
        wanted = in_cameras(surface(truth, pair.true.id, theirs), truth.reconstruction, frames)
        joints = in_cameras(pair.joints[0][part], found, frames)
        true_joints = in_cameras(pair.joints[1][part], truth.reconstruction, frames)
        pve.append(metrics.pve(verts, wanted, joints, true_joints))
        v2v.append(metrics.v2v(verts, wanted))
    yield Series("PVE", np.concatenate(pve))
    yield Series("V2V", np.concatenate(v2v))


def _feet(pair: Pair, truth: Truth) -> Iterator[Series]:
    try:
        mine, true = feet_of(pair.found, pair.mine), true_feet(truth, pair.true.id, pair.theirs)
    except DioramaError:
        return
    yield Series("FS", metrics.foot_slide(mine, true))
    if _stands_on_one_floor(true):
        yield Series("Sink", metrics.penetration(mine))


def _stands_on_one_floor(true: Float[np.ndarray, "n 4 3"]) -> bool:
    """Whether all true feet that stand still do so at one height: no stairs, no slope, no chair."""
    heights = true[:-1][metrics.still_points(true), 2] if len(true) > 1 else np.zeros(0)
    return bool(len(heights)) and float(np.ptp(np.percentile(heights, [5, 95]))) < _LEVEL


def score_contacts(pairs: Sequence[Pair]) -> Iterator[Series]:
    """Precision and recall of the contacts of everybody, over the sites that both sides label, within two frames.

    Weights are the numbers of predicted and of true contacts, so that a mean over sequences pools all contacts.
    """
    for pair in pairs:
        sites = [s for s in pair.true.contact_sites if s in pair.found.contact_sites]
        if not sites:
            continue
        mine = pair.found.contacts[pair.mine][:, [pair.found.contact_sites.index(s) for s in sites]] > 0.5
        true = pair.true.contacts[pair.theirs][:, [pair.true.contact_sites.index(s) for s in sites]] > 0.5
        scores = metrics.contact_scores(mine, true, tolerance=CONTACT_TOLERANCE)
        yield Series("ContactP", np.array([scores.precision]), np.array([float(mine.sum())]))
        yield Series("ContactR", np.array([scores.recall]), np.array([float(true.sum())]))
