"""Toyota Smarthome (Das et al. 2019): clips of daily life from fixed cameras, for user studies; there is no truth."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial as bind
from pathlib import Path

from diorama.data.layout import need_folder
from diorama.data.sequence import Pictures, Sequence
from diorama.errors import DioramaError

FPS = 20.0
_NAME = re.compile(r"(?P<activity>.+)_p(?P<subject>\d+)_r(?P<repetition>\d+)_v(?P<view>\d+)_c(?P<camera>\d+)")


@dataclass(frozen=True)
class ToyotaClip:
    """What the name of a clip says, for instance `Walk_p04_r00_v04_c05`."""

    activity: str
    subject: int
    repetition: int
    view: int
    camera: int


def parse_clip_name(name: str) -> ToyotaClip | None:
    """The parts of a clip's name without its suffix, or None if it is not one."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    numbers = {key: int(match[key]) for key in ("subject", "repetition", "view", "camera")}
    return ToyotaClip(match["activity"], **numbers)


def open_toyota(root: Path) -> tuple[Sequence, ...]:
    """All clips of `mp4/`, in the order of their names, tagged with activity, subject and camera. They have no truth.

    Raises:
        DioramaError: no clips here.
    """
    folder = need_folder(root / "mp4", "the folder of Toyota Smarthome's clips")
    clips = [(path, parse_clip_name(path.stem)) for path in sorted(folder.glob("*.mp4"))]
    sequences = tuple(
        Sequence(
            dataset="toyota",
            name=path.stem,
            split=(clip.activity, f"p{clip.subject:02d}", f"c{clip.camera:02d}"),
            fps=FPS,
            find_pictures=bind(_video, path),
        )
        for path, clip in clips
        if clip is not None
    )
    if not sequences:
        raise DioramaError("no clips here", where=folder / "Walk_p04_r00_v04_c05.mp4", fix="give the unpacked data set")
    return sequences


def _video(path: Path) -> Pictures:
    return path
