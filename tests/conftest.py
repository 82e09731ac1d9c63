"""Shapes and types of every diorama function are checked while the tests run."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("OMP_NUM_THREADS", "1")
install_import_hook("diorama", "typechecking.check")

CLIPS = Path(__file__).parents[2] / "shared" / "clips"


def clip(name: str) -> Path:
    """A real clip of ../shared; the test skips where it is absent."""
    path = CLIPS / f"{name}.mp4"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    return path


@pytest.fixture(scope="session")
def street_clip() -> Path:
    return clip("josh_demo2")


@pytest.fixture(scope="session")
def juggle_clip() -> Path:
    return clip("juggle")


@pytest.fixture(scope="session")
def skating_clip() -> Path:
    return clip("skating")
