"""RICH's calibrations: cameras, which way is up, and the scan of the place."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float

from diorama.data.layout import need_folder
from diorama.data.upright import nearest_axis, up_of_cameras, upright
from diorama.errors import DioramaError
from diorama.geometry.transforms import invert

# Long and short side of the calibrated pictures, px.
_SIDES = (4112, 3008)
# Variants of the scan, by a word in the action's name.
_SCANS = {
    "yoga": "scan_yoga_scene_camcoord.ply",
    "chair": "scan_chair_scene_camcoord.ply",
    "table": "scan_table_camcoord.ply",
}


@dataclass(frozen=True)
class Calibration:
    """One calibrated camera: `T_camera_dataset` takes RICH's world to the camera; K in OpenCV's pixels of pictures of
    `size`; radial k1, k2 (further coefficients of the file are not used)."""

    T_camera_dataset: Float[np.ndarray, "4 4"]
    K: Float[np.ndarray, "3 3"]
    distortion: tuple[float, float]
    size: tuple[int, int]

    def scaled(self, size: tuple[int, int], where: Path) -> Calibration:
        """The same camera with smaller pictures (the JPEG release).

        Raises:
            DioramaError: they have another shape.
        """
        factor = size[0] / self.size[0]
        if abs(size[1] / self.size[1] / factor - 1) > 0.01:
            raise DioramaError(
                f"pictures of {size[0]} x {size[1]} px where the calibration is of {self.size[0]} x {self.size[1]}",
                where=where,
                fix="give the published pictures",
            )
        # The calibration's pixel centres are at integers: the corner of the picture is at -0.5.
        K = self.K.copy()
        K[:2, 2] += 0.5
        K[:2] *= factor
        K[:2, 2] -= 0.5
        return Calibration(self.T_camera_dataset, K, self.distortion, size)


def scene_of(sequence: str) -> str:
    """The place in the name of a sequence: `Gym` of `Gym_011_cooking1`."""
    return sequence.split("_")[0]


def calibration_file(root: Path, scene: str, camera: int) -> Path:
    """Where the calibration of a camera belongs."""
    return root / "scan_calibration" / scene / "calibration" / f"{camera:03d}.xml"


def read_calibration(path: Path) -> Calibration:
    """One calibration file of OpenCV's XML.

    Raises:
        DioramaError: no such file, or it is of another form; files that define entities are refused.
    """
    if not path.is_file():
        raise DioramaError("the calibration of a camera was expected here", where=path, fix="download scan_calibration")
    text = path.read_text(encoding="utf-8", errors="replace")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DioramaError("refused: it defines entities", where=path, fix="get the original file")
    try:
        tree = ElementTree.fromstring(text.encode("utf-8"))
        matrix, K = _numbers(tree, "CameraMatrix", 12), _numbers(tree, "Intrinsics", 9)
        distortion = _numbers(tree, "Distortion", None)
    except (ElementTree.ParseError, ValueError) as error:
        raise DioramaError(f"not a calibration of RICH ({error})", where=path, fix="get the original file") from error
    T = np.vstack([matrix.reshape(3, 4), [0, 0, 0, 1.0]])
    K = K.reshape(3, 3)
    long, short = _SIDES
    size = (long, short) if K[0, 2] > K[1, 2] else (short, long)
    return Calibration(T, K, (float(distortion[0]), float(distortion[1])), size)


def _numbers(tree: ElementTree.Element, name: str, count: int | None) -> Float[np.ndarray, " n"]:
    data = tree.find(f"{name}/data")
    if data is None or not data.text:
        raise ValueError(f"no {name}/data")
    numbers = np.array([float(word) for word in data.text.split()])
    if (count is not None and len(numbers) != count) or len(numbers) < 2:
        raise ValueError(f"{len(numbers)} numbers in {name}/data")
    return numbers


def upright_of_scene(root: Path, scene: str) -> Float[np.ndarray, "4 4"]:
    """T_world_dataset of a place: up is what its static cameras hold upwards (median); where `multicam2world` is there,
    the axis of that world next to it.

    Raises:
        DioramaError: no calibrations here, or a file is damaged.
    """
    folder = need_folder(root / "scan_calibration" / scene / "calibration", "the folder of calibrations")
    files = sorted(folder.glob("*.xml")) or [calibration_file(root, scene, 0)]
    up = up_of_cameras(invert(np.stack([read_calibration(path).T_camera_dataset for path in files])))
    survey = root / "multicam2world" / f"{scene}_multicam2world.json"
    if survey.is_file():
        # world = c x R + t with row vectors: a direction u becomes u R.
        R = _survey_rotation(survey)
        up = R @ nearest_axis(up @ R)
    return upright(up)


def _survey_rotation(path: Path) -> Float[np.ndarray, "3 3"]:
    try:
        R = np.array(json.loads(path.read_text(encoding="utf-8"))["R"], np.float64).reshape(3, 3)
    except (ValueError, KeyError, TypeError) as error:
        raise DioramaError(f"not a similarity c, R, t ({error})", where=path, fix="get the original file") from error
    return R


def scan_file(root: Path, sequence: str) -> Path | None:
    """The scan of the place in RICH's world (the variant for the action, if there is one), or None."""
    folder = root / "scan_calibration" / scene_of(sequence)
    names = [name for word, name in _SCANS.items() if word in sequence] + ["scan_camcoord.ply"]
    return next((folder / name for name in names if (folder / name).is_file()), None)
