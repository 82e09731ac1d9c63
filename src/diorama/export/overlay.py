"""overlay.mp4: the reconstructed bodies drawn over the source video, frame for frame and time for time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from diorama.errors import DioramaError
from diorama.export.encoding import write_pictures
from diorama.export.performer import Performer
from diorama.geometry.transforms import invert
from diorama.progress import progress_bar
from diorama.reconstruction import Cameras, Reconstruction
from diorama.render.overlay import Lens, draw_bodies
from diorama.video import Video


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
