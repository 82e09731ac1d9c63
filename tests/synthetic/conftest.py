"""The free body, or a reason why it is not here."""

import pytest

from diorama.body.anny import load_free_body
from diorama.body.model import BodyModel
from diorama.errors import DioramaError


@pytest.fixture(scope="session")
def free_body() -> BodyModel:
    """The free body from the cache (built there if the network allows)."""
    try:
        return load_free_body()
    except DioramaError as error:
        pytest.skip(f"no free body: {error}")
