"""Named sets of errors: none, those measured for the embedded default and its like, twice as bad, and JOSH's protocol.

docs/simulation.md has all values side by side, with their sources.
"""

from __future__ import annotations

from dataclasses import replace

from diorama.synthetic.simulate.bodies import BodyConfig, PoseNoise
from diorama.synthetic.simulate.contact_labels import ContactLabelConfig
from diorama.synthetic.simulate.correspondences import MatchConfig
from diorama.synthetic.simulate.drifting_cameras import CameraConfig
from diorama.synthetic.simulate.identities import IdentityConfig
from diorama.synthetic.simulate.keypoints import KeypointConfig
from diorama.synthetic.simulate.point_maps import DepthConfig
from diorama.synthetic.simulate.silhouettes import MaskConfig
from diorama.synthetic.simulate.simulation import SimulationConfig

EXACT = SimulationConfig(depth_prior=DepthConfig(points=0))

TYPICAL = SimulationConfig(
    identities=IdentityConfig(missed=0.02, unseen=0.25, shortest=3),
    keypoints=KeypointConfig(
        noise=0.01, white=0.4, tail=4.0, hidden_factor=2.5, outliers=0.003, hidden_outliers=0.015, seen_confidence=(0.6, 1.0),
        hidden_confidence=(0.05, 0.6), confidence_follows=0.5, stature_3d=1.66, lateral_3d=0.03, depth_3d=0.08,
    ),
    masks=MaskConfig(border=0.003, box=0.02),
    bodies=BodyConfig(
        pose=PoseNoise(trunk=3.0, head=5.0, shoulders=7.0, elbows=11.0, hips=6.0, knees=8.0, wrists=11.0, ankles=11.0),
        orient=5.0, white=0.004, depth=0.03, depth_white=0.001, depth_bias=0.03, lateral=0.01, hidden_factor=2.0,
        focal="cameras", stature=0.03, stature_regression=0.5, betas=0.1, confidence=(0.5, 1.0), confidence_follows=0.5,
    ),
    depth=DepthConfig(
        scale_sigma=0.1, keyframe_sigma=0.05, distortion=0.03, noise=0.005, edge=0.3, people_sigma=0.03, farthest=80.0,
        focal=0.02, focal_keyframe=0.01, confidence=(0.0, 1.0), confidence_follows=0.6,
    ),
    depth_prior=DepthConfig(
        scale_sigma=0.08, keyframe_sigma=0.03, distortion=0.06, noise=0.005, edge=0.3, people_sigma=0.05, farthest=80.0,
        focal=0.05, focal_keyframe=0.02, confidence=(0.0, 1.0), confidence_follows=0.3, points=0,
    ),
    matches=MatchConfig(noise=0.001, outliers=0.05, confidence=(0.0, 1.0), confidence_follows=0.6),
    contacts=ContactLabelConfig(missed=0.08, invented=0.11, certainty=0.85, wrong_certainty=0.5),
    cameras=CameraConfig(
        focal=0.02, unit=None, rotation_drift=0.1, position_drift=0.01, scale_drift=0.005, rotation_jitter=0.02,
        position_jitter=0.002, point_noise=0.02,
    ),
)  # fmt: skip

HARD = SimulationConfig(
    identities=IdentityConfig(
        missed=0.08, missed_seconds=0.4, swap=0.5, splits=4.0, split_seconds=0.3, late=0.3, lost=0.2, unseen=0.4,
        shortest=3,
    ),
    keypoints=KeypointConfig(
        noise=0.02, white=0.4, tail=3.0, hidden_factor=3.5, outliers=0.02, hidden_outliers=0.08, seen_confidence=(0.4, 1.0),
        hidden_confidence=(0.1, 0.9), confidence_follows=0.3, stature_3d=1.66, lateral_3d=0.05, depth_3d=0.14,
    ),
    masks=MaskConfig(border=0.01, box=0.05),
    bodies=BodyConfig(
        pose=PoseNoise(trunk=5.0, head=8.0, shoulders=13.0, elbows=20.0, hips=11.0, knees=15.0, wrists=20.0, ankles=20.0),
        orient=10.0, white=0.008, depth=0.06, depth_white=0.003, depth_bias=0.08, lateral=0.02, hidden_factor=3.0,
        focal="diagonal", viewing_angle="ignored", stature=0.05, stature_regression=1.0, betas=0.2, confidence=(0.5, 1.0),
        confidence_follows=0.2,
    ),
    depth=DepthConfig(
        scale_sigma=0.25, keyframe_sigma=0.1, distortion=0.08, noise=0.01, edge=0.6, people_sigma=0.08, farthest=40.0,
        focal=0.06, focal_keyframe=0.03, confidence=(0.0, 1.0), confidence_follows=0.3,
    ),
    depth_prior=DepthConfig(
        scale_sigma=0.15, keyframe_sigma=0.06, distortion=0.12, noise=0.01, edge=0.6, people_sigma=0.1, farthest=40.0,
        focal=0.1, focal_keyframe=0.04, confidence=(0.0, 1.0), confidence_follows=0.1, points=0,
    ),
    matches=MatchConfig(per_pair=500, noise=0.003, outliers=0.2, confidence=(0.0, 1.0), confidence_follows=0.4),
    contacts=ContactLabelConfig(missed=0.15, invented=0.2, seconds=0.3, certainty=0.6, wrong_certainty=0.4),
    cameras=CameraConfig(
        focal=0.06, unit=None, rotation_drift=0.5, position_drift=0.04, scale_drift=0.03, rotation_jitter=0.05,
        position_jitter=0.01, points=500, point_noise=0.06,
    ),
)  # fmt: skip


def static_camera() -> SimulationConfig:
    """The errors that SHARE is made against: a camera that stands still, bodies 0.5 to 1 m off in depth, metric depth
    within 3 % per keyframe."""
    assert TYPICAL.bodies is not None and TYPICAL.depth is not None and TYPICAL.cameras is not None
    return replace(
        TYPICAL,
        bodies=replace(TYPICAL.bodies, depth=0.05, depth_bias=0.15),
        depth=replace(TYPICAL.depth, scale_sigma=0.0, keyframe_sigma=0.03, distortion=0.02),
        cameras=replace(TYPICAL.cameras, unit=1.0),
    )


def josh_appendix_f(
    base: SimulationConfig = TYPICAL,
    *,
    depth: bool = True,
    human: bool = True,
    contacts: bool = True,
    share: float = 0.2,
    metres: float = 1.0,
) -> SimulationConfig:
    """The noise of JOSH's appendix F on top of `base`: "We randomly perturb 20 % of the local HMR, scene depth, and contact
    labels. For depth labels, we add a random unit Gaussian noise to the depth values. For local HMR labels, we add a random
    unit Gaussian noise to the local human translation. For contact labels, we randomly replace a contact joint with another
    one."

    The paper does not say what the 20 % are counted in. Here: keyframes for depth (noise of its own on every pixel), frames
    for translations (three numbers), contacts per frame and site for labels. The paper spoils one input at a time.

    Args:
        depth, human, contacts: which inputs are spoilt.
        share: how much of each, 0-1.
        metres: standard deviation of both Gaussians.
    """
    if depth and base.depth is not None:
        base = replace(base, depth=replace(base.depth, shock=share, shock_metres=metres))
    if human and base.bodies is not None:
        base = replace(base, bodies=replace(base.bodies, shock=share, shock_metres=metres))
    if contacts and base.contacts is not None:
        base = replace(base, contacts=replace(base.contacts, moved=share))
    return base


def assumed_focal(base: SimulationConfig = TYPICAL) -> SimulationConfig:
    """Nobody knows the focal length: cameras and bodies assume the picture's diagonal (rows 5 and 6 of JOSH's Table 2)."""
    if base.cameras is not None:
        base = replace(base, cameras=replace(base.cameras, focal=0.0, focal_of="diagonal"))
    return base


PRESETS: dict[str, SimulationConfig] = {
    "exact": EXACT,
    "typical": TYPICAL,
    "hard": HARD,
    "static": static_camera(),
    "josh_appendix_f": josh_appendix_f(),
    "josh_f_depth": josh_appendix_f(human=False, contacts=False),
    "josh_f_human": josh_appendix_f(depth=False, contacts=False),
    "josh_f_contact": josh_appendix_f(depth=False, human=False),
    "josh_focal": assumed_focal(),
}
