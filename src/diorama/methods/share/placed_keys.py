"""Where the keyframes' maps put a person: his posed mesh shifted onto his points, the visible side onto the surface."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.spatial import KDTree

from diorama.body.model import ShapedBody
from diorama.methods.share.key_maps import KeyMaps, borders
from diorama.render.rays import RayScene

# A vertex is seen if nothing is hit before this share of its distance.
_REACH = 0.997


@dataclass(frozen=True)
class AlignConfig:
    """How a mesh meets its points.

    Attributes:
        visible: only vertices that the camera sees look for points (points look for the whole mesh). The paper's whole
            mesh is drawn towards the camera by its far side.
        soft: weight of points at depth edges and at the mask's border; 1 trusts them like all others, as the paper does.
        keypoints: metres by which the place beside the line of sight may differ from what 2D keypoints say; None: points
            alone decide, as in the paper.
        spread: deviation of points from the surface, metres (Geman-McClure): bodies are undressed and poses off.
        certainty: deviation of a place by points alone, metres.
        count: vertices and points that are used, at random.
        rounds: of nearest neighbours.
        fewest: points of a person in a keyframe that counts.
        around: how far from the person scenery tells his keyframe's scale, as a share of the picture's width.
    """

    visible: bool = True
    soft: float = 0.1
    keypoints: float | None = 0.02
    spread: float = 0.1
    certainty: float = 0.04
    count: int = 1500
    rounds: int = 25
    fewest: int = 40
    around: float = 0.1


@dataclass(frozen=True)
class KeyPlaces:
    """A person's pelvis before the camera by the maps, at some of his rows (indices into them); `points` of each."""

    at: Int[np.ndarray, " keys"]
    pelvis: Float[np.ndarray, "keys 3"]
    points: Int[np.ndarray, " keys"]


@dataclass(frozen=True)
class KeyCloud:
    """A person's points in one map, with weights 0-1."""

    points: Float[np.ndarray, "n 3"]
    weight: Float[np.ndarray, " n"]


def cloud_of(
    maps: KeyMaps, key: int, id: int, reference: Float[np.ndarray, "height width"] | None, config: AlignConfig
) -> KeyCloud:
    """Points of a person in a keyframe; those at edges and borders count little.

    With the merged scene's depth as `reference`, the map is scaled by the scenery around the person.
    """
    mine = (maps.owner[key] == id) & (maps.depth[key] > 0)
    sure = maps.solid[key] & ~borders(maps.owner[key], id)
    weight = np.where(sure, 1.0, config.soft)[mine]
    factor = 1.0 if reference is None else local_factor(maps, key, id, reference, config)
    return KeyCloud(factor * maps.points(key, mine, own_K=False), weight)


def local_factor(
    maps: KeyMaps, key: int, id: int, reference: Float[np.ndarray, "height width"], config: AlignConfig
) -> float:
    """Median of the merged scene's depth over a map's own around a person; 1 where too little is seen."""
    mine = (maps.owner[key] == id).astype(np.uint8)
    reach = 2 * int(config.around * maps.size[0]) + 1
    near = cv2.dilate(mine, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0
    both = near & maps.background[key] & (reference > 0)
    if both.sum() < config.fewest:
        return 1.0
    return float(np.exp(np.median(np.log(reference[both] / maps.depth[key][both]))))


def chosen_keys(maps: KeyMaps, id: int, rows: Int[np.ndarray, " n"], count: int, fewest: int) -> Int[np.ndarray, " m"]:
    """Keyframes for one person: of equal parts of his time the one that shows most of him, not cut off by the picture.

    Args:
        rows: of his track.
        count: at most so many.
        fewest: points that a keyframe has to show.
    """
    present = np.flatnonzero(np.isin(maps.rows, rows))
    shown = np.array([((maps.owner[k] == id) & (maps.depth[k] > 0)).sum() for k in present], int)
    cut = np.array([_cut_off(maps.owner[k] == id) for k in present], bool)
    score = np.where(cut, 0.25, 1.0) * shown
    good = shown >= fewest
    present, score = present[good], score[good]
    if not len(present):
        return present
    first, last = maps.rows[present[[0, -1]]]
    part = np.minimum((maps.rows[present] - first) * count // max(last - first + 1, 1), count - 1)
    best = [np.flatnonzero(part == each)[score[part == each].argmax()] for each in np.unique(part)]
    return present[np.array(best)]


def _cut_off(mine: Bool[np.ndarray, "height width"]) -> bool:
    """Whether a mask touches the picture's border with more than a corner."""
    touching = sum(int(edge.sum()) for edge in (mine[0], mine[-1], mine[:, 0], mine[:, -1]))
    return touching > max(2.0, 0.1 * float(np.sqrt(mine.sum())))


def visible_verts(
    verts: Float[np.ndarray, "verts 3"], faces: Int[np.ndarray, "faces 3"], count: int, seed: int
) -> Int[np.ndarray, " n"]:
    """Some vertices that a camera at the origin sees."""
    rng = np.random.default_rng(seed)
    tried = rng.permutation(len(verts))[: 4 * count]
    rays = verts[tried].astype(np.float32)
    hit = RayScene([(verts, faces)]).first_hits(np.zeros_like(rays), rays)
    return tried[hit.distance > _REACH][:count]


def placed(
    verts: Float[np.ndarray, "verts 3"],
    shaped: ShapedBody,
    pelvis: Float[np.ndarray, 3],
    cloud: KeyCloud,
    direction: Float[np.ndarray, 2] | None,
    config: AlignConfig,
) -> Float[np.ndarray, 3]:
    """The pelvis at which the mesh fits its points best.

    Alternates nearest neighbours and one weighted step: both directions count the same, the robust loss is tightened from
    the points' spread at the start to `spread`. Along the line of sight it starts where medians of depth agree.

    Args:
        verts: posed, with the pelvis at `pelvis`, camera frame.
        pelvis: first guess.
        cloud: the person's points.
        direction: (x / z, y / z) of the pelvis by keypoints.
    """
    rng = np.random.default_rng(0)
    seen = visible_verts(verts, shaped.model.faces.numpy(), config.count, 0)
    if not config.visible or len(seen) < config.fewest:
        seen = rng.permutation(len(verts))[: config.count]
    few = rng.permutation(len(cloud.points))[: config.count]
    points, weight = cloud.points[few], cloud.weight[few]
    whole = verts[rng.permutation(len(verts))[: 4 * config.count]]
    of_points, of_mesh = KDTree(points), KDTree(whole)
    ratio = _weighted_median(points[:, 2], weight) / np.median(verts[seen, 2])
    shift = pelvis * (ratio - 1)
    if direction is not None and config.keypoints is not None:
        shift = np.array([*direction, 1.0]) * (pelvis + shift)[2] - pelvis
    for turn in range(config.rounds):
        width = config.spread * max(1.0, 4.0 - turn / 2)
        away, near = of_points.query(verts[seen] + shift)
        far, on_mesh = of_mesh.query(points - shift)
        pulls = np.concatenate([points[near] - verts[seen], points - whole[on_mesh]])
        robust = 1 / (1 + (np.concatenate([away, far]) / width) ** 2) ** 2
        share = np.concatenate([weight[near] / len(seen), weight / weight.sum()]) * robust
        before, shift = shift, _step(pulls, share, pelvis, direction, config)
        if np.abs(shift - before).max() < 1e-4:
            break
    return pelvis + shift


def _step(
    pulls: Float[np.ndarray, "n 3"], share: Float[np.ndarray, " n"], pelvis: Float[np.ndarray, 3],
    direction: Float[np.ndarray, 2] | None, config: AlignConfig,
) -> Float[np.ndarray, 3]:  # fmt: skip
    """The weighted mean of all pulls, and the line that keypoints give."""
    A = np.eye(3) / config.certainty**2
    b = A @ ((share[:, None] * pulls).sum(0) / max(share.sum(), 1e-12))
    if direction is not None and config.keypoints is not None:
        # x - a z and y - b z of the shifted pelvis are zero.
        rows = np.array([[1.0, 0.0, -direction[0]], [0.0, 1.0, -direction[1]]])
        A = A + rows.T @ rows / config.keypoints**2
        b = b - rows.T @ (rows @ pelvis) / config.keypoints**2
    return np.linalg.solve(A, b)


def _weighted_median(values: Float[np.ndarray, " n"], weight: Float[np.ndarray, " n"]) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(total, total[-1] / 2)])
