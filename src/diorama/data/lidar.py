"""A LiDAR sweep as a depth map of a camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True)
class Lens:
    """A calibrated camera in OpenCV's convention (pixel centres at integers): focal lengths and centre in pixels,
    radial k1, k2, k3, tangential p1, p2, and the size of its pictures."""

    fx: float
    fy: float
    cx: float
    cy: float
    k1: float
    k2: float
    p1: float
    p2: float
    k3: float
    width: int
    height: int

    def K(self) -> Float[np.ndarray, "3 3"]:
        """The camera matrix, centres at integers."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1.0]])

    def distorted(self, xy: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """Normalised coordinates after the lens (Brown's model as in OpenCV)."""
        x, y = xy.T
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        dx = 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x)
        dy = self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y
        return np.stack([x * radial + dx, y * radial + dy], -1)

    def pixels(self, points_camera: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
        """Pixels (centres at integers) of points in front of the camera."""
        return self.distorted(points_camera[:, :2] / points_camera[:, 2:]) * [self.fx, self.fy] + [self.cx, self.cy]

    def folds(self, points_camera: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, " n"]:
        """Points so far from the axis that the radial model has turned back there: its pixels are not theirs."""
        squared = ((points_camera[:, :2] / points_camera[:, 2:]) ** 2).sum(1)
        roots = np.roots([7 * self.k3, 5 * self.k2, 3 * self.k1, 1.0])
        turning = [root.real for root in roots if abs(root.imag) < 1e-12 and root.real > 0]
        return squared >= min(turning, default=np.inf)


@dataclass(frozen=True)
class SweepRule:
    """How a sweep becomes a depth map. The defaults are those of JOSH's evaluation (shared specification, section 4).

    Attributes:
        nearest: where two points fall on one pixel, keep the nearer; else the one that comes later in the file.
        drop_folded: drop points outside the range of the lens model. Its polynomial turns back far from the axis, so
            without this some points from beside the picture land inside it.
    """

    nearest: bool = False
    drop_folded: bool = False


JOSH_SWEEP = SweepRule()


def sweep_depth(
    points_camera: Float[np.ndarray, "n 3"], lens: Lens, size: tuple[int, int], rule: SweepRule = JOSH_SWEEP
) -> Float[np.ndarray, "height width"]:
    """Depth (Z, metres; 0 where there is no point) of a sweep on a grid of `size` = (width, height).

    Points in front of the camera are projected with the whole lens model, their pixel coordinates multiplied by
    height / lens.height, and rounded to the nearest pixel. There is no test of visibility: points behind a surface are
    seen through the gaps between its points.
    """
    width, height = size
    points = points_camera[points_camera[:, 2] > 0]
    if rule.drop_folded:
        points = points[~lens.folds(points)]
    if rule.nearest:
        points = points[np.argsort(-points[:, 2], kind="stable")]
    pixels = np.rint(lens.pixels(points) * (height / lens.height))
    inside = ((pixels >= 0) & (pixels < [width, height])).all(1)
    column, row = pixels[inside].astype(np.int64).T
    out = np.zeros((height, width))
    # Of several values for one element the last one stays.
    out[row, column] = points[inside, 2]
    return out
