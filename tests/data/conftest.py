"""Tiny body files in the user's cache, and what the tests of all readers check."""

import numpy as np
import pytest

from diorama.body import load_body
from smpl_like import smpl_like_arrays

SIZES = {"neutral": 1.0, "female": 0.95, "male": 1.05}


@pytest.fixture
def no_bodies(tmp_path, monkeypatch):
    """A cache without any body files."""
    monkeypatch.setenv("DIORAMA_CACHE", str(tmp_path / "cache"))
    load_body.cache_clear()
    yield tmp_path / "cache" / "bodies"
    load_body.cache_clear()


@pytest.fixture
def bodies(no_bodies):
    """Arrays of the three SMPL-like bodies whose files are in the cache."""
    no_bodies.mkdir(parents=True)
    arrays = {gender: smpl_like_arrays() for gender in SIZES}
    for gender, size in SIZES.items():
        arrays[gender]["v_template"] *= size
    for gender, content in arrays.items():
        np.savez(no_bodies / f"SMPL_{gender.upper()}.npz", **content)
    return arrays
