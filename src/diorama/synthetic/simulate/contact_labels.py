"""Contact labels as a classifier gives them: wrong for a while, more or less sure of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.synthetic.simulate.noise import bursts, stream
from diorama.synthetic.simulate.seen_person import SeenPerson

# Concentration of the beta distribution of certainties.
_CONCENTRATION = 8.0


@dataclass(frozen=True)
class ContactLabelConfig:
    """Errors of contact labels. The defaults make none.

    A label is right if probability and truth are on the same side of one half.

    Attributes:
        missed: share of the frames in contact that are labelled free.
        invented: share of the frames without contact that are labelled as contact.
        seconds: mean length of such an error, seconds (it ends early when the contact does).
        certainty: mean of |2 p - 1| of right labels; 1 gives probabilities of exactly 0 and 1.
        wrong_certainty: the same of wrong labels.
        moved: share of contacts (per frame and site) whose label goes to another site (JOSH, appendix F).
    """

    missed: float = 0.0
    invented: float = 0.0
    seconds: float = 0.15
    certainty: float = 1.0
    wrong_certainty: float = 1.0
    moved: float = 0.0


def observed_contacts(person: SeenPerson, config: ContactLabelConfig, seed: int) -> Float[np.ndarray, "n sites"]:
    """Probabilities of all sites in all rows of a person."""
    at = np.searchsorted(person.person.frames, person.rows)
    true = person.person.contacts[at] > 0.5
    sites = true.shape[1]
    rng = stream(seed, "contacts", person.id)
    missed = bursts(rng, person.times, config.missed, config.seconds, sites)
    invented = bursts(rng, person.times, config.invented, config.seconds, sites)
    label = np.where(true, ~missed, invented)
    right = _certainty(rng, config.certainty, label.shape)
    wrong = _certainty(rng, config.wrong_certainty, label.shape)
    sure = np.where(label == true, right, wrong)
    probability = 0.5 + 0.5 * np.where(label, sure, -sure)
    return _moved(probability, config.moved, stream(seed, "moved contacts", person.id))


def _certainty(rng: np.random.Generator, mean: float, shape: tuple[int, ...]) -> Float[np.ndarray, "n sites"]:
    """Beta numbers of this mean, never 0: a label stays on its side of one half."""
    if mean >= 1:
        return np.ones(shape)
    return np.maximum(rng.beta(_CONCENTRATION * mean, _CONCENTRATION * (1 - mean), shape), 1e-3)


def _moved(
    probability: Float[np.ndarray, "n sites"], share: float, rng: np.random.Generator
) -> Float[np.ndarray, "n sites"]:
    """Some contacts exchange their probability with a site that has none."""
    out = probability.copy()
    chance, order = rng.random(out.shape), rng.random(out.shape)
    for row, site in np.argwhere((probability > 0.5) & (chance < share)):
        free = np.flatnonzero(out[row] <= 0.5)
        if len(free):
            target = free[np.argmax(order[row, free])]
            out[row, [site, target]] = out[row, [target, site]]
    return out
