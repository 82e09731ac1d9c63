"""A person put into a metric world: observed camera-frame bodies, brought to their stature and moved by the cameras."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from diorama.body import load_body
from diorama.body.anny import FREE_BODY_NAME
from diorama.body.contact_sites import CONTACT_SITE_NAMES
from diorama.body.model import BodyModel
from diorama.body.phenotypes import PHENOTYPES
from diorama.body.stature import betas_for_stature
from diorama.errors import DioramaError
from diorama.geometry.rotations import exp_so3, log_so3
from diorama.geometry.transforms import apply
from diorama.observations import ObservedBody
from diorama.reconstruction import Person


@dataclass(frozen=True)
class PlacedPerson:
    """Translation (metres), 24 rotations, shape of one person over his rows, in the world; contacts per site 0-1."""

    id: int
    model: BodyModel
    frames: Int[np.ndarray, " n"]
    betas: Float[Tensor, "1 betas"]
    transl: Float[Tensor, "n 3"]
    rotations: Float[Tensor, "n 24 3 3"]
    confidence: Float[np.ndarray, " n"]
    contacts: Float[np.ndarray, "n sites"]
    gender: str = "neutral"

    @property
    def pelvis_rest(self) -> Float[Tensor, 3]:
        return self.model.shaped(self.betas[0].float()).joints_rest[0].double()

    def joints_world(self) -> Float[np.ndarray, "n 24 3"]:
        """The 24 joints, metres."""
        return self._posed().joints.double().numpy()

    def sites_world(self) -> Float[np.ndarray, "n sites 3"]:
        """All contact sites, metres."""
        return self._posed().contact_sites().double().numpy()

    def _posed(self):
        return self.model.shaped(self.betas[0].float()).posed_by_matrices(self.rotations.float(), self.transl.float())

    def moved(self, rotation: Float[np.ndarray, "3 3"], translation: Float[np.ndarray, 3]) -> PlacedPerson:
        """The same person after the world moved: the root turns about the pelvis (`move_body`'s rule)."""
        R, t = torch.from_numpy(np.array(rotation)), torch.from_numpy(np.array(translation))
        pelvis = self.pelvis_rest
        rotations = torch.cat([(R @ self.rotations[:, 0])[:, None], self.rotations[:, 1:]], 1)
        return replace(self, rotations=rotations, transl=(self.transl + pelvis) @ R.T + t - pelvis)

    def vectors(self) -> tuple[Float[np.ndarray, "n 3"], Float[np.ndarray, "n 23 3"]]:
        """`global_orient` and `body_pose` as rotation vectors."""
        vectors = log_so3(self.rotations).numpy()
        return vectors[:, 0], vectors[:, 1:]

    def believed(self, observed: Bool[np.ndarray, " n"] | None = None) -> Person:
        """The person as a result has him; `observed` is false in rows that were filled in."""
        orient, pose = self.vectors()
        return Person(
            id=self.id, frames=self.frames, body=self.model.name, gender=self.gender, betas=self.betas[0].numpy(),
            global_orient=orient, body_pose=pose, transl=self.transl.numpy(), joints_world=self.joints_world(),
            contacts=self.contacts, contact_sites=CONTACT_SITE_NAMES,
            observed=np.ones(len(self.frames), bool) if observed is None else observed, confidence=self.confidence,
        )  # fmt: skip


def place(
    body: ObservedBody, model: BodyModel, stature: float, T_world_camera: Float[np.ndarray, "frames 4 4"], sites: int
) -> PlacedPerson:
    """The observed person at another stature, so that he covers the same pixels: distances grow with the stature."""
    fitted = torch.from_numpy(np.asarray(body.betas, np.float64))[None]
    betas = resized_betas(model, fitted, stature)
    rest_before = model.shaped(fitted[0].float()).joints_rest[0].double().numpy()
    rest_after = model.shaped(betas[0].float()).joints_rest[0].double().numpy()
    ratio = stature / float(model.stature(fitted[0].float()))
    T = T_world_camera[body.frames]
    pelvis_world = apply(T, (body.transl + rest_before) * ratio)
    vectors = np.concatenate([body.global_orient[:, None], body.body_pose], 1)
    rotations = exp_so3(torch.from_numpy(vectors.astype(np.float64)))
    root = torch.from_numpy(T[:, :3, :3].copy()) @ rotations[:, 0]
    return PlacedPerson(
        id=body.id,
        model=model,
        frames=body.frames,
        betas=betas,
        transl=torch.from_numpy(pelvis_world - rest_after),
        rotations=torch.cat([root[:, None], rotations[:, 1:]], 1),
        confidence=np.asarray(body.confidence, np.float64),
        contacts=np.zeros((len(body.frames), sites)),
        gender=body.gender,
    )


def resized_body(body: ObservedBody, stature: float) -> ObservedBody:
    """An observed body at another stature that covers the same pixels, as `place` does; SMPL's bodies stay as they are."""
    model = load_body(body.body, body.gender)
    if model.name != FREE_BODY_NAME:
        return body
    fitted = torch.from_numpy(np.asarray(body.betas, np.float64))[None]
    betas = resized_betas(model, fitted, stature)
    before, after = (model.shaped(b[0].float()).joints_rest[0].double().numpy() for b in (fitted, betas))
    ratio = float(model.stature(betas[0].float())) / float(model.stature(fitted[0].float()))
    transl = (np.asarray(body.transl, np.float64) + before) * ratio - after
    return replace(body, betas=betas[0].float().numpy(), transl=transl)


def resized_betas(model: BodyModel, betas: Float[Tensor, "1 betas"], stature: float) -> Float[Tensor, "1 betas"]:
    """The same build at another stature; builds that cannot have it (a child's) give way to an average one."""
    if model.name != FREE_BODY_NAME:
        return betas
    named = dict(zip(PHENOTYPES, betas[0].tolist(), strict=True))
    build = {name: min(max(named[name], 0.0), 1.0) for name in ("gender", "muscle", "weight", "proportions")}
    try:
        found = betas_for_stature(model, stature, **build)
    except DioramaError:
        found = betas_for_stature(model, stature)
    return found.double()[None]
