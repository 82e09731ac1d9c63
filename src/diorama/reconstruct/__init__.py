"""The main job: a video file becomes a `Reconstruction`."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from pathlib import Path

from diorama.reconstruct.options import METHODS, Options
from diorama.reconstruct.preflight import check_output
from diorama.reconstruct.store import StepStore
from diorama.reconstruct.take import megabytes_needed, open_or_recall
from diorama.reconstruction import Reconstruction

__all__ = ["METHODS", "Options", "reconstruct"]


def reconstruct(
    video: str | Path,
    *,
    method: str = "auto",
    out: str | Path | None = None,
    shot: int | None = None,
    focal: float | None = None,
    fov: float | None = None,
    stature: Mapping[int, float] | None = None,
    depth: str | Path | None = None,
    scene: str | None = None,
    overlay: bool = True,
    weights: str | Path | None = None,
    progress: bool = True,
) -> Reconstruction:
    """Reconstruct people, cameras, scene and contacts of one shot of a video, in metres, gravity along -Z.

    Args:
        video: path of the video file.
        method: "auto", or one of `METHODS`.
        out: folder for the result, the overlay, the quality card and the finished steps; a second call with the same
            folder takes up where the first one stopped. Without it nothing is written.
        shot: which shot to use where the video has cuts; the longest one if not given.
        focal: focal length in pixels of the upright source video, where it is known.
        fov: horizontal field of view in degrees, instead of `focal`.
        stature: height in metres of the people whose height is known, by id.
        depth: metric depth of keyframes: a folder of depth maps (docs/depth.md), or "moge2:" and a file, folder or hub
            repository of MoGe-2's weights.
        scene: "mast3r:" and a file, folder or hub repository of MASt3R's weights: cameras, depth and matches for JOSH
            come from that network instead of the embedded front ends (docs/mast3r.md).
        overlay: also write `overlay.mp4`.
        weights: of the networks of method "unish" or "josh3r": file, folder, or repository of the Hugging Face hub
            (docs/unish.md, docs/josh3r.md).
        progress: show progress bars where a terminal watches.

    Raises:
        DioramaError: the video, an option, the output folder or a model file cannot be used; nothing has been written.
    """
    options = Options(
        method, shot, focal, fov, dict(stature or {}), overlay,
        weights=None if weights is None else str(weights), depth=None if depth is None else str(depth), scene=scene,
    )  # fmt: skip
    store = StepStore(None if out is None else Path(out))
    taken = open_or_recall(Path(video), shot, store)
    if store.folder is not None:
        check_output(store.folder, megabytes_needed(taken))
    # Loaded here, so that a video or folder that cannot be used is refused at once, before torch is there.
    from diorama.reconstruct.pipeline import run

    return run(taken, options, store, progress=progress)


class _Callable(types.ModuleType):
    """Importing `diorama.reconstruct` puts this module, not the function, under that name: so it can be called too."""

    __call__ = staticmethod(reconstruct)


sys.modules[__name__].__class__ = _Callable
