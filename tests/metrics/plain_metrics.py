"""The metrics once more, as somebody would first write them: loops over frames and points, scipy's rotation fit.

Nothing here is shared with the package. benchmarks/metrics_speed.py takes its loops from here.
"""

from itertools import pairwise

import numpy as np
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation


def moved_onto(source, target, points, with_scale=True):
    """`points` after the similarity that takes `source` to `target` (both (n, 3))."""
    x, y = source - source.mean(0), target - target.mean(0)
    rotation = Rotation.align_vectors(y, x)[0]
    turned = rotation.apply(x)
    scale = (turned * y).sum() / (x * x).sum() if with_scale else 1.0
    return scale * rotation.apply(points - source.mean(0)) + target.mean(0)


def mean_distance(a, b):
    return sum(np.linalg.norm(p - q) for p, q in zip(a, b, strict=True)) / len(a)


def wham_pieces(n):
    return [(start, min(start + 100, n)) for start in range(0, n, 100)]


def segment_mpjpe(pred, target, anchors, with_scale=True, pieces=None):
    errors = []
    for start, end in pieces or wham_pieces(len(target)):
        stop = end if anchors is None else min(start + anchors, end)
        source, goal = pred[start:stop].reshape(-1, 3), target[start:stop].reshape(-1, 3)
        aligned = moved_onto(source, goal, pred[start:end].reshape(-1, 3), with_scale).reshape(end - start, -1, 3)
        for t in range(start, end):
            errors.append(1000 * mean_distance(aligned[t - start], target[t]))
    return np.array(errors)


def w_mpjpe(pred, target, **options):
    return segment_mpjpe(pred, target, 2, **options)


def wa_mpjpe(pred, target, **options):
    return segment_mpjpe(pred, target, None, **options)


def rte(pred, target, with_scale=False):
    length = sum(np.linalg.norm(b - a) for a, b in pairwise(target))
    aligned = moved_onto(pred, target, pred, with_scale)
    return np.array([100 * np.linalg.norm(a - t) / length for a, t in zip(aligned, target, strict=True)])


def mpjpe(pred, target, pelvis=(1, 2)):
    errors = []
    for p, t in zip(pred, target, strict=True):
        p0, t0 = (sum(x[i] for i in pelvis) / len(pelvis) for x in (p, t))
        errors.append(1000 * mean_distance(p - p0, t - t0))
    return np.array(errors)


def pa_mpjpe(pred, target, with_scale=True):
    pairs = zip(pred, target, strict=True)
    return np.array([1000 * mean_distance(moved_onto(p, t, p, with_scale), t) for p, t in pairs])


def accel_error(pred, target, fps):
    errors = []
    for t in range(1, len(target) - 1):
        a, b = ((x[t + 1] - 2 * x[t] + x[t - 1]) * fps**2 for x in (pred, target))
        errors.append(mean_distance(a, b))
    return np.array(errors)


def jitter(x, fps):
    third = [(x[t + 3] - 3 * x[t + 2] + 3 * x[t + 1] - x[t]) * fps**3 for t in range(len(x) - 3)]
    return np.array([mean_distance(frame, np.zeros_like(frame)) / 10 for frame in third])


def foot_slide(pred, target, threshold=0.01):
    steps = []
    for t in range(len(target) - 1):
        for k in range(target.shape[1]):
            if np.linalg.norm(target[t + 1, k] - target[t, k]) < threshold:
                steps.append(1000 * np.linalg.norm(pred[t + 1, k] - pred[t, k]))
    return np.array(steps)


def floats(feet, frames, clouds, keyframes):
    """JOSH's rule, frame by frame."""
    flags = []
    for points, frame in zip(feet, frames, strict=True):
        if frame == frames[-1]:
            continue
        start = frame // 100 * 100
        end = min(start + 100, frames[-1])
        near = [cdist(points, c).min() for c, k in zip(clouds, keyframes, strict=True) if start <= k < end and len(c)]
        flags.append(min(near, default=np.inf) > 0.2)
    return np.array(flags)


def rpe_pairs(pred, target, delta):
    """(translation, degrees) of every pair, as evo defines them; the scale is fitted before by the caller."""
    rows = []
    for i in range(len(target) - delta):
        p = np.linalg.inv(pred[i]) @ pred[i + delta]
        g = np.linalg.inv(target[i]) @ target[i + delta]
        error = np.linalg.inv(g) @ p
        angle = Rotation.from_matrix(error[:3, :3]).magnitude()
        rows.append((np.linalg.norm(error[:3, 3]), np.degrees(angle)))
    return np.array(rows)


def voxels(points, size):
    """open3d's rule: a dictionary of cells from the lowest corner minus half a voxel."""
    corner, cells = points.min(0) - size / 2, {}
    for p in points:
        cells.setdefault(tuple(np.floor((p - corner) / size).astype(int)), []).append(p)
    return np.array([np.mean(cell, 0) for cell in cells.values()])


def chamfer(a, b):
    distance = cdist(a, b)
    return distance.min(1).mean(), distance.min(0).mean()
