"""Does the camera stand still, turn on the spot, or travel? Decided from background points before any mapping.

Still: the first frame can be tracked directly into later ones and nothing has moved. Otherwise pairs of frames, as far
apart as enough tracks survive, are explained by a turn with zoom (a nuisance focal and lens distortion are fitted per
pair); the share of points which that leaves unexplained, but which agree with some epipolar geometry, is parallax.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from diorama.frontends.background_tracks import BackgroundTracks
from diorama.frontends.rotation_pairs import fit_turn


@dataclass(frozen=True)
class GateConfig:
    """Thresholds in px of a picture 960 px long, set on simulated point worlds (tests/frontends/point_worlds.py) and on 32
    rendered clips (benchmarks/camera_gate.py), where the median share of parallax is at most 0.10 in turning and at
    least 0.36 in travelling cameras.

    Static: at `anchor_votes` of the anchors, `min_anchor_share` of the points are found again, moved by less than
    `still_px` (median). Translating: in `travel_votes` of the pairs, at least `parallax_share` of the points miss the
    turn by more than `parallax_px` plus `parallax_of_flow` of the flow, and lie within `epipolar_px` of the epipolar line.
    """

    still_px: float = 0.7
    min_anchor_share: float = 0.25
    anchor_votes: float = 0.8
    positions: int = 9
    min_pair_points: int = 50
    min_pair_share: float = 0.2
    max_pair_points: int = 400
    starts: tuple[float, ...] = (0.6, 1.1, 2.2, 5.0)
    parallax_px: float = 2.0
    parallax_of_flow: float = 0.02
    epipolar_px: float = 1.0
    parallax_share: float = 0.18
    travel_votes: float = 0.34


@dataclass(frozen=True)
class Verdict:
    """`kind` is "static", "rotating" or "translating"; `evidence` holds the figures that decided."""

    kind: str
    evidence: dict[str, float]


@dataclass(frozen=True)
class PairEvidence:
    """One pair of rows: flow, misfit of the turn (px) and the share of points that show parallax."""

    gap: int
    flow_px: float
    misfit_px: float
    parallax_share: float


def judge_camera(tracks: BackgroundTracks, config: GateConfig = GateConfig()) -> Verdict:
    """The kind of camera. With too few points to tell, the weaker claim is made: rotating."""
    evidence = _stillness(tracks, config)
    if len(tracks.rows) < 2 or evidence["still_votes"] >= config.anchor_votes:
        return Verdict("static", evidence)
    pairs = [pair for start in _starts(tracks, config) if (pair := _longest_pair(tracks, start, config))]
    if not pairs:
        return Verdict("rotating", evidence | {"gate_pairs": 0.0})
    shares = np.array([pair.parallax_share for pair in pairs])
    votes = float((shares >= config.parallax_share).mean())
    evidence |= {
        "gate_pairs": float(len(pairs)),
        "gate_gap_frames": float(np.median([pair.gap for pair in pairs])),
        "flow_px": float(np.median([pair.flow_px for pair in pairs])),
        "turn_misfit_px": float(np.median([pair.misfit_px for pair in pairs])),
        "parallax_share": float(np.median(shares)),
        "travel_votes": votes,
    }
    return Verdict("translating" if votes >= config.travel_votes else "rotating", evidence)


def _stillness(tracks: BackgroundTracks, config: GateConfig) -> dict[str, float]:
    """How many anchors say that nothing moved; a shot shorter than an anchor step is judged by its tracks."""
    limit = config.still_px * max(tracks.size) / 960
    shift, share = tracks.anchor_shift, tracks.anchor_share
    if not len(shift) and len(tracks.rows) > 1:
        first, last = tracks.between(int(tracks.rows[0]), int(tracks.rows[-1]))
        began = max(len(tracks.at(int(tracks.rows[0]))[0]), 1)
        shift = np.array([np.median(np.linalg.norm(last - first, axis=1)) if len(first) else np.inf])
        share = np.array([len(first) / began])
    still = (shift < limit) & (share >= config.min_anchor_share)
    return {
        "still_votes": float(still.mean()) if len(still) else 1.0,
        "anchor_shift_px": float(np.median(shift)) if len(shift) else 0.0,
        "anchor_share": float(np.median(share)) if len(share) else 1.0,
    }


def _starts(tracks: BackgroundTracks, config: GateConfig) -> list[int]:
    """Indices into `rows` where pairs begin, evenly spread."""
    last = max(len(tracks.rows) - 2, 0)
    return np.unique(np.linspace(0, last, config.positions).astype(int)).tolist()


def _longest_pair(tracks: BackgroundTracks, start: int, config: GateConfig) -> PairEvidence | None:
    """Evidence from the widest pair around index `start` that keeps enough points (forward, or backward near the end)."""
    rows = tracks.rows
    count = len(tracks.at(int(rows[start]))[0])
    enough = max(config.min_pair_points, config.min_pair_share * count)
    best: tuple[int, np.ndarray, np.ndarray] | None = None
    gap = 1
    while gap < len(rows):
        end = start + gap if start + gap < len(rows) else start - gap
        if end < 0:
            break
        xy_i, xy_j = tracks.between(int(rows[start]), int(rows[end]))
        if len(xy_i) < enough:
            break
        best = (gap, xy_i, xy_j)
        gap *= 2
    return None if best is None else _pair_evidence(*best, tracks.size, config)


def _pair_evidence(
    gap: int, xy_i: Float[np.ndarray, "n 2"], xy_j: Float[np.ndarray, "n 2"], size: tuple[int, int], config: GateConfig
) -> PairEvidence:
    keep = np.unique(np.linspace(0, len(xy_i) - 1, config.max_pair_points).astype(int))
    xy_i, xy_j = xy_i[keep], xy_j[keep]
    flow = np.linalg.norm(xy_j - xy_i, axis=1)
    unit = max(size) / 960
    fits = [
        fit_turn(xy_i, xy_j, start * max(size), np.array(size) / 2, scale_px=config.parallax_px * unit, lens=True)
        for start in config.starts
    ]
    misfit = min(fits, key=lambda fit: fit.cost).residual
    beyond = misfit > config.parallax_px * unit + config.parallax_of_flow * flow
    epipolar = _epipolar_inliers(xy_i, xy_j, config.epipolar_px * unit) if beyond.sum() >= 8 else beyond
    return PairEvidence(gap, float(np.median(flow)), float(np.median(misfit)), float((beyond & epipolar).mean()))


def _epipolar_inliers(xy_i: np.ndarray, xy_j: np.ndarray, limit: float) -> np.ndarray:
    cv2.setRNGSeed(7)
    _, inliers = cv2.findFundamentalMat(xy_i, xy_j, cv2.USAC_DEFAULT, limit, 0.999, 2000)
    return inliers[:, 0] > 0 if inliers is not None else np.zeros(len(xy_i), bool)
