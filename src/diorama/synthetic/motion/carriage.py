"""The body above the feet: the pelvis rides as high as the legs allow, trunk and arms go with the steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from diorama.body.joints import JOINT_INDEX
from diorama.synthetic.curves import eased, keyed, smooth_above
from diorama.synthetic.feet import SIDES, FootMotion, foot_motion, upright
from diorama.synthetic.motion.figure import Figure
from diorama.synthetic.motion.plan import CHANNEL, CHANNELS, Plan
from diorama.synthetic.motion.schedule import KEY_COLUMNS, bounce
from diorama.synthetic.motion.steps import Walker
from diorama.synthetic.walk import FULL_LEG, euler

# Samples per second of the curves, between which they are interpolated by cubic splines.
RATE = 200
# The pelvis begins to sink this long before a leg is stretched, seconds.
_FORESIGHT = 0.15
# A run begins so long before its first flight and ends so long after its last, seconds.
_RUN_IN = 0.35
# Runners land on a bent knee: the pelvis is so much lower (in legs) than stretched legs ask for.
_RUN_LOWER = 0.03
# A swinging leg lowers the pelvis by at most this much, metres.
_PULL = 0.11
# How much the body of a person at rest sways (metres, radians), how often (Hz), and at which pitch one lies.
_SWAY = {
    "x": 0.003, "y": 0.003, "bend": 0.008, "twist": 0.012, "tilt": 0.006, "nod": 0.03, "look": 0.07,
    "left_swing": 0.02, "right_swing": 0.02, "left_elbow": 0.04, "right_elbow": 0.04,
}  # fmt: skip
_SWAY_RATES = np.array([0.11, 0.23, 0.37])
_RECLINED = 0.8
# The pelvis is still so long after somebody begins to sit down, seconds.
_SETTLING = 0.7
# The eyes look where the body will be heading so much later, seconds.
_LOOK_AHEAD = 0.35


def standing_height(figure: Figure) -> float:
    """Pelvis above the ground when the legs are stretched straight down, as far as legs are stretched here."""
    hip = figure.bone("pelvis", "left_hip")
    reach = FULL_LEG * figure.length("left_hip", "left_knee", "left_ankle")
    return reach + figure.skeleton.feet[0].ankle_height - float(hip[1])


def body_curves(plan: Plan) -> CubicSpline:
    """All channels of a plan as a function of time (seconds of the script)."""
    times = np.arange(int(np.ceil(plan.seconds * RATE)) + 2) / RATE
    columns = walking_channels(plan, times)
    for added in plan.glides:
        columns[:, [CHANNEL[name] for name in added.names]] += added.added(times)
    return CubicSpline(times, columns + _swaying(plan, times, columns))


def _swaying(plan: Plan, times: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "n channels"]:
    """Nobody is ever quite still: slow waves in trunk, head and arms, small as those of quiet standing (sway of some
    millimetres below 0.5 Hz; Winter 1995). None of the pelvis when seated, none at all when lying; other people have
    other waves."""
    out = np.zeros_like(columns)
    seed = plan.walker.manner.phase
    standing = np.ones(len(times))
    for span in plan.carried:
        standing -= eased((times - span.start) / _SETTLING) * eased((span.end - times) / _SETTLING)
    upright_share = eased((_RECLINED - np.abs(columns[:, CHANNEL["pitch"]])) / 0.4 + 1)
    for number, (name, size) in enumerate(_SWAY.items()):
        rates = _SWAY_RATES * (1 + 0.13 * np.sin(7.1 * number + 5 * seed))
        phases = 2 * np.pi * np.modf((number + 1) * (seed + 1.0) * np.array([0.618, 0.414, 0.732]))[0]
        waves = np.sin(2 * np.pi * rates * times[:, None] + phases) @ np.array([0.5, 0.3, 0.2])
        out[:, CHANNEL[name]] = size * waves * upright_share * (standing if name in ("x", "y") else 1.0)
    return out


def walking_channels(plan: Plan, times: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n channels"]:
    """The channels of somebody who only goes on foot."""
    manner = plan.walker.manner
    key_times = np.array([key.time for key in plan.keys])
    keys = keyed(times, key_times, np.array([key.values for key in plan.keys]))
    now = dict(zip(KEY_COLUMNS, keys.T, strict=True))
    turn, lean, amount = 2 * np.pi * now["phase"], now["lean"], now["amount"]
    twist = 0.6 * manner.pelvis_yaw * np.cos(turn) * amount
    rolled = manner.pelvis_roll * np.sin(turn - 0.4) * amount
    heading = now["heading"]
    ahead = np.interp(times + _LOOK_AHEAD, times, heading) - heading
    out = np.zeros((len(times), len(CHANNELS)))
    columns = {
        "x": now["x"], "y": now["y"], "yaw": heading - twist / 0.6, "pitch": 0.6 * lean, "roll": rolled,
        "bend": 0.12 * lean, "twist": twist + 0.12 * ahead, "tilt": -rolled / 3, "nod": -0.4 * lean,
        "look": -0.4 * twist + 0.3 * ahead,
    }  # fmt: skip
    for side, sign in zip(SIDES, (1, -1), strict=True):
        # Each arm is back when its own leg strikes.
        swung = -sign * now["swing"] * np.cos(turn)
        columns |= {f"{side}_swing": swung + 0.05, f"{side}_elbow": now["elbow"] + 0.5 * swung}
    for name, values in columns.items():
        out[:, CHANNEL[name]] = values
    out[:, CHANNEL["z"]] = _height(plan, times, out, now["ground"])
    return out


def rest_channels(
    walker: Walker, place: tuple[float, float], heading: float, ground: float, feet: Sequence[FootMotion]
) -> Float[np.ndarray, "1 channels"]:
    """The channels of somebody who stands still on two feet (one row each)."""
    out = np.zeros((1, len(CHANNELS)))
    wanted = ground + standing_height(walker.figure)
    out[0, [CHANNEL[name] for name in ("x", "y", "z", "yaw")]] = (*place, wanted, heading)
    out[0, CHANNEL["z"]] -= max(0.0, legs_excess(walker.figure, out, feet))
    return out


def legs_excess(figure: Figure, columns: Float[np.ndarray, "1 channels"], feet: Sequence[FootMotion]) -> float:
    """How far (metres) the pelvis is too high for the legs to stand on these feet; negative if the knees are bent."""
    turn = pelvis_rotation(columns)
    return max(float(_excess(figure, side, columns[:, :3], turn, foot)[0]) for side, foot in enumerate(feet))


def _height(plan: Plan, times: np.ndarray, columns: np.ndarray, ground: np.ndarray) -> Float[np.ndarray, " n"]:
    """Pelvis height: that of a standing person above the ground between the feet, less what the legs need."""
    wanted = ground + standing_height(plan.walker.figure) + bounce(times, plan.flights)
    place = np.stack([columns[:, CHANNEL["x"]], columns[:, CHANNEL["y"]], wanted], 1)
    orientation = pelvis_rotation(columns)
    standing, every = np.full(len(times), -np.inf), np.full(len(times), -np.inf)
    for side in range(2):
        foot = foot_motion(
            times, list(plan.holds[side]), list(plan.swings[side]), plan.walker.figure.skeleton.feet[side]
        )
        excess = _excess(plan.walker.figure, side, place, orientation, foot)
        every = np.maximum(every, excess)
        standing = np.maximum(standing, np.where(foot.heel_contact | foot.toe_contact, excess, -np.inf))
    # In the air a foot that is carried far out does not pull the body down: the leg just does not reach it.
    need = np.minimum(every, np.maximum(standing, 0) + _PULL)
    for span in plan.carried:
        rows = np.flatnonzero(span.covers(times))
        need[rows] = need[max(rows[0] - 1, 0)]
    need = np.maximum(need, 0)
    for first, last in _runs(plan):
        rows = (times >= first) & (times <= last)
        need[rows] = need[rows].max() + _RUN_LOWER * plan.walker.figure.leg
    return wanted - smooth_above(need, int(_FORESIGHT * RATE))


def _runs(plan: Plan) -> list[tuple[float, float]]:
    """Spans of running: free fall forbids that the legs change the height there."""
    spans: list[list[float]] = []
    for flight in plan.flights:
        if spans and flight.start - spans[-1][1] < _RUN_IN:
            spans[-1][1] = flight.end + _RUN_IN
        else:
            spans.append([flight.start - _RUN_IN, flight.end + _RUN_IN])
    return [(first, last) for first, last in spans]


def _excess(
    figure: Figure, side: int, pelvis: np.ndarray, orientation: np.ndarray, foot: FootMotion
) -> Float[np.ndarray, " n"]:
    """How far (metres) the pelvis is too high for a leg; negative where the knee is bent more."""
    name = SIDES[side]
    reach = FULL_LEG * figure.length(f"{name}_hip", f"{name}_knee", f"{name}_ankle")
    hip = pelvis + orientation @ figure.bone("pelvis", f"{name}_hip")
    across = np.linalg.norm((hip - foot.ankle)[:, :2], axis=1)
    return hip[:, 2] - foot.ankle[:, 2] - np.sqrt(np.maximum(reach**2 - across**2, 0))


def pelvis_rotation(columns: Float[np.ndarray, "n channels"]) -> Float[np.ndarray, "n 3 3"]:
    """Orientation of the pelvis."""
    yaw, pitch, roll = (columns[:, CHANNEL[name]] for name in ("yaw", "pitch", "roll"))
    return upright(yaw) @ euler(pitch, np.zeros_like(pitch), roll)


def upper_body(columns: Float[np.ndarray, "n channels"], arm_down: float) -> Float[np.ndarray, "n 24 3 3"]:
    """Local rotations of pelvis, trunk, head and arms; the legs stay as in the rest pose."""
    now = {name: columns[:, index] for name, index in CHANNEL.items()}
    zero = np.zeros(len(columns))
    out = np.tile(np.eye(3), (len(columns), len(JOINT_INDEX), 1, 1))
    out[:, 0] = pelvis_rotation(columns)
    for name in ("spine1", "spine2", "spine3"):
        out[:, JOINT_INDEX[name]] = euler(now["bend"], now["twist"], now["tilt"])
    for name in ("neck", "head"):
        out[:, JOINT_INDEX[name]] = euler(now["nod"], now["look"], zero)
    for side, sign in zip(SIDES, (1, -1), strict=True):
        hanging = euler(zero, zero, -sign * (arm_down - 0.1 - now[f"{side}_spread"]))
        out[:, JOINT_INDEX[f"{side}_collar"]] = euler(zero, zero, zero - sign * 0.1)
        out[:, JOINT_INDEX[f"{side}_shoulder"]] = euler(-now[f"{side}_swing"], zero, zero) @ hanging
        out[:, JOINT_INDEX[f"{side}_elbow"]] = euler(zero, -sign * now[f"{side}_elbow"], zero)
    return out
