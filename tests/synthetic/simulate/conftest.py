"""One exact scene for all tests: 60 frames of a walking camera, and what it sees."""

from dataclasses import dataclass

import numpy as np
import pytest

from diorama.reconstruction import Reconstruction
from diorama.synthetic.simulate import ExactView
from diorama.synthetic.simulate.exact_view import Frames, grid_size, look
from diorama.synthetic.simulate.seen_person import SeenPerson, see_person
from simulated_world import simulated_world


@dataclass(frozen=True)
class Exact:
    truth: Reconstruction
    view: ExactView
    frames: Frames
    people: tuple[SeenPerson, ...]


@pytest.fixture(scope="session")
def exact(free_body) -> Exact:
    truth, view = simulated_world("walk", 60)
    frames = look(view, np.arange(60), *grid_size(960, 540, 128))
    people = tuple(see_person(person, truth, frames, "blazepose33") for person in truth.people)
    return Exact(truth, Remembered(frames), frames, people)


class Remembered:
    """A view whose pictures are there already."""

    def __init__(self, frames: Frames) -> None:
        self.frames = frames

    def depth_and_ids(self, row, width, height):
        assert (width, height) == self.frames.size
        return self.frames.depth[row], self.frames.ids[row]
