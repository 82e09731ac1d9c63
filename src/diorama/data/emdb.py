"""EMDB 1 and 2 (Kaufmann et al. 2023): one person, a moving phone, SMPL in a Y-up world."""

from __future__ import annotations

from functools import partial as bind
from pathlib import Path

import numpy as np

from diorama.data.layout import (
    Entries,
    cameras_of,
    need_all,
    need_folder,
    pictures_or_none,
    read_entries,
    rows_and_times,
    shifted_keypoints,
)
from diorama.data.sequence import Sequence
from diorama.data.truth import BodyParameters, Extras, Labels, Parameters
from diorama.data.upright import upright

FPS = 30.0
# Membership is decided by the flags in the files; these names only tell when some are missing.
SEQUENCES = {
    "emdb1": (
        "P1_14", "P2_23", "P3_31", "P3_32", "P3_33", "P5_42", "P5_44", "P6_49", "P6_50", "P6_51", "P7_57", "P7_59",
        "P7_60", "P8_64", "P8_68", "P8_69", "P9_76",
    ),
    "emdb2": (
        "P0_09", "P2_19", "P2_20", "P2_24", "P3_27", "P3_28", "P3_29", "P3_30", "P4_35", "P4_36", "P4_37", "P5_40",
        "P6_48", "P6_49", "P7_55", "P7_56", "P7_57", "P7_58", "P7_61", "P8_64", "P8_65", "P9_77", "P9_78", "P9_79",
        "P9_80",
    ),
}  # fmt: skip


def open_emdb(root: Path, subset: str, *, partial: bool = False) -> tuple[Sequence, ...]:
    """The sequences whose flag `subset` ("emdb1" or "emdb2") is set, in the order of their names.

    Args:
        root: holds `P0/09_outdoor_walk/P0_09_outdoor_walk_data.pkl` and so on, or one folder per sequence.

    Raises:
        DioramaError: not such a folder; or sequences of the benchmark are missing and `partial` is false.
    """
    need_folder(root, "the folder of EMDB")
    files = {path.name.removesuffix("_data.pkl"): path for path in _data_files(root)}
    chosen = {name: path for name, path in sorted(files.items()) if read_entries(path).flag(subset)}
    ids = ["_".join(name.split("_")[:2]) for name in chosen]
    wanted = {id: root / id[:2] / f"{id[3:]}_*" / f"{id}_*_data.pkl" for id in SEQUENCES[subset]}
    need_all(ids, wanted, subset.upper(), partial=partial)
    return tuple(
        Sequence(
            dataset=subset,
            name=name,
            split=("test",),
            fps=FPS,
            find_pictures=bind(_pictures, path),
            read_parameters=bind(read_parameters, path),
        )
        for name, path in chosen.items()
    )


def _data_files(root: Path) -> list[Path]:
    return [*root.glob("P[0-9]/*/*_data.pkl"), *root.glob("*/*_data.pkl")]


def _pictures(path: Path) -> tuple[Path, ...] | None:
    count = read_entries(path).integer("n_frames")
    return pictures_or_none(path.parent / "images", count, "%05d.jpg")


def read_parameters(path: Path) -> Parameters:
    """The content of one `*_data.pkl`: cameras, the person, the frames that are good, in EMDB's Y-up world.

    Raises:
        DioramaError: the file is missing, damaged, or of another layout.
    """
    content = read_entries(path)
    count = content.integer("n_frames")
    camera = content.table("camera")
    size = (camera.integer("width"), camera.integer("height"))
    T_camera_dataset = camera.array("extrinsics", count, 4, 4)
    times, frame_index = rows_and_times(count, FPS)
    return Parameters(
        times=times,
        frame_index=frame_index,
        cameras=cameras_of(T_camera_dataset, camera.array("intrinsics", 3, 3), size),
        people=(_person(content, count),),
        up="data set: +Y of EMDB's world",
        extras=Extras(T_world_dataset=upright(np.array([0.0, 1.0, 0.0]))),
    )


def _person(content: Entries, count: int) -> BodyParameters:
    smpl = content.table("smpl")
    good = content.array("good_frames_mask", count).astype(bool)
    return BodyParameters(
        id=1,
        frames=np.arange(count),
        body="smpl",
        gender=str(content.value("gender")),
        betas=smpl.array("betas", 10),
        global_orient=smpl.array("poses_root", count, 3),
        body_pose=smpl.array("poses_body", count, 69).reshape(count, 23, 3),
        transl=smpl.array("trans", count, 3),
        labels=Labels(1, good, shifted_keypoints(*_keypoints(content, count)), "smpl24", _boxes(content, count)),
    )


def _keypoints(content: Entries, count: int) -> tuple[np.ndarray, np.ndarray]:
    return content.array("kp2d", count, 24, 2), np.ones((count, 24))


def _boxes(content: Entries, count: int) -> np.ndarray:
    table = content.table("bboxes")
    boxes = table.array("bboxes", count, 4)
    missing = np.isin(np.arange(count), table.array("invalid_idxs", None))
    return np.where(missing[:, None], np.nan, boxes)
