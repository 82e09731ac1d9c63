"""The observations themselves as a world, with nothing refined: what every method has to improve on.

Bodies stay in front of their cameras as they were seen, and the cameras carry them into the world. Only what a world
cannot do without is decided, each in the simplest way: one scale, up, and the height of the floor.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diorama.body.joints import JOINT_INDEX
from diorama.body.model import ShapedBody
from diorama.geometry.cameras import project
from diorama.methods.carried import bodies_of, camera_joints, cameras_of, carried_world, shaped_bodies
from diorama.methods.depth_units import depth_at, depths_of_points
from diorama.observations import Depth, Observations
from diorama.reconstruction import Reconstruction
from diorama.video import Video

# Where the ground may be seen if people are not in the depth maps: so far below the feet, in heights of the body.
_BELOW = 0.06


def reconstruct_observed(video: Video | None, observations: Observations) -> Reconstruction:
    """The world of the raw observations, see `carried_world`; depth maps and scene points are taken as they are.

    Metres per unit of the cameras' world: 1 if they are metric; else the median of (depth of a person's pelvis by the
    body) / (depth of the map at that pixel) over all people and keyframes, or of the feet and the ground just below
    them where people are not in the maps; with metric maps that of (map) / (depth of the cameras' sparse points).

    Raises:
        ValueError: nobody observed cameras.
        DioramaError: a body model's file is not here.
    """
    cameras_of(observations)
    shaped = shaped_bodies(observations)
    return carried_world(
        observations, shaped, metres_per_unit(observations, shaped), observations.depth, "observations"
    )


def metres_per_unit(observations: Observations, shaped: dict[int, ShapedBody]) -> tuple[float, str]:
    """The scale of the cameras' world, and in words where it comes from; see `reconstruct_observed`."""
    cameras, depth = cameras_of(observations), observations.depth
    if cameras.metric:
        return 1.0, "the cameras are metric"
    if depth is None:
        return 1.0, "none: there is no depth"
    if depth.metric:
        size = (observations.width, observations.height)
        pairs = [depths_of_points(depth, i, cameras.points_world, cameras, size) for i in range(len(depth.frames))]
        ratios = np.concatenate([np.zeros(0), *(shown / own for own, shown in pairs)])
        return _median(ratios, "metric depth against the cameras' sparse points")
    for below in (False, True):
        ratios = np.array(list(_body_ratios(shaped, depth, observations, below=below)))
        if len(ratios):
            return _median(ratios, f"depth of bodies against the {'ground below feet' if below else 'map'}")
    return 1.0, "none: nobody is seen in the depth maps"


def _median(ratios: np.ndarray, source: str) -> tuple[float, str]:
    return (float(np.median(ratios)), source) if len(ratios) else (1.0, f"none: no {source}")


def _body_ratios(shaped: dict[int, ShapedBody], depth: Depth, seen: Observations, *, below: bool) -> Iterator[float]:
    """Metres of a point of a body over the depth of the map where it is seen."""
    cameras = cameras_of(seen)
    for body in bodies_of(seen):
        joints = camera_joints(body, shaped[body.id])
        for index, row in enumerate(depth.frames):
            for at in np.flatnonzero(body.frames == row):
                point = joints[at, 0]
                if below:
                    feet = joints[at, [JOINT_INDEX["left_foot"], JOINT_INDEX["right_foot"]]].mean(0)
                    point = feet + _BELOW * (feet - joints[at, JOINT_INDEX["head"]])
                pixel = project(point[None], cameras.K[row], cameras.distortion[row])
                found = depth_at(depth, index, pixel, (seen.width, seen.height))[0]
                if found > 0:
                    yield float(point[2] / found)
