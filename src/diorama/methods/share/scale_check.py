"""Whether metric depth and people's sizes agree: one factor for all depth, between what maps and bodies claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScaleCheckConfig:
    """What maps and bodies are worth, as deviations of logarithms.

    Attributes:
        depth: of the maps' common scale, if the network did not fail (SHARE's issue: MoGe-2 is within 3 %).
        failed, failing: the same of a network that fails (SHARE, LectureHall_021: everything 1.2 m wrong), and how often
            that is.
        stature: of a body's size by a regression of adults, whose heights scatter by 4 % within a sex; `told` if the
            height was told (poses and keypoints err too).
        children, smallest: how often somebody is smaller than his body, by how much at most: regressions make adults of
            children (a child of six is 0.4 below).
        widest: factors up to exp(+-widest) are tried.
    """

    depth: float = 0.03
    failed: float = 0.2
    failing: float = 0.1
    stature: float = 0.05
    told: float = 0.02
    children: float = 0.15
    smallest: float = 0.5
    widest: float = 0.7


def depth_factor(
    disagreement: Sequence[float], told: Sequence[bool] = (), config: ScaleCheckConfig = ScaleCheckConfig()
) -> float:
    """The expected factor on all depth: that of a network that failed, times the probability that it did.

    Args:
        disagreement: per person, the median logarithm of (distance at which his body is as large as his keypoints) /
            (distance of his points in the maps); NaN where a person tells nothing.
        told: per person, whether his height was told; nobody's, if left out.
        config: what they are worth.

    Small disagreements are left to the bodies. Somebody who is larger than his body by more than a tenth says that the
    maps are too deep; somebody who is smaller may be a child, so several have to say it.
    """
    known = np.asarray(told, bool) if len(told) else np.zeros(len(disagreement), bool)
    apart = np.asarray(disagreement, np.float64)
    known, apart = known[np.isfinite(apart)], apart[np.isfinite(apart)]
    if not len(apart):
        return 1.0
    tried = np.linspace(-config.widest, config.widest, 2801)
    smaller = apart[:, None] - tried
    children = np.where(known, 0.0, config.children)[:, None]
    adult = (1 - children) * _normal(smaller, np.where(known, config.told, config.stature)[:, None])
    child = children / config.smallest * ((smaller > 0) & (smaller < config.smallest))
    bodies = np.log(adult + child + 1e-300).sum(0)
    bodies = np.exp(bodies - bodies.max())
    sound = (1 - config.failing) * _normal(tried, config.depth) @ bodies
    failed = config.failing * _normal(tried, config.failed) * bodies
    return float(np.exp(failed @ tried / (failed.sum() + sound + 1e-300)))


def _normal(x: np.ndarray, sigma: np.ndarray | float) -> np.ndarray:
    return np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
