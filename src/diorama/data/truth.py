"""What a data set knows about a sequence: its own parameters, and the truth in the project's world.

`Parameters` are what the files say, in the data set's own world and without any body model. `Truth` is the same as a
`Reconstruction` (+Z up, joints from the user's body model) with what benchmarks need beside it. A synthetic sequence
has no parameters of its own: `exact_truth` makes its truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from diorama.data.point_files import read_points
from diorama.geometry.transforms import apply
from diorama.reconstruction import Cameras, Reconstruction

Size = tuple[int, int]
# Vertices (n, verts, 3) of a person (id) in rows of the sequence.
Surface = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Labels:
    """What a benchmark needs about one person beside the body; rows are those of the person's `frames`.

    Attributes:
        id: of the person.
        valid: frames that the benchmark scores.
        keypoints: x px, y px, confidence 0-1 (0 where unknown) of the joint set `joint_set`; house pixels.
        boxes: x0 y0 x1 y1 px, NaN where there is none.
    """

    id: int
    valid: Bool[np.ndarray, " n"]
    keypoints: Float[np.ndarray, "n k 3"] | None = None
    joint_set: str = ""
    boxes: Float[np.ndarray, "n 4"] | None = None


@dataclass(frozen=True)
class DepthMaps:
    """True depth, read one frame at a time. `rows` are the rows of the sequence that have any."""

    rows: Int[np.ndarray, " d"]
    read: Callable[[int, Size | None], np.ndarray]

    def at(self, row: int, size: Size | None = None) -> Float[np.ndarray, "height width"]:
        """Z along the optical axis in metres, 0 where unknown, of one row; `size` = (width, height) of another grid.

        Raises:
            KeyError: the row has no depth.
            DioramaError: its file is missing or damaged.
        """
        if row not in self.rows:
            raise KeyError(f"no depth in row {row}")
        return self.read(row, size)


@dataclass(frozen=True)
class ScenePoints:
    """A file with points of the static scene, read when asked for."""

    path: Path
    T_world_dataset: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))

    def read(self) -> Float[np.ndarray, "points 3"]:
        """All points in the project's world, metres.

        Raises:
            DioramaError: the file is missing or damaged.
        """
        return apply(self.T_world_dataset, read_points(self.path))


@dataclass(frozen=True)
class Extras:
    """What a sequence may have beside cameras and people.

    Attributes:
        T_world_dataset: takes points of the data set's own world to the project's; only turns it upright.
        cameras_known: false where the camera was never measured: then K and poses are placeholders, and camera metrics
            and camera-frame metrics have no truth.
        tangential: p1, p2 of the lens (OpenCV), which `Cameras.distortion` does not hold.
        depth, scene: readers.
        surface: vertices (n, 6890, 3) of SMPL's topology, metres in the data set's world, of a person (id) in rows
            of the sequence; only where they do not come from the person's parameters.
    """

    T_world_dataset: Float[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    cameras_known: bool = True
    tangential: Float[np.ndarray, " 2"] = field(default_factory=lambda: np.zeros(2))
    depth: DepthMaps | None = None
    scene: ScenePoints | None = None
    surface: Surface | None = None


@dataclass(frozen=True)
class BodyParameters:
    """A person as the files say. `frames` are rows of the sequence; rotation vectors in radians, metres.

    The frame is the data set's world, or the camera of each row if `in_camera`. `global_orient` turns about the rest
    pelvis J0 and `transl` comes last, as everywhere in the house.
    """

    id: int
    frames: Int[np.ndarray, " n"]
    body: str
    gender: str
    betas: Float[np.ndarray, " betas"]
    global_orient: Float[np.ndarray, "n 3"]
    body_pose: Float[np.ndarray, "n j 3"]
    transl: Float[np.ndarray, "n 3"]
    labels: Labels
    in_camera: bool = False


@dataclass(frozen=True)
class Parameters:
    """A sequence as its files say, one row per picture. `cameras.T_world_camera` leads into the data set's own world
    here; pixels are the house's (centres at half integers). `up` says where gravity comes from."""

    times: Float[np.ndarray, " frames"]
    frame_index: Int[np.ndarray, " frames"]
    cameras: Cameras
    people: tuple[BodyParameters, ...]
    up: str
    extras: Extras = field(default_factory=Extras)

    def person(self, id: int) -> BodyParameters:
        """The person with this id.

        Raises:
            KeyError: nobody has it.
        """
        for person in self.people:
            if person.id == id:
                return person
        raise KeyError(f"no person {id}; there are {[p.id for p in self.people]}")


@dataclass(frozen=True)
class Truth:
    """The truth as a reconstruction would tell it, with the labels of its people (in the same order) and extras.

    The origin is the data set's: its floor need not be at z = 0.
    """

    reconstruction: Reconstruction
    labels: tuple[Labels, ...]
    extras: Extras = field(default_factory=Extras)

    def __post_init__(self) -> None:
        for person, labels in zip(self.reconstruction.people, self.labels, strict=True):
            if person.id != labels.id or len(person.frames) != len(labels.valid):
                raise ValueError(f"person {person.id}: labels of person {labels.id} with {len(labels.valid)} rows")

    def labels_of(self, id: int) -> Labels:
        """The labels of the person with this id.

        Raises:
            KeyError: nobody has it.
        """
        for labels in self.labels:
            if labels.id == id:
                return labels
        raise KeyError(f"no person {id}; there are {[labels.id for labels in self.labels]}")


def exact_truth(
    reconstruction: Reconstruction, *, depth: DepthMaps | None = None, scene: ScenePoints | None = None
) -> Truth:
    """The truth of a synthetic sequence: every frame counts, the cameras are exact, and nothing else is needed."""
    labels = tuple(Labels(person.id, np.ones(len(person.frames), bool)) for person in reconstruction.people)
    return Truth(reconstruction, labels, Extras(depth=depth, scene=scene))
