"""Observations that can be worked with: what is missing or not finite is said or left out before anything is solved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from diorama.errors import DioramaError
from diorama.observations import Bodies, Matches, Observations, ObservedBody


def checked(observations: Observations) -> Observations:
    """The same without rows that are not finite, and without parts that are empty.

    Raises:
        DioramaError: no cameras, cameras that are not finite, or two bodies with one id.
    """
    cameras = observations.cameras
    if cameras is None:
        raise DioramaError(
            "no cameras were observed", where="observations", fix="give camera poses, or matches and depth"
        )
    if len(cameras.T_world_camera) != len(observations.times):
        raise DioramaError(
            f"{len(cameras.T_world_camera)} cameras for {len(observations.times)} frames", where="observations.cameras",
            fix="give one camera per frame",
        )  # fmt: skip
    good = np.isfinite(cameras.T_world_camera).all((1, 2)) & np.isfinite(cameras.K).all((1, 2))
    good &= cameras.K[:, 0, 0] > 0
    if not good.any():
        raise DioramaError("no camera is finite", where="observations.cameras", fix="run the camera front end again")
    if not good.all():
        nearest = np.array([np.flatnonzero(good)[np.abs(np.flatnonzero(good) - n).argmin()] for n in range(len(good))])
        cameras = replace(
            cameras, T_world_camera=cameras.T_world_camera[nearest], K=cameras.K[nearest],
            registered=cameras.registered & good,
        )  # fmt: skip
    cameras = replace(cameras, distortion=np.nan_to_num(cameras.distortion))
    if cameras.kind != "translating":
        cameras = replace(cameras, T_world_camera=_in_one_place(cameras.T_world_camera))
    depth = observations.depth if observations.depth is not None and len(observations.depth.frames) else None
    return replace(
        observations,
        cameras=cameras,
        bodies=_bodies(observations.bodies),
        matches=_matches(observations.matches),
        depth=depth,
    )


def _in_one_place(T_world_camera: Float[np.ndarray, "frames 4 4"]) -> Float[np.ndarray, "frames 4 4"]:
    """Cameras that only turn, all in the mean place: what is left of their motion has no known unit, and taken for a
    baseline it would tell any depth."""
    out = np.array(T_world_camera, np.float64)
    out[:, :3, 3] = out[:, :3, 3].mean(0)
    return out


def _bodies(bodies: Bodies | None) -> Bodies | None:
    if bodies is None:
        return None
    ids = [body.id for body in bodies.people]
    if len(set(ids)) != len(ids):
        raise DioramaError(
            f"two bodies with one id: {sorted(ids)}", where="observations.bodies", fix="number people apart"
        )
    return replace(bodies, people=tuple(b for b in map(finite_rows, bodies.people) if len(b.frames)))


def finite_rows(body: ObservedBody) -> ObservedBody:
    """The rows in which every number of a body is finite and he is before the camera."""
    arrays = (body.global_orient, body.body_pose.reshape(len(body.frames), -1), body.transl)
    good: np.ndarray = np.all([np.isfinite(a).all(1) for a in arrays], axis=0) & (body.transl[:, 2] > 0.1)
    good &= bool(np.isfinite(body.betas).all())
    names = ("frames", "global_orient", "body_pose", "transl", "focal", "residual_px", "confidence")
    return body if good.all() else replace(body, **{n: getattr(body, n)[good] for n in names})


def _matches(matches: Matches | None) -> Matches | None:
    return matches if matches is not None and len(matches.frames_i) else None
