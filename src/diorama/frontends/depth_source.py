"""What `--depth` names: a folder of depth maps, or the weights of a network. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diorama.errors import DioramaError
from diorama.networks.moge_files import how_to_get_moge

MOGE2 = "moge2:"


@dataclass(frozen=True)
class DepthSource:
    """`place` is a folder of maps, or MoGe-2's weights: a file, a folder, or a repository of the hub (owner/name)."""

    kind: Literal["folder", "moge2"]
    place: str

    @property
    def option(self) -> str:
        """As it is written on the command line."""
        return f"--depth {MOGE2 if self.kind == 'moge2' else ''}{self.place}"


def parse_depth_source(text: str) -> DepthSource:
    """The source that a word after `--depth` names; weights are looked for later.

    Raises:
        DioramaError: neither a folder that is there nor `moge2:` with a place.
    """
    if text.startswith(MOGE2):
        place = text.removeprefix(MOGE2)
        if not place:
            raise DioramaError("no weights are named", where=f"--depth {text}", fix=how_to_get_moge())
        return DepthSource("moge2", place)
    path = Path(text).expanduser()
    if path.is_file():
        fix = f"write --depth {MOGE2}{text} if it holds MoGe-2's weights; else give the folder of the maps"
        raise DioramaError("is a file", where=f"--depth {text}", fix=fix)
    if not path.is_dir():
        fix = f"give a folder of depth maps (docs/depth.md), or {how_to_get_moge()}"
        raise DioramaError("no such folder", where=f"--depth {text}", fix=fix)
    return DepthSource("folder", str(path))
