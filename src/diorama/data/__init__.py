"""Readers of published data sets: from the layout on disk to the truth type of the project (docs/datasets.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diorama.data.bedlam import open_bedlam
from diorama.data.bonn import FrameChoice, open_bonn
from diorama.data.emdb import open_emdb
from diorama.data.lidar import JOSH_SWEEP, SweepRule
from diorama.data.rich import open_rich
from diorama.data.sequence import Pictures, Sequence
from diorama.data.sloper4d import open_sloper4d
from diorama.data.threedpw import open_3dpw
from diorama.data.toyota import open_toyota
from diorama.data.truth import Parameters, Truth, exact_truth
from diorama.errors import DioramaError

__all__ = [
    "DATASETS",
    "DataOptions",
    "Parameters",
    "Pictures",
    "Sequence",
    "SweepRule",
    "Truth",
    "exact_truth",
    "open_dataset",
]


@dataclass(frozen=True)
class DataOptions:
    """What a data set may be told.

    Attributes:
        partial: take the sequences of a benchmark that are there; else missing ones are an error.
        smplx_to_smpl: RICH: a file with the matrix from SMPL-X to SMPL vertices, instead of converted bodies.
        bonn_frames: the benchmark's 110 frames, or all.
        sweep: SLOPER4D: how a LiDAR sweep becomes a depth map.
    """

    partial: bool = False
    smplx_to_smpl: Path | None = None
    bonn_frames: FrameChoice = "benchmark"
    sweep: SweepRule = JOSH_SWEEP


Opener = Callable[[Path, DataOptions], tuple[Sequence, ...]]
DATASETS: dict[str, Opener] = {
    "emdb1": lambda root, o: open_emdb(root, "emdb1", partial=o.partial),
    "emdb2": lambda root, o: open_emdb(root, "emdb2", partial=o.partial),
    "sloper4d": lambda root, o: open_sloper4d(root, partial=o.partial, rule=o.sweep),
    "rich": lambda root, o: open_rich(root, "rich", smplx_to_smpl=o.smplx_to_smpl, partial=o.partial),
    "rich-moving": lambda root, o: open_rich(root, "rich-moving", smplx_to_smpl=o.smplx_to_smpl, partial=o.partial),
    "rich-share": lambda root, o: open_rich(root, "rich-share", smplx_to_smpl=o.smplx_to_smpl, partial=o.partial),
    "bonn": lambda root, o: open_bonn(root, frames=o.bonn_frames, partial=o.partial),
    "3dpw": lambda root, _: open_3dpw(root),
    "bedlam": lambda root, _: open_bedlam(root),
    "toyota": lambda root, _: open_toyota(root),
}


def open_dataset(name: str, root: str | Path, options: DataOptions = DataOptions()) -> tuple[Sequence, ...]:
    """The sequences of a data set that the user has on disk; nothing large is read yet.

    Raises:
        DioramaError: an unknown name, or a file that belongs there is missing (the message names it).
    """
    if name not in DATASETS:
        raise DioramaError(f"unknown data set {name!r}", where="data", fix=f"use one of {', '.join(DATASETS)}")
    return DATASETS[name](Path(root).expanduser(), options)
