"""The figures of the quality card. Keys carry the unit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diorama.observations import Observations
from diorama.quality.people import PersonFigures, person_figures
from diorama.reconstruction import Reconstruction


def figures_of(reconstruction: Reconstruction, observations: Observations) -> list[PersonFigures]:
    """Series of every person."""
    tracks = {track.id: track for track in observations.tracks.people} if observations.tracks else {}
    return [person_figures(reconstruction, person, tracks.get(person.id)) for person in reconstruction.people]


def quality_card(
    reconstruction: Reconstruction, observations: Observations, seconds: Mapping[str, float]
) -> dict[str, Any]:
    """Everything that can be said about a result without its truth; NaN is written as None."""
    people = figures_of(reconstruction, observations)
    card = {
        **_camera_figures(reconstruction, observations),
        **_scale_figures(reconstruction),
        **_people_figures(people),
        "people": {str(p.id): _one_person(reconstruction, p) for p in people},
        "dropped": [
            *(observations.tracks.dropped if observations.tracks else ()),
            *reconstruction.quality.get("dropped", ()),
        ],
        "warnings": [
            *(observations.cameras.warnings if observations.cameras else ()),
            *reconstruction.quality.get("warnings", ()),
        ],
        "seconds": dict(seconds),
    }
    return _plain(card)


def _camera_figures(reconstruction: Reconstruction, observations: Observations) -> dict[str, Any]:
    cameras, seen = reconstruction.cameras, observations.cameras
    return {
        "frames": len(reconstruction),
        "registered_frames": int(cameras.registered.sum()),
        "reprojection_px": seen.reprojection_px if seen else float("nan"),
        "camera_type": cameras.kind,
        "focal_source": cameras.focal_source,
        "focal_widths": float(np.median(cameras.K[:, 0, 0]) / cameras.width),
        "camera_evidence": dict(seen.evidence) if seen else {},
    }


def _scale_figures(reconstruction: Reconstruction) -> dict[str, Any]:
    names = ("scale_source", "scale_spread_percent", "up_spread_deg", "floor_correction_deg", "ground_points")
    return {name: reconstruction.quality[name] for name in names if name in reconstruction.quality}


def _people_figures(people: list[PersonFigures]) -> dict[str, Any]:
    """Medians over all frames of all people; sliding stands beside the share of frames in contact."""
    if not people:
        return {"people_count": 0}
    contacts = np.concatenate([p.foot_contacts.any(1) for p in people])
    heights = np.concatenate([p.foot_sites[..., 2][p.foot_contacts] for p in people])
    return {
        "people_count": len(people),
        "keypoint_residual_px": _median([p.residual_px for p in people]),
        "keypoint_residual_percent_of_height": _median([p.residual_percent for p in people]),
        "jitter_10m_s3": _median([np.array([p.jitter]) for p in people]),
        "foot_slide_mm": _median([p.steps_mm for p in people]),
        "frames_in_contact_percent": 100 * float(contacts.mean()),
        "contact_height_mm": 1000 * float(np.median(np.abs(heights))) if len(heights) else float("nan"),
        "floor_penetration_mm": _percentile([p.sinking_mm for p in people], 95),
        "floating_mm": _percentile([p.floating_mm for p in people], 95),
    }


def _one_person(reconstruction: Reconstruction, figures: PersonFigures) -> dict[str, Any]:
    statures = reconstruction.quality.get("statures_m", {})
    share = figures.contact_share
    return {
        "frames": len(figures.frames),
        "stature_m": statures.get(str(figures.id), float("nan")),
        "speed_m_s": figures.speed,
        "residual_percent": _median([figures.residual_percent]),
        "foot_slide_mm": _median([figures.steps_mm]),
        "left_contact_percent": 100 * share["left"],
        "right_contact_percent": 100 * share["right"],
    }


def _median(parts: list[np.ndarray]) -> float:
    return _percentile(parts, 50)


def _percentile(parts: list[np.ndarray], q: float) -> float:
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    return float(np.percentile(values, q)) if len(values) else float("nan")


def _plain(value: Any) -> Any:
    """Plain JSON values; NaN becomes None, since JSON has no NaN."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value
