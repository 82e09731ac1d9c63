"""UniSH's networks as a scene branch: pictures once, every person with his own crops, one metric scale for all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diorama.errors import DioramaError
from diorama.methods.unish.branch import WindowPerson, WindowWorld
from diorama.methods.unish.pictures import SeenPerson, Window
from diorama.networks.pi3 import SceneOutput
from diorama.networks.unish import InferOptions, UniSH
from diorama.networks.unish_metric import half_diagonal, intrinsics, mean_distance, recovered


@dataclass(frozen=True)
class _Found:
    """Scale and places of one person, in the units of the point map."""

    person: SeenPerson
    rotations: Float[Tensor, "frames 24 3 3"]
    betas: Float[Tensor, "frames betas"]
    scale: Float[Tensor, ""]
    transl: Float[Tensor, "frames 3"]


@dataclass(frozen=True)
class NetworkBranch:
    """Calls the networks.

    Attributes:
        network: in evaluation mode.
        options: as of `UniSH.infer`.
        focal: known focal length in source pixels.
        autocast: run encoders and decoders in bfloat16.
        credit: name, licence and source of the weights.
    """

    network: UniSH
    options: InferOptions
    focal: float | None
    autocast: bool
    credit: Mapping[str, Any]
    needs_pictures: bool = True

    @torch.no_grad()
    def __call__(self, window: Window) -> WindowWorld:
        """The metric world of one window.

        For one person who is always seen this is `UniSH.infer`. Focal length and shift are recovered once, since
        scaling a map scales the shift and leaves the focal length. With several people the scale is the geometric mean
        of theirs, each counted by his frames. Frames without a person get his token of the nearest frame with him, so that
        AlignNet's clip has no hole, and their output is not used. Without people AlignNet is asked with empty tokens.

        Raises:
            DioramaError: there are no pictures.
        """
        if window.images is None:
            raise DioramaError("UniSH needs the pictures themselves", where="observations", fix="give the video")
        device = next(self.network.parameters()).device
        cast = torch.autocast(device.type, torch.bfloat16) if self.autocast else contextlib.nullcontext()
        with cast:
            scene = self.network.scene(_pictures(window.images, device))
        unit = half_diagonal(window.layout.working[1], window.layout.working[0])
        confident = scene["conf"][..., 0].sigmoid() > self.options.threshold
        focal, shift, valid = recovered(
            scene["local_points"], confident, self.options, self._known(window, unit, confident)
        )
        with cast:
            people = [self._person(person, scene, focal[0] * unit, window.fps) for person in window.people]
            scale = _pooled(people) if people else self._without_people(scene, window.fps)
        factor = scale / mean_distance(scene["local_points"], valid)[0, 0]
        return _world(scene, people, focal, shift, valid, factor)

    def _known(self, window: Window, unit: float, like: Tensor) -> Tensor | None:
        if self.focal is None:
            return None
        per = float(window.layout.source_per_working.mean())
        return torch.full(like.shape[:2], self.focal / per / unit, device=like.device)

    def _person(self, person: SeenPerson, scene: SceneOutput, focal: Float[Tensor, " frames"], fps: float) -> _Found:
        """Human branch on the frames with him, AlignNet on all."""
        assert person.crops is not None
        present = np.flatnonzero(person.seen)
        nearest = torch.from_numpy(_nearest_seen(person.seen)).to(focal.device)
        boxes = torch.from_numpy(person.boxes[present]).to(focal) / focal[present][:, None]
        crops = _pictures(person.crops[present], focal.device)
        found = self.network.person(crops, boxes[None], normalise=self.options.normalise_crops)
        scale, transl = self.network.alignnet(scene["hidden"], found.token[nearest][None], fps=fps)
        return _Found(person, found.rotations[nearest], found.betas[nearest], scale[0, 0], transl[0])

    def _without_people(self, scene: SceneOutput, fps: float) -> Float[Tensor, ""]:
        width = self.network.config.alignnet.human
        nobody = torch.zeros(1, scene["hidden"].shape[1], width, device=scene["hidden"].device)
        return self.network.alignnet(scene["hidden"], nobody, fps=fps)[0][0, 0]


def _pictures(images: np.ndarray, device: torch.device) -> Float[Tensor, "1 frames 3 height width"]:
    return (torch.from_numpy(images).to(device).movedim(-1, -3)[None].float() / 255).contiguous()


def _nearest_seen(seen: Bool[np.ndarray, " frames"]) -> np.ndarray:
    """For every frame the position, among the seen ones, of the nearest seen frame."""
    present = np.flatnonzero(seen)
    return np.abs(np.arange(len(seen))[:, None] - present).argmin(1)


def _pooled(people: list[_Found]) -> Float[Tensor, ""]:
    counts = torch.tensor([float(found.person.seen.sum()) for found in people])
    logs = torch.stack([found.scale.float().log() for found in people])
    return ((logs * counts.to(logs)).sum() / counts.sum()).exp()


def _world(
    scene: SceneOutput, people: list[_Found], focal: Tensor, shift: Tensor, valid: Tensor, factor: Tensor
) -> WindowWorld:
    """Everything times the metric factor; the shift goes to depth and to people's z, as in `UniSH.infer`."""
    height, width = valid.shape[2:]
    depth = (scene["local_points"][0, ..., 2] + shift[0, :, None, None]) * factor * valid[0]
    T = scene["T_world_camera"][0].double().cpu().numpy()
    T[:, :3, 3] *= float(factor)
    return WindowWorld(
        K=intrinsics(focal, height, width)[0].double().cpu().numpy(),
        T_world_camera=T,
        depth=depth.float().cpu().numpy(),
        confidence=scene["conf"][0, ..., 0].float().sigmoid().cpu().numpy(),
        people=tuple(_placed(found, shift[0], factor) for found in people),
        scale_witnesses=sum(int(found.person.seen.sum()) for found in people),
    )


def _placed(found: _Found, shift: Tensor, factor: Tensor) -> WindowPerson:
    transl = found.transl.clone()
    transl[:, 2] += shift
    numbers = (found.rotations, found.betas, transl * factor)
    rotations, betas, places = (part.double().cpu().numpy() for part in numbers)
    return WindowPerson(found.person.id, found.person.seen, rotations, betas, places)
