"""The first step: open the video, or recall what an earlier run found out about the same file."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from diorama.assets import sha256_of
from diorama.reconstruct.store import StepStore
from diorama.records import load_record
from diorama.video import ScanConfig, Video, open_video

SCAN = "scan"


def scan_key(path: Path, shot: int | None, store: StepStore) -> str:
    """The scan depends on the bytes of the file and on the shot asked for."""
    return store.key(SCAN, {"digest": sha256_of(path), "shot": shot, "config": ScanConfig()}, ())


def open_or_recall(path: Path, shot: int | None, store: StepStore) -> Video:
    """The video of this path; a second run on the same file does not decode it again.

    Raises:
        DioramaError: see `open_video`.
    """
    if path.is_file() and store.exists(SCAN) and store.find(SCAN, scan_key(path, shot, store)):
        return dataclasses.replace(load_record(Video, store.path(SCAN)), path=path)
    return open_video(path, shot=shot)


def megabytes_needed(video: Video) -> float:
    """Room that the output folder needs, generously."""
    return 40 + 0.5 * len(video)
