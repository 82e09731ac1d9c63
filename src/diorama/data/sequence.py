"""One sequence of a benchmark: pictures, parameters and truth, none of them read before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from diorama.data.posing import truth_of
from diorama.data.truth import Parameters, Truth
from diorama.errors import DioramaError

# Paths of pictures, one per row; or a video whose decoded frames are the rows; or None where there is neither.
Pictures = tuple[Path, ...] | Path | None


@dataclass(frozen=True)
class Sequence:
    """A sequence of a data set or of a synthetic suite; the same rows in pictures, parameters and truth.

    Attributes:
        dataset: the name given to `open_dataset`, or "synthetic:...".
        name: unique in the data set, without slashes.
        split: tags such as "test", "moving", "scene" (see docs/datasets.md).
        fps: frames per second of the rows.
        find_pictures: lists the pictures.
        read_parameters: reads what the files say; None for synthetic sequences and bare clips.
        read_truth: makes the truth where it does not come from parameters.
        picture_turns: quarter turns clockwise that make the stored pictures upright.
    """

    dataset: str
    name: str
    split: tuple[str, ...]
    fps: float
    find_pictures: Callable[[], Pictures]
    read_parameters: Callable[[], Parameters] | None = None
    read_truth: Callable[[], Truth] | None = None
    picture_turns: int = 0

    @property
    def pictures(self) -> Pictures:
        """Paths of the pictures, one per row, or the path of a video, or None.

        Raises:
            DioramaError: some of the pictures are missing.
        """
        return self.find_pictures()

    def parameters(self) -> Parameters:
        """What the files say, in the data set's own world; needs no body model.

        Raises:
            DioramaError: a file is missing or damaged, or this sequence has no such files.
        """
        if self.read_parameters is None:
            raise self._nothing("no parameters of a data set")
        return self.read_parameters()

    def truth(self) -> Truth:
        """The truth in the project's world.

        Raises:
            DioramaError: as `parameters`, or the file of a body model is not there.
        """
        if self.read_truth is not None:
            return self.read_truth()
        if self.read_parameters is None:
            raise self._nothing("no truth")
        return truth_of(self.read_parameters(), {"dataset": self.dataset, "sequence": self.name})

    def _nothing(self, what: str) -> DioramaError:
        return DioramaError(f"it has {what}", where=f"{self.dataset} {self.name}", fix="use its pictures only")
