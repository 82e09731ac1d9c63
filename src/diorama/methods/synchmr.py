"""SynCHMR* as JOSH re-implements it (Zhao et al., CVPR 2024; JOSH section 4.2): depth aligned with people, then cameras.

"It first calibrates the scale of the scene reconstruction and camera poses using HMR2.0 and ZoeDepth. It then transforms
the local SMPL meshes to the world coordinates while fixing the scene."
"""

from __future__ import annotations

from dataclasses import dataclass, field

from diorama.methods.background_scale import BackgroundScaleConfig, carried_by_depth
from diorama.methods.carried import cameras_of, shaped_bodies
from diorama.methods.people_depth import AlignmentConfig, aligned_to_people
from diorama.observations import Observations
from diorama.reconstruction import Reconstruction
from diorama.video import Video


@dataclass(frozen=True)
class SynchmrConfig:
    """Settings of both steps."""

    alignment: AlignmentConfig = field(default_factory=AlignmentConfig)
    scale: BackgroundScaleConfig = field(default_factory=BackgroundScaleConfig)


def reconstruct_synchmr(
    video: Video | None, observations: Observations, config: SynchmrConfig = SynchmrConfig()
) -> Reconstruction:
    """Depth maps aligned with the people in them (`aligned_to_people`), cameras in the scale of the aligned background
    (`scale_by_depth`), T_world_body = T_world_camera T_camera_body, the aligned maps as a fixed scene. No contact terms,
    nothing refined; up and floor as in `carried_world`.

    Depth is `depth_prior`, else `depth`, in any unit. Where nobody is seen in it, metric depth is taken as it is; without
    that, scale and scene are those of `reconstruct_observed`.

    Raises:
        ValueError: nobody observed cameras.
        DioramaError: a body model's file is not here.
    """
    cameras_of(observations)
    shaped = shaped_bodies(observations)
    seen = observations.depth_prior or observations.depth
    aligned = aligned_to_people(seen, observations, shaped, config.alignment) if seen is not None else None
    metric = aligned or (seen if seen is not None and seen.metric and len(seen.frames) else None)
    return carried_by_depth(observations, shaped, metric, config.scale, "synchmr")
