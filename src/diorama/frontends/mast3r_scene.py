"""MASt3R as the front end of a scene: metric depth of keyframes, matches between them, and the lens; people are masked.

What JOSH's paper starts from in its third variant (MASt3R-SfM's pairs, without its optimisation): keyframes by the clock,
all pairs up to ten apart, fast reciprocal matches, one point map per keyframe.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Int

from diorama.errors import DioramaError
from diorama.frontends.background_mask import people_mask
from diorama.frontends.clock_keyframes import keyframes
from diorama.frontends.map_matches import best_spread
from diorama.frontends.mast3r_pairs import KeyframeMap, PairMatches, PairsConfig, Shown, seen_pairs
from diorama.frontends.patch_windows import Window, as_input, shown_frames, window_of
from diorama.frontends.point_focal import focal_of_points
from diorama.frontends.scene_source import SceneSource, parse_scene_source
from diorama.frontends.window_maps import sampled, sampling_of
from diorama.geometry.cameras import intrinsics
from diorama.networks.mast3r import MAST3R_LICENCE, MASt3R
from diorama.networks.named_weights import licence_told, part_of, source_and_revision, stamp_of
from diorama.observations import Depth, Matches, Source, Tracks
from diorama.progress import progress_bar
from diorama.video import Video

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MASt3RSceneConfig:
    """How a video is looked at.

    Attributes:
        source: of the weights; `stamp` is size and date of local files.
        focal: known focal length in source pixels.
        interval: between keyframes, seconds.
        keyframes: at most so many; in longer videos they are farther apart.
        window: pairs are up to so many keyframes apart (JOSH: 10).
        longest: longer side of the pictures that the network is given, px.
        map_size: longer side of the maps that are kept, px.
        per_pair, cells: matches per pair, the most confident of `cells` cells along the longer side first.
        confidence: keyframes' points have to exceed it to count (`KeyframeMap`; the release's).
        bend: of 1 / depth, relative, beside which a pixel is not trusted (as in `FusionConfig`).
        margin: people are grown by this share of the longer side.
        pairs: batches and matching.
        device: "auto" takes a CUDA GPU if there is one; `autocast`: bfloat16 there for encoder and decoders.
    """

    source: SceneSource
    stamp: str = ""
    focal: float | None = None
    interval: float = 0.2
    keyframes: int = 600
    window: int = 10
    longest: int = 512
    map_size: int = 256
    per_pair: int = 300
    cells: int = 16
    confidence: float = 0.1
    bend: float = 0.04
    margin: float = 0.006
    pairs: PairsConfig = field(default_factory=PairsConfig)
    device: str = "auto"
    autocast: bool = True


@dataclass(frozen=True)
class MASt3RScene:
    """Metric depth of keyframes with the lens in `K`, and matches between them (None of a single keyframe)."""

    depth: Depth
    matches: Matches | None
    focal_source: str


def prepare_mast3r_scene(word: str) -> MASt3RSceneConfig:
    """What `--scene` names, checked.

    Raises:
        DioramaError: no such weights, with how to get them, their size and licence.
    """
    source = parse_scene_source(word)
    return MASt3RSceneConfig(source, stamp_of(source.place))


def load_mast3r(config: MASt3RSceneConfig) -> MASt3R:
    """The network with its weights.

    Raises:
        DioramaError: they cannot be read.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if config.device == "auto" else config.device
    place, revision = source_and_revision(config.source.place)
    try:
        return MASt3R.from_pretrained(part_of(place, "mast3r"), revision=revision, device=device)
    except DioramaError as error:
        raise DioramaError(error.what, where=config.source.option, fix=error.fix) from error


def observe_mast3r_scene(
    video: Video, tracks: Tracks | None, config: MASt3RSceneConfig, network: MASt3R | None = None, *,
    progress: bool = True,
) -> MASt3RScene:  # fmt: skip
    """Depth, matches and lens of a shot.

    Memory: tokens and sums of `window` keyframes, and of every keyframe a map of `map_size` and its matches.

    Args:
        video: the shot.
        tracks: people, who are no part of the scene.
        config: see `MASt3RSceneConfig`.
        network: instead of that of `config.source`.
        progress: show a progress bar.

    Raises:
        DioramaError: the weights cannot be read.
    """
    network = network or load_mast3r(config)
    keys = _keys(video, config)
    window = window_of(video.width, video.height, crop=1.0, longest=config.longest)
    kept = _Kept(video, window, config)
    frames = progress_bar(_shown(video, tracks, keys, window, config), desc="scene", total=len(keys), show=progress)
    with _autocast(network, config):
        for found in seen_pairs(network, iter(frames), window_pairs(len(keys), config.window), config.pairs):
            kept.add(found)
    depth = kept.depth(keys, _source(config))
    matches = kept.matches(keys, _source(config))
    return MASt3RScene(depth, matches, "given" if config.focal else "recovered" if kept.focals else "assumed")


def observe_mast3r_focal(
    video: Video, tracks: Tracks | None, config: MASt3RSceneConfig, network: MASt3R | None = None, *, looks: int = 4
) -> float | None:
    """Focal length in source pixels, from `looks` pairs of neighbouring keyframes, evenly over the shot; None where
    nothing tells it.

    Raises:
        DioramaError: the weights cannot be read.
    """
    network = network or load_mast3r(config)
    keys = _keys(video, config)
    first = np.unique(np.linspace(0, max(len(keys) - 2, 0), looks).astype(int))
    wanted = np.unique(np.stack([first, np.minimum(first + 1, len(keys) - 1)]))
    pairs = np.searchsorted(wanted, np.stack([first, np.minimum(first + 1, len(keys) - 1)], 1))
    window = window_of(video.width, video.height, crop=1.0, longest=config.longest)
    kept = _Kept(video, window, config)
    frames = _shown(video, tracks, keys[wanted], window, config)
    with _autocast(network, config):
        # By the second picture, as they come.
        for found in seen_pairs(network, frames, pairs, replace(config.pairs, matching=None)):
            kept.add(found)
    return kept.focal() if kept.focals else None


def _autocast(network: MASt3R, config: MASt3RSceneConfig) -> torch.autocast:
    device = network.enc_norm.weight.device.type
    return torch.autocast(device, torch.bfloat16, enabled=config.autocast and device == "cuda")


def window_pairs(keys: int, window: int) -> Int[np.ndarray, "pairs 2"]:
    """All pairs up to `window` keyframes apart, by the second; the only keyframe with itself."""
    if keys == 1:
        return np.zeros((1, 2), np.int64)
    pairs = [(i, j) for j in range(keys) for i in range(max(0, j - window), j)]
    return np.array(pairs, np.int64).reshape(-1, 2)


def _keys(video: Video, config: MASt3RSceneConfig) -> Int[np.ndarray, " keys"]:
    seconds = float(video.times[-1] - video.times[0])
    interval = max(config.interval, seconds / max(config.keyframes - 1, 1))
    return keyframes(video.times, video.duplicate, interval)


def _shown(
    video: Video, tracks: Tracks | None, keys: Int[np.ndarray, " keys"], window: Window, config: MASt3RSceneConfig
) -> Iterator[Shown]:
    size = (video.width, video.height)
    for row, picture in zip(keys, shown_frames(video, keys, window), strict=True):
        people = window.shown_mask(people_mask(tracks, int(row), size, size, config.margin))
        yield Shown(as_input(picture), torch.from_numpy(people))


def _source(config: MASt3RSceneConfig) -> Source:
    place, revision = source_and_revision(config.source.place)
    licence = licence_told(part_of(place, "mast3r"), "mast3r", MAST3R_LICENCE)
    return Source("MASt3R", f"{place}@{revision}" if revision else place, licence, ("metres",))


class _Kept:
    """What stays of every keyframe and pair."""

    def __init__(self, video: Video, window: Window, config: MASt3RSceneConfig) -> None:
        self.video, self.window, self.config = video, window, config
        self.found: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.focals: list[tuple[float, float]] = []
        self.pairs: list[PairMatches] = []
        size = video.working_size(config.map_size)
        self.sampling = sampling_of(window, (video.width, video.height), size)

    def add(self, found: KeyframeMap | PairMatches) -> None:
        if isinstance(found, PairMatches):
            self.pairs.append(_fewer(found, max(self.window.width, self.window.height), self.config))
            return
        trusted = np.where(found.confidence > self.config.confidence, found.confidence, 0)
        if focal := focal_of_points(found.points, trusted):
            self.focals.append((focal, float(trusted.mean())))
        self.found[found.key] = sampled(found.points[..., 2], trusted, self.sampling, self.config.bend)

    def focal(self) -> float:
        """In source pixels: as told, else the keyframes' mean by confidence, else a lens of 55 degrees (assumed)."""
        if self.config.focal is not None:
            return self.config.focal
        if not self.focals:
            logger.warning("MASt3R sees nothing that tells the focal length; it is assumed")
            return 0.96 * max(self.video.width, self.video.height)
        focal, weight = np.array(self.focals).T
        return float((focal * weight).sum() / weight.sum()) * self.window.source_per_shown

    def depth(self, keys: Int[np.ndarray, " keys"], source: Source) -> Depth:
        order = sorted(self.found)
        maps, trust = (np.stack([self.found[key][part] for key in order]) for part in (0, 1))
        width, height = self.video.width, self.video.height
        scale = np.array([maps.shape[2] / width, maps.shape[1] / height, 1.0])
        K = np.tile(scale[:, None] * intrinsics(self.focal(), width, height), (len(order), 1, 1))
        nothing = np.zeros((0, 3)), np.zeros((0, 3), np.uint8), np.zeros(0)
        return Depth(source, keys[order], maps, trust, K, True, *nothing)

    def matches(self, keys: Int[np.ndarray, " keys"], source: Source) -> Matches | None:
        names = ("first", "second", "xy_1", "xy_2", "confidence")
        if not self.pairs:
            return None
        first, second, xy_1, xy_2, trust = (np.concatenate([getattr(p, name) for p in self.pairs]) for name in names)
        if not len(first):
            return None
        order = np.lexsort([second, first])
        ends = [self.window.to_source(xy[order]).astype(np.float32) for xy in (xy_1, xy_2)]
        rows = [keys[at[order]].astype(np.int32) for at in (first, second)]
        confidence = (trust / (1 + trust))[order].astype(np.float32)
        return Matches(replace(source, notes=()), rows[0], rows[1], ends[0], ends[1], confidence)


def _fewer(found: PairMatches, longer: int, config: MASt3RSceneConfig) -> PairMatches:
    """At most `per_pair` of every pair, spread over the picture."""
    pair = found.first * (found.second.max(initial=0) + 1) + found.second
    chosen = [np.zeros(0, int)]
    for name in np.unique(pair):
        own = np.flatnonzero(pair == name)
        chosen.append(own[best_spread(found.xy_1[own], found.confidence[own], longer / config.cells, config.per_pair)])
    at = np.concatenate(chosen)
    return PairMatches(found.first[at], found.second[at], found.xy_1[at], found.xy_2[at], found.confidence[at])
