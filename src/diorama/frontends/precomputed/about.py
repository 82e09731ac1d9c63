"""`about.json` of a part: what its numbers mean, with defaults where nothing is said, and errors where something must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.frontends.precomputed.checked_files import FIX, read_json
from diorama.frontends.precomputed.presets import CONFIDENCES, LAYOUT, PIXEL_CENTRES, Preset
from diorama.frontends.precomputed.timeline import Timeline
from diorama.observations import Source

# Sides of a working picture are rounded to multiples of up to 16 pixels.
_ASPECT = 0.07


@dataclass(frozen=True)
class About:
    """The entries of one part: those of its file, then the preset's, then the layout's."""

    path: Path
    part: str
    entries: Mapping[str, Any]
    preset: Preset

    def __contains__(self, key: str) -> bool:
        return key in self.entries

    def wrong(self, key: str, what: str, fix: str = FIX) -> DioramaError:
        """The error that names an entry."""
        return DioramaError(f"entry {key!r} {what}", where=self.path, fix=fix)

    def value(self, key: str) -> Any:
        """An entry of any kind.

        Raises:
            DioramaError: nobody says it.
        """
        if key in self.entries:
            return self.entries[key]
        for rules in (self.preset, LAYOUT):
            if key in rules.required.get(self.part, ()):
                who = f"preset {rules.name} does not know it" if rules.name else "it is not safe to guess"
                raise self.wrong(key, f"is missing, and {who}", f'state it in {self.path}: {{"{key}": ...}}')
            if key in rules.defaults.get(self.part, {}):
                return rules.defaults[self.part][key]
        raise KeyError(key)

    def flag(self, key: str) -> bool:
        """An entry that is true or false.

        Raises:
            DioramaError: it is neither.
        """
        found = self.value(key)
        if not isinstance(found, bool):
            raise self.wrong(key, f"is {found!r}, neither true nor false")
        return found

    def choice(self, key: str, among: Sequence[str]) -> str:
        """An entry that is one of some words.

        Raises:
            DioramaError: it is none of them.
        """
        found = self.value(key)
        if found not in among:
            raise self.wrong(key, f"is {found!r}", f"use one of {', '.join(among)}")
        return found

    def text(self, key: str) -> str:
        """An entry that is text.

        Raises:
            DioramaError: it is not.
        """
        found = self.value(key)
        if not isinstance(found, str):
            raise self.wrong(key, f"is {found!r}, not text")
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """An entry that is a list of texts.

        Raises:
            DioramaError: it is not.
        """
        found = self.value(key)
        if not isinstance(found, (list, tuple)) or not all(isinstance(item, str) for item in found):
            raise self.wrong(key, "is not a list of texts")
        return tuple(found)

    def number(self, key: str) -> float:
        """An entry that is a positive number.

        Raises:
            DioramaError: it is not.
        """
        found = self.value(key)
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 < found < float("inf"):
            raise self.wrong(key, f"is {found!r}, not a positive number")
        return float(found)

    def source(self) -> Source:
        """Who made this part, filled from the preset where the file says less."""
        found = self.entries.get("source", {})
        if not isinstance(found, Mapping):
            raise self.wrong("source", "is not a table")
        given = {**self.preset.defaults.get(self.part, {}).get("source", {}), **found}
        notes = given.pop("notes", [])
        texts = [*given.values(), *(notes if isinstance(notes, (list, tuple)) else [None])]
        if not set(given) <= {"frontend", "model", "licence"} or not all(isinstance(text, str) for text in texts):
            raise self.wrong("source", "is not a table of the texts frontend, model, licence and a list of notes")
        return Source(
            given.get("frontend", "precomputed"), given.get("model", ""), given.get("licence", ""), tuple(notes)
        )

    def confidence(self, values: np.ndarray, path: Path) -> np.ndarray:
        """Confidences as 0 to 1: c - 1 or c that is open upwards becomes x / (1 + x), which keeps the order.

        Raises:
            DioramaError: they are not within the range that is stated.
        """
        stated = self.choice("confidence", CONFIDENCES)
        excess = values - (1.0 if stated == "1 up" else 0.0)
        if not (excess >= 0).all() or (stated == "0 to 1" and not (excess <= 1).all()):
            fix = f'state "confidence" in {self.path}: "0 to 1", "1 up" or "0 up"'
            raise DioramaError(
                f"confidences from {values.min():g} to {values.max():g} are not {stated}", where=path, fix=fix
            )
        return excess if stated == "0 to 1" else excess / (1 + excess)


def read_about(folder: Path, preset: Preset, part: str | None = None) -> About:
    """The `about.json` of a part's folder, which has the part's name if `part` is not given; without one nothing is said.

    Raises:
        DioramaError: it is damaged, or has an entry that no such part has.
    """
    path, part = folder / "about.json", part or folder.name
    entries = read_json(path) if path.exists() else {}
    known = [*LAYOUT.defaults[part], *LAYOUT.required.get(part, ())]
    strange = sorted(set(entries) - set(known))
    if strange:
        raise DioramaError(f"unknown entry {strange[0]!r}", where=path, fix=f"the entries are {', '.join(known)}")
    return About(path, part, entries, preset)


@dataclass(frozen=True)
class Pixels:
    """How a tool's pixels become the house's: (xy + `shift`) * `scale`."""

    scale: Float[np.ndarray, " 2"]
    shift: float

    def points(self, xy: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Pixels of the upright source picture, centres at half integers."""
        return (xy + self.shift) * self.scale

    def intrinsics(self, K: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3 3"]:
        """K of the same cameras in these pixels."""
        out = np.array(K, np.float64)
        out[..., :2, 2] += self.shift
        out[..., :2, :] *= self.scale[:, None]
        return out


def pixel_shift(about: About) -> float:
    """What is added to a tool's pixel coordinates: 0.5 where it has pixel centres at integers."""
    return 0.5 if about.choice("pixel_centres", PIXEL_CENTRES) == "integer" else 0.0


def pixels_of(about: About, timeline: Timeline) -> Pixels:
    """From the entries `pixel_centres` and `size`.

    Raises:
        DioramaError: an entry is wrong or has to be stated.
    """
    size = about.value("size")
    if size is None:
        return Pixels(np.ones(2), pixel_shift(about))
    whole = isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)
    if not whole:
        raise about.wrong("size", f"is {size!r}, not [width, height] in pixels")
    return Pixels(scale_to_source((size[0], size[1]), timeline, about.path), pixel_shift(about))


def scale_to_source(size: tuple[int, int], timeline: Timeline, path: Path) -> Float[np.ndarray, " 2"]:
    """Source pixels per pixel of a whole picture of `size` = (width, height), along x and y.

    Raises:
        DioramaError: it has another aspect, so that it is not the whole picture.
    """
    scale = np.array([timeline.width / size[0], timeline.height / size[1]])
    if abs(scale[0] / scale[1] - 1) > _ASPECT:
        what = f"pictures of {size[0]} x {size[1]} do not show the whole of {timeline.width} x {timeline.height}"
        raise DioramaError(what, where=path, fix="undo the crop or the rotation first")
    return scale
