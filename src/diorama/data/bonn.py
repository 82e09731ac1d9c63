"""Bonn RGB-D Dynamic (Palazzolo et al. 2019): a hand-held depth camera indoors, people without bodies; depth only."""

from __future__ import annotations

from functools import partial as bind
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from diorama.data.layout import cameras_of, need_all, need_folder, picture_files, rows_and_times
from diorama.data.sequence import Sequence
from diorama.data.truth import DepthMaps, Extras, Parameters, Size
from diorama.data.upright import nearest_axis, up_of_cameras, upright
from diorama.errors import DioramaError
from diorama.geometry.transforms import interpolate_rigid, invert, rigid

FPS = 30.0
SEQUENCES = ("balloon2", "crowd2", "crowd3", "person_tracking2", "synchronous")
FrameChoice = Literal["benchmark", "all"]
# Rows of the sorted pictures, and independently of the sorted depth maps, in the benchmark of DepthCrafter and MonST3R.
_BENCHMARK = slice(30, 140)
_UNITS_PER_METRE = 5000.0
# Depth maps and poses belong to a picture if they were taken within this many seconds.
_NEAR_SECONDS = 0.02
_SIZE = (640, 480)
# Calibration of the colour camera from the data set's page, OpenCV order k1 k2 p1 p2 k3.
_K = np.array([[542.822841, 0, 315.593520], [0, 542.576870, 237.756098], [0, 0, 1.0]])
_DISTORTION = (0.039903, -0.099343, -0.000730, -0.000144, 0.0)


def open_bonn(root: Path, *, frames: FrameChoice = "benchmark", partial: bool = False) -> tuple[Sequence, ...]:
    """The five sequences of the video-depth benchmark.

    Args:
        root: holds `rgbd_bonn_balloon2` and so on.
        frames: "benchmark" takes the 110 pictures and the 110 depth maps from number 30 on, joined by their rank
            (not by time); "all" takes every picture, joined with the depth map within 0.02 s.

    Raises:
        DioramaError: not such a folder; or sequences are missing and `partial` is false.
    """
    need_folder(root, "the folder of Bonn RGB-D Dynamic")
    wanted = {name: root / f"rgbd_bonn_{name}" / "rgb" for name in SEQUENCES}
    found = [name for name, path in wanted.items() if path.is_dir()]
    need_all(found, wanted, "Bonn RGB-D Dynamic", partial=partial)
    return tuple(
        Sequence(
            dataset="bonn",
            name=name,
            split=("test",),
            fps=FPS,
            find_pictures=bind(_pictures, wanted[name].parent, frames),
            read_parameters=bind(read_parameters, wanted[name].parent, frames),
        )
        for name in found
    )


def _chosen(folder: Path, kind: str, frames: FrameChoice) -> tuple[Path, ...]:
    files = picture_files(need_folder(folder / kind, f"the folder of {kind} pictures"))
    if frames == "benchmark" and len(files) < _BENCHMARK.stop:
        raise DioramaError(
            f"{len(files)} pictures where the benchmark takes numbers {_BENCHMARK.start} to {_BENCHMARK.stop - 1}",
            where=folder / kind,
            fix="complete the download",
        )
    return tuple(files[_BENCHMARK] if frames == "benchmark" else files)


def _pictures(folder: Path, frames: FrameChoice) -> tuple[Path, ...]:
    return _chosen(folder, "rgb", frames)


def read_parameters(folder: Path, frames: FrameChoice = "benchmark") -> Parameters:
    """Cameras and depth of one sequence; nobody has a body. Poses of `groundtruth.txt` are interpolated to the times of
    the pictures, and `registered` says where one was measured within 0.02 s.

    Raises:
        DioramaError: files are missing or damaged.
    """
    pictures = _chosen(folder, "rgb", frames)
    stamps = _stamps(pictures)
    times, frame_index = rows_and_times(len(pictures), FPS) if stamps is None else (stamps - stamps[0], None)
    poses, registered = _poses(folder / "groundtruth.txt", stamps, len(pictures))
    cameras = cameras_of(invert(poses), _K, _SIZE, registered=registered, distortion=(_DISTORTION[0], _DISTORTION[1]))
    known = bool(registered.any())
    up = nearest_axis(up_of_cameras(poses)) if known else np.array([0.0, -1.0, 0.0])
    return Parameters(
        times=times,
        frame_index=np.arange(len(pictures)) if frame_index is None else frame_index,
        cameras=cameras,
        people=(),
        up="assumed: the axis next to the cameras' mean upward direction",
        extras=Extras(
            T_world_dataset=upright(up),
            cameras_known=known,
            tangential=np.array(_DISTORTION[2:4]),
            depth=_depth(folder, frames, stamps),
        ),
    )


def _stamps(files: tuple[Path, ...]) -> Float[np.ndarray, " frames"] | None:
    """Times in the names of files (1548266470.88.png), or None where they are not such names."""
    try:
        return np.array([float(path.stem) for path in files])
    except ValueError:
        return None


def _poses(
    path: Path, stamps: Float[np.ndarray, " frames"] | None, count: int
) -> tuple[Float[np.ndarray, "frames 4 4"], np.ndarray]:
    """Camera-to-world poses at the pictures' times, and where they were measured."""
    if stamps is None or not path.is_file():
        return np.tile(np.eye(4), (count, 1, 1)), np.zeros(count, bool)
    try:
        rows = np.loadtxt(path, comments="#", ndmin=2)
        if rows.shape[1] != 8 or not len(rows):
            raise ValueError(f"{rows.shape[1]} columns where 8 were expected")
    except ValueError as error:
        raise DioramaError(f"not a TUM trajectory ({error})", where=path, fix="get the original file") from error
    Ts = rigid(Rotation.from_quat(rows[:, 4:8]).as_matrix(), rows[:, 1:4])
    apart = np.abs(rows[_nearest(stamps, rows[:, 0]), 0] - stamps)
    return interpolate_rigid(stamps, rows[:, 0], Ts), apart <= _NEAR_SECONDS


def _nearest(wanted: Float[np.ndarray, " n"], times: Float[np.ndarray, " m"]) -> Int[np.ndarray, " n"]:
    """Index of the time next to each wanted one; `times` are sorted."""
    right = np.clip(np.searchsorted(times, wanted), 1, max(len(times) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(times) - 1)
    return np.where(np.abs(times[left] - wanted) <= np.abs(times[right] - wanted), left, right)


def _depth(folder: Path, frames: FrameChoice, stamps: Float[np.ndarray, " frames"] | None) -> DepthMaps:
    files = _chosen(folder, "depth", frames)
    of_row = {row: path for row, path in enumerate(files)}
    if frames == "all":
        taken = _stamps(files)
        if stamps is None or taken is None:
            raise DioramaError("names of pictures are not their times", where=folder, fix="keep the published names")
        nearest = _nearest(stamps, taken)
        near = np.abs(taken[nearest] - stamps) <= _NEAR_SECONDS
        of_row = {row: files[nearest[row]] for row in np.flatnonzero(near).tolist()}
    return DepthMaps(np.array(list(of_row), np.int64), lambda row, size: read_depth(of_row[int(row)], size))


def read_depth(path: Path, size: Size | None = None) -> Float[np.ndarray, "height width"]:
    """A 16-bit depth picture (5000 units per metre) in metres, 0 unknown; `size` resamples (nearest) to (width, height).

    Raises:
        DioramaError: it is not such a picture.
    """
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 2:
        raise DioramaError("not a 16-bit depth picture", where=path, fix="get the original file")
    if size is not None and size != picture.shape[::-1]:
        columns = ((np.arange(size[0]) + 0.5) * picture.shape[1] / size[0]).astype(int)
        rows = ((np.arange(size[1]) + 0.5) * picture.shape[0] / size[1]).astype(int)
        picture = picture[rows[:, None], columns[None]]
    return picture / _UNITS_PER_METRE
