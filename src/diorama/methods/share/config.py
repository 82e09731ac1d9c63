"""Settings of SHARE, and the method with each improvement switched off once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from diorama.methods.share.placed_keys import AlignConfig
from diorama.methods.share.published import AnchorConfig
from diorama.methods.share.scale_check import ScaleCheckConfig
from diorama.methods.share.size_config import SizeConfig
from diorama.methods.share.steady import SteadyConfig


@dataclass(frozen=True)
class PathConfig:
    """What says how much about a person's path.

    Attributes:
        smooth: one smooth curve through everything. Off: the paper's constant offset between keyframes, which jumps there.
        keyframe: deviation of log depth by a keyframe (people's own depth, poses), which lasts for `keyframe_lag` seconds.
        own: of log depth of the bodies as they came, apart from a constant factor that is theirs (`own_bias`).
        keypoints, keypoints_bias: the same of the distance by size in the picture; the constant is the stature's error.
            Not of bodies that disagree with the maps by more than `doubt`: children, or a wrong body.
        lag: seconds for which errors of bodies and keypoints last.
        direction: deviation of the direction to the pelvis by keypoints, as a share of the person's size over distance.
        acceleration: of the pelvis, m/s^2.
        floor: deviation of touching feet from the floor, metres; None: no floor. `floor_bias` of all of them: bodies that
            are too tall.
        gate: feet farther from the floor than this after all else stand on something else, metres.
    """

    smooth: bool = True
    keyframe: float = 0.03
    keyframe_lag: float = 1.0
    own: float = 0.05
    own_bias: float = 0.3
    keypoints: float = 0.03
    keypoints_bias: float = 0.05
    doubt: float = 0.1
    lag: float = 0.5
    direction: float = 0.02
    acceleration: float = 3.0
    floor: float | None = 0.05
    floor_bias: float = 0.03
    gate: float = 0.25


@dataclass(frozen=True)
class ShareConfig:
    """Settings of SHARE.

    Attributes:
        published: the paper's form throughout (first and last keyframe, `anchor`), whatever else is set.
        anchor: solver of the published form.
        keyframes: at most so many per person.
        robust_scale: maps brought to their common scale by medians, and each keyframe of a person by the scenery around
            him once more, since networks bend depth. Off: to the first map's by means, as in the paper.
        align: how a mesh meets its points.
        path: how the places of all frames follow.
        check: of the maps' scale against people's sizes; None: maps are believed.
        steady: feet that touch stay where they are; None: poses as they came, as in the paper.
        sizes: of people whose height was told, or whose bodies do not know it.
        keypoint_sigma: deviation of keypoints, as a share of the person's height.
    """

    published: bool = False
    anchor: AnchorConfig = field(default_factory=AnchorConfig)
    keyframes: int = 12
    robust_scale: bool = True
    align: AlignConfig = field(default_factory=AlignConfig)
    path: PathConfig = field(default_factory=PathConfig)
    check: ScaleCheckConfig | None = field(default_factory=ScaleCheckConfig)
    steady: SteadyConfig | None = field(default_factory=SteadyConfig)
    sizes: SizeConfig = field(default_factory=SizeConfig)
    keypoint_sigma: float = 0.02


_SHARE = ShareConfig()
ABLATIONS: dict[str, tuple[str, ShareConfig]] = {
    "share": ("SHARE, improved", _SHARE),
    "share-published": ("SHARE as published: two keyframes, Eq. 1-9 solved exactly", ShareConfig(published=True)),
    "share-two-keyframes": ("SHARE with the first and the last keyframe only", replace(_SHARE, keyframes=2)),
    "share-mean-scale": ("SHARE with maps scaled to the first by means", replace(_SHARE, robust_scale=False)),
    "share-whole-mesh": (
        "SHARE whose far side looks for points too",
        replace(_SHARE, align=replace(_SHARE.align, visible=False)),
    ),
    "share-hard-edges": (
        "SHARE that trusts edges and borders",
        replace(_SHARE, align=replace(_SHARE.align, soft=1.0)),
    ),
    "share-no-keypoints": (
        "SHARE without 2D keypoints",
        replace(_SHARE, align=replace(_SHARE.align, keypoints=None)),
    ),
    "share-constant-offset": (
        "SHARE with the paper's constant offset",
        replace(_SHARE, path=replace(_SHARE.path, smooth=False)),
    ),
    "share-no-floor": ("SHARE without the floor", replace(_SHARE, path=replace(_SHARE.path, floor=None))),
    "share-frozen-poses": ("SHARE with poses as they came", replace(_SHARE, steady=None)),
    "share-given-sizes": (
        "SHARE with bodies of the size that they came with",
        replace(_SHARE, sizes=SizeConfig(measure=False)),
    ),
    "share-no-check": ("SHARE that believes the maps' scale", replace(_SHARE, check=None)),
}
