"""Exact sequences as pictures: streamed frame by frame, or a folder with the video and its whole truth."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8

from diorama.assets import atomic_path, sha256_of
from diorama.body.anny import load_free_body
from diorama.body.joints import COCO_17
from diorama.progress import progress_bar
from diorama.reconstruction import Reconstruction, load
from diorama.render.raycast import Light, Mesh, render
from diorama.render.sensor import Sensor
from diorama.synthetic.scenery import build_scenery, daylight
from diorama.synthetic.sequences import ExactSequence, SequenceSpec, build_sequence
from diorama.synthetic.simulate.exact_view import grid_size, look
from diorama.synthetic.simulate.seen_person import see_person
from diorama.synthetic.video_file import write_video

# Raise when the same sequence gives other pictures.
RENDERER = 1
_GRID = 320


@dataclass(frozen=True)
class Frame:
    """One rendered frame with its exact depth (z in metres, 0: nothing), ids (0 scenery, else the person's) and normals
    in camera axes (0 where there is nothing)."""

    row: int
    rgb: UInt8[np.ndarray, "height width 3"]
    depth: Float[np.ndarray, "height width"]
    ids: UInt8[np.ndarray, "height width"]
    normals: Float[np.ndarray, "height width 3"]


@dataclass(frozen=True)
class RenderedSequence:
    """A folder with `video.mp4`, `truth/` (a reconstruction), `frames/NNNNNN.npz` (depth, ids, normals) and
    `keypoints.npz` (COCO-17 pixels and who can be seen)."""

    folder: Path
    video: Path
    truth: Reconstruction


@dataclass(frozen=True)
class _Stage:
    """A sequence with looks."""

    sequence: ExactSequence
    scenery: tuple[Mesh, ...]
    light: Light

    @classmethod
    def of(cls, spec: SequenceSpec) -> _Stage:
        sequence = build_sequence(spec)
        scenery = build_scenery(sequence.layout, np.random.default_rng([spec.seed, 2]))
        return cls(sequence, scenery, daylight(sequence.layout, np.random.default_rng([spec.seed, 3])))

    def frame(self, row: int) -> Frame:
        """One picture of the sequence, with the noise of a telephone's sensor."""
        sequence, spec = self.sequence, self.sequence.spec
        people = [actor.mesh(row) for actor in sequence.actors]
        picture = render(
            (*self.scenery, *people), sequence.K[row], sequence.T_world_camera[row], spec.width, spec.height,
            light=self.light, distortion=sequence.distortion, normals="camera", sensor=Sensor(seed=(spec.seed, row)),
        )  # fmt: skip
        assert picture.normals is not None
        return Frame(
            row, picture.rgb, picture.depth.astype(np.float32), picture.ids.astype(np.uint8),
            picture.normals.astype(np.float32),
        )  # fmt: skip


def stream_frames(spec: SequenceSpec, rows: Sequence[int] | None = None, *, processes: int = 1) -> Iterator[Frame]:
    """Frames of a sequence (all, or `rows`) in order, as they are rendered: for training without files.

    With more than one process, scripts must call this under `if __name__ == "__main__":` (processes are spawned). The
    pictures do not depend on their number.
    """
    rows = range(spec.frames) if rows is None else rows
    load_free_body()  # built here once, not by every process at the same time
    if processes <= 1:
        stage = _Stage.of(spec)
        yield from (stage.frame(row) for row in rows)
        return
    with ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (spec,)) as pool:
        yield from pool.map(_frame, rows)


_stages: list[_Stage] = []


def _prepare(spec: SequenceSpec) -> None:
    """Build the stage of a rendering process."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _stages[:] = [_Stage.of(spec)]


def _frame(row: int) -> Frame:
    return _stages[0].frame(row)


def render_sequence(
    spec: SequenceSpec, folder: str | Path, *, processes: int = 2, progress: bool = True
) -> RenderedSequence:
    """Render a sequence into a folder; a finished one of the same spec is used again.

    Raises:
        DioramaError: the folder cannot be written, or there is no such sequence.
    """
    folder = Path(folder)
    video, key_file = folder / "video.mp4", folder / "sequence.json"
    key = {"renderer": RENDERER, "key": spec.key}
    if _finished(key_file, video, key):
        return RenderedSequence(folder, video, load(folder / "truth"))
    sequence = build_sequence(spec)
    frames = progress_bar(
        stream_frames(spec, processes=processes), desc=f"rendering {spec.name}", total=spec.frames, show=progress
    )
    pictures = _kept(iter(frames), folder / "frames")
    write_video(video, pictures, (spec.width, spec.height), spec.fps)
    sequence.truth.save(folder / "truth")
    _write_keypoints(sequence, folder / "keypoints.npz")
    with atomic_path(key_file) as temporary:
        temporary.write_text(json.dumps({**key, "video_sha256": sha256_of(video)}, indent=1) + "\n", encoding="utf-8")
    return RenderedSequence(folder, video, sequence.truth)


def _finished(key_file: Path, video: Path, key: dict[str, object]) -> bool:
    try:
        known = json.loads(key_file.read_text(encoding="utf-8"))
        return video.is_file() and known == {**key, "video_sha256": sha256_of(video)}
    except (OSError, ValueError):
        return False


def _kept(frames: Iterator[Frame], folder: Path) -> Iterator[np.ndarray]:
    """The colours of frames, whose other pictures are written beside."""
    for frame in frames:
        with atomic_path(folder / f"{frame.row:06d}.npz") as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, depth=frame.depth, ids=frame.ids, normals=frame.normals.astype(np.float16))
        yield frame.rgb


def _write_keypoints(sequence: ExactSequence, path: Path) -> None:
    """`xy` (people, frames, 17, 2) in pixels, NaN behind the camera; `visible` of the same joints; `names`, `ids`."""
    spec, truth = sequence.spec, sequence.truth
    width, height = grid_size(spec.width, spec.height, _GRID)
    frames = look(sequence, np.arange(spec.frames), width, height)
    xy = np.full((spec.people, spec.frames, len(COCO_17), 2), np.nan)
    visible = np.zeros(xy.shape[:3], bool)
    for index, person in enumerate(truth.people):
        seen = see_person(person, truth, frames, "coco17")
        xy[index, seen.rows], visible[index, seen.rows] = seen.pixels, ~seen.hidden
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file, xy=xy, visible=visible, names=np.array(COCO_17), ids=np.array([p.id for p in truth.people])
        )
