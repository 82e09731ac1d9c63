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
        stature: of a body's size by a regression of adults, whose heights scatter by 4 % within a sex.
        children, smallest: how often somebody is smaller than his body, by how much at most: regressions make adults of
            children (a child of six is 0.4 below).
        widest: factors up to exp(+-widest) are tried.
    """

    depth: float = 0.03
    failed: float = 0.2
    failing: float = 0.1
    stature: float = 0.05
    children: float = 0.15
    smallest: float = 0.5
    widest: float = 0.7


def depth_factor(disagreement: Sequence[float], config: ScaleCheckConfig = ScaleCheckConfig()) -> float:
    """The most probable factor on all depth.

    Args:
        disagreement: per person, the median logarithm of (distance at which his body is as large as his keypoints) /
            (distance of his points in the maps); NaN where a person tells nothing.

    Small disagreements are left to the bodies: depth is only changed if it is likelier that the network failed. Somebody who is larger than his body by more than a tenth says that the maps are too
    deep; somebody who is smaller may be a child, so several have to say it.
    """
    told = np.asarray([each for each in disagreement if np.isfinite(each)])
    if not len(told):
        return 1.0
    tried = np.linspace(-config.widest, config.widest, 2801)
    smaller = told[:, None] - tried
    adult = (1 - config.children) * _normal(smaller, config.stature)
    child = config.children / config.smallest * ((smaller > 0) & (smaller < config.smallest))
    bodies = np.log(adult + child + 1e-300).sum(0)
    sound = bodies + np.log((1 - config.failing) * _normal(tried, config.depth) + 1e-300)
    failed = bodies + np.log(config.failing * _normal(tried, config.failed))
    return float(np.exp(tried[np.argmax(failed)])) if failed.max() > sound.max() else 1.0


def _normal(x: np.ndarray, sigma: float) -> np.ndarray:
    return np.exp(-0.5 * (x / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
