"""SLOPER4D (Dai et al. 2023): one person outdoors, a moving LiDAR with a camera, SMPL in the LiDAR map (Z up)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial as bind
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from diorama.data.layout import Entries, cameras_of, need_all, need_file, need_folder, read_entries, shifted_keypoints
from diorama.data.lidar import JOSH_SWEEP, Lens, SweepRule, sweep_depth
from diorama.data.point_files import read_points
from diorama.data.sequence import Pictures, Sequence
from diorama.data.truth import BodyParameters, DepthMaps, Extras, Labels, Parameters, ScenePoints, Size
from diorama.geometry.transforms import apply, invert, rigid

FPS = 20.0
SEQUENCES = (
    "seq002_football_001", "seq003_street_002", "seq005_library_002", "seq007_garden_001", "seq008_running_001",
    "seq009_running_002",
)  # fmt: skip
# Dropped by the papers from depth, camera and scene metrics.
_MOTION_ONLY = "seq009_running_002"
# The calibration where a file has none (of the data set's own reader).
_INTRINSICS = (599.628, 599.466, 971.613, 540.258)
_DISTORTION = (0.003, -0.003, -0.001, 0.004, 0.0)


@dataclass(frozen=True)
class _Labels:
    """The content of one `*_labels.pkl`, checked: rows are the labelled frames."""

    content: Entries
    folder: Path
    count: int
    lens: Lens
    T_camera_world: Float[np.ndarray, "frames 4 4"]
    stamps: Float[np.ndarray, " frames"]


def open_sloper4d(root: Path, *, partial: bool = False, rule: SweepRule = JOSH_SWEEP) -> tuple[Sequence, ...]:
    """The six public sequences; those that count for depth, cameras and scene have the tag "scene".

    Args:
        root: holds one folder per sequence.
        rule: how a LiDAR sweep becomes a depth map.

    Raises:
        DioramaError: not such a folder; or sequences are missing and `partial` is false.
    """
    need_folder(root, "the folder of SLOPER4D")
    wanted = {name: root / name / f"{name}_labels.pkl" for name in SEQUENCES}
    found = [name for name, path in wanted.items() if path.is_file()]
    need_all(found, wanted, "SLOPER4D", partial=partial)
    return tuple(
        Sequence(
            dataset="sloper4d",
            name=name,
            split=("test",) if name == _MOTION_ONLY else ("test", "scene"),
            fps=FPS,
            find_pictures=bind(_pictures, wanted[name]),
            read_parameters=bind(read_parameters, wanted[name], rule),
        )
        for name in found
    )


def _pictures(path: Path) -> Pictures:
    content = read_entries(path)
    folder = path.parent / "rgb_data" / f"{path.parent.name}_imgs"
    if "RGB_frames" not in content or not folder.is_dir():
        return None
    names = content.table("RGB_frames").items("file_basename", content.integer("total_frames"))
    return tuple(need_file(folder / str(name), "a picture named in the labels") for name in names)


def read_parameters(path: Path, rule: SweepRule = JOSH_SWEEP) -> Parameters:
    """The content of one `*_labels.pkl`, and readers of its LiDAR sweeps and of the merged map.

    Without `RGB_frames` the cameras follow from the LiDAR's path: lidar2cam times the inverse of its pose.

    Raises:
        DioramaError: the file is missing, damaged, or of another layout.
    """
    labels = _read_labels(path)
    lens = labels.lens
    maps = sorted((labels.folder / "lidar_data").glob("*frames.ply"))
    return Parameters(
        times=labels.stamps - labels.stamps[0],
        frame_index=np.arange(labels.count),
        cameras=cameras_of(
            labels.T_camera_world, lens.K(), (lens.width, lens.height), distortion=(lens.k1, lens.k2, lens.k3)
        ),
        people=(_person(labels),),
        up="data set: +Z of the LiDAR map",
        extras=Extras(
            tangential=np.array([lens.p1, lens.p2]),
            depth=_sweeps(labels, rule),
            scene=ScenePoints(maps[0]) if maps else None,
        ),
    )


def _read_labels(path: Path) -> _Labels:
    content = read_entries(path)
    count = content.integer("total_frames")
    info = content.table("RGB_info")
    if "RGB_frames" in content:
        frames = content.table("RGB_frames")
        T_camera_world, stamps = frames.array("cam_pose", count, 4, 4), frames.array("lidar_tstamps", count)
    else:
        poses, stamps = _lidar_path(content, count)
        T_camera_world = _nested_matrix(info) @ invert(poses)
    return _Labels(content, path.parent, count, _lens(info), T_camera_world, stamps)


def _lens(info: Entries) -> Lens:
    focal = info.array("intrinsics", 4) if "intrinsics" in info else np.array(_INTRINSICS)
    dist = info.array("dist", 5) if "dist" in info else np.array(_DISTORTION)
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = np.concatenate([focal, dist]).tolist()
    return Lens(fx, fy, cx, cy, k1, k2, p1, p2, k3, info.integer("width"), info.integer("height"))


def _nested_matrix(info: Entries) -> Float[np.ndarray, "4 4"]:
    """`lidar2cam`, which some files keep inside a list."""
    value: Any = info.value("lidar2cam")
    if isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    return Entries({"lidar2cam": value}, info.path, info.prefix).array("lidar2cam", 4, 4)


def _lidar_path(content: Entries, count: int) -> tuple[Float[np.ndarray, "frames 4 4"], Float[np.ndarray, " frames"]]:
    """Poses of the LiDAR in the world and times, of the labelled frames (columns frame X Y Z qx qy qz qw time)."""
    path = content.table("first_person").array("lidar_traj", None, 9)
    numbers = content.array("frame_num", count)
    rows = {int(row[0]): number for number, row in enumerate(path)}
    if missing := [int(number) for number in numbers if int(number) not in rows]:
        raise content.wrong("first_person/lidar_traj", f"frame {missing[0]} of frame_num is missing in")
    chosen = path[[rows[int(number)] for number in numbers]]
    return rigid(Rotation.from_quat(chosen[:, 4:8]).as_matrix(), chosen[:, 1:4]), chosen[:, 8]


def _person(labels: _Labels) -> BodyParameters:
    person, count = labels.content.table("second_person"), labels.count
    pose = person.array("opt_pose", count, 72).reshape(count, 24, 3)
    keypoints, boxes = None, None
    if "RGB_frames" in labels.content:
        frames = labels.content.table("RGB_frames")
        skeletons = _filled(frames, "skel_2d", (17, 3), count, fill=0.0)
        keypoints = shifted_keypoints(skeletons[..., :2], skeletons[..., 2])
        boxes = _filled(frames, "bbox", (4,), count, fill=np.nan)
    return BodyParameters(
        id=1,
        frames=np.arange(count),
        body="smpl",
        gender=str(person.value("gender")),
        betas=person.array("beta", 10),
        global_orient=pose[:, 0],
        body_pose=pose[:, 1:],
        transl=person.array("opt_trans", count, 3),
        labels=Labels(1, np.ones(count, bool), keypoints, "coco17" if keypoints is not None else "", boxes),
    )


def _filled(frames: Entries, key: str, shape: tuple[int, ...], count: int, fill: float) -> np.ndarray:
    """A list of arrays of which some are empty, as one array."""
    out = np.full((count, *shape), fill)
    for row, item in enumerate(frames.items(key, count)):
        if np.size(item):
            out[row] = Entries({f"{key}/{row}": item}, frames.path, frames.prefix).array(f"{key}/{row}", *shape)
    return out


def _sweeps(labels: _Labels, rule: SweepRule) -> DepthMaps | None:
    folder = labels.folder / "lidar_data" / "lidar_frames_rot"
    files = [folder / f"{stamp:.03f}".replace(".", "_") for stamp in labels.stamps]
    files = [path.with_name(f"{path.name}.pcd") for path in files]
    rows = np.array([row for row, path in enumerate(files) if path.is_file()], np.int64)
    if not len(rows):
        return None
    # Not `labels` itself, which may hold the point clouds of all frames.
    T_camera_world, lens = labels.T_camera_world, labels.lens

    def read(row: int, size: Size | None) -> np.ndarray:
        return sweep_depth(
            apply(T_camera_world[row], read_points(files[row])), lens, size or (lens.width, lens.height), rule
        )

    return DepthMaps(rows, read)
