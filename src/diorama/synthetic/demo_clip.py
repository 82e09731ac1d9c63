"""The clip of our own: two people walking in a street before a moving camera, with the exact truth beside it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from diorama.assets import atomic_path, sha256_of
from diorama.geometry.cameras import pixel_grid, unproject
from diorama.geometry.transforms import apply
from diorama.progress import progress_bar
from diorama.reconstruction import Cameras, Reconstruction, Scene, load
from diorama.synthetic.staging import DEMO_SEED, DEMO_SHOT, Shot, Staging, stage
from diorama.synthetic.video_file import write_video
from diorama.synthetic.world import Rendered, build_actors, render_frames

# Raise when the same seed gives another clip, so that old clips are made again.
GENERATOR = 2
_KEYFRAME_STEP = 20
_SCENE_POINTS = 40_000


@dataclass(frozen=True)
class DemoClip:
    """A rendered clip: the video file, and the truth as a reconstruction (also in `folder/truth`)."""

    folder: Path
    video: Path
    truth: Reconstruction


def make_demo_clip(
    folder: str | Path,
    seed: int = DEMO_SEED,
    *,
    shot: Shot = DEMO_SHOT,
    processes: int | None = None,
    progress: bool = True,
) -> DemoClip:
    """Render `folder/video.mp4` and `folder/truth`; a finished clip of the same seed and shot is used again.

    With more than one process, scripts must call this under `if __name__ == "__main__":` (processes are spawned).

    Raises:
        DioramaError: the folder cannot be written.
    """
    folder = Path(folder)
    video, key_file = folder / "video.mp4", folder / "clip.json"
    key = {"generator": GENERATOR, "seed": seed, "shot": dataclasses.asdict(shot)}
    if _finished(key_file, video, key):
        return DemoClip(folder, video, load(folder / "truth"))
    keyframes = list(range(0, shot.frames, _KEYFRAME_STEP))
    count = min(2, os.cpu_count() or 1) if processes is None else processes
    staging = stage(seed, shot)
    rendered = render_frames(staging, range(shot.frames), processes=count, deep=keyframes)
    shown = progress_bar(rendered, desc="rendering the demo clip", total=shot.frames, show=progress)
    kept: list[Rendered] = []
    write_video(video, _keeping(iter(shown), kept), (shot.width, shot.height), shot.fps)
    truth = _truth(staging, kept)
    truth.save(folder / "truth")
    with atomic_path(key_file) as temporary:
        temporary.write_text(json.dumps({**key, "video_sha256": sha256_of(video)}, indent=1) + "\n", encoding="utf-8")
    return DemoClip(folder, video, truth)


def _finished(key_file: Path, video: Path, key: dict) -> bool:
    try:
        known = json.loads(key_file.read_text(encoding="utf-8"))
        return video.is_file() and known == {**key, "video_sha256": sha256_of(video)}
    except (OSError, ValueError):
        return False


def _keeping(frames: Iterator[Rendered], kept: list[Rendered]) -> Iterator[np.ndarray]:
    for frame in frames:
        if frame.depth is not None:
            kept.append(frame)
        yield frame.rgb


def _truth(staging: Staging, keyframes: list[Rendered]) -> Reconstruction:
    shot, count = staging.shot, staging.shot.frames
    kind = {"walk": "translating", "pan": "rotating", "static": "static"}[shot.camera]
    cameras = Cameras(
        np.tile(staging.K, (count, 1, 1)), staging.T_world_camera, np.zeros((count, 1)), np.ones(count, bool),
        shot.width, shot.height, "given", kind,
    )  # fmt: skip
    return Reconstruction(
        times=shot.times, frame_index=np.arange(count), duplicate=np.zeros(count, bool), cameras=cameras,
        people=tuple(actor.person() for actor in build_actors(staging)), scene=_scene(staging, keyframes), up="exact",
        provenance={"method": "synthetic", "seed": staging.seed, "generator": GENERATOR},
    )  # fmt: skip


def _scene(staging: Staging, keyframes: list[Rendered]) -> Scene:
    """Depth of the keyframes (people included) and surface points of the scenery that they see."""
    shot = staging.shot
    rng = np.random.default_rng(staging.seed)
    pixels = pixel_grid(shot.width, shot.height)
    points, colors, depths = [], [], []
    for frame in keyframes:
        assert frame.depth is not None and frame.ids is not None
        depths.append(frame.depth)
        y, x = np.nonzero((frame.depth > 0) & (frame.ids == 0))
        chosen = rng.choice(len(y), min(len(y), _SCENE_POINTS // len(keyframes)), replace=False)
        y, x = y[chosen], x[chosen]
        camera_points = unproject(pixels[y, x], frame.depth[y, x], staging.K)
        points.append(apply(staging.T_world_camera[frame.row], camera_points))
        colors.append(frame.rgb[y, x])
    every = np.concatenate(points)
    return Scene(
        every, np.concatenate(colors), np.ones(len(every), np.float32), np.stack(depths),
        np.tile(staging.K, (len(keyframes), 1, 1)), np.array([frame.row for frame in keyframes]),
    )  # fmt: skip
