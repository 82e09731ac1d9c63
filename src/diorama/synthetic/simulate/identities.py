"""Who is seen when, and under which number: missed frames, exchanged, broken, late and lost tracks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from diorama.synthetic.simulate.noise import bursts, stream
from diorama.synthetic.simulate.seen_person import SeenPerson


@dataclass(frozen=True)
class IdentityConfig:
    """Faults of a tracker. The defaults make none.

    Attributes:
        missed: share of a person's frames without a detection.
        missed_seconds: mean length of such a gap, seconds.
        swap: chance that two people exchange their ids after their silhouettes have touched, per meeting.
        splits: times per minute that a person's track breaks and goes on under a new id.
        split_seconds: seconds without a detection at such a break.
        late: chance per person to be found only some time after he appears, at most `late_seconds`.
        late_seconds: seconds.
        lost: chance per person that his track ends for good somewhere in its second half.
        unseen: a person is not detected where less than this share of his landmarks is inside the picture and
            uncovered (his own body may hide them).
        shortest: tracks with fewer frames are dropped, as trackers do.
    """

    missed: float = 0.0
    missed_seconds: float = 0.2
    swap: float = 0.0
    splits: float = 0.0
    split_seconds: float = 0.0
    late: float = 0.0
    late_seconds: float = 1.0
    lost: float = 0.0
    unseen: float = 0.0
    shortest: int = 1


@dataclass(frozen=True)
class Identity:
    """An observed id: in the frames `rows` it is the person `true_ids`."""

    id: int
    rows: Int[np.ndarray, " n"]
    true_ids: Int[np.ndarray, " n"]

    @property
    def main(self) -> int:
        """The person that it is most of the time."""
        ids, counts = np.unique(self.true_ids, return_counts=True)
        return int(ids[np.argmax(counts)])


def plan_identities(
    people: Sequence[SeenPerson],
    touching: Mapping[int, set[tuple[int, int]]],
    config: IdentityConfig,
    seed: int,
) -> tuple[Identity, ...]:
    """All observed ids, ascending. Without faults they are the true ones; new ids follow the largest true one.

    Tracks shorter than `config.shortest` are among them: the caller drops them, and says so.
    """
    breaks = {p.id: _split_rows(p, config, stream(seed, "identities", "splits", p.id)) for p in people}
    seen = {p.id: p.rows[_detected(p, breaks[p.id], config, stream(seed, "identities", p.id))] for p in people}
    events = _meetings(people, touching, config, seed)
    events += [(row, "split", id, 0) for id, rows in breaks.items() for row in rows]
    following = max((p.id for p in people), default=0) + 1
    named = {p.id: p.id for p in people}
    labels = {id: np.full(len(rows), id) for id, rows in seen.items()}
    for row, kind, one, other in sorted(events):
        if kind == "swap":
            named[one], named[other] = named[other], named[one]
        elif (seen[one] >= row).any() and (seen[one] < row).any():
            named[one], following = following, following + 1
        for id in seen:
            labels[id][seen[id] >= row] = named[id]
    return _collect(seen, labels)


def _collect(seen: dict[int, np.ndarray], labels: dict[int, np.ndarray]) -> tuple[Identity, ...]:
    """Rows by label; new labels without a single row leave no gap in the numbers."""
    if not seen:
        return ()
    rows = np.concatenate(list(seen.values()))
    label = np.concatenate(list(labels.values()))
    true = np.concatenate([np.full(len(r), id) for id, r in seen.items()])
    out, largest = [], max(seen)
    for id in np.unique(label):
        chosen = np.flatnonzero(label == id)
        chosen = chosen[np.argsort(rows[chosen], kind="stable")]
        number = int(id) if id <= largest else max(largest, out[-1].id) + 1
        out.append(Identity(number, rows[chosen], true[chosen]))
    return tuple(out)


def _detected(
    person: SeenPerson, breaks: Sequence[int], config: IdentityConfig, rng: np.random.Generator
) -> Bool[np.ndarray, " n"]:
    """Rows of a person with a detection; `breaks` are the frames at which his track breaks."""
    times = person.times
    found = (1 - person.covered.mean(1)) >= config.unseen
    found &= ~bursts(rng, times, config.missed, config.missed_seconds, 1)[:, 0]
    appear, delay, end, when = rng.random(4)
    if not len(times):
        return found
    if appear < config.late:
        found &= times >= times[0] + delay * config.late_seconds
    if end < config.lost:
        found &= times <= times[0] + (0.5 + 0.5 * when) * (times[-1] - times[0])
    for row in breaks:
        began = times[np.searchsorted(person.rows, row)]
        found &= (times < began) | (times >= began + config.split_seconds)
    return found


def _split_rows(person: SeenPerson, config: IdentityConfig, rng: np.random.Generator) -> list[int]:
    """Rows at which a person's track breaks."""
    minutes = (person.times[-1] - person.times[0]) / 60 if len(person.times) else 0.0
    places = rng.random(rng.poisson(config.splits * minutes))
    return sorted({int(person.rows[int(place * len(person.rows))]) for place in places})


def _meetings(
    people: Sequence[SeenPerson], touching: Mapping[int, set[tuple[int, int]]], config: IdentityConfig, seed: int
) -> list[tuple[int, str, int, int]]:
    """Exchanges of ids, each at the first row after two people have touched."""
    rng = stream(seed, "identities", "swap")
    rows = np.unique(np.concatenate([p.rows for p in people])) if people else np.zeros(0, int)
    present = {p.id for p in people}
    out, before = [], set()
    for row in rows:
        now = {pair for pair in touching.get(int(row), set()) if set(pair) <= present}
        for one, other in sorted(before - now):
            if rng.random() < config.swap:
                out.append((int(row), "swap", one, other))
        before = now
    return out
