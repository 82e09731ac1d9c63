"""What a window becomes: cameras, depth and people in a world of its own. Tests have a branch without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from diorama.methods.unish.pictures import Window


@dataclass(frozen=True)
class WindowPerson:
    """One person in front of the cameras: local rotations (the first to the camera), SMPL's shape numbers and
    translation per frame; meaningless where not `seen`."""

    id: int
    seen: Bool[np.ndarray, " frames"]
    rotations: Float[np.ndarray, "frames 24 3 3"]
    betas: Float[np.ndarray, "frames betas"]
    transl: Float[np.ndarray, "frames 3"]


@dataclass(frozen=True)
class WindowWorld:
    """A window in a world of its own, as metric as it can tell.

    Attributes:
        K: in working pixels.
        T_world_camera: the world is any.
        depth: along the axis, 0 where unknown; lies on the working pixels.
        confidence: 0 to 1.
        people: everybody of the window.
        scale_witnesses: frames with people who told the scale; 0: nobody did.
    """

    K: Float[np.ndarray, "frames 3 3"]
    T_world_camera: Float[np.ndarray, "frames 4 4"]
    depth: Float[np.ndarray, "frames height width"]
    confidence: Float[np.ndarray, "frames height width"]
    people: tuple[WindowPerson, ...]
    scale_witnesses: int


@runtime_checkable
class SceneBranch(Protocol):
    """From windows to their worlds."""

    @property
    def needs_pictures(self) -> bool:
        """Whether there must be a video."""
        ...

    @property
    def credit(self) -> Mapping[str, Any]:
        """What results say of it: name, licence, source."""
        ...

    @property
    def together(self) -> int:
        """How many windows it wants at once."""
        ...

    def __call__(self, windows: Sequence[Window]) -> list[WindowWorld]:
        """The world of each window; all are of one size and length."""
        ...
