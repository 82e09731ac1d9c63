"""The scale of a first world, looked for before it is refined.

Steps of the solver change a world's scale by some percent each, and beyond a sixth the robust losses of contacts no longer
pull. The misfit of worlds over a range of scales tells where to begin: slides and gaps grow with every error of scale.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from diorama.methods.josh.key_problem import KeyPerson, KeyProblem, KeyWorld
from diorama.methods.josh.key_solve import KeyConfig, build, key_contacts, loosened
from diorama.solver import CondensedTerm

# Logarithms of the factors that are tried: 0.6 to 1.65.
_TRIED = 0.1 * np.arange(-5, 6)
# Deviations of static contacts are as many times larger meanwhile.
_SLIDES = 3.0
# A contact that finds no surface counts as one that misses it by so many deviations.
_MISSED = 5.0


def well_scaled(problem: KeyProblem, world: KeyWorld, config: KeyConfig) -> KeyWorld:
    """The world at the scale of least misfit among those tried: cameras about the first one and maps, people in their
    places before their cameras. Worlds without people, and cameras that do not travel, stay as they are; so do all worlds if
    there is no contact scene loss, whose basin this looks for."""
    if problem.kind != "translating" or not problem.people or not config.contact_scene:
        return world
    loose = loosened(config, 0)
    loose = replace(loose, static_sigma=_SLIDES * loose.static_sigma)
    worlds = [rescaled(problem, world, float(np.exp(log))) for log in _TRIED]
    misfits = [_misfit(problem, tried, loose) for tried in worlds]
    best = int(np.argmin(misfits))
    return world if misfits[best] >= _misfit(problem, world, loose) else worlds[best]


def rescaled(problem: KeyProblem, world: KeyWorld, factor: float) -> KeyWorld:
    """The world `factor` times as large, with people as large and as far from their cameras as they were."""
    centres = world.centres[0] + factor * (world.centres - world.centres[0])
    log_depth = world.log_depth.clone()
    log_depth[:, 0] += np.log(factor)
    shift = centres - world.centres
    people = tuple(
        replace(placed, transl=placed.transl + shift[torch.from_numpy(seen.keys)])
        for seen, placed in zip(problem.people, world.people, strict=True)
    )
    return replace(world, centres=centres, log_depth=log_depth, people=people)


def _misfit(problem: KeyProblem, world: KeyWorld, config: KeyConfig) -> float:
    """Cost of all terms but the matches, which know no scale."""
    _, values, terms = build(problem, world, config)
    cost = sum(float(term.cost(values)) for term in terms if not isinstance(term, CondensedTerm))
    missing = sum(
        _contacts(seen, config) - len(key_contacts(seen, placed, problem, world, config))
        for seen, placed in zip(problem.people, world.people, strict=True)
    )
    return cost + config.contact_scene * missing * float(config.contact.loss.rho(torch.tensor(_MISSED**2)))


def _contacts(seen: KeyPerson, config: KeyConfig) -> int:
    """Of a person with the scene, if every site found its surface; lasting ones are tied to both neighbours."""
    touching = int((seen.contact > config.contact.least_probability).sum())
    return touching + (2 * int((seen.lasting > 0.5).sum()) if config.contact_static else 0)
