"""BEDLAM (Black et al. 2023): rendered crowds with SMPL-X or SMPL bodies; for training, there is no benchmark.

The processed labels know each body before its camera, but their world turns with the camera (`cam_ext` has pitch and
roll only); the raw tables know where the camera went. The truth is both: bodies before the cameras, cameras on their
path. Without labels a sequence has cameras and pictures, and nobody.

The principal point of the labels is half the size of the picture, so their pixels are the house's already.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from functools import partial as bind
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from diorama.data.bedlam_files import CameraPath, read_camera_path, read_stagings
from diorama.data.layout import cameras_of, need_file, need_folder, numbered_files
from diorama.data.sequence import Sequence
from diorama.data.truth import BodyParameters, Extras, Labels, Parameters
from diorama.data.unreal import camera_rotation, yaw_rotation
from diorama.errors import DioramaError
from diorama.geometry.cameras import intrinsics
from diorama.geometry.transforms import invert, rigid
from diorama.pickles import read_npz

FPS = 30.0
_SIZE = (1280, 720)
_SENSOR_WIDTH_MM = 36.0
_COLUMNS = ("imgname", "pose_cam", "shape", "trans_cam", "cam_int", "cam_ext", "gtkps", "gender", "sub")
# Axes (right, down, forward) of the labels' world in the project's (right, forward, up).
_LABELS_WORLD = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
# A picture turned clockwise: its x axis is the stored picture's -y, its y axis the stored x.
_TURNED_CAMERA = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])


@dataclass(frozen=True)
class Source:
    """Where one sequence of BEDLAM is; `labels` is the processed npz of its scene, if there is one."""

    folder: Path
    name: str
    labels: Path | None

    @property
    def closeup(self) -> bool:
        """Whether pictures are stored on their side."""
        return "closeup" in self.folder.name

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the upright picture."""
        width, height = _SIZE
        return (height, width) if self.closeup else (width, height)


def open_bedlam(root: Path) -> tuple[Sequence, ...]:
    """All sequences of the scenes that are there, named `{scene}_{seq}` and tagged with "train" and the scene.

    Args:
        root: holds one folder per scene (`be_seq.csv`, `png`, `ground_truth/camera`), and the processed labels
            `{scene}.npz` beside them or in a folder of their own.

    Raises:
        DioramaError: no scenes here.
    """
    need_folder(root, "the folder of BEDLAM")
    scenes = sorted(path.parent for path in root.glob("*/be_seq.csv"))
    if not scenes:
        raise DioramaError("no scenes of BEDLAM here", where=root / "SCENE" / "be_seq.csv", fix="see docs/datasets.md")
    sources = []
    for scene in scenes:
        labels = next((p for p in (root / f"{scene.name}.npz", *root.glob(f"*/{scene.name}.npz")) if p.is_file()), None)
        sources += [Source(scene, staging.name, labels) for staging in read_stagings(scene / "be_seq.csv")]
    return tuple(
        Sequence(
            dataset="bedlam",
            name=f"{source.folder.name}_{source.name}",
            split=("train", source.folder.name),
            fps=FPS,
            find_pictures=bind(find_pictures, source),
            read_parameters=bind(read_parameters, source),
            picture_turns=1 if source.closeup else 0,
        )
        for source in sources
    )


def find_pictures(source: Source) -> tuple[Path, ...] | None:
    """The picture of every row, or None where there is no folder of pictures.

    Raises:
        DioramaError: the picture of a row is missing.
    """
    folder = source.folder / "png" / source.name
    if not folder.is_dir():
        return None
    pictures = numbered_files(folder, last=True)
    numbers = _frame_numbers(source)
    return tuple(need_file(pictures.get(n, folder / f"{source.name}_{n:04d}.png"), "a picture") for n in numbers)


def _frame_numbers(source: Source) -> list[int]:
    """Numbers of the rendered frames that are rows: those with labels (every 5th in the 6 Hz release), or all."""
    rows = _label_rows(source)
    if rows is None:
        return list(range(len(_camera_path(source).yaw)))
    return sorted({frame for frame, _ in rows})


def _camera_path(source: Source) -> CameraPath:
    return read_camera_path(source.folder / "ground_truth" / "camera" / f"{source.name}_camera.csv")


@dataclass(frozen=True)
class _SceneLabels:
    """The labels of a scene by column, and per sequence the (frame number, row) of its labels."""

    table: dict[str, Any]
    rows: dict[str, list[tuple[int, int]]]


@lru_cache(maxsize=1)
def _scene_labels(path: Path, _written: int) -> _SceneLabels:
    """The labels of the scene that was asked for last (its sequences are read one after the other)."""
    table = read_npz(path, _COLUMNS)
    rows: dict[str, list[tuple[int, int]]] = {}
    for row, name in enumerate(table["imgname"]):
        picture = PurePosixPath(str(name))
        if match := re.search(r"\d+$", picture.stem):
            rows.setdefault(picture.parent.name, []).append((int(match.group()), row))
    if short := [key for key, column in table.items() if len(column) != len(table["imgname"])]:
        raise DioramaError(f"{short[0]} and imgname have different lengths", where=path, fix="get the published file")
    return _SceneLabels(table, rows)


def _table(path: Path) -> dict[str, Any]:
    return _scene_labels(path, path.stat().st_mtime_ns).table


def _label_rows(source: Source) -> list[tuple[int, int]] | None:
    """(frame number, row of the labels) of this sequence, or None where it has no labels."""
    if source.labels is None:
        return None
    return _scene_labels(source.labels, source.labels.stat().st_mtime_ns).rows.get(source.name)


def read_parameters(source: Source) -> Parameters:
    """Cameras in the project's world (metres, +Z up, Unreal's origin), and people before the cameras.

    Raises:
        DioramaError: files are missing or damaged, or have different numbers of frames.
    """
    numbers = np.array(_frame_numbers(source), np.int64)
    path = _camera_path(source)
    if numbers[-1] >= len(path.yaw):
        where = source.folder / "ground_truth" / "camera" / f"{source.name}_camera.csv"
        raise DioramaError(f"{len(path.yaw)} rows, but frame {numbers[-1]} has labels", where=where, fix="get the file")
    rows = _label_rows(source)
    T, K = _raw_cameras(source, path) if rows is None else _labelled_cameras(source, path, numbers, rows)
    return Parameters(
        times=numbers / FPS,
        frame_index=numbers,
        cameras=cameras_of(invert(T), K, source.size),
        people=() if rows is None else _people(source, numbers, rows),
        up="data set: +Z of Unreal's world",
        extras=Extras(),
    )


def _raw_cameras(source: Source, path: CameraPath) -> tuple[Float[np.ndarray, "n 4 4"], Float[np.ndarray, "n 3 3"]]:
    """T_world_camera and K (centres at integers) of all frames from the table alone."""
    rotation = camera_rotation(path.yaw, path.pitch, path.roll)
    if source.closeup:
        rotation = rotation @ _TURNED_CAMERA.T
    focal = path.focal_mm / _SENSOR_WIDTH_MM * _SIZE[0]
    K = np.stack([intrinsics(float(f), *source.size) for f in focal])
    K[:, :2, 2] -= 0.5
    return rigid(rotation, path.centres), K


def _labelled_cameras(
    source: Source, path: CameraPath, numbers: Int[np.ndarray, " n"], rows: list[tuple[int, int]]
) -> tuple[Float[np.ndarray, "n 4 4"], Float[np.ndarray, "n 3 3"]]:
    """Pitch, roll and K from the labels, yaw and place from the table."""
    assert source.labels is not None
    table = _table(source.labels)
    first = dict(reversed(rows))
    chosen = [first[int(number)] for number in numbers]
    leaning = np.swapaxes(np.asarray(table["cam_ext"], np.float64)[chosen, :3, :3], 1, 2)
    rotation = yaw_rotation(path.yaw[numbers]) @ _LABELS_WORLD @ leaning
    K = np.asarray(table["cam_int"], np.float64)[chosen]
    K[:, :2, 2] -= 0.5
    return rigid(rotation, path.centres[numbers]), K


def _people(source: Source, numbers: Int[np.ndarray, " n"], rows: list[tuple[int, int]]) -> tuple[BodyParameters, ...]:
    """One person per subject; a subject that is twice in a picture is two people, in the order of the labels."""
    assert source.labels is not None
    table = _table(source.labels)
    row_of_number = {int(number): row for row, number in enumerate(numbers)}
    people: dict[tuple[str, int], list[tuple[int, int]]] = {}
    seen: dict[tuple[int, str], int] = {}
    for number, row in rows:
        subject = str(table["sub"][row])
        nth = seen[number, subject] = seen.get((number, subject), -1) + 1
        people.setdefault((subject, nth), []).append((row_of_number[number], row))
    return tuple(_person(index + 1, sorted(people[key]), table) for index, key in enumerate(sorted(people)))


def _person(id: int, rows: list[tuple[int, int]], table: dict[str, Any]) -> BodyParameters:
    frames, chosen = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    pose = np.asarray(table["pose_cam"], np.float64)[chosen]
    body, joints = ("smpl", 23) if pose.shape[1] == 72 else ("smplx", 21)
    body_pose = np.zeros((len(frames), 23, 3))
    body_pose[:, :joints] = pose[:, 3 : 3 + 3 * joints].reshape(len(frames), joints, 3)
    keypoints = np.asarray(table["gtkps"], np.float64)[chosen, :, :2]
    return BodyParameters(
        id=id,
        frames=frames,
        body=body,
        gender=str(table["gender"][chosen[0]]),
        betas=np.asarray(table["shape"], np.float64)[chosen[0]],
        global_orient=pose[:, :3],
        body_pose=body_pose,
        transl=np.asarray(table["trans_cam"], np.float64)[chosen] + np.asarray(table["cam_ext"])[chosen, :3, 3],
        labels=Labels(
            id,
            np.ones(len(frames), bool),
            np.concatenate([keypoints, np.ones((*keypoints.shape[:2], 1))], -1),
            f"{body}{keypoints.shape[1]}",
        ),
        in_camera=True,
    )
