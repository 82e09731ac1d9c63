"""UniSH's networks as a scene branch: pictures once, every person with his own crops, one metric scale for all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from diorama.errors import DioramaError
from diorama.methods.unish.branch import WindowPerson, WindowWorld
from diorama.methods.unish.pictures import SeenPerson, Window
from diorama.methods.unish.windows import Layout
from diorama.networks.pi3 import SceneOutput
from diorama.networks.unish import InferOptions, UniSH
from diorama.networks.unish_metric import half_diagonal, intrinsics, mean_distance, recovered

# Crops in one pass of the human branch.
_CROPS = 256


@dataclass(frozen=True)
class _Found:
    """Scale and places of one person, in the units of the point map."""

    person: SeenPerson
    rotations: Float[Tensor, "frames 24 3 3"]
    betas: Float[Tensor, "frames betas"]
    scale: Float[Tensor, ""]
    transl: Float[Tensor, "frames 3"]


@dataclass(frozen=True)
class _Seen:
    """Windows in the network's units, and the metres of one, by window."""

    scene: SceneOutput
    focal: Float[Tensor, "windows frames"]
    shift: Float[Tensor, "windows frames"]
    valid: Bool[Tensor, "windows frames height width"]
    factor: Float[Tensor, " windows"]


@dataclass(frozen=True)
class NetworkBranch:
    """Calls the networks.

    Attributes:
        network: in evaluation mode.
        options: as of `UniSH.infer`.
        focal: known focal length in source pixels.
        autocast: run encoders and decoders in bfloat16.
        credit: name, licence and source of the weights.
        together: windows in one pass.
    """

    network: UniSH
    options: InferOptions
    focal: float | None
    autocast: bool
    credit: Mapping[str, Any]
    together: int = 1
    needs_pictures: bool = True

    @torch.no_grad()
    def __call__(self, windows: Sequence[Window]) -> list[WindowWorld]:
        """The metric worlds of windows of one size and length, in one pass of every network.

        For one person who is always seen this is `UniSH.infer`. Focal length and shift are recovered once, since
        scaling a map scales the shift and leaves the focal length. With several people the scale is the geometric mean
        of theirs, each counted by his frames. Frames without a person get his token of the nearest frame with him, so that
        AlignNet's clip has no hole, and their output is not used. Without people AlignNet is asked with empty tokens.

        Raises:
            DioramaError: there are no pictures.
        """
        images = [window.images for window in windows if window.images is not None]
        if len(images) < len(windows):
            raise DioramaError("UniSH needs the pictures themselves", where="observations", fix="give the video")
        device = next(self.network.parameters()).device
        cast = torch.autocast(device.type, torch.bfloat16) if self.autocast else contextlib.nullcontext()
        with cast:
            scene = self.network.scene(_pictures(np.stack(images), device))
        layout = windows[0].layout
        unit = half_diagonal(layout.working[1], layout.working[0])
        confident = scene["conf"][..., 0].sigmoid() > self.options.threshold
        focal, shift, valid = recovered(scene["local_points"], confident, self.options, self._known(layout, confident))
        with cast:
            everybody = self._people(windows, scene, focal * unit)
            scales = [
                self._scale(found, scene["hidden"][at, None], windows[at].fps) for at, found in enumerate(everybody)
            ]
        factor = torch.stack(scales) / mean_distance(scene["local_points"], valid)[:, 0]
        seen = _Seen(scene, focal, shift, valid, factor)
        return [_world(seen, at, found) for at, found in enumerate(everybody)]

    def _known(self, layout: Layout, like: Tensor) -> Tensor | None:
        if self.focal is None:
            return None
        unit = half_diagonal(layout.working[1], layout.working[0])
        per = float(layout.source_per_working.mean())
        return torch.full(like.shape[:2], self.focal / per / unit, device=like.device)

    def _people(
        self, windows: Sequence[Window], scene: SceneOutput, focal: Float[Tensor, "windows frames"]
    ) -> list[list[_Found]]:
        """The human branch once on all crops of everybody, AlignNet on each person's frames; by window."""
        asked = [
            (at, person, np.flatnonzero(person.seen)) for at, window in enumerate(windows) for person in window.people
        ]
        out: list[list[_Found]] = [[] for _ in windows]
        if not asked:
            return out
        crops = np.concatenate([person.crops[rows] for _, person, rows in asked if person.crops is not None])
        boxes = [torch.from_numpy(p.boxes[rows]).to(focal) / focal[at, rows][:, None] for at, p, rows in asked]
        tokens, rotations, betas = self._human(crops, torch.cat(boxes))
        first = 0
        for at, person, rows in asked:
            nearest = torch.from_numpy(first + _nearest_seen(person.seen)).to(focal.device)
            fps, hidden = windows[at].fps, scene["hidden"][at, None]
            scale, transl = self.network.alignnet(hidden, tokens[nearest][None], fps=fps)
            out[at].append(_Found(person, rotations[nearest], betas[nearest], scale[0, 0], transl[0]))
            first += len(rows)
        return out

    def _human(self, crops: np.ndarray, boxes: Float[Tensor, "crops 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens, rotations and shapes; a few hundred crops at a time, so that a crowd needs no more memory."""
        parts = []
        for first in range(0, len(crops), _CROPS):
            some = slice(first, first + _CROPS)
            pictures = _pictures(crops[some][None], boxes.device)
            parts.append(self.network.person(pictures, boxes[None, some], normalise=self.options.normalise_crops))
        token, rotations, betas = (
            torch.cat([getattr(part, name) for part in parts]) for name in ("token", "rotations", "betas")
        )
        return token, rotations, betas

    def _scale(self, people: list[_Found], hidden: Float[Tensor, "1 frames tokens width"], fps: float) -> Tensor:
        return _pooled(people) if people else self._without_people(hidden, fps)

    def _without_people(self, hidden: Float[Tensor, "1 frames tokens width"], fps: float) -> Float[Tensor, ""]:
        width = self.network.config.alignnet.human
        nobody = torch.zeros(1, hidden.shape[1], width, device=hidden.device)
        return self.network.alignnet(hidden, nobody, fps=fps)[0][0, 0]


def _pictures(images: np.ndarray, device: torch.device) -> Float[Tensor, "clips frames 3 height width"]:
    return (torch.from_numpy(images).to(device).movedim(-1, -3).float() / 255).contiguous()


def _nearest_seen(seen: Bool[np.ndarray, " frames"]) -> np.ndarray:
    """For every frame the position, among the seen ones, of the nearest seen frame."""
    present = np.flatnonzero(seen)
    return np.abs(np.arange(len(seen))[:, None] - present).argmin(1)


def _pooled(people: list[_Found]) -> Float[Tensor, ""]:
    counts = torch.tensor([float(found.person.seen.sum()) for found in people])
    logs = torch.stack([found.scale.float().log() for found in people])
    return ((logs * counts.to(logs)).sum() / counts.sum()).exp()


def _world(seen: _Seen, at: int, people: list[_Found]) -> WindowWorld:
    """Everything times the metric factor; the shift goes to depth and to people's z, as in `UniSH.infer`."""
    scene, valid, factor, shift = seen.scene, seen.valid[at], seen.factor[at], seen.shift[at]
    height, width = valid.shape[1:]
    depth = (scene["local_points"][at, ..., 2] + shift[:, None, None]) * factor * valid
    T = scene["T_world_camera"][at].double().cpu().numpy()
    T[:, :3, 3] *= float(factor)
    return WindowWorld(
        K=intrinsics(seen.focal[at], height, width).double().cpu().numpy(),
        T_world_camera=T,
        depth=depth.float().cpu().numpy(),
        confidence=scene["conf"][at, ..., 0].float().sigmoid().cpu().numpy(),
        people=tuple(_placed(found, shift, factor) for found in people),
        scale_witnesses=sum(int(found.person.seen.sum()) for found in people),
    )


def _placed(found: _Found, shift: Tensor, factor: Tensor) -> WindowPerson:
    transl = found.transl.clone()
    transl[:, 2] += shift
    numbers = (found.rotations, found.betas, transl * factor)
    rotations, betas, places = (part.double().cpu().numpy() for part in numbers)
    return WindowPerson(found.person.id, found.person.seen, rotations, betas, places)
