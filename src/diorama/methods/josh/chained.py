"""First cameras where nobody observed any: keyframes chained by similarities between their point maps.

Matches say which points of two maps are one point of the scene. The weighted similarity between them (Procrustes with
scale) gives the relative pose and the ratio of the two maps' scales. Keyframes are joined along the maximum spanning tree
of the pairs, so that a pair of wrong matches is left out as long as another way leads around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree

from diorama.errors import DioramaError
from diorama.geometry.alignment import Similarity, umeyama
from diorama.geometry.cameras import pixel_grid
from diorama.geometry.transforms import interpolate_rigid, rigid
from diorama.methods.josh.correspondences import between_keyframes
from diorama.methods.josh.point_maps import PointMaps, point_maps
from diorama.observations import Matches, Observations, ObservedCameras, Source

# Costs of an edge of the tree are 1 / score; one that only says "the next keyframe, not moved" costs more than all others.
_GUESSED = 1e6


@dataclass(frozen=True)
class ChainConfig:
    """A pair's similarity: `rounds` of re-weighting over at most `per_pair` of its matches. Matches within `near` of the
    depth fit it; a pair is used if `fewest` and a `share` of them do (random matches: some percent).

    Kind: of every keyframe the pair that is farthest apart is looked at, and of these the `decisive` share. "static": the
    picture moves by less than `still` (share of its longer side; 0.8 px of 960, as in `frontends.camera_gate`).
    "rotating": the cameras' shifts move four fifths of the points by less than `parallax` radians (a shift of 0.5 % of
    the depth) plus `parallax_of_flow` of all motion, since an error of the focal length looks like that. Else
    "translating".

    `points` of the maps become scene points.
    """

    rounds: int = 4
    per_pair: int = 300
    near: float = 0.1
    fewest: int = 15
    share: float = 0.25
    decisive: float = 0.9
    still: float = 0.0008
    parallax: float = 0.005
    parallax_of_flow: float = 0.05
    points: int = 20_000


@dataclass(frozen=True)
class Link:
    """What the matches of keyframes `i` < `j` (indices) say: x_j = scale * rotation @ x_i + translation between points of
    the two maps; `turn` is the rotation by rays alone. `score` is the weighted number of matches that fit, 0 if too few.

    `drift` is the motion of the whole picture and `flow` that of single matches, shares of the longer side; `parallax`
    is what a turn leaves unexplained and the similarity explains, radians.
    """

    i: int
    j: int
    scale: float
    rotation: Float[np.ndarray, "3 3"]
    translation: Float[np.ndarray, 3]
    turn: Float[np.ndarray, "3 3"]
    score: float
    drift: float
    flow: float
    parallax: float


@dataclass(frozen=True)
class Chain:
    """Keyframes in one world: the first is its origin; its unit is that of the maps, in the median. Points of keyframe k are
    T_world_camera[k] applied to exp(log_scale[k]) times the map's. `linked` is false where no pair reached a keyframe."""

    T_world_camera: Float[np.ndarray, "keys 4 4"]
    log_scale: Float[np.ndarray, " keys"]
    linked: Bool[np.ndarray, " keys"]
    kind: str
    evidence: dict[str, float] = field(default_factory=dict)


def with_chained_cameras(observations: Observations, config: ChainConfig = ChainConfig()) -> Observations:
    """The observations with `chained_cameras`, and scene points in their world (grey) instead of any others."""
    cameras = chained_cameras(observations, config)
    depth = observations.depth
    if depth is not None:
        count = len(cameras.points_world)
        depth = replace(depth, points=cameras.points_world, colors=cameras.colors, points_confidence=np.ones(count))
    return replace(observations, cameras=cameras, depth=depth)


def chained_cameras(observations: Observations, config: ChainConfig = ChainConfig()) -> ObservedCameras:
    """Cameras of all frames from the matches and point maps of keyframes (`checked`); between keyframes geodesics.

    Without matches there is one static camera, because nothing says that it moves. K is that of the maps (median); else
    the focal length that the bodies assume. The unit is that of the maps, metres if they are metric; they are not called
    metric even then, because such maps are often off scale and people know better.

    Raises:
        DioramaError: nothing says where the cameras are: no matches, depth or bodies; matches without depth in a picture
            that moves; matches that do not fit the depth.
    """
    depth, matches = observations.depth, observations.matches
    if depth is None and matches is None and not (observations.bodies and observations.bodies.people):
        raise DioramaError(
            "no cameras were observed", where="observations", fix="give camera poses, or matches and depth"
        )
    K, source = _intrinsics(observations)
    still = _still(observations, K, source)
    maps = _maps(observations, still)
    if maps is None or matches is None or len(maps.rows) < 2:
        if maps is None and matches is not None and not _nothing_moves(matches, observations, config):
            raise DioramaError(
                "no cameras were observed, and matches without depth do not give them", where="observations",
                fix="give depth maps or camera poses",
            )  # fmt: skip
        return _with_points(
            replace(still, warnings=("assumed to stand still: no matches say otherwise",)), maps, config
        )
    chain = chain_keyframes(maps, matches, config)
    kept = chain.linked
    times = observations.times
    T = interpolate_rigid(times, times[maps.rows[kept]], chain.T_world_camera[kept])
    registered = np.zeros(len(times), bool)
    registered[maps.rows[kept]] = True
    lost = int((~kept).sum())
    cameras = replace(
        still, kind=chain.kind, T_world_camera=T, registered=registered, evidence=chain.evidence,
        warnings=(f"{lost} of {len(kept)} keyframes fit no other",) if lost else (),
    )  # fmt: skip
    return _with_points(cameras, maps, config, chain)


def chain_keyframes(maps: PointMaps, matches: Matches, config: ChainConfig = ChainConfig()) -> Chain:
    """The keyframes of `maps` in one world.

    Raises:
        DioramaError: no two keyframes fit together.
    """
    links = [link for link in _links(maps, matches, config) if link.score > 0]
    if not links:
        raise DioramaError(
            "no cameras were observed, and the matches do not fit the depth maps", where="observations",
            fix="give other matches, or camera poses",
        )  # fmt: skip
    kind, evidence = _kind(links, config)
    count = len(maps.rows)
    T, log_scale, part = _along_tree(links, count, kind)
    size = np.bincount(part)
    linked = size[part] > 1
    evidence |= {"pairs": float(len(links)), "parts": float((size > 1).sum())}
    middle = np.median(log_scale[linked])
    T[:, :3, 3] *= np.exp(-middle)
    return Chain(T, log_scale - middle, linked, kind, evidence)


def _links(maps: PointMaps, matches: Matches, config: ChainConfig) -> Iterator[Link]:
    """One link per pair of keyframes."""
    key_i, key_j, chosen = between_keyframes(matches, maps)
    order = np.argsort(key_i * len(maps.rows) + key_j, kind="stable")
    pair = (key_i * len(maps.rows) + key_j)[order]
    for members in np.split(order, np.flatnonzero(np.diff(pair)) + 1):
        members = members[:: max(1, -(-len(members) // config.per_pair))]
        rows, a, b = chosen[members], key_i[members], key_j[members]
        if not len(rows):
            continue
        confidence = np.nan_to_num(np.asarray(matches.confidence[rows], np.float64)).clip(0)
        xy = [np.asarray(pixels[rows], np.float64) for pixels in (matches.xy_i, matches.xy_j)]
        points = [_points(maps, pixels, key) for pixels, key in zip(xy, (a, b), strict=True)]
        known = (points[0][:, 2] > 0) & (points[1][:, 2] > 0) & (confidence > 0)
        if known.sum() < config.fewest:
            continue
        p, q, motion = points[0][known], points[1][known], (xy[1] - xy[0])[known] / max(maps.size)
        # Backward matches are turned around.
        if a[0] < b[0]:
            yield _link(int(a[0]), int(b[0]), p, q, motion, confidence[known], config)
        else:
            yield _link(int(b[0]), int(a[0]), q, p, -motion, confidence[known], config)


def _points(maps: PointMaps, pixels: Float[np.ndarray, "n 2"], keys: Int[np.ndarray, " n"]) -> Float[np.ndarray, "n 3"]:
    """Camera-frame points of the maps; z = 0 where unknown."""
    depth = maps.depth_at(pixels, keys)
    flat = maps.straight(pixels, keys) / maps.focal[keys, None]
    return np.concatenate([flat * depth[:, None], depth[:, None]], 1)


def _link(
    i: int, j: int, p: Float[np.ndarray, "n 3"], q: Float[np.ndarray, "n 3"], motion: Float[np.ndarray, "n 2"],
    confidence: Float[np.ndarray, " n"], config: ChainConfig,
) -> Link:  # fmt: skip
    fit, away = _similarity(p, q, confidence, config)
    fits = away < config.near
    share = confidence[fits].sum() / confidence.sum()
    if fits.sum() < config.fewest or share < config.share or fit.scale <= 0:
        return Link(i, j, fit.scale, fit.rotation, fit.translation, fit.rotation, 0.0, 0.0, 0.0, 0.0)
    p, q, motion = p[fits], q[fits], motion[fits]
    turn, by_turn = _turn(_rays(p), _rays(q), confidence[fits])
    left = np.percentile(np.linalg.norm(_rays(fit.apply(p)) - _rays(q), axis=1), 80)
    return Link(
        i, j, fit.scale, fit.rotation, fit.translation, turn, float(fits.sum() * share), _drift(_rays(p), motion),
        float(np.median(np.linalg.norm(motion, axis=1))), float(np.sqrt(max(by_turn**2 - left**2, 0.0))),
    )  # fmt: skip


def _rays(points: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    return points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)


def _drift(rays: Float[np.ndarray, "n 3"], motion: Float[np.ndarray, "n 2"]) -> float:
    """Root mean square of the motion that is linear in the picture: noise of single matches has little part in it."""
    design = np.concatenate([np.ones((len(rays), 1)), rays[:, :2]], 1)
    weight, fit = np.ones(len(rays)), np.zeros((3, 2))
    for _ in range(3):
        normal = (design * weight[:, None]).T @ design + 1e-6 * np.eye(3)
        fit = np.linalg.solve(normal, (design * weight[:, None]).T @ motion)
        away = np.linalg.norm(design @ fit - motion, axis=1)
        weight = 1 / (1 + (away / max(float(np.median(away)), 1e-6)) ** 2)
    return float(np.sqrt(((design @ fit) ** 2).sum(1).mean()))


def _similarity(
    p: Float[np.ndarray, "n 3"], q: Float[np.ndarray, "n 3"], confidence: Float[np.ndarray, " n"], config: ChainConfig
) -> tuple[Similarity, Float[np.ndarray, " n"]]:
    """q = s R p + t by iterated re-weighting (Geman-McClure), and the distances over the depth.

    The scale is the ratio of the two spreads (Horn 1987), which noise in either map does not shrink: the least-squares
    scale would lose some percent at every link of a chain.
    """
    # A map's errors grow with its depth.
    base = confidence / (p[:, 2] * q[:, 2])
    weight, away = base, np.zeros(len(p))
    fit = Similarity(1.0, np.eye(3), np.zeros(3))
    for _ in range(config.rounds):
        rotation = umeyama(p, q, weights=weight, with_scale=False).rotation
        share = (weight / weight.sum())[:, None]
        means = [(share * x).sum(0) for x in (p, q)]
        spread = [float((share * (x - m) ** 2).sum()) for x, m in zip((p, q), means, strict=True)]
        scale = float(np.sqrt(spread[1] / spread[0])) if min(spread) > 0 else 1.0
        fit = Similarity(scale, rotation, means[1] - scale * rotation @ means[0])
        away = np.linalg.norm(fit.apply(p) - q, axis=1) / q[:, 2]
        limit = max(float(np.median(away)), 1e-4)
        weight = base / (1 + (away / limit) ** 2) ** 2
    return fit, away


def _turn(
    u: Float[np.ndarray, "n 3"], v: Float[np.ndarray, "n 3"], confidence: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "3 3"], float]:
    """The rotation between two bundles of rays, and the angle (radians) that four fifths of them keep within."""
    weight, turn, away = confidence, np.eye(3), np.zeros(len(u))
    for _ in range(3):
        # Rays and their opposites: their mean is zero, so that no shift is taken out.
        both = np.concatenate([weight, weight])
        turn = umeyama(np.concatenate([u, -u]), np.concatenate([v, -v]), weights=both, with_scale=False).rotation
        away = np.linalg.norm(u @ turn.T - v, axis=1)
        weight = confidence / (1 + (away / max(float(np.median(away)), 1e-6)) ** 2)
    return turn, float(np.percentile(away, 80))


def _kind(links: list[Link], config: ChainConfig) -> tuple[str, dict[str, float]]:
    """What the cameras do, by the widest link of every keyframe."""
    widest: dict[int, Link] = {}
    for link in links:
        for key in (link.i, link.j):
            if key not in widest or link.j - link.i > widest[key].j - widest[key].i:
                widest[key] = link
    wide = list(widest.values())
    drift = float(np.quantile([link.drift for link in wide], config.decisive))
    excess = [link.parallax - config.parallax_of_flow * link.flow for link in wide]
    parallax = float(np.quantile(excess, config.decisive))
    evidence = {"picture_drift": drift, "parallax_rad": parallax}
    if drift < config.still:
        return "static", evidence
    return "rotating" if parallax < config.parallax else "translating", evidence


def _along_tree(
    links: list[Link], count: int, kind: str
) -> tuple[Float[np.ndarray, "keys 4 4"], Float[np.ndarray, " keys"], Int[np.ndarray, " keys"]]:
    """Poses and log scales from the first keyframe outwards, and the number of the linked part that each belongs to.
    Parts that no link joins go on from the keyframe before them as if the camera had not moved."""
    best = {(link.i, link.j): link for link in links}
    ends = np.array(list(best)).reshape(-1, 2).T
    costs = [1 / link.score for link in best.values()]
    _, part = connected_components(coo_matrix((costs, ends), shape=(count, count)), directed=False)
    later = np.array([k for k in range(count - 1) if part[k] != part[k + 1]], int)
    every = np.concatenate([ends, np.stack([later, later + 1])], 1)
    graph = coo_matrix(([*costs, *[_GUESSED] * len(later)], every), shape=(count, count))
    tree = minimum_spanning_tree(graph.tocsr())
    order, before = breadth_first_order(tree, 0, directed=False)
    R, centre, log_scale = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3)), np.zeros(count)
    for key in order[1:]:
        a, b = int(before[key]), int(key)
        link = best.get((min(a, b), max(a, b)))
        scale, rotation, shift = _step(link, kind, forward=a < b)
        # x_a = scale * rotation @ x_b + shift
        sigma = np.exp(log_scale[a])
        log_scale[b] = log_scale[a] + np.log(scale)
        R[b], centre[b] = R[a] @ rotation, centre[a] + sigma * R[a] @ shift
    return rigid(R, centre), log_scale, part


def _step(
    link: Link | None, kind: str, *, forward: bool
) -> tuple[float, Float[np.ndarray, "3 3"], Float[np.ndarray, 3]]:
    """From points of the next keyframe to points of the one before it in the tree, as the kind of camera allows."""
    if link is None:
        return 1.0, np.eye(3), np.zeros(3)
    scale, shift = link.scale, link.translation
    rotation = link.rotation if kind == "translating" else link.turn if kind == "rotating" else np.eye(3)
    if forward:
        scale, rotation = 1 / scale, rotation.T
        shift = -scale * rotation @ shift
    return scale, rotation, shift if kind == "translating" else np.zeros(3)


def _intrinsics(observations: Observations) -> tuple[Float[np.ndarray, "3 3"], str]:
    """K in pixels of the source, and where it comes from."""
    width, height = observations.width, observations.height
    middle = np.array([width / 2, height / 2])
    depth, bodies = observations.depth, observations.bodies
    if depth is not None:
        lines, columns = depth.depth.shape[1:]
        return np.array([[width / columns], [height / lines], [1.0]]) * np.median(depth.K, 0), "recovered"
    focal = np.concatenate([np.zeros(0), *(body.focal for body in (bodies.people if bodies else ()))])
    focal = focal[np.isfinite(focal) & (focal > 0)]
    f = float(np.median(focal)) if len(focal) else float(np.hypot(width, height))
    return np.array([[f, 0, middle[0]], [0, f, middle[1]], [0, 0, 1.0]]), "assumed"


def _still(observations: Observations, K: Float[np.ndarray, "3 3"], focal_source: str) -> ObservedCameras:
    count = len(observations.times)
    return ObservedCameras(
        Source("josh", "chained point maps"), "static", focal_source, np.tile(K, (count, 1, 1)), np.zeros((count, 1)),
        np.tile(np.eye(4), (count, 1, 1)), np.ones(count, bool),
    )  # fmt: skip


def _maps(observations: Observations, cameras: ObservedCameras) -> PointMaps | None:
    """Keyframes that show some background."""
    depth = observations.depth
    if depth is None:
        return None
    tracks = observations.tracks.people if observations.tracks else ()
    maps = point_maps(depth, None, cameras, tracks, (observations.width, observations.height), (2, 2))
    usable = np.flatnonzero(maps.background.any((1, 2)))
    return maps.of(usable) if len(usable) else None


def _nothing_moves(matches: Matches, observations: Observations, config: ChainConfig) -> bool:
    motion = (matches.xy_j - matches.xy_i) / max(observations.width, observations.height)
    return bool(np.nanmedian(np.linalg.norm(motion, axis=1)) < config.still)


def _with_points(
    cameras: ObservedCameras, maps: PointMaps | None, config: ChainConfig, chain: Chain | None = None
) -> ObservedCameras:
    """With scene points: pixels of the background, evenly chosen."""
    if maps is None:
        return cameras
    keys, y, x = np.nonzero(maps.background)
    chosen = np.unique(np.linspace(0, len(keys) - 1, config.points).astype(int))
    keys, y, x = keys[chosen], y[chosen], x[chosen]
    lines, columns = maps.depth.shape[1:]
    pixels = pixel_grid(columns, lines)[y, x] * np.array([maps.size[0] / columns, maps.size[1] / lines])
    flat = maps.straight(pixels, keys) / maps.focal[keys, None]
    points = np.concatenate([flat, np.ones((len(flat), 1))], 1) * maps.depth[keys, y, x][:, None]
    if chain is not None:
        kept = chain.linked[keys]
        points, keys = points[kept] * np.exp(chain.log_scale[keys[kept]])[:, None], keys[kept]
    T = cameras.T_world_camera[maps.rows[keys]]
    points = (T[:, :3, :3] @ points[..., None])[..., 0] + T[:, :3, 3]
    return replace(cameras, points_world=points, colors=np.full((len(points), 3), 128, np.uint8))
