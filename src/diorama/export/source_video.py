"""Where the video of a result lies: pictures beside the world need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diorama.reconstruction import Reconstruction


def find_video(reconstruction: Reconstruction, folder: Path | None) -> Path | None:
    """The source video, if it still lies where it was, or beside or in the result's folder."""
    video = _video(reconstruction)
    candidates = [Path(video["path"])] if video.get("path") else []
    if folder is not None and video.get("name"):
        candidates += [folder / video["name"], folder.parent / video["name"]]
    return next((path for path in candidates if path.is_file()), None)


def named_shot(reconstruction: Reconstruction) -> int | None:
    """The number of the shot that the result was made from, where it says so."""
    shot = _video(reconstruction).get("shot")
    return None if shot is None else int(shot)


def _video(reconstruction: Reconstruction) -> dict[str, Any]:
    named = reconstruction.provenance.get("video", {})
    return named if isinstance(named, dict) else {"path": str(named)}
