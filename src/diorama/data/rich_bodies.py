"""People of RICH: SMPL files that the user converted beforehand, or SMPL-X files with a matrix from SMPL-X to SMPL."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse

from diorama.data.layout import Entries, read_entries
from diorama.data.point_files import read_points
from diorama.data.truth import BodyParameters, Labels, Surface
from diorama.errors import DioramaError
from diorama.geometry.rotations import rotvec_of

_SMPL_VERTS, _SMPLX_VERTS = 6890, 10475


@dataclass(frozen=True)
class Bodies:
    """People of some frames; `surface` is theirs only where the parameters are SMPL-X (see `Extras.surface`)."""

    people: tuple[BodyParameters, ...]
    surface: Surface | None = None


def read_bodies(folders: Sequence[Path], root: Path, smplx_to_smpl: Path | None) -> Bodies:
    """The people in the folders of frames (row n of the sequence is `folders[n]`).

    Beside each `SUB.pkl` of RICH its conversion `SUB_smpl.pkl` is looked for (neutral SMPL: `transl`, `betas`,
    `body_pose`, `global_orient` as rotation vectors or matrices). Without it `smplx_to_smpl` is needed: the matrix
    that takes the 10475 vertices of `SUB.ply` to SMPL's 6890.

    Raises:
        DioramaError: neither is there, or a file is damaged.
    """
    converted = [sorted(folder.glob("*_smpl.pkl")) for folder in folders]
    if any(converted):
        return Bodies(_people(converted, lambda _: "neutral", "smpl"))
    raw = [sorted(folder.glob("*.pkl")) for folder in folders]
    if not any(raw):
        raise DioramaError(
            "no bodies here", where=folders[0] / "SUB_smpl.pkl" if folders else root, fix="see docs/datasets.md"
        )
    first = next(files[0] for files in raw if files)
    if smplx_to_smpl is None:
        raise DioramaError(
            "RICH has SMPL-X bodies, the benchmarks want SMPL; the conversion was expected here",
            where=first.with_name(f"{first.stem}_smpl.pkl"),
            fix="convert beforehand, or give smplx_to_smpl=MATRIX (see docs/datasets.md)",
        )
    people = _people(raw, lambda name: gender_of(root, name), "smplx")
    return Bodies(people, _surface(raw, smplx_to_smpl))


def _people(files: list[list[Path]], gender: Callable[[str], str], body: str) -> tuple[BodyParameters, ...]:
    """One person per name of a file, ids in the order of the names."""
    names = sorted({path.stem for row in files for path in row})
    return tuple(_person(index + 1, name, files, gender(name), body) for index, name in enumerate(names))


def _person(id: int, name: str, files: list[list[Path]], gender: str, body: str) -> BodyParameters:
    rows = [(row, path) for row, of_row in enumerate(files) for path in of_row if path.stem == name]
    tables = [read_entries(path) for _, path in rows]
    pose = np.stack([_rotations(table, "body_pose") for table in tables])
    # SMPL has two more joints than SMPL-X, the hands.
    pose = np.concatenate([pose, np.zeros((len(pose), 23 - pose.shape[1], 3))], 1)
    return BodyParameters(
        id=id,
        frames=np.array([row for row, _ in rows], np.int64),
        body=body,
        gender=gender,
        betas=np.mean([table.array("betas", None)[:10] for table in tables], 0),
        global_orient=np.stack([_rotations(table, "global_orient")[0] for table in tables]),
        body_pose=pose,
        transl=np.stack([table.array("transl", 3) for table in tables]),
        labels=Labels(id, np.ones(len(rows), bool)),
    )


def _rotations(table: Entries, key: str) -> Float[np.ndarray, "joints 3"]:
    """Rotation vectors of an entry that has rotation vectors or matrices, in any arrangement."""
    values = table.numbers(key)
    joints = {"global_orient": (1,), "body_pose": (21, 23)}[key]
    for count in joints:
        if values.size == 3 * count:
            return values.reshape(count, 3)
        if values.size == 9 * count:
            return rotvec_of(values.reshape(count, 3, 3))
    raise table.wrong(key, f"{values.size} numbers where rotations of {joints[-1]} joints were expected:")


def gender_of(root: Path, subject: str) -> str:
    """The gender of a subject from `gender.json` of RICH's toolkit, {"000": "male", ...}.

    Raises:
        DioramaError: the file is missing or does not know the subject.
    """
    path = root / "gender.json"
    try:
        genders = json.loads(path.read_text(encoding="utf-8"))
        return str(genders[subject])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DioramaError(
            f"the gender of subject {subject} was expected here", where=path, fix='write {"000": "male", ...}'
        ) from error


def _surface(files: list[list[Path]], matrix_file: Path) -> Surface:
    names = sorted({path.stem for row in files for path in row})
    matrix = read_matrix(matrix_file)

    def surface(id: int, rows: np.ndarray) -> Float[np.ndarray, "n 6890 3"]:
        return np.stack([matrix @ _mesh(files[row], names[id - 1]) for row in rows.tolist()])

    return surface


def _mesh(files: list[Path], name: str) -> Float[np.ndarray, "verts 3"]:
    path = next(path for path in files if path.stem == name).with_suffix(".ply")
    verts = read_points(path)
    if len(verts) != _SMPLX_VERTS:
        raise DioramaError(f"{len(verts)} vertices where SMPL-X has {_SMPLX_VERTS}", where=path, fix="get RICH's file")
    return verts


def read_matrix(path: Path) -> Any:
    """The (6890, 10475) matrix from SMPL-X to SMPL vertices as a scipy sparse matrix: a dense `.npy`, a sparse `.npz` of
    scipy, or a pickle with the entry `matrix` or `mtx` (of twice as many columns the first half is taken).

    Raises:
        DioramaError: no such file, or of another shape.
    """
    try:
        if path.suffix == ".npy":
            found = sparse.csr_matrix(np.load(path, allow_pickle=False))
        elif path.suffix == ".npz":
            found = sparse.csr_matrix(sparse.load_npz(path))
        else:
            table = read_entries(path)
            found = sparse.csr_matrix(table.value("matrix" if "matrix" in table else "mtx"))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DioramaError(f"not a matrix ({error})", where=path, fix="give .npy, .npz or .pkl") from error
    if found.shape == (_SMPL_VERTS, 2 * _SMPLX_VERTS):
        found = found[:, :_SMPLX_VERTS]
    if found.shape != (_SMPL_VERTS, _SMPLX_VERTS):
        raise DioramaError(f"a matrix of {found.shape}", where=path, fix=f"it must be {_SMPL_VERTS} x {_SMPLX_VERTS}")
    return found
