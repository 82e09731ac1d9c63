"""How long, how quick and how bouncy the steps are at a speed, for people of any size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diorama.errors import DioramaError
from diorama.synthetic.feet import Gait
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.walk import Manner, cycle_seconds

_GAIT = Gait()
_SLOWEST = 0.2
# People of every size change from walking to running near a Froude number v^2 / (g leg) of 0.5 and can hardly walk
# above 1 (Alexander 1989).
_FASTEST_FROUDE = {False: 0.95, True: 4.2}
# Steps per second of a runner of 1.72 m: little slower at low speed (Cavanagh and Kram 1989: 2.6 at 3.15 m/s to 2.9).
_RUN_RATE, _RUN_RATE_PER_SPEED = 2.5, 0.08
# Share of a cycle during which one running foot stands, falls with speed (Novacheck 1998: 0.39 at 3.2, 0.36 sprint).
_RUN_DUTY, _RUN_DUTY_PER_SPEED, _RUN_DUTY_LEAST = 0.42, 0.022, 0.30
GRAVITY = 9.81


@dataclass(frozen=True)
class Stride:
    """One step's numbers; times in seconds, lengths in metres, angles in radians.

    Attributes:
        length, seconds: of the step, from one foot's strike to the other's.
        overlap: both feet stand this long after the strike; negative: neither stood this long before it (flight).
        middle: from the strike to when the pelvis is above the foot.
        carried: time that the foot needs through the air when it starts from standing.
        lean, swing, elbow: of trunk and arms; `amount` is that of the pelvis's turning and rolling.
    """

    running: bool
    length: float
    seconds: float
    overlap: float
    middle: float
    carried: float
    lean: float
    swing: float
    elbow: float
    amount: float


def stride(figure: Figure, manner: Manner, speed: float, running: bool) -> Stride:
    """The steps of somebody at a speed (m/s).

    Raises:
        DioramaError: too fast for legs of this length.
    """
    froude = speed**2 / (GRAVITY * figure.leg)
    if froude > _FASTEST_FROUDE[running] or speed <= 0:
        fastest = float(np.sqrt(_FASTEST_FROUDE[running] * GRAVITY * figure.leg))
        raise DioramaError(
            f"{'running' if running else 'walking'} at {speed:.2f} m/s with legs of {figure.leg:.2f} m",
            where="script", fix=f"a speed above 0 and up to {fastest:.2f} m/s" + ("" if running else ", or run"),
        )  # fmt: skip
    return _run(figure, manner, speed) if running else _walk(figure, manner, max(speed, _SLOWEST))


def _walk(figure: Figure, manner: Manner, speed: float) -> Stride:
    seconds = cycle_seconds(figure.skeleton, speed, manner) / 2
    return Stride(
        running=False, length=speed * seconds, seconds=seconds, overlap=2 * (_GAIT.toe_off - 0.5) * seconds,
        middle=2 * _GAIT.middle * seconds, carried=2 * (1 - _GAIT.toe_off) * seconds, lean=manner.lean,
        swing=manner.arm_swing * float(np.sqrt(speed / 1.2)), elbow=manner.elbow, 
        amount=min(speed * seconds / (0.72 * figure.leg), 1.0),
    )  # fmt: skip


def _run(figure: Figure, manner: Manner, speed: float) -> Stride:
    relative = speed / np.sqrt(figure.size)
    seconds = float(np.sqrt(figure.size) / (_RUN_RATE + _RUN_RATE_PER_SPEED * relative))
    duty = max(_RUN_DUTY - _RUN_DUTY_PER_SPEED * relative, _RUN_DUTY_LEAST)
    return Stride(
        running=True, length=speed * seconds, seconds=seconds, overlap=(2 * duty - 1) * seconds,
        middle=0.74 * duty * seconds, carried=2 * (1 - duty) * seconds, lean=manner.lean + 0.03 * relative,
        swing=0.45 + 0.08 * relative, elbow=1.45, amount=1.0,
    )  # fmt: skip
