"""The camera's path as TUM text, for evo and the SLAM tools: `time tx ty tz qx qy qz qw`, camera to world.

Seconds of the video; the camera looks along +Z with +Y down (OpenCV). Nothing but poses: no lens, and no word of which
poses were interpolated.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from diorama.assets import atomic_path
from diorama.errors import DioramaError
from diorama.export.axes import Axes
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.resampling import at_rate
from diorama.export.skin import quaternions_xyzw
from diorama.geometry.transforms import rigid
from diorama.reconstruction import Reconstruction


def write_tum(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> Path:
    """Write one line of 8 numbers per frame, single spaces, no header: evo rejects anything else.

    Raises:
        DioramaError: the path is not writable.
    """
    path, moving = Path(path), at_rate(reconstruction, options)
    poses = Axes.chosen(options).poses(moving.cameras.T_world_camera)
    turns = quaternions_xyzw(poses[:, :3, :3])
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii", newline="\n") as file:
        for time, centre, turn in zip(moving.times, poses[:, :3, 3], turns, strict=True):
            file.write(" ".join([f"{time:.9f}", *(f"{value:.9f}" for value in (*centre, *turn))]) + "\n")
    return path


@dataclass(frozen=True)
class Trajectory:
    """Poses over time, as a TUM file has them."""

    times: Float[np.ndarray, " frames"]
    Ts_world_camera: Float[np.ndarray, "frames 4 4"]


def read_tum(path: str | Path) -> Trajectory:
    """Read a TUM file; lines that start with # are comments.

    Raises:
        DioramaError: missing, or not eight numbers a line.
    """
    try:
        rows = np.loadtxt(path, ndmin=2)
        if rows.shape[1] != 8:
            raise ValueError(f"{rows.shape[1]} columns")
        return Trajectory(rows[:, 0], rigid(Rotation.from_quat(rows[:, 4:]).as_matrix(), rows[:, 1:4]))
    except (OSError, ValueError) as error:
        raise DioramaError(f"not a TUM file ({error})", where=path, fix="give lines of 8 numbers") from error
