"""3DPW (von Marcard et al. 2018): one or two people outdoors, a hand-held phone, SMPL of two genders; local metrics."""

from __future__ import annotations

from functools import partial as bind
from pathlib import Path

import numpy as np

from diorama.data.layout import (
    Entries,
    cameras_of,
    need_folder,
    picture_files,
    picture_size,
    pictures_or_none,
    read_entries,
    rows_and_times,
    shifted_keypoints,
)
from diorama.data.sequence import Sequence
from diorama.data.truth import BodyParameters, Extras, Labels, Parameters
from diorama.data.upright import nearest_axis, up_of_cameras, upright
from diorama.errors import DioramaError
from diorama.geometry.transforms import invert

FPS = 30.0
SPLITS = ("train", "validation", "test")
_GENDERS = {"m": "male", "f": "female", "male": "male", "female": "female"}
# poses2d has the 18 joints of OpenPose's COCO model.
_JOINT_SET = "openpose18"


def open_3dpw(root: Path) -> tuple[Sequence, ...]:
    """All sequences of the splits that are there, tagged with their split; the benchmark takes "test".

    Args:
        root: holds `sequenceFiles` and `imageFiles`.

    Raises:
        DioramaError: not such a folder.
    """
    folder = need_folder(root / "sequenceFiles", "the folder of 3DPW's sequences")
    files = [path for split in SPLITS for path in sorted((folder / split).glob("*.pkl"))]
    if not files:
        raise DioramaError("no sequences of 3DPW here", where=folder / "test" / "*.pkl", fix="complete the download")
    return tuple(
        Sequence(
            dataset="3dpw",
            name=path.stem,
            split=(path.parent.name,),
            fps=FPS,
            find_pictures=bind(_pictures, root, path),
            read_parameters=bind(read_parameters, root, path),
        )
        for path in files
    )


def _pictures(root: Path, path: Path) -> tuple[Path, ...] | None:
    count = len(read_entries(path).array("cam_poses", None, 4, 4))
    return pictures_or_none(root / "imageFiles" / path.stem, count, "image_%05d.jpg")


def read_parameters(root: Path, path: Path) -> Parameters:
    """The content of one sequence file, in 3DPW's world.

    A frame is valid where the camera's pose is and any 2D keypoint was seen (the rule of SLAHMR).

    Raises:
        DioramaError: the file is missing, damaged, or of another layout.
    """
    content = read_entries(path)
    T_camera_dataset = content.array("cam_poses", None, 4, 4)
    K = content.array("cam_intrinsics", 3, 3)
    count = len(T_camera_dataset)
    if not count:
        raise content.wrong("cam_poses", "there are no frames in")
    people = len(content.items("genders"))
    up = nearest_axis(up_of_cameras(invert(T_camera_dataset)))
    times, frame_index = rows_and_times(count, FPS)
    return Parameters(
        times=times,
        frame_index=frame_index,
        cameras=cameras_of(T_camera_dataset, K, _size(root / "imageFiles" / path.stem, K)),
        people=tuple(_person(content, index, people, count) for index in range(people)),
        up="assumed: the axis next to the cameras' mean upward direction",
        extras=Extras(T_world_dataset=upright(up)),
    )


def _size(folder: Path, K: np.ndarray) -> tuple[int, int]:
    """Size of the pictures; without them that of a picture around the principal point."""
    pictures = picture_files(folder)
    return picture_size(pictures[0]) if pictures else (round(2 * K[0, 2]), round(2 * K[1, 2]))


def _of_person(content: Entries, key: str, index: int, people: int) -> Entries:
    """The entry of one person, under the same key."""
    return Entries({key: content.items(key, people)[index]}, content.path, f"{content.prefix}[{index}] ")


def _person(content: Entries, index: int, people: int, count: int) -> BodyParameters:
    def array(key: str, *shape: int | None) -> np.ndarray:
        return _of_person(content, key, index, people).array(key, *shape)

    pose = array("poses", count, 72).reshape(count, 24, 3)
    seen = array("poses2d", count, 3, 18).transpose(0, 2, 1)
    valid = _camera_valid(content, index, people, count) & (seen > 0).any((1, 2))
    gender = _GENDERS.get(str(content.items("genders", people)[index]))
    if gender is None:
        raise content.wrong("genders", "neither 'm' nor 'f':")
    return BodyParameters(
        id=index + 1,
        frames=np.arange(count),
        body="smpl",
        gender=gender,
        betas=array("betas", None)[:10],
        global_orient=pose[:, 0],
        body_pose=pose[:, 1:],
        transl=array("trans", count, 3),
        labels=Labels(index + 1, valid, shifted_keypoints(seen[..., :2], seen[..., 2]), _JOINT_SET),
    )


def _camera_valid(content: Entries, index: int, people: int, count: int) -> np.ndarray:
    """`campose_valid`, which is one list for all or one per person."""
    first = content.items("campose_valid")[:1]
    per_person = bool(first) and np.ndim(first[0]) > 0
    one = _of_person(content, "campose_valid", index, people) if per_person else content
    return one.array("campose_valid", count).astype(bool)
