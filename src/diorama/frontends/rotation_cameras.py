"""Cameras of a shot taken from one place: rotations, and the focal if the turning determines it.

The cost is looked at over a range of focals (each solved from its own start), because a solver that only follows its
start was measured to find whatever focal it began with. Zoom is allowed only where it removes most of the misfit.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from diorama.frontends.background_tracks import BackgroundTracks
from diorama.frontends.keyframes import KeyframeConfig, choose_keyframes
from diorama.frontends.rotation_bundle import (
    Freedom,
    TurnState,
    TurnTracks,
    residuals,
    solve_turns,
    start_state,
    with_mean_rays,
)
from diorama.frontends.rotation_pairs import fit_turn
from diorama.geometry.rotations import mean_rotation


@dataclass(frozen=True)
class RotationConfig:
    """Focals are in longer sides of the picture, pixels in those of a picture 960 px long.

    The focal counts as recovered if the optical axis swings by `min_swing_degrees`, points travel by `min_travel` of
    the picture, and the robust cost is at least `min_contrast` times higher at 0.8 and at 1.25 of it. Otherwise it is
    assumed: `assumed_focal`, a field of view of 55 degrees, between the 65 of a phone's main camera (26 mm equivalent
    and a stabiliser's crop) and the 45 of a normal lens. Zoom is allowed if it lowers the cost by `zoom_gain`.
    """

    focals: tuple[float, ...] = (0.4, 0.55, 0.75, 1.0, 1.35, 1.8, 2.5, 3.5)
    scale_px: float = 1.0
    iterations: int = 10
    final_iterations: int = 25
    min_swing_degrees: float = 5.0
    min_travel: float = 0.12
    min_contrast: float = 1.05
    zoom_gain: float = 0.25
    zoom_focals: tuple[float, ...] = (0.6, 1.0, 1.7, 2.9)
    assumed_focal: float = 0.96
    max_tracks: int = 1200
    lens_tracks: int = 450
    window: int = 100
    window_overlap: int = 12
    keyframes: KeyframeConfig = field(
        default_factory=lambda: KeyframeConfig(gap=1, motion=0.01, fast_motion=0.01, max_gap=10, min_count=60)
    )
    inlier_px: float = 3.0
    min_points: int = 12


@dataclass(frozen=True)
class TurningPath:
    """Per row of `rows`: rotation camera -> world, focal in working px, whether enough points agreed, their misfit."""

    rows: Int[np.ndarray, " rows"]
    rotation: Float[np.ndarray, "rows 3 3"]
    focal: Float[np.ndarray, " rows"]
    registered: Bool[np.ndarray, " rows"]
    residual_px: Float[np.ndarray, " rows"]
    focal_source: str
    evidence: dict[str, float]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Solved:
    keys: Int[np.ndarray, " keys"]
    state: TurnState
    names: Int[np.ndarray, " tracks"]


def solve_rotations(
    background: BackgroundTracks, config: RotationConfig = RotationConfig(), focal: float | None = None
) -> TurningPath:
    """Rotations of all rows; `focal` in working px if the user gave it."""
    side = max(background.size)
    unit = side / 960
    windows = _windows(choose_keyframes(background, config.keyframes), config)
    main = int(np.argmax([_travel(background, keys) for keys in windows]))
    tracks, _ = gather(background, windows[main], config.lens_tracks)
    if len(tracks.key) < 10 * tracks.keys:
        return _without_evidence(background, focal or config.assumed_focal * side, focal is not None)
    state, freedom, evidence = _solve_lens(tracks, side, config, focal)
    evidence["swing_degrees"] = _swing(state)
    evidence["travel_widths"] = _travel(background, windows[main]) / side
    source = "given" if focal is not None else "recovered" if _determined(evidence, config) else "assumed"
    focal_there = config.assumed_focal * side if source == "assumed" else state.focal
    tracks, names = gather(background, windows[main], config.max_tracks)
    start = start_state(tracks, focal_there)
    if source != "assumed":
        start = replace(start, rotation=state.rotation, zoom=state.zoom)
    state, _ = solve_turns(
        tracks, with_mean_rays(tracks, start), freedom, scale=config.scale_px * unit, iterations=config.final_iterations
    )
    solved = _all_windows(background, windows, main, _Solved(windows[main], state, names), freedom, config)
    path = _every_row(background, solved, freedom, config)
    evidence |= {
        "focal_widths": state.focal / side,
        "turn_residual_px": float(np.nanmedian(path.residual_px)),
        "zoom_range": float(path.focal.max() / path.focal.min()),
        "registered_share": float(path.registered.mean()),
    }
    warnings = ("the camera turns too little to determine the focal; it is assumed",) if source == "assumed" else ()
    return replace(path, focal_source=source, evidence=evidence, warnings=warnings)


def gather(
    background: BackgroundTracks, keys: Int[np.ndarray, " keys"], max_tracks: int
) -> tuple[TurnTracks, Int[np.ndarray, " tracks"]]:
    """Tracks with at least three observations in the keyframes (in the order given), evenly thinned, and their names."""
    use = np.isin(background.row, keys)
    names, inverse, counts = np.unique(background.track[use], return_inverse=True, return_counts=True)
    long = np.flatnonzero(counts >= min(3, len(keys)))
    chosen = (
        long[np.unique(np.linspace(0, len(long) - 1, min(max_tracks, len(long))).astype(int))] if len(long) else long
    )
    number = np.full(len(names), -1)
    number[chosen] = np.arange(len(chosen))
    track = number[inverse]
    keep = track >= 0
    order = np.argsort(keys)
    key = order[np.searchsorted(keys[order], background.row[use][keep])]
    xy = background.xy[use][keep].astype(np.float64) - np.array(background.size) / 2
    return TurnTracks(key, track[keep], xy, len(keys), len(chosen)), names[chosen]


def _windows(keys: np.ndarray, config: RotationConfig) -> list[np.ndarray]:
    """Runs of at most `window` keyframes (a little more at the end) that share `window_overlap` of them."""
    starts = range(0, max(len(keys) - config.window_overlap, 1), config.window - config.window_overlap)
    return [keys[start : start + config.window] for start in starts]


def _travel(background: BackgroundTracks, keys: np.ndarray) -> float:
    """Sum of the median motions (px) between neighbouring keyframes, the sign of direction kept."""
    total = np.zeros((len(keys), 2))
    for index in range(1, len(keys)):
        one, two = background.between(int(keys[index - 1]), int(keys[index]))
        total[index] = total[index - 1] + (np.median(two - one, axis=0) if len(one) else 0)
    return float(np.linalg.norm(np.ptp(total, axis=0)))


def _solve_lens(
    tracks: TurnTracks, side: int, config: RotationConfig, focal: float | None
) -> tuple[TurnState, Freedom, dict[str, float]]:
    """Best state over the starts, with or without zoom, and the cost at 0.8 and 1.25 of its focal over its own."""
    scale = config.scale_px * side / 960
    starts = config.focals if focal is None else (focal / side,)
    plain, plain_costs = _best_start(tracks, starts, side, Freedom(), scale, config)
    zoom, zoomed, zoomed_costs = False, plain, {}
    if focal is None:  # a given focal holds for all frames: zoom would only absorb the error of a wrong one
        zoomed, zoomed_costs = _best_start(tracks, config.zoom_focals, side, Freedom(zoom=True), scale, config)
        zoom = min(zoomed_costs.values()) < (1 - config.zoom_gain) * min(plain_costs.values())
    freedom = Freedom(zoom=zoom)
    state, cost = solve_turns(
        tracks, zoomed if zoom else plain, Freedom(focal=focal is None, zoom=zoom), scale=scale,
        iterations=config.final_iterations,
    )  # fmt: skip
    costs = zoomed_costs if zoom else plain_costs
    evidence = {f"cost_at_focal_{start:.2f}": value for start, value in sorted(costs.items())} | {"cost": cost}
    if focal is None:
        evidence["contrast"] = min(
            _cost_at(tracks, state, factor, freedom, scale, config) / cost for factor in (0.8, 1.25)
        )
    return state, freedom, evidence


def _best_start(
    tracks: TurnTracks, starts: tuple[float, ...], side: int, freedom: Freedom, scale: float, config: RotationConfig
) -> tuple[TurnState, dict[float, float]]:
    """State of least cost over the starting focals (widths), each held fixed while the rest is solved; all costs."""
    found = [
        solve_turns(tracks, start_state(tracks, f * side), freedom, scale=scale, iterations=config.iterations)
        for f in starts
    ]
    best = min(found, key=lambda pair: pair[1])[0]
    return best, {f: cost for f, (_, cost) in zip(starts, found, strict=True)}


def _cost_at(
    tracks: TurnTracks, state: TurnState, factor: float, freedom: Freedom, scale: float, config: RotationConfig
) -> float:
    """Cost of the best rotations with the focal held at `factor` of the best one."""
    start = replace(start_state(tracks, factor * state.focal), zoom=state.zoom)
    return solve_turns(tracks, start, freedom, scale=scale, iterations=config.final_iterations)[1]


def _determined(evidence: dict[str, float], config: RotationConfig) -> bool:
    return (
        evidence["swing_degrees"] >= config.min_swing_degrees
        and evidence["travel_widths"] >= config.min_travel
        and evidence["contrast"] >= config.min_contrast
    )


def _swing(state: TurnState) -> float:
    """Largest angle between two optical axes, degrees."""
    axes = state.rotation[:, 2]
    return float(np.degrees(np.arccos(np.clip(axes @ axes.T, -1, 1).min())))


def _all_windows(
    background: BackgroundTracks, windows: list[np.ndarray], main: int, first: _Solved, freedom: Freedom,
    config: RotationConfig,
) -> list[_Solved]:  # fmt: skip
    """Every window solved with the main one's lens, outwards from it, each turned into its neighbour's world."""
    solved = {main: first}
    for index in [*range(main + 1, len(windows)), *range(main - 1, -1, -1)]:
        before = solved[index - 1 if index > main else index + 1]
        keys = windows[index] if index > main else windows[index][::-1]
        tracks, names = gather(background, keys, config.max_tracks)
        at = int(np.flatnonzero(before.keys == keys[0])[0])
        focal = before.state.focal * float(np.exp(before.state.zoom[at]))
        state, _ = solve_turns(
            tracks, start_state(tracks, focal), replace(freedom, first_zoom=True),
            scale=config.scale_px * max(background.size) / 960, iterations=config.final_iterations,
        )  # fmt: skip
        _, mine, theirs = np.intersect1d(keys, before.keys, return_indices=True)
        turn = np.swapaxes(state.rotation[mine], 1, 2) @ before.state.rotation[theirs]
        there = mean_rotation(torch.from_numpy(turn)).numpy()
        turned = replace(state, rotation=state.rotation @ there, rays=state.rays @ there)
        solved[index] = _Solved(keys, turned, names)
    return [solved[index] for index in sorted(solved)]


def _every_row(
    background: BackgroundTracks, solved: list[_Solved], freedom: Freedom, config: RotationConfig
) -> TurningPath:
    """Keyframes as solved, rows between them fitted to the directions of their tracks."""
    rows, unit = background.rows, max(background.size) / 960
    rotation, focal, residual = {}, {}, {}
    rays: dict[int, np.ndarray] = {}
    for window in solved:
        tracks, _ = gather(background, window.keys, config.max_tracks)
        miss = np.linalg.norm(residuals(tracks, window.state), axis=1)
        for index, key in enumerate(window.keys):
            mine = miss[tracks.key == index]
            near = mine[mine < config.inlier_px * unit]
            rotation.setdefault(int(key), window.state.rotation[index])
            focal.setdefault(int(key), window.state.focal * float(np.exp(window.state.zoom[index])))
            residual.setdefault(int(key), float(np.median(near)) if len(near) >= config.min_points else np.nan)
        rays.update(zip(window.names.tolist(), window.state.rays, strict=True))
    known = np.array(sorted(rotation))
    for row in rows:
        if int(row) not in rotation:
            left = int(known[np.searchsorted(known, row) - 1])
            fit = _fit_row(background, int(row), rotation[left], focal[left], rays, freedom, config)
            rotation[int(row)], focal[int(row)], residual[int(row)] = fit
    misfit = np.array([residual[int(row)] for row in rows])
    turns = np.array([rotation[int(row)].T for row in rows])
    return TurningPath(rows, turns, np.array([focal[int(row)] for row in rows]), np.isfinite(misfit), misfit, "", {})


def _fit_row(
    background: BackgroundTracks, row: int, rotation: np.ndarray, focal: float, rays: dict[int, np.ndarray],
    freedom: Freedom, config: RotationConfig,
) -> tuple[Float[np.ndarray, "3 3"], float, float]:  # fmt: skip
    """Rotation, focal and misfit of one row from the known directions, starting at a neighbour's."""
    names, xy = background.at(row)
    known = np.array([int(name) in rays for name in names], bool)
    if known.sum() < config.min_points:
        return rotation, focal, float("nan")
    centre = np.array(background.size) / 2
    turned = np.array([rays[int(name)] for name in names[known]]) @ rotation.T
    predicted = focal * turned[:, :2] / np.maximum(turned[:, 2:], 1e-2) + centre
    fit = fit_turn(predicted, xy[known], focal, centre, scale_px=config.scale_px, zooming=freedom.zoom)
    near = fit.residual[fit.residual < config.inlier_px * max(background.size) / 960]
    good = len(near) >= config.min_points
    return fit.rotation @ rotation, focal * float(fit.zoom), float(np.median(near)) if good else float("nan")


def _without_evidence(background: BackgroundTracks, focal: float, given: bool) -> TurningPath:
    """Too few tracks for anything: the camera is said to stand still, and its frames not to be registered."""
    count = len(background.rows)
    return TurningPath(
        background.rows, np.repeat(np.eye(3)[None], count, 0), np.full(count, focal), np.zeros(count, bool),
        np.full(count, np.nan), "given" if given else "assumed", {"focal_widths": focal / max(background.size)},
        ("too few background points to follow the camera; it is taken to stand still",),
    )  # fmt: skip
