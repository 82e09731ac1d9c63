"""Does a body obey the ground? Sliding while in contact, sinking, floating; millimetres, world +Z up."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float


def contact_steps_mm(
    sites: Float[np.ndarray, "frames sites 3"], contacts: Bool[np.ndarray, "frames sites"]
) -> Float[np.ndarray, " pairs"]:
    """Displacement in mm of every site from one frame to the next where it is in contact in both.

    Rows are consecutive frames. The quality card's foot slide is the median of these.
    """
    both = contacts[1:] & contacts[:-1]
    return 1000 * np.linalg.norm(np.diff(sites, axis=0), axis=-1)[both]


def penetration_mm(
    points: Float[np.ndarray, "frames points 3"], floor: Float[np.ndarray, " frames"] | float = 0.0
) -> Float[np.ndarray, " frames"]:
    """Depth in mm of each frame's lowest point below the floor; 0 where nothing sinks."""
    return 1000 * np.maximum(floor - points[..., 2].min(1), 0)


def floating_mm(
    points: Float[np.ndarray, "frames points 3"], floor: Float[np.ndarray, " frames"] | float = 0.0
) -> Float[np.ndarray, " frames"]:
    """Height in mm of each frame's lowest point above the floor; 0 where something touches it."""
    return 1000 * np.maximum(points[..., 2].min(1) - floor, 0)
