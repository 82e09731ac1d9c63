"""Binary glTF: skinned and animated people, the moving camera and the scene's points, in one file for every 3D tool.

glTF is +Y up and its cameras look along -Z, so one root node turns the Z-up world, and camera poses are flipped from
OpenCV's axes. Key times are seconds from the first frame (`start_seconds` in the root's extras gives its video time).
What glTF cannot say stands in `extras`: focal length and principal point per frame, contacts, who was really observed.
A person is hidden by scale zero while missing from its track.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from diorama import __version__
from diorama.export.glb_people import add_person
from diorama.export.gltf_buffer import ARRAY_BUFFER, GltfBuffer, write_container
from diorama.export.gltf_scene import GltfScene
from diorama.export.licences import mesh_licence
from diorama.export.options import DEFAULTS, ExportOptions
from diorama.export.resampling import at_rate
from diorama.export.skin import quaternions_xyzw, srgb_to_linear
from diorama.reconstruction import Cameras, Reconstruction, Scene

logger = logging.getLogger(__name__)

# Rotation by -90 degrees about X, (x, y, z) -> (x, z, -y): +Z up becomes +Y up.
Z_UP_TO_Y_UP = (-(0.5**0.5), 0.0, 0.0, 0.5**0.5)
# OpenCV camera axes (y down, z forward) seen from glTF's (y up, looking along -z).
OPENCV_FROM_GLTF = np.diag([1.0, -1.0, -1.0])


def write_glb(reconstruction: Reconstruction, path: str | Path, options: ExportOptions = DEFAULTS) -> Path:
    """Write a reconstruction as one GLB file; the standard fixes +Y up and metres.

    Raises:
        DioramaError: a person's body model is not available, numbers are not finite, or the path is not writable.
    """
    path, reconstruction = Path(path), at_rate(reconstruction, options)
    if options.up == "z" or options.unit == "cm":
        logger.warning("glb stays +Y up and in metres, as its standard asks")
    gltf = GltfScene(GltfBuffer())
    seconds = key_times(reconstruction)
    root = gltf.add_node({"name": "world", "rotation": Z_UP_TO_Y_UP, "extras": _about(reconstruction)})
    gltf.roots.append(root)
    _add_camera(gltf, reconstruction.cameras, seconds, root)
    _add_points(gltf, reconstruction.scene, root)
    for person in reconstruction.people:
        add_person(gltf, person, seconds, root)
    write_container(path, gltf.document(_asset(reconstruction)), gltf.buffer)
    return path


def key_times(reconstruction: Reconstruction) -> np.ndarray:
    """Seconds from the first frame, one per row, float64 (glTF forbids negative key times)."""
    return reconstruction.times - reconstruction.times[0]


def _asset(reconstruction: Reconstruction) -> dict[str, Any]:
    asset = {"version": "2.0", "generator": f"diorama {__version__}"}
    note = mesh_licence(reconstruction)
    return {**asset, "copyright": note} if note else asset


def _about(reconstruction: Reconstruction) -> dict[str, Any]:
    return {
        "up": reconstruction.up,
        "units": "metres, seconds, radians, pixels; the world under this node is Z-up",
        "start_seconds": float(reconstruction.times[0]),
        "frames": len(reconstruction),
    }


def _add_camera(gltf: GltfScene, cameras: Cameras, seconds: np.ndarray, root: int) -> None:
    focal = cameras.K[:, [0, 1], [0, 1]].mean(0)
    lens = {
        "yfov": float(2 * np.arctan(cameras.height / 2 / focal[1])),
        "aspectRatio": float(cameras.width / focal[0] / (cameras.height / focal[1])),
        "znear": 0.05,
    }
    extras = {
        "width_px": cameras.width,
        "height_px": cameras.height,
        "kind": cameras.kind,
        "focal_source": cameras.focal_source,
        "focal_px": _once_if_constant(cameras.K[:, [0, 1], [0, 1]]),
        "principal_point_px": _once_if_constant(cameras.K[:, [0, 1], [2, 2]]),
        "radial_distortion": _once_if_constant(cameras.distortion),
        "registered": _once_if_constant(cameras.registered[:, None].astype(int)),
    }
    gltf.cameras.append({"name": "camera", "type": "perspective", "perspective": lens, "extras": extras})
    rotations = quaternions_xyzw(cameras.T_world_camera[:, :3, :3] @ OPENCV_FROM_GLTF)
    node = gltf.add_node({"name": "camera", "camera": 0}, parent=root)
    keys = gltf.add_keys(seconds)
    gltf.animate(node, "rotation", keys, rotations)
    gltf.animate(node, "translation", keys, cameras.T_world_camera[:, :3, 3])


def _once_if_constant(rows: np.ndarray) -> list[Any]:
    """Rows as a list of lists for JSON; a single row if all are the same."""
    same = np.all(rows == rows[:1])
    return np.round(rows[:1] if same else rows, 6).tolist()


def _add_points(gltf: GltfScene, scene: Scene, root: int) -> None:
    known = np.isfinite(scene.points_world).all(1)
    if not known.any():
        return
    positions = scene.points_world[known].astype(np.float32)
    attributes = {
        "POSITION": gltf.buffer.add(positions, target=ARRAY_BUFFER, bounds=True),
        "COLOR_0": gltf.buffer.add(_linear_rgba(scene.colors[known]), target=ARRAY_BUFFER, normalized=True),
    }
    material = gltf.add_material("points", (1.0, 1.0, 1.0))
    primitive = {"mode": 0, "attributes": attributes, "material": material}
    gltf.meshes.append({"name": "scene", "primitives": [primitive]})
    gltf.add_node({"name": "scene", "mesh": len(gltf.meshes) - 1}, parent=root)


def _linear_rgba(colors: np.ndarray) -> np.ndarray:
    """sRGB bytes as opaque linear light in 16 bits: glTF's vertex colours are linear, 8 bits would lose dark tones."""
    table = np.round(srgb_to_linear(np.arange(256) / 255) * 65535).astype(np.uint16)
    opaque = np.full((len(colors), 1), 65535, np.uint16)
    return np.concatenate([table[colors], opaque], 1)
