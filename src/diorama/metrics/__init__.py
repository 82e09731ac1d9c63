"""The field's figures of merit as small pure functions: numpy or torch in, metres in, numpy out.

docs/metrics.md is the table of all of them: formula, unit, alignment, joint set, who uses it. Results are per frame (or
per pair) unless they are floats by nature; means are the caller's. What is not defined is a ValueError, never a NaN.
"""

from diorama.geometry.alignment import Similarity, umeyama
from diorama.metrics.cameras import RelativeError, ate, rotation_error_degrees, rpe, scale_error
from diorama.metrics.contacts import ContactScores, contact_scores, still_points
from diorama.metrics.motion import (
    accel,
    accel_error,
    jitter,
    mpjpe,
    mrpe,
    pa_mpjpe,
    path_length,
    pve,
    rte,
    segments,
    v2v,
    w_mpjpe,
    wa_mpjpe,
)
from diorama.metrics.physics import floating, foot_floating, foot_slide, foot_slide_by_contacts, penetration
from diorama.metrics.scene import ChamferDistance, abs_rel, align_depth, chamfer, delta, rel, voxel_means

__all__ = [
    "ChamferDistance",
    "ContactScores",
    "RelativeError",
    "Similarity",
    "abs_rel",
    "accel",
    "accel_error",
    "align_depth",
    "ate",
    "chamfer",
    "contact_scores",
    "delta",
    "floating",
    "foot_floating",
    "foot_slide",
    "foot_slide_by_contacts",
    "jitter",
    "mpjpe",
    "mrpe",
    "pa_mpjpe",
    "path_length",
    "penetration",
    "pve",
    "rel",
    "rotation_error_degrees",
    "rpe",
    "rte",
    "scale_error",
    "segments",
    "still_points",
    "umeyama",
    "v2v",
    "voxel_means",
    "w_mpjpe",
    "wa_mpjpe",
]
