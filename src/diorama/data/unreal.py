"""Cameras of the Unreal engine: from centimetres and (yaw, pitch, roll) in a left-handed world to metres and OpenCV.

Unreal's world is X forward, Y right, Z up. The project's world for these scenes is X right, Y forward, Z up.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

# Rows of Unreal axes that the other axes are: project (right, forward, up), camera (right, down, forward).
_TO_WORLD = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])
_TO_CAMERA = np.array([[0.0, 1, 0], [0, 0, -1], [1, 0, 0]])
_CENTIMETRES = 100.0


def world_points(unreal: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Metres in the project's world of points in centimetres in Unreal's."""
    return unreal @ _TO_WORLD.T / _CENTIMETRES


def camera_points(unreal: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """(x, y, z) -> (y, -z, x) / 100: metres in the axes of a camera that looks along Unreal's X."""
    return unreal @ _TO_CAMERA.T / _CENTIMETRES


def camera_rotation(
    yaw: Float[np.ndarray, " n"], pitch: Float[np.ndarray, " n"], roll: Float[np.ndarray, " n"]
) -> Float[np.ndarray, "n 3 3"]:
    """R_world_camera in the project's axes from Unreal's angles in degrees.

    Positive yaw turns right, positive pitch looks up, positive roll tilts the right side down (Unreal's rotator).
    """
    (sy, sp, sr), (cy, cp, cr) = (f(np.radians(np.stack([yaw, pitch, roll]))) for f in (np.sin, np.cos))
    forward = np.stack([cp * cy, cp * sy, sp], -1)
    right = np.stack([sr * sp * cy - cr * sy, sr * sp * sy + cr * cy, -sr * cp], -1)
    up = np.stack([-(cr * sp * cy + sr * sy), cy * sr - cr * sp * sy, cr * cp], -1)
    axes = np.stack([right, -up, forward], -1)
    return _TO_WORLD @ axes


def yaw_rotation(yaw: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n 3 3"]:
    """Turn by Unreal's yaw (degrees, to the right) about +Z of the project's world."""
    sine, cosine = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
    zero, one = np.zeros_like(sine), np.ones_like(sine)
    rows = [[cosine, sine, zero], [-sine, cosine, zero], [zero, zero, one]]
    return np.stack([np.stack(row, -1) for row in rows], -2)
