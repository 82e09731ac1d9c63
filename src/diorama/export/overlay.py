"""overlay.mp4: the reconstructed bodies drawn over the source video, frame for frame and time for time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float

from diorama.body.joints import JOINT_PARENTS
from diorama.body.model import PosedBody, ShapedBody
from diorama.errors import DioramaError
from diorama.export.encoding import write_pictures
from diorama.export.skin import joint_transforms, person_color, shaped_person
from diorama.geometry.transforms import apply, invert
from diorama.progress import progress_bar
from diorama.reconstruction import Cameras, Person, Reconstruction
from diorama.render.overlay import BodyLayer, Lens, draw_bodies
from diorama.video import Video

logger = logging.getLogger(__name__)


def write_overlay(
    video: Video, reconstruction: Reconstruction, path: str | Path, *, max_size: int = 960, progress: bool = True
) -> Path:
    """Draw everybody over the video, longer side at most `max_size` pixels; the file appears when it is complete.

    Raises:
        DioramaError: the video does not belong to the reconstruction, or the file cannot be written.
    """
    path = Path(path)
    frames = overlaid(video, reconstruction, max_size)
    shown = iter(progress_bar(frames, desc="overlay", total=len(video), show=progress))
    write_pictures(path, shown, video.times, video.fps)
    return path


def overlaid(video: Video, reconstruction: Reconstruction, max_size: int) -> Iterator[np.ndarray]:
    """Frames with the bodies on them, one after the other, cropped to even sizes.

    Raises:
        DioramaError: the video does not belong to the reconstruction.
    """
    if len(video) != len(reconstruction):
        what = f"the video has {len(video)} frames, the reconstruction {len(reconstruction)}"
        raise DioramaError(what, where=video.path, fix="give the video that it was made from")
    return _drawn(video, reconstruction, max_size)


def _drawn(video: Video, reconstruction: Reconstruction, max_size: int) -> Iterator[np.ndarray]:
    performers = [Performer.of(person) for person in reconstruction.people]
    for row, picture in video.frames(max_size=max_size):
        lens = _lens(reconstruction.cameras, row, picture.shape[1], picture.shape[0])
        T_camera_world = invert(reconstruction.cameras.T_world_camera[row])
        layers = [p.layer(row, T_camera_world) for p in performers if row in p.rows]
        drawn = draw_bodies(picture, layers, lens)
        yield np.ascontiguousarray(drawn[: max(2, len(drawn) // 2 * 2), : max(2, drawn.shape[1] // 2 * 2)])


def _lens(cameras: Cameras, row: int, width: int, height: int) -> Lens:
    scale = np.array([width / cameras.width, height / cameras.height, 1.0])
    distortion = np.asarray(cameras.distortion[row], np.float64)
    return Lens(scale[:, None] * np.asarray(cameras.K[row], np.float64), distortion, width, height)


@dataclass(frozen=True)
class Performer:
    """A person ready to be posed frame by frame; without a body model only joints are drawn."""

    person: Person
    rows: dict[int, int]
    colour: tuple[int, int, int]
    shaped: ShapedBody | None
    Ts_world_joint: Float[np.ndarray, "n 24 4 4"] | None
    touching: Bool[np.ndarray, "n sites"]

    @classmethod
    def of(cls, person: Person) -> Performer:
        """Look the body model up."""
        shaped = Ts = None
        try:
            shaped = shaped_person(person)
            Ts = joint_transforms(shaped, person)
        except DioramaError as error:
            logger.warning("person %d is drawn as a skeleton: %s", person.id, error)
        rows = {int(row): n for n, row in enumerate(person.frames)}
        return cls(person, rows, person_color(person.id), shaped, Ts, person.contacts > 0.5)

    def layer(self, row: int, T_camera_world: Float[np.ndarray, "4 4"]) -> BodyLayer:
        """What is drawn of this person in a frame."""
        n = self.rows[row]
        joints = apply(T_camera_world, np.asarray(self.person.joints_world[n], np.float64))
        label = f"{self.person.id}  {np.linalg.norm(joints[0]):.1f} m"
        if self.shaped is None or self.Ts_world_joint is None:
            return BodyLayer(self.colour, label, joints, JOINT_PARENTS, np.zeros((0, 3)))
        posed = _posed(self.shaped, T_camera_world @ self.Ts_world_joint[n])
        names = [s for s, on in zip(self.person.contact_sites, self.touching[n], strict=True) if on]
        known = [name for name in names if name in self.shaped.contact_sites.names]
        points = posed.contact_sites(known)[0].numpy() if known else np.zeros((0, 3))
        faces = self.shaped.model.faces.numpy()
        return BodyLayer(self.colour, label, joints, JOINT_PARENTS, points, posed.verts()[0].numpy(), faces)


def _posed(shaped: ShapedBody, Ts: Float[np.ndarray, "24 4 4"]) -> PosedBody:
    """A body whose joints have these poses (camera frame)."""
    T = torch.from_numpy(Ts.astype(np.float32))[None]
    local = T[..., :3, :3].clone()
    for joint, parent in enumerate(JOINT_PARENTS):
        if parent >= 0:
            local[:, joint] = T[:, parent, :3, :3].mT @ T[:, joint, :3, :3]
    return PosedBody(shaped, local, T[..., :3, 3], T[..., :3, :3])
