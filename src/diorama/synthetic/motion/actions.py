"""What a person can be told to do, in order. Actions that travel join without a stop; all others start and end at rest.

Steps and obstacles of the layout need no word: whoever walks across them climbs, descends and steps over.
"""

from __future__ import annotations

from dataclasses import dataclass

from diorama.synthetic.layout import Slab

WALKING_SPEED = 1.25
RUNNING_SPEED = 2.8


@dataclass(frozen=True)
class Walk:
    """`distance` metres straight on, or along an arc of `curvature` (1/m, left positive), at `speed` m/s."""

    distance: float
    speed: float = WALKING_SPEED
    curvature: float = 0.0


@dataclass(frozen=True)
class WalkTo:
    """To a place (x, y; metres): an arc, then straight. Who stands and looks elsewhere turns round first."""

    place: tuple[float, float]
    speed: float = WALKING_SPEED


@dataclass(frozen=True)
class Run:
    """As `Walk`, but with a phase of flight."""

    distance: float
    speed: float = RUNNING_SPEED
    curvature: float = 0.0


@dataclass(frozen=True)
class RunTo:
    """As `WalkTo`, but with a phase of flight."""

    place: tuple[float, float]
    speed: float = RUNNING_SPEED


@dataclass(frozen=True)
class Stairs:
    """Over these steps in order (up or down), to a little beyond the last."""

    steps: tuple[Slab, ...]
    speed: float = 1.0


@dataclass(frozen=True)
class StepOver:
    """Across the middle of an obstacle, straight over its shorter side."""

    obstacle: Slab
    speed: float = 1.0


@dataclass(frozen=True)
class Stand:
    """Stand still."""

    seconds: float = 1.0


@dataclass(frozen=True)
class TurnRound:
    """Turn on the spot by an angle (radians, left positive), stepping."""

    angle: float


@dataclass(frozen=True)
class Crouch:
    """Down on bent knees, stay, and up again; `depth` is the share of the deepest crouch."""

    seconds: float = 1.0
    depth: float = 0.8


@dataclass(frozen=True)
class SitDown:
    """Go to a free side of a seat or bed, turn the back to it and sit down; without a slab, sit on the ground.

    `facing` (radians from +X) chooses the side; None takes the nearest free one.
    """

    seat: Slab | None = None
    facing: float | None = None


@dataclass(frozen=True)
class Sit:
    """Stay seated."""

    seconds: float = 2.0


@dataclass(frozen=True)
class GetUp:
    """From sitting to standing."""


@dataclass(frozen=True)
class LeanHand:
    """Go to a wall or table, put one palm on it, stay, and take it away; `side` is "left" or "right"."""

    slab: Slab
    side: str = "right"
    seconds: float = 2.0


@dataclass(frozen=True)
class LieDown:
    """From sitting to lying on the back: along a bed, or on the ground. Who stands sits down first (on `bed`)."""

    bed: Slab | None = None


@dataclass(frozen=True)
class Lie:
    """Stay lying."""

    seconds: float = 2.0


@dataclass(frozen=True)
class GetUpFromLying:
    """From lying to sitting and to standing."""


Travel = Walk | WalkTo | Run | RunTo | Stairs | StepOver
Action = Travel | Stand | TurnRound | Crouch | SitDown | Sit | GetUp | LeanHand | LieDown | Lie | GetUpFromLying


@dataclass(frozen=True)
class Script:
    """Where somebody starts (x, y; metres), looking along `heading` (radians from +X), and what is done then.

    `begin` seconds of the script have passed at time 0, so that a clip may start in the middle of a walk.
    """

    start: tuple[float, float]
    heading: float
    actions: tuple[Action, ...]
    begin: float = 0.0
