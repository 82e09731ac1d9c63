"""Human motion against truth: joints, vertices and root paths in metres in, one number per scored frame out.

The joint set is the 24 SMPL joints (docs/conventions.md) unless said. `target` is the truth. Frames where the truth is
invalid are dropped before, so that a segment may span a gap, as in the published code. Means over frames are the
caller's: the papers average over all frames of all sequences together.

Raises everywhere: ValueError for NaN, no frames, or shapes that do not fit.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from diorama.geometry.alignment import aligned_each, umeyama
from diorama.metrics.inputs import Pelvis, about_pelvis, checked, checked_pair, checked_paths, checked_rate

PerFrame = Float[np.ndarray, " scored"]
Joints = Float[np.ndarray, "frames joints 3"]
Protocol = Literal["wham", "tram"]

HIPS = (1, 2)
# Joints that EMDB's own jitter leaves out: pelvis, ankles, feet, wrists, hands.
_EMDB_SILENT = [0, 7, 8, 10, 11, 20, 21, 22, 23]
_MM = 1000.0


def w_mpjpe(
    pred: ArrayLike, target: ArrayLike, *, protocol: Protocol = "wham", chunk: int = 100, with_scale: bool = True
) -> PerFrame:
    """W-MPJPE, mm per scored frame: each segment is aligned with the joints of its first two frames only.

    error_t = mean_j |g_tj - (s R p_tj + t)|, with (s, R, t) of `umeyama` over 2 x joints points. `with_scale=False` is
    the strict metric variant; all published codes fit the scale, for methods that call themselves metric too.

    Source: WHAM, GVHMR (there `wa2`), JOSH (Tables 1 to 4 and 6), TRAM; segments: see `segments`.

    Args:
        pred, target: (frames, joints, 3) in any two worlds.
    """
    p, t = checked_pair(pred, target, "frames joints 3")
    return _segment_errors(p, t, segments(len(t), protocol, chunk), slice(2), with_scale)


def wa_mpjpe(
    pred: ArrayLike, target: ArrayLike, *, protocol: Protocol = "wham", chunk: int = 100, with_scale: bool = True
) -> PerFrame:
    """WA-MPJPE, mm per scored frame: as `w_mpjpe`, but each segment is aligned with the joints of all its frames.

    Source: WHAM, GVHMR (there `waa`), JOSH (Tables 1, 3, 4 and 6), TRAM.
    """
    p, t = checked_pair(pred, target, "frames joints 3")
    return _segment_errors(p, t, segments(len(t), protocol, chunk), slice(None), with_scale)


def segments(count: int, protocol: Protocol = "wham", chunk: int = 100) -> list[slice]:
    """The pieces of `count` frames that are aligned one by one.

    "wham" (WHAM, GVHMR, JOSH): [0, 100), [100, 200), ...; a tail of any length is kept. A tail of one frame is a
    Procrustes fit of that frame.
    "tram" (TRAM, VideoMimic): starts 0, 100, ... below count - 100; the last piece takes the tail in and loses the last
    frame. If count is a multiple of 100 the last 100 frames are not scored; up to 100 frames nothing is.

    Raises:
        ValueError: "tram" and count <= chunk, chunk < 1, or another protocol.
    """
    if chunk < 1:
        raise ValueError(f"chunk must be at least 1 frame, not {chunk}")
    if protocol == "wham":
        return [slice(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    if protocol != "tram":
        raise ValueError(f'protocol must be "wham" or "tram", not {protocol!r}')
    if count <= chunk:
        raise ValueError(f'the "tram" protocol scores no frame of {count} <= {chunk}; use "wham" or a shorter chunk')
    starts = range(0, count - chunk, chunk)
    return [slice(start, count - 1 if start + 2 * chunk > count else start + chunk) for start in starts]


def _segment_errors(p: Joints, t: Joints, pieces: list[slice], anchor: slice, with_scale: bool) -> PerFrame:
    """Joint errors in mm of each piece after the alignment of its `anchor` frames."""
    errors = []
    for piece in pieces:
        fit = umeyama(p[piece][anchor].reshape(-1, 3), t[piece][anchor].reshape(-1, 3), with_scale=with_scale)
        errors.append(_distances(fit.apply(p[piece]), t[piece]))
    return _MM * np.concatenate(errors)


def _distances(a: Joints, b: Joints) -> PerFrame:
    """Mean distance over the points of each frame."""
    return np.linalg.norm(a - b, axis=-1).mean(1)


def rte(pred_root: ArrayLike, target_root: ArrayLike, *, with_scale: bool = False) -> PerFrame:
    """Root translation error, % of the truth's path length, per frame.

    error_t = 100 |g_t - (R p_t + t)| / sum |g_{t+1} - g_t|; one rigid alignment of the whole path, no segments.
    `with_scale=True` fits a similarity: what remains when size is not asked for.

    Source: WHAM and JOSH with the SMPL `transl` (Tables 1 to 4, 6, 7), TRAM and GVHMR with joint 0; in a fixed world the two
    differ by a constant, so the results agree. JOSH's released SLOPER4D script takes the *true* camera-frame translation
    through the predicted cameras; to reproduce its 1.7 to 1.8 %, hand in that path.

    Args:
        pred_root, target_root: (frames, 3); joints (frames, joints, 3) stand for their joint 0.

    Raises:
        ValueError: the true path has no length, so that a percentage of it means nothing.
    """
    p, t = checked_paths(pred_root, target_root)
    length = path_length(t)
    if length == 0:
        raise ValueError("the true path has length 0, RTE is not defined; use mrpe for people who stand still")
    return 100 * np.linalg.norm(umeyama(p, t, with_scale=with_scale).apply(p) - t, axis=-1) / length


def path_length(path: ArrayLike) -> float:
    """Length of a polyline (frames, 3), metres."""
    return float(np.linalg.norm(np.diff(checked(path, "path", "frames 3"), axis=0), axis=1).sum())


def mpjpe(pred: ArrayLike, target: ArrayLike, pelvis: Pelvis = HIPS) -> PerFrame:
    """MPJPE, mm per frame: mean distance of joints after each side's pelvis is subtracted; no rotation, no scale.

    The pelvis is the mean of the joints `pelvis`: (1, 2), the hips, for the 24 SMPL joints (WHAM, TRAM, GVHMR, EMDB);
    (2, 3) for the 14 LSP joints of 3DPW; 0 for the root joint; None subtracts nothing.

    Args:
        pred, target: (frames, joints, 3) in camera or world axes (the same for both).
    """
    p, t = checked_pair(pred, target, "frames joints 3")
    return _MM * _distances(about_pelvis(p, p, pelvis), about_pelvis(t, t, pelvis))


def pa_mpjpe(pred: ArrayLike, target: ArrayLike, *, with_scale: bool = True) -> PerFrame:
    """PA-MPJPE, mm per frame: mean distance of joints after every frame's own similarity alignment.

    Source: every human-mesh code since HMR (WHAM, TRAM, GVHMR, EMDB); `with_scale=False` is the strict variant.

    Args:
        pred, target: (frames, joints, 3).
    """
    p, t = checked_pair(pred, target, "frames joints 3")
    return _MM * _distances(aligned_each(p, t, with_scale=with_scale), t)


def pve(
    pred_verts: ArrayLike,
    target_verts: ArrayLike,
    pred_pelvis: ArrayLike | None = None,
    target_pelvis: ArrayLike | None = None,
    *,
    pelvis: Pelvis = HIPS,
) -> PerFrame:
    """PVE (MVE), mm per frame: mean distance of vertices after each side's *joint* pelvis is subtracted.

    Source: WHAM, TRAM, GVHMR, EMDB: vertices minus the mean of the hip joints, never minus the mean vertex.

    Args:
        pred_verts, target_verts: (frames, verts, 3) of one topology.
        pred_pelvis, target_pelvis: (frames, 3); or joints (frames, joints, 3), of which the rows `pelvis` are averaged
            (all, where there is one); None if the vertices are about the pelvis already.

    Raises:
        ValueError: different numbers of vertices, or one pelvis without the other.
    """
    p, t = checked_pair(pred_verts, target_verts, "frames verts 3")
    if (pred_pelvis is None) != (target_pelvis is None):
        raise ValueError("give the pelvis of both sides or of neither")
    if pred_pelvis is None or target_pelvis is None:
        return _MM * _distances(p, t)
    return _MM * _distances(_about(p, pred_pelvis, pelvis), _about(t, target_pelvis, pelvis))


def _about(verts: Joints, origin: ArrayLike, pelvis: Pelvis) -> Joints:
    joints = checked(origin, "pelvis", "frames 3" if np.ndim(origin) == 2 else "frames joints 3")
    joints = joints.reshape(len(joints), -1, 3)
    if len(joints) != len(verts):
        raise ValueError(f"{len(joints)} frames of pelvis for {len(verts)} frames of vertices")
    return about_pelvis(verts, joints, 0 if joints.shape[1] == 1 else pelvis)


def mrpe(pred: ArrayLike, target: ArrayLike) -> PerFrame:
    """MRPE, m per frame: |pelvis_pred - pelvis_target|, no alignment at all.

    Source: SHARE Table 1 (RICH world axes, joint 0); the paper gives mean and std with ddof = 1.

    Args:
        pred, target: (frames, 3) pelvis; joints (frames, joints, 3) stand for their joint 0.
    """
    p, t = checked_paths(pred, target)
    return np.linalg.norm(p - t, axis=-1)


def v2v(pred_verts: ArrayLike, target_verts: ArrayLike) -> PerFrame:
    """V2V, m per frame: mean distance of vertices (frames, verts, 3) of one topology, no alignment at all.

    Source: SHARE Table 1, the 6890 SMPL vertices. It may be lower than MRPE.
    """
    return _distances(*checked_pair(pred_verts, target_verts, "frames verts 3"))


def accel_error(
    pred: ArrayLike, target: ArrayLike, fps: float, *, pelvis: Pelvis = None, trim: bool = False
) -> PerFrame:
    """Acceleration error, m/s^2, for the frames 1 to frames - 2 (none of fewer than 3 frames).

    error_t = mean_j |(p_{t+1} - 2 p_t + p_{t-1}) - (g_{t+1} - 2 g_t + g_{t-1})| * fps^2.

    The joints are taken as they are, which is JOSH's RICH script; WHAM, TRAM, GVHMR and JOSH's EMDB script subtract the
    hips before they call the same formula: `pelvis=(1, 2)`. `trim=True` drops the first and the last value, as WHAM,
    TRAM and JOSH do and GVHMR does not. fps is 30 (EMDB, RICH, 3DPW) or 20 (SLOPER4D in JOSH).

    Args:
        pred, target: (frames, joints, 3).
    """
    p, t = checked_pair(pred, target, "frames joints 3")
    difference = about_pelvis(p, p, pelvis) - about_pelvis(t, t, pelvis)
    errors = _derivative(difference, 2, fps)
    return errors[1:-1] if trim else errors


def accel(joints: ArrayLike, fps: float) -> PerFrame:
    """Acceleration, m/s^2, for the frames 1 to frames - 2: mean_j |x_{t+1} - 2 x_t + x_{t-1}| * fps^2, unaligned.

    Args:
        joints: (frames, joints, 3).
    """
    return _derivative(checked(joints, "joints", "frames joints 3"), 2, fps)


def jitter(joints: ArrayLike, fps: float, *, variant: Literal["wham", "emdb"] = "wham") -> PerFrame:
    """Jitter in units of 10 m/s^3, (frames - 3) values (none of fewer than 4 frames); of the prediction alone.

    mean_j |x_{t+3} - 3 x_{t+2} + 3 x_{t+1} - x_t| * fps^3 / 10, unaligned. fps is 30 (EMDB, RICH), 20 (SLOPER4D, JOSH).

    Source: "wham": WHAM, GVHMR, JOSH (Tables 1, 6, 7). "emdb": EMDB's own code counts pelvis, ankles, feet, wrists and
    hands as 0 but keeps them in the mean over 24 joints; there the method's translation is set to 0 before.

    Args:
        joints: (frames, joints, 3); exactly the 24 SMPL joints for "emdb".
    """
    x = checked(joints, "joints", "frames 24 3" if variant == "emdb" else "frames joints 3")
    if variant == "emdb":
        x = x.copy()
        x[:, _EMDB_SILENT] = 0
    elif variant != "wham":
        raise ValueError(f'variant must be "wham" or "emdb", not {variant!r}')
    return _derivative(x, 3, fps) / 10


def _derivative(x: Joints, order: int, fps: float) -> PerFrame:
    """Mean length over the points of the `order`-th difference per frame, times fps^order."""
    return np.linalg.norm(np.diff(x, n=order, axis=0), axis=-1).mean(1) * checked_rate(fps) ** order
