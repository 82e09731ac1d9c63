"""TRAM's world (Wang et al., ECCV 2024) on given observations: the cameras' scale from metric depth, people carried."""

from __future__ import annotations

from dataclasses import dataclass, field

from diorama.methods.background_scale import BackgroundScaleConfig, carried_by_depth
from diorama.methods.carried import cameras_of, shaped_bodies
from diorama.observations import Depth, Observations
from diorama.reconstruction import Reconstruction
from diorama.video import Video


@dataclass(frozen=True)
class TramConfig:
    """Settings of the scale, the only thing that is estimated."""

    scale: BackgroundScaleConfig = field(default_factory=BackgroundScaleConfig)


def reconstruct_tram(
    video: Video | None, observations: Observations, config: TramConfig = TramConfig()
) -> Reconstruction:
    """Cameras in the scale of metric depth of the background (`scale_by_depth`), T_world_body = T_world_camera
    T_camera_body, depth maps as they are; up and floor as in `carried_world`.

    Metric depth is `depth_prior`, else `depth`; without any, scale and scene are those of `reconstruct_observed`.

    Raises:
        ValueError: nobody observed cameras.
        DioramaError: a body model's file is not here.
    """
    cameras_of(observations)
    metric = metric_depth(observations)
    return carried_by_depth(observations, shaped_bodies(observations), metric, config.scale, "tram")


def metric_depth(observations: Observations) -> Depth | None:
    """`depth_prior` if it is metric, else `depth` if that is, else None."""
    for depth in (observations.depth_prior, observations.depth):
        if depth is not None and depth.metric and len(depth.frames):
            return depth
    return None
