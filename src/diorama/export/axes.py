"""The world in a file's own axes and unit: from +Z up and metres to what the other program expects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from diorama.export.options import ExportOptions
from diorama.geometry.transforms import rigid

# (x, y, z) -> (x, z, -y): a turn by -90 degrees about X, +Z up becomes +Y up; handedness stays.
Y_UP_FROM_Z_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@dataclass(frozen=True)
class Axes:
    """A file's world. X stays where it is; with +Y up, what was +Y (forward in Blender's eyes) becomes -Z."""

    up: str = "z"
    unit: str = "m"

    @classmethod
    def chosen(cls, options: ExportOptions, up: str = "z", unit: str = "m") -> Axes:
        """The user's choice, or the format's habit."""
        return cls(options.up or up, options.unit or unit)

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Directions of the file from directions of our world."""
        return Y_UP_FROM_Z_UP if self.up == "y" else np.eye(3)

    @property
    def scale(self) -> float:
        """Units of the file in a metre."""
        return 100.0 if self.unit == "cm" else 1.0

    def points(self, points_world: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Places in the file's axes and unit."""
        return self.scale * np.asarray(points_world, np.float64) @ self.rotation.T

    def poses(self, T_world_body: Float[np.ndarray, "*n 4 4"]) -> Float[np.ndarray, "*n 4 4"]:
        """Poses in the file's axes and unit; what they carry (camera, joint) keeps its own axes."""
        return rigid(self.rotation @ T_world_body[..., :3, :3], self.points(T_world_body[..., :3, 3]))

    def metres(self, points: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Inverse of `points`: places of our world, for readers."""
        return np.asarray(points, np.float64) @ self.rotation / self.scale
