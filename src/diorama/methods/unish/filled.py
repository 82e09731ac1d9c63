"""From samples to all rows of the video: rotations on SO(3), places by smooth curves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.interpolate import CubicHermiteSpline

from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.geometry.rotations import matrix_of, resample_rotations, rotvec_of
from diorama.geometry.transforms import interpolate_rigid, rigid
from diorama.methods.placed_person import PlacedPerson

# A person has rows up to so many steps of the samples from where he was seen.
_REACH = 1.5
# How far filled rows are believed.
_FILLED = 0.5


def filled_cameras(
    times: Float[np.ndarray, " frames"], rows: Int[np.ndarray, " samples"], Ts: Float[np.ndarray, "samples 4 4"]
) -> Float[np.ndarray, "frames 4 4"]:
    """Poses at all times, those of the samples as they are."""
    turned = interpolate_rigid(times, times[rows], Ts)
    return rigid(turned[:, :3, :3], _places(times[rows], Ts[:, :3, 3], times))


def filled_intrinsics(
    times: Float[np.ndarray, " frames"], rows: Int[np.ndarray, " samples"], K: Float[np.ndarray, "samples 3 3"]
) -> Float[np.ndarray, "frames 3 3"]:
    """K at all times, linear in time."""
    entries = K.reshape(len(rows), 9).T
    return np.stack([np.interp(times, times[rows], entry) for entry in entries], 1).reshape(-1, 3, 3)


def filled_person(
    person: PlacedPerson, times: Float[np.ndarray, " frames"], tracked: Int[np.ndarray, " n"], step: float
) -> PlacedPerson:
    """A person at all rows in which he was tracked, near enough to a sample.

    Args:
        person: at his samples.
        tracked: rows of his track.
        step: seconds between samples.
    """
    own, at = times[person.frames], times[tracked]
    right = np.clip(np.searchsorted(own, at), 0, len(own) - 1)
    away = np.minimum(np.abs(at - own[right]), np.abs(at - own[np.maximum(right - 1, 0)]))
    rows = tracked[away <= _REACH * step]
    at = np.clip(times[rows], own[0], own[-1])
    vectors = resample_rotations(rotvec_of(person.rotations.numpy()), own, at)
    return replace(
        person,
        frames=rows,
        transl=torch.from_numpy(_places(own, person.transl.numpy(), at)),
        rotations=torch.from_numpy(matrix_of(vectors)),
        confidence=np.where(np.isin(rows, person.frames), 1.0, _FILLED),
        contacts=np.zeros((len(rows), len(CONTACT_SITE_NAMES))),
    )


def _places(
    times: Float[np.ndarray, " n"], places: Float[np.ndarray, "n 3"], at: Float[np.ndarray, " m"]
) -> Float[np.ndarray, "m 3"]:
    """Cubic curves with the speeds that the neighbours say: smooth, and the same whatever the axes are."""
    if len(times) == 1:
        return np.repeat(places, len(at), 0)
    speeds = np.gradient(places, times, axis=0)
    return np.asarray(CubicHermiteSpline(times, places, speeds)(np.clip(at, times[0], times[-1])))
