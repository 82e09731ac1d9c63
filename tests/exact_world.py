"""Two walkers of a staged shot, seen without error: exact landmarks and limb directions, cameras in a unit of their own."""

import dataclasses
from functools import lru_cache

import numpy as np
import torch

from diorama.body.detected import as_detected
from diorama.body.joints import BLAZEPOSE_33
from diorama.geometry.cameras import project
from diorama.geometry.transforms import apply, invert
from diorama.observations import Observations, ObservedCameras, Source, Track, Tracks
from diorama.reconstruction import Cameras, Reconstruction, Scene
from diorama.synthetic.staging import Shot, stage
from diorama.synthetic.world import build_actors

UNIT = 0.37  # units of the observed cameras' world per metre


@dataclasses.dataclass(frozen=True)
class ExactWorld:
    """What is seen, and what is true."""

    observations: Observations
    truth: Reconstruction


@lru_cache(maxsize=2)
def exact_world(camera: str = "walk", frames: int = 45, noise_px: float = 0.0) -> ExactWorld:
    """Observations and truth of seed 7; `noise_px` is added to the landmarks."""
    staging = stage(7, Shot(frames=frames, camera=camera))
    actors = build_actors(staging)
    shot, T = staging.shot, staging.T_world_camera
    K = np.tile(staging.K, (frames, 1, 1))
    rng = np.random.default_rng(0)
    tracks = tuple(_track(actor, T, K, rng, noise_px) for actor in actors)
    kind = {"walk": "translating", "static": "static"}[camera]
    # The first camera is the origin, as a mapper has it; length unit unknown.
    first = invert(T[0])
    poses = first @ T
    poses[:, :3, 3] *= UNIT
    floor = np.stack(np.meshgrid(np.linspace(-6, 6, 40), np.linspace(-2, 12, 40)), -1).reshape(-1, 2)
    around = T[:, :3, 3].mean(0)
    ground = np.concatenate([floor + around[:2], np.zeros((len(floor), 1))], 1)
    cameras = ObservedCameras(
        Source("exact"), kind, "recovered", K, np.zeros((frames, 1)), poses, np.ones(frames, bool),
        points_world=UNIT * apply(first, ground) if kind == "translating" else np.zeros((0, 3)),
        colors=np.zeros((len(ground) if kind == "translating" else 0, 3), np.uint8),
    )  # fmt: skip
    seen = Observations(
        shot.width, shot.height, shot.times, np.arange(frames), np.zeros(frames, bool),
        tracks=Tracks(Source("exact"), tracks), cameras=cameras,
    )  # fmt: skip
    true_cameras = Cameras(K, T, np.zeros((frames, 1)), np.ones(frames, bool), shot.width, shot.height, "given", kind)
    nothing = Scene(np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.float32))
    truth = Reconstruction(
        shot.times, np.arange(frames), np.zeros(frames, bool), true_cameras, tuple(a.person() for a in actors), nothing,
        "exact",
    )  # fmt: skip
    return ExactWorld(seen, truth)


def _track(actor, T, K, rng, noise_px):
    detected = as_detected(actor.shaped.model, "blazepose33").shaped(actor.shaped.betas)
    posed = detected.posed_by_matrices(actor.posed.local_rotations, torch.from_numpy(actor.motion.transl).float())
    points = posed.landmarks(BLAZEPOSE_33).double().numpy()
    camera = apply(invert(T), points)
    pixels = project(camera, K)
    low, high = pixels.min(1), pixels.max(1)
    pixels = pixels + rng.normal(scale=noise_px, size=pixels.shape) if noise_px else pixels
    hips = [BLAZEPOSE_33.index("left_hip"), BLAZEPOSE_33.index("right_hip")]
    # The detector's 3D landmarks are seen as if the camera looked straight at the person.
    centre = camera[:, 11:].mean(1)
    forward = centre / np.linalg.norm(centre, axis=1, keepdims=True)
    right = np.cross(np.array([0.0, 1.0, 0.0]), forward)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    looking = np.stack([right, np.cross(forward, right), forward], 1)
    relative = camera - camera[:, hips].mean(1, keepdims=True)
    return Track(
        id=actor.id, frames=np.arange(len(T)), boxes=np.concatenate([low, high], 1),
        keypoints=np.concatenate([pixels, np.ones((*pixels.shape[:2], 1))], 2), joint_set="blazepose33",
        keypoints_3d=np.einsum("fij,fpj->fpi", looking, relative),
    )  # fmt: skip
