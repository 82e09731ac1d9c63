"""One person per file: how tracks with gaps become files, and what the files are called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from diorama.export.resampling import person_at, runs
from diorama.reconstruction import Person, Reconstruction

# Gaps of a track up to this long are interpolated, longer ones end a file.
BRIDGE_SECONDS = 0.5


@dataclass(frozen=True)
class Part:
    """A stretch of one person's track: `rows` of its arrays, at `times` (seconds)."""

    name: str
    person: Person
    rows: Int[np.ndarray, " rows"]
    times: Float[np.ndarray, " rows"]

    def at(self, times: Float[np.ndarray, " m"]) -> Person:
        """The person at other times of this stretch; gaps are bridged. Its `frames` count from 0."""
        rows = np.interp(times, self.times, self.rows.astype(float))
        return person_at(self.person, rows, np.arange(len(times)))


def parts(reconstruction: Reconstruction, bridge_seconds: float = BRIDGE_SECONDS) -> list[Part]:
    """All stretches of all people: `person_003`, `person_005`, `person_005_part2`."""
    found = []
    for person in reconstruction.people:
        for number, rows in enumerate(runs(person, reconstruction.times, bridge_seconds)):
            name = f"person_{person.id:03d}" + (f"_part{number + 1}" if number else "")
            found.append(Part(name, person, rows, reconstruction.times[person.frames[rows]]))
    return found


def part_path(path: Path, name: str, ending: str, *, alone: bool) -> Path:
    """`folder/person_003.bvh`; for a path that is a file, itself if it is `alone`, else `walk_person_003.bvh`."""
    if path.suffix.lower() != ending:
        return path / f"{name}{ending}"
    return path if alone else path.with_name(f"{path.stem}_{name}{path.suffix}")
