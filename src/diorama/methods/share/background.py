"""One scene from all keyframes of a standing camera: maps brought to one scale, people removed, holes filled."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from diorama.geometry.cameras import pixel_grid, unproject
from diorama.methods.share.key_maps import KeyMaps

_ROUNDS = 8
# Colours are those of keyframes whose depth is within this share of the merged one.
_SAME = 0.05


@dataclass(frozen=True)
class MergedScene:
    """The scene before the camera: depth (0: seen by no keyframe), how many keyframes saw it, colours."""

    depth: Float[np.ndarray, "height width"]
    seen: Float[np.ndarray, "height width"]
    colors: UInt8[np.ndarray, "height width 3"]

    def points(
        self, K: Float[np.ndarray, "3 3"], distortion: Float[np.ndarray, " k"]
    ) -> tuple[Float[np.ndarray, "n 3"], UInt8[np.ndarray, "n 3"], Float[np.ndarray, " n"]]:
        """Camera-frame points, colours, and the share of keyframes that saw each."""
        known = self.depth > 0
        pixels = pixel_grid(self.depth.shape[1], self.depth.shape[0])[known]
        return unproject(pixels, self.depth[known], K, distortion), self.colors[known], self.seen[known]


def published_factors(maps: KeyMaps) -> Float[np.ndarray, " keys"]:
    """The first map's mean depth over each map's, on pixels that are good background in both (section 2.2; that both
    have to be valid is the release's)."""
    out = np.ones(len(maps.rows))
    usable = maps.solid & (maps.owner == 0)
    for key in range(1, len(out)):
        common = usable[0] & usable[key]
        if common.any():
            out[key] = maps.depth[0][common].mean() / maps.depth[key][common].mean()
    return out


def robust_factors(maps: KeyMaps) -> Float[np.ndarray, " keys"]:
    """Factors that bring all maps to their common scale, its logarithm the mean of theirs.

    Median ratios to the median map, found in turn: far pixels count as much as near ones, and no keyframe is special, so
    that the error of a network's scale falls with the root of the keyframes. Keyframes without background keep theirs.
    """
    logs = np.where(maps.background, np.log(np.maximum(maps.depth, 1e-6)), np.nan)
    shift = np.zeros(len(logs))
    seen = np.isfinite(logs).any((1, 2))
    for _ in range(_ROUNDS):
        middle = _median(logs + shift[:, None, None])
        found = np.array([_median((middle - each).reshape(-1, 1))[0] for each in logs])
        shift = np.where(seen & np.isfinite(found), found, 0.0)
        shift = np.where(seen, shift - shift[seen].mean() if seen.any() else 0.0, 0.0)
    return np.exp(shift)


def _median(rows: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # pixels that nobody saw
        return np.nanmedian(rows, axis=0)


def merged(maps: KeyMaps, pictures: UInt8[np.ndarray, "keys height width 3"] | None) -> MergedScene:
    """Median over the keyframes that see background at a pixel; a person's place is filled by any keyframe without him.

    Differs from Eq. 3 in that masks that overlap leave a hole instead of people's points, and that what only one keyframe
    sees is kept.
    """
    good = maps.background
    depth = np.nan_to_num(_median(np.where(good, maps.depth, np.nan)))
    return MergedScene(depth, good.mean(0), _colours(maps, good, depth, pictures))


def merged_as_published(maps: KeyMaps, pictures: UInt8[np.ndarray, "keys height width 3"] | None) -> MergedScene:
    """Eq. 3 on the first and the last keyframe: means of the common background, and each one's pixels under the other's
    people, whoever else is on them."""
    first, last = maps.of(np.array([0])), maps.of(np.array([len(maps.rows) - 1]))
    (one,), (other,) = first.depth, last.depth
    (there,), (also,) = first.owner != 0, last.owner != 0
    (good,), (fine,) = first.solid, last.solid
    common = good & fine & ~there & ~also
    depth = np.where(common, (one + other) / 2, 0.0)
    depth = np.where(there & fine, other, np.where(also & good, one, depth))
    colours = np.full((*one.shape, 3), 128, np.uint8)
    if pictures is not None:
        colours = np.where((there & fine)[..., None], pictures[-1], pictures[0])
    return MergedScene(depth, (depth > 0).astype(np.float64), colours)


def _colours(
    maps: KeyMaps, good: Bool[np.ndarray, "keys height width"], depth: Float[np.ndarray, "height width"],
    pictures: UInt8[np.ndarray, "keys height width 3"] | None,
) -> UInt8[np.ndarray, "height width 3"]:  # fmt: skip
    """Medians of the pictures that show this surface; grey without pictures."""
    if pictures is None:
        return np.full((*depth.shape, 3), 128, np.uint8)
    same = good & (np.abs(maps.depth - depth) < _SAME * np.maximum(depth, 1e-9))
    shown = np.where(same.any(0), same, good)
    found = np.stack([_median(np.where(shown, pictures[..., band], np.nan)) for band in range(3)], -1)
    return np.nan_to_num(found).round().astype(np.uint8)
