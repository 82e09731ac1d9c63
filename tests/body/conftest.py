"""Bodies that the tests of this room share."""

import pytest

from diorama.body.anny import load_free_body
from diorama.body.model import BodyModel
from diorama.errors import DioramaError
from smpl_like import smpl_like_arrays


@pytest.fixture(scope="session")
def free_body() -> BodyModel:
    """The free body from the cache (built there if the network allows)."""
    try:
        return load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")


@pytest.fixture(scope="session")
def smpl_arrays():
    """Arrays of a tiny synthetic body with SMPL's keys."""
    return smpl_like_arrays()
