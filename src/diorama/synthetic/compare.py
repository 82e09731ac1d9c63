"""A reconstruction against the exact truth of a rendered clip, as one flat dictionary of figures with units."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from diorama import metrics
from diorama.body import load_body
from diorama.errors import DioramaError
from diorama.geometry.alignment import has_extent, umeyama
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.reconstruction import Person, Reconstruction

CONTACT_TOLERANCE = 2
# Frames that two people must share to be matched.
_FEWEST_COMMON = 5
# Farthest that a found pelvis may be seen from the true one, in picture heights.
_NEAR = 0.12


def compare_with_truth(reconstruction: Reconstruction, truth: Reconstruction) -> dict[str, float]:
    """Errors against a truth with the same frames; people are matched by where they are seen.

    Keys end in their unit. `ate_cm` and `root_error_percent` are after a similarity alignment (of cameras, and of each
    path), `scale_error_percent` and the root error in metres are without any scale. `person_<id>_...` are per true
    person, the keys without a person are means over the matched people. A camera that does not move has no trajectory
    error (NaN); its scale is that of the people's paths.
    """
    out = _compare_cameras(reconstruction, truth)
    pairs = match_people(reconstruction, truth)
    counts = {"true": len(truth.people), "matched": len(pairs), "found": len(reconstruction.people)}
    out |= {f"people_{name}": float(count) for name, count in counts.items()}
    rows = {t.id: _compare_person(p, t, truth.times) for p, t in pairs}
    if rows:
        ratios = [ratio for row in rows.values() if np.isfinite(ratio := row.pop("path_scale"))]
        if ratios and not np.isfinite(out["scale_error_percent"]):
            out["scale_error_percent"] = 100 * abs(float(np.mean(ratios)) - 1)
        for key in next(iter(rows.values())):
            out[key] = float(np.mean([row[key] for row in rows.values()]))
    out |= _compare_contacts(pairs)
    return out | {f"person_{id}_{key}": value for id, row in rows.items() for key, value in row.items()}


def _compare_cameras(found: Reconstruction, truth: Reconstruction) -> dict[str, float]:
    a, b = found.cameras.T_world_camera, truth.cameras.T_world_camera
    focal = float(np.median(found.cameras.K[:, 0, 0] / truth.cameras.K[:, 0, 0]))
    turned = float(np.median(metrics.rotation_error_degrees(a, b)))
    out = {"focal_error_percent": 100 * abs(focal - 1), "camera_rotation_error_degrees": turned}
    out["registered_percent"] = 100 * float(found.cameras.registered.mean())
    if truth.cameras.kind != "translating":
        return out | {"ate_cm": np.nan, "scale_error_percent": np.nan}
    # A found camera that stands still has no scale at all.
    wrong = metrics.scale_error(a, b) if has_extent(a[:, :3, 3]) else np.nan
    return out | {"ate_cm": 100 * metrics.ate(a, b, align="sim3"), "scale_error_percent": wrong}


def match_people(found: Reconstruction, truth: Reconstruction) -> list[tuple[Person, Person]]:
    """(found, true) pairs whose pelvis is seen at the same place of the picture, whatever the worlds' sizes are.

    The median distance is at most `_NEAR` picture heights; among fragments of one person the longest wins.
    """
    cost = np.full((len(found.people), len(truth.people)), 1e6)
    for i, person in enumerate(found.people):
        for k, true in enumerate(truth.people):
            mine, theirs = common_rows(person, true)
            if len(mine) >= min(_FEWEST_COMMON, len(truth)):
                apart = np.linalg.norm(_seen(found, person)[mine] - _seen(truth, true)[theirs], axis=1)
                share = float(np.median(apart)) / truth.cameras.height
                if share < _NEAR:
                    cost[i, k] = share - len(mine) / len(true.frames)
    pairs = zip(*linear_sum_assignment(cost), strict=True)
    return [(found.people[i], truth.people[k]) for i, k in pairs if cost[i, k] < _NEAR]


def _seen(world: Reconstruction, person: Person) -> Float[np.ndarray, "n 2"]:
    """Pixels of a person's pelvis."""
    lens, rows = world.cameras, person.frames
    pelvis = apply(invert(lens.T_world_camera[rows]), np.asarray(person.joints_world[:, 0], np.float64))
    return project(pelvis, lens.K[rows], lens.distortion[rows])


def common_rows(found: Person, true: Person) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Rows of both people that show the same frames."""
    _, mine, theirs = np.intersect1d(found.frames, true.frames, return_indices=True)
    return mine, theirs


def _compare_person(found: Person, true: Person, times: Float[np.ndarray, " frames"]) -> dict[str, float]:
    mine, theirs = common_rows(found, true)
    a, b = (np.asarray(j, np.float64) for j in (found.joints_world[mine], true.joints_world[theirs]))
    fps = float(1 / np.median(np.diff(times))) if len(times) > 1 else 30.0
    stature, wanted = _stature(found), _stature(true)
    walks = has_extent(b[:, 0])
    return {
        "frames_percent": 100 * len(mine) / len(true.frames),
        "pa_mpjpe_mm": _mean(metrics.pa_mpjpe(a, b)),
        "mpjpe_mm": _mean(metrics.mpjpe(a, b)),
        "wa_mpjpe_mm": _mean(metrics.wa_mpjpe(a, b)),
        "root_error_percent": _mean(metrics.rte(a, b, with_scale=True)) if walks else np.nan,
        "rte_percent": _mean(metrics.rte(a, b)) if walks else np.nan,
        "acceleration_error_m_s2": _mean(metrics.accel_error(a, b, fps)),
        "stature_m": stature,
        "stature_error_percent": 100 * abs(stature / wanted - 1),
        "path_scale": 1 / umeyama(a[:, 0], b[:, 0]).scale if walks and has_extent(a[:, 0]) else np.nan,
    }


def _mean(values: Float[np.ndarray, " n"]) -> float:
    """The mean; NaN for clips too short to have a value."""
    return float(values.mean()) if len(values) else float("nan")


def _stature(person: Person) -> float:
    """Standing height in metres; NaN where the body model is not here."""
    try:
        model = load_body(person.body, person.gender)
    except DioramaError:
        return float("nan")
    return float(model.stature(torch.from_numpy(np.asarray(person.betas, np.float32))))


def _compare_contacts(pairs: list[tuple[Person, Person]]) -> dict[str, float]:
    """Pooled over all people and over the sites that both sides label."""
    found, true = [], []
    for person, other in pairs:
        mine, theirs = common_rows(person, other)
        sites = [s for s in other.contact_sites if s in person.contact_sites]
        found.append(person.contacts[mine][:, [person.contact_sites.index(s) for s in sites]] > 0.5)
        true.append(other.contacts[theirs][:, [other.contact_sites.index(s) for s in sites]] > 0.5)
        # A gap between people, so that the tolerance in time does not reach from one to the next.
        for rows in (found, true):
            rows.append(np.zeros((CONTACT_TOLERANCE, rows[-1].shape[1]), bool))
    if not found:
        return {"contact_precision": np.nan, "contact_recall": np.nan}
    scores = metrics.contact_scores(np.concatenate(found), np.concatenate(true), tolerance=CONTACT_TOLERANCE)
    return {"contact_precision": scores.precision, "contact_recall": scores.recall}
