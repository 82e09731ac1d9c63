"""Shapes and types of every diorama function are checked while the tests run."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from clips import clip

os.environ.setdefault("OMP_NUM_THREADS", "1")
install_import_hook("diorama", "typechecking.check")


@pytest.fixture(scope="session")
def street_clip() -> Path:
    return clip("josh_demo2")


@pytest.fixture(scope="session")
def juggle_clip() -> Path:
    return clip("juggle")


@pytest.fixture(scope="session")
def skating_clip() -> Path:
    return clip("skating")
