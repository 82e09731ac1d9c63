"""Tables for biomechanics and spreadsheets: joint centres and joint angles, one row per person and frame.

The joints are those of the body model, not anatomical landmarks, and the angles are those of its joints: of the rotation
against the parent joint, from the T-pose, as three turns one after the other about the joint's own axes: x (to the
person's left), then z (to the front), then y (up). At a knee x is flexion, at a hip -x is flexion. For the pelvis the
angles are those of the person in the file's world. `bend` of knees and elbows is the angle by which the limb departs from
straight, from joint centres alone.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from diorama.assets import atomic_path
from diorama.body.joints import JOINT_INDEX, JOINT_NAMES
from diorama.errors import DioramaError
from diorama.export.axes import Axes
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.resampling import at_rate
from diorama.export.skeleton import local_rotations
from diorama.reconstruction import Person, Reconstruction

# Joint whose bend is told, with the joints above and below it.
BENDS = {
    f"{side}_{joint}": (f"{side}_{above}", f"{side}_{below}")
    for side in ("left", "right")
    for joint, above, below in (("knee", "hip", "ankle"), ("elbow", "shoulder", "wrist"))
}
_KEYS = ("person", "frame", "time_s", "observed")


def write_csv(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> list[Path]:
    """Write `joints.csv` and `angles.csv` into a folder; for `walk.csv`, it and `walk_angles.csv`.

    The names of the columns carry the unit (`left_knee_x_m`, `left_knee_x_deg`). Rows are sorted by frame.

    Raises:
        DioramaError: a motion is not finite, or the path is not writable.
    """
    path, moving, axes = Path(path), at_rate(reconstruction, options), Axes.chosen(options)
    moving = moving.replace(people=tuple(person for person in moving.people if len(person.frames)))
    single = path.suffix.lower() == ".csv"
    joints = path if single else path / "joints.csv"
    angles = path.with_name(f"{path.stem}_angles.csv") if single else path / "angles.csv"
    places = {person.id: axes.points(person.joints_world).reshape(len(person.frames), -1) for person in moving.people}
    turns = {person.id: _angles(person, axes) for person in moving.people}
    _write(joints, [f"{name}_{axis}_{axes.unit}" for name in JOINT_NAMES for axis in "xyz"], moving, places)
    bends = [f"{name}_bend_deg" for name in BENDS]
    _write(angles, [f"{name}_{axis}_deg" for name in JOINT_NAMES for axis in "xzy"] + bends, moving, turns)
    return [joints, angles]


def _angles(person: Person, axes: Axes) -> Float[np.ndarray, "frames columns"]:
    """Degrees: three per joint, then the bends."""
    rotations = local_rotations(person)
    rotations[:, 0] = axes.rotation @ rotations[:, 0]
    cardan = np.degrees(cardan_xzy(rotations)).reshape(len(rotations), -1)
    bends = [_bend(person.joints_world, name, *ends) for name, ends in BENDS.items()]
    return np.concatenate([cardan, np.degrees(np.stack(bends, -1))], 1)


def cardan_xzy(rotations: Float[np.ndarray, "*n 3 3"]) -> Float[np.ndarray, "*n 3"]:
    """Angles (a, b, c), radians, with rotation = Rx(a) Rz(b) Ry(c) and b within a quarter turn."""
    R = rotations
    b = np.arctan2(-R[..., 0, 1], np.hypot(R[..., 0, 0], R[..., 0, 2]))
    upright = np.abs(R[..., 0, 1]) < 1 - 1e-12
    a = np.where(upright, np.arctan2(R[..., 2, 1], R[..., 1, 1]), np.arctan2(-R[..., 1, 2], R[..., 2, 2]))
    c = np.where(upright, np.arctan2(R[..., 0, 2], R[..., 0, 0]), 0.0)
    return np.stack([a, b, c], -1)


def _bend(joints: np.ndarray, name: str, above: str, below: str) -> Float[np.ndarray, " frames"]:
    """Angle between the bone into a joint and the bone out of it, radians; 0 is straight."""
    at = joints[:, JOINT_INDEX[name]]
    u, v = at - joints[:, JOINT_INDEX[above]], joints[:, JOINT_INDEX[below]] - at
    return np.arctan2(np.linalg.norm(np.cross(u, v), axis=1), (u * v).sum(1))


def _write(path: Path, columns: Sequence[str], moving: Reconstruction, values: dict[int, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*_KEYS, *columns])
        writer.writerows(_rows(moving, values))


def _rows(moving: Reconstruction, values: dict[int, np.ndarray]) -> Iterator[list[Any]]:
    row_of = {person.id: {int(frame): row for row, frame in enumerate(person.frames)} for person in moving.people}
    for frame, time in enumerate(moving.times):
        for person in moving.people:
            if (row := row_of[person.id].get(frame)) is not None:
                numbers = [f"{value:.7f}" for value in values[person.id][row]]
                yield [person.id, frame, f"{time:.6f}", int(person.observed[row]), *numbers]


def read_csv(path: str | Path) -> dict[str, Float[np.ndarray, " rows"]]:
    """Columns by name.

    Raises:
        DioramaError: missing, or not a table of numbers with names above.
    """
    try:
        with Path(path).open(encoding="ascii", newline="") as file:
            names, *rows = csv.reader(file)
        table = np.array(rows, np.float64).reshape(len(rows), len(names))
        return {name: table[:, column] for column, name in enumerate(names)}
    except (OSError, ValueError) as error:
        raise DioramaError(f"not a table ({error})", where=path, fix="export it again") from error
