"""Frozen suites of sequences on which methods are measured. Never edit one: add a version beside it.

`standard` has simulated observations (no pictures): every layout, every way of filming, one to four people. `rendered`
has short clips for whole pipelines; `static` has cameras that stand still, for SHARE. All were fixed before any method was
tuned on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from diorama.errors import DioramaError
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.synthetic.sequences import SequenceSpec, simulated

_ADULTS = (18.0, 70.0)


def _clip(name: str, preset: str, camera: str, people: int, seed: int) -> SequenceSpec:
    return SequenceSpec(name, preset, camera, people, seed, 90, 30.0, 640, 360, ages=_ADULTS)


STANDARD_1: tuple[SequenceSpec, ...] = (
    SequenceSpec("street-behind-2", "street", "behind", 2, 101),
    SequenceSpec("street-front-1", "street", "front", 1, 102, 150),
    SequenceSpec("street-beside-3", "street", "beside", 3, 103),
    SequenceSpec("street-drone-4", "street", "drone", 4, 104),
    SequenceSpec("street-pan-2", "street", "pan", 2, 105, zoom=True),
    SequenceSpec("room-static-1", "room", "static", 1, 106, 150),
    SequenceSpec("room-static-3", "room", "static", 3, 107),
    SequenceSpec("room-standing-2", "room", "standing", 2, 108),
    SequenceSpec("stairs-behind-1", "stairs", "behind", 1, 109),
    SequenceSpec("stairs-orbit-2", "stairs", "orbit", 2, 110),
    SequenceSpec("slope-beside-2", "slope", "beside", 2, 111, distorted=True),
    SequenceSpec("slope-standing-1", "slope", "standing", 1, 112, zoom=True),
    SequenceSpec("clutter-orbit-1", "clutter", "orbit", 1, 113, 150),
    SequenceSpec("clutter-front-4", "clutter", "front", 4, 114),
)
RENDERED_1: tuple[SequenceSpec, ...] = (
    _clip("street-behind-1", "street", "behind", 1, 201),
    _clip("street-beside-2", "street", "beside", 2, 202),
    _clip("room-static-1", "room", "static", 1, 203),
    _clip("stairs-front-1", "stairs", "front", 1, 204),
    _clip("slope-orbit-2", "slope", "orbit", 2, 205),
    _clip("clutter-pan-1", "clutter", "pan", 1, 206),
)
STATIC_1: tuple[SequenceSpec, ...] = (
    SequenceSpec("room-1", "room", "static", 1, 301, 100),
    SequenceSpec("room-2", "room", "static", 2, 302, 100),
    SequenceSpec("room-3", "room", "static", 3, 303, 100),
    SequenceSpec("street-1", "street", "static", 1, 304, 100),
    SequenceSpec("street-2", "street", "static", 2, 305, 100),
    SequenceSpec("clutter-1", "clutter", "static", 1, 306, 100),
    SequenceSpec("clutter-2", "clutter", "static", 2, 307, 100),
    SequenceSpec("slope-1", "slope", "static", 1, 308, 100),
    SequenceSpec("slope-2", "slope", "static", 2, 309, 100),
    SequenceSpec("stairs-1", "stairs", "static", 1, 310, 100),
    SequenceSpec("stairs-2", "stairs", "static", 2, 311, 100),
    SequenceSpec("room-1-long", "room", "static", 1, 312, 300),
)
SUITES: dict[str, tuple[SequenceSpec, ...]] = {"standard": STANDARD_1, "rendered": RENDERED_1, "static": STATIC_1}


def suite(name: str) -> tuple[SequenceSpec, ...]:
    """The newest version of a suite.

    Raises:
        DioramaError: there is no such suite.
    """
    if name not in SUITES:
        raise DioramaError("there is no such suite", where=name, fix=f"choose one of {', '.join(SUITES)}")
    return SUITES[name]


def simulated_suite(
    specs: tuple[SequenceSpec, ...], cache: Path | None = None, *, errors: str = "typical", processes: int = 2
) -> Iterator[tuple[SequenceSpec, Reconstruction, Observations]]:
    """Truth and simulated observations of many sequences, in order, made by several processes."""
    if processes <= 1:
        yield from (_one(spec, cache, errors) for spec in specs)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), torch.set_num_threads, (1,)) as pool:
        yield from pool.map(_one, specs, [cache] * len(specs), [errors] * len(specs))


def _one(spec: SequenceSpec, cache: Path | None, errors: str) -> tuple[SequenceSpec, Reconstruction, Observations]:
    return spec, *simulated(spec, cache, errors=errors)
